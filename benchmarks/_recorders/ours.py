"""Burnish, as a plain script uses it: with a keeper beside it that tails the journal and makes it durable."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from benchmarks._recorders.base import Recorder, Row


class Burnish(Recorder):
    """`Run.log` of a run that `start_run` began."""

    files = "runs/*/journal/0-*.journal"  # without what the keeper samples of the machine

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        os.environ.update(BURNISH_HOME=str(folder), BURNISH_RUNS=str(folder / "runs"))
        os.environ.pop("BURNISH_RUN_DIR", None)
        import burnish

        self._run = burnish.start_run("bench")

    def log(self, values: Row, step: int) -> None:
        self._run.log(values, step)

    def close(self) -> None:
        self._run.finish()

    @classmethod
    def read(cls, folder: Path) -> Iterator[tuple[int, Row]]:
        from burnish import journal

        for path in sorted(folder.glob(cls.files)):
            for entry in journal.JournalReader(path).read_all():
                if isinstance(entry, journal.Row):
                    yield entry.step, dict(zip(entry.keys, entry.values, strict=True))
