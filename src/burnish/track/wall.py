"""The wall between training and its record: whatever goes wrong below becomes one warning and a counter.

What cannot be written is told once; what cannot be made (a picture that is none, a file that is not there) once for
each name, and kept in the record by name. A wrong type raises, if it is ours to say so.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from operator import index
from pathlib import Path
from typing import TypeVar

from burnish.core.errors import RunError
from burnish.core.paths import RunPaths
from burnish.core.secrets import Masker
from burnish.journal.entry import Kind
from burnish.journal.writer import JournalWriter
from burnish.track.tiers import Tiers

_log = logging.getLogger(__name__)
_MOST_TOLD = 100
T = TypeVar("T")
# What is said, in which an exception, an argument or a path may quote a credential. Tables and pictures are the
# user's own data, and kept as they are.
_WORDS = frozenset({Kind.LIFECYCLE, Kind.TEXT, Kind.ALERT, Kind.ARTIFACT})


class Wall:
    """Where a process's records of one run go.

    Attributes:
        paths: The files of the run.
        attempt: Which try this process belongs to, from 1.
        rank: This process's rank in the job; rank 0 leads.
        dropped: How many calls could not be recorded.
        has_ended: Whether the record is closed: what comes after it is not recorded.
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
        self.paths = RunPaths(folder)
        self.attempt = attempt
        self.rank = rank
        self.dropped = 0
        self.has_ended = False
        self._has_lost = False
        self._told: set[tuple[str, str]] = set()
        self._step = -1
        self._tiers = tiers or Tiers(())
        self._writer = JournalWriter(self.paths.journals, rank, self._opening, continues=continues)

    def __repr__(self) -> str:
        return f"<Run {self.name}, step {self._step}, in {self.paths.root}>"

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

    def _add(self, kind: Kind, key: str, make: Callable[[], dict[str, object]], step: int | None) -> None:
        """Record what `make` returns, unless a tier leaves it out: then it is not even made."""
        if not isinstance(key, str):
            raise TypeError(f"a name must be a string, not {key!r}")
        at_step = self._at(step)
        if self._tiers and kind != Kind.LIFECYCLE and not self._tiers.wants(key, at_step or 0, time.time()):
            return
        payload = self._try(make, kind.name.lower(), key)
        if payload is not None:
            self._record(kind, key, payload, at_step)

    def _at(self, step: int | None) -> int | None:
        if step is not None:
            return index(step)
        return self._step if self._step >= 0 else None

    def _try(self, make: Callable[[], T], kind: str, key: str) -> T | None:
        """Return what is to be recorded; None where it cannot be made, which is told once for each name."""
        try:
            return make()
        except Exception as error:
            if isinstance(error, TypeError) and _is_ours(error):
                raise  # the user's own mistake
            self.dropped += 1
            if (kind, key) not in self._told and len(self._told) < _MOST_TOLD:
                self._told.add((kind, key))
                why = self._masker.text(str(error))
                _log.warning("run %s: %s %r is not recorded: %s; training goes on", self.name, kind, key, why)
                self._record(Kind.LIFECYCLE, "lost", {"kind": kind, "key": key, "error": why})
            return None

    def _record(self, kind: Kind, key: str, payload: Mapping[str, object], step: int | None = None) -> None:
        try:
            if self.has_ended:
                raise RunError("the run has ended; begin another: burnish.start_run()")
            if kind in _WORDS:
                key, payload = self._masker.text(key), self._masker.tree(payload)
            self._writer.record(kind, key, payload, step)
        except Exception as error:  # noqa: BLE001  one of the five walls
            self._lost(error)

    @cached_property
    def _masker(self) -> Masker:
        return Masker.from_environment(os.environ)

    def _lost(self, error: Exception) -> None:
        self.dropped += 1
        if not self._has_lost:
            self._has_lost = True
            what = f"write to {self.paths.journals}" if isinstance(error, OSError) else "record something"
            _log.warning("run %s: cannot %s: %s; training goes on", self.name, what, error)

    def _opening(self) -> dict[str, object]:
        return {"attempt": self.attempt, "pid": os.getpid(), "rank": self.rank, "dropped": self.dropped}


def _is_ours(error: BaseException) -> bool:
    """Return whether we raised an error ourselves, and not a library somewhere below us."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and str(trace.tb_frame.f_globals.get("__name__", "")).startswith("burnish.")
