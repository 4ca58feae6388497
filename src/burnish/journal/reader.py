"""Reading one journal file, once or while it grows; never further than its last whole frame."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

from burnish.core.errors import JournalError
from burnish.journal.entry import Record, Row, decode
from burnish.journal.frame import (
    FILE_HEADER_BYTES,
    KEYS_EVERY_BYTES,
    MAGIC,
    Damage,
    read_salt,
    recover_salt_crc,
    scan,
)

_log = logging.getLogger(__name__)
_CHUNK_BYTES = 32 << 20
_BEGINNING_BYTES = 1 << 16  # holds the first two frames: what the writer says of itself, and a key set or a record
SYSTEM_RANK = -1
"""Stands for the process that watches a run, in whose journal system metrics and alerts are."""
_SYSTEM = "system"
_NEVER_READABLE = frozenset({errno.EISDIR, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENOTDIR, errno.ENXIO})


@dataclass(frozen=True, slots=True, order=True)
class JournalName:
    """What a journal's file name says: `<rank>-<start in µs>-<pid>.journal`, `system-…` for the watching process."""

    rank: int
    started_us: int
    pid: int

    @classmethod
    def parse(cls, path: Path) -> JournalName:
        """Read a name; one that does not follow the rule sorts first."""
        rank, *rest = path.stem.split("-")
        if len(rest) == 2 and all(map(_is_number, rest)) and (_is_number(rank) or rank == _SYSTEM):
            return cls(SYSTEM_RANK if rank == _SYSTEM else int(rank), int(rest[0]), int(rest[1]))
        return cls(SYSTEM_RANK, 0, 0)

    def __str__(self) -> str:
        rank = _SYSTEM if self.rank == SYSTEM_RANK else str(self.rank)
        return f"{rank}-{self.started_us}-{self.pid}.journal"


def _is_number(part: str) -> bool:
    return part.isascii() and part.isdigit()  # "²" is a digit as well, and no number


def journal_files(folder: Path) -> list[Path]:
    """Return a run's journal files by rank, then by the time that they were opened."""
    return sorted(folder.glob("*.journal"), key=JournalName.parse)


