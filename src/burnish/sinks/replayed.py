"""Points that a resumed run trained again, for trackers that cannot take points back.

What an earlier attempt said already is not sent again; a value that differs is. So a tracker shows each value once,
and is told which steps it shows twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from burnish.core.errors import JournalError
from burnish.core.shape import items
from burnish.journal import JournalReader, Kind, Record, Row
from burnish.journal.columns import read_columns
from burnish.journal.reader import SYSTEM_RANK, JournalName, journal_files
from burnish.sinks.base import Batch

_Point = tuple[str, int, "float | None"]
"""Name, step and value; None stands for NaN, which equals no number."""
_Cut = tuple[int, int, str]


@dataclass(slots=True)
class _File:
    """What a journal said of itself so far, as it is kept in a sink's state, a list.

    Attributes:
        attempt: Counts from 1.
        continues: It goes on with a file before it, and makes no cut by its first row.
        cut: The step after which what was said before is replayed; None where nothing is.
        until: The sequence number of the frame that made the cut: rows of its file before it count too.
        since: The file that made the cut: this one, or one before it of the same attempt.
    """

    attempt: int = 1
    continues: bool = False
    cut: int | None = None
    until: int = 0
    since: str = ""


@dataclass(slots=True)
class Replayed:
    """Tells which points are new to a tracker that got everything before them.

    Its state is part of the sink's. It reads what was replayed from the journals when it is needed, so that a sink that
    begins in the middle comes to the same answers.

    Attributes:
        folder: The run's journal folder.
        state: What `state` was, as JSON gave it back; empty at first.
        superseded: The ranges of steps, both ends included, that were trained again.
    """

    folder: Path
    state: dict[str, object] = field(default_factory=dict)
    _known: dict[str, frozenset[_Point]] = field(default_factory=dict)

    @property
    def superseded(self) -> list[tuple[int, int]]:
        """Ranges of steps that were trained again, in the order in which that happened."""
        return superseded_in(self.state)

    def take(self, batch: Batch, record: Record) -> None:
        """Account for a record of a batch, in its place among the rows."""
        if record.kind != Kind.LIFECYCLE or batch.rank == SYSTEM_RANK:
            return
        file = self._file(batch.journal)
        if record.key == "open":
            attempt = record.payload.get("attempt", 1)
            file.attempt = attempt if isinstance(attempt, int) else 1
            file.continues = record.payload.get("continues") is True
            file.cut, file.until, file.since = self._cuts(batch.rank).get(str(file.attempt), (None, 0, ""))
            self._keep(batch.journal, file)
        elif record.key == "resume" and record.step is not None:
            self._cut(batch, file, record.step, record.seq)

    def new(self, batch: Batch, row: Row) -> Row:
        """Return a row without the values that were sent before; it may have none left."""
        if batch.rank == SYSTEM_RANK:  # what the machine did in a step that was replayed it did all the same
            return row
        file = self._file(batch.journal)
        if file.attempt > 1 and not file.continues and str(file.attempt) not in self._cuts(batch.rank):
            self._cut(batch, file, row.step - 1, row.seq)
        if file.cut is None or row.step <= file.cut:
            return row
        known = self._known.get(batch.journal)
        if known is None:
            known = self._known[batch.journal] = self._read(file)
        pairs = zip(row.keys, row.values, strict=True)
        kept = [(key, value) for key, value in pairs if (key, row.step, _comparable(value)) not in known]
        if len(kept) == len(row.keys):
            return row
        return replace(row, keys=tuple(key for key, _ in kept), values=tuple(value for _, value in kept))

    def _cuts(self, rank: int) -> dict[str, _Cut]:
        """The newest cut of each attempt of a rank: step, sequence number, file."""
        ranks = self.state.setdefault("cuts", {})
        assert isinstance(ranks, dict)
        found = ranks.setdefault(str(rank), {})
        assert isinstance(found, dict)
        return found

    def _cut(self, batch: Batch, file: _File, step: int, seq: int) -> None:
        file.cut, file.until, file.since = (step if file.cut is None else min(file.cut, step)), seq, batch.journal
        self._cuts(batch.rank)[str(file.attempt)] = file.cut, file.until, file.since
        self._keep(batch.journal, file)
        known = self._known[batch.journal] = self._read(file)
        again = max((at for _, at, _ in known), default=step)
        if again > step and batch.rank == 0:
            self.state["superseded"] = [*map(list, self.superseded), [step + 1, again]]

    def _read(self, file: _File) -> frozenset[_Point]:
        """Return what was said beyond the cut before it was made."""
        own = JournalName.parse(Path(file.since))
        found: set[_Point] = set()
        for path in journal_files(self.folder):
            if JournalName.parse(path).rank == own.rank:
                try:
                    _collect(path, file, own, found)
                except (FileNotFoundError, JournalError):
                    continue  # told by whoever ships it
        return frozenset(found)

    def _file(self, journal: str) -> _File:
        files = self.state.get("files")
        told = files.get(journal) if isinstance(files, dict) else None
        return _File(*told) if isinstance(told, list) else _File()

    def _keep(self, journal: str, file: _File) -> None:
        files = self.state.setdefault("files", {})
        assert isinstance(files, dict)
        files[journal] = [file.attempt, file.continues, file.cut, file.until, file.since]


def superseded_in(state: Mapping[str, object]) -> list[tuple[int, int]]:
    """Return the ranges of steps, both ends included, that a state says were trained again."""
    return [(int(span[0]), int(span[1])) for span in items(state, "superseded") if isinstance(span, list)]


def _collect(path: Path, file: _File, own: JournalName, found: set[_Point]) -> None:
    """Add the points of a file that were said before the cut of another, beyond its step."""
    name, reader, attempt, before = JournalName.parse(path), JournalReader(path), 1, -1
    assert file.cut is not None
    try:
        while reader.offset != before:
            before = reader.offset
            blocks, records = read_columns(reader.read_bodies(), reader.keys)
            told = [record.payload.get("attempt") for record in records if record.key == "open"]
            attempt = next((number for number in told if isinstance(number, int)), attempt)
            if name != own and (attempt, name) > (file.attempt, own):
                return
            for block in blocks:
                kept = block.step > file.cut
                if name == own:
                    kept &= block.seq < file.until
                steps = block.step[kept].tolist()
                for key, values in zip(block.keys, block.values, strict=True):
                    numbers = map(_comparable, values[kept].tolist())
                    found.update(zip((key,) * len(steps), steps, numbers, strict=True))
    finally:
        reader.close()


def _comparable(value: float) -> float | None:
    return value if value == value else None
