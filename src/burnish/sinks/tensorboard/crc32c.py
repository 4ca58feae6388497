"""CRC32C of many records at once: the checksum of event files, which neither zlib nor TensorBoard has fast.

A CRC is linear over the bits of a message, so each byte contributes by itself: what it is and how many bytes follow
say how much, and contributions are combined by XOR. A table of them turns the loop over bytes into NumPy's. Of 300
bytes that takes 0.5 µs among many records and 9 µs alone, where TensorBoard's loop takes 20.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

_POLYNOMIAL: Final = 0x82F63B78  # Castagnoli's, bits reversed
_ONES: Final = 0xFFFFFFFF
_BLOCK: Final = 1024  # bytes for which there are tables: 1 MiB of them, which caches hold
_WIDTH: Final = 32  # records are padded to a multiple of this, so that few groups are of one width
_AT_ONCE: Final = 1 << 16  # bytes: what is gathered for them fits a cache
_MASK_DELTA: Final = 0xA282EAD8

_Words = npt.NDArray[np.uint32]


def masked_crc32c(records: Sequence[bytes]) -> _Words:
    """Return the masked CRC32C of each record, as TFRecord files hold it.

    >>> hex(masked_crc32c([b"123456789"])[0])
    '0xc78ab0e5'
    """
    crc = crc32c(records)
    return ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(_MASK_DELTA)


def crc32c(records: Sequence[bytes]) -> _Words:
    """Return the CRC32C of each record (RFC 3720, appendix B.4).

    >>> hex(crc32c([b"123456789"])[0])
    '0xe3069283'
    """
    found = np.empty(len(records), dtype=np.uint32)
    groups: dict[int, list[int]] = {}
    for place, record in enumerate(records):
        groups.setdefault(len(record) // _WIDTH + 1, []).append(place)
    for units, places in groups.items():
        width = units * _WIDTH
        step = max(1, _AT_ONCE // max(1, width))
        for start in range(0, len(places), step):
            some = places[start : start + step]
            chosen = [records[place] for place in some]
            found[some] = list(map(_long, chosen)) if width > _BLOCK else _short(chosen, width)
    return found


def _short(records: Sequence[bytes], width: int) -> _Words:
    """Return the CRCs of records that are no longer than a width that the tables cover."""
    # Zeros in front of a message change nothing but what the register's initial ones turn into.
    sizes = [len(record) for record in records]
    padded = b"".join([record.rjust(width, b"\0") for record in records])
    return _gathered(padded, width) ^ _INITIAL[sizes] ^ np.uint32(_ONES)


def _long(record: bytes) -> int:
    """Return the CRC of a record that is longer than the tables."""
    head = bytes(byte ^ 0xFF for byte in record[:4])  # the register's initial ones
    size = -(-len(record) // _BLOCK) * _BLOCK
    padded = (head + record[4:]).rjust(size, b"\0")
    crc = 0
    a, b, c, d = (_AFTER[_BLOCK - 1 - byte].tolist() for byte in range(4))
    for start in range(0, size, _AT_ONCE):
        for part in _gathered(padded[start : start + _AT_ONCE], _BLOCK).tolist():
            crc = part ^ a[crc & 0xFF] ^ b[crc >> 8 & 0xFF] ^ c[crc >> 16 & 0xFF] ^ d[crc >> 24]
    return crc ^ _ONES


def _gathered(content: bytes, width: int) -> _Words:
    """Return what rows of bytes contribute, where nothing follows a row."""
    places = np.frombuffer(content, dtype=np.uint8).reshape(-1, width) + _OFFSETS[_BLOCK - width :]
    gathered: _Words = np.bitwise_xor.reduce(_AFTER_FLAT.take(places), axis=1)
    return gathered


def _after() -> _Words:
    """Return what a byte contributes that so many bytes follow, shape (bytes that follow, byte)."""
    tables = np.empty((_BLOCK, 256), dtype=np.uint32)
    words = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        words = (words >> np.uint32(1)) ^ np.where(words & np.uint32(1), np.uint32(_POLYNOMIAL), np.uint32(0))
    tables[0] = words
    for follow in range(1, _BLOCK):
        before = tables[follow - 1]
        tables[follow] = tables[0][before & np.uint32(0xFF)] ^ (before >> np.uint32(8))
    return tables


def _initial() -> _Words:
    """Return what the register's initial ones contribute to messages of 0, 1, 2, … bytes."""
    table, register, found = _AFTER[0].tolist(), _ONES, []
    for _ in range(_BLOCK + 1):
        found.append(register)
        register = table[register & 0xFF] ^ register >> 8
    return np.array(found, dtype=np.uint32)


_AFTER: Final = _after()
_AFTER_FLAT: Final = _AFTER.ravel()
_OFFSETS: Final = np.arange(_BLOCK - 1, -1, -1, dtype=np.int64) * 256
_INITIAL: Final = _initial()
