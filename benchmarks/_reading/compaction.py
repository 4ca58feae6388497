"""From a journal to `metrics.parquet` and `metrics.pyramid`, and what peers take to read as many points."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from benchmarks._reading.points import NAMES, check, times, values
from benchmarks._recorders.services import forget_peak, resident_bytes
from burnish.core.paths import RunPaths

Result = dict[str, float]
T = TypeVar("T")


def compact(paths: RunPaths, rows: int) -> Result:
    """Return what compaction takes, as a whole and in parts, once every point was compared."""
    import pyarrow.parquet as pq

    from burnish.journal.compact import compact as run_compact
    from burnish.journal.parquet import write_parquet
    from burnish.journal.pyramid_file import PyramidWriter
    from burnish.journal.series import load_scalars

    forget_peak()
    before = resident_bytes(os.getpid(), "VmRSS")
    found: Result = {"whole_s": _took(lambda: run_compact(paths))[0]}
    found["peak_bytes"] = resident_bytes(os.getpid(), "VmHWM") - before
    found["read_s"], scalars = _took(lambda: load_scalars(paths.journals))
    other = paths.root / "other.parquet"
    found["parquet_s"], _ = _took(lambda: write_parquet(scalars, other))
    ready = list(scalars)

    def write_pyramids() -> None:
        with PyramidWriter(paths.root / "other.pyramid") as pyramids:
            for name, rank, series in ready:
                pyramids.add(name, rank, 0, series)

    found["pyramid_s"], _ = _took(write_pyramids)
    table = pq.read_table(paths.metrics)
    found["floor_s"], _ = _took(lambda: pq.write_table(table, paths.root / "floor.parquet"))
    for name in ("other.parquet", "floor.parquet", "other.pyramid"):
        (paths.root / name).unlink()
    _compare(table, rows)
    found["journal_bytes"] = sum(path.stat().st_size for path in paths.journals.iterdir())
    found["parquet_bytes"], found["pyramid_bytes"] = paths.metrics.stat().st_size, paths.pyramid.stat().st_size
    return found


def _compare(table: Any, rows: int) -> None:
    import pyarrow.compute as pc

    every, at = values(rows), times(rows)
    for number, name in enumerate(NAMES):
        part = table.filter(pc.equal(table["key"], name))
        same = np.array_equal(part["value"].to_numpy(), every[:, number])
        same = same and np.array_equal(part["step"].to_numpy(), np.arange(rows))
        check(same and np.array_equal(part["time"].to_numpy(), at), f"{name} in metrics.parquet")


def read_parquet(paths: RunPaths, rows: int) -> Result:
    """Return what others take to read the same Parquet file whole."""
    import polars
    import pyarrow.parquet as pq

    polars_s, frame = _took(lambda: polars.read_parquet(paths.metrics))
    pyarrow_s, table = _took(lambda: pq.read_table(paths.metrics))
    check(frame.height == table.num_rows == rows * len(NAMES), "number of points")
    return {"polars_s": polars_s, "pyarrow_s": pyarrow_s}


def accumulate(folder: Path, rows: int) -> Result:
    """Return what TensorBoard's `EventAccumulator` takes for its events."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    took_s, _ = _took(events.Reload)
    expected = values(rows).astype(np.float32)
    for number, name in enumerate(NAMES):
        found = np.array([event.value for event in events.Scalars(name)], np.float32)
        check(np.array_equal(found, expected[:, number]), f"{name} in the event file")
    return {"tensorboard_s": took_s, "bytes": sum(path.stat().st_size for path in folder.iterdir())}


def history(paths: RunPaths, rows: int) -> Result:
    """Return what one metric takes from the query API into a data frame, and from polars alone."""
    import polars

    from burnish.analyze.history import history as points_of

    name = NAMES[3]
    expected = values(rows)[:, 3]
    polars_s, alone = _took(
        lambda: polars.scan_parquet(paths.metrics).filter(polars.col("key") == name).select("step", "value").collect()
    )
    forget_peak()
    before = resident_bytes(os.getpid(), "VmRSS")
    history_s, table = _took(lambda: points_of(paths.root, [name]))
    frame_s, frame = _took(table.polars)
    peak = resident_bytes(os.getpid(), "VmHWM") - before
    for what, found in (("polars", alone), ("history", frame)):
        check(np.array_equal(found["value"].to_numpy(), expected), f"{name} by {what}")
    return {"polars_s": polars_s, "history_s": history_s, "frame_s": frame_s, "peak_bytes": peak}


def _took(call: Callable[[], T]) -> tuple[float, T]:
    begun = time.perf_counter()
    found = call()
    return time.perf_counter() - begun, found
