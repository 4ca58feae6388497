import errno
import math
import resource
import tempfile
from itertools import pairwise
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.core.errors import JournalError
from burnish.journal import JournalReader, JournalWriter, Kind, Record, Row
from burnish.journal.entry import encode_body
from burnish.journal.frame import FILE_HEADER_BYTES, KEYS_EVERY_BYTES, file_header, frame
from burnish.journal.reader import JournalName, RunReader, journal_files
from burnish.journal.view import LiveView

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.just("n" * 10_000)
numbers = st.floats()
rows = st.tuples(st.dictionaries(names, numbers, max_size=5), st.integers(-(2**63), 2**63 - 1))
texts = st.tuples(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), st.none() | st.integers(0, 99))
entries_lists = st.lists(rows | texts, max_size=8)


def write(folder, entries, rank=0):
    writer = JournalWriter(folder, rank, lambda: {"attempt": 1})
    offsets = []
    for number, (content, step) in enumerate(entries):
        if isinstance(content, dict):
            writer.row(tuple(content), tuple(content.values()), step, float(number))
        else:
            writer.record(Kind.TEXT, "sample", {"text": content}, step)
        offsets.append(journal_files(folder)[-1].stat().st_size)
    writer.close()
    return offsets


def read(path, offset=0):
    reader = JournalReader(path, offset)
    found = reader.read_all()
    reader.close()
    return found, reader


def plain(entries):
    """What was logged, in a form in which NaN equals itself."""
    shown = []
    for entry in entries:
        if isinstance(entry, Row):
            content = {k: "nan" if isinstance(v, float) and math.isnan(v) else v for k, v in
                       zip(entry.keys, entry.values, strict=True)}  # fmt: skip
            shown.append((content, entry.step))
        elif entry.kind == Kind.TEXT:
            shown.append((entry.payload["text"], entry.step))
    return shown


def expected(entries):
    return [
        ({k: "nan" if v != v else v for k, v in content.items()} if isinstance(content, dict) else content, step)
        for content, step in entries
    ]


@settings(max_examples=80, deadline=None)
@given(entries_lists)
def test_what_was_written_is_read_whatever_the_values(entries):
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), entries)
        found = [entry for path in journal_files(Path(folder)) for entry in read(path)[0]]
    assert plain(found) == expected(entries)


@settings(max_examples=60, deadline=None)
@given(entries_lists.filter(bool), st.data())
def test_file_cut_at_any_byte_gives_a_prefix_and_nothing_else(entries, data):
    with tempfile.TemporaryDirectory() as folder:
        offsets = write(Path(folder), entries)
        path = journal_files(Path(folder))[0]
        raw = path.read_bytes()
        cut = data.draw(st.integers(0, len(raw)))
        path.write_bytes(raw[:cut])
        found, reader = read(path)
    whole = sum(offset <= cut for offset in offsets)
    assert plain(found) == expected(entries[:whole])
    assert reader.damage == []


def test_every_single_crash_point_of_a_journal_gives_a_prefix(tmp_path):
    entries = [({"loss": 0.5, "ü": math.inf}, 0), ("hello", 3), ({"loss": -math.inf}, 1)]
    offsets = write(tmp_path, entries)
    raw = journal_files(tmp_path)[0].read_bytes()
    torn = tmp_path / "0-1-1.journal"
    for cut in range(len(raw) + 1):
        torn.write_bytes(raw[:cut])
        found, reader = read(torn)
        assert plain(found) == entries[: sum(offset <= cut for offset in offsets)], cut
        assert reader.damage == []
        assert reader.torn_bytes == max(0, cut - reader.offset)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_flipped_byte_behind_the_header_costs_only_its_frame(data):
    entries = [(f"text {i}", i) for i in range(6)]
    with tempfile.TemporaryDirectory() as folder:
        offsets = write(Path(folder), entries)
        path = journal_files(Path(folder))[0]
        raw = bytearray(path.read_bytes())
        at = data.draw(st.integers(FILE_HEADER_BYTES, len(raw) - 1))
        raw[at] ^= data.draw(st.integers(1, 255))
        path.write_bytes(raw)
        found, reader = read(path)
        struck = sum(offset <= at for offset in offsets)
        in_opening = at < offsets[0] and len(plain(found)) == len(entries)
        assert plain(found) == (entries if in_opening else entries[:struck] + entries[struck + 1 :])
        assert bool(reader.damage) != (reader.torn_bytes > 0)


def test_hole_of_zeros_is_reported_and_what_follows_is_read(tmp_path):
    offsets = write(tmp_path, [("one", 1), ("two", 2), ("three", 3)])
    path = journal_files(tmp_path)[0]
    raw = bytearray(path.read_bytes())
    raw[offsets[0] : offsets[1]] = bytes(offsets[1] - offsets[0])
    path.write_bytes(raw)
    found, reader = read(path)
    assert plain(found) == [("one", 1), ("three", 3)]
    assert [(d.offset, d.size_bytes) for d in reader.damage] == [(offsets[0], offsets[1] - offsets[0])]


