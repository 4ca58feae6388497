"""Where a value was written: a place in a file, a variable, a flag, a default, a computation, another run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

OriginKind = Literal["file", "env", "flag", "default", "computed", "machine", "run"]


@dataclass(slots=True, unsafe_hash=True)  # not frozen, which makes making one twice as slow; nobody changes it
class Origin:
    """The place that a value came from, as a person can open it.

    Attributes:
        kind: What sort of place.
        source: The file, variable, flag, or what it was computed from.
        line: Line in the file, from 1; 0 when it has none.
        column: Column in the line, from 1; 0 when it has none.
        note: How the value came about there, such as `via ${run:sft@best}`.
    """

    kind: OriginKind
    source: str
    line: int = 0
    column: int = 0
    note: str = ""

    def __str__(self) -> str:
        place = ":".join([self.source, *(str(n) for n in (self.line, self.column) if n)])
        text = place if self.kind == "file" else f"{_PREFIX[self.kind]}{place}"
        return f"{text} {self.note}" if self.note else text

    def with_note(self, note: str) -> Origin:
        """Return the same place with a note added."""
        return replace(self, note=f"{self.note}, {note}" if self.note else note)


_PREFIX: dict[OriginKind, str] = {
    "file": "",
    "env": "env ",
    "flag": "flag ",
    "default": "default ",
    "computed": "computed from ",
    "machine": "machine: ",
    "run": "run ",
}
