"""References inside values: `${a.b}`, `${a.b:-default}`, `${env:NAME}` and `${run:k7f2@best}`.

A value that is one reference takes the type of what it refers to; inside longer text the value is inserted.
`$${` stands for a literal `${`. A cycle is an error that draws it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Mapping as Environ
from dataclasses import dataclass, field, replace
from typing import NoReturn

from burnish.config.layer import Mapping, Node, Scalar, Sequence, find, leaves
from burnish.config.sources.yaml import resolve_plain
from burnish.core.errors import BurnishError, ConfigError, Problem
from burnish.core.nearest import nearest_path

_MAX_CHAIN = 50
_MAX_NODES = 200_000
_REFERENCE = re.compile(r"(?<!\$)\$\{([^${}]*)\}")
_REFERENCE_OR_LITERAL = re.compile(rf"\$\$\{{|{_REFERENCE.pattern}")


@dataclass(frozen=True, slots=True)
class RunReference:
    """What `${run:…}` was resolved to when the config was frozen.

    Attributes:
        path: The verified file or folder.
        run: The full name of the run that it belongs to.
        step: The step of the checkpoint, if it is one.
        manifest_sha256: Hash of the checkpoint's manifest, which holds the hash of each of its files.
        written: The value as it stands in the config.
    """

    path: str
    run: str
    step: int | None = None
    manifest_sha256: str = ""
    written: str = ""


FindRun = Callable[[str], RunReference]
"""Resolves the text after `run:` to a verified path; raises BurnishError."""


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


def interpolate(tree: Mapping, environ: Environ[str, str], find_run: FindRun | None) -> Interpolation:
    """Replace every reference in a merged tree.

    Args:
        tree: The merged layers.
        environ: What `${env:NAME}` reads.
        find_run: What `${run:…}` asks; None refuses such references.
    """
    return _Resolver(tree, environ, find_run).run()


class _Resolver:
    def __init__(self, tree: Mapping, environ: Environ[str, str], find_run: FindRun | None) -> None:
        self._tree = tree
        self._environ = environ
        self._find_run = find_run
        self._done: dict[str, Node] = {}
        self._open: list[str] = []
        self._failed: set[str] = set()
        self._result = Interpolation(tree)

    def run(self) -> Interpolation:
        tree = self._walk(self._tree, "")
        assert isinstance(tree, Mapping)
        if _size(tree, {}) > _MAX_NODES:
            raise ConfigError([Problem(f"more than {_MAX_NODES:,} values once references are followed")])
        self._result.tree = tree
        return self._result

    def _walk(self, node: Node, path: str) -> Node:
        if isinstance(node, Scalar):
            try:
                return self._leaf(node, path)
            except _Unresolved:
                return node
        if isinstance(node, Sequence):
            items = tuple(self._walk(item, f"{path}.{i}" if path else str(i)) for i, item in enumerate(node.items))
            return replace(node, items=items)
        sections = {k: self._walk(item, f"{path}.{k}" if path else k) for k, item in node.items.items()}
        return replace(node, items=sections)

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
        whole = _REFERENCE.fullmatch(text)
        if whole:
            target = self._follow(whole[1], node, path)
            if not isinstance(target, Scalar):
                return replace(target, beaten=node.beaten)
            origin = node.origin.with_note(f"via {text}")
            return replace(target, origin=origin, beaten=node.beaten)

        def insert(match: re.Match[str]) -> str:
            target = self._follow(match[1], node, path)
            if not isinstance(target, Scalar):
                self._fail(f"{match[0]} is a section or list and cannot stand inside text", node)
            return target.raw if target.raw is not None else str(target.value)

        if "${" in _REFERENCE.sub(" ", text).replace("$${", ""):
            self._fail(f"unfinished reference in {text!r}", node, "write ${key}, or $${ for a literal ${")
        # In one pass, so that what is inserted is not read again.
        filled = _REFERENCE_OR_LITERAL.sub(lambda match: "${" if match[0] == "$${" else insert(match), text)
        note = node.origin if not _REFERENCE.search(text) else node.origin.with_note(f"via {text}")
        return replace(node, value=filled, raw=filled, origin=note)

    def _follow(self, reference: str, node: Scalar, path: str) -> Node:
        target, has_default, default = reference.partition(":-")
        kind, colon, rest = target.partition(":")
        if colon and kind == "env":
            if rest in self._environ:
                return _text(self._environ[rest], node)
            if has_default:
                return _text(default, node)
            self._fail(
                f"environment variable {rest} is not set",
                node,
                f"export {rest}=…, or ${{env:{rest}:-default}}",
            )
        if colon and kind == "run":
            return self._run(rest, node, path)
        if colon:
            self._fail(f"unknown reference ${{{reference}}}", node, "use ${key}, ${env:NAME} or ${run:ID@best}")
        found = find(self._tree, target) if target else None
        if found is None:
            if has_default:
                return _text(default, node)
            best = nearest_path(target, (name for name, _ in leaves(self._tree)))
            self._fail(f"${{{target}}} refers to no key", node, f"did you mean ${{{best}}}?" if best else "")
        return self._walk_target(found, target)

    def _walk_target(self, node: Node, path: str) -> Node:
        return self._leaf(node, path) if isinstance(node, Scalar) else self._walk(node, path)

    def _run(self, rest: str, node: Scalar, path: str) -> Node:
        if self._find_run is None:
            self._fail("run references are not followed here", node)
        try:
            found = self._find_run(rest)
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
