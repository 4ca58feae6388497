import os
import shutil

import numpy as np
import pytest

from burnish.core.paths import RunPaths
from burnish.journal import JournalWriter
from burnish.journal.parquet import ROWS_A_GROUP, write_parquet
from burnish.journal.points import read_series
from burnish.journal.reader import SYSTEM_RANK, journal_files
from burnish.journal.series import load_scalars


@pytest.fixture
def run(tmp_path):
    paths = RunPaths(tmp_path / "run")
    paths.journals.mkdir(parents=True)
    return paths


def log(run, rows, rank=0):
    writer = JournalWriter(run.journals, rank, dict)
    for step, values in rows:
        writer.row(tuple(values), tuple(values.values()), step, 100.0 + step)
    writer.close()


def compact(run):
    write_parquet(load_scalars(run.journals), run.metrics)


def without_journals(run):
    """Leave nothing but the Parquet file to read from."""
    shutil.rmtree(run.journals)
    run.journals.mkdir()
    return run


def everything(run, is_wanted=lambda name: True, rank=0):
    found = read_series(run, is_wanted, rank)
    return {name: (s.step.tolist(), s.time.tolist(), s.value.tolist()) for name, s in found.items()}


def logged(run):
    log(run, [(2, {"loss": 2.0, "lr": 0.1}), (1, {"loss": 1.0}), (3, {"loss": 3.0})])
    log(run, [(1, {"loss": 10.0})], rank=1)
    log(run, [(1, {"system/gpu": 0.5, "lr": 9.0})], rank=SYSTEM_RANK)


LEADING = {
    "loss": ([1, 2, 3], [101.0, 102.0, 103.0], [1.0, 2.0, 3.0]),
    "lr": ([2], [102.0], [0.1]),
    "system/gpu": ([1], [101.0], [0.5]),
}


def test_points_of_a_live_run_come_from_its_journals_in_order_of_step(run):
    logged(run)
    assert everything(run) == LEADING
    assert everything(run, rank=1) == {"loss": ([1], [101.0], [10.0])}


def test_points_of_a_finished_run_come_from_the_parquet_file_and_are_the_same(run):
    logged(run)
    compact(run)
    assert everything(without_journals(run)) == LEADING
    assert everything(run, rank=1) == {"loss": ([1], [101.0], [10.0])}
    assert everything(run, lambda name: name == "lr") == {"lr": LEADING["lr"]}


def test_run_that_went_on_after_it_had_finished_is_read_from_its_journals(run):
    log(run, [(1, {"loss": 1.0})])
    compact(run)
    log(run, [(2, {"loss": 2.0})])
    written_ns = run.metrics.stat().st_mtime_ns
    for path in journal_files(run.journals)[-1:]:
        os.utime(path, ns=(written_ns + 1, written_ns + 1))
    assert everything(run)["loss"][0] == [1, 2]


@pytest.mark.parametrize("content", [b"", b"PAR1 and no more", None])
def test_parquet_file_that_cannot_be_read_is_passed_over(run, content):
    log(run, [(1, {"loss": 1.0})])
    compact(run)
    run.metrics.write_bytes(run.metrics.read_bytes()[:-9] if content is None else content)
    assert everything(run) == {"loss": ([1], [101.0], [1.0])}


def test_metric_that_spans_groups_of_rows_is_whole_again(run):
    count = ROWS_A_GROUP + 10
    log(run, [(step, {"b": float(step)}) for step in range(count)] + [(0, {"a": 1.0, "c": 2.0})])
    compact(run)
    found = read_series(without_journals(run), lambda name: name in ("b", "c"))
    assert list(found) == ["b", "c"]
    assert np.array_equal(found["b"].value, np.arange(count, dtype=float))
    assert found["c"].value.tolist() == [2.0]


def test_run_without_anything_has_no_points(tmp_path):
    assert everything(RunPaths(tmp_path / "nowhere")) == {}
