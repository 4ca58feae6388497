"""The points of a run, metric by metric: from `metrics.parquet` where that holds them all, else from the journals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from burnish.core.paths import RunPaths
from burnish.journal.reader import SYSTEM_RANK, journal_files
from burnish.journal.series import Series, load_scalars


def read_series(paths: RunPaths, is_wanted: Callable[[str], bool], rank: int = 0) -> dict[str, Series]:
    """Return the points of metrics by name, in order of step; a live run's up to now.

    Args:
        paths: The run.
        is_wanted: Chooses metrics by name.
        rank: The rank that logged them; with rank 0 come the metrics of the machine, as in a run's summary.
    """
    ranks = (SYSTEM_RANK, 0) if rank == 0 else (rank,)
    if _is_complete(paths):
        try:
            return _from_parquet(paths.metrics, is_wanted, ranks)
        except (OSError, ValueError):  # not a Parquet file, or not a whole one: the journals are the truth
            pass
    scalars = load_scalars(paths.journals)
    found: dict[str, Series] = {}
    for name, of_rank in scalars.metrics:  # in order of rank: what rank 0 logged takes the place of the machine's
        if of_rank in ranks and is_wanted(name) and len(series := scalars.series(name, of_rank)):
            found[name] = series.by_step()
    return found


def _is_complete(paths: RunPaths) -> bool:
    """Return whether no journal was written to after `metrics.parquet`, as happens when a run goes on."""
    try:
        written_ns = paths.metrics.stat().st_mtime_ns
        return all(path.stat().st_mtime_ns <= written_ns for path in journal_files(paths.journals))
    except OSError:
        return False


def _from_parquet(path: Path, is_wanted: Callable[[str], bool], ranks: Sequence[int]) -> dict[str, Series]:
    import pyarrow.parquet as pq

    parts: dict[tuple[str, int], list[Series]] = {}
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            bounds = file.metadata.row_group(group).column(0).statistics
            if bounds is not None and bounds.has_min_max and bounds.min == bounds.max and not is_wanted(bounds.min):
                continue
            table = file.read_row_group(group)
            key = table.column("key").combine_chunks()
            codes, rank = key.indices.to_numpy(), table.column("rank").to_numpy()
            ends = [*(np.flatnonzero((np.diff(codes) != 0) | (np.diff(rank) != 0)) + 1).tolist(), len(codes)]
            names = key.dictionary.to_pylist()
            step, time, value = (table.column(name).to_numpy() for name in ("step", "time", "value"))
            for start, end in zip([0, *ends[:-1]], ends, strict=True):
                if end > start and rank[start] in ranks and is_wanted(name := names[codes[start]]):
                    part = Series(step[start:end], time[start:end], value[start:end])
                    parts.setdefault((name, int(rank[start])), []).append(part)
    return {name: _joined(parts[name, of_rank]) for name, of_rank in sorted(parts)}


def _joined(parts: list[Series]) -> Series:
    if len(parts) == 1:
        return parts[0]
    return Series(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("step", "time", "value")))
