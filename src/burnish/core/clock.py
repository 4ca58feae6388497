"""Times as people read them: UTC, ISO 8601, and short durations."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime


class SteadyClock:
    """Seconds since the epoch that never go back: a wall clock that is set back goes on from where it was.

    Args:
        clock: The wall clock.
        not_before: A time that was told already.
    """

    def __init__(self, clock: Callable[[], float] = time.time, *, not_before: float = 0.0) -> None:
        self._clock = clock
        self._last = not_before
        self._ahead = 0.0
        self()

    def __call__(self) -> float:
        """Return the time."""
        now = self._clock()
        if now + self._ahead < self._last:
            self._ahead = self._last - now
        self._last = now + self._ahead
        return self._last


def iso(timestamp_s: float) -> str:
    """Return a Unix timestamp as ISO 8601 in UTC, to the millisecond.

    >>> iso(0)
    '1970-01-01T00:00:00.000Z'
    """
    moment = datetime.fromtimestamp(timestamp_s, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def duration(seconds: float) -> str:
    """Return a duration the way a person would say it.

    >>> duration(4.25), duration(75), duration(7384)
    ('4.2s', '1m15s', '2h03m')
    """
    seconds = max(0.0, seconds)  # two processes, or the clock was set back between them
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
