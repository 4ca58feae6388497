"""Appending to a journal: one frame, one `write(2)`, no thread, no lock, no network.

What a call has written survives `kill -9`, because the page cache outlives the process. A file belongs to one
process and is never reopened: a forked child opens its own, and after a short write (a full disk) the next
call opens another, so that a half-written frame is only ever the last of its file.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Mapping
from itertools import count
from os import write
from pathlib import Path
from threading import RLock
from zlib import crc32

from burnish.core.errors import JournalError
from burnish.journal.entry import PACKED_ROW, Kind, encode_body, row_struct
from burnish.journal.frame import (
    FRAME_HEADER,
    FRAME_HEADER_BYTES,
    KEYS_EVERY_BYTES,
    MARK,
    MAX_BODY_BYTES,
    SALT_BYTES,
    checksum_seed,
    file_header,
    frame,
)
from burnish.journal.reader import JournalName

SEGMENT_BYTES = 512 << 20
"""A file that has grown so large is left for another: no sequence number overflows, and files can be archived."""
_MOST_KEY_SETS = 4096  # a name that holds the step would otherwise fill the memory
_NAME_TRIES = 1000
_pack_header = FRAME_HEADER.pack


class _KeySet:
    """A key set that a file has named, and all that is the same in each of its rows."""

    __slots__ = ("frame_size", "named_at", "number", "pack", "seed", "size")

    def __init__(self, number: int, width: int, salt_crc: int, named_at: int) -> None:
        layout = row_struct(width)
        self.number = number
        self.named_at = named_at
        self.pack = layout.pack
        self.size = layout.size
        self.frame_size = FRAME_HEADER_BYTES + layout.size
        self.seed = checksum_seed(layout.size, salt_crc)


class _Segment:
    """One open file: its descriptor, its salt, and the key sets that it has named so far.

    It is closed when its last user lets go of it, never earlier: a thread that is about to write would meet a
    descriptor that by then may belong to another file.
    """

    __slots__ = ("descriptor", "keys", "numbers", "salt_crc", "seq", "written")

    def __init__(self, folder: Path, rank: int, opening: Mapping[str, object]) -> None:
        path, self.descriptor = _create(folder, rank)
        salt = os.urandom(SALT_BYTES)
        self.salt_crc = crc32(salt)
        self.seq = count()
        self.numbers = count()
        self.keys: dict[tuple[str, ...], _KeySet] = {}
        self.written = 0
        try:
            self.write(file_header(salt))
            self.append(encode_body((int(Kind.LIFECYCLE), next(self.seq), None, time.time(), "open", opening)))
        except OSError:
            path.unlink(missing_ok=True)  # or each call on a full disk would leave a file behind
            raise

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        if hasattr(self, "descriptor"):
            close(self.descriptor)

    def append(self, body: bytes) -> None:
        """Write one frame.

        Raises:
            OSError: Nothing, or not all of it, could be written; the segment must not be used again.
        """
        self.write(frame(body, self.salt_crc))

    def write(self, raw: bytes) -> None:
        """Write bytes, all at once or not at all as far as readers are concerned."""
        done = write(self.descriptor, raw)
        if done != len(raw):
            raise OSError(28, "short write: no space left on device")
        self.written += done

    def name_keys(self, keys: tuple[str, ...]) -> _KeySet:
        """Write a key set and return it.

        The frame is written before the set is published: another thread that finds it can only write its row after it.

        Raises:
            TypeError: A name is no string.
            JournalError: A row of so many values would be too large.
        """
        for name in keys:
            if not isinstance(name, str):
                raise TypeError(f"a metric's name must be a string, not {name!r}")
        number, width = next(self.numbers), len(keys)
        if row_struct(width).size > MAX_BODY_BYTES:
            raise JournalError(f"a row of {width} values is too large, a journal takes up to {MAX_BODY_BYTES} bytes")
        self.append(encode_body((int(Kind.KEYS), next(self.seq), number, tuple(map(_text, keys)))))
        if len(self.keys) >= _MOST_KEY_SETS:
            self.keys.clear()
        self.keys[keys] = named = _KeySet(number, width, self.salt_crc, self.written)
        return named


def _create(folder: Path, rank: int) -> tuple[Path, int]:
    """Make a journal file; microseconds keep those that one process opens in turn apart and in order.

    A clock that was set back may come to a name a second time, which then belongs to an older process of the same id.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
    started_us = time.time_ns() // 1000
    for later in range(_NAME_TRIES):
        path = folder / str(JournalName(rank, started_us + later, os.getpid()))
        try:
            return path, os.open(path, flags, 0o644)
        except FileExistsError:
            continue
    raise FileExistsError(17, f"no free name for a journal in {folder}")


