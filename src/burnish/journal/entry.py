"""What a frame's body holds: a packed row of scalars, or a MessagePack array that says its kind.

A packed row begins with a zero byte, which no MessagePack array does: `[0 u8][seq u32][step i64][time f64]
[key set u32][value f64]…`, little endian. All rows of one key set are equally long, so that a reader can take
thousands of them at once. Format 1 kept rows as MessagePack arrays; both are read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Final

import msgspec

# What a user reports may hold any type (a version, a path, a dtype): its text is better than a failed training.
encode_body = msgspec.msgpack.Encoder(enc_hook=str).encode
_decode_body = msgspec.msgpack.Decoder().decode

PACKED_ROW: Final = 0
"""First byte of a packed row."""
_ROW_HEAD: Final = struct.Struct("<BIqdI")
ROW_HEAD_BYTES: Final = _ROW_HEAD.size


class Kind(IntEnum):
    """What a body holds. A reader passes on the kinds that it does not know."""

    ROW = 0
    """Scalars of one call."""
    KEYS = 1
    """`[kind, seq, key set, [name…]]`: the names that rows with this key set have."""
    LIFECYCLE = 2
    """Here and below `[kind, seq, step | nil, time, key, payload]`: open, resume, total, card, end…"""
    CHECKPOINT = 3
    TEXT = 4
    ALERT = 5
    LOG = 6
    HISTOGRAM = 7
    TABLE = 8
    MEDIA = 9
    """An image, figure or graph in a file of its own, which the payload names."""
    ARTIFACT = 10


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


@lru_cache(maxsize=256)
def row_struct(width: int) -> struct.Struct:
    """Return the layout of a packed row of so many values."""
    return struct.Struct(f"<BIqdI{width}d")


def decode(bodies: Iterable[bytes], keys: dict[int, tuple[str, ...]]) -> Iterator[Row | Record]:
    """Turn bodies into rows and records, in their order.

    Args:
        bodies: What `scan` found.
        keys: Key sets by number; those met on the way are added, so pass the same one for a whole file.
    """
    for body in bodies:
        entry = _packed(body, keys) if body[0] == PACKED_ROW else decode_record(body, keys)
        if entry is not None:
            yield entry


def decode_record(body: bytes, keys: dict[int, tuple[str, ...]]) -> Row | Record | None:
    """Return what a MessagePack body holds; None for a key set, which is added to `keys`, and for what nobody knows."""
    match _fields(body):
        case [Kind.KEYS, int(), int() as number, [*names]] if all(isinstance(name, str) for name in names):
            keys[number] = tuple(map(str, names))
        case [Kind.ROW, int() as seq, int() as step, float() as at, int() as number, *values]:  # of format 1
            found = keys.get(number, ())
            numbers = tuple(float(value) for value in values if isinstance(value, float | int))
            if found and len(found) == len(values) == len(numbers):
                return Row(seq, step, at, found, numbers)
        case [int() as kind, int() as seq, None | int() as step, float() as at, str() as key, dict() as payload, *_]:
            return Record(kind, seq, step, at, key, payload)
    return None


def _fields(body: bytes) -> object:
    """Return what a body says; a whole frame may hold anything, if a stranger wrote it."""
    try:
        return _decode_body(body)
    except (msgspec.DecodeError, RecursionError):
        return None


def _packed(body: bytes, keys: dict[int, tuple[str, ...]]) -> Row | None:
    width, rest = divmod(len(body) - ROW_HEAD_BYTES, 8)
    if width < 0 or rest:  # whole, but no row: a stranger wrote it
        return None
    _, seq, step, at, number, *values = row_struct(width).unpack_from(body)
    names = keys.get(number)
    if names is None or len(names) != width:  # its key set was lost to damage, which the scan has reported
        return None
    return Row(seq, step, at, names, tuple(values))
