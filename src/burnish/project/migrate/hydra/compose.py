"""Lays the files of a Hydra config over each other as OmegaConf merges: sections merge, all else is replaced."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from burnish.config.layer import Mapping, Node, Scalar, Sequence, find, leaves
from burnish.config.origin import Origin
from burnish.core.errors import ConfigError, Problem
from burnish.project.migrate.hydra.defaults import Step

MISSING = "???"
_MAX_LAID = 2_000_000  # values that are laid down in all; a hostile list lays the same file many times
_MAX_PACKAGE = 100
_WHOLE = re.compile(r"\$\{([^${}:]+)\}\Z")


@dataclass(slots=True)
class Composition:
    """A tree that files are laid onto; it shares no section with them.

    Attributes:
        tree: The values so far.
    """

    tree: Mapping = field(default_factory=lambda: Mapping({}, Origin("default", "")))
    _laid: int = 0

    def lay(self, step: Step) -> None:
        """Lay one file over what is there.

        Raises:
            ConfigError: A section meets a list, or there is too much of it.
        """
        source = step.file.tree
        parts = [part for part in step.package.split(".") if part]
        if len(parts) > _MAX_PACKAGE:
            raise ConfigError([Problem(f"a package of more than {_MAX_PACKAGE} levels", step.file.shown)])
        for part in reversed(parts):
            source = Mapping({part: source}, source.origin, {part: source.origin})
        self._merge(self.tree, source)

    def _merge(self, below: Mapping, above: Mapping) -> None:
        for key, node in above.items.items():
            self._count(node)
            there = below.items.get(key)
            if isinstance(node, Scalar) and node.value == MISSING and there is not None:
                continue
            if isinstance(node, Mapping) and isinstance(there, Scalar):
                there = self._followed(there)
                if there is not None:
                    below.items[key] = there
            if isinstance(node, Mapping) and isinstance(there, Mapping):
                self._merge(there, node)
            elif {type(node), type(there)} == {Mapping, Sequence}:
                raise ConfigError([Problem(f"{key}: a section and a list cannot be merged", str(node.origin))])
            else:
                below.items[key] = self._copy(node)
                below.keys[key] = above.keys.get(key, node.origin)

    def _followed(self, node: Scalar) -> Mapping | None:
        """Return a copy of the section that a value refers to, for a section to be laid over it."""
        whole = _WHOLE.match(node.value) if isinstance(node.value, str) else None
        target = find(self.tree, whole[1]) if whole else None
        copy = self._copy(target) if isinstance(target, Mapping) else None
        return copy if isinstance(copy, Mapping) else None

    def _copy(self, node: Node) -> Node:
        self._count(node)
        if isinstance(node, Mapping):
            items = {key: self._copy(item) for key, item in node.items.items()}
            return replace(node, items=items, keys=dict(node.keys))
        return node

    def _count(self, node: Node) -> None:
        self._laid += 1
        if self._laid > _MAX_LAID:
            raise ConfigError([Problem(f"more than {_MAX_LAID:,} values in the files together", str(node.origin))])


def paths_by_origin(tree: Mapping) -> dict[str, str]:
    """Return the path of each leaf of a file by where it stands."""
    found: dict[str, str] = {}
    for path, node in leaves(tree):
        found.setdefault(str(node.origin), path)
    return found
