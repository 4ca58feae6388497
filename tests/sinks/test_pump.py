"""The pump with a sink that keeps everything; what it shipped is compared with what the journals hold."""

import resource
from pathlib import Path

import pytest

from burnish.journal import JournalWriter, Kind, Row
from burnish.journal.reader import SYSTEM_RANK, JournalReader, journal_files
from burnish.sinks.base import Gone
from burnish.sinks.cursor import Cursor
from burnish.sinks.memory import MemorySink
from burnish.sinks.pump import Pump

from .conftest import log


class Sometimes(MemorySink):
    """Fails where it is told to: before a batch is taken, or after it."""

    def __init__(self):
        super().__init__()
        self.batches = []
        self.opened = []
        self.before = self.after = self.at_close = None

    def open(self, run, state):
        self.opened.append(state)
        super().open(run, state)

    def ship(self, batch):
        self.batches.append((batch.journal, batch.start, batch.end))
        self.fail("before")
        state = super().ship(batch)
        self.fail("after")
        return state

    def close(self, status):
        self.fail("at_close")
        super().close(status)

    def fail(self, when):
        error = getattr(self, when)
        if error is not None:
            setattr(self, when, None)
            raise error


@pytest.fixture
def sink():
    return Sometimes()


@pytest.fixture
def pump(run, sink):
    made = []

    def make(**options):
        made.append(Pump(run, "memory", lambda: sink, **options))
        return made[-1]

    yield make
    for one in made:
        one.drop()


def held(run):
    """Return what the journals hold."""
    found = {}
    for path in journal_files(run.journals):
        reader = JournalReader(path)
        found[path.name] = reader.read_all()
        reader.close()
    return found


def steps(sink):
    return [entry.step for taken in sink.entries.values() for entry in taken if isinstance(entry, Row)]


@pytest.mark.parametrize("batch_bytes", [0, 1, 100, 1 << 20])
def test_everything_is_shipped_in_the_order_of_the_files(run, sink, pump, batch_bytes):
    log(run, range(20))
    log(run, range(5), rank=1)
    log(run, range(5), rank=SYSTEM_RANK)
    one = pump(batch_bytes=batch_bytes)
    one.round()
    assert sink.entries == held(run)
    assert list(sink.entries) == [path.name for path in journal_files(run.journals)]
    assert one.cursor.shipped == sum(map(len, sink.entries.values()))
    assert one.cursor.behind_bytes(run.journals) == 0
    one.close("finished")
    assert sink.status == "finished"
    assert Cursor.read(run.cursors / "memory.json").closed == "finished"


def test_batches_are_consecutive_and_their_bounds_are_bytes_of_the_file(run, sink, pump):
    log(run, range(30))
    pump(batch_bytes=100).round()
    (path,) = journal_files(run.journals)
    assert len(sink.batches) > 5
    assert [start for _, start, _ in sink.batches] == [0, *(end for _, _, end in sink.batches[:-1])]
    assert sink.batches[-1] == (path.name, sink.batches[-1][1], path.stat().st_size)


def test_a_round_ships_what_was_written_since(run, sink, pump):
    one = pump()
    one.round()
    assert sink.entries == {}
    log(run, [1, 2])
    one.round()
    log(run, [3], rank=1)
    one.round()
    one.round()
    assert sink.entries == held(run)
    assert len(sink.opened) == 1


def test_the_sink_is_opened_once_and_closed_for_a_run_without_a_journal(run, sink, pump):
    one = pump()
    one.close("failed")
    assert (sink.opened, sink.status, sink.entries) == ([{}], "failed", {})
    assert Cursor.read(run.cursors / "memory.json") == Cursor(closed="failed")


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_batch_that_failed_comes_again_with_the_same_bounds(run, sink, pump, when):
    log(run, range(10))
    setattr(sink, when, ConnectionError("away"))
    one = pump(batch_bytes=100)
    with pytest.raises(ConnectionError):
        one.round()
    one.drop()
    log(run, range(10, 20))
    one.round()
    assert sink.batches[0] == sink.batches[1]
    assert sink.entries == held(run)
    assert sink.opened == [{}, {}]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("batch_bytes", [50, 1 << 20])
