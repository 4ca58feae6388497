"""What a journal holds for people to look at: pictures, graphs, tables, texts, histograms; each once, the newer."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar, get_args

from burnish.core.errors import JournalError
from burnish.journal.entry import PACKED_ROW, Kind, Record, Row, decode, decode_record
from burnish.journal.reader import JournalName, JournalReader, journal_files

_log = logging.getLogger(__name__)

Picture = Literal["image", "figure", "attention"]
MediaKind: TypeAlias = Literal[Picture, "graph", "table", "text", "histogram"]
T = TypeVar("T")

_FILE = re.compile(r"media/[0-9a-f]{64}\.(?:png|jpg|json)")

_KINDS: Mapping[int, MediaKind] = {Kind.TABLE: "table", Kind.TEXT: "text", Kind.HISTOGRAM: "histogram"}
_IN_FILES: Mapping[object, MediaKind] = {**{kind: kind for kind in get_args(Picture)}, "graph": "graph"}


def media_kind(record: Record) -> MediaKind | None:
    """Return what a record is that people look at; None for any other.

    >>> media_kind(Record(Kind.MEDIA, 0, 5, 0.0, "eval/map", {"type": "figure"}))
    'figure'
    """
    if record.kind == Kind.MEDIA:
        kind = record.payload.get("type")
        return _IN_FILES.get(kind) if isinstance(kind, str) else None
    return _KINDS.get(record.kind)


def media_file(root: Path, payload: Mapping[str, object]) -> Path | None:
    """Return the file that a record of media names; None where there is none, or the name is not one of ours.

    A run may come from anywhere: no path outside its `media` folder is ever returned.

    Args:
        root: The run's folder.
        payload: The record's payload.
    """
    told = payload.get("file")
    return root / told if isinstance(told, str) and _FILE.fullmatch(told) else None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record stands: the name of the journal file, and its sequence number in there."""

    journal: str
    seq: int


@dataclass(slots=True)
class _Attempt:
    """One attempt, and the step after which it replaced what came before."""

    number: int
    resumed_after: int | None = None
    first_step: int | None = None

    @property
    def cut(self) -> int | None:
        if self.resumed_after is not None:
            return self.resumed_after
        return None if self.first_step is None else self.first_step - 1


def load_media(folder: Path, make: Callable[[Record, Place, int], T], *, rank: int = 0) -> list[T]:
    """Return what `make` makes of each record of media, in the order of recording.

    As with scalars, what a resumed attempt replays is taken from it, and what an attempt says at no step counts
    until a later one says it again.

    Args:
        folder: The run's journal folder.
        make: Is given a record, where it stands, and its encoded size in bytes; it need not keep the record.
        rank: Whose journals.
    """
    attempts: dict[int, _Attempt] = {}
    unstepped: dict[str, int] = {}
    found: list[tuple[int, str, int | None, T]] = []
    for path in _files(folder, rank):
        attempt = attempts.setdefault(1, _Attempt(1))
        for entry, size in _entries(path, lambda: attempt.first_step is None):  # noqa: B023  asked at once
            if isinstance(entry, Row):
                attempt.first_step = entry.step
            elif entry.kind == Kind.LIFECYCLE:
                attempt = _followed(entry, attempt, attempts)
            elif media_kind(entry) is not None:
                found.append((attempt.number, entry.key, entry.step, make(entry, Place(path.name, entry.seq), size)))
                if entry.step is None:
                    unstepped[entry.key] = max(attempt.number, unstepped.get(entry.key, 0))
    limits = {number: _limit(number, attempts.values()) for number in attempts}
    return [made for n, key, step, made in found if (unstepped[key] <= n if step is None else step <= limits[n])]


def find_records(folder: Path, places: Collection[Place]) -> Iterator[tuple[Place, Record]]:
    """Yield the records that stand at some places, in the order of the files."""
    wanted: dict[str, set[int]] = {}
    for place in places:
        wanted.setdefault(place.journal, set()).add(place.seq)
    for path in journal_files(folder):
        missing = wanted.get(path.name, set())
        for entry, _ in _entries(path, lambda: False) if missing else ():
            if isinstance(entry, Record) and entry.seq in missing:
                missing.discard(entry.seq)
                yield Place(path.name, entry.seq), entry
            if not missing:
                break


def _files(folder: Path, rank: int) -> list[Path]:
    return [path for path in journal_files(folder) if JournalName.parse(path).rank == rank]


def _entries(path: Path, wants_row: Callable[[], bool]) -> Iterator[tuple[Row | Record, int]]:
    """Yield the records of a file, rows only where they are wanted, with their sizes; a file that is none is told."""
    try:
        reader = JournalReader(path)
    except FileNotFoundError:
        return  # a writer on a full disk takes its empty file away again
    except JournalError as error:
        _log.warning("%s; it is passed over", error)
        return
    try:
        before = -1
        while reader.offset != before:
            before = reader.offset
            for body in reader.read_bodies():
                if body[0] != PACKED_ROW:
                    entry = decode_record(body, reader.keys)
                else:
                    entry = next(decode([body], reader.keys), None) if wants_row() else None
                if entry is not None:
                    yield entry, len(body)
    except JournalError as error:
        _log.warning("%s; it is passed over", error)
    finally:
        reader.close()


def _followed(record: Record, attempt: _Attempt, attempts: dict[int, _Attempt]) -> _Attempt:
    """Return the attempt to which what follows belongs."""
    if record.key == "open":
        number = record.payload.get("attempt")
        if isinstance(number, int) and number > 0:
            return attempts.setdefault(number, _Attempt(number))
    elif record.key == "resume" and record.step is not None:
        attempt.resumed_after = record.step
    return attempt


def _limit(number: int, attempts: Collection[_Attempt]) -> float:
    """Return the last step of an attempt that no later one has replayed."""
    cuts = [a.cut for a in attempts if a.number > number]
    return min((cut for cut in cuts if cut is not None), default=float("inf"))
