"""How far pairs of runs show that one kind is slower than another: a ratio, and what it may as well be.

The interval is Student's, of the logarithms of the pairs' ratios. A bootstrap over so few pairs is too narrow: in a
trial with normal logarithms its 95 % were 86 % with four pairs and 92 % with six, even when expanded for their number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from statistics import fmean, stdev

_LEAST_PAIRS = 3
_STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
"""97.5 % quantiles by degrees of freedom, from one on; the last holds for more, and is a little too wide there."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """A geometric mean of the ratios of pairs, with a 95 % interval.

    Attributes:
        value: The mean.
        low: Where the interval begins; None where there are too few pairs to say.
        high: Where it ends.
        pairs: The ratio of each pair.
    """

    value: float
    low: float | None
    high: float | None
    pairs: tuple[float, ...]

    def verdict(self, budget: float) -> str:
        """Say whether the ratio exceeds 1 by no more than a budget."""
        if self.low is None or self.high is None or self.low <= 1 + budget < self.high:
            return "not enough evidence"
        return "within" if self.high <= 1 + budget else "above"


def ratio_of(pairs: Sequence[tuple[float, float]]) -> Ratio:
    """Return how much larger the first of each pair is than the second."""
    ratios = tuple(first / second for first, second in pairs)
    logs = [log(ratio) for ratio in ratios]
    middle = fmean(logs)
    if len(logs) < _LEAST_PAIRS:
        return Ratio(exp(middle), None, None, ratios)
    half = _STUDENT[min(len(logs) - 1, len(_STUDENT)) - 1] * stdev(logs) / sqrt(len(logs))
    return Ratio(exp(middle), exp(middle - half), exp(middle + half), ratios)
