import math

import pytest

from burnish.journal import JournalWriter, Kind
from burnish.journal.reader import journal_files
from burnish.journal.series import load_scalars


def attempt(folder, number, rows, *, rank=0, resume=None):
    writer = JournalWriter(folder, rank, lambda: {"attempt": number})
    writer.record(Kind.TEXT, "begins", {})
    if resume is not None:
        writer.record(Kind.LIFECYCLE, "resume", {}, resume)
    for step, values in rows:
        writer.row(tuple(values), tuple(values.values()), step, 100.0 * number + step)
    writer.close()


def losses(steps, number):
    return [(step, {"loss": number + step / 100}) for step in steps]


def points(steps, number):
    return [number + step / 100 for step in steps]


def test_folder_without_journals_has_no_scalars(tmp_path):
    scalars = load_scalars(tmp_path)
    assert (scalars.names, list(scalars), scalars.summary()) == ([], [], {})


def test_points_keep_the_order_in_which_they_were_logged(tmp_path):
    attempt(tmp_path, 1, losses([3, 1, 2], 1))
    assert load_scalars(tmp_path).of("loss") == ([3, 1, 2], points([3, 1, 2], 1))


def test_resume_record_drops_what_earlier_attempts_logged_beyond_its_step(tmp_path):
    attempt(tmp_path, 1, losses(range(10), 1))
    attempt(tmp_path, 2, losses(range(8, 12), 2), resume=5)
    steps, values = load_scalars(tmp_path).of("loss")
    assert steps == [*range(6), *range(8, 12)]
    assert values == points(range(6), 1) + points(range(8, 12), 2)


def test_without_a_resume_record_the_first_step_of_an_attempt_cuts(tmp_path):
    attempt(tmp_path, 1, losses(range(10), 1))
    attempt(tmp_path, 2, losses(range(7, 9), 2))
    steps, values = load_scalars(tmp_path).of("loss")
    assert steps == [*range(7), 7, 8]
    assert values == points(range(7), 1) + points([7, 8], 2)


def test_attempt_that_logged_nothing_cuts_nothing(tmp_path):
    attempt(tmp_path, 1, losses(range(4), 1))
    attempt(tmp_path, 2, [])
    assert load_scalars(tmp_path).of("loss") == (list(range(4)), points(range(4), 1))


def test_attempt_that_resumed_and_died_at_once_still_cuts(tmp_path):
    attempt(tmp_path, 1, losses(range(4), 1))
    attempt(tmp_path, 2, [], resume=1)
    assert load_scalars(tmp_path).of("loss")[0] == [0, 1]


def test_third_attempt_that_goes_further_back_cuts_both_before_it(tmp_path):
    attempt(tmp_path, 1, losses(range(10), 1))
    attempt(tmp_path, 2, losses(range(7, 12), 2), resume=6)
    attempt(tmp_path, 3, losses(range(4, 6), 3), resume=3)
    steps, values = load_scalars(tmp_path).of("loss")
    assert steps == [0, 1, 2, 3, 4, 5]
    assert values == points(range(4), 1) + points([4, 5], 3)


def test_evaluations_beyond_the_cut_are_dropped_too(tmp_path):
    attempt(tmp_path, 1, [(4, {"eval/score": 0.4}), (5, {"loss": 1.0}), (8, {"eval/score": 0.8})])
    attempt(tmp_path, 2, [(6, {"loss": 2.0})], resume=5)
    scalars = load_scalars(tmp_path)
    assert scalars.of("eval/score") == ([4], [0.4])
    assert scalars.of("loss") == ([5, 6], [1.0, 2.0])


def test_each_rank_is_cut_by_its_own_attempts(tmp_path):
    attempt(tmp_path, 1, losses(range(10), 1))
    attempt(tmp_path, 1, losses(range(10), 1), rank=1)
    attempt(tmp_path, 2, losses([6], 2), resume=5)
    attempt(tmp_path, 2, losses([3], 2), rank=1)
    scalars = load_scalars(tmp_path)
    assert scalars.of("loss")[0] == [0, 1, 2, 3, 4, 5, 6]
    assert scalars.of("loss", rank=1)[0] == [0, 1, 2, 3]


def test_second_file_of_an_attempt_supersedes_nothing(tmp_path):
    attempt(tmp_path, 1, losses([0, 1, 2], 1))
    attempt(tmp_path, 1, losses([1, 2, 3], 1))
    assert load_scalars(tmp_path).of("loss")[0] == [0, 1, 2, 1, 2, 3]


def test_metric_that_was_never_logged_has_no_points(tmp_path):
    attempt(tmp_path, 1, losses([0], 1))
    assert load_scalars(tmp_path).of("reward") == ([], [])


def test_summary_tells_first_last_extremes_and_last_step(tmp_path):
    attempt(tmp_path, 1, [(1, {"b": 3.0, "a": 0.0}), (2, {"b": 1.0}), (4, {"b": 2.0})])
    summary = load_scalars(tmp_path).summary()
    assert list(summary) == ["a", "b"]
    expected = {"count": 3, "first": 3.0, "last": 2.0, "min": 1.0, "max": 3.0, "last_step": 4, "nonfinite": 0}
    assert summary["b"] == expected


def test_summary_ignores_nan_in_extremes_and_shows_it_where_it_was_first_or_last(tmp_path):
    attempt(tmp_path, 1, [(s, {"x": v}) for s, v in enumerate([math.nan, 2.0, -math.inf, 1.0, math.nan])])
    found = load_scalars(tmp_path).summary()["x"]
    assert (found["min"], found["max"], found["count"], found["nonfinite"]) == (-math.inf, 2.0, 5, 3)
    assert math.isnan(found["first"])
    assert math.isnan(found["last"])