class JournalWriter:
    """Appends frames to this process's file in a run's journal folder.

    Every method may be called from any thread. Each returns after its frame is in the page cache, or raises
    OSError, in which case this frame is lost and the next call starts a new file.

    Args:
        folder: The run's journal folder; it must exist.
        rank: This process's rank in the job; `SYSTEM_RANK` for the process that watches it.
        opening: Returns what each file shall say of itself in its first record (attempt, pid, …).
        continues: This process is not the first of its attempt: what it logs replaces nothing.
    """

    def __init__(
        self, folder: Path, rank: int, opening: Callable[[], dict[str, object]], *, continues: bool = False
    ) -> None:
        self._folder = folder
        self._rank = rank
        self._opening = opening
        self._segment: _Segment | None = None
        # A further file of one attempt (a forked child's, or one after a full disk) replays nothing of the first.
        self._continues = continues
        self._opening_lock = RLock()  # a signal's handler may log while the first call opens the file
        _open_writers.add(self)

    def row(self, keys: tuple[str, ...], values: tuple[float, ...], step: int, at: float) -> None:
        """Append one row of scalars: `values[i]` of metric `keys[i]` at a step and wall time."""
        segment = self._segment or self._open()
        try:
            known = segment.keys.get(keys)
            if known is None or segment.written - known.named_at > KEYS_EVERY_BYTES:
                segment = self._rolled(segment)
                known = segment.name_keys(keys)
            # What `frame` and `_Segment.write` do, written out: each call less is a twentieth of the whole.
            body = known.pack(PACKED_ROW, next(segment.seq), step, at, known.number, *values)
            done = write(segment.descriptor, _pack_header(MARK, known.size, crc32(body, known.seed)) + body)
            if done != known.frame_size:
                raise OSError(28, "short write: no space left on device")
            segment.written += done
        except OSError:
            self._abandon(segment)
            raise

    def record(
        self,
        kind: Kind,
        key: str,
        payload: Mapping[str, object],
        step: int | None = None,
        *,
        at: float | None = None,
    ) -> None:
        """Append anything that is not a row of scalars; what JSON does not know is kept as its text.

        Args:
            kind: What it is.
            key: What it is called.
            payload: What it holds.
            step: The training step, None for none.
            at: Seconds since the epoch; by default now.
        """
        if step is not None and not isinstance(step, int):
            raise TypeError(f"a step must be an integer, not {step!r}")
        segment = self._segment or self._open()
        try:
            moment = time.time() if at is None else at
            segment.append(encode_body((int(kind), next(segment.seq), step, moment, _plain(key), _plain(payload))))
        except OSError:
            self._abandon(segment)
            raise

    def close(self) -> None:
        """Close the file; a later call would open another."""
        if (segment := self._segment) is not None:
            self._abandon(segment)
        _open_writers.discard(self)

    def _rolled(self, segment: _Segment) -> _Segment:
        """Return the segment to go on in: another one when this has grown too large."""
        if segment.written < SEGMENT_BYTES:
            return segment
        self._abandon(segment)
        return self._segment or self._open()

    def _open(self) -> _Segment:
        _open_writers.add(self)  # before the lock: a child forked meanwhile must find it free
        with self._opening_lock:  # two threads that log first at once share one file
            if self._segment is None:
                opening = {**self._opening(), "continues": self._continues}
                self._take(_Segment(self._folder, self._rank, opening))
                self._continues = True
            assert self._segment is not None
            return self._segment

    def _take(self, made: _Segment) -> None:
        if self._segment is None:  # else a signal's handler has opened one meanwhile
            self._segment = made

    def _abandon(self, segment: _Segment) -> None:
        # Two threads may fail on one segment, the second when the next one is open already.
        if self._segment is segment:
            self._segment = None

    def _forget_after_fork(self) -> None:
        self._segment = None  # closes the child's copy; the parent's stays open
        self._continues = True
        self._opening_lock = RLock()  # another thread of the parent may have held it


def _plain(value: object) -> object:
    """Return a value in terms of JSON, so that whoever reads the journal can show it and store it."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
        return int(value)
    if isinstance(value, Mapping):
        return {_text(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return _text(value)


def _text(value: object) -> str:
    # Text that was decoded with `surrogateescape`, such as a file's name, is no valid UTF-8.
    return str(value).encode(errors="backslashreplace").decode()


_open_writers: weakref.WeakSet[JournalWriter] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for writer in list(_open_writers):
        writer._forget_after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
