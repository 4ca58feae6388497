"""Types and rules by pydantic; every mistake is told with the place where the value was written."""

from __future__ import annotations

import ast
import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, SerializeAsAny, ValidationError, ValidationInfo, field_validator
from pydantic.functional_validators import PlainValidator
from pydantic_core import PydanticCustomError

from burnish.config.layer import Mapping, Node, Plain, Scalar, Sequence, find, plain
from burnish.config.origin import Origin
from burnish.config.sources.env import env_name
from burnish.core.errors import ComponentError, Problem
from burnish.core.nearest import nearest_path

Lookup = Callable[[str, str], "type[Config]"]
"""Finds the config class of a component: `lookup("models", "tiny-llama")`; raises ComponentError."""


class Config(BaseModel):
    """Base of every config class: unknown keys are mistakes, values never change, a boolean is no number."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), ser_json_inf_nan="constants")

    @field_validator("*", mode="before")
    @classmethod
    def _no_boolean_numbers(cls, value: object, info: ValidationInfo) -> object:
        # pydantic would turn `learning_rate: true` into 1.0
        if isinstance(value, bool | list | dict) and _misreads(_kinds_of(cls, info.field_name or ""), value):
            raise PydanticCustomError("boolean", "a boolean is not accepted here")
        return value


class ComponentConfig(Config):
    """Config of a component; `name` says which one. Subclasses add the component's own fields."""

    name: str


def component(category: str) -> Any:
    """Return the type of a field that holds a component: its own class checks the fields beside `name`."""

    def check(value: object, info: ValidationInfo) -> Config:
        if isinstance(value, ComponentConfig):
            return value
        name = value.get("name") if isinstance(value, dict) else value
        if not isinstance(name, str):
            raise PydanticCustomError("component", "a component needs a 'name'", {"category": category})
        try:
            found = _lookup(info)(category, name)
        except ComponentError as error:
            context = {"text": error.message, "hint": error.hint}
            raise PydanticCustomError("component", "{text}", context) from error
        body = value if isinstance(value, dict) else {"name": name}
        return found.model_validate(body, context=info.context)

    return Annotated[SerializeAsAny[ComponentConfig], PlainValidator(check), Slot(category)]


@dataclass(frozen=True, slots=True)
class Slot:
    """Marks a field that holds a component of a category."""

    category: str


def _lookup(info: ValidationInfo) -> Lookup:
    lookup = (info.context or {}).get("lookup")
    if lookup is None:
        raise PydanticCustomError("component", "components cannot be looked up here")
    found: Lookup = lookup
    return found


@dataclass(frozen=True, slots=True)
class Checked:
    """A validated config, or what is wrong with it."""

    config: Config | None
    problems: tuple[Problem, ...]


def validate(schema: type[Config], tree: Mapping, lookup: Lookup) -> Checked:
    """Check a merged tree against a config class.

    A field typed `str` gets a value's text as it was written, so `version: 1.10` stays `1.10`.
    """
    values = plain(tree)
    context = {"lookup": lookup}
    while True:
        try:
            return Checked(schema.model_validate(values, context=context), ())
        except ValidationError as error:
            if not _use_raw_text(values, tree, error.errors(include_url=False)):
                return Checked(None, tuple(_without_echoes(_problems(schema, tree, error, lookup))))


def _use_raw_text(values: Plain, tree: Mapping, errors: list[Any]) -> bool:
    """Put the written text where a string was wanted and something else stands; return whether that changed any."""
    changed = False
    for error in errors:
        node = find(tree, _path(error["loc"])) if error["type"] == "string_type" else None
        if not isinstance(node, Scalar) or node.raw is None or node.value is None:
            continue
        inner: Any = values
        for key in error["loc"][:-1]:
            inner = inner[key]
        changed = changed or not isinstance(inner[error["loc"][-1]], str)
        inner[error["loc"][-1]] = node.raw
    return changed


def _path(loc: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in loc)


_MEANT = "did you mean "