def test_summary_of_nothing_but_nan_is_nan(tmp_path):
    attempt(tmp_path, 1, [(0, {"x": math.nan})])
    found = load_scalars(tmp_path).summary()["x"]
    assert math.isnan(found["min"])
    assert math.isnan(found["max"])


def test_summary_is_about_rank_0(tmp_path):
    attempt(tmp_path, 1, [(0, {"x": 1.0})])
    attempt(tmp_path, 1, [(0, {"x": 9.0, "y": 1.0})], rank=1)
    assert {name: found["max"] for name, found in load_scalars(tmp_path).summary().items()} == {"x": 1.0}


def test_summary_tells_the_best_by_the_direction_of_the_name_or_as_the_user_said(tmp_path):
    rows = [(0, math.inf, 0.5), (1, 2.0, 0.9), (2, 1.0, 0.9), (3, math.nan, 0.1)]
    attempt(tmp_path, 1, [(step, {"loss": loss, "accuracy": acc, "entropy": loss}) for step, loss, acc in rows])
    summary = load_scalars(tmp_path).summary()
    assert (summary["loss"]["best"], summary["loss"]["best_step"]) == (1.0, 2)
    assert (summary["accuracy"]["best"], summary["accuracy"]["best_step"]) == (0.9, 1)
    assert "best" not in summary["entropy"]
    said = load_scalars(tmp_path).summary({"entropy": {"best": "max"}, "accuracy": {"best": "min"}})
    assert (said["entropy"]["best"], said["accuracy"]["best"]) == (2.0, 0.1)


def test_metric_that_was_never_finite_has_no_best(tmp_path):
    attempt(tmp_path, 1, [(0, {"loss": math.nan}), (1, {"loss": math.inf})])
    assert "best" not in load_scalars(tmp_path).summary()["loss"]


def test_what_the_machine_did_in_replayed_steps_stays_and_is_summed_up(tmp_path):
    attempt(tmp_path, 1, losses(range(4), 1))
    attempt(tmp_path, 2, losses(range(2, 4), 2), resume=1)
    attempt(tmp_path, 1, [(3, {"system/rss_bytes": 7.0})], rank=-1)
    attempt(tmp_path, 2, [(2, {"system/rss_bytes": 5.0})], rank=-1)
    scalars = load_scalars(tmp_path)
    assert scalars.of("system/rss_bytes", rank=-1) == ([3, 2], [7.0, 5.0])
    assert scalars.summary()["system/rss_bytes"]["max"] == 7.0


def test_metric_that_several_key_sets_share_keeps_the_order_in_which_it_was_logged(tmp_path):
    attempt(tmp_path, 1, [(step, {"loss": float(step), **({"eval": 1.0} if step % 3 else {})}) for step in range(20)])
    assert load_scalars(tmp_path).of("loss") == (list(range(20)), [float(step) for step in range(20)])


def test_training_that_goes_back_within_an_attempt_replaces_what_it_replays(tmp_path):
    writer = JournalWriter(tmp_path, 0, lambda: {"attempt": 1})
    for start in (0, 5):
        if start:
            writer.record(Kind.LIFECYCLE, "resume", {}, start - 1)
        for step in range(start, 8):
            writer.row(("loss",), (start + step / 8,), step, 0.0)
    writer.close()
    assert load_scalars(tmp_path).of("loss")[1] == [*(s / 8 for s in range(5)), *(5 + s / 8 for s in range(5, 8))]


def test_second_process_of_a_retried_attempt_replaces_nothing(tmp_path):
    attempt(tmp_path, 1, losses(range(10), 1))
    attempt(tmp_path, 2, losses(range(8, 12), 2), resume=7)
    joined = JournalWriter(tmp_path, 0, lambda: {"attempt": 2}, continues=True)
    joined.row(("eval",), (0.5,), 0, 0.0)
    joined.close()
    scalars = load_scalars(tmp_path)
    assert scalars.of("loss")[0] == list(range(12))
    assert scalars.of("eval") == ([0], [0.5])


def test_attempts_count_by_their_number_when_the_clock_was_set_back_between_them(tmp_path):
    attempt(tmp_path, 1, losses(range(4), 1))
    (first,) = journal_files(tmp_path)
    first.rename(tmp_path / "0-9000000000000000-1.journal")
    attempt(tmp_path, 2, losses([2], 2), resume=1)
    assert load_scalars(tmp_path).of("loss") == ([0, 1, 2], [*points([0, 1], 1), *points([2], 2)])


def test_opening_that_claims_an_absurd_attempt_does_no_harm(tmp_path):
    attempt(tmp_path, 2**62, losses([0, 1], 1))
    assert load_scalars(tmp_path).of("loss")[0] == [0, 1]


def test_damage_is_told_by_file(tmp_path):
    attempt(tmp_path, 1, losses([0, 1], 1))
    (path,) = journal_files(tmp_path)
    raw = bytearray(path.read_bytes())
    raw[22] ^= 1
    path.write_bytes(raw)
    scalars = load_scalars(tmp_path)
    assert scalars.of("loss")[0] == [0, 1]
    assert [d.reason for d in scalars.damage[path.name]] == ["broken frame"]


@pytest.mark.parametrize("header", [b"no journal at all, really", b"\x89BRN\r\n\x1a\n\x07\x00\x00\x00saltsalt"])
def test_file_with_a_broken_header_hides_no_other_file(tmp_path, header):
    attempt(tmp_path, 1, losses([0, 1], 1))
    bad = tmp_path / "0-1-1.journal"
    bad.write_bytes(header)
    scalars = load_scalars(tmp_path)
    assert scalars.of("loss")[0] == [0, 1]
    (damage,) = scalars.damage[bad.name]
    assert (damage.offset, damage.size_bytes) == (0, len(header))
    assert str(bad) in damage.reason
