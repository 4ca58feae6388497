"""The files of a data set: which there are, how large and how new, and one hash for what they hold."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_CHUNK_BYTES = 1 << 20
# What tools leave beside data: the same data would get another hash for it.
_NOT_DATA = frozenset({".git", ".cache", "__pycache__"})


class OutOfTimeError(Exception):
    """The time that a listing or a hash may take has passed."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The regular files of a path, sorted by name.

    Attributes:
        names: Relative names, as bytes; a single file is named `b"."`.
        size_bytes: Of all together.
        newest_ns: When the newest was changed, nanoseconds since the epoch; 0 where there is none.
        left_out: Pipes, sockets, devices, broken links and folders that may not be read.
        is_folder: Whether the path is a folder.
    """

    names: tuple[bytes, ...]
    size_bytes: int
    newest_ns: int
    left_out: int
    is_folder: bool

    @property
    def mtime(self) -> float:
        """Seconds since the epoch, to the microsecond, so that it survives JSON unchanged."""
        return round(self.newest_ns / 1e9, 6)


def list_files(path: Path, until: float) -> Listing:
    """Look through a file or folder. Links are followed, a folder that was seen already is not entered again.

    Args:
        path: An existing path.
        until: When to give up, by `time.monotonic`.

    Raises:
        OutOfTimeError: It takes too long.
        OSError: The path itself cannot be looked at.
    """
    found = path.stat()
    if not stat.S_ISDIR(found.st_mode):
        is_file = stat.S_ISREG(found.st_mode)
        names = (b".",) if is_file else ()
        return Listing(names, found.st_size if is_file else 0, found.st_mtime_ns, int(not is_file), False)
    names_found: list[bytes] = []
    size_bytes = newest_ns = left_out = 0
    for name, inside in _walk(os.fsencode(path), {(found.st_dev, found.st_ino)}):
        if time.monotonic() > until:
            raise OutOfTimeError
        if inside is None or not stat.S_ISREG(inside.st_mode):
            left_out += 1
            continue
        names_found.append(name)
        size_bytes += inside.st_size
        newest_ns = max(newest_ns, inside.st_mtime_ns)
    return Listing(tuple(sorted(names_found)), size_bytes, newest_ns, left_out, True)


def content_hash(path: Path, listing: Listing, until: float) -> str:
    r"""Return the SHA-256 of a file, or of a folder's files: wherever it lies, and whenever it was copied.

    A folder's is that of the lines `<sha256>  <name>` of its files, sorted by name: what
    `find . -type f -printf '%P\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum` prints.

    Raises:
        OutOfTimeError: It takes too long.
        OSError: A file cannot be read.
    """
    if not listing.is_folder:
        return _file_hash(os.fsencode(path), until)
    import hashlib

    digest = hashlib.sha256()
    for name in listing.names:
        shown = name.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
        mark = b"\\" if shown != name else b""  # as sha256sum does
        own = _file_hash(os.path.join(os.fsencode(path), name), until).encode()  # noqa: PTH118  a Path is no bytes
        digest.update(mark + own + b"  " + shown + b"\n")
    return digest.hexdigest()


def _file_hash(path: bytes, until: float) -> str:
    import hashlib

    digest = hashlib.sha256()
    # Non-blocking: what was a file when it was listed may be a pipe by now.
    with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb", buffering=0) as file:  # noqa: PTH123
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            if time.monotonic() > until:
                raise OutOfTimeError
    return digest.hexdigest()


def _walk(root: bytes, seen: set[tuple[int, int]]) -> Iterator[tuple[bytes, os.stat_result | None]]:
    """Yield relative name and state of everything below a folder that is no folder; None where there is no telling."""
    waiting = [b""]
    while waiting:
        folder = waiting.pop()
        try:
            entries = os.scandir(os.path.join(root, folder))  # noqa: PTH118
        except OSError:
            yield folder, None
            continue
        with entries:
            for entry in entries:
                name = os.path.join(folder, entry.name)  # noqa: PTH118
                try:
                    found = entry.stat()
                except OSError:
                    yield name, None
                    continue
                if not stat.S_ISDIR(found.st_mode):
                    yield name, found
                elif os.fsdecode(entry.name) not in _NOT_DATA and (found.st_dev, found.st_ino) not in seen:
                    seen.add((found.st_dev, found.st_ino))
                    waiting.append(name)
