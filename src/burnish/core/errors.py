"""Every error that Burnish raises on purpose.

BurnishError               exit 1   something expected went wrong
├── UsageError             exit 2   the command line or the environment is wrong
│   └── ConfigError        exit 2   one or more mistakes in a config, told all at once
├── ComponentError         exit 2   a component that does not exist or does not fit its category
├── RunError               exit 1   a run is missing, ambiguous, or owned by another process
├── CheckpointError        exit 1   no checkpoint that can be trusted
├── JournalError           exit 1   a file that is not a journal
└── StorageError           exit 1   a folder that cannot be written

A message says what, in lower case and without a full stop; `origin` says where it came from and `hint`
what to type.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class BurnishError(Exception):
    """Something went wrong that the user can understand and act on.

    Attributes:
        message: What went wrong.
        hint: What to do or type; empty when there is nothing to say.
        origin: Where the cause was written (`file:line:column`, `env NAME`, `flag --name`); may be empty.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "", origin: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.origin = origin

    def __str__(self) -> str:
        return f"{self.message} ({self.origin})" if self.origin else self.message

    def to_json(self) -> dict[str, object]:
        """Return the body of the `error` object that `--json` prints."""
        return {"code": self.code, "message": self.message, "hint": self.hint, "origin": self.origin}


class UsageError(BurnishError):
    """The command line or the environment asks for something that cannot be."""

    code = "usage"
    exit_code = 2


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a config: what, where it was written, and what to type instead."""

    message: str
    origin: str = ""
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.message} ({self.origin})" if self.origin else self.message


class ConfigError(UsageError):
    """One or more mistakes in a config, collected before anything is raised."""

    code = "config"

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0]
        super().__init__(first.message, hint=first.hint, origin=first.origin)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(f"{p}\n  hint: {p.hint}" if p.hint else str(p) for p in self.problems)

    def to_json(self) -> dict[str, object]:
        """Return the first problem in the common shape, and all of them under `problems`."""
        every = [{"message": p.message, "hint": p.hint, "origin": p.origin} for p in self.problems]
        return {**super().to_json(), "problems": every}


class ComponentError(BurnishError):
    """A component does not exist, or does not fit its category."""

    code = "component"
    exit_code = 2


class RunError(BurnishError):
    """A run is missing, ambiguous, or owned by another live process."""

    code = "run"


class CheckpointError(BurnishError):
    """There is no checkpoint that can be trusted."""

    code = "checkpoint"


class JournalError(BurnishError):
    """A file is not a journal, or its format is newer than this Burnish."""

    code = "journal"


class StorageError(BurnishError):
    """A folder or file cannot be written."""

    code = "storage"
