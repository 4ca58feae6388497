"""W&B's transaction log: records in chunks of LevelDB's log format, behind a header of W&B.

Whoever writes it says up to which byte it vouches for it. What lies beyond is cut off before more is written, so that
a crash neither loses nor doubles a record.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zlib import crc32

from burnish.sinks.base import Gone
from burnish.sinks.wire import read_varint, varint

HEADER: Final = b":W&B\xe1\xbe\x00"
_BLOCK: Final = 1 << 15
_CHUNK_HEAD: Final = struct.Struct("<IHB")
_HEAD_BYTES: Final = _CHUNK_HEAD.size
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_SEEDS: Final = {kind: crc32(bytes([kind])) for kind in (_FULL, _FIRST, _MIDDLE, _LAST)}
_TAIL_BYTES: Final = 4096


@dataclass(slots=True)
class Extent:
    """How much of a log is vouched for.

    Attributes:
        size: Bytes; 0 for a log that is yet to be begun.
        records: How many there are.
        tail_crc: Of the last bytes, up to 4096: another file in its place has others.
    """

    size: int = 0
    records: int = 0
    tail_crc: int = 0


class TransactionLog:
    """One `.wandb` file that grows.

    Args:
        path: The file; its folder must exist.
        extent: What of it is vouched for.
    """

    def __init__(self, path: Path, extent: Extent) -> None:
        self.path = path
        self.extent = extent
        self._fd = -1
        self._tail = b""

    def verify(self) -> None:
        """Check that the file still holds what is vouched for.

        Raises:
            Gone: It does not.
        """
        if not self.extent.size:
            return
        try:
            with self.path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                file.seek(max(0, self.extent.size - _TAIL_BYTES))
                tail = file.read(min(self.extent.size, _TAIL_BYTES))
        except FileNotFoundError:
            raise Gone(f"{self.path} is gone") from None
        if size < self.extent.size or crc32(tail) != self.extent.tail_crc:
            raise Gone(f"{self.path} is not what was written to it")
        self._tail = tail

    def append(self, records: Sequence[bytes]) -> None:
        """Write records, given without their numbers.

        Raises:
            Gone: The file is not the one any more.
            OSError: The disk does not take them; none counts, and they may be given again.
        """
        if not records:
            return
        self._ready()
        extent = self.extent
        content = frame(records, extent.size, extent.records)
        offset, view = extent.size, memoryview(content)
        while view:
            written = os.pwrite(self._fd, view, offset)
            offset, view = offset + written, view[written:]
        self._tail = (self._tail + content[-_TAIL_BYTES:])[-_TAIL_BYTES:]
        self.extent = Extent(offset, extent.records + len(records), crc32(self._tail))

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _ready(self) -> None:
        """Open the file where it is not, and cut off what is not vouched for."""
        size = self.extent.size
        if self._fd < 0:
            self.verify()
            self._fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | (0 if size else os.O_CREAT), 0o644)
        try:
            named, mine = self.path.stat(), os.fstat(self._fd)
        except FileNotFoundError:
            raise Gone(f"{self.path} is gone") from None
        if (named.st_dev, named.st_ino) != (mine.st_dev, mine.st_ino) or mine.st_size < size:
            raise Gone(f"{self.path} is not what was written to it")
        if mine.st_size > size:
            os.ftruncate(self._fd, size)


def frame(records: Sequence[bytes], at: int, number: int) -> bytes:
    """Return records as the bytes that stand in a log from a place on.

    Args:
        records: Encoded ones without their number, which W&B counts from 1.
        at: Where they begin; at 0 the header comes first.
        number: How many records stand before them.
    """
    out = [] if at else [HEADER]
    at = at or len(HEADER)
    pack, push, seed = _CHUNK_HEAD.pack, out.append, _SEEDS[_FULL]
    for body in records:
        number += 1
        record = b"\x08" + varint(number) + body
        size = len(record)
        if size + _HEAD_BYTES <= _BLOCK - at % _BLOCK:
            push(pack(crc32(record, seed), size, _FULL))
            push(record)
            at += size + _HEAD_BYTES
        else:
            for piece in _pieces(record, at):
                push(piece)
                at += len(piece)
    return b"".join(out)


def _pieces(record: bytes, at: int) -> Iterator[bytes]:
    """Yield a record that does not fit into the block, in chunks that do; zeros fill what no chunk fits into."""
    left = _BLOCK - at % _BLOCK
    if left < _HEAD_BYTES:
        yield bytes(left)
        left = _BLOCK
    taken, is_first = 0, True
    while is_first or taken < len(record):
        piece = record[taken : taken + left - _HEAD_BYTES]
        taken += len(piece)
        is_last = taken == len(record)
        kind = (_FULL if is_last else _FIRST) if is_first else (_LAST if is_last else _MIDDLE)
        yield _CHUNK_HEAD.pack(crc32(piece, _SEEDS[kind]), len(piece), kind) + piece
        is_first, left = False, _BLOCK


def read_records(path: Path, until: int, at: int = 0) -> Iterator[bytes]:
    """Yield the records of a log without their numbers.

    Args:
        path: The log.
        until: The byte before which the last one ends.
        at: The byte after which the first one begins: 0, or an earlier `until`.

    Raises:
        Gone: The bytes before it are not those of a log.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(HEADER)) != HEADER:
                raise Gone(f"{path} is no log of W&B")
            at, parts = at or len(HEADER), []
            file.seek(at)
            while at < until:
                left = _BLOCK - at % _BLOCK
                if left < _HEAD_BYTES:
                    at += len(file.read(left))
                    continue
                crc, size, kind = _CHUNK_HEAD.unpack(file.read(_HEAD_BYTES))
                content = file.read(size)
                if len(content) < size or kind not in _SEEDS or crc32(content, _SEEDS[kind]) != crc:
                    raise Gone(f"{path} is broken at byte {at}")
                at += _HEAD_BYTES + size
                parts.append(content)
                if kind in (_FULL, _LAST):
                    record, parts = b"".join(parts), []
                    yield record[read_varint(record, 1)[1] :]
    except (FileNotFoundError, struct.error, ValueError) as error:
        raise Gone(f"{path}: {error}") from error
