"""Names that a tracker takes in place of those that it refuses, each for one metric only.

A name that had to be changed keeps its new one as long as the run lives, also over crashes: the choices are part of the
sink's state. Pure.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

_MOST_TRIES: Final = 100


@dataclass(slots=True)
class Names:
    """What each name is called at the tracker.

    Attributes:
        clean: Returns a name that the tracker takes, given any; one that it takes as it is comes back unchanged.
        changed: The names that are called something else there; JSON, to be kept in the sink's state.
        there: Names that the tracker has already; those that were not changed are taken by themselves. A tracker whose
            names are not known here must have a `clean` that never makes a name which it takes as it is.
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
        wanted = stem = self.clean(name)
        tries = 0
        while self._taken.get(wanted, name) != name:
            mark = zlib.crc32(f"{tries or ''}{name}".encode(errors="surrogatepass"))
            wanted = f"{stem}_{mark:08x}"
            if tries < _MOST_TRIES:  # else it leaves nothing of what makes names differ
                wanted = self.clean(wanted)
            tries += 1
        if wanted != name:
            self.changed[name] = wanted
        return wanted
