"""What a training process uses to record itself. It only appends; the supervisor does everything else."""

from burnish.track.run import Run
from burnish.track.start import current_run, log, start_run

__all__ = ["Run", "current_run", "log", "start_run"]
