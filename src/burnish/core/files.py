"""Files that are either the old or the new whole, and locks that die with their owner."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Self

from burnish.core.errors import StorageError


def make_folder(path: Path, *, hint: str = "") -> Path:
    """Create a folder and its parents.

    Raises:
        StorageError: The folder cannot be made; `hint` says what the caller can offer instead.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot create folder {path}: {error.strerror}", hint=hint) from error
    return path


def draft_of(path: Path) -> Path:
    """Return where to write what shall take a file's place: beside it, hidden, and nobody else's.

    The process id is not enough: threads share it, and so may two hosts on one network disk.
    """
    return path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(6).hex()}.tmp")


def write_atomic(path: Path, content: bytes | str, *, durable: bool = False) -> None:
    """Write a file so that a reader sees the old content or the new, never half of it.

    Args:
        path: The file; its folder must exist.
        content: What it shall hold; text is written as UTF-8.
        durable: Also survive a power cut (fsync of the file and its folder).
    """
    raw = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    draft = draft_of(path)
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        try:
            view = memoryview(raw)
            while view:
                view = view[os.write(fd, view) :]
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def drop_drafts(path: Path) -> None:
    """Remove the drafts of a file whose writers were killed; the caller is the only one who may write it."""
    for draft in path.parent.glob(f".{path.name}.*.tmp"):
        draft.unlink(missing_ok=True)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable (fsync of the directory)."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_json(path: Path, value: object, *, durable: bool = False) -> None:
    """Write a value as readable JSON, atomically."""
    write_atomic(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n", durable=durable)


def read_json(path: Path) -> dict[str, object]:
    """Read a JSON object; an absent or unreadable file is an empty one."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


class FileLock:
    """An exclusive lock on a file, held until `release` or until the process dies, however it dies.

    The kernel drops it (`flock`), so a killed owner never leaves a stale lock. The file stays: removing it
    would let two processes hold locks on two files of the same name.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    def try_acquire(cls, path: Path) -> Self | None:
        """Return the lock, or None when another process or another holder in this one has it."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        return cls(fd)

    @classmethod
    def acquire(cls, path: Path) -> Self:
        """Return the lock, waiting for whoever has it."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(fd, fcntl.LOCK_EX)
        return cls(fd)

    @property
    def fd(self) -> int:
        """The descriptor, to be handed to another process: the lock is held until the last copy is closed."""
        return self._fd

    def release(self) -> None:
        """Let go of the lock; a second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()
