"""TOML read by `tomllib`, with the place of every value and key found by a scanner of our own.

`tomllib` alone says what is TOML and what a value is; the scanner walks a document that it has accepted and
looks each value up in what it returned, so that the two cannot disagree about a value. https://toml.io/en/v1.0.0
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field, replace
from datetime import date, time
from typing import Any

from burnish.config.layer import Mapping, Node, Scalar, Sequence
from burnish.config.origin import Origin
from burnish.config.sources.bounds import MAX_BYTES as _MAX_BYTES
from burnish.config.sources.bounds import MAX_DEPTH as _MAX_DEPTH
from burnish.config.sources.bounds import MAX_DIGITS as _MAX_DIGITS
from burnish.config.sources.bounds import MAX_NODES as _MAX_NODES
from burnish.core.errors import ConfigError, Problem

# The same bounds as YAML's: see there.
_TOO_DEEP = f"nested deeper than {_MAX_DEPTH} levels"

# No possessive group that looks ahead: before Python 3.11.5 it goes on from the wrong place
# (https://github.com/python/cpython/issues/106052), and a plain group keeps 64 bytes for each repetition. So the long
# strings end at the first three quotes, in the one kind after an even number of backslashes.
_STRING = (
    r'"""[\s\S]*?(?<!\\)(?:\\\\)*+"{3,5}'
    r"|'''[\s\S]*?'{3,5}"
    r'|"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"'
    r"|'[^'\n]*+'"
)
_LINE = re.compile(  # `key = value` on one line, the value neither a list nor a section nor hard to delimit
    r"""[ \t]*+([A-Za-z0-9_-]++)[ \t]*+=[ \t]*+("[^"\\\n]*+"(?!")|'[^'\n]*+'(?!')|[^\s"'\[{#][^\n#]*+)"""
    r"[ \t]*+(?:#[^\n]*+)?(?:\n|\Z)"
)
_SEPARATORS = r"(?:[ \t\n,]++|#[^\n]*+)*+"
_BETWEEN = re.compile(_SEPARATORS)
_PART = re.compile(rf"[ \t]*+([A-Za-z0-9_-]++|{_STRING})[ \t]*+(\.)?+")
_VALUE = re.compile(rf"{_SEPARATORS}({_STRING}|\d{{4}}-\d\d-\d\d \d[^\s,\]}}#]*+|[^\s,\]}}#]++)")
_TOKEN = re.compile(
    rf"(?P<string>{_STRING})|(?P<word>[+-]?[0-9][0-9_]*+\.[0-9][\w+-]*+|[\w+-]++)"
    r"|(?P<sign>[\[\]{}=,.\n])|(?P<comment>#[^\n]*+)|(?P<broken>[\"'])"
)
_DIGITS = re.compile(r"[+-]?[0-9][0-9_]*+\Z|0[xob][0-9a-fA-F_]++\Z")
_LONG = re.compile(rf"(?<![0-9a-fA-F_])[0-9a-fA-F_]{{{_MAX_DIGITS}}}")
_NAMESPACE = re.compile(r"\('.*',?\)")
_REASON = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)


def parse_toml(content: bytes | str, name: str) -> Mapping:
    """Read a TOML document; dates and times become ISO strings.

    Args:
        content: The document; bytes must be UTF-8, with or without a mark.
        name: What to call it in origins: usually the path as the user would type it.

    Raises:
        ConfigError: It is not TOML 1.0, or not within the bounds that keep hostile files harmless.
    """
    if len(content) > _MAX_BYTES:
        raise ConfigError([Problem(f"file is larger than {_MAX_BYTES >> 20} MiB", f"{name}:1:1")])
    written = _decoded(content, name).removeprefix("\ufeff")
    text = written.replace("\r\n", "\n")  # as `tomllib` does; doing it twice would take `\r\r\n` for a line end
    if _is_suspect(text):
        _check_bounds(text, name)
    try:
        values = tomllib.loads(written)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([_refusal(error, text, name)]) from error
    return _Reader(text, name, values).read(len(text))


def _decoded(content: bytes | str, name: str) -> str:
    try:
        if isinstance(content, bytes):
            return content.decode()
        content.encode()
    except UnicodeDecodeError as error:
        where = _end(error.object[: error.start].decode().removeprefix("\ufeff"), name)
        raise ConfigError([Problem("not TOML: a byte that is not UTF-8", where)]) from error
    except UnicodeEncodeError as error:
        where = _end(error.object[: error.start].removeprefix("\ufeff"), name)
        raise ConfigError([Problem("not TOML: a character that UTF-8 cannot hold", where)]) from error
    return content


def _is_suspect(text: str) -> bool:
    """Say whether a text could be out of bounds, at a fraction of the cost of knowing."""
    signs = text.count("[") + text.count("{") + text.count(".")
    return signs >= _MAX_DEPTH or len(text) >= _MAX_NODES or _LONG.search(text) is not None