def test_zeros_at_the_end_are_a_torn_tail(tmp_path):
    write(tmp_path, [("one", 1)])
    path = journal_files(tmp_path)[0]
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(bytes(5000))
    found, reader = read(path)
    assert (plain(found), reader.damage, reader.offset) == ([("one", 1)], [], size)
    assert reader.torn_bytes == 5000


@pytest.mark.parametrize("is_torn", [False, True])
def test_journal_quoted_inside_a_journal_never_parses_as_frames(tmp_path, is_torn):
    inner, outer = tmp_path / "inner", tmp_path / "outer"
    inner.mkdir()
    outer.mkdir()
    write(inner, [({"stolen": 1.0}, 1), ({"stolen": 2.0}, 2)])
    quoted = journal_files(inner)[0].read_bytes()
    # Latin-1 keeps ASCII bytes as they are; the second file quotes the bytes unchanged, as no writer can.
    write(outer, [(quoted.decode("latin-1"), 1), ("last", 2)])
    path = journal_files(outer)[0]
    raw = path.read_bytes()
    at = raw.index(b"last") - 40
    path.write_bytes(raw[:at] + quoted + (b"" if is_torn else raw[at:]))
    found, _ = read(path)
    assert [entry for entry in found if isinstance(entry, Row)] == []


def test_empty_file_and_header_alone_hold_nothing(tmp_path):
    for raw in (b"", file_header(b"12345678")[:7], file_header(b"12345678")):
        path = tmp_path / "0-1-1.journal"
        path.write_bytes(raw)
        found, reader = read(path)
        assert (found, reader.damage) == ([], [])


def test_file_that_is_no_journal_is_refused(tmp_path):
    path = tmp_path / "0-1-1.journal"
    path.write_bytes(b"step,loss\n1,0.5\n2,0.25\n3,0.125\n")
    reader = JournalReader(path)
    with pytest.raises(JournalError) as caught:
        reader.read()
    reader.close()
    assert str(caught.value) == f"{path} is not a journal"


def test_newer_format_is_refused_when_read(tmp_path):
    header = bytearray(file_header(b"12345678"))
    header[8] = 9
    path = tmp_path / "0-1-1.journal"
    path.write_bytes(header)
    reader = JournalReader(path)
    with pytest.raises(JournalError, match="has journal format 9, this Burnish reads up to 2") as caught:
        reader.read()
    reader.close()
    assert caught.value.hint == "pip install --upgrade burnish"


@pytest.fixture(scope="module")
def long_journal(tmp_path_factory):
    """A file of some 3 MiB with two key sets, and the offset after each row."""
    folder = tmp_path_factory.mktemp("long")
    writer = JournalWriter(folder, 0, dict)
    row = {f"metric/{i}": float(i) for i in range(500)}
    offsets = []
    for step in range(900):
        keys = tuple(row) if step % 3 else ("rare",)
        writer.row(keys, tuple(row.values()) if step % 3 else (0.5,), step, float(step))
        offsets.append(writer._segment.written)
    writer.close()
    path = journal_files(folder)[0]
    assert path.stat().st_size > 2 * KEYS_EVERY_BYTES
    return path, offsets


@pytest.mark.parametrize("after", [0, 1, 2, 299, 300, 450, 451, 600, 898])
def test_reading_from_an_offset_in_the_middle_knows_the_key_sets(long_journal, after):
    path, offsets = long_journal
    found, reader = read(path, offsets[after])
    assert [entry.step for entry in found] == list(range(after + 1, 900))
    assert all(len(entry.keys) == (500 if entry.step % 3 else 1) for entry in found)
    assert reader.damage == []


def test_key_sets_are_repeated_within_every_mebibyte(long_journal):
    path, _ = long_journal
    raw = path.read_bytes()
    at, places = 0, []
    while (at := raw.find(b"metric/499", at + 1)) >= 0:
        places.append(at)
    assert len(places) >= 3
    assert all(b - a < KEYS_EVERY_BYTES + 20_000 for a, b in pairwise(places))


def test_tailing_a_growing_file_returns_each_entry_once(tmp_path):
    writer = JournalWriter(tmp_path, 0, dict)
    writer.row(("a",), (0.0,), 0, 0.0)
    reader = JournalReader(journal_files(tmp_path)[0])
    seen = reader.read()
    for step in range(1, 30):
        writer.row(("a",) if step % 2 else ("b",), (float(step),), step, 0.0)
        seen += reader.read()
        assert reader.read() == []
    writer.close()
    reader.close()
    assert [entry.step for entry in seen if isinstance(entry, Row)] == list(range(30))


def test_tailing_byte_by_byte_never_returns_half_a_frame(tmp_path):
    write(tmp_path, [({"a": 1.0}, 1), ("text", 2), ({"a": 2.0}, 3)])
    raw = journal_files(tmp_path)[0].read_bytes()
    path = tmp_path / "0-1-1.journal"
    path.touch()
    reader = JournalReader(path)
    seen = []
    for at in range(len(raw)):
        with path.open("ab") as file:
            file.write(raw[at : at + 1])
        seen += reader.read()
    reader.close()
    assert plain(seen) == [({"a": 1.0}, 1), ("text", 2), ({"a": 2.0}, 3)]
    assert reader.damage == []


