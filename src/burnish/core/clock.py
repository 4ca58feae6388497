"""Times as people read them: UTC, ISO 8601, and short durations."""

from __future__ import annotations

from datetime import UTC, datetime


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
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