def _check_bounds(text: str, name: str) -> None:
    """Refuse what would exhaust `tomllib`: its stack, or the time to read endless numbers, keys and lists.

    Stops at what cannot be TOML: `tomllib` goes no further either.

    Raises:
        ConfigError: A bound is crossed.
    """
    nodes = depth = dots = part = 0
    in_value = False
    for token in _TOKEN.finditer(text):
        kind, written = token.lastgroup, token[0]
        if kind == "broken":
            return
        if kind == "word" and in_value and len(written) > _MAX_DIGITS and _is_integer(text, token):
            raise _at(f"a number with {len(written):,} digits", text, token.start(), name)
        if kind != "sign":
            part = token.start()
            continue
        nodes += written in "[{=,."
        dots = dots + 1 if written == "." else 0
        depth += (written in "[{") - (written in "]}")
        in_value = written == "=" or (in_value and (written != "\n" or depth > 0))
        if max(depth, dots) >= _MAX_DEPTH:
            raise _at(_TOO_DEEP, text, part if written == "." else token.start(), name)
        if nodes > _MAX_NODES:
            raise _at(f"more than {_MAX_NODES:,} values", text, token.start(), name)


def _is_integer(text: str, token: re.Match[str]) -> bool:
    return _DIGITS.match(token[0]) is not None and not text.startswith(".", token.end())


def _at(message: str, text: str, position: int, name: str) -> ConfigError:
    return ConfigError([Problem(message, _end(text[:position], name))])


def _end(text: str, name: str) -> str:
    """Return the place after a text."""
    return f"{name}:{text.count(chr(10)) + 1}:{len(text) - text.rfind(chr(10))}"


def _refusal(error: tomllib.TOMLDecodeError, text: str, name: str) -> Problem:
    """Return what `tomllib` has against a text; its error has line and column as attributes from 3.14 only."""
    match = _REASON.fullmatch(str(error))
    reason, line, column = match.groups() if match else (str(error), "1", "1")
    where = f"{name}:{line}:{column}" if line else _end(text, name)
    if reason.startswith(("Cannot overwrite", "Cannot declare")):
        lines = text.split("\n")
        above = "".join(f"{row}\n" for row in lines[: int(line or len(lines)) - 1])
        if twice := _given_twice(text, name, above):
            return twice
    reason = _NAMESPACE.sub(lambda names: repr(".".join(re.findall(r"'([^']*)'", names[0]))), reason)
    return Problem(f"not TOML: {reason[:1].lower()}{reason[1:]}", where)


def _given_twice(text: str, name: str, above: str) -> Problem | None:
    """Return where the key of the statement below `above` stands already, where there is such a key."""
    try:
        values = tomllib.loads(above)
    except tomllib.TOMLDecodeError:
        return None  # the statement began further up
    reader = _Reader(text, name, values)
    reader.read(len(above))
    return reader.known()


@dataclass(slots=True)
class _Table:
    """A section that is being filled, what `tomllib` read there, and the sections in it that may still grow."""

    node: Mapping
    values: dict[str, Any]
    depth: int
    inner: dict[str, _Table | list[_Table]] = field(default_factory=dict)


