"""The rows that every way into a tracker is given, and the comparison with what the tracker shows."""

from __future__ import annotations

import struct
import sys
from collections import Counter
from collections.abc import Iterable

from benchmarks._recorders.base import NAMES, row_of

BEGAN = 1_790_000_000.0
"""Seconds since the epoch; the rows follow each other by hundredths of a second, since MLflow counts milliseconds."""

Point = tuple[str, int, float]


def time_of(step: int) -> float:
    """Return the time of a row."""
    return BEGAN + step / 100


def compare(title: str, shown: Iterable[Point], steps: int, *, single_precision: bool) -> int:
    """Compare what a tracker shows with the rows of the first steps; return the number of points.

    Raises:
        SystemExit: A point is missing, or there twice, or another one.
    """
    found, wanted = Counter(shown), Counter(_points(steps, single_precision=single_precision))
    if found != wanted:
        missing, more = wanted - found, found - wanted
        example = next(iter(missing or more))
        sys.exit(f"{title}: {missing.total():,} points are missing and {more.total():,} too many, such as {example}")
    return found.total()


def _points(steps: int, *, single_precision: bool) -> Iterable[Point]:
    for step in range(steps):
        row = row_of(step)
        for name in NAMES:
            value = row[name]
            yield name, step, struct.unpack("f", struct.pack("f", value))[0] if single_precision else value
