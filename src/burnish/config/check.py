"""Checking a merged tree against a config class; every mistake is told with the place where the value was written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

from pydantic import BaseModel, ValidationError

from burnish.config.fields import Field, Lookup, fields_of, literal_names, shape
from burnish.config.layer import Mapping, Node, Plain, Scalar, find, holder_at, plain
from burnish.config.layer import Sequence as ListNode
from burnish.config.origin import Origin
from burnish.config.schema import BOOLEAN, Config, misreads
from burnish.config.sources.env import PREFIX, env_name
from burnish.core.errors import Problem
from burnish.core.nearest import nearest_path

Loc: TypeAlias = tuple[int | str, ...]

_MOST_HINTS = 100
_MEANT = "did you mean "
_RULES = ("rule", "value_error", "assertion_error")
_MOST_PASSES = 4


class Checked(NamedTuple):
    """A validated config, or what is wrong with it."""

    config: Config | None
    problems: tuple[Problem, ...]


def validate(schema: type[Config], tree: Mapping, lookup: Lookup, *, prefix: str = PREFIX) -> Checked:
    """Check a merged tree against a config class.

    A field typed `str` gets a value's text as it was written, so `version: 1.10` stays `1.10`. Rules across fields
    are checked even where other fields are wrong, as long as those that a rule reads are right.
    """
    values = plain(tree)
    context = {"lookup": lookup, "booleans_are_checked": True}
    # A class stops at its first boolean, so those are looked for here: the rest of it is checked all the same.
    told: list[Any] = [{"type": "boolean", "loc": loc, "msg": BOOLEAN} for loc in _booleans(schema, tree, lookup, ())]
    _without_mistakes(values, tree, told)
    wrong = {_known_part(tree, error["loc"]) for error in told}
    first = True
    for _ in range(_MOST_PASSES):
        try:
            config = schema.model_validate(values, context=context)
        except ValidationError as error:
            found = [e for e in error.errors(include_url=False) if _is_of_its_class(e, schema, tree, lookup)]
            if _use_raw_text(values, tree, found):
                continue
            told += [e for e in found if _is_new(e, tree, wrong, first=first)]
            first = False
            before = len(wrong)
            wrong |= {_known_part(tree, e["loc"]) for e in found}
            if len(wrong) == before or not _without_mistakes(values, tree, found):
                break
        else:
            if not told:
                return Checked(config, ())
            break
    problems = _Problems(schema, tree, lookup, prefix)
    return Checked(None, tuple(dict.fromkeys(_without_echoes(p for error in told for p in problems.of(error)))))


def _is_of_its_class(error: Any, kind: type[BaseModel] | None, node: Node | None, lookup: Lookup) -> bool:
    """Return whether an error is no other union member's: pydantic tells what each of them would have wanted."""
    loc = list(error["loc"])
    while loc and kind is not None:
        key = str(loc.pop(0))
        found = shape(kind).get(key)
        node = find(node, key) if node is not None else None
        holds = found.holds if found is not None else None
        if found is not None and holds is None and found.elements is not None and loc:
            key, holds = str(loc.pop(0)), found.elements
            node = find(node, key) if node is not None else None
        kind = holds.config_class(node, lookup) if holds is not None else None
        if holds is None or holds.category or len(holds.classes) < 2 or kind is None or not loc:
            continue
        if loc[0] not in {member.__name__ for member in holds.classes}:
            continue
        if loc.pop(0) != kind.__name__:
            return False
        if loc == ["name"] and error["type"] == "literal_error":
            names = [repr(name) for member in holds.classes for name in literal_names(member)]
            error["msg"] = f"Input should be {', '.join(names[:-1])} or {names[-1]}"
    return True


def _is_new(error: Any, tree: Mapping, wrong: set[str], *, first: bool) -> bool:
    """Return whether an error is one of what was written, and none of what was taken out."""
    if error["type"] == "missing" and _known_part(tree, error["loc"]) in wrong:
        return False
    return first or _stands_alone(error, tree, wrong)


def _booleans(kind: type[BaseModel], tree: Mapping, lookup: Lookup, loc: Loc) -> Iterator[Loc]:
    """Yield where a boolean stands that pydantic would take for a number."""
    fields = shape(kind)
    for key, node in tree.items.items():
        found = fields.get(key)
        if found is None:
            continue
        if isinstance(node, Scalar):
            if isinstance(node.value, bool) and misreads(kind, key, node.value):
                yield (*loc, key)
        elif found.holds is not None and isinstance(node, Mapping):
            inner = found.holds.config_class(node, lookup)
            yield from _booleans(inner, node, lookup, (*loc, key)) if inner is not None else ()
        elif found.elements is not None:
            for step, item in enumerate(node.items) if isinstance(node, ListNode) else node.items.items():
                inner = found.elements.config_class(item, lookup) if isinstance(item, Mapping) else None
                if inner is not None and isinstance(item, Mapping):
                    yield from _booleans(inner, item, lookup, (*loc, key, step))
        elif misreads(kind, key, plain(node)):
            yield (*loc, key)


