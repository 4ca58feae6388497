"""All scalars of a run, metric by metric, with the steps that a resumed attempt replayed shown once, the newer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from burnish.core.errors import JournalError
from burnish.journal.columns import Block, Floats, Integers, read_columns
from burnish.journal.direction import best_direction
from burnish.journal.entry import Kind, Record
from burnish.journal.frame import Damage
from burnish.journal.reader import SYSTEM_RANK, JournalName, JournalReader, journal_files

# Bits of a row's place among all of its rank: attempt, file, sequence number. A file of 512 MiB holds fewer rows.
_FILES, _SEQUENCES = 20, 24


@dataclass(frozen=True, slots=True)
class Series:
    """The points of one metric of one rank; three arrays of shape (n,).

    Attributes:
        step: The training step.
        time: Seconds since the epoch.
        value: NaN and infinities included.
    """

    step: Integers
    time: Floats
    value: Floats

    def __len__(self) -> int:
        return len(self.step)

    def by_step(self) -> Series:
        """Return the points ordered by step; those of one step as they were logged."""
        if bool(np.all(self.step[1:] >= self.step[:-1])):
            return self
        order = np.argsort(self.step, kind="stable")
        return Series(self.step[order], self.time[order], self.value[order])

    def summary(self, direction: str = "") -> dict[str, float]:
        """Return count, first, last, min, max, last step and number of non-finite values, and the best by direction.

        NaN counts for `min` and `max` only where nothing else is. The best of equals is the first.

        Args:
            direction: `min`, `max`, or empty where none is better.
        """
        points = self.by_step()
        value = points.value
        nonfinite = int(np.count_nonzero(~np.isfinite(value)))
        span = value[~np.isnan(value)] if nonfinite else value
        span = span if len(span) else value
        found: dict[str, float] = {
            "count": len(value),
            "first": float(value[0]),
            "last": float(value[-1]),
            "min": float(span.min()),
            "max": float(span.max()),
            "last_step": int(points.step[-1]),
            "nonfinite": nonfinite,
        }
        finite = np.flatnonzero(np.isfinite(value)) if nonfinite else None
        if direction and (finite is None or len(finite)):
            chosen = value if finite is None else value[finite]
            at = int(chosen.argmin() if direction == "min" else chosen.argmax())
            at = at if finite is None else int(finite[at])
            found |= {"best": float(value[at]), "best_step": int(points.step[at])}
        return found


@dataclass(slots=True)
class _Attempt:
    """One attempt of one rank: the step after which it replaced what came before."""

    number: int
    rank: int
    resumed_after: int | None = None
    first: tuple[int, int] | None = None
    """Order and step of the first row that was logged."""

    def account(self, block: Block, order: Integers) -> None:
        first = (int(order[0]), int(block.step[0]))
        self.first = first if self.first is None else min(self.first, first)

    @property
    def cut(self) -> int | None:
        """The last step of earlier attempts that still counts; None when this attempt logged nothing."""
        if self.resumed_after is not None:
            return self.resumed_after
        return self.first[1] - 1 if self.first is not None else None


@dataclass(frozen=True, slots=True)
class _Part:
    """A block of one attempt, with the place of each row among all rows of the rank."""

    block: Block
    order: Integers
    attempt: _Attempt


@dataclass(slots=True)
class Scalars:
    """The scalars of a run. Metrics are taken out one by one, so that not all are in memory twice.

    Attributes:
        damage: What could not be read, by file name.
    """

    damage: dict[str, list[Damage]] = field(default_factory=dict)
    _parts: dict[tuple[str, int], list[tuple[_Part, int]]] = field(default_factory=dict)
    _attempts: dict[tuple[int, int], _Attempt] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The metrics of all ranks, sorted."""
        return sorted({name for name, _ in self._parts})

    @property
    def metrics(self) -> list[tuple[str, int]]:
        """Name and rank of every series, sorted: the order of `metrics.parquet`."""
        return sorted(self._parts)

    def series(self, name: str, rank: int = 0) -> Series:
        """Return one metric of one rank in the order in which it was logged; empty where there is none."""
        pieces = [_kept(part, column, self._limit(part.attempt)) for part, column in self._parts.get((name, rank), ())]
        if not pieces:
            return Series(np.empty(0, np.int64), np.empty(0, np.float64), np.empty(0, np.float64))
        order, step, time, value = (np.concatenate(arrays) for arrays in zip(*pieces, strict=True))
        if not bool(np.all(order[1:] > order[:-1])):
            chosen = np.argsort(order, kind="stable")
            step, time, value = step[chosen], time[chosen], value[chosen]
        return Series(step, time, value)

    def of(self, name: str, *, rank: int = 0) -> tuple[list[int], list[float]]:
        """Return the steps and values of one metric of one rank, as they were logged."""
        found = self.series(name, rank)
        return found.step.tolist(), found.value.tolist()

    def __iter__(self) -> Iterator[tuple[str, int, Series]]:
        for name, rank in self.metrics:
            found = self.series(name, rank).by_step()
            if len(found):
                yield name, rank, found

    def summary(self, definitions: Mapping[str, Mapping[str, object]] | None = None) -> dict[str, dict[str, float]]:
        """Return the summary of each metric of rank 0 and of the machine. See `Series.summary`.

        Args:
            definitions: Which direction is better, by pattern, where the names alone do not say it.
        """
        found: dict[str, dict[str, float]] = {}
        for name, rank, series in self:
            if rank in (0, SYSTEM_RANK) and (rank == 0 or name not in found):
                found[name] = series.summary(best_direction(name, definitions or {}))
        return found

    def _limit(self, attempt: _Attempt) -> int | None:
        """Return the last step of an attempt that no later one of its rank has replayed; None for all."""
        if attempt.rank == SYSTEM_RANK:  # what the machine did in a step that was replayed it did all the same
            return None
        every = self._attempts.values()
        later = [a.cut for a in every if a.rank == attempt.rank and a.number > attempt.number]
        return min((cut for cut in later if cut is not None), default=None)


