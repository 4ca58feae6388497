"""The points of metrics as one table, a row a point."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

import numpy as np

from burnish.analyze.table import Cell, Table, moment_text
from burnish.core.errors import UsageError
from burnish.core.nearest import nearest
from burnish.core.paths import RunPaths
from burnish.core.shape import section
from burnish.journal.points import read_series
from burnish.journal.record import read_record
from burnish.journal.series import Series

_COLUMNS = ("metric", "step", "time", "value")


class History(Table):
    """Points as a table."""

    kind = "point"

    def _text(self, name: str, value: Cell) -> str:
        if name == "time" and isinstance(value, int | float):
            return moment_text(value)
        return super()._text(name, value)


def history(
    run: Path, metrics: str | Iterable[str] | None = None, *, axis: str | None = "step", rank: int = 0
) -> Table:
    """Return the points of a run, finished or live.

    Columns: metric, step, time (seconds since the epoch), value; a metric as the axis adds a column of its name with
    its last value at or before the point's step, None where it had none yet. Metrics come in order of their names,
    points in order of the axis. With None as the axis two columns are added: axis, the name of each metric's own, and
    x, the point's place on it.

    Args:
        run: The run's folder.
        metrics: A name or a pattern (`eval/*`), or several; None for all.
        axis: `step`, `time`, or a metric, such as one that counts tokens; None for what `Run.step_metric` said of
            each metric.
        rank: The rank that logged them.

    Raises:
        UsageError: The run has no metric of that name.
    """
    columns = histories([run], metrics, axis=axis, rank=rank).columns
    return History({name: columns[name] for name in _names(axis)})


def histories(
    runs: Sequence[Path], metrics: str | Iterable[str] | None = None, *, axis: str | None = "step", rank: int = 0
) -> Table:
    """Return the points of several runs, with the column `run`, the run's name, in front. See `history`.

    Raises:
        UsageError: None of the runs has a metric of that name.
    """
    wanted = None if metrics is None else (metrics,) if isinstance(metrics, str) else tuple(metrics)
    asked = [*(wanted or ()), *(() if axis is None or axis in _AXES else (axis,))]
    names = ["run", *_names(axis)]
    found: dict[str, list[Cell]] = {name: [] for name in names}
    seen: set[str] = set()
    for run in runs:
        own = _Own(RunPaths(run)) if axis is None else None
        read = None if wanted is None else [*asked, *(own.axes if own else ())]
        every = read_series(RunPaths(run), partial(_matches, wanted=read), rank)
        seen |= every.keys()
        for metric, series in every.items():
            if not _matches(metric, wanted):
                continue  # the axis alone
            over = own.axis_of(metric) if own else axis or "step"
            columns = _columns(metric, series, over, every.get(over))
            if own:
                columns |= {"axis": [over] * len(series), "x": columns[_column_of(over)]}
            found["run"] += [run.name] * len(series)
            for name in names[1:]:
                found[name] += columns[name]
    missing = next((name for name in asked if not any(_matches(metric, [name]) for metric in seen)), None)
    if missing is not None and runs:
        raise _unknown(missing, runs, rank)
    return History(found)


_AXES = ("step", "time")


class _Own:
    """Over what each metric of a run is drawn, as the run said."""

    def __init__(self, paths: RunPaths) -> None:
        said = section(read_record(paths), "metrics")
        self._axes = {pattern: str(section(said, pattern).get("axis") or "step") for pattern in said}
        self.axes = set(self._axes.values())

    def axis_of(self, metric: str) -> str:
        said = (axis for pattern, axis in reversed(self._axes.items()) if fnmatchcase(metric, pattern))
        return next(said, "step")


def _names(axis: str | None) -> tuple[str, ...]:
    if axis is None:
        return (*_COLUMNS, "axis", "x")
    return _COLUMNS if axis in _AXES else (*_COLUMNS, _column_of(axis))


def _column_of(axis: str) -> str:
    """Return what the column with the places on an axis is called: as the axis, unless another is called so."""
    return f"{axis} (axis)" if axis in ("run", "metric", "value") else axis


def _matches(metric: str, wanted: Iterable[str] | None) -> bool:
    return wanted is None or any(metric == name or fnmatchcase(metric, name) for name in wanted)


def _columns(metric: str, series: Series, axis: str, along: Series | None) -> dict[str, list[Cell]]:
    """Return the points of one metric in order of the axis."""
    step, time, value = series.step, series.time, series.value
    places: dict[str, list[Cell]] = {}
    if axis == "time":
        order = np.argsort(time, kind="stable")
        step, time, value = step[order], time[order], value[order]
    elif axis != "step":
        last = np.searchsorted(along.step, step, "right") - 1 if along is not None else np.full(len(step), -1)
        reached: list[Cell] = [None if at < 0 or along is None else float(along.value[at]) for at in last.tolist()]
        places = {_column_of(axis): reached}
    return {
        "metric": [metric] * len(series),
        "step": step.tolist(),
        "time": time.tolist(),
        "value": value.tolist(),
    } | places


def _unknown(name: str, runs: Sequence[Path], rank: int) -> UsageError:
    known = {metric for run in runs for metric in read_series(RunPaths(run), lambda _: True, rank)}
    best = nearest(name, known)
    where = f"run {RunPaths(runs[0]).id} has no" if len(runs) == 1 else "none of these runs has the"
    return UsageError(f"{where} metric {name!r}", hint=f"did you mean {best!r}?" if best else "")
