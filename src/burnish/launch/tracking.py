"""What `run.json` says about how a run is watched: its `tracking` section, whatever shape it has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from burnish.core.shape import section, words


@dataclass(frozen=True, slots=True)
class Tracking:
    """How a run is watched.

    Attributes:
        system_every_s: Seconds between two samples of system metrics; 0 for none.
        linger_s: How long finishing may wait for the sinks.
        alerts_on: The reasons for which someone is told.
        alerts_to: The channels by which.
        stall_s: Silence of a living training process that is a stall.
    """

    system_every_s: float = 10.0
    linger_s: float = 60.0
    alerts_on: frozenset[str] = frozenset()
    alerts_to: tuple[str, ...] = ("console",)
    stall_s: float = 600.0

    @classmethod
    def of(cls, record: Mapping[str, object]) -> Self:
        """Read the section of a record; what it lacks, or says in another shape, is as by default."""
        told = section(record, "tracking")
        alerts = section(told, "alerts")
        return cls(
            system_every_s=_seconds(told, "system_every_s", 10.0),
            linger_s=_seconds(told, "linger_s", 60.0),
            alerts_on=frozenset(words(alerts, "on")),
            alerts_to=tuple(dict.fromkeys(words(alerts, "to"))) if "to" in alerts else ("console",),
            stall_s=_seconds(alerts, "stall_s", 600.0),
        )


def _seconds(told: Mapping[str, object], key: str, default: float) -> float:
    value = told.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return default
    return max(0.0, float(value))
