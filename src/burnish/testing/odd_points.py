"""Values, names and steps over which a tracker may stumble."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from burnish.testing.written_run import Row

VALUES: Final = (0.1, math.nan, math.inf, -math.inf, 0.0, -0.0, 1e300, -1e39, 5e-324, 1e16, 16777217.0)
NAMES: Final = (
    "loss", "LOSS", "train/loss", "reward mean", "Verlust 損失 🙂", "pass@4", "pass_at_4", "pass_4", "acc[0]", "a//b",
    "a/b", "/a", "a/", "../x", ".", "", "step", "metric/step", "_step", "time", "a\nb\tc", "a\0b", "%s {} $HOME",
    "x" * 10_000, "x" * 9_999 + "y", "a.b", "a_b", "'; --", "\\ud83d", '"',
)  # fmt: skip
STEPS: Final = (0, 1, 7, 5, 6, 10**6, 2**31, 2**53)


def rows(steps: Iterable[int], *, names: Iterable[str] = ("loss", "eval/score"), scale: int = 1) -> list[Row]:
    """Return rows; those whose step three divides are the same for every scale."""
    return [
        Row(step, {name: (1 if step % 3 == 0 else scale) * (step + place) / 4 for place, name in enumerate(names)})
        for step in steps
    ]
