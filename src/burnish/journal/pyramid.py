"""Any window of a metric at the width of a screen, without touching each point.

Minimum, maximum and mean of sixteen points, of sixteen of those groups, and so on. The extremes of a window are
exact, so that a spike of one point is never drawn over; the mean is kept too, since smoothing extremes would be
dishonest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from burnish.journal.columns import Floats, Integers

FACTOR = 16
_SMALL = 2.0**-64  # of which so many times the greatest number, as there can be points, is a number
_FINER = 4  # groups of a level for each that is shown
PointReader = Callable[[int, int], tuple[Integers, Floats]]
"""Returns steps and values of the points from one place to before another."""


@dataclass(frozen=True, slots=True)
class Nodes:
    """Consecutive groups of points, one entry a group; arrays of shape (n,).

    Attributes:
        first: Step of the first point.
        last: Step of the last point.
        low: Least finite value; NaN where there is none, and so for `high` and `mean`.
        high: Greatest finite value.
        mean: Mean of the finite values.
        count: How many finite values there are.
        nonfinite: How many are NaN or infinite.
    """

    first: Integers
    last: Integers
    low: Floats
    high: Floats
    mean: Floats
    count: Integers
    nonfinite: Integers

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, part: slice) -> Nodes:
        return Nodes(*(array[part] for array in self.arrays))

    @property
    def arrays(self) -> list[npt.NDArray[Any]]:
        """The columns, in the order of the fields."""
        return [self.first, self.last, self.low, self.high, self.mean, self.count, self.nonfinite]

    @classmethod
    def of(cls, step: Integers, value: Floats) -> Nodes:
        """Return one group a point."""
        finite = np.isfinite(value)
        held = np.where(finite, value, np.nan) if not finite.all() else value
        count = finite.astype(np.int64)
        return cls(step, step, held, held, held, count, 1 - count)

    def reduced(self, starts: Integers) -> Nodes:
        """Return the groups joined into larger ones.

        Args:
            starts: Where each larger group begins, ascending from 0; shape (m,).
        """
        if not len(starts):
            return self[:0]
        ends = np.append(starts[1:], len(self)) - 1
        low, high = np.fmin.reduceat(self.low, starts), np.fmax.reduceat(self.high, starts)
        count = np.add.reduceat(self.count, starts)
        return Nodes(
            self.first[starts],
            self.last[ends],
            low,
            high,
            self._means(starts, count, low, high),
            count,
            np.add.reduceat(self.nonfinite, starts),
        )

    def _means(self, starts: Integers, count: Integers, low: Floats, high: Floats) -> Floats:
        """Return the mean of each larger group, also of values whose sum is greater than any number."""
        held = np.where(self.count > 0, self.mean, 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            total = np.add.reduceat(held * self.count, starts)
            mean: Floats = np.divide(total, count, out=np.full(len(starts), np.nan), where=count > 0)
            over = ~np.isfinite(total)
            if over.any():
                small = np.add.reduceat(held * _SMALL * self.count, starts)[over]
                mean[over] = np.clip(small / count[over] / _SMALL, low[over], high[over])
        return mean

    def joined(self, other: Nodes) -> Nodes:
        """Return these and then others."""
        return Nodes(*(np.concatenate(pair) for pair in zip(self.arrays, other.arrays, strict=True)))


class Pyramid:
    """Levels of groups over the points of one metric, whose steps never go back.

    Args:
        levels: Level k holds groups of 16^(k+1) points, the last one of what is left over.
        size: How many points there are.
    """

    def __init__(self, levels: list[Nodes], size: int) -> None:
        self.levels = levels
        self.size = size

    @classmethod
    def build(cls, step: Integers, value: Floats) -> Pyramid:
        """Return the pyramid of points ordered by step, shape (n,) each."""
        levels: list[Nodes] = []
        nodes = Nodes.of(step, value)
        while len(nodes) > 1:
            nodes = nodes.reduced(np.arange(0, len(nodes), FACTOR))
            levels.append(nodes)
        return cls(levels, len(step))

    def window(self, points: PointReader, first: int | None, last: int | None, width: int) -> Nodes:
        """Return at most `width` groups that cover the steps from `first` to `last`, both included.

        Args:
            points: Reads points where the window is too narrow for any level.
            first: The first step; None for the beginning.
            last: The last step; None for the end.
            width: How many groups are wanted: the pixels of a chart, at least 1.
        """
        for nodes in reversed(self.levels):
            start, end = _between(nodes, first, last)
            if end - start >= _FINER * width:
                # The groups at both edges may reach beyond the window: by a fraction of a pixel.
                return _fitted(nodes[start:end], width)
        start, end = _between(self.levels[0], first, last) if self.levels else (0, -(-self.size // FACTOR))
        step, value = points(start * FACTOR, min(end * FACTOR, self.size))
        low = 0 if first is None else int(np.searchsorted(step, first, "left"))
        high = len(step) if last is None else int(np.searchsorted(step, last, "right"))
        return _fitted(Nodes.of(step[low:high], value[low:high]), width)


def _between(nodes: Nodes, first: int | None, last: int | None) -> tuple[int, int]:
    start = 0 if first is None else int(np.searchsorted(nodes.last, first, "left"))
    end = len(nodes) if last is None else int(np.searchsorted(nodes.first, last, "right"))
    return start, max(start, end)


def _fitted(nodes: Nodes, width: int) -> Nodes:
    if len(nodes) <= width:
        return nodes
    return nodes.reduced(np.unique(np.arange(width, dtype=np.int64) * len(nodes) // width))


class GrowingPyramid:
    """A pyramid over points that still come. Each point is touched once on each level.

    The points are kept, too, so that a live run can be looked at closely.
    """

    def __init__(self) -> None:
        self._points = _Buffer((np.int64, np.float64))
        self._levels: list[_Buffer] = []

    def __len__(self) -> int:
        return len(self._points)

    def extend(self, step: Integers, value: Floats) -> None:
        """Add points, shape (n,) each; those whose step lies before what is there are put where they belong."""
        if not len(step):
            return
        known, values = self._points.arrays
        start = int(np.searchsorted(known, step.min(), "right"))
        if start < len(known) or not bool(np.all(step[1:] >= step[:-1])):
            step, value = np.concatenate([known[start:], step]), np.concatenate([values[start:], value])
            order = np.argsort(step, kind="stable")
            step, value = step[order], value[order]
        self._points.put(start, (step, value))
        self._rebuild(start)

    def truncate(self, last: int) -> None:
        """Take away the points beyond a step, which a resumed attempt replays."""
        known, _ = self._points.arrays
        start = int(np.searchsorted(known, last, "right"))
        self._points.put(start, (known[:0], known[:0]))
        self._rebuild(start)

    def points(self, start: int, end: int) -> tuple[Integers, Floats]:
        """Return steps and values of the points from one place to before another."""
        step, value = self._points.arrays
        return step[start:end], value[start:end]

    def window(self, first: int | None, last: int | None, width: int) -> Nodes:
        """Return at most `width` groups. See `Pyramid.window`."""
        return Pyramid([Nodes(*level.arrays) for level in self._levels], len(self)).window(
            self.points, first, last, width
        )

    def _rebuild(self, start: int) -> None:
        """Make the groups anew that hold the points from a place on; those before it stay."""
        below = Nodes.of(*self.points(start // FACTOR * FACTOR, len(self)))
        size, number = len(self), 0
        while size > 1:
            start, size = start // FACTOR, -(-size // FACTOR)
            if number == len(self._levels):
                self._levels.append(_Buffer((*[np.int64] * 2, *[np.float64] * 3, *[np.int64] * 2)))
            level = self._levels[number]
            level.put(start, below.reduced(np.arange(0, len(below), FACTOR)).arrays)
            below, number = Nodes(*level.arrays)[start // FACTOR * FACTOR :], number + 1
        del self._levels[number:]


class _Buffer:
    """Columns of equal length that grow at their end: doubled when full, so that adding costs a constant."""

    def __init__(self, kinds: Sequence[type[np.generic]]) -> None:
        self._columns = [np.empty(FACTOR, kind) for kind in kinds]
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def arrays(self) -> list[npt.NDArray[Any]]:
        """Views of what is there."""
        return [column[: self._size] for column in self._columns]

    def put(self, start: int, arrays: Sequence[npt.NDArray[Any]]) -> None:
        """Replace all that stands from a place on; a view taken before keeps showing rows that were not replaced."""
        size = start + len(arrays[0])
        if size > len(self._columns[0]):
            self._columns = [_enlarged(column, start, max(size, 2 * len(column))) for column in self._columns]
        for column, array in zip(self._columns, arrays, strict=True):
            column[start:size] = array
        self._size = size


def _enlarged(column: npt.NDArray[Any], kept: int, size: int) -> npt.NDArray[Any]:
    larger = np.empty(size, column.dtype)
    larger[:kept] = column[:kept]
    return larger
