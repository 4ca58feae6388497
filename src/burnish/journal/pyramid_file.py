"""`metrics.pyramid`: the pyramids of a finished run's metrics, beside its `metrics.parquet`, which holds the points.

Columns of all levels lie one after the other, then a directory (MessagePack), its length as u64 and the magic. It is
mapped into memory: a window reads the pages that it needs.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

import msgspec
import numpy as np

from burnish.core.errors import JournalError
from burnish.core.files import draft_of
from burnish.journal.pyramid import Nodes, Pyramid
from burnish.journal.series import Series

MAGIC: Final = b"\x89BRNPYR\n"
FORMAT: Final = 1
# A level of fewer groups saves nobody anything: as many points are read in the same time.
_LEAST_GROUPS: Final = 256
_TAIL = struct.Struct("<Q8s")
_KINDS = ("<i8", "<i8", "<f8", "<f8", "<f8", "<u4", "<u4")


class _Entry(msgspec.Struct, array_like=True):
    """One series: its first row in `metrics.parquet`, its number of points, and offset and length of each level."""

    row: int
    size: int
    levels: list[tuple[int, int]]


class _Directory(msgspec.Struct):
    format: int
    series: dict[str, dict[int, _Entry]]


class PyramidWriter:
    """Writes a file of pyramids, whole or not at all. A context manager: left by an error, it leaves nothing behind."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._draft = draft_of(path)
        self._file: BinaryIO = self._draft.open("wb")
        self._directory = _Directory(FORMAT, {})

    def add(self, name: str, rank: int, row: int, series: Series) -> None:
        """Add one metric of one rank, ordered by step; `row` is where its points begin in `metrics.parquet`."""
        entry = _Entry(row, len(series), [])
        for nodes in Pyramid.build(series.step, series.value).levels:
            if len(nodes) < _LEAST_GROUPS:
                break
            entry.levels.append((self._file.tell(), len(nodes)))
            for array, kind in zip(nodes.arrays, _KINDS, strict=True):
                self._file.write(array.astype(kind).tobytes())
        self._directory.series.setdefault(name, {})[rank] = entry

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with self._file as file:
                if error is not None:
                    return
                raw = msgspec.msgpack.encode(self._directory)
                file.write(raw + _TAIL.pack(len(raw), MAGIC))
                file.flush()
                os.fsync(file.fileno())
            self._draft.replace(self._path)
        finally:
            self._draft.unlink(missing_ok=True)


class PyramidFile:
    """Reads a file of pyramids.

    Raises:
        JournalError: It is none, or of a newer format.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < _TAIL.size:
                raise JournalError(f"{path} is no file of pyramids")
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        length, magic = _TAIL.unpack_from(self._map, size - _TAIL.size)
        if magic != MAGIC or length > size - _TAIL.size:
            raise JournalError(f"{path} is no file of pyramids")
        try:
            raw = self._map[size - _TAIL.size - length : size - _TAIL.size]
            self._directory = msgspec.msgpack.decode(raw, type=_Directory)
        except msgspec.MsgspecError as error:
            raise JournalError(f"{path} is no file of pyramids") from error
        if self._directory.format > FORMAT:
            raise JournalError(
                f"{path} has format {self._directory.format}, this Burnish reads up to {FORMAT}",
                hint="pip install --upgrade burnish",
            )

    @property
    def metrics(self) -> list[tuple[str, int]]:
        """Name and rank of every series, sorted."""
        return sorted((name, rank) for name, ranks in self._directory.series.items() for rank in ranks)

    def find(self, name: str, rank: int) -> tuple[int, Pyramid] | None:
        """Return the row at which a series begins in `metrics.parquet`, and its pyramid; None where there is none."""
        entry = self._directory.series.get(name, {}).get(rank)
        if entry is None:
            return None
        return entry.row, Pyramid([self._nodes(offset, length) for offset, length in entry.levels], entry.size)

    def _nodes(self, offset: int, length: int) -> Nodes:
        columns = []
        for kind in _KINDS:
            columns.append(np.frombuffer(self._map, kind, length, offset))
            offset += columns[-1].nbytes
        return Nodes(*columns)
