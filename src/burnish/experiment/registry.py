"""Components by category and name: built-ins, what users register, and `module:object` written out."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from burnish.config import ComponentConfig, Config
from burnish.config.fields import shown_path
from burnish.core.errors import ComponentError
from burnish.core.nearest import nearest
from burnish.core.paths import find_project
from burnish.experiment.base import Experiment
from burnish.experiment.components.catalog import BUILTINS, DEFAULT_CONFIGS

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Registration:
    """One component.

    Attributes:
        category: Such as `models`, `datasets`, `experiments`.
        name: What configs call it.
        target: The object, or where it is: `module:object`, imported when first used.
        config: Its config class, or where that is, in a module that needs no torch.
        place: Where it was registered, for messages.
    """

    category: str
    name: str
    target: object
    config: object
    place: str


_registered: dict[tuple[str, str], Registration] = {}
_configs: dict[tuple[str, str], type[Config]] = {}


def register(category: str, name: str, *, config: type[Config] | None = None) -> Callable[[T], T]:
    """Make a class or function known under a name that configs can use.

    Args:
        category: Such as `models` or `rewards`.
        name: What configs call it.
        config: Its config class; an experiment's own `Config` is found by itself.

    Raises:
        ComponentError: Another object has this name already.
    """

    def decorate(target: T) -> T:
        place = f"{getattr(target, '__module__', '?')}.{getattr(target, '__qualname__', '?')}"
        add(Registration(category, name, target, config or _own_config(category, target), place))
        return target

    return decorate


def add(registration: Registration) -> None:
    """Register a component.

    Raises:
        ComponentError: Another object has this name already.
    """
    key = (registration.category, registration.name)
    existing = _registered.get(key)
    if existing is not None and existing.place != registration.place:
        raise ComponentError(
            f"two {registration.category} are called {registration.name!r}: {existing.place} and {registration.place}"
        )
    _registered[key] = registration
    _configs.pop(key, None)


def names(category: str) -> list[str]:
    """Return the names that a category has."""
    _load_builtins()
    return sorted(name for cat, name in _registered if cat == category)


def categories() -> list[str]:
    """Return the categories that have a component."""
    _load_builtins()
    return sorted({category for category, _ in _registered})


def find(category: str, name: str) -> Registration:
    """Return a registration, by name or as `module:object`.

    Raises:
        ComponentError: There is none; the message lists what there is.
    """
    _load_builtins()
    if (category, name) in _registered:
        return _registered[category, name]
    if ":" in name:
        return _find_by_place(category, name)
    known = names(category)
    best = nearest(name, known)
    hint = f"did you mean {best}?" if best else f"there are {', '.join(known) or 'none'}; or name one as module:object"
    raise ComponentError(f"no {category} component is called {name!r}", hint=hint)


def load(category: str, name: str) -> Any:
    """Return the component itself, importing it if need be.

    Raises:
        ComponentError: There is none, or it cannot be imported.
    """
    found = find(category, name)
    return _resolve(found.target, f"{category} component {name!r}")


def config_of(category: str, name: str) -> type[Config]:
    """Return a component's config class, without importing the component.

    Raises:
        ComponentError: There is none.
    """
    known = _configs.get((category, name))
    if known is None:
        found = find(category, name)
        known = _configs[category, name] = _resolve(found.config, f"config of {category} component {name!r}")
    return known


def _find_by_place(category: str, name: str) -> Registration:
    """Return the registration of an object written as `module:object`, with the config that it was given there.

    Raises:
        ComponentError: It cannot be imported, or is no component of this category.
    """
    target = _import(name, f"{category} component {name!r}")
    for registration in _registered.values():
        if registration.category == category and registration.target is target:
            return registration
    if category == "experiments" and not (isinstance(target, type) and issubclass(target, Experiment)):
        raise ComponentError(f"experiments component {name!r} is no subclass of burnish.Experiment")
    return Registration(category, name, target, _own_config(category, target), name)


def _own_config(category: str, target: object) -> object:
    return getattr(target, "Config", None) or DEFAULT_CONFIGS.get(category, ComponentConfig)


def _resolve(target: object, what: str) -> Any:
    return _import(target, what) if isinstance(target, str) else target


def _import(place: str, what: str) -> Any:
    module, _, attribute = place.partition(":")
    # A user's own module lies in the project or where the command was typed, which `python -m` and the console
    # script do not both add.
    if not module.startswith("burnish."):
        for folder in (str(find_project().root), str(Path.cwd())):
            if folder not in sys.path:
                sys.path.insert(0, folder)
    try:
        return getattr(import_module(module), attribute)
    except ImportError as error:
        raise ComponentError(f"{what} cannot be imported: {error}", hint=_install_hint(error)) from error
    except AttributeError as error:
        if module in sys.modules and not hasattr(sys.modules[module], attribute):
            raise ComponentError(f"{what}: module {module} has no {attribute!r}") from error
        raise _broken(what, error) from error
    except (Exception, SystemExit) as error:  # whatever a user's module raises when imported is the user's to see
        raise _broken(what, error) from error


def _broken(what: str, error: BaseException) -> ComponentError:
    return ComponentError(f"{what} cannot be imported: {type(error).__name__}: {error}, at {_last_line(error)}")


def _last_line(error: BaseException) -> str:
    """Return where in a module importing it failed."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{shown_path(Path(error.filename))}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    return f"{shown_path(Path(frames[-1].filename))}:{frames[-1].lineno}" if frames else ""


def _install_hint(error: ImportError) -> str:
    wanted = {"torch", "transformers", "trl", "peft", "datasets", "reasoning_gym", "accelerate"}
    return "pip install 'burnish[trl]'" if (error.name or "").split(".")[0] in wanted else ""


def _load_builtins() -> None:
    if ("experiments", "sft") not in _registered:
        for category, name, target, config in BUILTINS:
            add(Registration(category, name, target, config, target))
