"""What there is to set in a config: for help on the command line and for completion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Len, Lt, MaxLen, MinLen
from pydantic import BaseModel, SecretStr

from burnish.config.fields import Field, Lookup, fields_of
from burnish.config.fit import default_tree
from burnish.config.layer import Mapping, Plain, plain
from burnish.config.sources.env import env_name


@dataclass(frozen=True, slots=True)
class Setting:
    """One value that can be set.

    Attributes:
        path: Its dotted path, which is its flag too.
        flags: Its own flags, besides that.
        kind: Its type in words.
        unit: What its number counts; may be empty.
        allowed: What it may be, in words; may be empty.
        is_required: Whether it has no default.
        default: What it is where nobody sets it.
        variable: The environment variable that sets it.
        text: What it means.
    """

    path: str
    flags: tuple[str, ...]
    kind: str
    unit: str
    allowed: str
    is_required: bool
    default: Plain
    variable: str
    text: str

    @property
    def section(self) -> str:
        """The section that it stands in; empty at the top."""
        return self.path.rpartition(".")[0]


def settings_of(schema: type[BaseModel], tree: Mapping | None, lookup: Lookup, prefix: str) -> list[Setting]:
    """Return what can be set, required values first within their section, sections in the order of the classes."""
    every = list(fields_of(schema, tree, lookup))
    named = {f"{path}.name": field.default.name for path, field in every if _names_a_component(field)}
    found = [_setting(path, field, prefix, named.get(path)) for path, field in every if field.holds is None]
    sections = list(dict.fromkeys(setting.section for setting in found))
    return sorted(found, key=lambda setting: (sections.index(setting.section), not setting.is_required))


def _names_a_component(field: Field) -> bool:
    return field.holds is not None and not field.info.is_required() and hasattr(field.default, "name")


def _setting(path: str, field: Field, prefix: str, name: str | None) -> Setting:
    default = default_tree(field)
    return Setting(
        path,
        field.flags,
        " or ".join(dict.fromkeys(_kind(kind) for kind in field.kinds)),
        field.unit,
        ", ".join(_allowed(field)),
        field.info.is_required() and name is None,
        name if name is not None else plain(default) if default is not None else None,
        env_name(path, prefix),
        field.info.description or "",
    )


def _kind(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return "|".join(str(value).lower() if isinstance(value, bool) else str(value) for value in get_args(kind))
    names = {int: "int", float: "float", bool: "bool", str: "text", SecretStr: "text", type(None): "null"}
    if kind in names:
        return names[kind]
    outer = get_origin(kind) or kind
    if outer in (list, tuple, set, frozenset):
        inner = get_args(kind)
        return f"list of {_kind(inner[0])}" if inner and isinstance(inner[0], type) else "list"
    return "section" if outer is dict else getattr(outer, "__name__", str(outer)).lower()


def _allowed(field: Field) -> Iterator[str]:
    for rule in field.info.metadata:
        for kind, sign in ((Ge, "≥"), (Gt, ">"), (Le, "≤"), (Lt, "<")):
            if isinstance(rule, kind):
                yield f"{sign} {getattr(rule, kind.__name__.lower())}"
        shortest = getattr(rule, "min_length", 0) if isinstance(rule, MinLen | Len) else 0
        if shortest:
            yield "not empty" if shortest == 1 else f"at least {shortest}"
        if isinstance(rule, MaxLen | Len) and rule.max_length is not None:
            yield f"at most {rule.max_length}"
