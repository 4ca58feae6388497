"""The scalars of a live run as its journals tell them up to where they have been read, replayed steps counted once.

It reads them all again and loads NumPy, so it is only for what cannot be told point by point.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from burnish.core.errors import JournalError
from burnish.journal.columns import Block, read_columns
from burnish.journal.reader import JournalName, JournalReader, journal_files
from burnish.journal.replay import Replays
from burnish.journal.series import Series


def read_series(folder: Path, last: Mapping[str, int]) -> dict[str, Series]:
    """Return the points of each metric in the order in which they were logged; files of one rank.

    Args:
        folder: The run's journal folder.
        last: The sequence number up to which a file is read, by its name; files that are not in it are left out.
    """
    replays = Replays()
    blocks: dict[JournalName, list[Block]] = {}
    for path in journal_files(folder):
        if path.name in last:
            name = JournalName.parse(path)
            blocks.setdefault(name, []).extend(_read(path, name, last[path.name], replays))
    pieces: dict[str, list[tuple[np.ndarray, ...]]] = {}
    for place, name in enumerate(sorted(blocks, key=replays.place)):
        for block in blocks[name]:
            kept = _where(block, replays.mask(name, block))
            of_file = np.full(len(kept.seq), place)
            for metric, values in zip(kept.keys, kept.values, strict=True):
                pieces.setdefault(metric, []).append((of_file, kept.seq, kept.step, kept.time, values))
    whole = {metric: _series(found) for metric, found in pieces.items()}
    return {metric: series for metric, series in whole.items() if len(series)}


def _read(path: Path, name: JournalName, last: int, replays: Replays) -> Iterator[Block]:
    try:
        reader = JournalReader(path)
    except (OSError, JournalError):  # it was read before and has gone since
        return
    try:
        before = -1
        while reader.offset != before:
            before = reader.offset
            blocks, records = read_columns(reader.read_bodies(), reader.keys)
            blocks = [kept for block in blocks if len((kept := _where(block, block.seq <= last)).seq)]
            replays.take(name, blocks, [record for record in records if record.seq <= last])
            yield from blocks
    finally:
        reader.close()


def _where(block: Block, mask: np.ndarray | None) -> Block:
    if mask is None or bool(mask.all()):
        return block
    time, values = block.time[mask], block.values[:, mask]
    return replace(block, seq=block.seq[mask], step=block.step[mask], time=time, values=values)


def _series(pieces: list[tuple[np.ndarray, ...]]) -> Series:
    place, seq, step, time, value = (np.concatenate(arrays) for arrays in zip(*pieces, strict=True))
    order = np.lexsort((seq, place))
    return Series(step[order], time[order], value[order])
