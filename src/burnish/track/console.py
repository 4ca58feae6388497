"""What a supervised process prints goes into its run's `console.log`; on a full disk it is lost, and training goes on.

Without this the `print` of a script would raise, and its training end, where `Run.log` only warns.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


class _Lenient(io.FileIO):
    """A descriptor that takes what the disk has no room for, and forgets it."""

    def write(self, data: Buffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            return memoryview(data).nbytes


def print_leniently(console: Path) -> None:
    """Let `print` and tracebacks of this process lose what cannot be written, where they go to a run's console."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not getattr(sys, f"__{name}__"):
            continue  # somebody else's: a notebook's, a test's
        try:
            if not os.path.samestat(os.fstat(stream.fileno()), console.stat()):
                continue
            stream.flush()
            raw = _Lenient(stream.fileno(), "wb", closefd=False)
        except (OSError, ValueError, AttributeError):
            continue
        # Without a buffer, as the supervisor has asked the interpreter for.
        lenient = io.TextIOWrapper(raw, stream.encoding, stream.errors, write_through=True)
        setattr(sys, name, lenient)
        setattr(sys, f"__{name}__", lenient)
