"""Closing the record when the interpreter ends, however it does."""

from __future__ import annotations

import atexit
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import NoReturn

from burnish.track.run import Run

_exits: list[str | int | None] = []
_watched: list[Callable[[], Run | None]] = []


def end_with_interpreter(current: Callable[[], Run | None]) -> None:
    """Close the record of what is then this process's run when the interpreter ends; a second call does nothing.

    Args:
        current: Returns the run, None where there is none.
    """
    if _watched:  # a notebook may begin hundreds of runs: the hooks of each would stand in a chain
        return
    _watched.append(current)
    report_exception, leave = sys.excepthook, sys.exit

    def note_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        _finish(error)
        report_exception(kind, error, trace)

    def note_exit(status: str | int | None = None, /) -> NoReturn:
        if threading.current_thread() is threading.main_thread():  # of another it ends that thread alone
            _exits.append(status)
        leave(status)

    # The interpreter hands an exception to its hook, but an exit to nobody: the only place to see its code is here,
    # for who writes `raise SystemExit` it is the kernel, which whoever watches the process asks.
    sys.excepthook, sys.exit = note_exception, note_exit
    atexit.register(_end)


def _end() -> None:
    # A script that catches an exit and goes on to its end looks the same from here; that is rare.
    _finish(SystemExit(_exits[-1]) if _exits else None)


def _finish(error: BaseException | None) -> None:
    run = _watched[0]()
    if run is not None:
        run.is_leaving = True
        run.finish_with(error)
