"""The contract of a sink: it takes batches of a journal and says how far it got."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from burnish.core.paths import RunPaths
from burnish.journal import Record, Row

SinkState = dict[str, object]
"""What a sink needs to go on after a crash; kept as JSON beside the cursor."""

MAPPED: Final = "mapped"
"""Key of a state under which a sink counts what the tracker cannot hold as it is: `{"infinity": 3}`."""
WHERE: Final = "where"
"""Key of a state under which a sink says where to look at the run: a folder, or the address of a page."""


class Gone(Exception):
    """What was shipped is no longer at the tracker: it has to be shipped again, from the first entry on."""


class Refused(Exception):
    """No retry will help: a package is missing, an option cannot be, a login is wanted. Says what to do."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive entries of one journal file.

    Attributes:
        journal: The file's name.
        rank: The rank that wrote it; `SYSTEM_RANK` for what the watching process said.
        entries: What it holds, in order; never empty.
        start: The byte of the file at which it begins. With the file's name it is a key of the batch.
        end: The byte after it.
    """

    journal: str
    rank: int
    entries: Sequence[Row | Record]
    start: int
    end: int


class Sink(ABC):
    """Ships one run's journal to one place. It is made with its options as keyword arguments.

    All calls come from one thread of a process of its own, which is killed when a call takes too long or memory
    grows too far. Files of a rank come in the order in which they were opened, and each file from its beginning.

    A batch that was not vouched for by a returned state comes again, whole and with the same key, also after a
    crash: a sink makes that harmless by a key of its own. A sink that hangs or fails is left behind; it never touches
    training.
    """

    name: ClassVar[str]
    batch_bytes: ClassVar[int] = 1 << 20
    """How much of a journal file is shipped at once; a row of ten scalars takes some 115 bytes."""

    alive: Callable[[], None] = staticmethod(lambda: None)
    """To be called in the middle of a long call: a sink is ended after `timeout_s` of silence."""

    @abstractmethod
    def open(self, run: RunPaths, state: SinkState) -> None:
        """Get ready to go on from a state, which is empty the first time.

        Raises:
            Gone: What the state vouches for is not there any more.
            Refused: No retry will help.
        """

    @abstractmethod
    def ship(self, batch: Batch) -> SinkState:
        """Deliver a batch and return the state to go on from; it is stored before the next call.

        Raises:
            Gone: What was shipped before is not there any more.
        """

    @abstractmethod
    def close(self, status: str) -> None:
        """Finish: the run has ended with this status and everything was shipped.

        The run may be resumed: then a new sink is opened from the last state.
        """
