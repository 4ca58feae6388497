import math
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.journal.facts import (
    FIELDS,
    STATISTICS,
    Headline,
    artifacts_of,
    fields_of,
    headline,
    load,
    newest,
    store,
    summary_of,
)

plain = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text()
values = plain | st.lists(plain, max_size=3).map(tuple)


@given(values)
def test_what_is_stored_comes_back_the_same_through_sqlite(value):
    with sqlite3.connect(":memory:") as db:
        ((found,),) = db.execute("SELECT ?", (store(value),))
    db.close()
    assert type(load(found)) is type(value)
    assert repr(load(found)) == repr(value)


@given(st.text(st.characters()))
def test_text_that_utf_8_cannot_hold_is_stored_with_marks_in_its_place(text):
    assert store(text) == text.encode("utf-8", "replace").decode()


def test_number_that_no_column_can_hold_becomes_the_nearest_one_that_it_can():
    assert store(2**63) == float(2**63)
    assert store(-(10**400)) == -math.inf


def test_every_field_is_there_whatever_the_record_says():
    fields = fields_of("20260101_sft_k7f2", {})
    assert tuple(fields) == FIELDS
    assert fields["id"] == "k7f2"
    known = {"id", "name", "attempts", "tags", "pinned", "debug", "unshipped", "config_hash", "config_group"}
    assert {name for name, value in fields.items() if value is not None} == known


def test_host_is_that_of_the_last_attempt_else_of_the_supervisor():
    supervisor = {"supervisor": {"host": "box"}}
    attempts = {"attempts": [{"process": {"host": "gpu1"}}, {"process": {"host": "gpu2"}}]}
    assert fields_of("a", supervisor | attempts)["host"] == "gpu2"
    assert fields_of("a", supervisor | {"attempts": [{}]})["host"] == "box"


@pytest.mark.parametrize(
    ("sinks", "unshipped"),
    [
        ({"a": {"behind_bytes": 0, "error": ""}}, False),
        ({"a": {"behind_bytes": 1, "error": ""}}, True),
        ({"a": {"behind_bytes": 0, "error": "refused"}}, True),
        ({"a": {"behind_bytes": "many"}, "b": 3}, False),
        ({}, False),
    ],
)
def test_run_is_unshipped_when_a_sink_is_behind_or_failed(sinks, unshipped):
    assert fields_of("a", {"sinks": sinks})["unshipped"] is unshipped


@pytest.mark.parametrize(("state", "unshipped"), [("finished", True), ("running", False)])
def test_run_whose_end_a_sink_does_not_know_is_unshipped(state, unshipped):
    sinks = {"a": {"behind_bytes": 0, "error": "", "closed": False}}
    assert fields_of("a", {"state": state, "sinks": sinks})["unshipped"] is unshipped


def test_summary_has_every_statistic_and_of_a_live_run_at_least_the_latest_value():
    record = {"summary": {"loss": {"last": 1.5, "count": 3}}, "latest": {"loss": 9.0, "lr": 0.1}}
    found = {name: dict(zip(STATISTICS, known, strict=True)) for name, known in summary_of(record).items()}
    assert found["loss"] == dict.fromkeys(STATISTICS) | {"last": 1.5, "count": 3}
    assert found["lr"] == dict.fromkeys(STATISTICS) | {"last": 0.1}


def test_artifacts_without_a_digest_are_passed_over():
    record = {"artifacts": [{"sha256": "d", "role": "made", "name": "m"}, {"name": "x"}, 3]}
    assert list(artifacts_of(record)) == [("d", "made", "m")]


@pytest.mark.parametrize(
    ("created", "place"), [(3, 3.0), ("now", 0.0), (math.nan, 0.0), (10**400, math.inf), (None, 0.0)]
)
def test_runs_are_ordered_by_a_number_whatever_their_record_says(created, place):
    assert newest({"created": created}) == place


def metric(first, last, lowest, highest, **more):
    return {"count": 3, "first": first, "last": last, "min": lowest, "max": highest, "last_step": 2, **more}


DOWN, UP = metric(1.0, 0.9, 0.2, 1.0), metric(0.1, 0.7, 0.1, 0.8)


@pytest.mark.parametrize(
    ("summary", "metrics", "found"),
    [
        ({"eval/acc": UP, "eval/loss": DOWN}, {}, Headline("eval/loss", 1.0, 0.2, "min")),
        ({"eval/acc": UP, "eval/a_loss": DOWN}, {}, Headline("eval/a_loss", 1.0, 0.2, "min")),
        ({"eval/b_loss": UP, "eval/loss": DOWN, "eval/a_loss": UP}, {}, Headline("eval/loss", 1.0, 0.2, "min")),
        ({"eval/acc": UP, "eval/f1": DOWN}, {}, Headline("eval/acc", 0.1, 0.8, "max")),
        ({"eval/acc": UP, "eval/loss": DOWN}, {"eval/acc": {"best": "max"}}, Headline("eval/acc", 0.1, 0.8, "max")),
        ({"eval/loss": DOWN}, {"eval/*": {"best": "max"}}, Headline("eval/loss", 1.0, 1.0, "max")),
        ({"eval/acc": UP, "eval/loss": DOWN}, {"eval/*": 3}, Headline("eval/loss", 1.0, 0.2, "min")),
        ({"eval/loss": {**DOWN, "best": 0.3}}, {}, Headline("eval/loss", 1.0, 0.3, "min")),
        ({"eval/a": UP, "eval/acc": UP}, {}, Headline("eval/acc", 0.1, 0.8, "max")),
        ({"eval/runtime": UP, "eval/entropy": DOWN}, {}, Headline("eval/entropy", 1.0, 0.9, "")),
        ({"loss": DOWN, "train/acc": UP}, {}, None),
        ({"eval/loss": 3, "eval/acc": {"first": "a"}, "eval/f1": {"first": 1}}, {}, None),
        ({}, {}, None),
    ],
)
def test_headline_is_the_held_out_metric_whose_better_direction_is_known_best(summary, metrics, found):
    record = {"summary": summary, "metrics": metrics}
    assert headline(record) == found
    assert fields_of("a", record)["best"] == (found.value if found else None)


def test_command_is_a_line_and_loss_the_latest_of_training():
    fields = fields_of("a", {"command": ["python", "a b.py"], "latest": {"loss": 2.0, "train/loss": 1.0}})
    assert fields["command"] == "python 'a b.py'"
    assert fields["loss"] == 1.0


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ({"commit": "c0ffee", "branch": "main", "dirty": False}, ("c0ffee", "main")),
        ({"commit": "", "branch": "main"}, (None, "main")),
        ({"commit": 3, "branch": ["main"]}, (None, None)),
        ({}, (None, None)),
    ],
)
def test_commit_and_branch_are_those_of_the_card(code, found):
    fields = fields_of("a", {}, code)
    assert (fields["commit"], fields["branch"]) == found
