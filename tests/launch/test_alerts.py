import math

import pytest

from burnish.journal import Kind, Record, Row
from burnish.journal.reader import JournalName
from burnish.launch.alerts import Alert, AlertWatch
from burnish.launch.retry import Exit

ALL = frozenset({"nan", "crash", "stall", "finished", "alert"})
LEADER, OTHER = JournalName(0, 1, 10), JournalName(1, 1, 11)


def row(step, **values):
    return Row(0, step, 1000.0 + step, tuple(values), tuple(map(float, values.values())))


def opened(attempt):
    return Record(Kind.LIFECYCLE, 0, None, 0.0, "open", {"attempt": attempt})


def said(title, *, step=None, at=0.0, **payload):
    return Record(Kind.ALERT, 0, step, at, title, payload)


def taken(watch, *entries, source=LEADER, at=0.0):
    return [alert for entry in entries for alert in watch.take(entry, source, at)]


def test_the_first_value_that_is_not_finite_is_told_once():
    found = taken(AlertWatch(ALL), row(1, loss=2, lr=1), row(2, loss=math.nan, lr=1), row(3, loss=math.nan, lr=1))
    assert found == [Alert("nan", "warning", "loss is not finite", "loss = nan at step 2", 2, 1002.0)]


def test_each_metric_has_an_alert_of_its_own_but_only_the_first_few():
    rows = [row(n, **{f"m{n}": math.inf, "loss": 1.0}) for n in range(20)]
    assert [alert.title for alert in taken(AlertWatch(ALL), *rows)] == [f"m{n} is not finite" for n in range(5)]


def test_a_further_attempt_may_diverge_anew():
    watch = AlertWatch(ALL)
    entries = [opened(1), row(1, loss=math.nan), opened(2), row(1, loss=math.nan)]
    assert [alert.step for alert in taken(watch, *entries)] == [1, 1]


def test_a_further_file_of_one_attempt_tells_nothing_twice():
    entries = [opened(1), row(1, loss=math.nan), opened(1), row(2, loss=math.nan)]
    assert len(taken(AlertWatch(ALL), *entries)) == 1


def test_the_rank_is_named_where_it_does_not_lead():
    (found,) = taken(AlertWatch(ALL), row(2, loss=math.inf), source=OTHER)
    assert found.text == "loss = inf at step 2 on rank 1"


def test_good_numbers_whose_sum_overflows_are_finite():
    assert taken(AlertWatch(ALL), row(1, a=1.7e308, b=1.7e308)) == []


def test_a_name_of_ten_thousand_letters_is_told_in_part():
    (found,) = taken(AlertWatch(ALL), row(1, **{"x" * 10_000: math.nan}))
    assert len(found.title) < 300
    assert len(found.text) < 300


def test_nothing_is_told_that_nobody_wants_but_what_the_script_says_is_noticed():
    watch = AlertWatch()
    assert taken(watch, row(1, loss=math.nan)) == []
    assert watch.look(1, 1e9, 0.0) == []
    assert watch.ended(Exit(1), stop_requested=False, step=1, at=0.0) == []
    assert watch.finished("failed", "", step=1, at=0.0) == []
    assert [alert.title for alert in taken(watch, said("look here", level="error"))] == ["look here"]


def test_silence_is_told_once_until_rows_come_again():
    watch = AlertWatch(ALL, stall_s=10)
    assert watch.look(-1, 100.0, 0.0) == []  # no row yet: it may compile for an hour
    taken(watch, row(4, loss=1), at=100.0)
    assert watch.look(4, 109.0, 0.0) == []
    (found,) = watch.look(4, 110.0, 5.0)
    assert found.title == "training has stalled"
    assert found.text == "nothing was logged for 10 s since step 4, though the process lives"
    assert watch.look(4, 500.0, 0.0) == []
    taken(watch, row(5, loss=1), at=600.0)
    assert watch.look(5, 605.0, 0.0) == []
    assert [alert.step for alert in watch.look(5, 610.0, 0.0)] == [5]


def test_any_frame_is_a_sign_of_life():
    watch = AlertWatch(ALL, stall_s=10)
    taken(watch, row(4, loss=1), at=100.0)
    taken(watch, Record(Kind.LOG, 0, None, 0.0, "trainer", {}), at=109.0)
    assert watch.look(4, 111.0, 0.0) == []


