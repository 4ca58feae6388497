"""The `tracking` section as a script gives it to `start_run`, looked at without pydantic: training does not load it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from burnish.core.errors import UsageError
from burnish.core.nearest import nearest
from burnish.track.shipping import check_sinks, read_sinks
from burnish.track.tiers import Tier

REASONS: Final = ("nan", "crash", "stall", "finished", "alert")
_KEYS: Final = ("sinks", "tiers", "system_every_s", "alerts", "linger_s")
_ALERT_KEYS: Final = ("on", "to", "stall_s")


def checked_tracking(tracking: Mapping[str, object]) -> dict[str, object]:
    """Return a section in which each part has its shape; a word stands for a list of one.

    Raises:
        UsageError: A key, a tier or a reason is unknown, or a value cannot be.
    """
    _known(tracking, _KEYS, "tracking")
    checked = dict(tracking)
    for key in ("system_every_s", "linger_s"):
        if key in checked:
            checked[key] = _seconds(checked[key], key)
    if "sinks" in checked:
        check_sinks(checked["sinks"])
        checked["sinks"] = read_sinks(checked["sinks"])
    if "tiers" in checked:
        tiers = checked["tiers"]
        if not isinstance(tiers, list | tuple):
            raise UsageError(f"tiers: should be a list, not {tiers!r}")
        for tier in tiers:
            Tier.read(tier)
        checked["tiers"] = list(tiers)
    if "alerts" in checked:
        checked["alerts"] = _alerts(checked["alerts"])
    return checked


def _alerts(content: object) -> dict[str, object]:
    if not isinstance(content, Mapping):
        raise UsageError(f"alerts: should be a mapping, not {content!r}", hint='such as {"on": ["nan", "crash"]}')
    _known(content, _ALERT_KEYS, "alerts")
    checked = dict(content)
    for key in ("on", "to"):
        if key in checked:
            checked[key] = _words(checked[key], f"alerts.{key}")
    for reason in checked.get("on", ()):
        if reason not in REASONS:
            best = nearest(reason, REASONS)
            hint = f"did you mean {best!r}?" if best else f"there are {', '.join(REASONS)}"
            raise UsageError(f"alerts.on: no reason {reason!r}", hint=hint)
    if "stall_s" in checked:
        checked["stall_s"] = _seconds(checked["stall_s"], "alerts.stall_s")
    return checked


def _known(content: Mapping[str, object], keys: tuple[str, ...], where: str) -> None:
    for key in content:
        if key not in keys:
            best = nearest(str(key), keys)
            hint = f"did you mean {best!r}?" if best else f"there are {', '.join(keys)}"
            raise UsageError(f"{where}: unknown key {key!r}", hint=hint)


def _words(content: object, where: str) -> list[str]:
    if isinstance(content, str):
        return [content]
    if isinstance(content, list | tuple) and all(isinstance(word, str) for word in content):
        return list(content)
    raise UsageError(f"{where}: should be words, not {content!r}")


def _seconds(content: object, where: str) -> float:
    if isinstance(content, bool) or not isinstance(content, int | float) or not content >= 0:
        raise UsageError(f"{where}: should be seconds, at least 0, not {content!r}")
    return float(content)
