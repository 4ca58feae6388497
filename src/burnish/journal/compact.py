"""What is made of a run's journals when it has ended: `metrics.parquet`, and `metrics.pyramid` for charts."""

from __future__ import annotations

from burnish.core.paths import RunPaths
from burnish.journal.parquet import write_parquet
from burnish.journal.pyramid_file import PyramidWriter
from burnish.journal.series import Scalars, load_scalars


def compact(run: RunPaths) -> Scalars:
    """Write `metrics.parquet` and `metrics.pyramid` of a run; return the scalars.

    Raises:
        OSError: One of them cannot be written; the journals hold everything still.
    """
    scalars = load_scalars(run.journals, is_over=True)
    # The pyramids of an earlier end point into its Parquet file.
    run.pyramid.unlink(missing_ok=True)
    with PyramidWriter(run.pyramid) as pyramids:
        write_parquet(scalars, run.metrics, pyramids.add)
    return scalars
