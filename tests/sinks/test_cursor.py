import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.sinks.cursor import Cursor

NAMES = st.text(max_size=20)
COUNTS = st.dictionaries(NAMES, st.integers(0, 1 << 70), max_size=4)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | NAMES
STATES = st.dictionaries(NAMES, st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner)))
CURSORS = st.builds(
    Cursor,
    offsets=COUNTS,
    sink=STATES,
    shipped=st.integers(0, 1 << 70),
    pending=st.none() | st.tuples(NAMES, st.integers(0), st.integers(0)),
    torn=COUNTS,
    closed=NAMES,
)


@given(cursor=CURSORS)
def test_a_cursor_is_read_as_it_was_written(cursor, tmp_path_factory):
    path = tmp_path_factory.mktemp("cursors") / "memory.json"
    cursor.write(path)
    assert Cursor.read(path) == cursor
    assert json.loads(path.read_text())["format"] == 2


def test_a_state_with_nan_and_half_a_surrogate_pair_is_kept(tmp_path):
    path = tmp_path / "memory.json"
    Cursor(sink={"least": float("-inf"), "name": "\ud83d"}).write(path)
    assert Cursor.read(path).sink == {"least": float("-inf"), "name": "\ud83d"}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"format": 2}'])
def test_a_broken_cursor_says_that_nothing_was_shipped(tmp_path, content):
    path = tmp_path / "memory.json"
    path.write_bytes(content)
    assert Cursor.read(path) == Cursor()


def test_a_cursor_that_is_not_there_says_that_nothing_was_shipped(tmp_path):
    assert Cursor.read(tmp_path / "memory.json") == Cursor()


def test_a_cursor_of_format_1_is_read(tmp_path):
    path = tmp_path / "memory.json"
    path.write_text('{"format": 1, "offsets": {"0-1-2.journal": 77}, "sink": {"size": 5}}')
    assert Cursor.read(path) == Cursor(offsets={"0-1-2.journal": 77}, sink={"size": 5})


@pytest.mark.parametrize(
    "told",
    [
        {"offsets": [1]},
        {"offsets": {"0-1-2.journal": "7"}},
        {"offsets": {"0-1-2.journal": -7}},
        {"offsets": {"0-1-2.journal": True}},
        {"offsets": {"0-1-2.journal": 1.5}},
        {"sink": "size"},
        {"shipped": "many"},
        {"shipped": -1},
        {"shipped": True},
        {"pending": {"journal": "0-1-2.journal"}},
        {"pending": ["0-1-2.journal", 1]},
        {"pending": ["0-1-2.journal", -1, 5]},
        {"pending": [1, 2, 3]},
        {"torn": {"0-1-2.journal": None}},
        {"torn": {"0-1-2.journal": -3}},
        {"closed": True},
    ],
)
def test_what_has_another_shape_is_passed_over(tmp_path, told):
    path = tmp_path / "memory.json"
    path.write_text(json.dumps({"format": 2, **told}))
    assert Cursor.read(path) == Cursor()


def test_bytes_behind_are_those_that_were_neither_shipped_nor_torn(tmp_path):
    (tmp_path / "0-1-2.journal").write_bytes(bytes(100))
    (tmp_path / "0-3-4.journal").write_bytes(bytes(50))
    (tmp_path / "notes.txt").write_bytes(bytes(1000))
    assert Cursor().behind_bytes(tmp_path) == 150
    assert Cursor(offsets={"0-1-2.journal": 60}, torn={"0-1-2.journal": 40}).behind_bytes(tmp_path) == 50
    assert Cursor(offsets={"0-1-2.journal": 1000, "0-3-4.journal": 50}).behind_bytes(tmp_path) == 0
    assert Cursor(offsets={"gone.journal": 60}).behind_bytes(tmp_path) == 150
    assert Cursor().behind_bytes(tmp_path / "nowhere") == 0


@pytest.mark.parametrize("mapped", [None, [], "3", {"infinity": "3"}, {"infinity": -3}, {"infinity": True}])
def test_what_a_sink_counts_wrongly_is_not_counted(mapped):
    assert Cursor(sink={"mapped": mapped}).mapped == {}


def test_a_sink_says_what_was_mapped_and_where_to_look():
    cursor = Cursor(sink={"mapped": {"infinity": 3, "name": 0}, "where": "http://127.0.0.1:5000"})
    assert cursor.mapped == {"infinity": 3, "name": 0}
    assert cursor.where == "http://127.0.0.1:5000"
    assert Cursor(sink={"where": 5}).where == ""