def _problems(schema: type[Config], tree: Mapping, error: ValidationError, lookup: Lookup) -> Iterator[Problem]:
    for found in error.errors(include_url=False):
        path = _known_part(tree, found["loc"])
        kind = found["type"]
        if kind == "extra_forbidden":
            for unknown in _unknown(tree, path):
                origin = _key_origin(tree, unknown)
                hint = _did_you_mean(schema, tree, unknown, origin, lookup)
                yield Problem(f"unknown key {unknown!r}", str(origin), hint)
        elif kind == "missing":
            parent = find(tree, path.rpartition(".")[0])
            place = str(parent.origin) if parent is not None and parent.origin.source else ""
            yield Problem(f"missing key {path!r}", place, f"set it in the file, or --{path} VALUE")
        else:
            node = find(tree, path)
            hint = str(found.get("ctx", {}).get("hint", ""))
            message = _rule(found)
            value = f", not {_shown(node)}" if isinstance(node, Scalar) and kind not in ("component", "rule") else ""
            place = str(node.origin) if node is not None and node.origin.source else ""
            yield Problem(f"{path or 'config'}: {message}{value}", place, hint)


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


def _known_part(tree: Mapping, loc: tuple[int | str, ...]) -> str:
    """Return the path of an error without what pydantic adds for unions (`function-plain`, `int`, …)."""
    node: Node | None = tree
    kept: list[str] = []
    for number, part in enumerate(loc):
        step = str(part)
        inner = find(node, step) if node is not None else None
        last = number == len(loc) - 1
        if inner is None and not (last and isinstance(node, Mapping)):
            continue
        kept.append(step)
        node = inner
    return ".".join(kept)


