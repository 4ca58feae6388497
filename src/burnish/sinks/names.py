"""Names that a tracker takes in place of those that it refuses, each for one metric only.

A name that had to be changed keeps its new one as long as the run lives, also over crashes: the choices are part of the
sink's state. Pure.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Names:
    """What each name is called at the tracker.

    Attributes:
        clean: Returns a name that the tracker takes, given any; one that it takes as it is comes back unchanged.
        changed: The names that are called something else there; JSON, to be kept in the sink's state.
        there: Names that the tracker has already; those that were not changed are taken by themselves.
    """

    clean: Callable[[str], str]
    changed: dict[str, str] = field(default_factory=dict)
    there: Iterable[str] = ()
    _known: dict[str, str] = field(default_factory=dict)
    _taken: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._taken.update({name: name for name in self.there})
        self._taken.update({new: name for name, new in self.changed.items()})

    def __getitem__(self, name: str) -> str:
        """Return what a name is called; two names are never called the same."""
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = self.changed.get(name) or self._choose(name)
            self._taken[found] = name
        return found

    def _choose(self, name: str) -> str:
        wanted = self.clean(name)
        if self._taken.get(wanted, name) != name:
            wanted = f"{wanted}_{zlib.crc32(name.encode(errors='surrogatepass')):08x}"
        if wanted != name:
            self.changed[name] = wanted
        return wanted