def test_frame_larger_than_the_read_chunk_is_read(tmp_path):
    text = "x" * (40 << 20)
    write(tmp_path, [("before", 1), (text, 2), ("after", 3)])
    found, reader = read(journal_files(tmp_path)[0])
    assert plain(found) == [("before", 1), (text, 2), ("after", 3)]
    assert reader.torn_bytes == 0


def test_damage_larger_than_the_read_chunk_is_skipped(tmp_path):
    offsets = write(tmp_path, [("before", 1), ("after", 2)])
    path = journal_files(tmp_path)[0]
    raw = path.read_bytes()
    path.write_bytes(raw[: offsets[0]] + bytes(33 << 20) + raw[offsets[0] :])
    found, reader = read(path)
    assert plain(found) == [("before", 1), ("after", 2)]
    assert [d.size_bytes for d in reader.damage] == [33 << 20]


def test_journals_are_ordered_by_rank_then_start_and_strangers_come_first(tmp_path):
    ordered = ["notes.journal", "0-5-900.journal", "0-30-1.journal", "1-2-3.journal", "10-1-1.journal"]
    for name in sorted(ordered):
        (tmp_path / name).touch()
    assert [path.name for path in journal_files(tmp_path)] == ordered
    assert JournalName.parse(tmp_path / "10-1-7.journal") == JournalName(10, 1, 7)


@pytest.mark.parametrize("name", ["0-5-900.journal", "12-1-1.journal", "system-7-8.journal"])
def test_name_of_a_journal_is_read_and_written_alike(tmp_path, name):
    assert str(JournalName.parse(tmp_path / name)) == name


def test_journal_of_the_watching_process_has_rank_minus_one(tmp_path):
    assert JournalName.parse(tmp_path / "system-7-8.journal") == JournalName(-1, 7, 8)


def test_file_of_format_1_is_read(tmp_path):
    salt = b"12345678"
    header = bytearray(file_header(salt))
    header[8] = 1
    bodies = [(2, 0, None, 1.0, "open", {"attempt": 1}), (1, 1, 0, ["a"]), (0, 2, 7, 1.5, 0, 0.25)]
    frames = [frame(encode_body(body), crc32(salt)) for body in bodies]
    path = tmp_path / "0-1-1.journal"
    path.write_bytes(bytes(header) + b"".join(frames))
    found, _ = read(path)
    assert found == [Record(2, 0, None, 1.0, "open", {"attempt": 1}), Row(2, 7, 1.5, ("a",), (0.25,))]


def test_first_record_of_a_file_is_what_its_writer_says_of_itself(tmp_path):
    write(tmp_path, [("x", 1)])
    first = read(journal_files(tmp_path)[0])[0][0]
    assert isinstance(first, Record)
    assert (first.kind, first.seq, first.key, first.payload) == (
        Kind.LIFECYCLE,
        0,
        "open",
        {"attempt": 1, "continues": False},
    )


def test_run_with_more_files_than_a_process_may_hold_open_is_read_whole(tmp_path):
    for rank in range(60):
        writer = JournalWriter(tmp_path, rank, dict)
        writer.row(("a",), (float(rank),), 0, 0.0)
        writer.close()
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (held + 20, before[1]))
    try:
        reader, view = RunReader(tmp_path), LiveView(tmp_path)
        seen = [entry for _, entries in reader.read() for entry in entries if isinstance(entry, Row)]
        ranks = [rank for _, rank in view.metrics]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert [row.values for row in seen] == [(float(rank),) for rank in range(60)]
    assert ranks == list(range(60))


def test_file_that_cannot_be_opened_just_now_is_read_later(tmp_path, caplog, monkeypatch):
    write(tmp_path, [("one", 1)])
    reader = RunReader(tmp_path)
    with monkeypatch.context() as patched:

        def refuse(path, *words):
            raise OSError(errno.EMFILE, "Too many open files", str(path))

        patched.setattr(Path, "open", refuse)
        assert list(reader.read()) == list(reader.read()) == []
    ((_, entries),) = reader.read()
    assert plain(entries) == [("one", 1)]
    assert [message.rpartition(" cannot ")[2] for message in caplog.messages] == ["be read now: Too many open files"]


def test_what_is_written_while_a_run_is_read_comes_with_the_next_call(tmp_path):
    writer = JournalWriter(tmp_path, 0, lambda: {"attempt": 1})
    for step in range(5):
        writer.row(("loss",), (0.0,), step, 0.0)
    reader = RunReader(tmp_path)
    rounds = []
    for _ in range(2):
        steps = []
        for _, entries in reader.read():
            steps += [entry.step for entry in entries if isinstance(entry, Row)]
            assert len(rounds) + len(steps) < 50, "a slow reader is kept at a busy file for ever"
            writer.row(("loss",), (0.0,), 5 + len(rounds), 0.0)
        rounds.append(steps)
    reader.close()
    writer.close()
    assert rounds == [[0, 1, 2, 3, 4], [5]]
