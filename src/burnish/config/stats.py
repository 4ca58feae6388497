"""How large and how repetitive config files are, as written: what they say again, and what could be shared.

Everything is counted over a file, what it extends and the project's default layer, before the schema's defaults; a
Python layer is not executed, so what it computes is not counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path

from burnish.config.diff import same
from burnish.config.layer import Mapping, Node, Plain, leaves, plain
from burnish.config.layers import merged
from burnish.config.sources.files import FileLayer, with_paths
from burnish.config.survey import ConfigFile
from burnish.core.errors import ConfigError, Problem

CLOSE = 5
"""Files that differ in fewer values than this could share a parent."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large a config is.

    Attributes:
        parameters: Its leaves.
        depth: Keys on the way to the deepest of them.
        parents: The files that it extends, nearest first.
    """

    file: str
    parameters: int
    depth: int
    parents: tuple[str, ...] = ()

    @property
    def complexity(self) -> float:
        """The logarithm of the number of parameters, to base 2, times the depth.

        >>> Size("a.yaml", parameters=8, depth=2).complexity
        6.0
        """
        return round(math.log2(self.parameters) * self.depth, 2) if self.parameters else 0.0


@dataclass(frozen=True, slots=True)
class Repeat:
    """A value that a lower layer gives already."""

    key: str
    value: Plain
    origin: str
    given_by: str


@dataclass(frozen=True, slots=True)
class Overridden:
    """A key that is overridden more than once on the way to a file: its values and origins, the winner first."""

    file: str
    key: str
    history: tuple[tuple[Plain, str], ...]


@dataclass(frozen=True, slots=True)
class Close:
    """Two experiment files that are nearly the same and share no parent; `keys` are those that differ."""

    files: tuple[str, str]
    keys: tuple[str, ...]
    shared: int


@dataclass(frozen=True, slots=True)
class Stats:
    """What there is to say of the config files of a project."""

    sizes: tuple[Size, ...]
    repeats: tuple[Repeat, ...]
    overridden: tuple[Overridden, ...]
    close: tuple[Close, ...]


@dataclass(frozen=True, slots=True)
class _Merged:
    """A file with all that stands below it."""

    file: ConfigFile
    tree: Mapping

    @property
    def paths(self) -> set[Path]:
        return {source.path for source in self.file.sources}


def stats(files: Sequence[ConfigFile], default: ConfigFile | None = None) -> Stats:
    """Count what experiment files say.

    Args:
        files: The files.
        default: The layer below all of them.

    Raises:
        ConfigError: Every file that cannot be read.
    """
    every = [*files, *([default] if default is not None else [])]
    problems = [problem for one in every for problem in one.problems]
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    found = [_merged(one, default) for one in files]
    repeats = {(r.key, r.origin, r.given_by): r for one in found for r in _repeats(one.tree)}
    return Stats(
        tuple(_size(one) for one in found),
        tuple(repeats.values()),
        tuple(again for one in found for again in _overridden(one)),
        tuple(_close(found)),
    )


def _merged(one: ConfigFile, default: ConfigFile | None) -> _Merged:
    below = default.sources if default is not None and default is not one else ()
    sources = {source.path: source for source in (*below, *one.sources)}
    unsaid: list[Problem] = []  # an element may be addressed that only the schema has: `check` knows, not we
    written = [source.layer for source in sources.values() if isinstance(source, FileLayer)]
    return _Merged(one, merged([part for layer in written for part in with_paths(layer, unsaid)], unsaid))


def _size(one: _Merged) -> Size:
    paths = [path for path, _ in leaves(one.tree) if path]
    parents = tuple(_shown(source) for source in reversed(one.file.sources[:-1]))
    return Size(one.file.shown, len(paths), max((path.count(".") + 1 for path in paths), default=0), parents)


def _shown(source: object) -> str:
    return source.layer.name if isinstance(source, FileLayer) else str(getattr(source, "name", ""))


def _set_values(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    """Yield what layers replace as a whole: single values and lists."""
    if isinstance(node, Mapping) and node.items:
        for key, item in node.items.items():
            yield from _set_values(item, f"{path}.{key}" if path else key)
    elif path:
        yield path, node


def _repeats(tree: Mapping) -> Iterator[Repeat]:
    for path, node in _set_values(tree):
        given = [node, *node.beaten]
        for over, below in pairwise(given):
            if same(plain(over), plain(below)):
                yield Repeat(path, plain(over), str(over.origin), str(below.origin))


def _overridden(one: _Merged) -> Iterator[Overridden]:
    for path, node in _set_values(one.tree):
        if len(node.beaten) > 1:
            given = (node, *node.beaten)
            yield Overridden(one.file.shown, path, tuple((plain(item), str(item.origin)) for item in given))


def _close(found: Sequence[_Merged]) -> Iterator[Close]:
    """Yield the pairs of experiments that differ in few values, agree in some, and share no file."""
    seen = [(one, one.paths, {path: plain(leaf) for path, leaf in leaves(one.tree) if path}) for one in found]
    for (a, paths_a, values_a), (b, paths_b, values_b) in combinations(seen, 2):
        alone = values_a.keys() ^ values_b.keys()
        if paths_a & paths_b or len(alone) >= CLOSE or "experiment" not in {a.file.role, b.file.role}:
            continue
        both = values_a.keys() & values_b.keys()
        differ = [path for path in both if not same(values_a[path], values_b[path])]
        if len(alone) + len(differ) < CLOSE and len(both) > len(differ):
            keys = tuple(sorted({*alone, *differ}))
            yield Close((a.file.shown, b.file.shown), keys, len(both) - len(differ))
