"""A Hydra config directory as one Burnish experiment file: composed, its own tree of keys kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from burnish.config.check import validate
from burnish.config.fields import shown_path
from burnish.config.layer import Mapping, Node, Scalar, Sequence, find, leaves, plain
from burnish.core.errors import ConfigError, Problem
from burnish.experiment.config import ExperimentConfig
from burnish.experiment.registry import config_of
from burnish.project.migrate.hydra.compose import MISSING, Composition, paths_by_origin
from burnish.project.migrate.hydra.defaults import Defaults
from burnish.project.migrate.hydra.files import ConfigFolder
from burnish.project.migrate.hydra.references import convert
from burnish.project.migrate.migration import Carried, Left, Migration
from burnish.project.migrate.recipe import read_recipe
from burnish.project.migrate.rules import CannotCarry

_OURS: Final = "Burnish means something else by this key: give yours another name"
_MAX_TOLD = 20


def migrate_hydra(source: Path) -> Migration:
    """Return a Hydra config directory, or the primary file of one, as a Burnish experiment.

    Raises:
        ConfigError: It cannot be read or composed, or which file is the primary one does not show.
    """
    primary = _primary(source) if source.is_dir() else source
    folder = ConfigFolder(primary.parent)
    defaults = Defaults(folder)
    if primary.suffix != ".yaml":
        raise ConfigError([Problem("Hydra reads .yaml files alone", shown_path(primary))])
    steps = defaults.steps(primary.stem)
    composition = Composition()
    for step in steps:
        composition.lay(step)
    converted = _Converted(composition.tree)
    tree = converted.run()
    written = {key: value for file in folder.files.values() for key, value in paths_by_origin(file.tree).items()}
    carried = (Carried(written.get(_place(node), path), _place(node), path) for path, node in leaves(tree) if path)
    values = plain(tree)
    assert isinstance(values, dict)
    notes = (*_composed_from(folder), *_choices(defaults), *_targets(tree))
    left = (*defaults.left, *converted.left)
    return Migration("hydra", shown_path(source), values, tuple(carried), left, notes)


def _primary(folder: Path) -> Path:
    """Return the file that composition starts from: `config.yaml`, or the only one that has a defaults list."""
    files = sorted(folder.glob("*.yaml"))
    usual = folder / "config.yaml"
    if usual in files:
        return usual
    composed = [file for file in files if "defaults" in read_recipe(file).tree.items]
    found = composed if len(composed) == 1 else files
    if len(found) == 1:
        return found[0]
    hint = f"name one: {', '.join(shown_path(file) for file in (composed or files)[:_MAX_TOLD])}" if files else ""
    what = "which of its files is the primary one does not show" if files else "no .yaml file in it"
    raise ConfigError([Problem(f"{shown_path(folder)}: {what}", shown_path(folder), hint)])


@dataclass(slots=True)
class _Converted:
    """Turns a composed tree into one of ours; what has no counterpart goes to `left`."""

    composed: Mapping
    left: list[Left] = field(default_factory=list)
    _wanted: dict[str, tuple[str, str]] = field(default_factory=dict)

    def run(self) -> Mapping:
        items: dict[str, Node] = {}
        for key, node in self.composed.items.items():
            reason = "how Hydra itself runs is no part of an experiment" if key == "hydra" else _taken(key, node)
            if reason:
                self.left.append(Left(key, plain(node), _place(node), reason))
            elif (done := self._walk(key, node, key)) is not None:
                items[key] = done
        tree = replace(self.composed, items=items)
        known = {left.path for left in self.left}
        for target, (path, origin) in self._wanted.items():
            if target not in known and find(tree, target) is None:
                self.left.append(Left(target, MISSING, origin, f"must be set: {path} refers to it"))
        return tree

    def _walk(self, key: str, node: Node, path: str) -> Node | None:
        """Return a node as ours, None where it is left."""
        try:
            if key[-1:] in ("+", "!") and len(key) > 1:
                raise CannotCarry(f"a key that ends in {key[-1]} merges in another way in Burnish")
            if isinstance(node, Mapping):
                inner = {k: self._walk(k, item, f"{path}.{k}") for k, item in node.items.items()}
                return replace(node, items={k: item for k, item in inner.items() if item is not None})
            return self._value(node, path)
        except CannotCarry as reason:
            self.left.append(Left(path, plain(node), _place(node), str(reason)))
            return None

    def _value(self, node: Node, path: str) -> Node:
        """Return a node of a list, or a value; a list with an element that cannot be carried is left as a whole."""
        if isinstance(node, Sequence):
            return replace(node, items=tuple(self._value(n, f"{path}.{i}") for i, n in enumerate(node.items)))
        if isinstance(node, Mapping):
            return replace(node, items={k: self._value(item, f"{path}.{k}") for k, item in node.items.items()})
        if node.value == MISSING:
            raise CannotCarry("must be set: it has no value there")
        if node.value == "~delete":
            raise CannotCarry("in Burnish this value deletes its key")
        origin = str(node.origin)
        return convert(node, path, self.composed, lambda target: self._want(target, path, origin))

    def _want(self, target: str, path: str, origin: str) -> None:
        self._wanted.setdefault(target, (path, origin))


def _taken(key: str, node: Node) -> str:
    """Return why a key cannot stand at the top of a Burnish file; empty when it can."""
    if key in ("experiment", "extends", "sweep") or (key == "run" and isinstance(node, Sequence)):
        return _OURS
    if key not in ExperimentConfig.model_fields:
        return ""
    if any(isinstance(leaf, Scalar) and "${" in str(leaf.value) for _, leaf in leaves(node)):
        return ""
    tree = Mapping({"experiment": Scalar("yours", node.origin), key: node}, node.origin)
    return _OURS if validate(ExperimentConfig, tree, config_of).problems else ""


def _place(node: Node) -> str:
    return str(node.origin)


def _composed_from(folder: ConfigFolder) -> Iterator[str]:
    names = [f"{name}.yaml" for name in folder.files]
    more = f" and {len(names) - _MAX_TOLD} more" if len(names) > _MAX_TOLD else ""
    yield f"composed from {', '.join(names[:_MAX_TOLD])}{more}"


def _choices(defaults: Defaults) -> Iterator[str]:
    chosen = list(defaults.taken.items())
    if chosen:
        told = ", ".join(f"{key}: {option}" for key, option in chosen[:_MAX_TOLD])
        yield f"groups and the options that became part of it: {told}{', …' if len(chosen) > _MAX_TOLD else ''}"


def _targets(tree: Mapping) -> Iterator[str]:
    if any(path.rpartition(".")[2] == "_target_" for path, _ in leaves(tree)):
        yield "a _target_ is a value like any other here: nothing is built from it"
