"""YAML 1.2 (core schema) read from libyaml's event stream, so that every value keeps its line and column.

Unlike PyYAML's own loader, `no` and `on` are strings, `1e-5` is a float, `012` is 12 and a key that is given
twice is an error. Underscores in integers are accepted. https://yaml.org/spec/1.2.2/#103-core-schema
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from burnish.config.layer import Mapping, Node, Scalar, Sequence
from burnish.config.origin import Origin
from burnish.config.sources.bounds import MAX_BYTES as _MAX_BYTES
from burnish.config.sources.bounds import MAX_DEPTH as _MAX_DEPTH
from burnish.config.sources.bounds import MAX_DIGITS as _MAX_DIGITS
from burnish.config.sources.bounds import MAX_NODES as _MAX_NODES
from burnish.core.errors import ConfigError, Problem

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"

_INT = re.compile(r"[-+]?[0-9][0-9_]*\Z|0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}


def resolve_plain(text: str) -> bool | int | float | str | None:
    """Return the value of an unquoted scalar in YAML 1.2's core schema.

    >>> [resolve_plain(t) for t in ("no", "1e-5", "012", "0x10", "1_000", "22:22", "~")]
    ['no', 1e-05, 12, 16, 1000, '22:22', None]
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INT.match(text):
        if len(text) > _MAX_DIGITS:
            return text
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        return int(text[2:], base) if base != 10 else int(text.replace("_", ""))
    return float(text) if _FLOAT.match(text) else text


def parse_yaml(content: bytes | str, name: str, problems: list[Problem] | None = None) -> Node:
    """Read one YAML document; an empty one is an empty section.

    Args:
        content: The document; bytes must be UTF-8 or UTF-16 with a mark.
        name: What to call it in origins: usually the path as the user would type it.
        problems: Where to add mistakes after which the rest can still be read; None raises them too.

    Raises:
        ConfigError: It is not YAML 1.2, or not within the bounds that keep hostile files harmless.
    """
    if len(content) > _MAX_BYTES:
        raise ConfigError([Problem(f"file is larger than {_MAX_BYTES >> 20} MiB", f"{name}:1:1")])
    builder = _Builder(name)
    try:
        loader = _LOADER(content)
        try:
            # Not `yaml.parse`, whose generator looks at every event twice.
            while (event := loader.get_event()) is not None:
                builder.take(event)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        if "nesting depth" in str(error.problem):  # libyaml's own limit, from 0.2.6 on: it reads ahead of its events
            raise ConfigError([Problem(f"nested deeper than {_MAX_DEPTH} levels", where)]) from error
        raise ConfigError(
            [Problem(f"not YAML: {error.problem or error.context}", where, _hint(content, mark))]
        ) from error
    except yaml.reader.ReaderError as error:
        where = _place(content, name, error.position)
        raise ConfigError([Problem(f"not YAML: {error.reason}", where)]) from error
    except yaml.YAMLError as error:
        raise ConfigError([Problem(f"not YAML: {_first_line(error)}", name)]) from error
    except UnicodeError as error:
        start = error.start if isinstance(error, UnicodeEncodeError) else 0
        before = content[:start].encode("utf-8", "replace") if isinstance(content, str) else content
        where = _place(before, name, len(before))
        raise ConfigError([Problem("not YAML: a character that UTF-8 cannot hold", where)]) from error
    if builder.problems and problems is None:
        raise ConfigError(builder.problems)
    if problems is not None:
        problems += builder.problems
    return builder.root if builder.root is not None else Mapping({}, Origin("file", name, 1, 1))


