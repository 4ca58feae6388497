"""One recorder in a process of its own: `python -m benchmarks._recorders measure burnish FOLDER --steps 10000`.

Each recorder writes rows that anyone can compute again from the step alone, so what a folder holds is compared
with what was logged, value by value, in this process or in another one.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import struct
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any, ClassVar

NAMES = tuple(f"train/metric_{number}" for number in range(10))
BLOCK = 500
WARM_UP = 200

Row = dict[str, float]


class Recorder(ABC):
    """Writes rows of scalars into a folder, from one process.

    Attributes:
        files: Which files of the folder hold the rows.
        single_precision: Whether values are kept as 32-bit floats.
        still_s: How long its files must not have changed before they count as complete.
    """

    files: ClassVar[str]
    single_precision: ClassVar[bool] = False
    still_s: ClassVar[float] = 0.0

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def log(self, values: Row, step: int) -> None:
        """Record one row; what this has returned from counts as acknowledged."""

    @abstractmethod
    def close(self) -> None:
        """Write out what is held back."""

    @classmethod
    @abstractmethod
    def read(cls, folder: Path) -> Iterator[tuple[int, Row]]:
        """Read back all rows."""


class Burnish(Recorder):
    """`Run.log` in a run that a supervisor has prepared."""

    files = "journal/*.journal"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (folder / "journal").mkdir()
        os.environ["BURNISH_RUN_DIR"] = str(folder)
        import burnish

        self._run = burnish.start_run()

    def log(self, values: Row, step: int) -> None:
        self._run.log(values, step)

    def close(self) -> None:
        self._run.finish()

    @classmethod
    def read(cls, folder: Path) -> Iterator[tuple[int, Row]]:
        from burnish import journal
        from burnish.journal.reader import journal_files

        for path in journal_files(folder / "journal"):
            for entry in journal.JournalReader(path).read_all():
                if isinstance(entry, journal.Row):
                    yield entry.step, dict(zip(entry.keys, entry.values, strict=True))


class TensorBoard(Recorder):
    """`EventFileWriter` with one event a row: the shortest way into an event file; `add_scalar` makes ten."""

    files = "*tfevents*"
    single_precision = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._event, self._summary = Event, Summary
        self._writer = EventFileWriter(str(folder))

    def log(self, values: Row, step: int) -> None:
        rows = [self._summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._writer.add_event(self._event(wall_time=time.time(), step=step, summary=self._summary(value=rows)))

    def close(self) -> None:
        self._writer.close()

    @classmethod
    def read(cls, folder: Path) -> Iterator[tuple[int, Row]]:
        from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

        for path in sorted(folder.glob(cls.files)):
            for event in LegacyEventFileLoader(str(path)).Load():
                if event.HasField("summary"):
                    yield event.step, {value.tag: value.simple_value for value in event.summary.value}


class Trackio(Recorder):
    """`trackio.log` into a local database."""

    files = "*.db*"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        os.environ.update(TRACKIO_DIR=str(folder), HF_HUB_OFFLINE="1")
        trackio = import_module("trackio")
        self._run = trackio.init("bench", "run", embed=False, auto_log_gpu=False, auto_log_cpu=False)

    def log(self, values: Row, step: int) -> None:
        self._run.log(values, step=step)

    def close(self) -> None:
        self._run.finish()

    @classmethod
    def read(cls, folder: Path) -> Iterator[tuple[int, Row]]:
        database = sqlite3.connect(folder / "bench.db")
        if database.execute("SELECT 1 FROM sqlite_master WHERE name = 'metrics'").fetchone():
            for step, metrics in database.execute("SELECT step, metrics FROM metrics"):
                yield step, json.loads(metrics)
        database.close()


class WandbOffline(Recorder):
    """`wandb.Run.log` offline, without its console capture and system monitor."""

    files = "wandb/*/*.wandb"
    still_s = 4.0  # `finish` returns before its service has written everything

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        wandb = import_module("wandb")
        settings = wandb.Settings(console="off", x_disable_stats=True, silent=True)
        self._run = wandb.init(project="bench", mode="offline", dir=str(folder), settings=settings)

    def log(self, values: Row, step: int) -> None:
        self._run.log(values, step=step)

    def close(self) -> None:
        self._run.finish()

    @classmethod
    def read(cls, folder: Path) -> Iterator[tuple[int, Row]]:
        record = import_module("wandb.proto.wandb_internal_pb2").Record
        for path in sorted(folder.glob(cls.files)):
            for raw in _leveldb_records(path.read_bytes()):
                history = record.FromString(raw).history
                items = {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in history.item}
                if row := {name: value for name, value in items.items() if not name.startswith("_")}:
                    yield history.step.num, row


class MLflow(Recorder):
    """`MlflowClient.log_batch`, one call a row, into SQLite."""

    files = "mlflow.db*"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._metric = import_module("mlflow.entities").Metric
        self._client = _mlflow_client(folder)
        experiment = self._client.create_experiment("bench", artifact_location=folder.as_uri())
        self._run_id = self._client.create_run(experiment).info.run_id

    def log(self, values: Row, step: int) -> None:
        now = int(time.time() * 1000)
        self._client.log_batch(self._run_id, [self._metric(name, value, now, step) for name, value in values.items()])

    def close(self) -> None:
        self._client.set_terminated(self._run_id)

    @classmethod
    def read(cls, folder: Path) -> Iterator[tuple[int, Row]]:
        client = _mlflow_client(folder)
        experiment = client.get_experiment_by_name("bench").experiment_id
        rows: dict[int, Row] = {}
        for run in client.search_runs([experiment]):
            for name in NAMES:
                for metric in client.get_metric_history(run.info.run_id, name):
                    rows.setdefault(metric.step, {})[name] = metric.value
        yield from sorted(rows.items())


RECORDERS: dict[str, type[Recorder]] = {
    "burnish": Burnish,
    "tensorboard": TensorBoard,
    "trackio": Trackio,
    "wandb": WandbOffline,
    "mlflow": MLflow,
}


def row_of(step: int) -> Row:
    """Return the row of a step: ten values that no other step has."""
    random = Random(step)
    return {name: random.gauss(0.0, 1.0) for name in NAMES}


def whole_rows(kind: type[Recorder], folder: Path) -> int:
    """Compare what a folder holds with what was logged, and return the number of rows.

    Rows are counted from step 0 up to the first that is absent.

    Raises:
        SystemExit: A row holds another value than was logged, or a part of them.
    """
    _wait_until_still(kind, folder)
    found = dict(kind.read(folder))
    for step, row in found.items():
        expected = row_of(step)
        if kind.single_precision:
            expected = {name: struct.unpack("f", struct.pack("f", value))[0] for name, value in expected.items()}
        if row != expected:
            sys.exit(f"{kind.__name__} read back another row at step {step}: {row} instead of {expected}")
    return next(step for step in range(len(found) + 1) if step not in found)


def _measure(kind: type[Recorder], folder: Path, steps: int) -> dict[str, object]:
    rows = [row_of(step) for step in range(steps)]
    floor = _floor(folder)
    recorder = kind(folder)
    calls: list[int] = []
    writes: list[int] = []
    cpu_s = floor_cpu_s = 0.0
    for start in range(0, steps, BLOCK):
        block = range(start, min(start + BLOCK, steps))
        begun = time.process_time()
        writes += _timed(lambda step: floor(), block)
        half = time.process_time()
        calls += _timed(lambda step: recorder.log(rows[step], step), block)
        floor_cpu_s += half - begun
        cpu_s += time.process_time() - half
    recorder.close()
    if (kept := whole_rows(kind, folder)) != steps:
        sys.exit(f"{kind.__name__} kept {kept} rows of {steps}")
    size = sum(path.stat().st_size for path in folder.glob(kind.files))
    return {
        "log": {"times_ns": calls[WARM_UP:], "cpu_s": cpu_s},
        "floor": {"times_ns": writes[WARM_UP:], "cpu_s": floor_cpu_s},
        "bytes": size,
    }


def _timed(call: Callable[[int], object], steps: range) -> list[int]:
    clock = time.perf_counter_ns
    times: list[int] = []
    for step in steps:
        before = clock()
        call(step)
        times.append(clock() - before)
    return times


def _floor(folder: Path) -> Callable[[], object]:
    """Return one `os.write` of a frame as long as a row's in a journal."""
    from burnish.journal.entry import PACKED_ROW, row_struct
    from burnish.journal.frame import frame

    values = row_of(0).values()
    raw = frame(row_struct(len(values)).pack(PACKED_ROW, 1000, 1000, time.time(), 0, *values), 0)
    descriptor = os.open(folder / "floor", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    return lambda: os.write(descriptor, raw)


def _acknowledge(kind: type[Recorder], folder: Path, steps: int, descriptor: int) -> None:
    """Log rows, and write one byte for each that is logged.

    The pause makes it seconds, as training would: what a recorder loses is then an interval of its own and not
    all that it was given in a tenth of a second.
    """
    rows = [row_of(step) for step in range(steps)]
    recorder = kind(folder)
    for step, row in enumerate(rows):
        recorder.log(row, step)
        os.write(descriptor, b".")
        time.sleep(0.001)


def _wait_until_still(kind: type[Recorder], folder: Path) -> None:
    seen, since = -1, time.monotonic()
    while time.monotonic() - since < kind.still_s:
        size = sum(path.stat().st_size for path in folder.glob(kind.files))
        if size != seen:
            seen, since = size, time.monotonic()
        time.sleep(0.05)


def _leveldb_records(raw: bytes) -> Iterator[bytes]:
    """Split a W&B file: LevelDB's log format (blocks of 32 KiB, records in parts) behind a header of 7 bytes."""
    at, record = 7, b""
    while at + 7 <= len(raw):
        left = 32768 - at % 32768
        _, size, part = struct.unpack_from("<IHB", raw, at)
        if left < 7 or part == 0:
            at += left
            continue
        record += raw[at + 7 : at + 7 + size]
        at += 7 + size
        if part in (1, 4) and at <= len(raw):  # whole, or the last part
            yield record
            record = b""


def _mlflow_client(folder: Path) -> Any:
    return import_module("mlflow").MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")


def main() -> None:
    """Run one recorder as told."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=("measure", "acknowledge", "count"))
    parser.add_argument("recorder", choices=RECORDERS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--acknowledge-to", type=int, default=1)
    told = parser.parse_args()
    kind = RECORDERS[told.recorder]
    result = os.dup(1)
    os.dup2(2, 1)  # what a recorder prints is not the result
    if told.task == "acknowledge":
        _acknowledge(kind, told.folder, told.steps, told.acknowledge_to)
    else:
        measure = told.task == "measure"
        value = _measure(kind, told.folder, told.steps) if measure else {"rows": whole_rows(kind, told.folder)}
        with os.fdopen(result, "w") as out:
            json.dump(value, out)


if __name__ == "__main__":
    main()
