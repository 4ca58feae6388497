"""Files as layers: YAML, TOML and Python, and what they extend. Reading executes nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypeAlias

from burnish.config.fields import shown_path
from burnish.config.layer import Layer, Mapping, Node, Scalar, empty, nested
from burnish.config.layer import Sequence as ListNode
from burnish.config.merge import element_key, merge
from burnish.config.origin import Origin
from burnish.config.sources.bounds import MAX_BYTES
from burnish.config.sources.python import PythonFile, parents_of
from burnish.config.sources.yaml import parse_yaml
from burnish.core.errors import ConfigError, Problem
from burnish.core.nearest import nearest

SUFFIXES = (".yaml", ".yml", ".toml", ".py")

MOST_BYTES = MAX_BYTES + 1


class FileLayer(NamedTuple):
    """A file of values.

    Attributes:
        layer: What it sets.
        sweep: Its `sweep` section and `[[run]]` tables, as written; empty where it has none.
    """

    path: Path
    layer: Layer
    sweep: Mapping


Source: TypeAlias = FileLayer | PythonFile


def read_files(file: Path, problems: list[Problem] | None = None) -> list[Source]:
    """Return a file with those that it extends before it; one that two of them extend stands lowest.

    Args:
        file: The file.
        problems: Where to add mistakes after which the rest can still be read; None raises them too.

    Raises:
        ConfigError: A file is missing, or cannot be read as config.
    """
    told: list[Problem] = []
    found = list(_with_parents(file, (), {}, told).values())
    if problems is None and told:
        raise ConfigError(told)
    if problems is not None:
        problems += told
    return found


def read_snapshot(file: Path, name: str) -> Mapping:
    """Read the resolved config of a run.

    Raises:
        ConfigError: It cannot be read as config.
    """
    return _mapping(parse_yaml(_content(file, name, None), name))


def static_tree(sources: Sequence[Source]) -> Mapping:
    """Merge what files say as written; of a Python file, nothing."""
    tree = empty(Origin("default", ""))
    problems: list[Problem] = []
    for source in sources:
        if isinstance(source, FileLayer):
            tree = merge(tree, source.layer.tree, problems)
            tree = merge(tree, source.sweep, problems)
    if problems:
        raise ConfigError(problems)
    return tree


def with_paths(layer: Layer, problems: list[Problem]) -> list[Layer]:
    """Return a layer and over it one for each key of its first level that is a path (`data.sources.0.weight`)."""
    paths = [key for key in layer.tree.items if "." in key]
    if not paths:
        return [layer]
    items = {key: node for key, node in layer.tree.items.items() if key not in paths}
    tree = replace(layer.tree, items=items)
    layers = [replace(layer, tree=tree)]
    for path in paths:
        form = path[-1] if path[-1] in "+!" else ""
        at = layer.tree.keys.get(path, layer.tree.items[path].origin)
        over = nested(path, layer.tree.items[path])
        if (twice := _both(tree, over, form)) is not None:
            problems.append(
                Problem(f"{path} is given twice in one file; it stands at line {twice.line} already", str(at))
            )
            continue
        tree = merge(tree, over, [])
        layers.append(Layer(layer.name, over))
    return layers


def _both(tree: Mapping, over: Node, form: str) -> Origin | None:
    """Return where a file sets already what a path of it sets."""
    node: Node = tree
    while isinstance(over, Mapping):
        ((key, over),) = over.items.items() if len(over.items) == 1 else ((None, over),)
        if key is None or not isinstance(node, Mapping):
            return node.origin
        bare = key.rstrip("+!") if form else key
        if bare not in node.items or element_key(bare) is not None:
            return None
        node = node.items[bare]
    return node.origin


def _with_parents(
    file: Path,
    below: tuple[Path, ...],
    read: dict[Path, Source],
    problems: list[Problem],
    wanted_by: Origin | None = None,
) -> dict[Path, Source]:
    shown = shown_path(file)
    here = Path(os.path.realpath(file))  # `resolve` raises for a link that leads to itself
    if here in below:
        circle = " → ".join(shown_path(path) for path in (*below[below.index(here) :], here))
        raise ConfigError([Problem(f"files extend each other in a circle: {circle}", str(wanted_by))])
    if here in read:
        return read
    if len(below) >= 50:
        raise ConfigError([Problem("more than 50 files extend each other", str(wanted_by))])
    content = _content(file, shown, wanted_by)
    if file.suffix == ".py":
        python = PythonFile(here, shown, _text(content, shown))
        source: Source = python
        parents: Node = parents_of(python)
    else:
        tree = _mapping(_parsed(file, content, shown, problems))
        parents = tree.items.get("extends", ListNode((), tree.origin))
        sweep = {key: node for key, node in tree.items.items() if _is_sweep(key, node)}
        own = {key: node for key, node in tree.items.items() if key != "extends" and key not in sweep}
        source = FileLayer(here, Layer(shown, replace(tree, items=own)), replace(tree, items=sweep))
    unread: list[Problem] = []
    for name in parents.items if isinstance(parents, ListNode) else (parents,):
        if not isinstance(name, Scalar) or not isinstance(name.value, str):
            raise ConfigError([Problem("extends takes a file name or a list of them", str(name.origin))])
        try:
            _with_parents(_parent(file, name), (*below, here), read, problems, name.origin)
        except ConfigError as error:
            unread += error.problems
    if unread:
        raise ConfigError(unread)
    read[here] = source
    return read


def _is_sweep(key: str, node: Node) -> bool:
    return key == "sweep" or (key == "run" and isinstance(node, ListNode))


def _parent(file: Path, name: Scalar) -> Path:
    text = str(name.value)
    if "\0" in text or not text.strip():
        raise ConfigError([Problem("extends takes a file name or a list of them", str(name.origin))])
    return file.parent / os.path.expanduser(text)  # noqa: PTH111  that of `Path` raises for `~no-such-user`


def _content(file: Path, shown: str, wanted_by: Origin | None) -> bytes:
    origin = str(wanted_by) if wanted_by is not None else ""
    try:
        with file.open("rb") as stream:
            return stream.read(MOST_BYTES)  # a device or pipe may have no end; the readers say what is too large
    except (OSError, ValueError) as error:
        near = _near_files(file)
        hint = f"did you mean {near}?" if near else ""
        reason = error.strerror if isinstance(error, OSError) else str(error)
        what = "no such file" if isinstance(error, FileNotFoundError) else f"cannot read: {reason}"
        raise ConfigError([Problem(f"{what}: {shown}", origin, hint)]) from error


def _parsed(file: Path, content: bytes, shown: str, problems: list[Problem]) -> Node:
    if file.suffix == ".toml":
        from burnish.config.sources.toml import parse_toml

        return parse_toml(content, shown)
    return parse_yaml(content, shown, problems)


def _mapping(node: Node) -> Mapping:
    if not isinstance(node, Mapping):
        raise ConfigError([Problem("a config file holds keys and values", str(node.origin))])
    return node


def _text(content: bytes, shown: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError([Problem("not Python: a byte that is not UTF-8", f"{shown}:{line}")]) from error


def _near_files(file: Path) -> str:
    try:
        names = [p.name for p in file.parent.iterdir() if p.suffix in SUFFIXES and p.name != file.name]
    except (OSError, ValueError):
        return ""
    best = nearest(file.name, names)
    return shown_path(file.parent / best) if best else ""
