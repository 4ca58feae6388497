"""How the value of a metric is written: a number as it is, bytes in units that can be read."""

from __future__ import annotations

import math

from burnish.track.markdown import size

_BYTES = "_bytes"
_BYTES_PER_S = "_bytes_per_s"


def quantity(metric: str, value: object) -> str:
    """Return a value of a metric for people; empty where there is none.

    >>> quantity("train/loss", 0.12345678), quantity("system/disk_free_bytes", 82e9), quantity("net_bytes_per_s", 2048)
    ('0.123457', '76.4 GiB', '2.0 KiB/s')
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    is_rate = metric.endswith(_BYTES_PER_S)
    if not (is_rate or metric.endswith(_BYTES)) or not math.isfinite(value):
        return f"{value:.6g}"
    sign = "-" if value < 0 else ""
    return f"{sign}{size(round(abs(value)))}{'/s' if is_rate else ''}"