def test_after_a_crash_a_new_pump_begins_with_the_batch_that_was_pending(run, sink, pump, when, batch_bytes):
    log(run, range(10))
    writer = JournalWriter(run.journals, 1, lambda: {"attempt": 1})
    writer.row(("loss",), (0.5,), 0, 1e9)
    pump().round()
    writer.row(("loss",), (0.5,), 1, 1e9)
    setattr(sink, when, ConnectionError("away"))
    first = pump()
    with pytest.raises(ConnectionError):
        first.round()
    failed = sink.batches[-1]
    writer.row(("loss",), (0.5,), 2, 1e9)
    writer.close()
    pump(batch_bytes=batch_bytes).round()
    assert sink.batches.count(failed) == 2
    assert sink.entries == held(run)


def test_a_pending_batch_whose_file_is_gone_is_passed_over(run, sink, pump):
    log(run, [1])
    log(run, [2], rank=1)
    path, _ = journal_files(run.journals)
    Cursor(pending=(path.name, 0, path.stat().st_size)).write(run.cursors / "memory.json")
    path.unlink()
    pump().round()
    assert steps(sink) == [2]


@pytest.mark.parametrize("pending", [("0-1-2.journal", 0, 99), ("../../x", 0, 5), ("", 0, 1)])
def test_a_pending_batch_of_a_file_that_never_was_is_passed_over(run, sink, pump, pending):
    log(run, [1])
    Cursor(pending=pending).write(run.cursors / "memory.json")
    pump().round()
    assert steps(sink) == [1]


def test_a_pending_batch_that_reaches_beyond_the_file_is_shipped_as_far_as_it_is_there(run, sink, pump):
    log(run, [1, 2])
    (path,) = journal_files(run.journals)
    Cursor(pending=(path.name, 0, path.stat().st_size + 500)).write(run.cursors / "memory.json")
    one = pump()
    one.round()
    assert steps(sink) == [1, 2]
    assert one.cursor.offsets == {path.name: path.stat().st_size}


def test_a_file_that_cannot_be_read_is_passed_over_also_when_a_batch_of_it_is_pending(run, sink, pump, caplog):
    log(run, [1])
    broken = run.journals / "0-1-2.journal"
    broken.write_bytes(b"no journal at all" * 10)
    Cursor(pending=(broken.name, 0, 50)).write(run.cursors / "memory.json")
    one = pump()
    one.round()
    assert steps(sink) == [1]
    one.close("finished")
    assert sink.status == "finished"
    assert len(caplog.messages) == 1


def test_gone_passes_through_and_starting_over_ships_everything_again(run, sink, pump):
    log(run, [1, 2])
    one = pump()
    one.round()
    sink.before = Gone("somebody deleted it")
    log(run, [3], rank=1)
    with pytest.raises(Gone):
        one.round()
    one.start_over()
    assert Cursor.read(run.cursors / "memory.json") == Cursor()
    one.round()
    assert sink.entries == held(run)
    assert sink.opened[-1] == {}


def test_a_torn_end_is_shipped_once_it_is_whole_and_not_behind_once_the_run_is_over(run, sink, pump):
    log(run, [1, 2, 3])
    (path,) = journal_files(run.journals)
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    one = pump()
    one.round()
    assert steps(sink) == [1, 2]
    path.write_bytes(whole)
    one.round()
    assert steps(sink) == [1, 2, 3]
    path.write_bytes(whole + whole[-30:-10])
    one.round()
    one.close("failed")
    assert one.cursor.torn == {path.name: 20}
    assert one.cursor.behind_bytes(run.journals) == 0


