"""TensorBoard's event files, record by record, as far as they are whole."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Final

from burnish.sinks.tensorboard.crc32c import masked_crc32c

_HEAD: Final = struct.Struct("<QI")
_CRC: Final = struct.Struct("<I")
_AT_ONCE: Final = 4096
_LARGEST: Final = 1 << 30


class EventFile:
    """One file.

    Args:
        path: The file.

    Attributes:
        torn_bytes: What stood behind the last whole record, once all were read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.torn_bytes = 0

    def records(self) -> Iterator[tuple[bytes, int]]:
        """Yield each serialized event with the bytes that it took; a broken record ends the file.

        Raises:
            OSError: The file cannot be read.
        """
        with self.path.open("rb") as file:
            size, at = os.fstat(file.fileno()).st_size, 0
            while batch := _batch(file.read, size - at):
                heads, bodies, told = zip(*batch, strict=True)
                right = zip_longest(masked_crc32c(heads).tolist(), masked_crc32c(bodies).tolist())
                for head, body, crcs, found in zip(heads, bodies, told, right, strict=True):
                    if crcs != found:
                        self.torn_bytes = size - at
                        return
                    took = len(head) + len(body) + 2 * _CRC.size
                    at += took
                    yield body, took
            self.torn_bytes = max(0, size - at)


def _batch(read: Callable[[int], bytes], left: int) -> list[tuple[bytes, bytes, tuple[int, int]]]:
    """Return heads, bodies and checksums of the next records that are there in full."""
    found: list[tuple[bytes, bytes, tuple[int, int]]] = []
    taken = 0
    while len(found) < _AT_ONCE and taken < _LARGEST >> 6:
        head = read(_HEAD.size)
        if len(head) < _HEAD.size:
            break
        size, head_crc = _HEAD.unpack(head)
        if size + _HEAD.size + _CRC.size > min(left - taken, _LARGEST):
            break
        body, tail = read(size), read(_CRC.size)
        if len(tail) < _CRC.size:
            break
        found.append((head[:8], body, (head_crc, _CRC.unpack(tail)[0])))
        taken += size + _HEAD.size + _CRC.size
    return found


def begins(path: Path) -> bytes:
    """Return the first record of a file, which says when it was made; empty where there is none."""
    try:
        return next((body for body, _ in EventFile(path).records()), b"")
    except OSError:
        return b""
