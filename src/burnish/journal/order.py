"""The order in which metrics are shown: what tells how good a model is first, and what would fill pages in one line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from burnish.journal.direction import best_direction

Definitions: TypeAlias = Mapping[str, Mapping[str, object]]
"""What the user said of metrics, by pattern: `metrics` of a `run.json`."""

_HELD_OUT: Final = frozenset({"eval", "evaluation", "val", "valid", "validation", "dev", "test", "heldout", "holdout"})
_TRAINING: Final = frozenset({"train", "training"})
_OF_THE_MACHINE: Final = ("phase", "system")
_MOST_ALIKE: Final = 4
"""So many metrics of one group without a direction are still shown one by one."""


@dataclass(frozen=True, slots=True)
class Fold:
    """Many metrics of one group, shown in one line.

    Attributes:
        prefix: What their names begin with, up to the first `/`.
        names: Their names.
    """

    prefix: str
    names: tuple[str, ...]

    @property
    def pattern(self) -> str:
        """The pattern that fits them."""
        return f"{self.prefix}/*"

    def __str__(self) -> str:
        return f"{self.pattern} ({len(self.names)} metrics)"


def ordered(names: Iterable[str], definitions: Definitions) -> list[str]:
    """Return names of metrics in the order in which they are shown.

    Measured on other data, then what has a direction that is better, then of training, then the rest; phases and the
    machine come last. Within each of these what has a direction comes first, then the alphabet decides.

    Args:
        names: The names.
        definitions: What the user said of them, by pattern.

    >>> ordered(["system/cpu", "grad_norm/a", "train/steps", "train/loss", "eval/runtime", "eval/acc"], {})
    ['eval/acc', 'eval/runtime', 'train/loss', 'train/steps', 'grad_norm/a', 'system/cpu']
    """
    return sorted(names, key=lambda name: _key(name, definitions))


def folded(names: Iterable[str], definitions: Definitions) -> list[str | Fold]:
    """Return names in order, those of a group that has many without a direction as one.

    What was measured on other data or is of training itself is never folded.

    >>> [str(shown) for shown in folded(["loss", *(f"grad_norm/{n}" for n in range(22))], {})]
    ['loss', 'grad_norm/* (22 metrics)']
    """
    found = ordered(names, definitions)
    alike: dict[str, list[str]] = {}
    for name in found:
        if prefix := _may_fold(name, definitions):
            alike.setdefault(prefix, []).append(name)
    many = {prefix: Fold(prefix, tuple(group)) for prefix, group in alike.items() if len(group) > _MOST_ALIKE}
    shown: list[str | Fold] = []
    for name in found:
        fold = many.get(_may_fold(name, definitions))
        if fold is None:
            shown.append(name)
        elif name == fold.names[0]:
            shown.append(fold)
    return shown


def groups(names: Iterable[str]) -> list[str]:
    """Return names, those with the same beginning as one, with how many they are: for people who look for a pattern.

    >>> groups(["train/lr", "loss", "train/loss"])
    ['loss', 'train/* (2)']
    """
    found: dict[str, int] = {}
    for name in names:
        prefix, slash, _ = name.partition("/")
        key = f"{prefix}/*" if slash else name
        found[key] = found.get(key, 0) + 1
    return [f"{key} ({count})" if count > 1 or key.endswith("/*") else key for key, count in sorted(found.items())]


def _key(name: str, definitions: Definitions) -> tuple[int, bool, str]:
    prefix = _prefix(name)
    has_no_direction = not best_direction(name, definitions)
    if prefix in _OF_THE_MACHINE:
        rank = 4 + _OF_THE_MACHINE.index(prefix)
    elif _is_held_out(prefix):
        rank = 0
    elif not has_no_direction:
        rank = 1
    else:
        rank = 2 if prefix in _TRAINING else 3
    return rank, has_no_direction, name


def _may_fold(name: str, definitions: Definitions) -> str:
    """Return the group into which a metric may be folded, empty where it may not."""
    prefix = _prefix(name)
    is_important = _is_held_out(prefix) or prefix in _TRAINING or best_direction(name, definitions)
    return "" if is_important else prefix


def _prefix(name: str) -> str:
    prefix, slash, _ = name.partition("/")
    return prefix if slash else ""


def _is_held_out(prefix: str) -> bool:
    """Return whether a group is of other data than training's: `eval`, `val`, `eval_long`, `test-2`."""
    return prefix.lower().replace("-", "_").split("_")[0] in _HELD_OUT
