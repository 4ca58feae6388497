"""Which checkpoints to keep: a pure function over their manifests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from burnish.checkpoint.manifest import Manifest

Direction = Literal["min", "max"]


@dataclass(frozen=True, slots=True)
class Retention:
    """Keep the newest few and the best one.

    Attributes:
        keep_last: How many of the newest to keep, at least 1.
        metric: The metric that says which is best; empty for none.
        direction: Whether a lower or a higher value is better.
    """

    keep_last: int = 2
    metric: str = ""
    direction: Direction = "max"

    def best(self, manifests: Sequence[Manifest]) -> Manifest | None:
        """Return the best checkpoint, of equals the newest; None when none has the metric."""
        sign = 1.0 if self.direction == "max" else -1.0
        scored = [m for m in manifests if math.isfinite(m.metrics.get(self.metric, math.nan))]
        return max(scored, key=lambda m: (sign * m.metrics[self.metric], m.step), default=None)

    def surplus(self, manifests: Sequence[Manifest]) -> list[int]:
        """Return the steps of the checkpoints that may be deleted, oldest first."""
        newest = sorted(m.step for m in manifests)[-max(1, self.keep_last) :]
        best = self.best(manifests)
        kept = {*newest, *([best.step] if best else [])}
        return sorted(m.step for m in manifests if m.step not in kept)
