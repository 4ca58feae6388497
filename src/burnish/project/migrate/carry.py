"""Carries a flat recipe over, key by key, by a tool's rules; the schema of our experiment has the last word.

What the schema refuses is left with its reason, so that what is carried over is valid as far as it goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from burnish.config.check import validate
from burnish.config.layer import Mapping, Node, Plain, Scalar, Sequence, plain
from burnish.config.origin import Origin
from burnish.core.errors import Problem
from burnish.experiment.components.trl_fields import trl_fields
from burnish.experiment.registry import config_of
from burnish.project.migrate.migration import EMPTY, Carried, Left, Migration
from burnish.project.migrate.recipe import Recipe
from burnish.project.migrate.rules import CannotCarry, Dialect

_TRL_CLASSES = {"sft": "SFTConfig", "dpo": "DPOConfig", "grpo": "GRPOConfig"}
_NO_TRL = "TRL is not installed here, so its arguments are not known: pip install 'burnish[trl]'"
_ORDER = ("experiment", "name", "seed", "model", "data", "training")
# What a recipe cannot say for Burnish; with it the rest can be checked.
_ASIDE: dict[str, Plain] = {
    "model": {"name": "tiny-llama"},
    "data": {"name": "reasoning-gym", "family": "spell_backward"},
}


@dataclass(frozen=True, slots=True)
class _Entry:
    """One value on its way: from where, and to which path of ours; one without a source is an assumption."""

    path: str
    origin: str
    given: Plain
    to: str
    value: Plain


@dataclass(slots=True)
class _Draft:
    """The experiment as it fills."""

    experiment: str
    entries: list[_Entry] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)

    def add(self, path: str, node: Node, targets: dict[str, Plain]) -> None:
        taken = {entry.to: entry for entry in self.entries}
        for target, value in targets.items():
            first = taken.get(target)
            if first is None:
                self.entries.append(_Entry(path, str(node.origin), plain(node), target, value))
            else:
                self.leave(path, node, f"{target} is taken from {first.path} ({first.origin}) already")

    def leave(self, path: str, node: Node, reason: str) -> None:
        self.left.append(Left(path, plain(node), str(node.origin), reason))

    def drop(self, entry: _Entry, reason: str) -> None:
        self.entries.remove(entry)
        if entry.origin:
            self.left.append(Left(entry.path, entry.given, entry.origin, reason))


def carry(recipe: Recipe, dialect: Dialect) -> Migration:
    """Return a recipe as a Burnish experiment.

    Raises:
        ConfigError: It is for something that Burnish has no experiment for.
    """
    draft = _Draft(dialect.experiment_of(recipe))
    for path, node in _items(recipe.tree, dialect):
        _take(draft, recipe, dialect, path, node)
    notes = _assume(draft, recipe, dialect)
    notes += _check(draft)
    position = {path: number for number, (path, _) in enumerate(_items(recipe.tree, dialect))}
    carried = (Carried(entry.path, entry.origin, entry.to) for entry in draft.entries if entry.origin)
    experiment = _experiment(draft)
    return Migration(
        dialect.kind,
        recipe.shown,
        experiment,
        tuple(sorted(carried, key=lambda item: position[item.path])),
        tuple(sorted(draft.left, key=lambda item: position[item.path])),
        (*notes, *_to_do(experiment)),
    )


def _items(tree: Mapping, dialect: Dialect, prefix: str = "") -> Iterator[tuple[str, Node]]:
    """Yield what rules are asked about: a section is opened where there are rules for what it holds."""
    sections = dialect.sections
    for key, node in tree.items.items():
        path = f"{prefix}{key}"
        if path in sections and isinstance(node, Mapping) and node.items:
            yield from _items(node, dialect, f"{path}.")
        else:
            yield path, node


def _take(draft: _Draft, recipe: Recipe, dialect: Dialect, path: str, node: Node) -> None:
    try:
        targets = _targets(draft.experiment, recipe, dialect, path, plain(node))
        draft.add(path, node, {target: _literal(inner) for target, inner in targets.items()})
    except CannotCarry as reason:
        draft.leave(path, node, str(reason))


def _targets(experiment: str, recipe: Recipe, dialect: Dialect, path: str, value: Plain) -> dict[str, Plain]:
    """Return where a value goes.

    Raises:
        CannotCarry: It has no place.
    """
    if value is None or value == {}:
        raise CannotCarry(EMPTY)
    if dialect.refers and isinstance(value, str) and "${" in value:
        raise CannotCarry("it refers to what does not stand in the recipe")
    rule = dialect.rule_for(path)
    if rule is not None:
        return rule(value, recipe)
    if not dialect.takes_trl:
        raise CannotCarry("Burnish has no such argument")
    kind = _TRL_CLASSES[experiment]
    known = trl_fields(kind)
    if known is None:
        raise CannotCarry(_NO_TRL)
    if path not in known:
        raise CannotCarry(f"neither Burnish nor TRL's {kind} has such an argument")
    return {f"training.trl.{path}": value}


def _literal(value: Plain) -> Plain:
    """Return a value as a Burnish file holds it: there `${`, `key+`, `key!` and `~delete` have a meaning."""
    if isinstance(value, dict):
        if odd := next((key for key in value if key[-1:] in ("+", "!")), None):
            raise CannotCarry(f"a key that ends in {odd[-1]} merges in another way in Burnish")
        return {key: _literal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_literal(item) for item in value]
    if value == "~delete":
        raise CannotCarry("in Burnish this value deletes its key")
    return value.replace("${", "$${") if isinstance(value, str) else value


def _assume(draft: _Draft, recipe: Recipe, dialect: Dialect) -> list[str]:
    """Write down the defaults of the other tool that are not ours, so that the same is trained."""
    taken = {entry.to for entry in draft.entries}
    assumed = {to: value for to, value in dialect.assumed(draft.experiment, recipe).items() if to not in taken}
    if any(to.startswith("training.optimizer.") for to in taken) and "training.optimizer.name" not in taken:
        draft.entries.append(_Entry("", "", None, "training.optimizer.name", "adamw"))
    for to, value in assumed.items():
        draft.entries.append(_Entry("", "", None, to, value))
    return [f"{to} is not written there: {value} is what {dialect.kind} takes" for to, value in assumed.items()]


def _check(draft: _Draft) -> list[str]:
    """Leave what the schema refuses, and return what is wrong with no value of the recipe.

    Each round leaves something, or is the last.
    """
    schema = config_of("experiments", draft.experiment)
    while True:
        problems = validate(schema, _numbered(draft), config_of).problems
        refused: dict[int, Problem] = {}
        for problem in problems:
            if problem.origin.isdecimal():
                refused.setdefault(int(problem.origin), problem)
        if not refused:
            return [f"to do: {problem.message}" for problem in problems]
        for entry, reason in [(draft.entries[number], problem.message) for number, problem in refused.items()]:
            draft.drop(entry, reason)


def _numbered(draft: _Draft) -> Mapping:
    """Return the experiment as a tree whose origins are the numbers of the entries."""
    nowhere = Origin("default", "")
    tree = Mapping({}, nowhere)
    _put(tree, "experiment", draft.experiment, nowhere)
    for number, entry in enumerate(draft.entries):
        _put(tree, entry.to, entry.value, Origin("file", str(number)))
    for key, value in _ASIDE.items():
        if key not in tree.items or "name" not in getattr(tree.items[key], "items", {}):
            _put(tree, key, value, nowhere)
    return tree


def _put(tree: Mapping, path: str, value: Plain, origin: Origin) -> None:
    *sections, name = path.split(".")
    for key in sections:
        inner = tree.items.setdefault(key, Mapping({}, origin))
        tree.keys.setdefault(key, origin)
        if not isinstance(inner, Mapping):
            return
        tree = inner
    if value != {} or name not in tree.items:  # an empty section adds nothing to one that is there
        tree.items[name], tree.keys[name] = _node(value, origin), origin


def _node(value: Plain, origin: Origin) -> Node:
    if isinstance(value, dict):
        return Mapping({key: _node(item, origin) for key, item in value.items()}, origin)
    if isinstance(value, list):
        return Sequence(tuple(_node(item, origin) for item in value), origin)
    return Scalar(value, origin)


def _experiment(draft: _Draft) -> dict[str, Plain]:
    tree = Mapping({}, Origin("default", ""))
    _put(tree, "experiment", draft.experiment, tree.origin)
    for entry in draft.entries:
        _put(tree, entry.to, entry.value, tree.origin)
    rank = {name: number for number, name in enumerate(_ORDER)}
    values = _name_first(plain(tree))
    assert isinstance(values, dict)
    return dict(sorted(values.items(), key=lambda item: rank.get(item[0], len(rank))))


def _name_first(value: Plain) -> Plain:
    """Return sections with the component's name, and a model's path, before what is said of it."""
    if not isinstance(value, dict):
        return value
    inner = {key: _name_first(item) for key, item in value.items()}
    return {**{key: inner[key] for key in ("name", "path") if key in inner}, **inner}


def _to_do(experiment: dict[str, Plain]) -> Iterator[str]:
    model, training = experiment.get("model"), experiment.get("training")
    yield "to do: name a dataset component under data.name"
    if not isinstance(model, dict) or "path" not in model:
        yield "to do: say under model what to train"
    elif not str(model["path"]).startswith(("/", ".", "~")):
        yield "to do: model.path must be a folder; a name on a hub has to be downloaded first"
    if not isinstance(training, dict) or "max_steps" not in training:
        yield "to do: set training.max_steps; without it there are 100 steps"
