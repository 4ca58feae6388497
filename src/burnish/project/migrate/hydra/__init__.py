"""Hydra config directories: defaults lists, packages, composition and OmegaConf's references, without Hydra."""

from burnish.project.migrate.hydra.project import migrate_hydra

__all__ = ["migrate_hydra"]