def _use_raw_text(values: Plain, tree: Mapping, errors: Sequence[Any]) -> bool:
    """Put the written text where a string was wanted and something else stands; return whether that changed any."""
    changed = False
    for error in errors:
        keys = _known_keys(tree, error["loc"]) if error["type"] == "string_type" else []
        node = find(tree, ".".join(keys)) if keys else None
        if isinstance(node, Scalar) and node.raw is not None and node.value is not None:
            changed = _put(values, keys, node.raw) or changed
    return changed


def _put(values: Plain, path: Sequence[str], text: str) -> bool:
    """Set the value at a path; return whether it was another one."""
    *parents, last = path
    inner = holder_at(values, parents)
    if isinstance(inner, list):
        before, inner[int(last)] = inner[int(last)], text
    elif isinstance(inner, dict) and last in inner:
        before, inner[last] = inner[last], text
    else:
        return False
    return not isinstance(before, str)


def _stands_alone(error: Any, tree: Mapping, wrong: set[str]) -> bool:
    """Return whether a rule that failed on a repaired config fails without the repair too."""
    if error["type"] not in _RULES:
        return False
    path = _path(error["loc"]) if error["type"] == "rule" else _known_part(tree, error["loc"])
    return not any(_touches(name, bad) for name in (path, *_reads(error)) for bad in wrong)


def _reads(error: Any) -> list[str]:
    """Return the other values that a rule looked at."""
    section = ".".join(str(part) for part in error["loc"][:-1])
    return [".".join(filter(None, (section, name))) for name in error.get("ctx", {}).get("reads", ())]


def _touches(path: str, other: str) -> bool:
    return path == other or not path or path.startswith(f"{other}.") or other.startswith(f"{path}.")


def _without_mistakes(values: Plain, tree: Mapping, errors: Sequence[Any]) -> bool:
    """Take the mistaken values out, so that the rest can be looked at; return whether that is possible."""
    for error in errors:
        keys = _known_keys(tree, error["loc"])
        if error["type"] == "missing" or not keys or not _remove(values, keys):
            return False
    return True


def _remove(values: Any, path: Sequence[str]) -> bool:
    """Remove the key that a path leads to; of an element that is wrong itself, the list that it stands in."""
    if isinstance(values, list):
        at = int(path[0]) if path[0].isdecimal() else len(values)
        return at < len(values) and len(path) > 1 and _remove(values[at], path[1:])
    if not isinstance(values, dict) or path[0] not in values:
        return False
    inside = values[path[0]]
    if len(path) == 1 or not isinstance(inside, dict | list) or not _remove(inside, path[1:]):
        del values[path[0]]
    return True


def _known_part(tree: Mapping, loc: Iterable[int | str]) -> str:
    return ".".join(_known_keys(tree, loc))


def _path(loc: Iterable[int | str]) -> str:
    return ".".join(str(part) for part in loc if isinstance(part, int) or part.isidentifier())


def _known_keys(tree: Mapping, loc: Iterable[int | str]) -> list[str]:
    """Return the path of an error without what pydantic adds for unions (`function-plain`, `int`, …)."""
    node: Node | None = tree
    kept: list[str] = []
    parts = list(loc)
    for number, part in enumerate(parts):
        step = str(part)
        inner = find(node, step) if node is not None else None
        last = number == len(parts) - 1
        if inner is None and not (last and isinstance(node, Mapping)):
            continue
        kept.append(step)
        node = inner
    return kept


