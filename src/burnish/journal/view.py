"""The metrics of a run as a chart wants them, while it lives and after: any window at the width of a screen."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from burnish.core.errors import JournalError
from burnish.core.paths import RunPaths
from burnish.journal.columns import Block, read_columns
from burnish.journal.entry import Record
from burnish.journal.points import is_compacted
from burnish.journal.pyramid import GrowingPyramid, Nodes
from burnish.journal.pyramid_file import PyramidFile
from burnish.journal.reader import JournalName, JournalReader, journal_files
from burnish.journal.replay import Replays


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
    if is_compacted(run):
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
        self._replays = Replays()
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
                while reader.offset != before and reader.torn_bytes:
                    before = reader.offset
                    self._take(JournalName.parse(path), *read_columns(reader.read_bodies(), reader.keys))
                reader.close()
            except JournalError:
                self._broken.add(path.name)
            except OSError:
                continue  # a writer on a full disk took its empty file away, or it cannot be opened just now

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
        after = self._replays.take(name, blocks, records)
        if after is not None:
            for (_, rank), pyramid in self._pyramids.items():
                if rank == name.rank:
                    pyramid.truncate(after)
        for block in blocks:
            mask = self._replays.mask(name, block)
            kept = slice(None) if mask is None else mask
            for number, metric in enumerate(block.keys):
                pyramid = self._pyramids.setdefault((metric, name.rank), GrowingPyramid())
                pyramid.extend(block.step[kept], block.values[number][kept])


_NOTHING = Nodes.of(np.empty(0, np.int64), np.empty(0, np.float64))
