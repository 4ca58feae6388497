"""References inside values: `${a.b}`, `${env:NAME}`, `${data:FILE}`, `${run:k7f2@best}`, `${= a * b}`, and defaults.

A value that is one reference takes the type of what it refers to; inside longer text the value is inserted.
`$${` stands for a literal `${`. A cycle is an error that draws it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from collections.abc import Mapping as Environ
from dataclasses import dataclass, field, replace
from operator import is_not
from typing import NamedTuple, NoReturn

from burnish.config.layer import Mapping, Node, Scalar, Sequence, find, leaves
from burnish.config.sources.bounds import MAX_NODES as _MAX_NODES
from burnish.config.sources.flags import is_text
from burnish.config.sources.yaml import resolve_plain
from burnish.core.errors import BurnishError, ConfigError, Problem
from burnish.core.nearest import nearest_path

_MAX_CHAIN = 50
_MAX_TEXT = 1_000_000
_DEEPEST_DEFAULT = 20
_TOKEN = re.compile(r"\$\$\{|\$\{|\}")


@dataclass(frozen=True, slots=True)
class RunReference:
    """What `${run:…}` was resolved to when the config was frozen.

    Attributes:
        path: The verified file or folder.
        run: The full name of the run that it belongs to.
        step: The step of the checkpoint, if it is one.
        manifest_sha256: Hash of the artifact, or of the checkpoint's manifest, which holds that of each of its files.
        written: The value as it stands in the config.
        artifact: What the run called it, if it is an artifact.
    """

    path: str
    run: str
    step: int | None = None
    manifest_sha256: str = ""
    written: str = ""
    artifact: str = ""


FindRun = Callable[[str], RunReference]
"""Resolves the text after `run:` to a verified path; raises BurnishError."""


@dataclass(frozen=True, slots=True)
class References:
    """What references can ask, besides the tree that they stand in.

    Attributes:
        environ: What `${env:NAME}` reads.
        find_run: What `${run:…}` asks; None refuses such references.
        find_data: What `${data:…}` asks, for the path of a file below the data root; raises BurnishError.
        default: The schema's default of a path, for `${a.b}` that nobody wrote.
        is_open: Whether a value is chosen only where the run starts.
    """

    environ: Environ[str, str] = field(default_factory=dict)
    find_run: FindRun | None = None
    find_data: Callable[[str], str] | None = None
    default: Callable[[str], Node | None] = lambda path: None
    is_open: Callable[[str, Node], bool] = lambda path, node: False


@dataclass(slots=True)
class Interpolation:
    """A tree without references, and what was used to get there.

    Attributes:
        tree: The tree with every reference replaced.
        problems: What could not be resolved.
        failed: Origins of the values that are still text because of it.
        runs: The run references that were followed, by the path of the value that holds them.
    """

    tree: Mapping
    problems: list[Problem] = field(default_factory=list)
    failed: set[str] = field(default_factory=set)
    runs: dict[str, RunReference] = field(default_factory=dict)


class _Unresolved(Exception):
    """A reference failed and its problem is recorded."""


def interpolate(tree: Mapping, references: References) -> Interpolation:
    """Replace every reference in a merged tree."""
    return _Resolver(tree, references).run()


def follow(tree: Mapping, node: Node, path: str, references: References) -> Node:
    """Return a node of a tree with the references in it replaced.

    Raises:
        ConfigError: One cannot be followed.
    """
    resolver = _Resolver(tree, references)
    found = resolver.walk(node, path)
    if resolver.problems:
        raise ConfigError(resolver.problems)
    return found


class _Reference(NamedTuple):
    """`${target}` or `${target:-default}` as written; the default may hold references itself."""

    text: str
    target: str
    default: tuple[str | _Reference, ...] | None


def parse_template(text: str) -> tuple[str | _Reference, ...]:
    """Return text and the references in it.

    Raises:
        ValueError: A reference has no end, or a reference stands where only a name can.
    """
    return _parse(text, 0, 0)[0]


def _parse(text: str, start: int, depth: int) -> tuple[tuple[str | _Reference, ...], int]:
    """Read up to the end, or inside a reference up to the brace that closes it."""
    parts: list[str | _Reference] = []
    position = start
    while (token := _TOKEN.search(text, position)) is not None:
        position = token.end()
        if token[0] == "}":
            if depth:
                return (*parts, text[start : token.start()]), token.start()
            continue  # a closing brace that closes nothing is text
        parts.append(text[start : token.start()])
        if token[0] == "$${":
            parts.append("${")
        elif depth >= _DEEPEST_DEFAULT:
            raise ValueError("references nested too deep")
        else:
            inside, end = _parse(text, position, depth + 1)
            if end >= len(text):
                raise ValueError("unfinished reference")
            parts.append(_reference(text[token.start() : end + 1], inside))
            position = end + 1
        start = position
    return (*parts, text[start:]), len(text)


def _reference(text: str, inside: tuple[str | _Reference, ...]) -> _Reference:
    first = inside[0]
    assert isinstance(first, str)
    target, has_default, rest = (first, "", "") if first.startswith("=") else first.partition(":-")
    if not has_default and len(inside) > 1:
        raise ValueError("a reference inside a reference; only a default may hold one")
    return _Reference(text, target, (rest, *inside[1:]) if has_default else None)


class _Resolver:
    def __init__(self, tree: Mapping, references: References) -> None:
        self._tree = tree
        self._ask = references
        self._done: dict[str, Node] = {}
        self._open: list[str] = []
        self._failed: set[str] = set()
        self._result = Interpolation(tree)

    @property
    def problems(self) -> list[Problem]:
        return self._result.problems

    def run(self) -> Interpolation:
        tree = self.walk(self._tree, "")
        assert isinstance(tree, Mapping)
        if self._done and _size(tree, {}) > _MAX_NODES:
            message = f"more than {_MAX_NODES:,} values once references are followed"
            raise ConfigError([Problem(message, str(tree.origin) if tree.origin.source else "")])
        self._result.tree = tree
        return self._result

    def walk(self, node: Node, path: str) -> Node:
        if isinstance(node, Scalar):
            try:
                return self._leaf(node, path)
            except _Unresolved:
                return node
        if isinstance(node, Sequence):
            items = tuple(self.walk(item, f"{path}.{i}" if path else str(i)) for i, item in enumerate(node.items))
            return replace(node, items=items) if any(map(is_not, items, node.items)) else node
        sections = {k: self.walk(item, f"{path}.{k}" if path else k) for k, item in node.items.items()}
        return replace(node, items=sections) if any(map(is_not, sections.values(), node.items.values())) else node

    def _leaf(self, node: Scalar, path: str) -> Node:
        text = node.value
        if not isinstance(text, str) or "${" not in text:
            return node
        if path in self._done:
            return self._done[path]
        if path in self._failed:
            raise _Unresolved  # told already, where it first failed
        if len(self._open) >= _MAX_CHAIN:
            self._fail(f"more than {_MAX_CHAIN} references follow each other", node)
        if path in self._open:
            circle = " → ".join([*self._open[self._open.index(path) :], path])
            self._fail(f"values refer to each other in a circle: {circle}", node)
        self._open.append(path)
        try:
            self._done[path] = done = self._expand(text, node, path)
        except _Unresolved:
            self._failed.add(path)
            self._result.failed.add(str(node.origin))
            raise
        finally:
            self._open.pop()
        return done

    def _expand(self, text: str, node: Scalar, path: str) -> Node:
        try:
            parts = [part for part in parse_template(text) if part != ""]
        except ValueError as error:
            self._fail(f"{error} in {text!r}", node, "write ${key}, or $${ for a literal ${")
        note = f"via {text}"
        if len(parts) == 1 and isinstance(parts[0], _Reference):
            target = self._follow(parts[0], node, path)
            if not isinstance(target, Scalar):
                return replace(target, beaten=node.beaten)
            return replace(target, origin=node.origin.with_note(note), beaten=node.beaten)
        filled = self._filled(parts, node, path)
        has_reference = any(isinstance(part, _Reference) for part in parts)
        return replace(
            node, value=filled, raw=filled, origin=node.origin.with_note(note) if has_reference else node.origin
        )

    def _filled(self, parts: Iterable[str | _Reference], node: Scalar, path: str) -> str:
        texts: list[str] = []
        left = _MAX_TEXT
        for part in parts:
            texts.append(part if isinstance(part, str) else self._inserted(part, node, path))
            left -= len(texts[-1])
            if left < 0 and len(texts) > 1:  # text that refers to text that refers to text doubles each time
                self._fail(f"more than {_MAX_TEXT:,} characters once references are followed", node)
        return "".join(texts)

    def _inserted(self, reference: _Reference, node: Scalar, path: str) -> str:
        target = self._follow(reference, node, path)
        if not isinstance(target, Scalar):
            self._fail(f"{reference.text} is a section or list and cannot stand inside text", node)
        return target.raw if target.raw is not None else str(target.value)

    def _follow(self, reference: _Reference, node: Scalar, path: str) -> Node:
        if reference.target.startswith("="):
            return self._computed(reference.target[1:], node)
        kind, colon, rest = reference.target.partition(":")
        if colon and kind == "env":
            return self._env(rest, reference, node, path)
        if colon and kind == "run":
            return self._run(rest, node, path)
        if colon and kind == "data":
            return self._data(rest, node)
        if colon:
            hint = "use ${key}, ${env:NAME}, ${data:FILE}, ${run:ID@best} or ${= arithmetic}"
            self._fail(f"unknown reference {reference.text}", node, hint)
        return self._key(reference, node, path)

    def _key(self, reference: _Reference, node: Scalar, path: str) -> Node:
        target = reference.target
        found = find(self._tree, target) if target else None
        if found is None and reference.default is not None:
            return self._default(reference, node, path)
        if found is None and target:
            found = self._ask.default(target)
        if found is None:
            best = nearest_path(target, (name for name, _ in leaves(self._tree)))
            self._fail(f"${{{target}}} refers to no key", node, f"did you mean ${{{best}}}?" if best else "")
        if self._ask.is_open(target, found):
            hint = f"set {target} itself, or compute both where the run starts: on_machine in a Python layer"
            self._fail(f"${{{target}}} is not known before the run starts ({found.origin})", node, hint)
        return self._walk_target(found, target)

    def _env(self, name: str, reference: _Reference, node: Scalar, path: str) -> Node:
        value = self._ask.environ.get(name)
        if reference.default is not None and not value:  # as in a shell: `:-` is for unset and for empty
            return self._default(reference, node, path)
        if value is None:
            hint = f"export {name}=…, or ${{env:{name}:-default}}"
            self._fail(f"environment variable {name} is not set", node, hint)
        if not is_text(value):
            self._fail(f"environment variable {name} holds a byte that is not UTF-8", node)
        return _text(value, node) if value else Scalar("", node.origin, "")

    def _default(self, reference: _Reference, node: Scalar, path: str) -> Node:
        parts = [part for part in reference.default or () if part != ""]
        if len(parts) == 1 and isinstance(parts[0], _Reference):
            return self._follow(parts[0], node, path)
        return _text(self._filled(parts, node, path), node)

    def _computed(self, expression: str, node: Scalar) -> Scalar:
        from burnish.config.expression import ExpressionError, evaluate  # few configs compute

        def read(name: str) -> bool | int | float | str | None:
            target = self._key(_Reference(f"${{{name}}}", name, None), node, "")
            if not isinstance(target, Scalar):
                self._fail(f"${{{name}}} is a section or list, and no number", node)
            return target.value

        try:
            value = evaluate(expression.strip(), read)
        except ExpressionError as error:
            self._fail(f"${{={expression}}}: {error}", node)
        return Scalar(value, node.origin, None if isinstance(value, bool) else str(value))

    def _data(self, name: str, node: Scalar) -> Scalar:
        if self._ask.find_data is None:
            self._fail("data references are not followed here", node)
        try:
            found = self._ask.find_data(name)
        except BurnishError as error:
            self._fail(error.message, node, error.hint)
        return Scalar(found, node.origin, found)

    def _walk_target(self, node: Node, path: str) -> Node:
        return self._leaf(node, path) if isinstance(node, Scalar) else self.walk(node, path)

    def _run(self, rest: str, node: Scalar, path: str) -> Node:
        if self._ask.find_run is None:
            self._fail("run references are not followed here", node)
        try:
            found = self._ask.find_run(rest)
        except BurnishError as error:
            self._fail(error.message, node, error.hint)
        self._result.runs[path] = replace(found, written=str(node.value))
        return Scalar(found.path, node.origin, found.path)

    def _fail(self, message: str, node: Scalar, hint: str = "") -> NoReturn:
        self._result.problems.append(Problem(message, str(node.origin), hint))
        raise _Unresolved


def _size(node: Node, known: dict[int, int]) -> int:
    """Return how many nodes a tree has when what it shares is written out; `known` holds sizes by identity."""
    if isinstance(node, Scalar):
        return 1
    if id(node) not in known:
        inner = node.items.values() if isinstance(node, Mapping) else node.items
        known[id(node)] = 1 + sum(_size(item, known) for item in inner)
    return known[id(node)]


def _text(text: str, node: Scalar) -> Scalar:
    return Scalar(resolve_plain(text), node.origin, text)
