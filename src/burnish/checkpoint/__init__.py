"""Checkpoints that can be trusted: published whole, verified when read, kept by rule."""

from burnish.checkpoint.manifest import Manifest, read_manifest, seal, verify
from burnish.checkpoint.retention import Direction, Retention
from burnish.checkpoint.store import CheckpointStore

__all__ = ["CheckpointStore", "Direction", "Manifest", "Retention", "read_manifest", "seal", "verify"]
