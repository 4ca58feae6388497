"""All scalars of a run, metric by metric, with the steps that a resumed attempt replayed shown once, the newer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from burnish.core.errors import JournalError
from burnish.journal.columns import Block, Floats, Integers, read_columns
from burnish.journal.direction import best_direction
from burnish.journal.frame import Damage
from burnish.journal.reader import SYSTEM_RANK, JournalName, JournalReader, journal_files
from burnish.journal.replay import Replays


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
class Scalars:
    """The scalars of a run. Metrics are taken out one by one, so that not all are in memory twice.

    Attributes:
        damage: What could not be read, by file name.
    """

    damage: dict[str, list[Damage]] = field(default_factory=dict)
    _parts: dict[tuple[str, int], list[tuple[JournalName, Block, int]]] = field(default_factory=dict)
    _replays: Replays = field(default_factory=Replays)

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
        files: dict[JournalName, list[tuple[Block, int]]] = {}
        for file, block, column in self._parts.get((name, rank), ()):
            files.setdefault(file, []).append((block, column))
        pieces = [self._of_file(file, files[file]) for file in sorted(files, key=self._replays.place)]
        if not pieces:
            return Series(np.empty(0, np.int64), np.empty(0, np.float64), np.empty(0, np.float64))
        return Series(*(np.concatenate(arrays) for arrays in zip(*pieces, strict=True)))

    def _of_file(self, file: JournalName, parts: Sequence[tuple[Block, int]]) -> tuple[Integers, Floats, Floats]:
        """Return steps, times and values that a file holds of one metric, in the order in which they were logged."""
        pieces = [self._rows(file, block, column) for block, column in parts]
        seq, step, time, value = pieces[0] if len(pieces) == 1 else map(np.concatenate, zip(*pieces, strict=True))
        if bool(np.all(seq[1:] > seq[:-1])):
            return step, time, value
        order = np.argsort(seq, kind="stable")  # two key sets share the metric
        return step[order], time[order], value[order]

    def _rows(self, file: JournalName, block: Block, column: int) -> tuple[Integers, Integers, Floats, Floats]:
        """Return sequence numbers, steps, times and values of the rows of a block that count."""
        mask = self._replays.mask(file, block)
        kept = slice(None) if mask is None else mask
        return block.seq[kept], block.step[kept], block.time[kept], block.values[column][kept]

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


def load_scalars(folder: Path, *, is_over: bool = False) -> Scalars:
    """Read every scalar of a run, finished or live.

    Args:
        folder: The run's journal folder.
        is_over: Nobody writes to it any more: what follows the last whole frame of a file is damage.
    """
    scalars = Scalars()
    for path in journal_files(folder):
        try:
            found = _collect(path, scalars, is_over=is_over)
        except FileNotFoundError:
            continue  # a writer on a full disk took its empty file away again
        except JournalError as error:  # one file with a broken header must not hide the others
            found = [Damage(0, path.stat().st_size, error.message)]
        if found:
            scalars.damage[path.name] = found
    return scalars


def _collect(path: Path, scalars: Scalars, *, is_over: bool) -> list[Damage]:
    """Add what a file holds; return its damage."""
    reader = JournalReader(path)
    try:
        _read_all(reader, scalars)
        return reader.damage + (reader.torn if is_over else [])
    finally:
        reader.close()


def _read_all(reader: JournalReader, scalars: Scalars) -> None:
    name, before = JournalName.parse(reader.path), -1
    while reader.offset != before:
        before = reader.offset
        blocks, records = read_columns(reader.read_bodies(), reader.keys)
        scalars._replays.take(name, blocks, records)
        for block in blocks:
            for column, metric in enumerate(block.keys):
                scalars._parts.setdefault((metric, name.rank), []).append((name, block, column))
