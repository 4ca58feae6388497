"""W&B's transaction logs: LevelDB's log format behind a header, records as protocol buffers; read as far as whole.

The fields are numbered in `wandb_internal.proto`. Reading them here needs no W&B of the version that wrote them.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias
from zlib import crc32

from burnish.core.errors import RunError
from burnish.sinks.wire import read_varint

Field: TypeAlias = tuple[int, "int | float | bytes"]

_MAGIC: Final = b":W&B"
_HEADER_BYTES: Final = 7
_BLOCK: Final = 1 << 15
_HEAD: Final = struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_VARINT, _64_BIT, _LENGTH, _32_BIT = 0, 1, 2, 5
_NONE, _BOOLEAN, _INTEGER, _NUMBER, _TEXT, _JSON, _VALUE_JSON = 3, 4, 5, 6, 7, 8, 16


@dataclass(frozen=True, slots=True)
class Item:
    """One value of a history, a config, a summary or a sample.

    Attributes:
        path: Its name, in parts where it is nested.
        value: In terms of JSON.
    """

    path: tuple[str, ...]
    value: object


class WandbLog:
    """One `.wandb` file.

    Args:
        path: The file.

    Attributes:
        torn_bytes: What stood behind the last whole record, once all were read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.torn_bytes = 0

    def records(self) -> Iterator[tuple[bytes, int]]:
        """Yield each record with the bytes of the file that it took; a broken one ends the file.

        Raises:
            RunError: The file is no such log.
            OSError: It cannot be read.
        """
        with self.path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            if not file.read(_HEADER_BYTES).startswith(_MAGIC):
                raise RunError("this is no log of W&B's", origin=str(self.path))
            whole = _HEADER_BYTES
            parts: list[bytes] = []
            while (chunk := _chunk(file)) is not None:
                kind, content = chunk
                parts = [content] if kind in (_FULL, _FIRST) else [*parts, content]
                if kind in (_FULL, _LAST):
                    at = file.tell()
                    yield b"".join(parts), at - whole
                    whole, parts = at, []
            self.torn_bytes = size - whole


def _chunk(file: BinaryIO) -> tuple[int, bytes] | None:
    """Return kind and content of the next chunk, None where none is whole."""
    left = _BLOCK - file.tell() % _BLOCK
    if left < _HEAD.size:
        file.read(left)
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    crc, size, kind = _HEAD.unpack(head)
    content = file.read(size)
    if len(content) < size or kind not in (_FULL, _FIRST, _MIDDLE, _LAST):
        return None
    return (kind, content) if crc32(content, crc32(bytes([kind]))) == crc else None


def fields(message: bytes) -> Iterator[Field]:
    """Yield number and value of each field of a message.

    Raises:
        ValueError: It is none.
    """
    at = 0
    while at < len(message):
        tag, at = read_varint(message, at)
        kind = tag & 7
        if kind == _VARINT:
            number, at = read_varint(message, at)
            yield tag >> 3, number
        elif kind == _LENGTH:
            size, at = read_varint(message, at)
            if at + size > len(message):
                raise ValueError("a field is longer than its message")
            yield tag >> 3, message[at : at + size]
            at += size
        elif kind in (_64_BIT, _32_BIT):
            layout = "<d" if kind == _64_BIT else "<f"
            if at + struct.calcsize(layout) > len(message):
                raise ValueError("a field is longer than its message")
            yield tag >> 3, struct.unpack_from(layout, message, at)[0]
            at += struct.calcsize(layout)
        else:
            raise ValueError("a field of an unknown kind")


def one(message: bytes, number: int) -> bytes:
    """Return the last content of a field that is text or a message; empty where there is none."""
    found = [value for field, value in fields(message) if field == number and isinstance(value, bytes)]
    return found[-1] if found else b""


def whole(message: bytes, number: int) -> int | None:
    """Return the last value of a field that is a number, None where there is none."""
    found = [value for field, value in fields(message) if field == number and isinstance(value, int)]
    return found[-1] if found else None


def timestamp(message: bytes) -> float:
    """Return a `google.protobuf.Timestamp` in seconds."""
    return (whole(message, 1) or 0) + (whole(message, 2) or 0) / 1e9


def item(message: bytes) -> Item:
    """Return an item of a history, a config, a summary or a sample."""
    key, nested, value = "", [], None
    for field, content in fields(message):
        if field == 1 and isinstance(content, bytes):
            key = content.decode(errors="replace")
        elif field == 2 and isinstance(content, bytes):
            nested.append(content.decode(errors="replace"))
        else:
            value = _value(field, content, value)
    return Item(tuple(nested) if nested else (key,), value)


def _value(field: int, content: int | float | bytes, before: object) -> object:
    if field in (_VALUE_JSON, _JSON) and isinstance(content, bytes):
        try:
            return json.loads(content) if content else before
        except (ValueError, RecursionError):
            return content.decode(errors="replace")
    if field == _TEXT and isinstance(content, bytes):
        return content.decode(errors="replace")
    if field == _INTEGER and isinstance(content, int):
        return (content >> 1) ^ -(content & 1)
    if field == _BOOLEAN:
        return bool(content)
    return content if field == _NUMBER else before
