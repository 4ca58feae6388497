"""JSON Schema (2020-12) of an experiment's config as people write it in files, for editors.

A file may be partial and extend others, so nothing is required but the `name` of a component in a list. Every value
may be `~delete` or text with `${…}`; every key may end in `+` or `!`; lists may be addressed by element.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import NoneType
from typing import Any, Literal, TypeAlias, get_args, get_origin

from pydantic import BaseModel, PydanticSchemaGenerationError, PydanticUserError, TypeAdapter
from pydantic.fields import FieldInfo

from burnish.config.fields import Field, Holds, Lookup, shape
from burnish.config.fit import default_tree
from burnish.config.layer import plain
from burnish.config.schema import Config
from burnish.core.errors import ComponentError

Schema: TypeAlias = dict[str, Any]

Names: TypeAlias = Callable[[str], Sequence[str]]
"""The names of the components of a category."""

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_PLACE = {"type": "string", "pattern": r"^[\w.]+:[\w.]+$", "description": "module:object"}
_REFERENCE = {"type": "string", "pattern": r"\$\{", "description": "a reference: ${a.b}, ${env:NAME}, ${= a * b}"}
_DELETE = {"const": "~delete", "description": "removes what lower layers say"}
_WRITTEN = {"anyOf": [_REFERENCE, _DELETE]}
_TEXT = ["string", "number", "boolean"]  # a field typed `str` gets a value's text as it was written
_ANY_PATH = r"^[^.\s]+\..+"
_ELEMENTS = r"^([0-9]+|\[[^\[\]]+\])$"
_FORMS = "[+!]$"


def config_schema(names: Sequence[str], lookup: Lookup, components: Names) -> Schema:
    """Return the schema of the files of one or several experiments.

    Args:
        names: What the files call the experiments; each file is checked by its own `experiment`.
        lookup: Finds the config class of a component.
        components: Lists the components that a slot can hold.

    Raises:
        ComponentError: There is no such experiment.
    """
    builder = _Builder(lookup, components)
    kinds = {name: builder.experiment(name, lookup("experiments", name)) for name in names}
    title = f"Burnish experiment {names[0]}" if len(names) == 1 else "Burnish experiment"
    head: Schema = {"$schema": DIALECT, "title": title}
    if len(kinds) == 1:
        return {**head, **next(iter(kinds.values())), "$defs": builder.finished()}
    builder.defs |= {f"experiment {name}": kind for name, kind in kinds.items()}
    own = [_when_named("experiment", name, _ref(f"experiment {name}")) for name in kinds]
    nameless = {
        "if": {"not": {"required": ["experiment"]}},
        "then": {"anyOf": [_ref(f"experiment {name}") for name in kinds]},
    }
    return {**head, "type": "object", "allOf": [*own, nameless], "$defs": builder.finished()}


@dataclass(slots=True)
class _Builder:
    """Collects the schemas of sections and components as it meets them."""

    lookup: Lookup
    components: Names
    defs: dict[str, Schema] = field(default_factory=dict)
    names: dict[type[BaseModel], str] = field(default_factory=dict)

    def finished(self) -> dict[str, Schema]:
        return {**self.defs, "sweep": _SWEEP, "written": _WRITTEN}

    def experiment(self, name: str, kind: type[BaseModel]) -> Schema:
        """Return the schema of the files of an experiment."""
        found = self.body(kind)
        named = _or_written({"anyOf": [{"enum": sorted({name, *self.components("experiments")})}, _PLACE]})
        found["properties"] |= {
            "experiment": {"description": "the experiment component that trains", **named},
            "extends": {
                "description": "files that this one stands over, relative to it",
                "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
            },
            "sweep": _ref("sweep"),
            "run": {"description": "variants, each a run of its own", "type": "array", "items": {"type": "object"}},
        }
        found["patternProperties"][_ANY_PATH] = {"description": "a value by its path"}
        return found

    def section(self, kind: type[BaseModel]) -> Schema:
        """Return a reference to the schema of a config class."""
        if kind not in self.names:
            name = kind.__name__
            if name in self.names.values():
                name = f"{kind.__module__}.{name}"
            self.names[kind] = name
            self.defs[name] = self.body(kind)
        return _ref(self.names[kind])

    def body(self, kind: type[BaseModel]) -> Schema:
        """Return the schema of a config class, as it is written."""
        properties = {name: self.field(found) for name, found in shape(kind).items()}
        properties |= self.renamed(kind)
        patterns: dict[str, Schema] = {}
        for name, found in shape(kind).items():
            patterns[f"^{re.escape(name)}{_FORMS}"] = properties[name]
            if found.is_list:
                patterns[rf"^{re.escape(name)}\[[^\[\]]+\]$"] = {"description": f"an element of {name} by its name"}
        takes_more = kind.model_config.get("extra") == "allow"
        about = kind.__doc__.strip().partition("\n")[0] if kind.__doc__ and issubclass(kind, Config) else ""
        return {
            **({"description": about} if about else {}),
            "type": "object",
            "properties": properties,
            "patternProperties": patterns,
            "additionalProperties": takes_more,
        }

    def renamed(self, kind: type[BaseModel]) -> dict[str, Schema]:
        """Return the old names of fields."""
        old = kind.renamed if issubclass(kind, Config) else {}
        return {name: {"deprecated": True, "description": f"is now {new}"} for name, new in old.items()}

    def field(self, found: Field) -> Schema:
        """Return the schema of a field: what it is, or a reference, or what removes it."""
        choices = [self.kind(found, kind) for kind in found.kinds if not _is_section(found.holds, kind)]
        sections = [self.held(found.holds)] if found.holds is not None else []
        sections += [choice for choice in choices if choice.get("type") == "object"]
        if found.is_list:
            sections.append({"patternProperties": {_ELEMENTS: {}}, "additionalProperties": False})
        others = [choice for choice in choices if choice.get("type") != "object"]
        if found.holds is not None and found.holds.category:
            others.append(self.held(found.holds))
        return {**_about(found), **_by_form(sections, others)}

    def kind(self, found: Field, kind: type[object]) -> Schema:
        """Return the schema of one alternative of a field's type."""
        outer = get_origin(kind)
        if found.elements is None or outer not in (list, dict, tuple):
            return self.plain(kind, found.info)
        inside = self.held(found.elements, is_element=True)
        if outer is dict:
            return {"type": "object", "additionalProperties": _or_written(inside)}
        return {"type": "array", "items": _or_written(inside), **_lengths(found.info)}

    def plain(self, kind: type[object], info: FieldInfo) -> Schema:
        """Return the schema of a value that is no section, with the limits of its field."""
        if kind is NoneType:
            return {"type": "null"}
        if get_origin(kind) is Literal:
            return {"enum": list(get_args(kind))}
        try:
            found: Schema = TypeAdapter(kind).json_schema(ref_template="#/$defs/type%20{model}")
        except (PydanticUserError, PydanticSchemaGenerationError):
            return {}  # a type of the user's own, of which JSON Schema knows nothing
        self.defs |= {f"type {name}": inner for name, inner in found.pop("$defs", {}).items()}
        if found.get("type") in ("integer", "number"):
            return {**found, **_limits(info)}
        if found.get("type") == "array":
            return {**found, **_lengths(info)}
        return {**found, "type": _TEXT, **_lengths(info, "Length")} if found.get("type") == "string" else found

    def held(self, holds: Holds, *, is_element: bool = False) -> Schema:
        """Return the schema of a section, or of a component with those of its category to choose from."""
        if not holds.category:
            return _one_of([self.section(kind) for kind in holds.classes])
        name = f"{holds.category} component"
        if name not in self.defs:
            self.defs[name] = {}  # a component may hold others of its own category
            self.defs[name] = self.component(holds.category)
        return {"allOf": [_ref(name), _NAMED]} if is_element else _ref(name)

    def component(self, category: str) -> Schema:
        """Return the schema of a component: its bare name, or a section whose other keys the name decides."""
        known = list(self.components(category))
        fields: dict[str, Schema] = {}
        cases: list[Schema] = []
        for name in known:
            try:
                kind = self.lookup(category, name)
            except ComponentError:  # its extra is not installed: then nothing is known of its fields
                continue
            cases.append(_when_named("name", name, self.section(kind)))
            fields |= {key: {} for key in shape(kind)}
        named = _or_written({"anyOf": [{"enum": known}, _PLACE]})
        # Without a name it goes on with a component that a lower layer names, which may be any of them.
        patterns: Schema = {f"^{re.escape(key)}{_FORMS}": {} for key in fields}
        nameless = {"properties": fields, "patternProperties": patterns, "additionalProperties": False}
        cases.append({"if": {"not": {"required": ["name"]}}, "then": nameless})
        section = {"properties": {"name": named}, "allOf": cases}
        return {"if": {"type": "object"}, "then": section, "else": named}


