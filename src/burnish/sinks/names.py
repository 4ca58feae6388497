"""Names that a tracker takes in place of those that it refuses, each for one metric only.

A choice that depends on which name came first is part of the sink's state, so that a crash does not change it. Pure.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

_MOST_TRIES: Final = 8


@dataclass(slots=True)
class Names:
    """What each name is called at the tracker.

    Attributes:
        clean: Returns a name that the tracker takes, given any; one that it takes as it is comes back unchanged.
        may_meet: Tells whether a name that comes back unchanged may be what `clean` makes of another one.
        chosen: What names are called that were changed, or may meet one that was; JSON, part of the sink's state.
    """

    clean: Callable[[str], str]
    may_meet: Callable[[str], bool]
    chosen: dict[str, str] = field(default_factory=dict)
    _known: dict[str, str] = field(default_factory=dict)
    _taken: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._taken.update({new: name for name, new in self.chosen.items()})

    @property
    def changed(self) -> int:
        """How many names are called something else."""
        return sum(new != name for name, new in self.chosen.items())

    def __getitem__(self, name: str) -> str:
        """Return what a name is called; two names are never called the same."""
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = self.chosen.get(name) or self._choose(name)
            self._taken[found] = name
        return found

    def _choose(self, name: str) -> str:
        wanted = stem = self.clean(name)
        tries = 0
        while self._taken.get(wanted, name) != name:
            wanted = hashed(stem, f"{tries or ''}{name}")
            if tries < _MOST_TRIES:  # else it leaves nothing of what makes names differ
                wanted = self.clean(wanted)
            tries += 1
        if wanted != name or self.may_meet(name):
            self.chosen[name] = wanted
        return wanted


def hashed(text: str, name: str) -> str:
    """Return a text that no other name has, by the checksum of its name.

    >>> hashed("acc_0_", "acc[0]")
    'acc_0__2f1ef2c7'
    """
    return f"{text}_{zlib.crc32(name.encode(errors='surrogatepass')):08x}"
