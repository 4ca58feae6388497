"""W&B offline, whose service process writes a log of protobuf records."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from benchmarks._recorders.base import Recorder, Row


class WandbOffline(Recorder):
    """`wandb.Run.log` offline, without its console capture and system monitor."""

    files = "wandb/*/*.wandb"

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