_NAMED = {"if": {"type": "object"}, "then": {"required": ["name"]}}

_SWEEP: Schema = {
    "description": "what to vary: several runs of this file",
    "type": "object",
    "properties": {
        "grid": {"type": "object", "description": "lists of values; every combination runs"},
        "zip": {"description": "lists of equal length that move together"},
        "sample": {"type": "object", "description": "random draws: n, seed and space"},
        "include": {"type": "array", "description": "variants besides"},
        "exclude": {"type": "array", "description": "variants to leave out"},
    },
    "additionalProperties": False,
}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name.replace('~', '~0').replace('/', '~1').replace(' ', '%20')}"}


def _one_of(choices: Sequence[Schema]) -> Schema:
    """Return the schema of what fits any of several: alone where there is one, so that an editor says what is wrong."""
    unique = [choice for number, choice in enumerate(choices) if choice not in choices[:number]]
    return unique[0] if len(unique) == 1 else {"anyOf": unique} if unique else {}


def _or_written(choice: Schema) -> Schema:
    return {"if": _ref("written"), "then": {}, "else": choice}


def _by_form(sections: Sequence[Schema], others: Sequence[Schema]) -> Schema:
    """Return the schema of a value that is a section, or of one that is none."""
    other = _or_written(_one_of(others)) if others else _ref("written")
    return {"if": {"type": "object"}, "then": _one_of(sections), "else": other} if sections else other


