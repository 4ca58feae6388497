"""Contents kept once, under their SHA-256: whole and on disk, or not there at all."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from burnish.core.files import make_folder, sync_folder

_CHUNK_BYTES: Final = 4 << 20
_FICLONE: Final = 0x40049409  # linux/fs.h: share the blocks of a file, on btrfs and XFS
_STALE_S: Final = 60.0


def object_path(store: Path, digest: str) -> Path:
    """Return where the content of a hash lies in a store."""
    return store / "objects" / digest[:2] / digest


def read_file(path: Path, store: Path | None) -> tuple[int, str, bool]:
    """Read a file once, into the store where one is given; return size, hash, and whether it changed meanwhile.

    Raises:
        OSError: It is no regular file, or cannot be read, or the store not be written.
    """
    # Not to wait for a writer, should a pipe have taken the file's place; nor to follow a link that has.
    source = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        before = os.fstat(source)
        if not stat.S_ISREG(before.st_mode):
            raise OSError(22, "not a regular file", str(path))
        with _draft(store) if store is not None else contextlib.nullcontext() as draft:
            size, digest = _hashed(source, before.st_size, draft[1] if draft is not None else None)
            if store is not None and draft is not None:
                _publish(draft, object_path(store, digest), size)
        after = os.fstat(source)
    finally:
        os.close(source)
    stamp = (before.st_size, before.st_mtime_ns)
    return size, digest, stamp != (after.st_size, after.st_mtime_ns) or size != before.st_size


def _hashed(source: int, most: int, target: int | None) -> tuple[int, str]:
    """Return size and hash of what is read, and write it to the target.

    No more is read than was there: a file that somebody goes on writing to would never end.
    """
    if target is not None and _clone(source, target):
        source, target = os.dup(target), None  # blocks shared: only the hash is left to do, and of a still copy
        os.lseek(source, 0, os.SEEK_SET)
    else:
        source = os.dup(source)
    digest, size, buffer = hashlib.sha256(), 0, memoryview(bytearray(_CHUNK_BYTES))
    try:
        while count := os.readv(source, [buffer[: most - size]]):
            part = buffer[:count]
            digest.update(part)
            size += count
            while target is not None and part:
                part = part[os.write(target, part) :]
    finally:
        os.close(source)
    return size, digest.hexdigest()


def _clone(source: int, target: int) -> bool:
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False  # another file system, or one that cannot
    return True


@contextlib.contextmanager
def _draft(store: Path) -> Iterator[tuple[Path, int]]:
    """Yield a new file beside the objects. Its lock says that it is being written; the next one sweeps dead ones."""
    folder = make_folder(store / "objects")
    for path in folder.glob(".tmp-*"):
        _sweep(path)
    path = folder / f".tmp-{os.getpid()}-{secrets.token_hex(8)}"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with contextlib.suppress(OSError):  # a file system without locks sweeps by age alone
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield path, fd
    finally:
        os.close(fd)
        path.unlink(missing_ok=True)


def _sweep(path: Path) -> None:
    """Remove what a killed process left half-written."""
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            if time.time() - os.fstat(fd).st_mtime > _STALE_S:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
        finally:
            os.close(fd)


def _publish(draft: tuple[Path, int], target: Path, size: int) -> None:
    path, fd = draft
    with contextlib.suppress(OSError):
        if target.stat().st_size == size:
            return  # stored already
    os.fchmod(fd, 0o444)  # whoever opens it by its link must not change it by mistake
    os.fsync(fd)
    make_folder(target.parent)
    path.replace(target)
    sync_folder(target.parent)
