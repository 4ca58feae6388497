"""What a query calls things: `state`, `config.training.learning_rate`, `summary['eval/loss'].min`."""

from __future__ import annotations

import ast
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from keyword import iskeyword
from typing import Final

from burnish.core.errors import UsageError
from burnish.core.nearest import nearest, nearest_path
from burnish.journal.facts import FIELDS, STATISTICS, Value
from burnish.journal.index_view import CONFIG, SUMMARY, Column, IndexView
from burnish.journal.record import LIVE

TOOK = "took"
KNOWN: Final = (*FIELDS[: (_after := FIELDS.index("ended") + 1)], TOOK, *FIELDS[_after:])
"""What can be asked of every run, in the order in which it is shown: `FIELDS`, and how many seconds it took."""

ALIASES: Final = {"tries": "attempts", "when": "created"}
"""What the columns of `burnish ls` are called, where that is not the name of the field."""

_MOSTLY_NONE: Final = {"loss": "the last train/loss, or loss", "best": "the best value of a metric named eval/…"}
_SHOWN_NAMES = 6


@dataclass(frozen=True, slots=True)
class Field:
    """Something known of every run."""

    name: str

    def __str__(self) -> str:
        return self.name

    def column(self, view: IndexView, among: Sequence[int] | None = None) -> Column:
        """Return its value for every run, at least for those that are named."""
        if self.name == TOOK:
            started, ended, states = (view.field(name, among) for name in ("started", "ended", "state"))
            now = time.time()
            return {run: _took(began, ended[run], states[run], now) for run, began in started.items()}
        return view.field(ALIASES.get(self.name, self.name), among)


@dataclass(frozen=True, slots=True)
class ConfigValue:
    """A value of the config, by its dotted path."""

    path: str

    def __str__(self) -> str:
        return CONFIG + self.path

    def column(self, view: IndexView, among: Sequence[int] | None = None) -> Column:
        """Return its value for the runs that have it."""
        return view.config(self.path, among)


@dataclass(frozen=True, slots=True)
class MetricValue:
    """A statistic of a metric: its last value unless another is asked for."""

    metric: str
    statistic: str = "last"

    def __str__(self) -> str:
        return SUMMARY + self.metric + (f".{self.statistic}" if self.statistic != "last" else "")

    def column(self, view: IndexView, among: Sequence[int] | None = None) -> Column:
        """Return it for the runs that know it."""
        return view.metric(self.metric, self.statistic, among)


Name = Field | ConfigValue | MetricValue

_ROOTS: Final = ("config", "summary")


class UnknownNameError(UsageError):
    """A word that stands for nothing; who knows the runs may know what was meant.

    Args:
        word: The word.
        hint: What it may stand for, as far as one can tell without the runs.
    """

    def __init__(self, word: str, hint: str) -> None:
        super().__init__(f"unknown name {word!r}", hint=hint)
        self.word = word


def name_of(node: ast.expr) -> Name | None:
    """Return the name that a piece of an expression is, None when it is something else.

    Raises:
        UsageError: It looks like a name and is none.
    """
    if isinstance(node, ast.Name) and node.id not in _ROOTS:
        return _field(node.id)
    root, steps = _steps(node)
    if root == "config":
        return _config_value(steps)
    if root == "summary":
        return _metric_value(steps)
    if root is not None and steps:
        raise UsageError(f"{ast.unparse(node)!r} cannot be asked for: only config and summary have parts")
    return None


def name_of_text(text: str) -> Name | None:
    """Return the name that text spells the way tables do: `summary.eval/loss.min`, `config.lora-rank`."""
    if text in KNOWN or text in ALIASES:
        return Field(text)
    if text.startswith(CONFIG):
        return ConfigValue(text.removeprefix(CONFIG))
    if text.startswith(SUMMARY):
        metric, _, statistic = text.removeprefix(SUMMARY).rpartition(".")
        is_asked = bool(metric) and statistic in STATISTICS
        return MetricValue(metric, statistic) if is_asked else MetricValue(text.removeprefix(SUMMARY))
    return None


def spelled(name: Name) -> str:
    """Return a name as an expression spells it, whatever it holds.

    >>> spelled(ConfigValue("training.lr")), spelled(ConfigValue("lora-rank")), spelled(MetricValue("eval/loss", "min"))
    ('config.training.lr', "config['lora-rank']", "summary['eval/loss'].min")
    """
    if isinstance(name, ConfigValue):
        parts = name.path.split(".")
        return str(name) if all(p.isidentifier() and not iskeyword(p) for p in parts) else f"config[{name.path!r}]"
    if isinstance(name, MetricValue):
        return f"summary[{name.metric!r}]" + (f".{name.statistic}" if name.statistic != "last" else "")
    return name.name


