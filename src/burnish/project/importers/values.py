"""Values of other tools as numbers, steps and times; None for what is none of these. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

_WORDS: Final = {"nan": math.nan, "infinity": math.inf, "-infinity": -math.inf, "inf": math.inf, "-inf": -math.inf}
_END_OF_TIME: Final = 253_402_300_800.0  # the year 10,000, which no date can show
_RELATIVE: Final = 1e8  # seconds: less is no date of a training, but a time since its start
_UNITS: Final = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3))
_LONGEST_NUMBER: Final = 60
_DEEPEST: Final = 20


def number(value: object) -> float | None:
    """Return a number as a float. A truth value is none; text is one where JSON has no other way to write it.

    >>> number(3), number("NaN"), number(True), number("3"), number(10**400)
    (3.0, nan, None, None, inf)
    """
    if isinstance(value, float):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return _WORDS.get(value.lower()) if isinstance(value, str) and len(value) < 10 else None


def number_in_text(text: str) -> float | None:
    """Return the number that a cell of a table holds.

    >>> number_in_text(" 1e-5 "), number_in_text("1_000"), number_in_text("-inf")
    (1e-05, None, -inf)
    """
    if "_" in text or len(text) > _LONGEST_NUMBER:
        return None
    try:
        return float(text)
    except ValueError:
        return None


def whole(value: object) -> int | None:
    """Return a number that can be a step: whole, and of 64 bits.

    >>> whole(3.0), whole("12"), whole(0.5), whole(float("nan")), whole(2**63)
    (3, 12, None, None, None)
    """
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.isdigit() and len(value) < 20 else number_in_text(value)
    if isinstance(value, float):
        value = int(value) if value.is_integer() else None
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if -(2**63) <= value < 2**63 else None


def moment(value: object) -> float | None:
    """Return a time in seconds: since the epoch, or since a start where it is that small.

    Numbers may be seconds, milli-, micro- or nanoseconds; text is ISO 8601, of UTC where it names no zone.

    >>> moment(1_700_000_000_000), moment("2023-11-14T22:13:20"), moment(12.5), moment("yesterday")
    (1700000000.0, 1700000000.0, 12.5, None)
    """
    if isinstance(value, str):
        if (found := number_in_text(value)) is None:
            return _iso(value)
        value = found
    seconds = number(value)
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return None
    seconds *= next((factor for least, factor in _UNITS if seconds >= least), 1.0)
    return seconds if seconds < _END_OF_TIME else None


def is_relative(seconds: float) -> bool:
    """Return whether a time counts from a start, not from the epoch."""
    return seconds < _RELATIVE


def can_be_time(seconds: float | None) -> bool:
    """Return whether a calendar has this time."""
    return seconds is not None and math.isfinite(seconds) and 0 <= seconds < _END_OF_TIME


def literal(text: str) -> object:
    """Return what a text says that was a value once, as MLflow keeps params.

    >>> [literal(text) for text in ("1e-5", "12", "True", "None", "adamw", "012")]
    [1e-05, 12, True, None, 'adamw', '012']
    """
    if text in ("True", "true", "False", "false"):
        return text in ("True", "true")
    if text in ("None", "null"):
        return None
    bare = text.removeprefix("-")
    if bare.isascii() and bare.isdigit():
        return int(text) if len(bare) < 19 and (bare == "0" or bare[0] != "0") else text
    found = number_in_text(text) if text and text == text.strip() else None
    return text if found is None or (bare.startswith("0") and not bare.startswith("0.")) else found


def flat(
    values: Mapping[str, object], joint: str, *, is_whole: Callable[[Mapping[str, object]], bool] = lambda value: False
) -> Iterator[tuple[str, object]]:
    """Yield nested values under joined names; what is too deep as it is.

    Args:
        values: The values.
        joint: What stands between two names.
        is_whole: Tells of an object whether it is one value.

    >>> list(flat({"a": 1, "b": {"c": 2}}, "/"))
    [('a', 1), ('b/c', 2)]
    """
    waiting = [(str(key), value, 0) for key, value in list(values.items())[::-1]]
    while waiting:
        name, value, depth = waiting.pop()
        if isinstance(value, dict) and depth < _DEEPEST and not is_whole(value):
            inner = list(value.items())[::-1]
            waiting += [(f"{name}{joint}{key}", item, depth + 1) for key, item in inner]
        else:
            yield name, value


def _iso(text: str) -> float | None:
    try:
        found = datetime.fromisoformat(text.strip())
        seconds = (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds if can_be_time(seconds) else None