def _when_named(key: str, name: str, then: Schema) -> Schema:
    return {"if": {"properties": {key: {"const": name}}, "required": [key]}, "then": then}


def _is_section(holds: Holds | None, kind: object) -> bool:
    return holds is not None and isinstance(kind, type) and get_origin(kind) is None and issubclass(kind, BaseModel)


def _about(found: Field) -> Schema:
    """Return what an editor shows of a field: meaning, unit, default, whether it is deprecated."""
    about: Schema = {}
    unit = f"[{found.unit}]" if found.unit else ""
    if text := " ".join(filter(None, (found.info.description, unit))):
        about["description"] = text
    default = default_tree(found)
    if default is not None and not found.is_secret:
        about["default"] = plain(default)
    if found.info.deprecated:
        about["deprecated"] = True
    return about


_NUMBERS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
}


def _limits(info: FieldInfo) -> Schema:
    return {
        word: limit
        for rule in info.metadata
        for name, word in _NUMBERS.items()
        if (limit := getattr(rule, name, None)) is not None
    }


def _lengths(info: FieldInfo, what: str = "Items") -> Schema:
    found: Schema = {}
    for rule in info.metadata:
        for name, word in (("min_length", f"min{what}"), ("max_length", f"max{what}")):
            if (limit := getattr(rule, name, None)) is not None:
                found[word] = limit
    return found