def load_scalars(folder: Path, *, is_over: bool = False) -> Scalars:
    """Read every scalar of a run, finished or live.

    Args:
        folder: The run's journal folder.
        is_over: Nobody writes to it any more: what follows the last whole frame of a file is damage.
    """
    scalars = Scalars()
    for place, path in enumerate(journal_files(folder)):
        try:
            found = _collect(path, place, scalars, is_over=is_over)
        except FileNotFoundError:
            continue  # a writer on a full disk took its empty file away again
        except JournalError as error:  # one file with a broken header must not hide the others
            found = [Damage(0, path.stat().st_size, error.message)]
        if found:
            scalars.damage[path.name] = found
    return scalars


def _collect(path: Path, place: int, scalars: Scalars, *, is_over: bool) -> list[Damage]:
    """Add what a file holds; return its damage."""
    reader = JournalReader(path)
    try:
        _read_all(reader, place, scalars)
        return reader.damage + (reader.torn if is_over else [])
    finally:
        reader.close()


def _read_all(reader: JournalReader, place: int, scalars: Scalars) -> None:
    rank = JournalName.parse(reader.path).rank
    number, before = 1, -1
    attempt: _Attempt | None = None
    while reader.offset != before:
        before = reader.offset
        blocks, records = read_columns(reader.read_bodies(), reader.keys)
        for record in records:
            number = _number(record.payload, number) if _is(record, "open") else number
        attempt = scalars._attempts.setdefault((rank, number), _Attempt(number, rank))
        for record in records:
            if _is(record, "resume") and record.step is not None:
                attempt.resumed_after = record.step
        for block in blocks:
            order = ((((number << _FILES) + place) << _SEQUENCES) + block.seq).astype(np.int64)
            part = _Part(block, order, attempt)
            attempt.account(block, order)
            for column, name in enumerate(block.keys):
                scalars._parts.setdefault((name, rank), []).append((part, column))


def _is(record: Record, key: str) -> bool:
    return record.kind == Kind.LIFECYCLE and record.key == key


def _number(payload: Mapping[str, object], known: int) -> int:
    number = payload.get("attempt", known)
    return number if isinstance(number, int) and 0 < number < 1 << _FILES - 2 else known


def _kept(part: _Part, column: int, limit: int | None) -> tuple[Integers, Integers, Floats, Floats]:
    block = part.block
    arrays = part.order, block.step, block.time, block.values[column]
    if limit is None:
        return arrays
    mask = block.step <= limit
    order, step, time, value = arrays
    return order[mask], step[mask], time[mask], value[mask]
