import math
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.core.errors import JournalError
from burnish.core.paths import RunPaths
from burnish.journal import JournalWriter, Kind
from burnish.journal.compact import compact
from burnish.journal.pyramid_file import PyramidFile, PyramidWriter
from burnish.journal.series import load_scalars
from burnish.journal.view import FileView, LiveView, open_view


@pytest.fixture
def run(tmp_path):
    paths = RunPaths(tmp_path / "20260101_toy_k7f2")
    paths.journals.mkdir(parents=True)
    return paths


def log(paths, steps, *, rank=0, attempt=1):
    writer = JournalWriter(paths.journals, rank, lambda: {"attempt": attempt})
    for step in steps:
        writer.row(("loss", "lr"), (math.sin(step / 50), step / 8), step, float(step))
    writer.close()


@pytest.fixture
def opened(run):
    """Return a function that opens a view of the run, of the kind that is expected."""
    views = []

    def open_as(kind):
        views.append(open_view(run))
        assert isinstance(views[-1], kind)
        return views[-1]

    yield open_as
    for view in views:
        view.close()


@pytest.mark.parametrize("window", [(None, None), (100, 20_000), (31_990, 40_000), (500, 520)])
def test_finished_and_live_run_show_the_same(run, opened, window):
    log(run, range(33_000))
    log(run, range(50), rank=2)
    live = opened(LiveView)
    compact(run)
    finished = opened(FileView)
    assert finished.metrics == live.metrics == [("loss", 0), ("loss", 2), ("lr", 0), ("lr", 2)]
    for name, rank in live.metrics:
        one, other = (view.window(name, *window, width=300, rank=rank) for view in (live, finished))
        for a, b in zip(one.arrays, other.arrays, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9)
    assert len(finished.window("loss", *window, width=300)) <= 300


def test_metric_that_was_never_logged_has_an_empty_window(run, opened):
    log(run, range(3))
    live = opened(LiveView)
    compact(run)
    for view in (live, opened(FileView)):
        assert len(view.window("reward")) == 0
        assert len(view.window("loss", rank=7)) == 0


@pytest.mark.parametrize("absent", ["pyramid", "metrics"])
def test_finished_run_without_one_of_its_files_is_read_from_its_journals(run, opened, absent):
    log(run, range(3))
    compact(run)
    getattr(run, absent).unlink()
    assert opened(LiveView).window("lr").mean.tolist() == [0.0, 0.125, 0.25]


@pytest.mark.parametrize("damage", [lambda raw: b"", lambda raw: raw[:-3], lambda raw: b"x" * len(raw)])
def test_damaged_file_of_pyramids_is_refused_and_passed_over(run, opened, damage):
    log(run, range(9000))
    compact(run)
    run.pyramid.write_bytes(damage(run.pyramid.read_bytes()))
    with pytest.raises(JournalError, match="is no file of pyramids$"):
        PyramidFile(run.pyramid)
    assert opened(LiveView).metrics == [("loss", 0), ("lr", 0)]


def test_run_that_goes_on_after_its_end_is_read_from_its_journals(run, opened):
    log(run, range(3))
    compact(run)
    os.utime(run.metrics, ns=(0, 0))
    log(run, range(3, 5), attempt=2)
    assert opened(LiveView).window("lr").mean.tolist() == [0.0, 0.125, 0.25, 0.375, 0.5]


def test_file_of_pyramids_that_could_not_be_written_is_not_there(run):
    with pytest.raises(ValueError, match="half-way"), PyramidWriter(run.pyramid):
        raise ValueError("half-way")
    assert list(run.root.iterdir()) == [run.journals]


def test_live_view_takes_in_what_comes(run, opened):
    view = opened(LiveView)
    assert view.metrics == []
    writer = JournalWriter(run.journals, 0, dict)
    for step in range(100):
        writer.row(("loss",), (float(step),), step, 0.0)
        view.refresh()
        assert view.window("loss").mean.tolist() == list(range(step + 1))
    writer.close()


# An attempt: its rank, whether it says where it goes on from, and the steps that it logs; None goes back to a step.
stretches = st.tuples(st.integers(0, 30), st.integers(0, 25))
attempts_lists = st.lists(
    st.tuples(st.integers(0, 1), st.booleans(), st.lists(stretches, min_size=1, max_size=3), st.booleans()), max_size=4
)


@settings(max_examples=200, deadline=None)
@given(attempts_lists)
def test_live_view_shows_what_loading_it_all_shows_whenever_it_looked(attempts):
    with tempfile.TemporaryDirectory() as folder:
        journals = Path(folder)
        view = LiveView(journals)
        for number, (rank, resumes, parts, looks) in enumerate(attempts, 1):
            writer = JournalWriter(journals, rank, lambda number=number: {"attempt": number})
            for place, (start, size) in enumerate(parts):
                if resumes or place:  # a later stretch goes back in the same process
                    writer.record(Kind.LIFECYCLE, "resume", {}, start - 1)
                for step in range(start, start + size):
                    values = (float(number), float(place))[: 1 + bool(step % 3)]
                    writer.row(("a", "b") if step % 3 else ("a",), values, step, 0.0)
                    if looks and step % 7 == 0:
                        view.refresh()
            writer.close()
        view.refresh()
        scalars = load_scalars(journals)
        expected = {(name, rank): (series.step.tolist(), series.value.tolist()) for name, rank, series in scalars}
        found = {(name, rank): view.window(name, rank=rank) for name, rank in view.metrics}
        view.close()
        assert {k: (w.first.tolist(), w.mean.tolist()) for k, w in found.items() if len(w)} == expected


@settings(max_examples=200, deadline=None)
@given(attempts_lists)
def test_each_step_shows_the_value_that_was_trained_last(attempts):
    with tempfile.TemporaryDirectory() as folder:
        shown = {0: {}, 1: {}}
        for number, (rank, _, parts, _) in enumerate(attempts, 1):
            writer = JournalWriter(Path(folder), rank, lambda number=number: {"attempt": number})
            for place, (start, size) in enumerate(parts):
                writer.record(Kind.LIFECYCLE, "resume", {}, start - 1)
                shown[rank] = {step: value for step, value in shown[rank].items() if step < start}
                for step in range(start, start + size):
                    writer.row(("a",), (number + place / 8,), step, 0.0)
                    shown[rank][step] = number + place / 8
            writer.close()
        scalars = load_scalars(Path(folder))
        for rank, values in shown.items():
            steps, found = scalars.of("a", rank=rank)
            assert dict(zip(steps, found, strict=True)) == values
            assert len(steps) == len(values)
