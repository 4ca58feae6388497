"""The contract of a sink: it takes batches of a journal and says how far it got."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from burnish.core.paths import RunPaths
from burnish.journal import Record, Row

SinkState = dict[str, object]
"""What a sink needs to go on after a crash; kept as JSON beside the cursor."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive entries of one journal file.

    Attributes:
        journal: The file's name.
        rank: The rank that wrote it.
        entries: What it holds, in order; never empty.
    """

    journal: str
    rank: int
    entries: Sequence[Row | Record]


class Sink(ABC):
    """Ships one run's journal to one place.

    All calls come from one thread. `ship` is called again with the same batch when it raised, and after a
    crash with batches that it may have taken already: it must make that harmless by a key of its own. A sink
    that hangs or fails is left behind; it never touches training.
    """

    name: ClassVar[str]

    @abstractmethod
    def open(self, run: RunPaths, state: SinkState) -> None:
        """Get ready to go on from a state, which is empty the first time."""

    @abstractmethod
    def ship(self, batch: Batch) -> SinkState:
        """Deliver a batch and return the state to go on from; it is stored before the next call."""

    @abstractmethod
    def close(self, status: str) -> None:
        """Finish: the run has ended with this status and everything was shipped."""