def _hint(content: bytes | str, mark: Any) -> str:
    """Return what to type, where the line holds a reference that YAML reads as brackets."""
    text = content if isinstance(content, str) else content.decode("utf-8", "replace")
    lines = text.splitlines()[mark.line : mark.line + 1] if mark is not None else []
    return 'inside {…} and […] a reference wants quotes: "${…}"' if any("${" in line for line in lines) else ""


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _place(content: bytes | str, name: str, position: int) -> str:
    """Return the place of a byte: libyaml tells where unreadable text stands by its offset alone."""
    raw = content.encode("utf-8", "replace") if isinstance(content, str) else content
    encoding = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}.get(raw[:2], "utf-8")
    lines = raw[:position].decode(encoding, "ignore").removeprefix("\ufeff").split("\n")
    return f"{name}:{len(lines)}:{len(lines[-1]) + 1}"


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come yet."""

    origin: Origin
    is_mapping: bool
    anchor: str | None
    first: int
    height: int = 1
    items: list[Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Anchored:
    """What an alias stands for: how many nodes, and how many levels of them."""

    node: Node
    size: int
    height: int


@dataclass(slots=True)
class _Builder:
    """Builds nodes from events with a stack of its own: nesting cannot exhaust Python's."""

    name: str
    root: Node | None = None
    documents: int = 0
    problems: list[Problem] = field(default_factory=list)
    stack: list[_Open] = field(default_factory=list)
    anchors: dict[str, _Anchored] = field(default_factory=dict)
    nodes: int = 0

    def take(self, event: Any) -> None:
        kind = type(event)
        if kind is yaml.ScalarEvent:
            if event.tag is None and event.anchor is None and self.stack:
                self.word(event)
            else:
                self.add(self.scalar(event), event)
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            self.open(event, kind is yaml.MappingStartEvent)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self.close()
        elif kind is yaml.AliasEvent:
            self.alias(event)
        elif kind is yaml.DocumentStartEvent:
            self.documents += 1
            if self.documents == 2:
                self.fail("a second document; a config file holds one", self.at(event))

    def at(self, event: Any) -> Origin:
        mark = event.start_mark
        return Origin("file", self.name, mark.line + 1, mark.column + 1)

    def word(self, event: Any) -> None:
        """Add a scalar in a collection, without tag or anchor: nearly all are such. Of a key only the text counts."""
        mark = event.start_mark
        origin = Origin("file", self.name, mark.line + 1, mark.column + 1)
        text, inside = event.value, self.stack[-1].items
        if not event.implicit[0]:
            node = Scalar(text, origin, text)
        elif text == "<<":
            node = Scalar(text, origin)
        elif self.stack[-1].is_mapping and not len(inside) & 1:
            node = Scalar(text, origin, text)
        else:
            node = Scalar(self.plain(text, origin), origin, text)
        self.nodes += 1
        if self.nodes > _MAX_NODES:
            self.count(0, origin)
        inside.append(node)

    def fail(self, message: str, origin: Origin, hint: str = "") -> None:
        self.problems.append(Problem(message, str(origin), hint))

    def add(self, node: Node, event: Any) -> None:
        self.count(1, node.origin)
        if anchor := event.anchor:
            self.anchors[anchor] = _Anchored(node, 1, 0)
        self.place(node)

    def place(self, node: Node) -> None:
        if self.stack:
            self.stack[-1].items.append(node)
        elif self.documents <= 1:
            self.root = node

    def count(self, more: int, origin: Origin) -> None:
        self.nodes += more
        if self.nodes > _MAX_NODES:
            message = f"more than {_MAX_NODES:,} values once aliases are followed"
            raise ConfigError([Problem(message, str(origin))])

    def deepen(self, height: int, origin: Origin) -> None:
        """Note that something of a height stands inside what is open."""
        if len(self.stack) + height > _MAX_DEPTH:
            raise ConfigError([Problem(f"nested deeper than {_MAX_DEPTH} levels", str(origin))])
        if self.stack:
            self.stack[-1].height = max(self.stack[-1].height, height + 1)

    def open(self, event: Any, is_mapping: bool) -> None:
        origin = self.at(event)
        self.deepen(1, origin)
        expected = _TAG + ("map" if is_mapping else "seq")
        if event.tag not in (None, "!", expected):
            self.fail(f"tag {event.tag} is not supported", origin, "config files are data: remove the tag")
        self.stack.append(_Open(origin, is_mapping, event.anchor, self.nodes))
        self.count(1, origin)

    def close(self) -> None:
        done = self.stack.pop()
        node = self.mapping(done) if done.is_mapping else Sequence(tuple(done.items), done.origin)
        if done.anchor:
            self.anchors[done.anchor] = _Anchored(node, self.nodes - done.first, done.height)
        if self.stack:
            self.stack[-1].height = max(self.stack[-1].height, done.height + 1)
        self.place(node)

    def alias(self, event: Any) -> None:
        if event.anchor not in self.anchors:
            self.fail(f"alias *{event.anchor} has no anchor before it", self.at(event))
            self.place(Scalar(None, self.at(event)))
            return
        target = self.anchors[event.anchor]
        self.count(target.size, self.at(event))
        self.deepen(target.height, self.at(event))
        self.place(target.node)

    def mapping(self, done: _Open) -> Mapping:
        items: dict[str, Node] = {}
        keys: dict[str, Origin] = {}
        merged: list[Mapping] = []
        for key, value in zip(done.items[::2], done.items[1::2], strict=True):
            at = key.origin
            if not isinstance(key, Scalar):
                self.fail("a key must be a plain word, not a list or a section", at)
                continue
            name = key.raw if key.raw is not None else str(key.value)
            if key.raw is None:
                merged += self.merge_sources(value, at)
            elif name in items:
                self.fail(f"key {name!r} is given twice; it stands at line {keys[name].line} already", at)
            else:
                items[name], keys[name] = value, at
        for source in merged:
            for name, value in source.items.items():
                if name not in items:
                    items[name], keys[name] = value, source.keys.get(name, value.origin)
        return Mapping(items, done.origin, keys)

    def merge_sources(self, value: Node, at: Origin) -> list[Mapping]:
        sources = list(value.items) if isinstance(value, Sequence) else [value]
        sections = [source for source in sources if isinstance(source, Mapping)]
        if len(sections) != len(sources):
            self.fail("'<<' takes a section or a list of sections", at)
        return sections

    def scalar(self, event: Any) -> Scalar:
        origin, text, tag = self.at(event), event.value, event.tag
        if tag is None and not event.implicit[0]:
            return Scalar(text, origin, text)  # quoted
        if tag is None and text == "<<":
            return Scalar(text, origin)  # without raw text: a quoted '<<' is a key like any other
        if tag is None:
            return Scalar(self.plain(text, origin), origin, text)
        if tag in ("!", _TAG + "str"):
            return Scalar(text, origin, text)
        kinds = {"int": int, "float": (int, float), "bool": bool, "null": type(None)}
        kind = kinds.get(tag.removeprefix(_TAG)) if tag.startswith(_TAG) else None
        if kind is None:
            self.fail(f"tag {tag} is not supported", origin, "config files are data: remove the tag")
            return Scalar(text, origin, text)
        value = self.plain(text, origin)
        if isinstance(value, str) and len(text) > _MAX_DIGITS:
            return Scalar(text, origin, text)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):  # type: ignore[arg-type]
            self.fail(f"{text!r} is not of type {tag.removeprefix(_TAG)}", origin)
        return Scalar(float(value) if tag == _TAG + "float" and isinstance(value, int) else value, origin, text)

    def plain(self, text: str, origin: Origin) -> bool | int | float | str | None:
        value = resolve_plain(text)
        if isinstance(value, str) and len(text) > _MAX_DIGITS and _INT.match(text):
            self.fail(f"a number with {len(text):,} digits", origin)
        return value
