"""The points of a run, metric by metric: from `metrics.parquet` where that holds them all, else from the journals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from burnish.core.paths import RunPaths
from burnish.journal.reader import journal_files
from burnish.journal.series import Series, load_scalars


def read_series(paths: RunPaths, is_wanted: Callable[[str], bool], rank: int = 0) -> dict[str, Series]:
    """Return the points of metrics by name, in order of step; a live run's up to now.

    Args:
        paths: The run.
        is_wanted: Chooses metrics by name.
        rank: The rank that logged them.
    """
    if _is_complete(paths):
        try:
            return _from_parquet(paths.metrics, is_wanted, rank)
        except (OSError, ValueError):  # not a Parquet file, or not a whole one: the journals are the truth
            pass
    scalars = load_scalars(paths.journals)
    names = [name for name, of_rank in scalars.metrics if of_rank == rank and is_wanted(name)]
    found = {name: scalars.series(name, rank).by_step() for name in names}
    return {name: series for name, series in found.items() if len(series)}


def _is_complete(paths: RunPaths) -> bool:
    """Return whether no journal was written to after `metrics.parquet`, as happens when a run goes on."""
    try:
        written_ns = paths.metrics.stat().st_mtime_ns
        return all(path.stat().st_mtime_ns <= written_ns for path in journal_files(paths.journals))
    except OSError:
        return False


def _from_parquet(path: Path, is_wanted: Callable[[str], bool], rank: int) -> dict[str, Series]:
    import pyarrow.parquet as pq

    parts: dict[str, list[Series]] = {}
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            lowest = file.metadata.row_group(group).column(0).statistics
            if lowest is not None and lowest.has_min_max and lowest.min == lowest.max and not is_wanted(lowest.min):
                continue
            table = file.read_row_group(group)
            key = table.column("key").combine_chunks()
            codes, ranks = key.indices.to_numpy(), table.column("rank").to_numpy()
            ends = [*(np.flatnonzero((np.diff(codes) != 0) | (np.diff(ranks) != 0)) + 1).tolist(), len(codes)]
            names = key.dictionary.to_pylist()
            step, time, value = (table.column(name).to_numpy() for name in ("step", "time", "value"))
            for start, end in zip([0, *ends[:-1]], ends, strict=True):
                if end > start and ranks[start] == rank and is_wanted(name := names[codes[start]]):
                    part = Series(step[start:end], time[start:end], value[start:end])
                    parts.setdefault(name, []).append(part)
    return {name: _joined(series) for name, series in sorted(parts.items())}


def _joined(parts: list[Series]) -> Series:
    if len(parts) == 1:
        return parts[0]
    return Series(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("step", "time", "value")))
