"""How sure one can be of a share measured on a few hundred examples."""

from __future__ import annotations

import math
from collections.abc import Sequence

_Z95 = 1.959964


def wilson(share_right: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share that was measured on n examples (Wilson 1927).

    >>> low, high = wilson(0.5, 100)
    >>> round(low, 3), round(high, 3)
    (0.404, 0.596)
    """
    z2 = _Z95**2
    middle = (share_right + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * math.sqrt(share_right * (1 - share_right) / n + z2 / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def difference(before: float, after: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval of the change between two shares (Newcombe 1998, method 10).

    Both are measured on the same n examples; taking them as independent makes the interval wider, not narrower,
    than it need be.
    """
    low_b, high_b = wilson(before, n)
    low_a, high_a = wilson(after, n)
    delta = after - before
    return (
        delta - math.sqrt((after - low_a) ** 2 + (high_b - before) ** 2),
        delta + math.sqrt((high_a - after) ** 2 + (before - low_b) ** 2),
    )


def change(what: str, before: float, after: float, n: int) -> str:
    """Return a clause that says how a share moved, and whether that is more than chance.

    >>> change("accuracy", 0.5, 0.9, 200)
    'accuracy rose from 50.0 % to 90.0 % (by 32 to 48 points with 95 % confidence, n = 200)'
    >>> change("accuracy", 0.5, 0.52, 200)
    'accuracy went from 50.0 % to 52.0 %, which 200 examples cannot tell from no change'
    """
    low, high = difference(before, after, n)
    if low <= 0 <= high:
        return f"{what} went from {share(before)} to {share(after)}, which {n} examples cannot tell from no change"
    verb = "rose" if after > before else "fell"
    small, large = sorted((abs(low), abs(high)))
    span = f"by {100 * small:.0f} to {100 * large:.0f} points with 95 % confidence, n = {n}"
    return f"{what} {verb} from {share(before)} to {share(after)} ({span})"


def share(value: float) -> str:
    """Return a share in per cent."""
    return f"{100 * value:.1f} %"


def mean_of_ends(values: Sequence[float], width: int) -> tuple[float, float]:
    """Return the means of the first and of the last few values."""
    head, tail = values[:width], values[-width:]
    return sum(head) / len(head), sum(tail) / len(tail)