class _Reader:
    """Walks a document that `tomllib` has accepted, and gives each of its values a place.

    The origin of a section is that of the key which opens it, of an inline one and of a list its bracket.
    """

    def __init__(self, text: str, name: str, values: dict[str, Any]) -> None:
        self.text = text
        self.name = name
        self.pos = 0
        self.seen = 0
        self.line = 1
        self.line_start = 0
        self.table = self.root = _Table(Mapping({}, Origin("file", name, 1, 1)), values, 1)
        self.lists: list[tuple[Mapping, str, list[_Table]]] = []

    def read(self, stop: int) -> Mapping:
        """Read the statements before a position."""
        text = self.text
        while self.pos < stop:
            self.skip()
            self.simple_lines(stop)
            if self.pos < stop and text[self.pos] == "[":
                self.header()
            elif self.pos < stop and text[self.pos] not in " \t\n#":
                self.pair(self.table)
        for node, key, tables in self.lists:
            node.items[key] = Sequence(tuple(table.node for table in tables), node.keys[key])
        return self.root.node

    def origin(self, position: int) -> Origin:
        """Return a place; asked for in rising order, so that each line end is counted once."""
        if lines := self.text.count("\n", self.seen, position):
            self.line += lines
            self.line_start = self.text.rfind("\n", self.seen, position) + 1
        self.seen = position
        return Origin("file", self.name, self.line, position - self.line_start + 1)

    def skip(self) -> None:
        if found := _BETWEEN.match(self.text, self.pos):
            self.pos = found.end()

    def simple_lines(self, stop: int) -> None:
        """Take keys with scalars, each on a line of its own: most of any file, hence without a call for each."""
        text, name, values = self.text, self.name, self.table.values
        keys, items = self.table.node.keys, self.table.node.items
        line, start, pos = self.origin(self.pos).line, self.line_start, self.pos
        while pos < stop and (found := _LINE.match(text, pos)):
            key, written = found.groups()
            keys[key] = Origin("file", name, line, found.start(1) - start + 1)
            at, value = Origin("file", name, line, found.start(2) - start + 1), values[key]
            items[key] = Scalar(value, at, value) if isinstance(value, str) else _scalar(value, at, written)
            line, start, pos = line + 1, found.end(), found.end()
        if pos > self.pos:
            self.line, self.line_start, self.pos, self.seen = line, start, pos, pos

    def header(self) -> None:
        """Open the section that `[a.b]` or `[[a.b]]` names."""
        repeats = self.text.startswith("[[", self.pos)
        self.pos += 1 + repeats
        *outer, (key, origin) = self.key()
        self.pos += 1 + repeats
        table = self.root
        for part, at in outer:
            table = self.enter(table, part, at)
        if repeats:
            self.table = self.append(table, key, origin)
        elif key in table.inner:  # made by a longer header or key above it
            self.table = self.enter(table, key, origin)
            self.table.node = table.node.items[key] = replace(self.table.node, origin=origin)
            table.node.keys[key] = origin
        else:
            self.table = self.enter(table, key, origin)

    def key(self) -> list[tuple[str, Origin]]:
        """Return the parts of a key, each with its place."""
        parts: list[tuple[str, Origin]] = []
        more: str | None = "."
        while more and (part := _PART.match(self.text, self.pos)):
            written, more = part.groups()
            parts.append((_unquoted(written), self.origin(part.start(1))))
            self.pos = part.end()
        return parts

    def enter(self, table: _Table, key: str, origin: Origin) -> _Table:
        """Return the section, or the newest of the sections, that a key names; open it if there is none."""
        inner = table.inner.get(key)
        if isinstance(inner, list):
            return inner[-1]
        if inner is None:
            inner = self.opened(table.values[key], table.depth + 1, origin)
            table.inner[key], table.node.items[key], table.node.keys[key] = inner, inner.node, origin
        return inner

    def append(self, table: _Table, key: str, origin: Origin) -> _Table:
        """Return a new section at the end of the list that a key names."""
        tables = table.inner.setdefault(key, [])
        assert isinstance(tables, list)
        if not tables:
            table.node.items[key], table.node.keys[key] = Sequence((), origin), origin
            self.lists.append((table.node, key, tables))
        tables.append(self.opened(table.values[key][len(tables)], table.depth + 2, origin))
        return tables[-1]

    def opened(self, values: dict[str, Any], depth: int, origin: Origin) -> _Table:
        self.check(depth, origin)
        return _Table(Mapping({}, origin), values, depth)

    def check(self, depth: int, origin: Origin) -> None:
        if depth > _MAX_DEPTH:
            raise ConfigError([Problem(_TOO_DEEP, str(origin))])

    def pair(self, table: _Table) -> None:
        """Read a key and its value into a section."""
        *outer, (key, origin) = self.key()
        for part, at in outer:
            table = self.enter(table, part, at)
        self.pos += 1  # "="
        table.node.keys[key] = origin
        table.node.items[key] = self.value(table.values[key], table.depth)

    def value(self, value: object, depth: int) -> Node:
        """Read a value inside a collection of a depth, and what separates it from what stands before."""
        if isinstance(value, (list, dict)):
            self.skip()
            origin = self.origin(self.pos)
            self.check(depth + 1, origin)
            self.pos += 1
            if isinstance(value, dict):
                return self.inline(value, depth + 1, origin)
            return self.array(value, depth + 1, origin)
        found = _VALUE.match(self.text, self.pos)
        assert found
        self.pos = found.end()
        return _scalar(value, self.origin(found.start(1)), found[1])

    def array(self, values: list[Any], depth: int, origin: Origin) -> Sequence:
        items = []
        for value in values:  # a comprehension would cost the stack a frame a level
            items.append(self.value(value, depth))
        self.skip()
        self.pos += 1
        return Sequence(tuple(items), origin)

    def inline(self, values: dict[str, Any], depth: int, origin: Origin) -> Mapping:
        table = _Table(Mapping({}, origin), values, depth)
        self.skip()
        while self.text[self.pos] != "}":
            self.pair(table)
            self.skip()
        self.pos += 1
        return table.node

    def known(self) -> Problem | None:
        """Return how the key at this position is given twice, if it is."""
        self.skip()
        brackets = 2 if self.text.startswith("[[", self.pos) else int(self.text[self.pos] == "[")
        table = self.root if brackets else self.table
        self.pos += brackets
        parts = self.key()
        for number, (key, origin) in enumerate(parts, start=1):
            if key not in table.node.items:
                return None
            inner = table.inner.get(key)
            if inner is None or number == len(parts):
                line = table.node.keys[key].line
                return Problem(f"key {key!r} is given twice; it stands at line {line} already", str(origin))
            table = inner[-1] if isinstance(inner, list) else inner
        return None


def _scalar(value: object, origin: Origin, written: str) -> Scalar:
    if isinstance(value, str):
        return Scalar(value, origin, value)
    written = written.rstrip(" \t")
    if isinstance(value, (int, float)):
        return Scalar(value, origin, written)
    assert isinstance(value, (date, time))
    return Scalar(value.isoformat(), origin, written)


def _unquoted(key: str) -> str:
    """Return what a part of a key says."""
    if key[0] == '"' and "\\" in key:
        return next(iter(tomllib.loads(f"{key}=0")))
    return key[1:-1] if key[0] in "\"'" else key
