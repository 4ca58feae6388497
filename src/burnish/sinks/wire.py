"""Protocol buffers as bytes, as far as records of trackers need them: text, whole numbers, messages in messages.

Classes made for them would cost several microseconds a value, and W&B's an import of a second.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

_SHORT: Final = (
    *(bytes([number]) for number in range(1 << 7)),
    *(bytes([number & 127 | 128, number >> 7]) for number in range(1 << 7, 1 << 12)),
)
"""Numbers in one and two bytes: lengths, mostly."""
_VARINT: Final = 0
_LENGTH: Final = 2
_MASK_64: Final = (1 << 64) - 1


def varint(number: int) -> bytes:
    """Return a number in as few bytes as it needs; a negative one takes ten."""
    if 0 <= number < len(_SHORT):
        return _SHORT[number]
    number &= _MASK_64
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def part(field: int, content: bytes) -> bytes:
    """Return a field that holds a message or bytes, also an empty one."""
    return varint(field << 3 | _LENGTH) + varint(len(content)) + content


def text(field: int, value: str) -> bytes:
    """Return a field of text; nothing for none. Half a surrogate pair, which UTF-8 has no bytes for, is escaped."""
    return part(field, value.encode(errors="backslashreplace")) if value else b""


def whole(field: int, value: int) -> bytes:
    """Return a field of a whole number or a truth value; nothing for zero."""
    return varint(field << 3 | _VARINT) + varint(value) if value else b""


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield number and content of each field of a message made of such fields.

    Raises:
        ValueError: It is none.
    """
    at = 0
    while at < len(message):
        tag, at = read_varint(message, at)
        number, at = read_varint(message, at)
        if tag & 7 == _VARINT:
            yield tag >> 3, number
        elif tag & 7 == _LENGTH and at + number <= len(message):
            yield tag >> 3, message[at : at + number]
            at += number
        else:
            raise ValueError("this is no message of numbers, text and messages")


def read_varint(raw: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins at a place, and the place after it.

    Raises:
        ValueError: The bytes end before it does.
    """
    number = shift = 0
    while at < len(raw):
        byte = raw[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
        shift += 7
    raise ValueError("the bytes end within a number")
