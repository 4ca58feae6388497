import math
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.journal.facts import FIELDS, STATISTICS, artifacts_of, fields_of, load, newest, store, summary_of

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
