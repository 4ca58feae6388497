"""Which runs of a project were imported, and which of them is the one that a source tells of.

A source's own name for a run decides, where it has one. Else a run is known by its content: the same points are the
same run wherever the file lies, and a file that has grown is the same run where it lies in the same place, or where
the points in common are too many for chance.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Final, Literal

from burnish.core.files import read_json
from burnish.core.paths import RunPaths
from burnish.core.shape import section
from burnish.journal import Row
from burnish.journal.reader import RunReader

ENOUGH: Final = 10
"""Rows that two runs do not share by chance: with one seed the first may, before a learning rate makes itself felt."""

Relation = Literal["same", "grown", "older", "other"]


@dataclass(frozen=True, slots=True)
class Mark:
    """By what an imported run is known again; `run.json` keeps it under `imported`.

    Attributes:
        source: Whose it is.
        path: Where it lay.
        id: The source's own name for it, empty where it has none.
        label: What tells it from others in the same file.
        beginning: Names its first row.
        content: Names all that was logged, times aside.
        facts: Names what else is known: config, tags, how it ended.
        rows: How many rows of scalars there were.
    """

    source: str
    path: str
    id: str
    label: str
    beginning: str
    content: str
    facts: str
    rows: int

    @classmethod
    def read(cls, told: dict[str, object]) -> Mark:
        """Return the mark that a record keeps."""
        rows = told.get("rows")
        words = {key: str(told.get(key) or "") for key in ("path", "id", "label", "beginning", "content", "facts")}
        return cls(source=str(told.get("from") or ""), rows=rows if isinstance(rows, int) else 0, **words)

    def to_json(self) -> dict[str, object]:
        """Return what a record keeps."""
        told = {"id": self.id, "label": self.label, "beginning": self.beginning}
        digests = {"content": self.content, "facts": self.facts}
        return {"from": self.source, "path": self.path, **told, **digests, "rows": self.rows}

    def may_be(self, other: Mark) -> bool:
        """Return whether two marks can be of one run, before their points are compared."""
        if self.source != other.source or self.label != other.label or self.id != other.id:
            return False
        if self.id:
            return True
        if not self.beginning or not other.beginning:  # nothing was logged: only the place tells which it is
            return self.path == other.path
        return self.beginning == other.beginning


class KnownRuns:
    """The imported runs of a runs folder; looking again reads only what has changed.

    Args:
        runs: The runs folder.
    """

    def __init__(self, runs: Path) -> None:
        self._runs = runs
        self._marks: dict[str, tuple[tuple[int, int, int], Mark | None]] = {}

    def look(self) -> None:
        """Take note of the runs that are there now."""
        found: dict[str, tuple[tuple[int, int, int], Mark | None]] = {}
        for name in _folders(self._runs):
            paths = RunPaths(self._runs / name)
            try:
                told = paths.state.stat()
            except OSError:
                continue
            stamp = (told.st_mtime_ns, told.st_size, told.st_ino)
            known = self._marks.get(name)
            found[name] = known if known is not None and known[0] == stamp else (stamp, _mark(paths))
        self._marks = found

    def find(self, mark: Mark, journals: Path) -> tuple[RunPaths, Relation] | None:
        """Return the run that is the one of a mark, and how what was imported then is related to what there is now.

        Args:
            mark: Of what is being imported.
            journals: The folder with its points.
        """
        marks = [(name, known) for name, (_, known) in self._marks.items() if known is not None and known.may_be(mark)]
        # The same place first: of two runs that began alike, it is the likelier one.
        for name, known in sorted(marks, key=lambda one: (one[1].content != mark.content, one[1].path != mark.path)):
            paths = RunPaths(self._runs / name)
            if known.content == mark.content:
                # A copy elsewhere may lack what lies beside the original.
                is_news = known.facts != mark.facts and (mark.id or known.path == mark.path)
                return paths, "grown" if is_news else "same"
            if (relation := _relation(known, mark, paths.journals, journals)) != "other":
                return paths, relation
        return None


def _mark(paths: RunPaths) -> Mark | None:
    try:
        if b'"imported"' not in paths.state.read_bytes():
            return None
    except OSError:
        return None
    told = section(read_json(paths.state), "imported")
    return Mark.read(told) if told else None


def _folders(runs: Path) -> list[str]:
    try:
        return [name for name in os.listdir(runs) if not name.startswith(".")]  # noqa: PTH208  names are all we want
    except OSError:
        return []


def _relation(known: Mark, mark: Mark, then: Path, now: Path) -> Relation:
    """Return how what was imported is related to what is there now.

    A source's own id makes it the same run, whatever has become of its points; fewer of them are an older state.
    """
    common, is_whole_then, is_whole_now = _in_common(then, now)
    if is_whole_now and not is_whole_then:
        return "older" if mark.id or known.path == mark.path or common >= ENOUGH else "other"
    if mark.id:
        return "grown"
    if is_whole_then:
        return "grown" if known.path == mark.path or common >= ENOUGH else "other"
    return "grown" if known.path == mark.path and common >= ENOUGH else "other"


def _in_common(then: Path, now: Path) -> tuple[int, bool, bool]:
    """Return how many first rows are equal, and whether those are all the rows of either."""
    common = 0
    for old, new in zip_longest(_rows(then), _rows(now)):
        if old != new:
            return common, old is None, new is None
        common += 1
    return common, True, True


def _rows(journals: Path) -> Iterator[tuple[object, ...]]:
    """Yield step, names and values of each row; NaN as text, which equals itself."""
    reader = RunReader(journals)
    try:
        for _, entries in reader.read():
            for entry in entries:
                if isinstance(entry, Row):
                    yield entry.step, entry.keys, tuple(v if v == v else "nan" for v in entry.values)
    finally:
        reader.close()