class JournalReader:
    """Reads a file from an offset on; call `read` again to get what was written since.

    It may be closed between two reads: a run can have more files than a process may hold open.

    Args:
        path: The journal file.
        offset: Where to begin: 0, or the `offset` of an earlier reader.

    Raises:
        JournalError: The file is not a journal, or has a newer format.
        OSError: It is not there, or cannot be opened now.
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        self.path = path
        self.damage: list[Damage] = []
        self._file: BinaryIO | None = None
        self._open()
        self.keys: dict[int, tuple[str, ...]] = {}
        self._salt_crc: int | None = None
        self.offset = max(offset, FILE_HEADER_BYTES)
        if offset > FILE_HEADER_BYTES:
            self._look_back_for_keys()

    def read(self, size: int = _CHUNK_BYTES) -> list[Row | Record]:
        """Return the rows and records that were completed since the last call, of so many bytes or one frame."""
        return list(decode(self.read_bodies(size), self.keys))

    def read_bodies(self, size: int = _CHUNK_BYTES) -> list[bytes]:
        """Return the bodies that were completed since the last call, not decoded, of so many bytes or one frame.

        Whoever decodes them adds the key sets that it meets to `keys`.
        """
        file = self._open()
        if not self._read_header(file):
            return []
        while True:
            file.seek(self.offset)
            raw = file.read(size)
            found = scan(raw, self._salt_crc or 0, self.offset)
            if found.bodies or len(raw) < size:
                break
            size *= 2  # one frame may be larger than a chunk
        self.damage += found.damage
        self.offset = found.end
        return found.bodies

    def read_all(self) -> list[Row | Record]:
        """Return everything up to the end of the file."""
        entries: list[Row | Record] = []
        while True:
            before = self.offset
            entries += self.read()
            if self.offset == before:
                return entries

    def read_to(self, end: int) -> list[Row | Record]:
        """Return what stands before a byte at which an earlier reader stopped."""
        entries: list[Row | Record] = []
        while self.offset < end:
            before = self.offset
            entries += self.read(end - before)
            if self.offset == before:
                break
        return entries

    @property
    def torn_bytes(self) -> int:
        """Bytes after the last whole frame: a frame being written, or cut off by a crash."""
        return max(0, self.path.stat().st_size - self.offset)

    @property
    def torn(self) -> list[Damage]:
        """What follows the last whole frame, as damage: for a file that nobody writes any more."""
        size = self.torn_bytes
        return [Damage(self.offset, size, "torn end")] if size else []

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> BinaryIO:
        if self._file is None:
            try:
                self._file = self.path.open("rb")
            except OSError as error:
                if error.errno not in _NEVER_READABLE:
                    raise
                raise JournalError(f"{self.path} cannot be read: {error.strerror}") from error
        return self._file

    def _read_header(self, file: BinaryIO) -> bool:
        if self._salt_crc is None:
            file.seek(0)
            header = file.read(FILE_HEADER_BYTES)
            if len(header) < FILE_HEADER_BYTES:
                return False  # the file was made a moment ago, or its writer died in that moment
            self._salt_crc = self._read_salt_crc(header, file.read(_BEGINNING_BYTES))
        return True

    def _read_salt_crc(self, header: bytes, beginning: bytes) -> int:
        """Return the checksum of the file's salt, also when a bit of its header was flipped.

        Raises:
            JournalError: The file is not a journal, or has a newer format.
        """
        try:
            told = crc32(read_salt(header, str(self.path)))
        except JournalError:
            if header.startswith(MAGIC) or (recovered := recover_salt_crc(beginning)) is None:
                raise
        else:
            found = scan(beginning, told, FILE_HEADER_BYTES)
            if found.bodies or (recovered := recover_salt_crc(beginning)) is None:
                return told
        self.damage.append(Damage(0, FILE_HEADER_BYTES, "broken header"))
        return recovered

    def _look_back_for_keys(self) -> None:
        file = self._open()
        if not self._read_header(file):
            return
        start = max(FILE_HEADER_BYTES, self.offset - 2 * KEYS_EVERY_BYTES)
        file.seek(start)
        raw = file.read(self.offset - start)
        for _ in decode(scan(raw, self._salt_crc or 0, start).bodies, self.keys):
            pass


class RunReader:
    """Reads all journals of a run, once or while they grow. A file that is none is told once and passed over.

    Args:
        folder: The run's journal folder.
        offsets: Where to begin in each file, by its name; elsewhere at the beginning.
        chunk_bytes: How much of a file makes one batch.
    """

    def __init__(
        self, folder: Path, offsets: Mapping[str, int] | None = None, *, chunk_bytes: int = _CHUNK_BYTES
    ) -> None:
        self.unreadable: dict[str, str] = {}
        self.failed: set[str] = set()
        self._folder = folder
        self._offsets = dict(offsets or {})
        self._chunk_bytes = chunk_bytes
        self._readers: dict[str, JournalReader] = {}
        self._has_failed = False

    def read(self) -> Iterator[tuple[JournalReader, list[Row | Record]]]:
        """Yield what was completed since the last call, file by file, in batches that are never empty.

        Files that could not be read just now are in `failed`.
        """
        self.failed.clear()
        for path in journal_files(self._folder):
            name = path.name
            if name in self.unreadable:
                continue
            try:
                if name not in self._readers:
                    self._readers[name] = JournalReader(path, self._offsets.get(name, 0))
                reader = self._readers[name]
                # What comes meanwhile is for the next call: else a busy file keeps a slow reader at it for ever.
                before, end = -1, reader.offset + reader.torn_bytes
                while before < reader.offset < end:
                    before = reader.offset
                    if entries := reader.read(self._chunk_bytes):
                        yield reader, entries
                reader.close()
            except FileNotFoundError:
                continue  # a writer on a full disk takes its empty file away again
            except JournalError as error:
                self.unreadable[name] = str(error)
                _log.warning("%s; it is passed over", error)
            except OSError as error:  # too many open files, a disk that does not answer: the next look may succeed
                if not self._has_failed:
                    _log.warning("%s cannot be read now: %s", path, error.strerror)
                self._has_failed = True
                self.failed.add(name)

    @property
    def offsets(self) -> dict[str, int]:
        """How far each file was read, by its name."""
        return {name: reader.offset for name, reader in self._readers.items()}

    def torn(self) -> Iterator[tuple[JournalReader, Damage]]:
        """Yield what follows the last whole frame of each file, once nobody writes to them any more."""
        for reader in self._readers.values():
            for damage in reader.torn:
                yield reader, damage

    def close(self) -> None:
        """Close the files."""
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()
