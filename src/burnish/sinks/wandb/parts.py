"""Where the logs of a run lie: folders as W&B's client names them, which `wandb sync` takes.

A run has one, until W&B's uploader has marked it as taken and the run goes on: what it would never look at again is not
appended to, and another log of the same run is begun, whose rows count on. `wandb sync` puts them together.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from burnish.sinks.wandb.log import Extent, TransactionLog


@dataclass(frozen=True, slots=True)
class Part:
    """One log of a run, and what goes with it.

    Attributes:
        folder: What `wandb sync` is given.
        id: The run's id at W&B.
    """

    folder: Path
    id: str

    @property
    def log(self) -> Path:
        """The transaction log."""
        return self.folder / f"run-{self.id}.wandb"

    @property
    def files(self) -> Path:
        """What is uploaded beside the log."""
        return self.folder / "files"

    @property
    def staging(self) -> Path:
        """Links that the uploader removes when it has uploaded what they lead to."""
        return self.folder / "staging"

    @property
    def marker(self) -> Path:
        """Made by W&B's uploader once it has read the log to its end."""
        return self.log.with_name(f"{self.log.name}.synced")

    @property
    def is_taken(self) -> bool:
        """Whether W&B's uploader has read the log to its end."""
        return self.marker.exists()

    def open(self, extent: Extent) -> TransactionLog:
        """Return the log, of which so much is vouched for; one that is begun has nothing in its folder."""
        if not extent.size:
            if self.folder.exists():
                shutil.rmtree(self.folder)
            self.files.mkdir(parents=True)
        return TransactionLog(self.log, extent)


@dataclass(frozen=True, slots=True)
class Parts:
    """The logs of one run.

    Attributes:
        base: The folder `wandb`.
        id: The run's id at W&B.
        created: When the run began. The n-th log is named after the n-th second from there: whoever begins it a
            second time, after a crash, finds the same name, and the logs are in the order that `wandb sync` keeps.
    """

    base: Path
    id: str
    created: float

    def __getitem__(self, number: int) -> Part:
        """Return the log of a number, from 0."""
        at = time.strftime("%Y%m%d_%H%M%S", time.gmtime(self.created + number))
        return Part(self.base / f"offline-run-{at}-{self.id}", self.id)

    def drop_from(self, number: int) -> None:
        """Remove the logs from a number on: they hold what will be written again."""
        while (part := self[number]).folder.is_dir():
            shutil.rmtree(part.folder)
            number += 1
