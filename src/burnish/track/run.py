"""`Run`: the record of one run, as seen by a process that trains. A call costs microseconds and never fails it.

Whatever goes wrong below a method becomes one warning and a counter; a value of the wrong type raises at the
call, so that the user's own mistake is not hidden.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from operator import index
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

from burnish.core.paths import RunPaths
from burnish.core.secrets import Masker
from burnish.journal.entry import Kind
from burnish.journal.writer import JournalWriter

_log = logging.getLogger(__name__)
_FLOATS: Final = frozenset({float})

Status = Literal["finished", "failed", "stopped"]
EXIT_RESUME_ME: Final = 75
"""Exit code by which a training process says: stopped on request, resume me (EX_TEMPFAIL of sysexits.h)."""


class Run:
    """One attempt to train something: where its record goes.

    Safe to call from any thread; a forked child writes a file of its own. Make one with `start_run`.

    Attributes:
        paths: The files of the run.
        attempt: Which try this process belongs to, from 1.
        rank: This process's rank in the job; rank 0 leads.
    """

    def __init__(self, folder: Path, *, attempt: int = 1, rank: int = 0) -> None:
        self.paths = RunPaths(folder)
        self.attempt = attempt
        self.rank = rank
        self.dropped = 0
        self._owner_pid = os.getpid()
        self._step = -1
        self._ended = False
        self._writer = JournalWriter(self.paths.journals, rank, self._opening)

    @property
    def name(self) -> str:
        """The run's full name."""
        return self.paths.name

    @property
    def id(self) -> str:
        """The last part of the name, which is enough on the command line."""
        return self.paths.id

    @property
    def step(self) -> int:
        """The last step that was logged; -1 before the first."""
        return self._step

    def log(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Record scalars of one step.

        Args:
            values: Metric names and values: Python, NumPy or 0-d torch numbers; NaN and infinities are kept.
            step: The training step, one after the last call's when left out.

        Raises:
            TypeError: A name is no string, a value no number, or the step no integer.
        """
        step = self._step + 1 if step is None else index(step)
        row = tuple(values.values())
        if not _FLOATS.issuperset(map(type, row)):
            row = tuple(map(_number, values, row))
        self._step = step
        try:
            self._writer.row(tuple(values), row, step, time.time())
        except TypeError:
            raise  # a name that is no string
        except Exception as error:  # noqa: BLE001  one of the five walls: training never dies of tracking
            self._lost(error)

    def log_text(self, key: str, text: str, step: int | None = None) -> None:
        """Record a piece of text, such as a sample or the resolved arguments of a trainer."""
        self._record(Kind.TEXT, key, {"text": text}, step)

    def log_checkpoint(self, path: Path, step: int, metrics: Mapping[str, float]) -> None:
        """Record that a checkpoint is complete; `path` is kept relative when it lies in the run directory."""
        root = self.paths.root
        shown = path.relative_to(root) if path.is_relative_to(root) else path.absolute()
        self._record(Kind.CHECKPOINT, str(shown), {"metrics": dict(metrics)}, step)

    def report(self, facts: Mapping[str, object]) -> None:
        """Add facts to the experiment card that only this process knows: device, seeds, fingerprints of data."""
        self._record(Kind.LIFECYCLE, "card", facts)

    def expect(self, total_steps: int) -> None:
        """Say how many steps there will be, so that the time left can be shown."""
        self._record(Kind.LIFECYCLE, "total", {"steps": total_steps})

    def resume(self, step: int) -> None:
        """Say that training goes on after this step; what earlier attempts logged beyond it is superseded."""
        self._step = step
        self._record(Kind.LIFECYCLE, "resume", {}, step)

    def finish(self, status: Status = "finished", *, exit_code: int = 0, error: str = "") -> None:
        """Close the record; a second call, or one in a forked child, does nothing."""
        if self._ended or os.getpid() != self._owner_pid:
            return
        self._ended = True
        error = Masker.from_environment(os.environ).text(error)  # an HTTP client's message may quote a token
        payload = {"status": status, "exit_code": exit_code, "error": error, "dropped": self.dropped}
        self._record(Kind.LIFECYCLE, "end", payload)
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish_with(error)

    def finish_with(self, error: BaseException | None) -> None:
        """Close the record as an exception says: none or `sys.exit(0)` is a good end, Ctrl-C a stop."""
        if isinstance(error, SystemExit):
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
            status: Status = "finished" if code == 0 else "stopped" if code == EXIT_RESUME_ME else "failed"
            self.finish(status, exit_code=code, error=f"sys.exit({error.code!r})" if code else "")
        elif error is not None:
            status = "stopped" if isinstance(error, KeyboardInterrupt) else "failed"
            self.finish(status, exit_code=1, error=f"{type(error).__name__}: {error}")
        else:
            self.finish()

    def _record(self, kind: Kind, key: str, payload: Mapping[str, object], step: int | None = None) -> None:
        try:
            self._writer.record(kind, key, payload, step)
        except Exception as error:  # noqa: BLE001  one of the five walls
            self._lost(error)

    def _lost(self, error: Exception) -> None:
        self.dropped += 1
        if self.dropped == 1:
            _log.warning("run %s: cannot write to %s: %s; training goes on", self.name, self.paths.journals, error)

    def _opening(self) -> dict[str, object]:
        return {"attempt": self.attempt, "pid": os.getpid(), "rank": self.rank, "dropped": self.dropped}


def _number(name: object, value: object) -> float:
    """Return a value as a Python number.

    Raises:
        TypeError: It is none.
    """
    if not isinstance(name, str):
        raise TypeError(f"a metric's name must be a string, not {name!r}")
    if isinstance(value, float | int):  # NumPy's float64 is a float, but not one that the encoder takes
        return float(value)
    item = getattr(value, "item", None)
    if item is not None and getattr(value, "ndim", 0) == 0:
        value = item()
        if isinstance(value, float | int):
            return float(value)
    shape = getattr(value, "shape", None)
    what = type(value).__name__ + (f" of shape {tuple(shape)}" if shape is not None else "")
    raise TypeError(f"metric {name!r} must be one number, not {what}")
