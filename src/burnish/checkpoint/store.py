"""The checkpoints of one run, in `checkpoints/checkpoint-<step>`: publish, find, delete."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from burnish.checkpoint.manifest import Manifest, read_manifest, seal, verify
from burnish.checkpoint.retention import Retention
from burnish.core.errors import CheckpointError
from burnish.core.files import sync_folder

_log = logging.getLogger(__name__)
_PREFIX = "checkpoint-"


class CheckpointStore:
    """Checkpoints under one folder; a folder without a manifest is none.

    One process publishes and deletes; any number may read.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, step: int) -> Path:
        """Return where the checkpoint of a step lies."""
        return self.root / f"{_PREFIX}{step}"

    def manifests(self) -> list[Manifest]:
        """Return the manifests of all complete checkpoints, oldest first."""
        found = [read_manifest(p) for p in self.root.glob(f"{_PREFIX}*")]
        return sorted((m for m in found if m is not None), key=lambda m: m.step)

    def publish(self, step: int, metrics: Mapping[str, float], write: Callable[[Path], None]) -> Manifest:
        """Write a checkpoint so that it is there whole or not at all.

        Args:
            step: The last training step that it includes.
            metrics: Values by which the best one is chosen.
            write: Puts the files into the folder that it is given.
        """
        draft = self.root / f".tmp-{step}-{os.getpid()}"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        try:
            write(draft)
            manifest = seal(draft, step, metrics)
            target = self.folder(step)
            if target.exists():  # a leftover of an attempt that was superseded
                self._remove(target)
            draft.rename(target)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        sync_folder(self.root)
        return manifest

    def newest_good(self) -> tuple[Path, Manifest] | None:
        """Return the newest checkpoint whose every file is as it was written, saying aloud which are not."""
        for manifest in reversed(self.manifests()):
            folder = self.folder(manifest.step)
            try:
                return folder, verify(folder)
            except CheckpointError as error:
                _log.warning("%s; falling back to an older one", error)
        return None

    def find(self, which: str, retention: Retention) -> tuple[Path, Manifest]:
        """Return a verified checkpoint: `best`, `last`, or the one of a step.

        Raises:
            CheckpointError: There is none, or it is damaged.
        """
        manifests = self.manifests()
        if not manifests:
            raise CheckpointError(f"no complete checkpoint in {self.root}")
        if which == "best":
            chosen = retention.best(manifests) or manifests[-1]
        elif which == "last":
            chosen = manifests[-1]
        else:
            by_step = {str(m.step): m for m in manifests}
            if which not in by_step:
                raise CheckpointError(
                    f"no checkpoint {which!r} in {self.root}",
                    hint=f"use best, last or one of {', '.join(by_step)}",
                )
            chosen = by_step[which]
        folder = self.folder(chosen.step)
        return folder, verify(folder)

    def prune(self, retention: Retention) -> list[int]:
        """Delete what the retention does not keep; return the steps."""
        surplus = retention.surplus(self.manifests())
        for step in surplus:
            self._remove(self.folder(step))
        return surplus

    def discard_incomplete(self) -> None:
        """Delete folders that were never sealed; only before training starts to write."""
        for path in (*self.root.glob(f"{_PREFIX}*"), *self.root.glob(".tmp-*"), *self.root.glob(".gone-*")):
            if read_manifest(path) is None or not path.name.startswith(_PREFIX):
                shutil.rmtree(path, ignore_errors=True)

    def _remove(self, folder: Path) -> None:
        # Renamed first, so that a deletion cut off half-way leaves no folder that looks like a checkpoint.
        gone = folder.with_name(f".gone-{folder.name}-{os.getpid()}")
        folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
