r"""OmegaConf's references as Burnish writes them; what has no counterpart is said, never guessed.

`${a[b].c}` becomes `${a.b.c}`, `${.x}` and `${..x}` absolute, `${oc.env:NAME,default}` `${env:NAME:-default}`,
`${oc.select:a.b,default}` `${a.b:-default}`, and the escaped `\${` `$${`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from burnish.config.layer import Mapping, Node, Scalar, find
from burnish.config.sources.yaml import parse_yaml, resolve_plain
from burnish.project.migrate.rules import CannotCarry

_RESOLVER = re.compile(r"\s*([A-Za-z_][\w.]*)\s*:(.*)", re.DOTALL)
_BRACKET = re.compile(r"\[\s*['\"]?([^\]'\"]*)['\"]?\s*\]")
_PLAIN = re.compile(r"[^${}]*\Z")


def convert(node: Scalar, path: str, tree: Mapping, refer: Callable[[str], None]) -> Node:
    """Return a value with its references as Burnish writes them.

    Args:
        node: The value.
        path: Where it stands in the tree.
        tree: The composed config.
        refer: Is told each key that is referred to without a default.

    Raises:
        CannotCarry: A reference has no counterpart.
    """
    text = node.value
    if not isinstance(text, str) or "${" not in text:
        return node
    if "$${" in text or "\\\\${" in text:
        raise CannotCarry("its escapes mean something else in Burnish")
    done = _Place(path, tree, refer).text(text)
    return replace(node, value=done, raw=done) if isinstance(done, str) else replace(done, origin=node.origin)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where references are read: what is relative in them is relative to this."""

    path: str
    tree: Mapping
    refer: Callable[[str], None]

    def text(self, text: str) -> str | Node:
        """Return a text with its references as ours; a value of another type where it is a default alone."""
        done, position = "", 0
        while (start := text.find("${", position)) >= 0:
            if start and text[start - 1] == "\\":
                done += text[position : start - 1] + "$${"
                position = start + 2
                continue
            end = _end_of(text, start)
            inner = text[start + 2 : end]
            is_whole = start == 0 and end == len(text) - 1
            new = self.reference(inner, is_whole=is_whole)
            if not isinstance(new, str):
                if is_whole:
                    return new
                raise CannotCarry(f"the default in ${{{inner}}} is no text")
            done += text[position:start] + new
            position = end + 1
        return done + text[position:]

    def reference(self, inner: str, *, is_whole: bool) -> str | Node:
        """Return one reference as ours; a value where it could only ever be its default."""
        resolver = _RESOLVER.fullmatch(inner)
        if resolver is None:
            target = self.target(inner)
            self.refer(target)
            return f"${{{target}}}"
        name, words = resolver[1], _split(resolver[2])
        if name in ("oc.env", "env") and len(words) <= 2 and _PLAIN.match(words[0]):
            default = f":-{self.default(words[1], is_whole=is_whole)}" if len(words) == 2 else ""
            return f"${{env:{words[0]}{default}}}"
        if name == "oc.select" and len(words) <= 2:
            return self.select(self.target(words[0]), words[1] if len(words) == 2 else "null", is_whole=is_whole)
        if name == "now":
            raise CannotCarry("a run has an id and a time of its own, so nothing has to be named after the clock")
        if name == "hydra":
            raise CannotCarry("it asks Hydra")
        raise CannotCarry(f"the resolver {name!r} is code of its project: compute the value in your experiment")

    def select(self, target: str, default: str, *, is_whole: bool) -> str | Node:
        """Return a reference with a default; a list or section can only be told apart here, not in a text."""
        if not default.startswith(("[", "{")):
            return f"${{{target}:-{self.default(default, is_whole=is_whole)}}}"
        if find(self.tree, target) is not None:
            return f"${{{target}}}"
        if "${" in default:
            raise CannotCarry("its default holds a reference")
        return parse_yaml(default, "a default")

    def target(self, written: str) -> str:
        """Return the absolute path that a reference means here."""
        if "${" in written:
            raise CannotCarry("a reference inside a reference")
        return _target(written, self.path)

    def default(self, written: str, *, is_whole: bool) -> str:
        """Return a default as ours, in which references may stand."""
        quoted = len(written) > 1 and written[0] in "'\"" and written[-1] == written[0]
        text = written[1:-1] if quoted else written
        if "${" in text:
            filled = self.text(text)
            if isinstance(filled, str) and not quoted:
                return filled
            raise CannotCarry("its default holds a reference")
        if not _PLAIN.match(text):
            raise CannotCarry("its default holds braces")
        if is_whole and (quoted or not text) and not isinstance(resolve_plain(text), str):
            raise CannotCarry(f"its default is the text {text!r}, which Burnish would read as something else")
        return text


def _end_of(text: str, start: int) -> int:
    """Return where the brace closes that a reference opens."""
    depth = 0
    for position in range(start, len(text)):
        if text[position] == "{":
            depth += 1
        elif text[position] == "}":
            depth -= 1
            if depth == 0:
                return position
    raise CannotCarry("its reference has no end")


def _target(written: str, path: str) -> str:
    """Return the absolute path that a reference at a path means.

    >>> _target("..x[0]", "a.b.c"), _target("db.port", "a.b.c")
    ('a.x.0', 'db.port')
    """
    key = _BRACKET.sub(r".\1", written.strip())
    bare = key.lstrip(".")
    dots = len(key) - len(bare) if written.strip().startswith(".") else 0
    above = path.split(".")
    if dots > len(above):
        raise CannotCarry("its reference points above the config")
    target = ".".join([*above[: len(above) - dots], bare]) if dots else bare
    if not bare or bare[0] == "=" or ":" in target or not _PLAIN.match(target):
        raise CannotCarry("its reference names no key")
    if target.split(".")[0] == "hydra":
        raise CannotCarry("it refers to Hydra's own settings")
    return target


def _split(words: str) -> list[str]:
    """Return the words between commas that stand in no quotes or brackets."""
    found, quote, depth = [""], "", 0
    for letter in words:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        depth += (letter in "[{") - (letter in "]}") if not quote else 0
        if letter == "," and not quote and not depth:
            found.append("")
        else:
            found[-1] += letter
    return [word.strip() for word in found]
