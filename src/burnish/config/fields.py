"""What a config class can hold: its sections, its component slots, and what each field says of itself."""

from __future__ import annotations

import ast
import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic.fields import FieldInfo

from burnish.config.layer import Mapping, Node, Scalar, Sequence, find
from burnish.config.origin import Origin
from burnish.core.errors import ComponentError

Lookup = Callable[[str, str], type[BaseModel]]
"""Finds the config class of a component: `lookup("models", "tiny-llama")`; raises ComponentError."""

SmartKind = Literal["device", "bf16", "dtype", "local_rank", "world_size", "batch", "accumulation"]
"""What a smart default is chosen by. See `burnish.config.smart`."""


class Slot(NamedTuple):
    """Marks a field that holds a component of a category."""

    category: str


@dataclass(frozen=True, slots=True, init=False)
class Flags:
    """Marks a field that flags of its own set, besides its path: `Annotated[int, Flags("-b", "--batch-size")]`."""

    names: tuple[str, ...]

    def __init__(self, *names: str) -> None:
        object.__setattr__(self, "names", names)


class Unit(NamedTuple):
    """Says what a number counts, for help: `Annotated[float, Unit("s")]`."""

    name: str


class Smart(NamedTuple):
    """Marks a field whose value, where nobody wrote one, is chosen where the run starts."""

    kind: SmartKind


class Holds(NamedTuple):
    """What stands inside a field or list: a component of a category, or one of some config classes."""

    category: str
    classes: tuple[type[BaseModel], ...]

    def config_class(self, node: Node | None, lookup: Lookup) -> type[BaseModel] | None:
        """Return the class that a node is checked against; of several, the one whose `name` it has."""
        name = node if node is None or isinstance(node, Scalar) else find(node, "name")
        text = name.value if isinstance(name, Scalar) and isinstance(name.value, str) else ""
        if not self.category:
            return next((c for c in self.classes if text and text in literal_names(c)), next(iter(self.classes), None))
        try:
            return lookup(self.category, text) if text else self.classes[0]
        except ComponentError:
            return self.classes[0]


class Field(NamedTuple):
    """One field of a config class.

    Attributes:
        owner: The class that has it.
        info: Pydantic's view of it.
        kinds: The alternatives of its type.
        holds: What it holds, if that is a section or a component.
        elements: What its elements are, if it is a list or a mapping of those.
        flags: Its own flags, besides its path.
        unit: What its number counts.
        smart: What its value is chosen by where nobody wrote one.
        is_secret: Whether its type says that it is a credential.
    """

    name: str
    owner: type[BaseModel]
    info: FieldInfo
    kinds: tuple[Any, ...]
    holds: Holds | None
    elements: Holds | None
    flags: tuple[str, ...]
    unit: str
    smart: SmartKind | None
    is_secret: bool

    @property
    def is_list(self) -> bool:
        """Whether it takes a list."""
        return any(get_origin(kind) is list or kind is list for kind in self.kinds)

    @property
    def default(self) -> Any:
        """Its default; `PydanticUndefined` where it has none."""
        return self.info.get_default(call_default_factory=True)

    @property
    def origin(self) -> Origin:
        """Where its default is written."""
        return default_origin(self.owner, self.name)


@functools.cache
def shape(kind: type[BaseModel]) -> dict[str, Field]:
    """Return the fields of a config class by name."""
    return {name: _field(kind, name, info) for name, info in kind.model_fields.items()}


def _field(owner: type[BaseModel], name: str, info: FieldInfo) -> Field:
    kinds = tuple(alternatives(info.annotation))
    inside = [arg for kind in kinds for arg in get_args(kind)[-1:] if get_origin(kind) in (list, dict, tuple)]
    markers = list(info.metadata)
    return Field(
        name,
        owner,
        info,
        kinds,
        _holds(kinds, markers),
        next((found for arg in inside if (found := _holds(tuple(alternatives(arg)), metadata(arg)))), None),
        tuple(flag for m in markers if isinstance(m, Flags) for flag in m.names),
        next((m.name for m in markers if isinstance(m, Unit)), ""),
        next((m.kind for m in markers if isinstance(m, Smart)), None),
        any(isinstance(kind, type) and issubclass(kind, SecretStr | SecretBytes) for kind in kinds),
    )


