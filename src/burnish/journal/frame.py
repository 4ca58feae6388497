"""Bytes of a journal: a file header, then frames that each prove themselves.

A file begins with magic, format number and a random salt. A frame is `[mark u16][length u32][crc32 u32][body]`,
little endian. The checksum covers the salt, the length and the body, so neither a hole of zeros
(`crc32(b"") == 0`) nor a journal quoted inside another ever parses as a frame.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from burnish.core.errors import JournalError

MAGIC: Final = b"\x89BRN\r\n\x1a\n"  # as PNG's: a text-mode copy or a stripped high bit breaks it visibly
FORMAT: Final = 2
SALT_BYTES: Final = 8
MAX_BODY_BYTES: Final = 64 << 20
# A row may lean on a key set written at most this many bytes before it, so that a reader that starts in
# the middle of a file needs to look back no further.
KEYS_EVERY_BYTES: Final = 1 << 20

MARK: Final = 0xB5A7
FRAME_HEADER: Final = struct.Struct("<HII")
_FILE_HEADER = struct.Struct(f"<8sI{SALT_BYTES}s")
_LENGTH = struct.Struct("<I")
_MARK_BYTES: Final = MARK.to_bytes(2, "little")
FILE_HEADER_BYTES: Final = _FILE_HEADER.size
FRAME_HEADER_BYTES: Final = FRAME_HEADER.size


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that no frame accounts for."""

    offset: int
    size_bytes: int
    reason: str


def file_header(salt: bytes) -> bytes:
    """Return the bytes that a journal begins with."""
    return _FILE_HEADER.pack(MAGIC, FORMAT, salt)


def read_salt(header: bytes, name: str) -> bytes:
    """Return a journal's salt from its first bytes.

    Raises:
        JournalError: The file is not a journal, or was written by a newer Burnish.
    """
    if len(header) < FILE_HEADER_BYTES or not header.startswith(MAGIC):
        raise JournalError(f"{name} is not a journal")
    _, number, salt = _FILE_HEADER.unpack_from(header)
    if number > FORMAT:
        raise JournalError(
            f"{name} has journal format {number}, this Burnish reads up to {FORMAT}",
            hint="pip install --upgrade burnish",
        )
    return bytes(salt)


def recover_salt_crc(buffer: bytes) -> int | None:
    """Return the CRC-32 of a lost salt, from the first two frames behind a file's header; None if they do not agree.

    A checksum is affine over GF(2) in what it begins with, so that a whole frame tells what that was.
    """
    start = FRAME_HEADER_BYTES
    if len(buffer) < start:
        return None
    mark, size, crc = FRAME_HEADER.unpack_from(buffer)
    body = buffer[start : start + size]
    if mark != MARK or len(body) < size:
        return None
    rest = crc ^ crc32(body, checksum_seed(size, 0))
    zero, found = crc32(body, checksum_seed(size, 0)), 0
    reduced: list[tuple[int, int]] = []  # what flips the checksum's highest bit left, and the bits of the salt for it
    for bit in range(32):
        flips, bits = crc32(body, checksum_seed(size, 1 << bit)) ^ zero, 1 << bit
        for other, by in reduced:
            if flips ^ other < flips:
                flips, bits = flips ^ other, bits ^ by
        reduced.append((flips, bits))
        reduced.sort(reverse=True)
    for flips, bits in reduced:
        if rest ^ flips < rest:
            rest, found = rest ^ flips, found ^ bits
    return found if not rest and _is_good(memoryview(buffer), start + size, found) else None


def checksum_seed(size: int, salt_crc: int) -> int:
    """Return the checksum of what stands before a body of this size: the file's salt and the length."""
    return crc32(_LENGTH.pack(size), salt_crc)


def frame(body: bytes, salt_crc: int) -> bytes:
    """Wrap a body; `salt_crc` is the CRC-32 of the file's salt.

    Raises:
        JournalError: The body is too large: readers would take it for damage.
    """
    size = len(body)
    if size > MAX_BODY_BYTES:
        raise JournalError(f"a record of {size} bytes is too large, a journal takes up to {MAX_BODY_BYTES}")
    return FRAME_HEADER.pack(MARK, size, crc32(body, checksum_seed(size, salt_crc))) + body


@dataclass(frozen=True, slots=True)
class Scan:
    """What a buffer of frames held: bodies, damage, and the file offset at which reading stopped."""

    bodies: list[bytes]
    damage: list[Damage]
    end: int


def scan(buffer: bytes, salt_crc: int, base: int) -> Scan:
    """Split a buffer into the bodies of its whole frames.

    A broken frame is skipped up to the next good one. What follows the last good frame is left alone, since
    it may be a frame that is still being written: `end` tells where it begins.

    Args:
        buffer: Bytes of the file from `base` on.
        salt_crc: The CRC-32 of the file's salt.
        base: The file offset of the buffer; offsets in the result count from the file's beginning.
    """
    bodies: list[bytes] = []
    damage: list[Damage] = []
    at = 0
    while True:
        at = _take_good(buffer, at, salt_crc, bodies)
        if at >= len(buffer):
            break
        good = _next_good(buffer, at + 1, salt_crc)
        if good < 0:
            break
        damage.append(Damage(base + at, good - at, "broken frame"))
        at = good
    return Scan(bodies, damage, base + at)


def _take_good(buffer: bytes, at: int, salt_crc: int, bodies: list[bytes]) -> int:
    """Add the bodies of the good frames from an offset on; return the offset after the last.

    This loop is the floor of everything that reads a journal, hence the local names and the seeds kept by size. Copies
    cost less than views: the collector of cycles looks at each view again and again.
    """
    unpack, take, seeds = FRAME_HEADER.unpack_from, bodies.append, _Seeds(salt_crc)
    last = len(buffer) - FRAME_HEADER_BYTES
    while at <= last:
        mark, size, crc = unpack(buffer, at)
        start = at + FRAME_HEADER_BYTES
        body = buffer[start : start + size]
        if mark != MARK or not 0 < size <= MAX_BODY_BYTES or len(body) < size or crc32(body, seeds[size]) != crc:
            break
        take(body)
        at = start + size
    return at


class _Seeds(dict[int, int]):
    """The checksum's seed by the size of the body, each computed once."""

    def __init__(self, salt_crc: int) -> None:
        super().__init__()
        self._salt_crc = salt_crc

    def __missing__(self, size: int) -> int:
        self[size] = seed = checksum_seed(size, self._salt_crc)
        return seed


def _next_good(buffer: bytes, at: int, salt_crc: int) -> int:
    """Return where the next good frame begins, -1 where there is none."""
    view = memoryview(buffer)
    found = buffer.find(_MARK_BYTES, at)
    while found >= 0:
        if _is_good(view, found, salt_crc):
            return found
        found = buffer.find(_MARK_BYTES, found + 1)
    return -1


def _is_good(view: memoryview, at: int, salt_crc: int) -> bool:
    if at + FRAME_HEADER_BYTES > len(view):
        return False
    _, size, crc = FRAME_HEADER.unpack_from(view, at)
    body = view[at + FRAME_HEADER_BYTES : at + FRAME_HEADER_BYTES + size]
    fits = 0 < size <= MAX_BODY_BYTES and len(body) == size
    return fits and crc32(body, checksum_seed(size, salt_crc)) == int(crc)
