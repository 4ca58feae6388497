import threading

import pytest

from burnish.core.files import read_json
from burnish.core.paths import RunPaths
from burnish.journal import JournalWriter, Row
from burnish.sinks import MemorySink, Shipper, Sink, sink_factories


@pytest.fixture
def run(tmp_path):
    paths = RunPaths(tmp_path / "20260101_toy_k7f2")
    for folder in (paths.journals, paths.cursors):
        folder.mkdir(parents=True)
    return paths


def log(run, steps, *, rank=0):
    writer = JournalWriter(run.journals, rank, lambda: {"attempt": 1})
    for step in steps:
        writer.row(("loss",), (step / 2,), step, float(step))
    writer.close()


def shipped_steps(sink):
    return sorted(entry.step for taken in sink.entries.values() for entry in taken if isinstance(entry, Row))


class FailingSink(MemorySink):
    """Raises on the first calls of `ship`."""

    def __init__(self, failures):
        super().__init__()
        self.failures = failures

    def ship(self, batch):
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the server is gone")
        return super().ship(batch)


class HangingSink(MemorySink):
    """Does not return from `ship` until it is let go."""

    def __init__(self):
        super().__init__()
        self.is_called, self.may_go = threading.Event(), threading.Event()

    def ship(self, batch):
        self.is_called.set()
        assert self.may_go.wait(60)
        return super().ship(batch)


def test_everything_is_shipped_before_the_sink_is_closed(run):
    sink = MemorySink()
    shipper = Shipper(run, "memory", lambda: sink)
    log(run, range(10))
    shipper.start()
    log(run, range(10, 15), rank=1)
    assert shipper.finish("finished", 30)
    assert shipped_steps(sink) == list(range(15))
    assert sink.status == "finished"
    assert shipper.status.to_json() == {"shipped": 17, "behind_bytes": 0, "error": ""}


def test_entries_are_shipped_while_the_run_goes_on(run, eventually):
    sink = MemorySink()
    shipper = Shipper(run, "memory", lambda: sink)
    shipper.start()
    log(run, [1, 2])
    eventually(lambda: shipped_steps(sink) == [1, 2], "the first steps at the sink")
    log(run, [3])
    eventually(lambda: shipped_steps(sink) == [1, 2, 3], "the later step at the sink")
    assert shipper.finish("finished", 30)


def test_second_shipper_goes_on_from_the_stored_cursor(run):
    first, second = MemorySink(), MemorySink()
    log(run, [1, 2])
    one = Shipper(run, "memory", lambda: first)
    one.start()
    assert one.finish("stopped", 30)
    log(run, [3])
    two = Shipper(run, "memory", lambda: second)
    two.start()
    assert two.finish("finished", 30)
    assert (shipped_steps(first), shipped_steps(second)) == ([1, 2], [3])


def test_sink_that_raises_is_marked_with_its_error_then_catches_up(run, eventually, caplog):
    sink = FailingSink(failures=1)
    log(run, range(5))
    shipper = Shipper(run, "memory", lambda: sink)
    shipper.start()
    eventually(lambda: shipper.status.error, "an error")
    assert shipper.status.error == "ConnectionError: the server is gone"
    assert shipper.status.behind_bytes > 0
    eventually(lambda: not shipper.status.error, "a retry that succeeds")
    assert shipped_steps(sink) == list(range(5))
    assert shipper.finish("finished", 30)
    assert caplog.messages == [
        "sink memory: ConnectionError: the server is gone; training goes on, shipping is retried",
    ]


def test_sink_that_recovers_only_while_finishing_ends_without_an_error(run):
    sink = FailingSink(failures=2)
    log(run, range(5))
    shipper = Shipper(run, "memory", lambda: sink)
    shipper.start()
    assert shipper.finish("finished", 30)
    assert shipper.status.error == ""
    assert (shipped_steps(sink), sink.status) == (list(range(5)), "finished")


def test_sink_that_hangs_is_abandoned_in_time(run):
    sink = HangingSink()
    log(run, [1])
    shipper = Shipper(run, "memory", lambda: sink)
    shipper.start()
    assert sink.is_called.wait(30)
    assert not shipper.finish("finished", 0.1)
    assert shipper.status.behind_bytes > 0
    sink.may_go.set()
    shipper.finish("finished", 30)


def test_cursor_is_stored_only_after_the_sink_took_the_batch(run, eventually):
    sink = HangingSink()
    log(run, [1])
    shipper = Shipper(run, "memory", lambda: sink)
    shipper.start()
    assert sink.is_called.wait(30)
    cursor = run.cursors / "memory.json"
    assert not cursor.exists()
    sink.may_go.set()
    assert shipper.finish("finished", 30)
    (path,) = run.journals.glob("*.journal")
    assert read_json(cursor) == {"format": 1, "offsets": {path.name: path.stat().st_size}, "sink": {path.name: 2}}


def test_sink_that_failed_is_made_anew_from_the_stored_state(run, eventually):
    opened = []

    class Noting(FailingSink):
        def open(self, run, state):
            opened.append(dict(state))
            super().open(run, state)

    sink = Noting(failures=0)
    log(run, [1])
    shipper = Shipper(run, "memory", lambda: sink)
    shipper.start()
    eventually(lambda: shipped_steps(sink) == [1], "the first step at the sink")
    (path,) = run.journals.glob("*.journal")
    sink.failures = 1
    log(run, [2])
    assert shipper.finish("finished", 30)
    assert opened == [{}, {path.name: 2}]
    assert shipped_steps(sink) == [1, 2]


def test_missing_package_is_an_error_without_retries(run, eventually):
    tries = []

    def make() -> Sink:
        tries.append(1)
        raise ImportError("No module named 'tensorboard': pip install 'burnish[tensorboard]'")

    shipper = Shipper(run, "tensorboard", make)
    shipper.start()
    assert not shipper.finish("finished", 30)
    assert shipper.status.error == "ImportError: No module named 'tensorboard': pip install 'burnish[tensorboard]'"
    assert len(tries) == 1


def test_unknown_sink_says_which_there_are():
    with pytest.raises(ImportError, match=r"^no sink is called 'wandbb'; there are tensorboard$"):
        sink_factories(["wandbb"])["wandbb"]()
