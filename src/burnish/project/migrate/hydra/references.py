r"""OmegaConf's references as Burnish writes them; what has no counterpart is said, never guessed.

`${a[b].c}` becomes `${a.b.c}`, `${.x}` and `${..x}` absolute, `${oc.env:NAME,default}` `${env:NAME:-default}`,
`${oc.select:a.b,default}` `${a.b:-default}`, and the escaped `\${` `$${`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from burnish.config.layer import Mapping, Node, Scalar, find
from burnish.config.sources.yaml import parse_yaml, resolve_plain
from burnish.project.migrate.rules import CannotCarry

_RESOLVER = re.compile(r"\s*([A-Za-z_][\w.]*)\s*:(.*)", re.DOTALL)
_BRACKET = re.compile(r"\[\s*['\"]?([^\]'\"]*)['\"]?\s*\]")
_PLAIN_DEFAULT = re.compile(r"[^${}]*\Z")


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
    done, position = "", 0
    while (start := text.find("${", position)) >= 0:
        if start and text[start - 1] == "\\":
            done += text[position : start - 1] + "$${"
            position = start + 2
            continue
        end = text.find("}", start)
        inner = text[start + 2 : _end_of(text, start)]
        end = start + 2 + len(inner)
        is_whole = start == 0 and end == len(text) - 1
        new = _reference(inner, path, tree, refer, is_whole=is_whole)
        if isinstance(new, str):
            done += text[position:start] + new
        elif is_whole:
            return replace(new, origin=node.origin)
        else:
            raise CannotCarry(f"the default in ${{{inner}}} is no text")
        position = end + 1
    done += text[position:]
    return replace(node, value=done, raw=done)


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


def _reference(inner: str, path: str, tree: Mapping, refer: Callable[[str], None], *, is_whole: bool) -> str | Node:
    if "${" in inner:
        raise CannotCarry("a reference inside a reference")
    resolver = _RESOLVER.fullmatch(inner)
    if resolver is None:
        target = _target(inner, path)
        refer(target)
        return f"${{{target}}}"
    name, words = resolver[1], _split(resolver[2])
    if name in ("oc.env", "env") and len(words) <= 2:
        default = f":-{_default(words[1], is_whole=is_whole)}" if len(words) == 2 else ""
        return f"${{env:{words[0]}{default}}}"
    if name == "oc.select" and len(words) <= 2:
        return _select(_target(words[0], path), words[1] if len(words) == 2 else "null", tree, is_whole=is_whole)
    if name == "now":
        raise CannotCarry("a run has an id and a time of its own, so nothing has to be named after the clock")
    if name == "hydra":
        raise CannotCarry("it asks Hydra")
    raise CannotCarry(f"the resolver {name!r} is code of its project: compute the value in your experiment")


def _select(target: str, default: str, tree: Mapping, *, is_whole: bool) -> str | Node:
    if _PLAIN_DEFAULT.match(default) and not default.startswith("["):
        return f"${{{target}:-{_default(default, is_whole=is_whole)}}}"
    if find(tree, target) is not None:
        return f"${{{target}}}"
    return parse_yaml(default, "a default")


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
    if not bare or ":" in target:
        raise CannotCarry("its reference names no key")
    if target.split(".")[0] == "hydra":
        raise CannotCarry("it refers to Hydra's own settings")
    return target


def _default(written: str, *, is_whole: bool) -> str:
    quoted = len(written) > 1 and written[0] in "'\"" and written[-1] == written[0]
    text = written[1:-1] if quoted else written
    if not _PLAIN_DEFAULT.match(text):
        raise CannotCarry("its default holds braces")
    if is_whole and (quoted or not text) and not isinstance(resolve_plain(text), str):
        raise CannotCarry(f"its default is the text {text!r}, which Burnish would read as something else")
    return text


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