def refuse_unknown(name: Name, view: IndexView) -> None:
    """Refuse a name that no run has: it is a slip, not a condition that nothing meets. Without runs nothing is.

    Raises:
        UsageError: There are runs.
    """
    if isinstance(name, Field) or not view.runs():
        return
    if isinstance(name, ConfigValue):
        known = [key.removeprefix(CONFIG) for key in view.names(CONFIG)]
        best = nearest_path(name.path, known)
        there = listed((CONFIG + key for key in known), "no run has a config")
        raise UsageError(f"no run has {str(name)!r}", hint=f"did you mean {CONFIG}{best}?" if best else there)
    metrics = [key.removeprefix(SUMMARY) for key in view.names(SUMMARY)]
    if name.metric in metrics:
        raise UsageError(f"no run knows {name.statistic!r} of the metric {name.metric!r}", hint=_ways_of_best(name))
    best = nearest(name.metric, metrics)
    there = listed((f"summary[{metric!r}]" for metric in metrics), "no run has a metric")
    hint = f"did you mean summary[{best!r}]?" if best else there
    raise UsageError(f"no run has the metric {name.metric!r}", hint=hint)


def refuse_empty(name: Name, values: Iterable[Value], view: IndexView) -> None:
    """Refuse to compare or sort by `loss` or `best` where no run has one: another metric was meant.

    Raises:
        UsageError: There are runs, and none has it.
    """
    if not isinstance(name, Field) or name.name not in _MOSTLY_NONE or any(value is not None for value in values):
        return
    if not view.runs() or any(value is not None for value in name.column(view).values()):
        return
    best = nearest(name.name, [key.removeprefix(SUMMARY) for key in view.names(SUMMARY)])
    hint = f"did you mean summary[{best!r}]?" if best else f"it is {_MOSTLY_NONE[name.name]}"
    raise UsageError(f"no run has {name.name!r}", hint=hint)


def listed(names: Iterable[str], none: str) -> str:
    """Return a hint that tells what there is, the first few by name.

    >>> listed(["config.lr", "config.seed"], "nothing"), listed([], "nothing")
    ('there are config.lr, config.seed', 'nothing')
    """
    every = list(names)
    more = f" and {len(every) - _SHOWN_NAMES:,} more" if len(every) > _SHOWN_NAMES else ""
    return f"there are {', '.join(every[:_SHOWN_NAMES])}{more}" if every else none


def _took(started: Value, ended: Value, state: Value, now: float) -> float | None:
    end = ended if isinstance(ended, int | float) else now if state in LIVE else None
    return end - started if isinstance(started, int | float) and end is not None else None


def _ways_of_best(name: MetricValue) -> str:
    if not name.statistic.startswith("best"):
        return ""
    return f'say which is better: run.step_metric({name.metric!r}, best="min"), or ask for .min or .max'


def _field(word: str) -> Field:
    if word not in KNOWN and word not in ALIASES:
        best = nearest(word, [*KNOWN, *ALIASES, *_ROOTS])
        raise UnknownNameError(
            word, f"did you mean {best}?" if best else f"there are {', '.join(KNOWN)}, config.… and summary['…']"
        )
    return Field(word)


def _config_value(steps: list[str | int]) -> ConfigValue:
    if not steps:
        raise UsageError("'config' alone has no value", hint="such as config.training.learning_rate")
    return ConfigValue(".".join(map(str, steps)))


def _metric_value(steps: list[str | int]) -> MetricValue:
    if not steps or not isinstance(steps[0], str) or len(steps) > 2:
        raise UsageError("'summary' takes the name of a metric", hint="such as summary['eval/loss'].min")
    statistic = str(steps[1]) if len(steps) == 2 else "last"
    if statistic not in STATISTICS:
        raise UsageError(f"unknown statistic {statistic!r} of a metric", hint=f"there are {', '.join(STATISTICS)}")
    return MetricValue(steps[0], statistic)


def _steps(node: ast.expr) -> tuple[str | None, list[str | int]]:
    """Return what a chain of `.part`, `['part']` and `[0]` begins with, and its parts; None when it is no chain."""
    steps: list[str | int] = []
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Attribute):
            steps.append(node.attr)
            node = node.value
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            index = node.slice.value
            if isinstance(index, bool) or not isinstance(index, str | int):
                return None, []
            steps.append(index)
            node = node.value
        else:
            return None, []
    return node.id, steps[::-1]
