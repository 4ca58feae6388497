"""The points of a run, metric by metric: from `metrics.parquet` where that holds them all, else from the journals."""

from __future__ import annotations

from collections.abc import Callable

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
    if is_compacted(paths):
        from burnish.journal.parquet import read_metrics  # pyarrow, which the journals do not need

        try:
            return read_metrics(paths.metrics, is_wanted, ranks)
        except (OSError, ValueError):  # not a Parquet file, or not a whole one: the journals are the truth
            pass
    scalars = load_scalars(paths.journals)
    found: dict[str, Series] = {}
    for name, of_rank in scalars.metrics:  # in order of rank: what rank 0 logged takes the place of the machine's
        if of_rank in ranks and is_wanted(name) and len(series := scalars.series(name, of_rank)):
            found[name] = series.by_step()
    return found


def is_compacted(paths: RunPaths) -> bool:
    """Return whether `metrics.parquet` holds all that the journals do: they are written to again when a run goes on."""
    try:
        written_ns = paths.metrics.stat().st_mtime_ns
        return all(path.stat().st_mtime_ns <= written_ns for path in journal_files(paths.journals))
    except OSError:
        return False
