"""The files of a Hydra config directory: read once each, and never one outside the directory."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field
from pathlib import Path

from burnish.config.fields import shown_path
from burnish.config.layer import Mapping, Node, Scalar, Sequence
from burnish.config.origin import Origin
from burnish.core.errors import ConfigError, Problem
from burnish.project.migrate.recipe import read_recipe

_HEADER_SIZE = 512  # Hydra looks no further


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """One file, without its defaults list.

    Attributes:
        name: Its path in the directory, without the suffix.
        shown: Its path as a person would type it here.
        package: What its `# @package` line says; None without one.
        tree: Its values.
        defaults: Its defaults list as written; None without one.
    """

    name: str
    shown: str
    package: str | None
    tree: Mapping
    defaults: Sequence | None


class NotFound(Exception):
    """A file that a defaults list names and that cannot be read; the text says why."""


@dataclass(slots=True)
class ConfigFolder:
    """A Hydra config directory."""

    root: Path
    _read: dict[str, ConfigFile] = field(default_factory=dict)

    @property
    def files(self) -> MappingOf[str, ConfigFile]:
        """What has been read, by name, in the order of reading."""
        return self._read

    def load(self, name: str) -> ConfigFile:
        """Return a file by its path in the directory, the suffix optional.

        Raises:
            NotFound: There is none, or it lies outside the directory.
            ConfigError: It cannot be read as YAML.
        """
        path = posixpath.normpath(name.removesuffix(".yaml"))
        if path in self._read:
            return self._read[path]
        file = self.root / f"{path}.yaml"
        folder = shown_path(self.root)
        try:
            inside = not path.startswith(("..", "/")) and file.resolve().is_relative_to(self.root.resolve())
            exists = inside and file.is_file()
        except (OSError, RuntimeError, ValueError) as error:  # a name too long, a circle of links, a null byte
            raise NotFound(f"{path!r} cannot be the name of a file") from error
        if not inside:
            raise NotFound(f"{name} lies outside {folder}, which is all that is read: import the folder above")
        if not exists:
            raise NotFound(f"there is no {path}.yaml in {folder}")
        found = self._read[path] = _load(path, file)
        return found

    def options(self, group: str) -> list[str]:
        """Return the options of a group."""
        path = posixpath.normpath(group)
        if path.startswith(("..", "/")) or "\0" in path:
            return []
        return sorted(file.stem for file in (self.root / path).glob("*.yaml"))


def package_of(text: str) -> str | None:
    r"""Return the package that the comment lines at the head of a file name, as Hydra reads them.

    >>> package_of("# @package _global_.db\n\nport: 1"), package_of("port: 1")
    ('_global_.db', None)
    """
    for line in text[:_HEADER_SIZE].splitlines():
        words = line.strip().lstrip("#").split()
        if not line.strip():
            continue
        if not line.strip().startswith("#") or not words or not words[0].startswith("@"):
            return None
        if words[0] == "@package" and len(words) == 2:
            return words[1]
    return None


def _load(name: str, file: Path) -> ConfigFile:
    recipe = read_recipe(file)
    defaults = recipe.tree.items.get("defaults")
    if isinstance(defaults, Scalar) and defaults.value is None:
        defaults = Sequence((), defaults.origin)
    if defaults is not None and not isinstance(defaults, Sequence):
        raise ConfigError([Problem("a defaults list is a list", str(defaults.origin))])
    items: dict[str, Node] = {key: node for key, node in recipe.tree.items.items() if key != "defaults"}
    tree = Mapping(items, Origin("file", recipe.shown, 1, 1), recipe.tree.keys)
    return ConfigFile(name, recipe.shown, package_of(recipe.text), tree, defaults)