def _holds(kinds: tuple[Any, ...], markers: list[Any]) -> Holds | None:
    classes = tuple(kind for kind in kinds if inspect.isclass(kind) and issubclass(kind, BaseModel))
    category = next((marker.category for marker in markers if isinstance(marker, Slot)), "")
    return Holds(category, classes) if classes else None


def alternatives(kind: Any) -> Iterator[Any]:
    """Yield the members of a union; anything else is its own only one."""
    if get_origin(kind) is Annotated:
        yield from alternatives(get_args(kind)[0])
    elif get_origin(kind) in (Union, UnionType):
        for member in get_args(kind):
            yield from alternatives(member)
    else:
        yield kind


def metadata(kind: Any) -> list[Any]:
    """Return what `Annotated` says besides the type; of a union's members too."""
    if get_origin(kind) is Annotated:
        return [*get_args(kind)[1:], *metadata(get_args(kind)[0])]
    members = get_args(kind) if get_origin(kind) in (Union, UnionType) else ()
    return [marker for member in members for marker in metadata(member)]


@functools.cache
def literal_names(kind: type[BaseModel]) -> tuple[object, ...]:
    """Return what the `name` of a class may be, where that is written out in its type."""
    name = kind.model_fields.get("name")
    return get_args(name.annotation) if name is not None and get_origin(name.annotation) is Literal else ()


def fields_of(
    kind: type[BaseModel], tree: Node | None, lookup: Lookup, prefix: str = ""
) -> Iterator[tuple[str, Field]]:
    """Yield the path of every field of a config class, following sections and the components that a tree names."""
    for name, field in shape(kind).items():
        path = f"{prefix}{name}"
        yield path, field
        inner = find(tree, name) if tree is not None else None
        if field.holds is not None:
            section = field.holds.config_class(inner if inner is not None else _default_name(field), lookup)
            if section is not None:
                yield from fields_of(section, inner, lookup, f"{path}.")
        elif field.elements is not None:
            for key, item in _elements(inner):
                section = field.elements.config_class(item, lookup)
                if section is not None:
                    yield from fields_of(section, item, lookup, f"{path}.{key}.")


def _default_name(field: Field) -> Node | None:
    """Return the name of the component that a field holds where nobody says."""
    name = getattr(field.default, "name", None) if not field.info.is_required() else None
    return Scalar(name, Origin("default", "")) if isinstance(name, str) else None


def _elements(node: Node | None) -> list[tuple[str, Node]]:
    if isinstance(node, Sequence):
        return [(str(number), item) for number, item in enumerate(node.items)]
    return list(node.items.items()) if isinstance(node, Mapping) else []


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
        classes = _classes(file)
    except (OSError, TypeError, SyntaxError, ValueError):
        return f"{owner.__module__}.{owner.__qualname__}", {}
    return shown_path(file), classes.get(owner.__name__, {})


@functools.cache
def _classes(file: Path) -> dict[str, dict[str, int]]:
    """Return the line of each annotated name of each class in a file."""
    found: dict[str, dict[str, int]] = {}
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ClassDef):
            fields = [s for s in node.body if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)]
            found[node.name] = {s.target.id: s.lineno for s in fields if isinstance(s.target, ast.Name)}
    return found


def _bases() -> tuple[str, ...]:
    return _resolved(tuple(sys.path))


@functools.cache
def _resolved(entries: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(os.path.realpath(entry) for entry in entries if entry)


def shown_path(file: Path) -> str:
    """Return a path as a person would type it here: relative to this folder, or to where Python found it."""
    path = os.path.realpath(file)
    for base in (os.path.realpath("."), *_bases()):
        if path.startswith(base) and path[len(base) : len(base) + 1] == os.sep:
            return path[len(base) + 1 :]
    return str(file)