@dataclass
class _Problems:
    """Tells pydantic's errors in terms of what was written, where."""

    schema: type[Config]
    tree: Mapping
    lookup: Lookup
    prefix: str
    hinted: int = 0

    def of(self, found: Any) -> Iterator[Problem]:
        kind = found["type"]
        # A rule says itself what it is about, which nobody need have written.
        path = _path(found["loc"]) if kind == "rule" else _known_part(self.tree, found["loc"])
        if kind == "extra_forbidden":
            keys = _known_keys(self.tree, found["loc"])
            if "." in keys[-1]:
                section = find(self.tree, ".".join(keys[:-1]))
                origin = section.keys.get(keys[-1]) if isinstance(section, Mapping) else None
                hint = "inside a section a key with dots is no path: nest it, or write the whole path at the file's top"
                yield Problem(f"unknown key {path!r}", str(origin or ""), hint)
                return
            for unknown in _unknown(self.tree, path):
                yield self.unknown(unknown)
        elif kind == "missing":
            parent = find(self.tree, path.rpartition(".")[0])
            place = str(parent.origin) if parent is not None and parent.origin.source else ""
            yield Problem(f"missing key {path!r}", place, f"set it in the file, or --{path} VALUE")
        else:
            node = find(self.tree, path)
            hint = str(found.get("ctx", {}).get("hint", ""))
            value = ""
            if isinstance(node, Scalar) and kind not in ("component", "rule"):
                value = f", not {self.shown(node, path)}"
            looked_at = (node, *(find(self.tree, read) for read in _reads(found)))
            place = next((str(n.origin) for n in looked_at if n is not None and n.origin.source), "")
            yield Problem(f"{path or 'config'}: {_rule(found)}{value}", place, hint)

    def shown(self, node: Scalar, path: str) -> str:
        """Return a value as it was written, a credential masked."""
        if node.value is None:
            return "null"
        from burnish.core.secrets import MASK, is_secret_name

        if is_secret_name(path) or any(known == path and found.is_secret for known, found in self.fields):
            return MASK
        if isinstance(node.value, bool):
            return node.raw or str(node.value).lower()
        return repr(node.value) if node.raw is None or isinstance(node.value, str) else node.raw

    def unknown(self, path: str) -> Problem:
        origin = _key_origin(self.tree, path)
        section, _, name = path.rpartition(".")
        holder = self.section(section)
        if holder is not None and name in holder.model_computed_fields:
            return Problem(f"{path} is computed and cannot be set", str(origin), "remove it, or set what it is made of")
        return Problem(f"unknown key {path!r}", str(origin), self.did_you_mean(path, origin))

    def section(self, path: str) -> type[Config] | None:
        """Return the config class at a path."""
        if not path:
            return self.schema
        found = next((f for p, f in self.fields if p == path), None)
        holds = found.holds if found is not None else None
        kind = holds.config_class(find(self.tree, path), self.lookup) if holds is not None else None
        return kind if kind is not None and issubclass(kind, Config) else None

    @cached_property
    def fields(self) -> list[tuple[str, Field]]:
        """What there is, by path."""
        return list(fields_of(self.schema, self.tree, self.lookup))

    def did_you_mean(self, path: str, origin: Origin) -> str:
        self.hinted += 1
        if self.hinted > _MOST_HINTS:  # looking for what each of thousands means would take minutes
            return ""
        paths = [known for known, _ in self.fields]
        section = path.rpartition(".")[0]
        name = find(self.tree, f"{section}.name") if section else None
        if name is not None and name.beaten and plain(name) != plain(name.beaten[0]):
            return f"it was set for {plain(name.beaten[0])!r}; to replace the whole section write '{section}!:'"
        if (other := self.other_component(path)) is not None:
            return f"it is a field of {other!r}; to replace the whole section write '{section}!:'"
        best = self.by_flag(path) or nearest_path(path, paths)
        if best is None:
            return ""
        if origin.kind == "env":
            return f"did you mean {env_name(best, self.prefix)}?"
        return f"did you mean {'--' if origin.kind == 'flag' else ''}{best}?"

    def other_component(self, path: str) -> str | None:
        """Return the default component of the section that a key stands in, if the key is a field of that."""
        section, _, key = path.rpartition(".")
        found = next((f for p, f in self.fields if p == section), None)
        if found is None or found.holds is None or not found.holds.category or found.info.is_required():
            return None
        name = getattr(found.default, "name", None)
        return name if isinstance(name, str) and key in type(found.default).model_fields else None

    def by_flag(self, path: str) -> str | None:
        """Return the field whose own flag has the name: `training.lr` is `--lr`."""
        section, _, name = path.rpartition(".")
        meant = [p for p, found in self.fields if name in (flag.lstrip("-") for flag in found.flags)]
        return next((p for p in meant if p.rpartition(".")[0] == section), meant[0] if len(meant) == 1 else None)


def _unknown(tree: Mapping, path: str) -> Iterator[str]:
    """Yield an unknown key; of a section that flags or variables made, each of them."""
    node = find(tree, path)
    if isinstance(node, Mapping) and node.items and _key_origin(tree, path).kind != "file":
        for key in node.items:
            yield from _unknown(tree, f"{path}.{key}")
    else:
        yield path


def _without_echoes(problems: Iterable[Problem]) -> Iterator[Problem]:
    """Leave out a missing key that is only missing because its name was misspelt, which is told already."""
    found = list(problems)
    meant = {f"missing key {problem.hint[len(_MEANT) : -1]!r}" for problem in found if problem.hint.startswith(_MEANT)}
    return (problem for problem in found if problem.message not in meant)


def _rule(found: Any) -> str:
    text = str(found["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ").removeprefix("Input ")
    text = text.partition(" or instance of ")[0]  # a class means nothing in a file
    return text[:1].lower() + text[1:]


def _key_origin(tree: Mapping, path: str) -> Origin:
    parts = path.split(".")
    for size in range(len(parts) - 1, -1, -1):  # a key may itself hold dots
        section = find(tree, ".".join(parts[:size]))
        if isinstance(section, Mapping):
            return section.keys.get(".".join(parts[size:]), section.origin)
    return tree.origin
