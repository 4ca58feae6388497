"""The points of metrics as one table, a row a point."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from burnish.analyze.table import Cell, Table, moment_text
from burnish.core.errors import UsageError
from burnish.core.nearest import nearest
from burnish.core.paths import RunPaths
from burnish.journal.points import read_series
from burnish.journal.series import Series

_COLUMNS = ("metric", "step", "time", "value")


class History(Table):
    """Points as a table."""

    kind = "point"

    def _text(self, name: str, value: Cell) -> str:
        if name == "time" and isinstance(value, int | float):
            return moment_text(value)
        return super()._text(name, value)


def history(run: Path, metrics: str | Iterable[str] | None = None, *, axis: str = "step", rank: int = 0) -> Table:
    """Return the points of a run, finished or live.

    Columns: metric, step, time (seconds since the epoch), value; a metric as the axis adds a column of its name with
    its last value at or before the point's step, None where it had none yet. Metrics come in order of their names,
    points in order of the axis.

    Args:
        run: The run's folder.
        metrics: A name or a pattern (`eval/*`), or several; None for all.
        axis: `step`, `time`, or a metric, such as one that counts tokens.
        rank: The rank that logged them.

    Raises:
        UsageError: The run has no metric of that name.
    """
    columns = histories([run], metrics, axis=axis, rank=rank).columns
    return History({name: columns[name] for name in _names(axis)})


def histories(
    runs: Sequence[Path], metrics: str | Iterable[str] | None = None, *, axis: str = "step", rank: int = 0
) -> Table:
    """Return the points of several runs, with the column `run`, the run's name, in front. See `history`.

    Raises:
        UsageError: None of the runs has a metric of that name.
    """
    wanted = None if metrics is None else (metrics,) if isinstance(metrics, str) else tuple(metrics)
    asked = [*(wanted or ()), *(() if axis in _AXES else (axis,))]
    names = ["run", *_names(axis)]
    found: dict[str, list[Cell]] = {name: [] for name in names}
    seen: set[str] = set()
    for run in runs:
        every = read_series(RunPaths(run), lambda name: wanted is None or _matches(name, asked), rank)
        seen |= every.keys()
        for metric, series in every.items():
            if wanted is not None and not _matches(metric, wanted):
                continue  # the axis alone
            columns = _columns(metric, series, axis, every.get(axis))
            found["run"] += [run.name] * len(series)
            for name in names[1:]:
                found[name] += columns[name]
    missing = next((name for name in asked if not any(_matches(metric, [name]) for metric in seen)), None)
    if missing is not None and runs:
        raise _unknown(missing, runs, rank)
    return History(found)


_AXES = ("step", "time")


def _names(axis: str) -> tuple[str, ...]:
    return _COLUMNS if axis in _AXES else (*_COLUMNS, _column_of(axis))


def _column_of(axis: str) -> str:
    """Return what the column of a metric is called, which is the axis: as the metric, unless another is called so."""
    return f"{axis} (axis)" if axis in ("run", *_COLUMNS) else axis


def _matches(metric: str, wanted: Sequence[str]) -> bool:
    return any(metric == name or fnmatchcase(metric, name) for name in wanted)


def _columns(metric: str, series: Series, axis: str, along: Series | None) -> dict[str, list[Cell]]:
    """Return the points of one metric in order of the axis."""
    step, time, value = series.step, series.time, series.value
    places: list[Cell] = []
    if axis == "time":
        order = np.argsort(time, kind="stable")
        step, time, value = step[order], time[order], value[order]
    elif axis != "step":
        last = np.searchsorted(along.step, step, "right") - 1 if along is not None else np.full(len(step), -1)
        places = [None if at < 0 or along is None else float(along.value[at]) for at in last.tolist()]
    return {
        "metric": [metric] * len(series),
        "step": step.tolist(),
        "time": time.tolist(),
        "value": value.tolist(),
        _column_of(axis): places,
    }


def _unknown(name: str, runs: Sequence[Path], rank: int) -> UsageError:
    known = {metric for run in runs for metric in read_series(RunPaths(run), lambda _: True, rank)}
    best = nearest(name, known)
    where = f"run {RunPaths(runs[0]).id} has no" if len(runs) == 1 else "none of these runs has the"
    return UsageError(f"{where} metric {name!r}", hint=f"did you mean {best!r}?" if best else "")
