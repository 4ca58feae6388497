"""Event files: records framed as TFRecord does, and where a file ends that state vouches for.

A file is opened for each append alone: a run may have more journals than a process may hold files open.
"""

from __future__ import annotations

import errno
import functools
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from burnish.sinks.base import Gone
from burnish.sinks.tensorboard.crc32c import masked_crc32c

_TAIL_BYTES: Final = 4
_DRAFT: Final = ".burnish-draft"  # without "tfevents", by which TensorBoard knows its files


def framed(events: Sequence[bytes]) -> bytes:
    """Return serialized events as an event file holds them: length, its checksum, event, its checksum."""
    checksums = masked_crc32c(events).astype("<u4").tobytes()
    parts: list[bytes] = []
    for place, event in enumerate(events):
        parts += (_head(len(event)), event, checksums[4 * place : 4 * place + 4])
    return b"".join(parts)


@functools.lru_cache(maxsize=1024)
def _head(size: int) -> bytes:
    length = struct.pack("<Q", size)
    return length + struct.pack("<I", int(masked_crc32c([length])[0]))


def restore(path: Path, size: int, tail: bytes) -> None:
    """Leave of a file what was written, and nothing after it.

    Args:
        path: The file.
        size: How much of it was written.
        tail: The last bytes of that, empty where they are not known.

    Raises:
        Gone: It is not there, shorter, or another.
        OSError: The disk does not answer.
    """
    if size:
        fd = _opened(path, size)
        try:
            _cut(fd, path, size, tail)
        finally:
            os.close(fd)


def append(path: Path, size: int, tail: bytes, content: bytes) -> tuple[int, bytes]:
    """Write after what was written, over whatever stands there; return the new size and tail.

    Raises:
        Gone: What was written is not there any more.
        OSError: The disk does not take it; the next call mends what this one began.
    """
    fd = _opened(path, size)
    try:
        _cut(fd, path, size, tail)
        view, at = memoryview(content), size
        while view:
            written = os.pwrite(fd, view, at)
            view, at = view[written:], at + written
    finally:
        os.close(fd)
    return at, content[-_TAIL_BYTES:] or tail


def replace(path: Path, content: bytes) -> None:
    """Let a small file hold this and nothing else, by one rename; one that holds it is left alone.

    Raises:
        OSError: The disk does not take it.
    """
    try:
        if path.read_bytes() == content:
            return
    except FileNotFoundError:
        pass
    draft = path.with_name(_DRAFT)
    draft.unlink(missing_ok=True)
    with draft.open("xb") as file:
        file.write(content)
    draft.replace(path)


def empty(path: Path) -> None:
    """Leave nothing in a file; one that is a link goes.

    Raises:
        OSError: The disk does not take it.
    """
    if path.is_symlink():
        path.unlink()
    else:
        os.truncate(path, 0)


def _opened(path: Path, size: int) -> int:
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW  # a run may come from anywhere, with links to anywhere
    if not size:
        path.parent.mkdir(parents=True, exist_ok=True)
        flags |= os.O_CREAT
    try:
        return os.open(path, flags, 0o644)
    except OSError as error:
        if error.errno == errno.ELOOP or (size and error.errno in (errno.ENOENT, errno.ENOTDIR)):
            raise Gone(f"{path} is not there any more") from error
        raise


def _cut(fd: int, path: Path, size: int, tail: bytes) -> None:
    there = os.fstat(fd).st_size
    if there < size:
        raise Gone(f"{path} has {there} bytes of {size}")
    if size and tail and os.pread(fd, len(tail), size - len(tail)) != tail:
        raise Gone(f"{path} is not what was written")
    if there > size:
        os.ftruncate(fd, size)
