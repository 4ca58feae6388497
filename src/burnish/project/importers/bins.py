"""Histograms of other tools as Burnish records them: counts between edges, and what follows from those."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise


def binned(edges: Sequence[float], counts: Sequence[float]) -> dict[str, object] | None:
    """Return a histogram; None where it is none. Mean and spread are those of the bins' middles.

    >>> binned([0.0, 1.0, 2.0], [1, 3])["mean"]
    1.25
    """
    if len(edges) != len(counts) + 1 or not counts or not all(map(math.isfinite, [*edges, *counts])):
        return None
    if any(right < left for left, right in pairwise(edges)) or min(counts) < 0:
        return None
    total = sum(counts)
    middles = [left / 2 + right / 2 for left, right in pairwise(edges)]
    mean = sum(m * (c / total) for m, c in zip(middles, counts, strict=True)) if total else None
    std = None
    if mean is not None:
        std = math.hypot(*((m - mean) * math.sqrt(c / total) for m, c in zip(middles, counts, strict=True)))
    return {
        "edges": list(edges),
        "counts": [_short(count) for count in counts],
        "count": _short(total),
        "nonfinite": 0,
        "min": edges[0] if total else None,
        "max": edges[-1] if total else None,
        "mean": mean,
        "std": std,
    }


def _short(value: float) -> int | float:
    return int(value) if float(value).is_integer() else value
