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
    summary, reader = LiveSummary(folder), RunReader(folder)
    look(summary, reader)
    reader.close()
    return summary.to_json(definitions or {})


def look(summary, reader):
    for file, entries in reader.read():
        for entry in entries:
            summary.take(entry, file.path.name)
    summary.settle()


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


@pytest.mark.parametrize("checkpoints", [(), (2,), (2, 8)])
@pytest.mark.parametrize("resume", [5, None])
def test_what_no_checkpoint_can_take_back_is_read_from_the_journals(tmp_path, checkpoints, resume):
    attempt(tmp_path, 1, range(10), checkpoints=checkpoints, late=(8,))
    attempt(tmp_path, 2, range(6, 9), resume=resume)
    assert live(tmp_path) == final(tmp_path)
    assert live(tmp_path)["loss"]["count"] == 9
    assert "eval/loss" not in live(tmp_path)


def test_what_follows_a_look_at_the_journals_is_counted_once(tmp_path):
    summary, reader = LiveSummary(tmp_path), RunReader(tmp_path)
    attempt(tmp_path, 1, range(10))
    look(summary, reader)
    writer = JournalWriter(tmp_path, 0, lambda: {"attempt": 2})
    writer.record(Kind.LIFECYCLE, "resume", {}, 5)
    writer.row(("loss",), (206.0,), 6, 6.0)
    taken = [(file.path.name, entry) for file, entries in reader.read() for entry in entries]
    for file, entry in taken:
        summary.take(entry, file)
    writer.row(("loss",), (math.nan,), 7, 7.0)  # written before the journals are read again, and taken after that
    summary.settle()
    assert summary.to_json({})["loss"]["count"] == 7
    writer.record(Kind.CHECKPOINT, "checkpoints/7", {"metrics": {}}, 7)
    writer.row(("loss", "late"), (math.inf, 1.0), 8, 8.0)
    writer.record(Kind.LIFECYCLE, "resume", {}, 7)
    writer.row(("loss",), (0.5,), 8, 8.0)
    look(summary, reader)
    reader.close()
    writer.close()
    found, wanted = summary.to_json({}), final(tmp_path)
    assert found.keys() == wanted.keys() == {"loss"}
    assert found["loss"] == pytest.approx(wanted["loss"], nan_ok=True)
    assert found["loss"]["count"] == 9


def test_a_process_that_joins_an_attempt_replaces_nothing(tmp_path):
    attempt(tmp_path, 1, range(10), checkpoints=(3,))
    main = JournalWriter(tmp_path, 0, lambda: {"attempt": 2})
    main.record(Kind.LIFECYCLE, "total", {"steps": 20})
    joined = JournalWriter(tmp_path, 0, lambda: {"attempt": 2}, continues=True)
    summary, reader = LiveSummary(tmp_path), RunReader(tmp_path)
    joined.row(("eval",), (1.0,), 2, 2.0)
    look(summary, reader)
    assert summary.to_json({})["loss"]["count"] == 10
    main.row(("loss",), (204.0,), 4, 4.0)
    look(summary, reader)
    reader.close()
    main.close()
    joined.close()
    assert summary.to_json({}) == final(tmp_path)
    assert (summary.to_json({})["loss"]["count"], summary.to_json({})["eval"]["count"]) == (5, 1)


def test_a_process_of_an_earlier_attempt_that_goes_on_begins_no_other(tmp_path):
    attempt(tmp_path, 1, range(4))
    attempt(tmp_path, 2, range(2, 4))
    attempt(tmp_path, 1, range(1))
    assert live(tmp_path) == final(tmp_path)
    assert live(tmp_path)["loss"]["count"] == 5


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
