"""One metric's window at the width of a screen: of a finished run, of a live one, and by polars from the same file."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median, quantiles
from typing import TYPE_CHECKING

import numpy as np

from benchmarks._reading.points import BEGAN, NAMES, STEP_S, Floats, check, values
from burnish.core.paths import RunPaths

if TYPE_CHECKING:
    from burnish.journal.pyramid import Nodes
    from burnish.journal.view import MetricsView

WIDTH = 1200
TIMES = 41
NEW_ROWS = 100
Result = dict[str, float]


def spans(rows: int) -> dict[str, tuple[int | None, int | None]]:
    """Return the windows that are looked at, by name: first and last step."""
    middle = rows // 2
    return {
        "whole": (None, None),
        "third": (rows // 3, 2 * rows // 3),
        "zoom": (middle, middle + rows // 100),
        "narrow": (middle, middle + WIDTH // 2),
    }


def finished(paths: RunPaths, rows: int) -> Result:
    """Return median and 95th percentile of each window of a run that has ended, and what opening it takes."""
    from burnish.journal.view import FileView, open_view

    begun = time.perf_counter()
    view = open_view(paths)
    found: Result = {"open_s": time.perf_counter() - begun}
    check(isinstance(view, FileView), "view of a finished run")
    return found | _windows(view, rows)


def live(paths: RunPaths, rows: int) -> Result:
    """Return the same of a live run: reading it first, its windows, and taking in a hundred rows more."""
    from burnish.journal import JournalWriter
    from burnish.journal.view import LiveView, open_view

    begun = time.perf_counter()
    view = open_view(paths)
    found: Result = {"cold_s": time.perf_counter() - begun}
    check(isinstance(view, LiveView), "view of a live run")
    found |= _windows(view, rows)
    writer = JournalWriter(paths.journals, 0, lambda: {"attempt": 1})
    nothing, some = [], []
    for turn in range(TIMES):
        nothing.append(_took(view.refresh))
        for row in range(NEW_ROWS):
            step = rows + turn * NEW_ROWS + row
            writer.row(NAMES, (float(step),) * len(NAMES), step, BEGAN + step * STEP_S)
        some.append(_took(view.refresh))
    writer.close()
    last = view.window(NAMES[0], rows, None, width=WIDTH)
    check(int(last.last[-1]) == rows + TIMES * NEW_ROWS - 1, "rows that came later")
    for path in sorted(paths.journals.iterdir())[1:]:
        path.unlink()  # the next one finds the run as it was
    return found | {"idle_refresh_s": median(nothing), "refresh_s": median(some)}


def by_polars(paths: RunPaths, rows: int) -> Result:
    """Return what the same windows take when their points are read from Parquet and then grouped."""
    import polars

    found: Result = {}
    for title, (first, last) in spans(rows).items():
        low, high = first or 0, rows - 1 if last is None else last
        query = (
            polars.scan_parquet(paths.metrics)
            .filter((polars.col("key") == NAMES[3]) & polars.col("step").is_between(low, high))
            .group_by(((polars.col("step") - low) * WIDTH // (high - low + 1)).alias("pixel"))
            .agg(
                polars.col("value").min().alias("low"),
                polars.col("value").max().alias("high"),
                polars.col("value").mean().alias("mean"),
            )
            .sort("pixel")
        )
        part = values(rows)[low : high + 1, 3]
        got = query.collect()
        check(got["low"].min() == part.min() and got["high"].max() == part.max(), f"{title} window by polars")
        found[f"{title}_s"] = median(_took(query.collect) for _ in range(7))
    return found


def _windows(view: MetricsView, rows: int) -> Result:
    every = values(rows)
    found: Result = {}
    for title, (first, last) in spans(rows).items():
        for number in (0, 3):
            _compare(view.window(NAMES[number], first, last, width=WIDTH), every[:, number], first, last)
        looks = [_took(lambda: view.window(NAMES[3], first, last, width=WIDTH)) for _ in range(TIMES)]  # noqa: B023
        found |= {f"{title}_s": median(looks), f"{title}_p95_s": quantiles(looks, n=20)[-1]}
    return found


def _compare(nodes: Nodes, every: Floats, first: int | None, last: int | None) -> None:
    """Compare each group with the points from its first to its last step; there is one point a step."""
    check(0 < len(nodes) <= WIDTH, "number of groups")
    check(len(nodes) >= min(WIDTH, (last or len(every)) - (first or 0)) // 2, "number of groups")
    check(nodes.first[0] <= (first or 0) and nodes.last[-1] >= (len(every) - 1 if last is None else last), "window")
    check(bool(np.all(nodes.first[1:] == nodes.last[:-1] + 1)), "groups without a hole")
    for a, b, low, high, mean, count in zip(
        nodes.first, nodes.last, nodes.low, nodes.high, nodes.mean, nodes.count, strict=True
    ):
        part = every[a : b + 1]
        check(low == part.min() and high == part.max() and count == len(part), "extremes of a group")
        check(bool(np.isclose(mean, part.mean())), "mean of a group")


def _took(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun
