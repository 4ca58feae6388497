"""A run whose journals are shipped to TensorBoard, and what TensorBoard's own readers then show."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from burnish.core.files import write_atomic
from burnish.core.paths import RunPaths
from burnish.journal import JournalWriter, Kind
from burnish.journal.reader import JournalName, RunReader
from burnish.sinks.base import Batch, Gone, SinkState
from burnish.sinks.tensorboard import FOLDER, TensorBoardSink


@dataclass
class Shipping:
    """Drives the sink as a shipper does: the cursor survives, the sink need not."""

    run: RunPaths
    state: SinkState = field(default_factory=dict)
    offsets: dict[str, int] = field(default_factory=dict)
    gone: int = 0

    def ship(self, status="finished", *, size=1 << 20, batches=None):
        """Ship what is there with a new sink, in batches of this size; from the start where it says so.

        The sink is closed with the status, if there is one, unless the number of batches ran out before.
        """
        try:
            return self._ship(status, size, batches)
        except Gone:
            self.gone += 1
            assert self.gone < 10
            self.state, self.offsets = {}, {}
            return self.ship(status, size=size, batches=batches)

    def _ship(self, status, size, batches):
        sink = TensorBoardSink()
        sink.open(self.run, json.loads(json.dumps(self.state)))
        for batch in self.batches(size):
            if batches is not None:
                if not batches:
                    return sink
                batches -= 1
            self.take(batch, sink.ship(batch))
        if status:
            sink.close(status)
        return sink

    def batches(self, size=1 << 20):
        """Return what was not shipped yet."""
        reader, found, at = RunReader(self.run.journals, self.offsets, chunk_bytes=size), [], dict(self.offsets)
        for file, entries in reader.read():
            name = file.path.name
            found.append(Batch(name, JournalName.parse(file.path).rank, entries, at.get(name, 0), file.offset))
            at[name] = file.offset
        reader.close()
        return found

    def take(self, batch, state):
        self.offsets[batch.journal] = batch.end
        self.state = json.loads(json.dumps(state))

    @property
    def mapped(self):
        return self.state.get("mapped", {})

    @property
    def folder(self) -> Path:
        return self.run.root / FOLDER

    @property
    def files(self):
        """The event files by name with their content."""
        found = sorted(self.folder.rglob("*tfevents*"))
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in found}

    def shown(self, part="."):
        """Return what TensorBoard's reader holds after it read the folder."""
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        sizes = {"scalars": 0, "histograms": 0, "images": 0, "tensors": 0}
        events = EventAccumulator(str(self.folder / part), size_guidance=sizes)
        return events.Reload()

    def steps(self, tag, kind="scalars", part="."):
        shown = self.shown(part)
        read = {"scalars": shown.Scalars, "histograms": shown.Histograms, "images": shown.Images}[kind]
        return [event.step for event in read(tag)]

    def texts(self, tag, part="."):
        """Return steps and texts as the application reads them, whose reader drops replayed ones too."""
        from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

        events = EventAccumulator(str(self.folder / part), size_guidance={"tensors": 0}).Reload().Tensors(tag)
        return [(event.step, event.tensor_proto.string_val[0].decode()) for event in events]


@pytest.fixture
def shipping(tmp_path):
    """A run with nothing in it yet."""
    return make_shipping(tmp_path / "runs" / "20260101_toy_k7f2")


@pytest.fixture
def shipping_of():
    """Return a function that makes a run of a name in a folder."""
    return lambda folder, name: make_shipping(folder / name)


def make_shipping(root):
    run = RunPaths(root)
    for folder in (run.journals, run.cursors):
        folder.mkdir(parents=True)
    return Shipping(run)


@pytest.fixture
def attempt(shipping):
    """Return a function that writes the journal of an attempt, with whatever else it says."""

    def write(number, steps, *, resume=None, rank=0, more=lambda writer, step: None, run=None):
        writer = JournalWriter((run or shipping.run).journals, rank, lambda: {"attempt": number})
        if resume is not None:
            writer.record(Kind.LIFECYCLE, "resume", {}, resume)
        for step in steps:
            writer.row(("loss", "größe"), (number + step / 7, 1e300 if step == 3 else -step / 3), step, 1e9 + step)
            if step % 5 == 0:
                writer.row(("eval/score",), (float("nan") if step == 5 else number * step / 11,), step, 1e9 + step)
            more(writer, step)
        writer.close()

    return write


@pytest.fixture
def configure(shipping):
    """Return a function that writes what is known of a run: its record and, where there is one, its config."""

    def write(config=None, *, run=None, **record):
        paths = run or shipping.run
        write_atomic(paths.state, json.dumps({"name": paths.name, "created": 1e9, "state": "running", **record}))
        if config is not None:
            write_atomic(paths.config, json.dumps(config))

    return write


@pytest.fixture
def limited_disk():
    """Return a function that lets no file grow beyond a size, None for any."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (before[0] if size is None else size, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
