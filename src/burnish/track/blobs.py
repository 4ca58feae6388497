"""What is too large for a journal: files named after their content, under a run's folder.

A name is there only when its whole content is: who finds `media/<sha256>.png` may read it at once.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from burnish.core.files import write_atomic

_SUFFIX = re.compile(r"[a-z0-9]{1,16}")


@dataclass(frozen=True, slots=True)
class Blob:
    """A stored content.

    Attributes:
        sha256: Of the content, in hexadecimal.
        bytes: How many there are.
        file: Where they lie, relative to the run's folder, with `/` between the parts.
    """

    sha256: str
    bytes: int
    file: str


def store_blob(run_root: Path, content: bytes, suffix: str, folder: str = "media") -> Blob:
    """Store bytes in `<folder>/<sha256>.<suffix>`; what is already there is not written again.

    Safe for any number of threads and processes at once: each writes a draft of its own and renames it. What a
    killed writer leaves behind is a draft, whose name begins with a dot.

    Args:
        run_root: The folder of the run.
        content: What to keep.
        suffix: The ending without its dot, such as `png`.
        folder: Where below the run's folder.

    Raises:
        ValueError: The suffix is not made of small letters and digits.
        OSError: The disk does not take it.
    """
    if not _SUFFIX.fullmatch(suffix):
        raise ValueError(f"a suffix must be small letters and digits, not {suffix!r}")
    sha256 = hashlib.sha256(content).hexdigest()
    blob = Blob(sha256, len(content), f"{folder}/{sha256}.{suffix}")
    path = run_root / blob.file
    if not _is_whole(path, blob.bytes):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)
    return blob


def _is_whole(path: Path, size: int) -> bool:
    """Tell whether the file is there; a power cut can leave a name whose content never reached the disk."""
    try:
        return path.stat().st_size == size
    except OSError:
        return False
