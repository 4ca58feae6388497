"""Bytes of a journal: a file header, then frames that each prove themselves.

A file begins with magic, format number and a random salt. A frame is `[mark u16][length u32][crc32 u32][body]`,
little endian. The checksum covers the salt, the length and the body, so neither a hole of zeros
(`crc32(b"") == 0`) nor a journal quoted inside another ever parses as a frame.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final
from zlib import crc32

import msgspec

from burnish.core.errors import JournalError

MAGIC: Final = b"\x89BRN\r\n\x1a\n"  # as PNG's: a text-mode copy or a stripped high bit breaks it visibly
FORMAT: Final = 1
SALT_BYTES: Final = 8
MAX_BODY_BYTES: Final = 64 << 20
# A row may lean on a key set written at most this many bytes before it, so that a reader that starts in
# the middle of a file needs to look back no further.
KEYS_EVERY_BYTES: Final = 1 << 20

_FILE_HEADER = struct.Struct(f"<8sI{SALT_BYTES}s")
_FRAME_HEADER = struct.Struct("<HII")
_LENGTH = struct.Struct("<I")
_MARK: Final = 0xB5A7
_MARK_BYTES: Final = _MARK.to_bytes(2, "little")
FILE_HEADER_BYTES: Final = _FILE_HEADER.size
FRAME_HEADER_BYTES: Final = _FRAME_HEADER.size

# What a user reports may hold any type (a version, a path, a dtype): its text is better than a failed training.
encode_body = msgspec.msgpack.Encoder(enc_hook=str).encode
_decode_body = msgspec.msgpack.Decoder().decode


class Kind(IntEnum):
    """What a body holds: its first element. A reader passes on the kinds that it does not know."""

    ROW = 0
    """`[kind, seq, step, time, key set, value…]`: scalars of one call."""
    KEYS = 1
    """`[kind, seq, key set, [name…]]`: the names that rows with this key set have."""
    LIFECYCLE = 2
    """Here and below `[kind, seq, step | nil, time, key, payload]`: open, resume, progress, end…"""
    CHECKPOINT = 3
    TEXT = 4
    ALERT = 5
    LOG = 6


@dataclass(frozen=True, slots=True)
class Row:
    """Scalars logged by one call.

    Attributes:
        seq: Counts the frames of one file, from 0.
        step: The training step that the values belong to.
        time: Wall clock, seconds since the epoch.
        keys: The metrics' names.
        values: Their values; NaN and infinities are kept.
    """

    seq: int
    step: int
    time: float
    keys: tuple[str, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """Any frame that is not a row of scalars."""

    kind: int
    seq: int
    step: int | None
    time: float
    key: str
    payload: dict[str, object]


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


def frame(body: bytes, salt_crc: int) -> bytes:
    """Wrap a body; `salt_crc` is the CRC-32 of the file's salt.

    Raises:
        JournalError: The body is too large: readers would take it for damage.
    """
    size = len(body)
    if size > MAX_BODY_BYTES:
        raise JournalError(f"a record of {size} bytes is too large, a journal takes up to {MAX_BODY_BYTES}")
    return _FRAME_HEADER.pack(_MARK, size, crc32(body, crc32(_LENGTH.pack(size), salt_crc))) + body


@dataclass(frozen=True, slots=True)
class Scan:
    """What a buffer of frames held: bodies with the offset after each, damage, and where reading stopped."""

    bodies: list[tuple[int, memoryview]]
    damage: list[Damage]
    end: int


def scan(buffer: memoryview, salt_crc: int, base: int) -> Scan:
    """Split a buffer into the bodies of its whole frames.

    A broken frame is skipped up to the next good one. What follows the last good frame is left alone, since
    it may be a frame that is still being written: `end` tells where it begins.

    Args:
        buffer: Bytes of the file from `base` on.
        salt_crc: The CRC-32 of the file's salt.
        base: The file offset of the buffer; offsets in the result count from the file's beginning.
    """
    bodies: list[tuple[int, memoryview]] = []
    damage: list[Damage] = []
    at = 0
    while (size := _frame_size(buffer, at, salt_crc)) != 0 or at < len(buffer):
        if size:
            bodies.append((base + at + size, buffer[at + FRAME_HEADER_BYTES : at + size]))
            at += size
            continue
        good = _next_good(buffer, at + 1, salt_crc)
        if good < 0:
            break
        damage.append(Damage(base + at, good - at, "broken frame"))
        at = good
    return Scan(bodies, damage, base + at)


def _frame_size(buffer: memoryview, at: int, salt_crc: int) -> int:
    """Return the size of the good frame at an offset, 0 when there is none."""
    if at + FRAME_HEADER_BYTES > len(buffer):
        return 0
    mark, size, crc = _FRAME_HEADER.unpack_from(buffer, at)
    end = at + FRAME_HEADER_BYTES + size
    if mark != _MARK or not 0 < size <= MAX_BODY_BYTES or end > len(buffer):
        return 0
    body = buffer[at + FRAME_HEADER_BYTES : end]
    return end - at if crc32(body, crc32(_LENGTH.pack(size), salt_crc)) == crc else 0


def _next_good(buffer: memoryview, at: int, salt_crc: int) -> int:
    raw = bytes(buffer[at:])
    found = raw.find(_MARK_BYTES)
    while found >= 0:
        if _frame_size(buffer, at + found, salt_crc):
            return at + found
        found = raw.find(_MARK_BYTES, found + 1)
    return -1


def decode(bodies: list[tuple[int, memoryview]], keys: dict[int, tuple[str, ...]]) -> Iterator[Row | Record]:
    """Turn bodies into rows and records, in their order.

    Args:
        bodies: What `scan` found.
        keys: Key sets by number; those met on the way are added, so pass the same one for a whole file.
    """
    for _, body in bodies:
        fields = _decode_body(body)
        kind = fields[0]
        if kind == Kind.ROW:
            _, seq, step, time, number, *values = fields
            names = keys.get(number)
            if names is not None:  # else its key set was lost to damage, which the scan has reported
                yield Row(seq, step, time, names, tuple(values))
        elif kind == Kind.KEYS:
            keys[fields[2]] = tuple(fields[3])
        else:
            yield Record(*fields[:6])
