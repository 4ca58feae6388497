"""From a validated config to plain values with the origin of each: schema, values and tree are walked together."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr

from burnish.config.fields import Field, SmartKind, shape
from burnish.config.layer import Mapping, Node, Plain, Scalar, Sequence
from burnish.config.origin import Origin

_NOT_IN_GROUP = frozenset({"name", "group", "seed", "tags", "retry", "tracking"})
_NEVER_IN_GROUP = frozenset({"seed", "run_name", "output_dir", "output_path", "logging_dir"})


@dataclass(slots=True)
class Frozen:
    """Plain values and what is known of each.

    Attributes:
        values: The config as plain values, defaults included.
        origins: Where each leaf was written; of a default its field, since finding the line means reading source.
        smart: Leaves that are chosen where the run starts.
        secret: Leaves whose type says that they are credentials.
        computed: Fields that the schema computes: value and what it was computed from.
    """

    values: dict[str, Plain]
    origins: dict[str, Origin | Field] = field(default_factory=dict)
    smart: dict[str, SmartKind] = field(default_factory=dict)
    secret: set[str] = field(default_factory=set)
    computed: dict[str, tuple[Plain, Origin]] = field(default_factory=dict)


def freeze(config: BaseModel, tree: Mapping) -> Frozen:
    """Return the values of a config, each with the place where it was written."""
    frozen = Frozen(config.model_dump(mode="json"))
    _model(config, frozen.values, tree, "", frozen)
    return frozen


def _model(
    config: BaseModel,
    values: dict[str, Plain],
    node: Node | None,
    prefix: str,
    frozen: Frozen,
    holder: Field | None = None,
) -> None:
    """Note the origins inside a section; `holder` is the field that names the component by its default."""
    items = node.items if isinstance(node, Mapping) else {}
    for name, found in shape(type(config)).items():
        written = items.get(name)
        if written is None and name == "name" and isinstance(node, Scalar):
            written = node  # `model: gpt` says the component's name; its other fields are defaults
        if written is None and holder is not None and name == "name":
            frozen.origins[f"{prefix}{name}"] = holder
            continue
        _field(found, config.__dict__[name], values, written, f"{prefix}{name}", frozen)
    for name in type(config).model_computed_fields:
        # What is computed is shown, and written nowhere: it could not be read back.
        value = values.pop(name, None)
        frozen.computed[f"{prefix}{name}"] = value, _computed_from(config, name, prefix)


def _field(found: Field, value: Any, values: dict[str, Plain], written: Node | None, path: str, frozen: Frozen) -> None:
    if found.smart is not None:
        frozen.smart[path] = found.smart
    if found.is_secret:
        frozen.secret.add(path)
        if isinstance(value, SecretStr | SecretBytes):
            secret = value.get_secret_value()
            values[found.name] = secret if isinstance(secret, str) else secret.decode(errors="replace")
    inside = values[found.name]
    if isinstance(value, BaseModel) and isinstance(inside, dict):
        is_component = found.holds is not None and found.holds.category != ""
        _model(value, inside, written, f"{path}.", frozen, found if is_component else None)
    elif not isinstance(inside, dict | list) or not inside:
        frozen.origins[path] = written.origin if written is not None else found
    else:
        _plain(value, inside, written, path, found, frozen)


def _plain(value: Any, inside: Plain, written: Node | None, path: str, found: Field, frozen: Frozen) -> None:
    """Note the origins inside a list or mapping, whose elements may be sections of their own."""
    if isinstance(value, BaseModel) and isinstance(inside, dict):
        is_component = found.elements is not None and found.elements.category != ""
        _model(value, inside, written, f"{path}.", frozen, found if is_component else None)
    elif isinstance(inside, dict) and inside:
        below = written.items if isinstance(written, Mapping) else {}
        for key, item in inside.items():
            inner = value.get(key) if isinstance(value, dict) else None
            _plain(inner, item, below.get(key, _above(written)), f"{path}.{key}", found, frozen)
    elif isinstance(inside, list) and inside:
        elements = written.items if isinstance(written, Sequence) else ()
        values = list(value) if isinstance(value, list | tuple) else []
        for number, item in enumerate(inside):
            at = elements[number] if number < len(elements) else _above(written)
            _plain(values[number] if values else None, item, at, f"{path}.{number}", found, frozen)
    else:
        frozen.origins[path] = written.origin if written is not None else found


def _above(written: Node | None) -> Node | None:
    """Return what stands for the elements that the schema made of one value."""
    return written if isinstance(written, Scalar) else None


def secret_texts(node: Node, secret: Container[str], path: str = "", *, is_secret: bool = False) -> Iterator[str]:
    """Yield the text of every credential that was ever given, winners and losers.

    Args:
        node: The merged tree.
        secret: Paths whose type says that they are credentials.
        path: Where the node stands.
        is_secret: Whether it stands below a credential's name.
    """
    from burnish.core.secrets import is_secret_name  # only what is shown or kept asks

    hidden = is_secret or path in secret or is_secret_name(path)
    for given in (node, *node.beaten):
        if isinstance(given, Scalar):
            texts = {given.raw, given.value if isinstance(given.value, str) else str(given.value)}
            yield from (text for text in texts if text and hidden)
            continue
        inner = given.items.items() if isinstance(given, Mapping) else enumerate(given.items)
        for key, item in inner:
            yield from secret_texts(item, secret, f"{path}.{key}" if path else str(key), is_secret=hidden)


class _Reading:
    """Stands for a config while one of its computed fields is worked out, and notes what that looks at."""

    def __init__(self, config: BaseModel, prefix: str, reads: list[str]) -> None:
        self._about = config, prefix, reads

    def __getattr__(self, name: str) -> Any:
        config, prefix, reads = self._about
        attribute = getattr(type(config), name, None)
        if isinstance(attribute, property) and attribute.fget is not None:
            return attribute.fget(self)
        if name not in type(config).model_fields:
            return getattr(config, name)
        value = config.__dict__[name]
        if isinstance(value, BaseModel):
            return _Reading(value, f"{prefix}{name}.", reads)
        if f"{prefix}{name}" not in reads:
            reads.append(f"{prefix}{name}")
        return value


def _computed_from(config: BaseModel, name: str, prefix: str) -> Origin:
    reads: list[str] = []
    computed = type(config).model_computed_fields[name].wrapped_property
    function = getattr(computed, "fget", None) or getattr(computed, "func", None)
    try:
        if function is not None:
            function(_Reading(config, prefix, reads))
    except Exception:  # noqa: BLE001  the user's own property, which has worked on the config itself already
        reads.append("…")
    return Origin("computed", ", ".join(reads) or "nothing else")


def digest(value: Plain) -> str:
    """Return a hash that the same values give, whatever their order."""
    import hashlib  # a script that only reads its config needs neither
    import json

    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def without_seeds(values: dict[str, Plain]) -> Plain:
    """Return what runs have in common that are repeats of each other: no seeds, names or output paths."""

    def strip(value: Plain) -> Plain:
        if isinstance(value, dict):
            return {key: strip(item) for key, item in value.items() if key not in _NEVER_IN_GROUP}
        return [strip(item) for item in value] if isinstance(value, list) else value

    return strip({key: item for key, item in values.items() if key not in _NOT_IN_GROUP})
