"""Ways into a tracker: Burnish's sink, fed by a journal that was written before, and the tracker's own client."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from benchmarks._recorders.base import NAMES, Row, row_of
from benchmarks._shipping.points import BEGAN, time_of

_MOST_METRICS = 1_000
"""What MLflow takes in one call."""


@dataclass
class Way(ABC):
    """One way for rows into one tracker, used once.

    Attributes:
        folder: Where files go, and what MLflow's experiment is called.
        uri: Where MLflow is.
        steps: How many rows.
    """

    folder: Path
    uri: str
    steps: int

    @abstractmethod
    def prepare(self) -> None:
        """Have the rows ready."""

    @abstractmethod
    def begin(self) -> None:
        """Import what is needed, and open the tracker."""

    @abstractmethod
    def send(self) -> None:
        """Deliver every row, and close the run."""


class OurSink(Way):
    """A pump with one of Burnish's sinks, as in the process that a supervisor starts for it."""

    tracker: ClassVar[str]

    def prepare(self) -> None:
        """Write the run's folder, and a journal beside it."""
        from burnish.core.files import write_json
        from burnish.core.paths import RunPaths
        from burnish.journal import JournalWriter

        self.run = RunPaths(self.folder / "runs" / "20260921_bench_k7f2")
        self.waiting = self.folder / "journal"
        for each in (self.run.journals, self.run.cursors, self.waiting):
            each.mkdir(parents=True)
        record = {"experiment": self.folder.name, "project": str(self.folder), "created": BEGAN, "state": "running"}
        write_json(self.run.state, record)
        writer = JournalWriter(self.waiting, 0, lambda: {"attempt": 1})
        for step in range(self.steps):
            writer.row(NAMES, tuple(row_of(step).values()), step, time_of(step))
        writer.close()

    def begin(self) -> None:
        from burnish.sinks.pump import Pump
        from burnish.sinks.registry import make_sink

        options = {"uri": self.uri} if self.tracker == "mlflow" else {}
        self.pump = Pump(self.run, self.tracker, partial(make_sink, self.tracker, options))
        self.pump.round()  # which opens the sink, and finds nothing

    def send(self) -> None:
        (journal,) = self.waiting.iterdir()
        journal.rename(self.run.journals / journal.name)
        self.pump.round()
        self.pump.close("finished")


class TensorBoardSink(OurSink):
    tracker = "tensorboard"


class MLflowSink(OurSink):
    tracker = "mlflow"


class WandbSink(OurSink):
    tracker = "wandb"


class Floor(OurSink):
    """The pump with a sink that only keeps its entries: what reading a journal takes."""

    tracker = "memory"

    def begin(self) -> None:
        from burnish.sinks.memory import MemorySink
        from burnish.sinks.pump import Pump

        self.pump = Pump(self.run, self.tracker, MemorySink)
        self.pump.round()


class Client(Way):
    """A tracker's own client, which is given the rows out of memory."""

    def prepare(self) -> None:
        self.rows = [row_of(step) for step in range(self.steps)]

    def send(self) -> None:
        for step, row in enumerate(self.rows):
            self.log(row, step)
        self.close()

    @abstractmethod
    def log(self, row: Row, step: int) -> None:
        """Log one row."""

    @abstractmethod
    def close(self) -> None:
        """Write out what is held back."""


class EventFileWriter(Client):
    """TensorBoard's writer with one event a row, which is its shortest way."""

    def begin(self) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter as Writer

        self._event, self._summary = Event, Summary
        self._writer = Writer(str(self.folder))

    def log(self, row: Row, step: int) -> None:
        values = [self._summary.Value(tag=name, simple_value=value) for name, value in row.items()]
        self._writer.add_event(self._event(wall_time=time_of(step), step=step, summary=self._summary(value=values)))

    def close(self) -> None:
        self._writer.close()


class SummaryWriter(Client):
    """`torch.utils.tensorboard.SummaryWriter.add_scalar`, as training scripts use it."""

    def begin(self) -> None:
        self._writer: Any = import_module("torch.utils.tensorboard").SummaryWriter(str(self.folder))

    def log(self, row: Row, step: int) -> None:
        for name, value in row.items():
            self._writer.add_scalar(name, value, step, walltime=time_of(step))

    def close(self) -> None:
        self._writer.close()


class MLflowClient(Client):
    """`MlflowClient.log_batch` with as many metrics a call as it takes, at its best."""

    def begin(self) -> None:
        mlflow: Any = import_module("mlflow")
        self._metric: Any = import_module("mlflow.entities").Metric
        self._client: Any = mlflow.MlflowClient(self.uri)
        where = (self.folder / "artifacts").as_uri() if self.uri.startswith("sqlite:") else None
        experiment = self._client.create_experiment(self.folder.name, where)
        self._run_id: str = self._client.create_run(experiment).info.run_id
        self._held: list[Any] = []

    def log(self, row: Row, step: int) -> None:
        at = int(time_of(step) * 1000)
        self._held += [self._metric(name, value, at, step) for name, value in row.items()]
        if len(self._held) >= _MOST_METRICS:
            self._send()

    def close(self) -> None:
        self._send()
        self._client.set_terminated(self._run_id)

    def _send(self) -> None:
        if self._held:
            self._client.log_batch(self._run_id, self._held)
            self._held = []


class WandbClient(Client):
    """`wandb.Run.log` offline, without console capture and system monitor; its service writes the file."""

    def begin(self) -> None:
        self._wandb: Any = import_module("wandb")
        settings = self._wandb.Settings(console="off", x_disable_stats=True, silent=True)
        self._run = self._wandb.init(project="bench", mode="offline", dir=str(self.folder), settings=settings)

    def log(self, row: Row, step: int) -> None:
        self._run.log(row, step=step)

    def close(self) -> None:
        self._run.finish()
        self._wandb.teardown()  # its service is told to end, so that what it used can be counted


WAYS: dict[tuple[str, str], type[Way]] = {
    ("memory", "sink"): Floor,
    ("tensorboard", "sink"): TensorBoardSink,
    ("tensorboard", "EventFileWriter"): EventFileWriter,
    ("tensorboard", "SummaryWriter"): SummaryWriter,
    ("mlflow", "sink"): MLflowSink,
    ("mlflow", "client"): MLflowClient,
    ("wandb", "sink"): WandbSink,
    ("wandb", "client"): WandbClient,
}
"""By the tracker, and the name of the way."""
