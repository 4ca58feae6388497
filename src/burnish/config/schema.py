"""Types and rules by pydantic: the base of every config class, component slots, and rules across fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, SerializeAsAny, ValidationError, ValidationInfo, model_validator
from pydantic.functional_validators import PlainValidator
from pydantic_core import InitErrorDetails, PydanticCustomError

from burnish.config.fields import Slot, alternatives, shape
from burnish.core.errors import ComponentError

BOOLEAN = "a boolean is not accepted here"


class Config(BaseModel):
    """Base of every config class: unknown keys are mistakes, values never change, a boolean is no number.

    Attributes:
        renamed: Old names of fields and where their values go now, relative to this section:
            `{"adam_beta2": "optimizer.beta2"}`. The old name still works, with a warning.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), ser_json_inf_nan="constants")
    renamed: ClassVar[dict[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _no_boolean_numbers(cls, values: object, info: ValidationInfo) -> object:
        if info.context and info.context.get("booleans_are_checked"):
            return values
        # pydantic would turn `learning_rate: true` into 1.0. One validator a class: one a field doubled the start.
        wrong: list[InitErrorDetails] = [
            InitErrorDetails(type=PydanticCustomError("boolean", BOOLEAN), loc=(name,), input=value)
            for name, value in (values.items() if isinstance(values, dict) else ())
            if isinstance(value, bool | list | dict) and name in cls.model_fields and misreads(cls, name, value)
        ]
        if wrong:
            raise ValidationError.from_exception_data(cls.__name__, wrong)
        return values


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


def broken(path: str, message: str, *, hint: str = "", reads: tuple[str, ...] = ()) -> ValidationError:
    """Return the error for a rule across fields to raise.

        raise broken("learning_rate", "above 0.1 is refused with SGD", reads=("optimizer.name",))

    Args:
        path: The value that is told, relative to the section whose validator raises.
        message: What is wrong with it.
        hint: What to type.
        reads: The other values that the rule looked at; it is not told while one of them is wrong itself.
    """
    context = {"text": message, "hint": hint, "reads": list(reads)}
    error = PydanticCustomError("rule", "{text}", context)
    return ValidationError.from_exception_data("rule", [InitErrorDetails(type=error, loc=_loc(path), input=None)])


def _loc(path: str) -> tuple[int | str, ...]:
    return tuple(int(part) if part.isdecimal() else part for part in path.split(".")) if path else ()


def _lookup(info: ValidationInfo) -> Callable[[str, str], type[Config]]:
    lookup = (info.context or {}).get("lookup")
    if lookup is None:
        raise PydanticCustomError("component", "components cannot be looked up here")
    found: Callable[[str, str], type[Config]] = lookup
    return found


def misreads(owner: type[BaseModel], name: str, value: object) -> bool:
    """Return whether pydantic would take a boolean in a field's value for a number."""
    return _misreads(shape(owner)[name].kinds, value)


def _misreads(kinds: tuple[Any, ...], value: object) -> bool:
    if isinstance(value, bool):
        return any(_is_number(kind) for kind in kinds) and not any(_takes_bool(kind) for kind in kinds)
    if isinstance(value, list | dict):
        inner = [arg for kind in kinds for arg in get_args(kind)[1 if isinstance(value, dict) else 0 :]]
        members = tuple(one for arg in inner for one in alternatives(arg))
        items = value.values() if isinstance(value, dict) else value
        return any(_misreads(members, item) for item in items)
    return False


def _is_number(kind: Any) -> bool:
    return isinstance(kind, type) and get_origin(kind) is None and issubclass(kind, int | float) and kind is not bool


def _takes_bool(kind: Any) -> bool:
    literal = get_origin(kind) is Literal and any(isinstance(value, bool) for value in get_args(kind))
    return literal or kind in (bool, Any, object)
