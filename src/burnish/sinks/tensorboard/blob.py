"""Files of a run that its journal names: read only where they are the run's own and hold what was said."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from burnish.journal.media import media_file

_MOST_BYTES: Final = 32 << 20
_NEVER: Final = frozenset(
    {errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.EIO}
)
_DAMAGED: Final = "file missing or damaged"


class Unusable(Exception):
    """A file that cannot be shown; its text is the rule under which that is counted."""


def read_blob(root: Path, payload: Mapping[str, object]) -> bytes:
    """Return the content of the file that a record names.

    Args:
        root: The run's folder.
        payload: The record's, with `file` and `sha256`.

    Raises:
        Unusable: It is missing, damaged, too large, or not one of the run.
        OSError: It cannot be read now.
    """
    path = media_file(root, payload)
    if path is None:
        raise Unusable(_DAMAGED)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would be waited for
        with os.fdopen(fd, "rb") as opened:
            about = os.fstat(fd)
            if not stat.S_ISREG(about.st_mode):
                raise Unusable(_DAMAGED)
            if about.st_size > _MOST_BYTES:
                raise Unusable("file too large")
            content = opened.read()
    except OSError as error:
        if error.errno not in _NEVER:
            raise
        raise Unusable(_DAMAGED) from error
    if hashlib.sha256(content).hexdigest() != payload.get("sha256"):
        raise Unusable(_DAMAGED)
    return content
