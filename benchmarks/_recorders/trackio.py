"""trackio, which keeps rows in a local SQLite database."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from benchmarks._recorders.base import Recorder, Row


class Trackio(Recorder):
    """`trackio.log`, without its sampling of the machine."""

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
