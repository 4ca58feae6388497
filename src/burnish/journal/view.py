"""The metrics of a run as a chart wants them, while it lives and after: any window at the width of a screen."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from burnish.core.errors import JournalError
from burnish.core.paths import RunPaths
from burnish.journal.columns import Block, read_columns
from burnish.journal.entry import Kind, Record
from burnish.journal.pyramid import GrowingPyramid, Nodes
from burnish.journal.pyramid_file import PyramidFile
from burnish.journal.reader import SYSTEM_RANK, JournalName, JournalReader, journal_files
from burnish.journal.record import read_record

_OVER = ("finished", "failed", "stopped", "lost")


class MetricsView(Protocol):
    """Windows of a run's metrics. Not safe for several threads at once."""

    @property
    def metrics(self) -> list[tuple[str, int]]:
        """Name and rank of every series, sorted."""

    def refresh(self) -> None:
        """Take in what was logged since the last call."""

    def window(
        self, name: str, first: int | None = None, last: int | None = None, *, width: int = 1200, rank: int = 0
    ) -> Nodes:
        """Return at most `width` groups of points that cover the steps from `first` to `last`, both included.

        A metric that was never logged has none.
        """

    def close(self) -> None:
        """Close its files."""


def open_view(run: RunPaths) -> MetricsView:
    """Return a view of a run's metrics: from its files when it has ended, else from its journals."""
    if read_record(run).get("state") in _OVER:
        try:
            return FileView(run)
        except (OSError, JournalError):
            pass  # it ended on a full disk, or by an older version: its journals hold the same
    return LiveView(run.journals)


class FileView:
    """The metrics of a run that has ended.

    Raises:
        OSError: Its files are not there.
        JournalError: They are none.
    """

    def __init__(self, run: RunPaths) -> None:
        self._file = PyramidFile(run.pyramid)
        self._points = run.metrics
        if not self._points.is_file():
            raise FileNotFoundError(2, f"no {self._points}")

    @property
    def metrics(self) -> list[tuple[str, int]]:
        """Name and rank of every series, sorted."""
        return self._file.metrics

    def refresh(self) -> None:
        """Do nothing: it has ended."""

    def window(
        self, name: str, first: int | None = None, last: int | None = None, *, width: int = 1200, rank: int = 0
    ) -> Nodes:
        """Return a window. See `MetricsView.window`."""
        from burnish.journal.parquet import read_points  # pyarrow, which no level of a pyramid needs

        found = self._file.find(name, rank)
        if found is None:
            return _NOTHING
        row, pyramid = found
        return pyramid.window(lambda a, b: read_points(self._points, row + a, row + b), first, last, width)

    def close(self) -> None:
        """Do nothing: the file is mapped as long as one of its windows is looked at."""


class LiveView:
    """The metrics of a run as its journals grow; pyramids are built as the points come.

    Args:
        folder: The run's journal folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._readers: dict[str, JournalReader] = {}
        self._broken: set[str] = set()
        self._attempts: dict[str, int] = {}
        """Which attempt wrote a file."""
        self._cuts: dict[tuple[int, int], int] = {}
        """By rank and attempt: the step after which it replaced what earlier ones logged."""
        self._pyramids: dict[tuple[str, int], GrowingPyramid] = {}
        self.refresh()

    @property
    def metrics(self) -> list[tuple[str, int]]:
        """Name and rank of every series, sorted."""
        return sorted(self._pyramids)

    def refresh(self) -> None:
        """Take in what was logged since the last call."""
        for path in journal_files(self._folder):
            if path.name in self._broken:
                continue
            try:
                reader = self._readers.get(path.name) or JournalReader(path)
                self._readers[path.name] = reader
                before = -1
                while reader.offset != before:
                    before = reader.offset
                    self._take(JournalName.parse(path), *read_columns(reader.read_bodies(), reader.keys))
            except FileNotFoundError:
                continue  # a writer on a full disk took its empty file away again
            except JournalError:
                self._broken.add(path.name)

    def window(
        self, name: str, first: int | None = None, last: int | None = None, *, width: int = 1200, rank: int = 0
    ) -> Nodes:
        """Return a window. See `MetricsView.window`."""
        pyramid = self._pyramids.get((name, rank))
        return pyramid.window(first, last, width) if pyramid is not None else _NOTHING

    def close(self) -> None:
        """Close the journals."""
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()

    def _take(self, name: JournalName, blocks: list[Block], records: list[Record]) -> None:
        file, rank = str(name), name.rank
        for record in records:
            if record.kind == Kind.LIFECYCLE and record.key == "open":
                attempt = record.payload.get("attempt")
                self._attempts[file] = attempt if isinstance(attempt, int) else 1
            elif record.kind == Kind.LIFECYCLE and record.key == "resume" and record.step is not None:
                self._cut(rank, self._attempts.get(file, 1), record.step)
        attempt = self._attempts.get(file, 1)
        if blocks and (rank, attempt) not in self._cuts:
            self._cut(rank, attempt, int(min(blocks, key=lambda block: block.seq[0]).step[0]) - 1)
        limit = min((after for (r, a), after in self._cuts.items() if r == rank and a > attempt), default=None)
        for block in blocks:
            kept = slice(None) if limit is None else block.step <= limit
            for number, metric in enumerate(block.keys):
                pyramid = self._pyramids.setdefault((metric, rank), GrowingPyramid())
                pyramid.extend(block.step[kept], block.values[number][kept])

    def _cut(self, rank: int, attempt: int, after: int) -> None:
        """Note that an attempt goes on after a step: what earlier ones logged beyond it is taken away."""
        if rank == SYSTEM_RANK:  # what the machine did in a step that was replayed it did all the same
            return
        self._cuts[rank, attempt] = after
        if any(r == rank and a < attempt for r, a in self._cuts):
            for (_, owner), pyramid in self._pyramids.items():
                if owner == rank:
                    pyramid.truncate(after)


_NOTHING = Nodes.of(np.empty(0, np.int64), np.empty(0, np.float64))
