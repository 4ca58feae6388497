"""Rows of a journal as arrays, thousands at a time: all packed rows of one key set are equally long.

Only what reads a whole run needs this; a training process never loads numpy for its journal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from burnish.journal.entry import PACKED_ROW, ROW_HEAD_BYTES, Record, Row, decode_record

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of one key set, in the order in which they stand in their file.

    Attributes:
        keys: The metrics' names, k of them.
        seq: Sequence numbers, shape (n,).
        step: Training steps, shape (n,).
        time: Seconds since the epoch, shape (n,).
        values: Shape (k, n): the values of one metric lie together.
    """

    keys: tuple[str, ...]
    seq: Integers
    step: Integers
    time: Floats
    values: Floats


def read_columns(bodies: Iterable[bytes], keys: dict[int, tuple[str, ...]]) -> tuple[list[Block], list[Record]]:
    """Return the rows of some bodies as blocks, and their records.

    Args:
        bodies: What `scan` found.
        keys: Key sets by number; those met on the way are added, so pass the same one for a whole file.
    """
    packed: dict[int, list[bytes]] = {}
    old: dict[tuple[str, ...], list[Row]] = {}
    records: list[Record] = []
    for body in bodies:
        if body[0] == PACKED_ROW:
            try:
                packed[len(body)].append(body)
            except KeyError:
                packed[len(body)] = [body]
        elif isinstance(entry := decode_record(body, keys), Row):
            old.setdefault(entry.keys, []).append(entry)
        elif entry is not None:
            records.append(entry)
    blocks = [block for size, found in packed.items() for block in _unpacked(size, found, keys)]
    return blocks + [_gathered(names, rows) for names, rows in old.items()], records


def _unpacked(size: int, bodies: list[bytes], keys: dict[int, tuple[str, ...]]) -> Iterator[Block]:
    width, rest = divmod(size - ROW_HEAD_BYTES, 8)
    if width < 0 or rest:  # whole, but no row: a stranger wrote it
        return
    table = np.frombuffer(b"".join(bodies), _layout(width))
    for number in np.unique(table["keys"]).tolist():
        names = keys.get(number)
        if names is None or len(names) != width:  # lost to damage, which the scan has reported
            continue
        rows = table[table["keys"] == number]
        yield Block(
            names,
            rows["seq"].astype(np.int64),
            rows["step"].astype(np.int64),
            rows["time"].astype(np.float64),
            np.ascontiguousarray(rows["values"].reshape(len(rows), width).T),
        )


@lru_cache(maxsize=256)
def _layout(width: int) -> np.dtype[np.void]:
    head = [("kind", "u1"), ("seq", "<u4"), ("step", "<i8"), ("time", "<f8"), ("keys", "<u4")]
    return np.dtype([*head, ("values", "<f8", (width,))])


def _gathered(names: tuple[str, ...], rows: list[Row]) -> Block:
    return Block(
        names,
        np.array([row.seq for row in rows], np.int64),
        np.array([row.step for row in rows], np.int64),
        np.array([row.time for row in rows], np.float64),
        np.array([row.values for row in rows], np.float64).reshape(len(rows), len(names)).T.copy(),
    )
