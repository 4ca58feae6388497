import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.core.clock import iso
from burnish.core.paths import RunPaths
from burnish.journal.record import LIVE, OVER, read_own_record, read_record

GOOD = {
    "state": "finished",
    "created": 1.7e9,
    "started": 1.7e9,
    "ended": 1.7e9 + 5,
    "attempts": [{"number": 1, "started": 1.7e9, "ended": 1.7e9 + 5}],
    "alerts": [
        {"time": 1.7e9, "title": "loss is not finite", "text": "", "reason": "nan", "level": "error", "step": 3}
    ],
    "notes": [{"time": 1.7e9, "text": "a note"}],
    "latest": {"loss": 0.5},
}


@pytest.fixture
def paths(tmp_path):
    found = RunPaths(tmp_path / "20260101_toy_k7f2")
    found.root.mkdir()
    return found


def read(paths, **change):
    paths.state.write_text(json.dumps({**GOOD, **change}))
    return read_own_record(paths)


def test_what_burnish_wrote_is_read_as_it_is(paths):
    assert read(paths) == {**GOOD, "name": paths.name, "id": "k7f2", "summary": {}}


@pytest.mark.parametrize("state", [[], {}, None, 1, "", "done", "Finished"])
def test_a_state_that_is_none_is_left_out(paths, state):
    assert "state" not in read(paths, state=state)


@pytest.mark.parametrize("state", sorted(LIVE | OVER))
def test_every_state_of_a_run_is_kept(paths, state):
    assert read(paths, state=state)["state"] == state


@pytest.mark.parametrize("time", [math.nan, math.inf, -1.0, 1e18, 253402300800, 2**80, "soon", None, True, [{}], {}])
@pytest.mark.parametrize("key", ["created", "started", "ended", "retry_at"])
def test_a_time_that_cannot_be_is_left_out(paths, key, time):
    found = read(paths, **{key: time}, attempts=[{"number": 1, key: time}])
    assert key not in found
    assert found["attempts"] == [{"number": 1}]


@pytest.mark.parametrize("key", ["alerts", "notes"])
def test_an_alert_or_note_of_a_time_that_cannot_be_has_none(paths, key):
    assert read(paths, **{key: [{"time": 1e18, "text": "x"}, 5]})[key] == [{"text": "x"}]


def test_half_a_surrogate_pair_is_written_as_an_escape_and_a_whole_one_stays(paths):
    title = "\ud800 and \U0001f600"
    found = read(paths, alerts=[{"time": 1.0, "title": title}], tags=["\udfff"])
    assert found["alerts"][0]["title"] == "\\ud800 and \U0001f600"
    assert found["tags"] == ["\\udfff"]


WEIRD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=[])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*GOOD, "time", "title"]), inner),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from([*GOOD, "tags", "summary"]), WEIRD))
def test_whatever_a_record_holds_the_parts_that_are_used_have_their_shape(tmp_path_factory, change):
    paths = RunPaths(tmp_path_factory.mktemp("runs") / "20260101_toy_k7f2")
    paths.root.mkdir()
    paths.state.write_text(json.dumps({**GOOD, **change}))
    found = read_record(paths)
    assert found.get("state", "lost") in OVER | LIVE
    timed = [found, *found["attempts"], *found.get("alerts", []), *found["notes"]]
    for at in (item[key] for item in timed for key in ("created", "started", "ended", "time") if key in item):
        assert iso(at)
    assert json.dumps(found, ensure_ascii=False).encode()
