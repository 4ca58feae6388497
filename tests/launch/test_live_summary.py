import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.journal import JournalWriter, Kind
from burnish.journal.reader import RunReader
from burnish.journal.series import load_scalars
from burnish.launch.live_summary import LiveSummary


def attempt(folder, number, steps, *, resume=None, checkpoints=(), late=()):
    """Log the step as the loss of an attempt; a checkpoint comes after its step, `late` values after that."""
    writer = JournalWriter(folder, 0, lambda: {"attempt": number})
    if resume is not None:
        writer.record(Kind.LIFECYCLE, "resume", {}, resume)
    for step in steps:
        writer.row(("loss",), (100.0 * number + step,), step, float(step))
        if step in checkpoints:
            writer.record(Kind.CHECKPOINT, f"checkpoints/{step}", {"metrics": {}}, step)
        if step in late:
            writer.row(("eval/loss",), (float(step),), step, float(step))
    writer.close()


def live(folder, definitions=None):
    summary, reader = LiveSummary(), RunReader(folder)
    for _, entries in reader.read():
        for entry in entries:
            summary.take(entry)
    reader.close()
    return summary.to_json(definitions or {})


def final(folder, definitions=None):
    return load_scalars(folder).summary(definitions or {})


def test_a_run_without_rows_has_no_summary(tmp_path):
    assert live(tmp_path) == {}


def test_an_attempt_that_goes_on_from_a_checkpoint_replaces_what_came_after_it(tmp_path):
    attempt(tmp_path, 1, range(10), checkpoints=(2, 5), late=(5,))
    attempt(tmp_path, 2, range(6, 9), resume=5)
    assert live(tmp_path) == final(tmp_path)
    assert live(tmp_path)["loss"]["last"] == 208.0
    assert live(tmp_path)["loss"]["count"] == 9
    assert live(tmp_path)["eval/loss"]["count"] == 1


def test_an_attempt_that_begins_again_replaces_all(tmp_path):
    attempt(tmp_path, 1, range(10), checkpoints=(5,))
    attempt(tmp_path, 2, range(3))
    assert live(tmp_path) == final(tmp_path)
    assert live(tmp_path)["loss"]["count"] == 3


def test_two_resumes_from_the_same_checkpoint(tmp_path):
    attempt(tmp_path, 1, range(10), checkpoints=(5,))
    attempt(tmp_path, 2, range(6, 9), resume=5, checkpoints=(7,))
    attempt(tmp_path, 3, range(6, 12), resume=5)
    assert live(tmp_path) == final(tmp_path)


def test_what_no_checkpoint_can_take_back_stays_counted_until_the_end(tmp_path):
    attempt(tmp_path, 1, range(10))
    attempt(tmp_path, 2, range(6, 9), resume=5)
    assert live(tmp_path)["loss"]["count"] == 13
    assert final(tmp_path)["loss"]["count"] == 9


def test_what_the_user_said_of_a_metric_decides_its_best(tmp_path):
    attempt(tmp_path, 1, range(3))
    assert live(tmp_path)["loss"]["best"] == 100.0
    assert live(tmp_path, {"lo*": {"best": "max"}})["loss"]["best_step"] == 2


NUMBERS = st.floats(width=32) | st.sampled_from([math.nan, math.inf, -math.inf, 0.0])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 8), st.sampled_from(["loss", "reward", "kl"]), NUMBERS), max_size=30))
def test_it_agrees_with_the_summary_of_the_finished_run(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("journal")
    writer = JournalWriter(folder, 0, lambda: {"attempt": 1})
    for step, name, value in rows:
        writer.row((name,), (value,), step, 0.0)
    writer.close()
    found, wanted = live(folder), final(folder)
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert found[name] == pytest.approx(wanted[name], nan_ok=True, rel=0, abs=0)