@pytest.mark.parametrize("batch_bytes", [1, 100, 1 << 20])
def test_damage_in_the_middle_is_shipped_around_and_is_not_behind(run, sink, pump, batch_bytes):
    log(run, range(40))
    (path,) = journal_files(run.journals)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    raw[len(raw) // 2 + 200] ^= 0xFF
    path.write_bytes(raw)
    one = pump(batch_bytes=batch_bytes)
    one.round()
    assert sink.entries == held(run)
    assert len(steps(sink)) == 38
    one.close("finished")
    assert one.cursor.behind_bytes(run.journals) == 0


def test_a_file_of_which_nothing_is_left_but_damage_is_not_behind(run, sink, pump):
    log(run, [1])
    (path,) = journal_files(run.journals)
    path.write_bytes(path.read_bytes()[:20] + bytes(300))
    one = pump()
    one.round()
    one.close("finished")
    assert sink.entries == {}
    assert one.cursor.behind_bytes(run.journals) == 0


def test_a_run_that_goes_on_is_open_again(run, sink, pump):
    log(run, [1])
    one = pump()
    one.round()
    one.close("stopped")
    log(run, [2], attempt=2)
    two = pump()
    assert two.cursor.closed == "stopped"
    two.round()
    assert Cursor.read(run.cursors / "memory.json").closed == ""
    two.close("finished")
    assert steps(sink) == [1, 2]
    assert sink.status == "finished"


def test_a_close_that_failed_comes_again(run, sink, pump):
    log(run, [1])
    sink.at_close = ConnectionError("away")
    one = pump()
    one.round()
    with pytest.raises(ConnectionError):
        one.close("finished")
    one.drop()
    assert Cursor.read(run.cursors / "memory.json").closed == ""
    one.round()
    one.close("finished")
    assert (sink.status, steps(sink)) == ("finished", [1])


def test_a_cursor_that_was_broken_begins_anew_and_the_sink_is_told_so(run, sink, pump):
    log(run, [1, 2])
    pump().round()
    (run.cursors / "memory.json").write_text("{")
    pump().round()
    assert sink.opened == [{}, {}]
    assert sink.entries == held(run)


def test_the_cursor_is_stored_before_and_after_each_batch(run, sink, pump):
    log(run, range(10))
    seen = []
    one = pump(batch_bytes=100)
    one.on_batch = lambda: seen.append(Cursor.read(run.cursors / "memory.json"))
    one.round()
    _, _, *told = seen  # before and after the sink was opened
    assert [cursor.pending for cursor in told[::2]] == sink.batches
    assert [sum(cursor.offsets.values()) for cursor in told[::2]] == [start for _, start, _ in sink.batches]
    stored = Cursor.read(run.cursors / "memory.json")
    assert stored == one.cursor
    assert (stored.pending, list(stored.offsets.values())) == (None, [sink.batches[-1][2]])


def test_a_cursor_that_the_disk_does_not_take_raises_and_loses_nothing(run, sink, pump):
    log(run, range(10))
    one = pump(batch_bytes=100)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    one.on_batch = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50 if sink.batches else limits[0], limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            one.round()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(sink.batches) == 1
    assert Cursor.read(run.cursors / "memory.json").pending == sink.batches[0]
    one.drop()
    one.on_batch = lambda: None
    one.round()
    assert sink.batches[0] == sink.batches[1]
    assert sink.entries == held(run)


def test_records_of_every_kind_pass(run, sink, pump):
    writer = JournalWriter(run.journals, 0, lambda: {"attempt": 1})
    for kind in Kind:
        if kind not in (Kind.ROW, Kind.KEYS):
            writer.record(kind, "größe", {"value": [1, {"deep": None}]}, 1)
    writer.close()
    pump(batch_bytes=1).round()
    assert sink.entries == held(run)


def test_what_is_written_while_the_sink_closes_is_shipped_too(run, sink, pump):
    writer = JournalWriter(run.journals, 0, lambda: {"attempt": 1})
    writer.row(("loss",), (0.0,), 0, 0.0)
    closed = []

    def close(status):
        closed.append(status)
        if len(closed) == 1:
            writer.row(("loss",), (0.0,), 1, 0.0)

    sink.close = close
    one = pump()
    one.round()
    one.close("finished")
    writer.close()
    assert sink.entries == held(run)
    assert closed == ["finished", "finished"]
    assert (one.cursor.torn, one.cursor.closed) == ({}, "finished")


def test_a_journal_that_cannot_be_read_just_now_keeps_the_sink_from_being_closed(run, sink, pump, monkeypatch):
    log(run, range(3))
    one = pump()
    one.round()
    log(run, range(3, 6))
    with monkeypatch.context() as patched:

        def refuse(path, *words):
            raise OSError(24, "Too many open files", str(path))

        patched.setattr(Path, "open", refuse)
        with pytest.raises(OSError, match="^journals cannot be read now: "):
            one.close("finished")
    assert Cursor.read(run.cursors / "memory.json").closed == ""
    one.drop()
    one.round()
    one.close("finished")
    assert sink.entries == held(run)


def test_an_address_with_a_login_is_stored_without_it(run, sink, pump):
    log(run, range(3))
    ship = sink.ship
    sink.ship = lambda batch: {**ship(batch), "where": "https://joe:hunter22secret@host/run"}
    pump().round()
    assert "hunter22secret" not in (run.cursors / "memory.json").read_text()
    assert Cursor.read(run.cursors / "memory.json").where == "https://joe:***@host/run"
