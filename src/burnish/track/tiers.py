"""Which logged values are recorded: key metrics at full rate, others by a rule. Decided where they are logged.

Pure: steps and times come in. A value that is not finite is never dropped, so the journal says of every step
whether something was NaN or infinite. The last value that a rule dropped is kept, to be written at a checkpoint and
at the end.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import isfinite
from typing import Final

from burnish.core.errors import UsageError

_log = logging.getLogger(__name__)
_RULES: Final = ("every", "every_s", "per_decade", "on_change")
_MOST_PLANS = 4096  # a name that holds the step would otherwise fill the memory


@dataclass(frozen=True, slots=True)
class Tier:
    """How often metrics of some names are recorded. Exactly one of the rules is set.

    Attributes:
        patterns: Names, or shell patterns such as `grad/*`.
        every: One value in so many steps: the first at or after each multiple.
        every_s: One value in so many seconds.
        per_decade: So many steps between 10 and 100, between 100 and 1000 and so on.
        on_change: A value that differs from the last one recorded.
    """

    patterns: tuple[str, ...]
    every: int = 0
    every_s: float = 0.0
    per_decade: int = 0
    on_change: bool = False

    @property
    def name(self) -> str:
        """What drops are counted under."""
        return ", ".join(self.patterns)

    def covers(self, metric: str) -> bool:
        """Return whether a metric is one of these."""
        return any(fnmatchcase(metric, pattern) for pattern in self.patterns)

    @classmethod
    def read(cls, content: object) -> Tier:
        """Return the tier that a mapping describes, in the words of the config's `tracking.tiers`.

        Raises:
            UsageError: It describes none.
        """
        told = content if isinstance(content, Mapping) else {}
        metrics = told.get("metrics")
        patterns = (metrics,) if isinstance(metrics, str) else tuple(metrics) if isinstance(metrics, list) else ()
        rules = {name: told[name] for name in _RULES if told.get(name) not in (None, False)}
        numbers = all(isinstance(value, int | float) and value > 0 for value in rules.values())
        if not patterns or not all(isinstance(p, str) for p in patterns) or len(rules) != 1 or not numbers:
            hint = 'such as {"metrics": "grad/*", "every": 10}, or every_s, per_decade, on_change'
            raise UsageError(f"{content!r} is no tier", hint=hint)
        return cls(patterns, **rules)


class _Metric:
    """What the rule of one metric remembers: what was last recorded, and from when on the next may be."""

    __slots__ = ("at", "dropped", "name", "step", "tier", "until", "value")

    def __init__(self, name: str, tier: Tier) -> None:
        self.name = name
        self.tier = tier
        self.step = -1  # of the last value recorded
        self.until = -1.0  # steps or seconds before this are dropped
        self.value = 0.0
        self.at = 0.0
        self.dropped: tuple[int, float, float] | None = None  # step, time and value of the last that was dropped

    def takes(self, value: float, step: int, at: float) -> bool:
        """Return whether a value is recorded, and remember that it was or was not."""
        tier = self.tier
        if step < self.step or at < self.at:
            self.until = -1.0  # training went back to an earlier step, or the clock was set back
        is_due = (at if tier.every_s else step) >= self.until
        kept = (value != self.value or self.step < 0) if tier.on_change else is_due
        if not kept and isfinite(value):
            self.dropped = (step, at, value)
            return False
        self.step, self.at, self.value, self.dropped = step, at, value, None
        if tier.every:
            self.until = (step // tier.every + 1) * tier.every
        elif tier.every_s:
            self.until = at + tier.every_s
        elif tier.per_decade:
            self.until = max(step + 1, step * 10 ** (1 / tier.per_decade))
        return True


class Tiers:
    """The rules of one process and what they remember.

    Args:
        tiers: The rules; of those that cover a metric the first counts. A metric that none covers is recorded always.
    """

    def __init__(self, tiers: Sequence[Tier]) -> None:
        self._tiers = tuple(tiers)
        self._metrics: dict[str, _Metric | None] = {}
        self._plans: dict[tuple[str, ...], tuple[_Metric | None, ...] | None] = {}
        self.counts: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._tiers)

    def select(
        self, keys: tuple[str, ...], values: tuple[float, ...], step: int, at: float
    ) -> tuple[tuple[str, ...], tuple[float, ...]]:
        """Return the part of a row that is recorded.

        Args:
            keys: The metrics' names.
            values: Their values.
            step: The training step.
            at: Wall clock, seconds since the epoch.
        """
        plan = self._plans[keys] if keys in self._plans else self._plan(keys)
        if plan is None:
            return keys, values
        kept: list[int] = []
        for number, metric in enumerate(plan):
            if metric is None or metric.takes(values[number], step, at):
                kept.append(number)
            else:
                self.counts[metric.tier.name] += 1
        if len(kept) == len(keys):
            return keys, values
        return tuple(keys[number] for number in kept), tuple(values[number] for number in kept)

    def wants(self, name: str, step: int, at: float) -> bool:
        """Return whether anything that is no scalar (a histogram, an image) is recorded under a name."""
        metric = self._metric(name)
        if metric is None or metric.takes(float(step) if metric.tier.on_change else 0.0, step, at):
            return True
        metric.dropped = None  # only a scalar can be written later
        self.counts[metric.tier.name] += 1
        return False

    def withheld(self) -> dict[tuple[int, float], dict[str, float]]:
        """Return the last dropped value of each metric, by step and time, and forget them."""
        rows: dict[tuple[int, float], dict[str, float]] = {}
        for metric in list(self._metrics.values()):
            if metric is not None and metric.dropped is not None:
                step, at, value = metric.dropped
                rows.setdefault((step, at), {})[metric.name] = value
                metric.dropped = None
        return dict(sorted(rows.items()))

    def _plan(self, keys: tuple[str, ...]) -> tuple[_Metric | None, ...] | None:
        metrics = tuple(map(self._metric, keys))
        if len(self._plans) >= _MOST_PLANS:
            self._plans.clear()
        self._plans[keys] = plan = metrics if any(metrics) else None
        return plan

    def _metric(self, name: str) -> _Metric | None:
        if name not in self._metrics:
            tier = next((tier for tier in self._tiers if tier.covers(name)), None)
            if tier is None:
                return None  # not kept: there may be ever new names, and the plans remember
            self.counts.setdefault(tier.name, 0)
            self._metrics[name] = _Metric(name, tier)
        return self._metrics[name]


def read_tiers(tracking: Mapping[str, object]) -> Tiers:
    """Return the tiers that a `tracking` section describes; one that is none is told and left out."""
    found: list[Tier] = []
    for one in _described(tracking):
        try:
            found.append(Tier.read(one))
        except UsageError as error:
            _log.warning("%s; it is left out", error.message)
    return Tiers(found)


def _described(tracking: Mapping[str, object]) -> Sequence[object]:
    content = tracking.get("tiers")
    return content if isinstance(content, list | tuple) else ()
