"""Which rows were trained again: after a resume the newer ones are shown, and what they replaced is not.

A cut says: what this rank logged before here, beyond this step, was replayed. A `resume` record is one, wherever it
stands; so is the first row of an attempt that logs without one. Pure: it is told what files hold, in their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from burnish.journal.columns import Block
from burnish.journal.entry import Kind, Record
from burnish.journal.reader import SYSTEM_RANK, JournalName

_MOST_ATTEMPTS = 1 << 20
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a file stands among all of its rank: by attempt, whatever the clock said, then by time."""

    attempt: int
    started_us: int
    pid: int


class Replays:
    """The cuts of a run, by rank."""

    def __init__(self) -> None:
        self._opened: dict[JournalName, tuple[int, bool]] = {}
        self._begun: set[tuple[int, int]] = set()
        self._cuts: dict[int, list[tuple[Place, int, int]]] = {}

    def take(self, name: JournalName, blocks: Sequence[Block], records: Iterable[Record]) -> int | None:
        """Account for what a file holds next; return the step beyond which earlier rows no longer count.

        Args:
            name: The file.
            blocks: Its rows.
            records: Its records, from the same read.
        """
        resumes: list[tuple[int, int]] = []
        for record in records:
            if record.kind != Kind.LIFECYCLE:
                continue
            if record.key == "open":
                attempt = record.payload.get("attempt")
                known = attempt if isinstance(attempt, int) and 0 < attempt < _MOST_ATTEMPTS else 1
                self._opened[name] = (known, record.payload.get("continues") is True)
            elif record.key == "resume" and record.step is not None:
                resumes.append((record.seq, record.step))
        if name.rank == SYSTEM_RANK:  # what the machine did in a step that was replayed it did all the same
            return None
        cuts = resumes + self._first_row(name, blocks, resumes)
        if resumes or blocks:
            self._begun.add((name.rank, self.place(name).attempt))
        self._cuts.setdefault(name.rank, []).extend((self.place(name), seq, after) for seq, after in cuts)
        return min((after for _, after in cuts), default=None)

    def place(self, name: JournalName) -> Place:
        """Return where a file stands."""
        return Place(self._opened.get(name, (1, False))[0], name.started_us, name.pid)

    def mask(self, name: JournalName, block: Block) -> Mask | None:
        """Return which rows of a block count, shape (n,); None for all."""
        here, limit = self.place(name), np.iinfo(np.int64).max
        inside: list[tuple[int, int]] = []
        for place, seq, after in self._cuts.get(name.rank, ()):
            if place > here:
                limit = min(limit, after)
            elif place == here and seq > block.seq[0]:
                inside.append((seq, after))
        limits = np.full(len(block.seq), limit)
        for seq, after in inside:
            limits = np.where(block.seq < seq, np.minimum(limits, after), limits)
        kept = block.step <= limits
        return None if bool(kept.all()) else kept

    def _first_row(
        self, name: JournalName, blocks: Sequence[Block], resumes: Sequence[tuple[int, int]]
    ) -> list[tuple[int, int]]:
        """Return the cut that an attempt's first row makes, where it is in these blocks and nothing said so before."""
        attempt, continues = self._opened.get(name, (1, False))
        if not blocks or attempt == 1 or continues or (name.rank, attempt) in self._begun:
            return []
        first = min(blocks, key=lambda block: int(block.seq[0]))
        seq, step = int(first.seq[0]), int(first.step[0])
        return [] if any(at < seq for at, _ in resumes) else [(seq, step - 1)]