def _rule(found: Any) -> str:
    text = str(found["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    text = text.partition(" or instance of ")[0]  # a class means nothing in a file
    return text[:1].lower() + text[1:]


def _shown(node: Scalar) -> str:
    if node.value is None:
        return "null"
    return repr(node.value) if node.raw is None or isinstance(node.value, str) else node.raw


def _key_origin(tree: Mapping, path: str) -> Origin:
    parts = path.split(".")
    for size in range(len(parts) - 1, -1, -1):  # a key may itself hold dots
        section = find(tree, ".".join(parts[:size]))
        if isinstance(section, Mapping):
            return section.keys.get(".".join(parts[size:]), section.origin)
    return tree.origin


def _did_you_mean(schema: type[Config], tree: Mapping, path: str, origin: Origin, lookup: Lookup) -> str:
    paths = [field.path for field in fields_of(schema, tree, lookup)]
    if origin.kind == "env":  # a variable without a section sets no value
        paths = [known for known in paths if "." in known]
    section = path.rpartition(".")[0]
    name = find(tree, f"{section}.name") if section else None
    if name is not None and name.beaten and plain(name) != plain(name.beaten[0]):
        return f"it was set for {plain(name.beaten[0])!r}; to replace the whole section write '{section}!:'"
    best = nearest_path(path, paths)
    if best is None:
        return ""
    if origin.kind == "env":
        return f"did you mean {env_name(best)}?"
    return f"did you mean {'--' if origin.kind == 'flag' else ''}{best}?"


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """One field that a config can set: its dotted path, the class that declares it, and pydantic's view of it."""

    path: str
    owner: type[BaseModel]
    name: str


def fields_of(schema: type[BaseModel], tree: Node | None, lookup: Lookup, prefix: str = "") -> Iterator[FieldInfo]:
    """Yield every field of a config class, following sections and the components that a tree names."""
    for name, field in schema.model_fields.items():
        path = f"{prefix}{name}"
        yield FieldInfo(path, schema, name)
        inner_tree = find(tree, name) if tree is not None else None
        inner = _section_class(field.annotation, field.metadata, inner_tree, lookup)
        if inner is not None:
            yield from fields_of(inner, inner_tree, lookup, f"{path}.")
        elif get_origin(field.annotation) is list and isinstance(inner_tree, Sequence):
            kind, *metadata = _unwrapped(get_args(field.annotation)[0])
            for number, item in enumerate(inner_tree.items):
                inner = _section_class(kind, metadata, item, lookup)
                if inner is not None:
                    yield from fields_of(inner, item, lookup, f"{path}.{number}.")


def _unwrapped(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) is Annotated else (kind,)


def _section_class(kind: Any, metadata: list[Any], tree: Node | None, lookup: Lookup) -> type[BaseModel] | None:
    slot = next((item for item in metadata if isinstance(item, Slot)), None)
    if slot is not None:
        name = tree if tree is None or isinstance(tree, Scalar) else find(tree, "name")
        if not isinstance(name, Scalar) or not isinstance(name.value, str):
            return ComponentConfig
        try:
            return lookup(slot.category, name.value)
        except ComponentError:
            return ComponentConfig
    for candidate in (kind, *get_args(kind)):
        if inspect.isclass(candidate) and issubclass(candidate, BaseModel):
            return candidate
    return None


@functools.cache
def default_origin(owner: type[BaseModel], name: str) -> Origin:
    """Return where a field's default is written: the line of the field in its class."""
    for base in owner.__mro__:
        if name in inspect.get_annotations(base):
            source, lines = _field_lines(base)
            return Origin("default", source, lines.get(name, 0))
    return Origin("default", f"{owner.__module__}.{owner.__qualname__}")


@functools.cache
def _field_lines(owner: type) -> tuple[str, dict[str, int]]:
    try:
        file = Path(inspect.getsourcefile(owner) or "")
        body = ast.parse(file.read_text())
    except (OSError, TypeError, SyntaxError):
        return f"{owner.__module__}.{owner.__qualname__}", {}
    for node in ast.walk(body):
        if isinstance(node, ast.ClassDef) and node.name == owner.__name__:
            found = [s for s in node.body if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)]
            return shown_path(file), {s.target.id: s.lineno for s in found if isinstance(s.target, ast.Name)}
    return shown_path(file), {}


def shown_path(file: Path) -> str:
    """Return a path as a person would type it here: relative to this folder, or to where Python found it."""
    resolved = file.resolve()
    for base in (Path.cwd(), *(Path(entry) for entry in sys.path if entry)):
        if resolved.is_relative_to(base.resolve()):
            return str(resolved.relative_to(base.resolve()))
    return str(file)


@functools.cache
def _kinds_of(owner: type[BaseModel], name: str) -> tuple[Any, ...]:
    return tuple(_alternatives(owner.model_fields[name].annotation)) if name in owner.model_fields else ()


def _alternatives(kind: Any) -> Iterator[Any]:
    """Yield the members of a union; anything else is its own only one."""
    if get_origin(kind) is Annotated:
        yield from _alternatives(get_args(kind)[0])
    elif get_origin(kind) in (Union, UnionType):
        for member in get_args(kind):
            yield from _alternatives(member)
    else:
        yield kind


def _misreads(kinds: tuple[Any, ...], value: object) -> bool:
    """Return whether pydantic would take a boolean in a value for a number."""
    if isinstance(value, bool):
        return any(_is_number(kind) for kind in kinds) and not any(_takes_bool(kind) for kind in kinds)
    if isinstance(value, list | dict):
        inner = [arg for kind in kinds for arg in get_args(kind)[1 if isinstance(value, dict) else 0 :]]
        alternatives = tuple(one for arg in inner for one in _alternatives(arg))
        items = value.values() if isinstance(value, dict) else value
        return any(_misreads(alternatives, item) for item in items)
    return False


def _is_number(kind: Any) -> bool:
    return isinstance(kind, type) and get_origin(kind) is None and issubclass(kind, int | float) and kind is not bool


def _takes_bool(kind: Any) -> bool:
    literal = get_origin(kind) is Literal and any(isinstance(value, bool) for value in get_args(kind))
    return literal or kind in (bool, Any, object)


__all__ = [
    "Checked",
    "ComponentConfig",
    "Config",
    "Lookup",
    "component",
    "default_origin",
    "fields_of",
    "validate",
]