def test_an_attempt_that_has_ended_or_not_begun_to_log_does_not_stall():
    watch = AlertWatch(ALL, stall_s=10)
    taken(watch, row(4, loss=1), at=100.0)
    watch.ended(Exit(-9), stop_requested=False, step=4, at=0.0)
    assert watch.look(4, 500.0, 0.0) == []
    taken(watch, row(5, loss=1), at=500.0)
    watch.begin(2)
    assert watch.look(4, 900.0, 0.0) == []


def test_an_attempt_that_ends_with_an_error_or_a_signal_has_crashed():
    watch = AlertWatch(ALL)
    watch.begin(2)
    (found,) = watch.ended(Exit(-9), stop_requested=False, step=7, at=3.0)
    assert found == Alert("crash", "error", "attempt 2 crashed", "killed by SIGKILL", 7, 3.0)
    (end,) = watch.finished("failed", "killed by SIGKILL", step=7, at=4.0)
    assert end == Alert("finished", "error", "the run has failed", "killed by SIGKILL", 7, 4.0)


@pytest.mark.parametrize("code", [0, 75, None])
def test_ends_that_are_no_crash(code):
    assert AlertWatch(ALL).ended(Exit(code), stop_requested=False, step=1, at=0.0) == []


def test_a_stop_that_was_asked_for_is_no_crash():
    watch = AlertWatch(ALL)
    assert watch.ended(Exit(-2), stop_requested=True, step=1, at=0.0) == []
    (found,) = watch.finished("stopped", "killed by SIGINT", step=1, at=0.0)
    assert (found.reason, found.level, found.title) == ("finished", "info", "the run has stopped on request")


@pytest.mark.parametrize("state", ["failed", "lost"])
def test_a_run_that_ends_badly_without_a_crash_that_was_seen_has_crashed(state):
    found, end = AlertWatch(ALL).finished(state, "its end was not seen", step=1, at=0.0)
    assert (found.reason, found.text) == ("crash", "its end was not seen")
    assert (end.reason, end.level) == ("finished", "error")
    assert end.title == {"failed": "the run has failed", "lost": "the run has ended unseen"}[state]


def test_a_good_end_is_told():
    (found,) = AlertWatch(ALL).finished("finished", "finished", step=9, at=0.0)
    assert (found.reason, found.title, found.text) == ("finished", "the run has finished", "")


def test_what_the_script_says_has_its_words_and_a_known_level():
    found = taken(AlertWatch(ALL), said("low reward", step=3, at=8.0, text="0.1", level="error"), said("odd", level=3))
    assert found[0] == Alert("alert", "error", "low reward", "0.1", 3, 8.0)
    assert found[1].level == "info"


def test_a_long_text_is_told_in_part():
    (found,) = taken(AlertWatch(ALL), said("t" * 300, text="x" * 5000))
    assert (len(found.title), len(found.text)) == (201, 2001)
    assert found.text.endswith("…")


def test_the_same_words_of_another_rank_are_not_told_again_but_those_of_the_same_are():
    watch = AlertWatch(ALL)
    assert len(taken(watch, said("low", step=3, at=1.0))) == 1
    assert len(taken(watch, said("low", step=3, at=1.1), source=OTHER)) == 0
    assert len(taken(watch, said("low", step=3, at=2.0))) == 1


def test_a_process_that_takes_over_tells_nothing_that_was_told():
    entries = [opened(1), row(1, loss=math.nan), said("low", step=3, at=8.0)]
    first = AlertWatch(ALL, stall_s=10)
    told = [*taken(first, *entries, at=0.0), *first.look(3, 10.0, 99.0)]
    assert [alert.reason for alert in told] == ["nan", "alert", "stall"]
    second = AlertWatch(ALL, stall_s=10)
    for alert in told:
        second.remember(frame_of(alert))
    assert taken(second, *entries, row(4, grad=math.nan), at=50.0) == [
        Alert("nan", "warning", "grad is not finite", "grad = nan at step 4", 4, 1004.0)
    ]
    assert second.look(3, 61.0, 99.0) == []


def frame_of(alert):
    payload = {"text": alert.text, "level": alert.level, "reason": alert.reason, "at": alert.time}
    return Record(Kind.ALERT, 0, alert.step, 12345.0, alert.title, payload)
