"""`manifest.json`: written last, it says that a checkpoint is complete and what each file must hash to."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from burnish.core.errors import CheckpointError
from burnish.core.files import read_json, write_json

NAME: Final = "manifest.json"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a complete checkpoint holds.

    Attributes:
        step: The last training step that it includes.
        metrics: Values of metrics at that step, by which the best one is chosen.
        files: Size in bytes and SHA-256 of each file, by path relative to the checkpoint.
    """

    step: int
    metrics: dict[str, float] = field(default_factory=dict)
    files: dict[str, tuple[int, str]] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """The size of all files."""
        return sum(size for size, _ in self.files.values())


def seal(folder: Path, step: int, metrics: Mapping[str, float]) -> Manifest:
    """Make the files of a checkpoint durable and vouch for them with a manifest.

    Raises:
        OSError: A file cannot be read or the manifest not be written; the folder stays unsealed.
    """
    files = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p != folder / NAME):
        with path.open("rb") as handle:
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
            os.fsync(handle.fileno())
            files[str(path.relative_to(folder))] = (os.fstat(handle.fileno()).st_size, digest)
    manifest = Manifest(step, {k: float(v) for k, v in metrics.items()}, files)
    write_json(folder / NAME, {"format": 1, **asdict(manifest)}, durable=True)
    return manifest


def read_manifest(folder: Path) -> Manifest | None:
    """Return the manifest of a checkpoint; None when it was never completed or is damaged."""
    content = read_json(folder / NAME)
    step, metrics, files = content.get("step"), content.get("metrics"), content.get("files")
    if not isinstance(step, int) or not isinstance(metrics, dict) or not isinstance(files, dict):
        return None
    try:
        return Manifest(
            step,
            {name: float(value) for name, value in metrics.items()},
            {name: (int(size), str(digest)) for name, (size, digest) in files.items()},
        )
    except (TypeError, ValueError, OverflowError):
        return None  # a damaged one vouches for nothing


def verify(folder: Path) -> Manifest:
    """Check every file of a checkpoint against its manifest.

    Raises:
        CheckpointError: It was never completed, or a file is missing, cut off or changed.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        raise CheckpointError(f"checkpoint {folder} was never completed")
    for name, (size, digest) in manifest.files.items():
        path = folder / name
        try:
            if path.stat().st_size != size:
                raise CheckpointError(f"checkpoint {folder}: {name} has {path.stat().st_size} bytes, not {size}")
            with path.open("rb") as handle:
                if hashlib.file_digest(handle, "sha256").hexdigest() != digest:
                    raise CheckpointError(f"checkpoint {folder}: {name} has changed since it was written")
        except OSError as error:
            raise CheckpointError(f"checkpoint {folder}: {name}: {error.strerror}") from error
    return manifest
