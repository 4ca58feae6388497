"""TensorBoard's writer of event files."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks._recorders.base import Recorder, Row


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
