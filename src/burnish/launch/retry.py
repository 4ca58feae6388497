"""What an ended training process means, and whether to try again. Pure: nothing is read or started here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from signal import Signals
from typing import Literal

from burnish.track.run import EXIT_RESUME_ME

_MAX_REASON = 300
# As a shell reports them, 128 + n: ABRT, BUS, KILL, SEGV, TERM. Others (PIPE, INT) are ends of their own.
_SIGNALS = frozenset({6, 7, 9, 11, 15})

State = Literal["created", "running", "retrying", "finished", "failed", "stopped", "lost"]
"""`created` lasts from the making of the run directory until its supervisor has taken it over."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a training process ended.

    Attributes:
        code: Its exit status; negative for a signal, None when nobody could see it (an adopted process).
        end_status: What it wrote in its last lifecycle frame; empty when it wrote none.
        error: The error that it wrote there.
    """

    code: int | None
    end_status: str = ""
    error: str = ""

    @property
    def was_cut_off(self) -> bool:
        """Whether a signal ended it, also one that a shell around it reports, or it asked to be resumed."""
        code = self.code
        return code is not None and (code < 0 or code == EXIT_RESUME_ME or code - 128 in _SIGNALS)

    @property
    def shell_code(self) -> int:
        """The exit status as a shell shows it: 128 + n for signal n."""
        if self.code is None:
            return 0 if self.end_status == "finished" else 1
        return 128 - self.code if self.code < 0 else self.code


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When to start a training process again.

    A process that was killed, or that says "resume me" without having been asked to stop, is started again; one
    that ended with an error of its own is not, since the same code on the same data would end the same way.
    """

    max_attempts: int = 3
    backoff_s: float = 1.0
    max_backoff_s: float = 60.0

    def delay_s(self, attempts: int, ended: Exit, *, stop_requested: bool) -> float | None:
        """Return the seconds to wait before the next attempt, None for no further attempt."""
        if stop_requested or not ended.was_cut_off or attempts >= self.max_attempts:
            return None
        doublings = min(attempts - 1, 60)  # beyond that a float overflows before the bound applies
        return min(self.backoff_s * 2.0**doublings, self.max_backoff_s)


def final_state(ended: Exit, *, stop_requested: bool, needs_end_record: bool) -> State:
    """Return the state of a run whose last attempt ended like this.

    Args:
        ended: How the process ended.
        stop_requested: Whether a person or a scheduler asked for it.
        needs_end_record: The process is known to write an end frame, so exit 0 without one is no success.
    """
    if ended.code is None:
        known: dict[str, State] = {"finished": "finished", "failed": "failed", "stopped": "stopped"}
        return known.get(ended.end_status, "lost")
    if ended.code == EXIT_RESUME_ME or (stop_requested and ended.code != 0):
        return "stopped"
    if ended.code != 0:
        return "failed"
    return "failed" if needs_end_record and ended.end_status != "finished" else "finished"


def first_line(text: str) -> str:
    """Return the first line of an error, without terminal colours and not longer than a line should be."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text).strip().partition("\n")[0]
    return plain if len(plain) <= _MAX_REASON else f"{plain[:_MAX_REASON]}…"


def describe(ended: Exit) -> str:
    """Return one line on how a process ended, for people."""
    if ended.code is None:
        return first_line(ended.error) or ("finished" if ended.end_status == "finished" else "its end was not seen")
    if ended.code < 0:
        try:
            name = Signals(-ended.code).name
        except ValueError:
            name = f"signal {-ended.code}"
        return f"killed by {name}"
    if ended.code == 0:
        return "finished" if ended.end_status == "finished" else "exit code 0"
    if ended.code == EXIT_RESUME_ME:
        return "stopped on request after saving"
    if ended.error:
        return first_line(ended.error)
    return f"exit code {ended.code}"
