"""`Run`: the record of one run, as seen by a process that trains. A call costs microseconds and never fails it.

Whatever goes wrong below a method becomes one warning and a counter; a value of the wrong type raises at the
call, so that the user's own mistake is not hidden.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping
from operator import index
from pathlib import Path
from time import time
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, Self, get_args

from burnish.core.errors import RunError
from burnish.journal.entry import Kind
from burnish.track.recording import Recording
from burnish.track.tiers import Tiers

if TYPE_CHECKING:
    from burnish.track.lazy import Pending
    from burnish.track.phases import Phase, Phases
    from burnish.track.watch import Watch

_FLOATS: Final = frozenset({float})
_NUMBERS: Final = frozenset({float, int, bool})

Status = Literal["finished", "failed", "stopped"]
EXIT_RESUME_ME: Final = 75
"""Exit code by which a training process says: stopped on request, resume me (EX_TEMPFAIL of sysexits.h)."""


class Run(Recording):
    """One attempt to train something: where its record goes.

    Safe to call from any thread; a forked child writes a file of its own. Make one with `start_run`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        attempt: int = 1,
        rank: int = 0,
        tiers: Tiers | None = None,
        continues: bool = False,
    ) -> None:
        super().__init__(folder, attempt=attempt, rank=rank, tiers=tiers, continues=continues)
        self.when_ended: Callable[[], None] | None = None
        self.is_leaving = False
        """Whether the interpreter ends: the process's exit code, which is not known yet, decides of the run."""
        self._owner_pid = os.getpid()
        self._extras_pid = self._owner_pid
        self._pending: list[tuple[Pending, dict[str, float], int, float]] = []
        self._phases: Phases | None = None
        self._watches: list[Watch] = []
        self._imported: object = None
        # Whether a row needs more than to be written: most runs' rows do not, and pay one look for it.
        self._has_extras = bool(self._tiers)
        self._has_arrays = False

    def log(self, values: Mapping[str, float], step: int | None = None, *, lazy: bool = False) -> None:
        """Record scalars of one step.

        Args:
            values: Metric names and values: Python, NumPy or 0-d torch numbers; NaN and infinities are kept. However
                many of them lie on a device, it is waited for once.
            step: The training step, one after the last call's when left out.
            lazy: Do not wait for the device at all: the values are written at the next call, a checkpoint or the end.

        Raises:
            TypeError: A name is no string, a value no number, or the step no integer.
        """
        step = self._step + 1 if step is None else _step_of(step)
        try:
            row = tuple(values.values())
        except AttributeError:
            raise TypeError(f"log takes names and numbers, {{'loss': 0.5}}, not {type(values).__name__}") from None
        if lazy and os.getpid() == self._owner_pid:  # a forked child may end without a word: it writes at once
            self._defer(values, step)
            return
        try:
            # The sum of a row is a float where all of it is, or integers beside floats, which are packed alike: quicker
            # than a look at each. Once a tensor was met, each is looked at: its sum would be computed on the device.
            is_plain = not self._has_arrays and type(sum(row)) is float
        except (TypeError, OverflowError):
            is_plain = False
        if not is_plain:
            row = self._numbers(values, row)
        self._step = step
        try:
            if self._has_extras:
                self._row_with_extras(tuple(values), row, step)
            else:
                self._writer.row(tuple(values), row, step, time())
        except TypeError:
            raise  # a name that is no string
        except Exception as error:  # noqa: BLE001  one of the five walls: training never dies of tracking
            self._lost(error)

    def log_learning_rates(self, optimizer: object, step: int | None = None) -> None:
        """Record the learning rate of each parameter group: `lr` for one, `lr/<name or number>` for several.

        Args:
            optimizer: Anything with `param_groups`, as torch's optimizers have; a group may have a `name`.
            step: The training step, the last one logged when left out.

        Raises:
            TypeError: It has no parameter groups.
        """
        groups = getattr(optimizer, "param_groups", None)
        if not isinstance(groups, list):
            raise TypeError(f"an optimizer with param_groups is wanted, not {type(optimizer).__name__}")
        names = [str(group.get("name", number)) for number, group in enumerate(groups)]
        named = {
            name if names.count(name) == 1 else f"{name}.{number}": group.get("lr")
            for number, (name, group) in enumerate(zip(names, groups, strict=True))
        }
        rates = {f"lr/{name}" if len(named) > 1 else "lr": rate for name, rate in named.items() if rate is not None}
        if rates:
            self.log(rates, max(self._step, 0) if step is None else step)

    def phase(self, name: str) -> Phase:
        """Return a context that measures how long something takes, for `phase/<name>` of the next row.

            with run.phase("data_loading"):
                batch = next(batches)

        Phases inside others are named `outer/inner`. On a CUDA device `phase/<name>/gpu` is what it spent there, read
        when it is known, without waiting for it.
        """
        if self._phases is None:
            from burnish.track.phases import Phases

            self._phases = Phases()
            self._has_extras = True
        return self._phases.phase(name)

    def watch(self, model: object, *, every: int = 100, histograms: bool = False) -> Watch:
        """Record gradient and weight norms of each layer of a torch model, once in so many steps.

        Steps that are not due cost nothing. `close` on what is returned ends it.

        Args:
            model: The torch module.
            every: Steps between two looks.
            histograms: Also how gradients and weights are spread.

        Raises:
            TypeError: It is no torch module.
            ValueError: `every` is below 1.
        """
        from burnish.track.watch import Watch

        watch = Watch(model, every, self._write_watched, histograms=self._add_histogram if histograms else None)
        self._watches = [*(known for known in self._watches if not known.is_closed), watch]
        self._has_extras = True
        return watch

    def capture_logging(self, logger: str = "", level: int | str = logging.INFO) -> logging.Handler:
        """Write what Python's `logging` is told into the journal too; return the handler, to be removed again.

        Args:
            logger: Whose records: a logger's name, and those below it; all when left out.
            level: The lowest level that is written.
        """
        from burnish.track.log_handler import JournalHandler

        handler = JournalHandler(lambda name, payload: self._record(Kind.LOG, name, payload, self._at(None)), level)
        logging.getLogger(logger or None).addHandler(handler)
        return handler

    def summary(self) -> dict[str, dict[str, float]]:
        """Return count, first, last, min, max and best of each metric so far.

        It reads the journals and loads NumPy: for the end of a script, not for its loop.
        """
        from burnish.journal.series import load_scalars

        self._write_pending()
        return load_scalars(self.paths.journals).summary()

    def log_checkpoint(self, path: str | os.PathLike[str], step: int, metrics: Mapping[str, float]) -> None:
        """Record that a checkpoint is complete; `path` is kept relative when it lies in the run directory.

        Raises:
            TypeError: The step is no integer, or a metric no number.
        """
        self._write_what_was_held_back()
        super().log_checkpoint(path, step, metrics)
        self.report_imports()

    def resume(self, step: int) -> None:
        """Say that training goes on after this step; what earlier attempts logged beyond it is superseded."""
        self._step = _step_of(step)
        self._record(Kind.LIFECYCLE, "resume", {}, self._step)

    def finish(self, status: Status = "finished", *, exit_code: int = 0, error: str = "") -> None:
        """Close the record; a second call, or one in a forked child, does nothing.

        Raises:
            ValueError: There is no such status.
        """
        if status not in get_args(Status):
            raise ValueError(f"a run ends as {', '.join(get_args(Status))}, not {status!r}")
        if self.has_ended:
            return
        if os.getpid() != self._owner_pid:
            self._begin_in_child()
            self._write_what_was_held_back()
            return
        for watch in self._watches:
            watch.close()
        self._write_what_was_held_back()
        self.report_imports()
        payload = {"status": status, "exit_code": exit_code, "error": error, "dropped": self.dropped}
        if self.is_leaving:
            payload["at_exit"] = True
        self._record(Kind.LIFECYCLE, "end", payload)
        self.has_ended = self._has_extras = True
        self._writer.close()
        if self.when_ended is not None:
            self.when_ended()

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

    def _numbers(self, values: Mapping[str, float], row: tuple[float, ...]) -> tuple[float, ...]:
        """Return a row's values as Python floats.

        Raises:
            TypeError: One is no number.
        """
        if _FLOATS.issuperset(map(type, row)):
            return row
        if _NUMBERS.issuperset(map(type, row)):
            try:
                return tuple(map(float, row))
            except OverflowError:
                pass  # an integer beyond a float's range, which becomes infinite below
        from burnish.track.lazy import read_numbers

        self._has_arrays = True
        return tuple(read_numbers(values).values())

    def _defer(self, values: Mapping[str, float], step: int) -> None:
        from burnish.track.lazy import defer

        pending = defer(values)
        self._step = step
        self._has_extras = True
        try:
            self._begin_row()  # which writes those of the call before: by now they are there
            self._pending.append((pending, self._phases_spent(), step, time()))
            self._end_row(step)
        except Exception as error:  # noqa: BLE001  one of the five walls
            self._lost(error)

    def _row_with_extras(self, keys: tuple[str, ...], row: tuple[float, ...], step: int) -> None:
        self._begin_row()
        spent = self._phases_spent()
        self._write_row(keys + tuple(spent), row + tuple(spent.values()), step, time())
        self._end_row(step)

    def _begin_row(self) -> None:
        if self.has_ended:
            raise RunError("the run has ended; begin another: burnish.start_run()")
        self._begin_in_child()
        self._write_pending()

    def _phases_spent(self) -> dict[str, float]:
        """Return the seconds spent in each phase since the last row, by metric."""
        spent = self._phases.drain() if self._phases is not None else {}
        return {f"phase/{name}": seconds for name, seconds in spent.items()}

    def _end_row(self, step: int) -> None:
        for watch in self._watches:
            watch.logged(step)

    def _begin_in_child(self) -> None:
        """Leave to the parent of a forked process what is the parent's to write, at the first row of the child."""
        if os.getpid() == self._extras_pid:
            return
        self._extras_pid = os.getpid()
        if (worker := sys.modules.get("multiprocessing.util")) is not None:  # its processes end without `atexit`
            worker.Finalize(None, self._write_what_was_held_back, exitpriority=0)
        self._pending, self._watches = [], []
        self._tiers.withheld()
        self._tiers.counts = dict.fromkeys(self._tiers.counts, 0)
        if self._phases is not None:
            self._phases.drain()

    def _write_row(self, keys: tuple[str, ...], row: tuple[float, ...], step: int, at: float) -> None:
        if self._tiers:
            keys, row = self._tiers.select(keys, row, step, at)
            if not keys:
                return
        self._writer.row(keys, row, step, at)

    def _add_histogram(self, key: str, payload: Mapping[str, object], step: int) -> None:
        self._add(Kind.HISTOGRAM, key, lambda: dict(payload), step)

    def _write_watched(self, values: Mapping[str, float], step: int) -> None:
        self._write_row(tuple(values), tuple(values.values()), step, time())

    def _write_pending(self) -> None:
        """Write rows whose values were on their way from a device."""
        while self._pending:
            pending, spent, step, at = self._pending.pop(0)
            try:
                values = {**pending.read(), **spent}
                self._write_row(tuple(values), tuple(values.values()), step, at)
            except Exception as error:  # noqa: BLE001  one of the five walls
                self._lost(error)

    def _write_what_was_held_back(self) -> None:
        """Write what is deferred, and the last value of each metric that a tier left out; say how many it left out."""
        self._write_pending()
        try:
            for (step, at), values in self._tiers.withheld().items():
                self._writer.row(tuple(values), tuple(values.values()), step, at)
        except Exception as error:  # noqa: BLE001  one of the five walls
            self._lost(error)
        if self._tiers.counts:
            self._record(Kind.LIFECYCLE, "thinned", {"dropped": dict(self._tiers.counts)})

    def report_imports(self) -> None:
        """Say which packages this process has loaded, for the card, if that has changed since the last time."""
        if self.rank != 0 or os.getpid() != self._owner_pid:
            return
        from burnish.track.imported import imported_modules

        found = imported_modules()
        if found != self._imported:
            self._imported = found
            self.report(found)


def _step_of(step: object) -> int:
    """Return a step as an integer.

    Raises:
        TypeError: It is none.
    """
    try:
        return index(step)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"a step must be an integer, not {step!r}") from None
