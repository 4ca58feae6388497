"""Python files as layers: `configure(config)` computes values from what stands below it, and says what it read.

    extends = "base.yaml"                    # a literal: read without executing the file
    MACHINE = ["training.batch_size"]        # values that `on_machine` gives, where the run starts

    def configure(config): return {"training": {"warmup_steps": config.training.max_steps // 10}}
    def on_machine(config, machine): return {"training": {"batch_size": 32 if machine.gpus else 4}}
    def check(config): yield "training.batch_size", "must divide 96"

All three functions are optional. Only these files execute; a static look never does that.
"""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Callable, Iterator
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Protocol

from burnish.config.layer import AUTO, Layer, Mapping, Node, Scalar, Sequence, leaves, nested, plain
from burnish.config.merge import merge
from burnish.config.origin import Origin
from burnish.config.sources.flags import is_text
from burnish.config.sources.python import Place, PythonFile, literal, parsed, places_of, words_of
from burnish.core.errors import ConfigError, Problem
from burnish.core.hardware import Machine
from burnish.core.nearest import nearest_path
from burnish.core.secrets import Masker, literals_of_secrets

_SHOWN_READS = 4
_DEEPEST = 100
_MOST_BITS = 3000  # some 900 digits: no setting needs them, and Python refuses to print many more


class Below(Protocol):
    """What a Python layer can ask of the config."""

    def node(self, path: str) -> Node | None:
        """Return what stands at a path, references followed and the schema's default where nobody wrote one."""


class View(MappingABC[str, Any]):
    """A section of the config, read-only: `config.training.max_steps`, `config["training"]`, `config.get("a.b", 0)`."""

    __slots__ = ("_below", "_path", "_reads", "_section")

    def __init__(self, below: Below, section: Node | None, reads: list[str], path: str = "") -> None:
        self._below = below
        self._section = section
        self._reads = reads
        self._path = path

    def __getitem__(self, key: str) -> Any:
        path = f"{self._path}.{key}" if self._path else key
        node = self._below.node(path)
        if node is None:
            known = [name for name, _ in leaves(self._section)] if self._section is not None else []
            best = nearest_path(key, known)
            raise KeyError(f"the config has no {path!r} here" + (f"; did you mean {best!r}?" if best else ""))
        if isinstance(node, Mapping):
            return View(self._below, node, self._reads, path)
        if path not in self._reads:
            self._reads.append(path)
        return plain(node)

    def __getattr__(self, key: str) -> Any:
        try:
            return self[key]
        except KeyError as error:
            raise AttributeError(error.args[0]) from None

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value at a dotted path, `default` where there is none."""
        try:
            return self[key]
        except KeyError:
            return default

    def __iter__(self) -> Iterator[str]:
        return iter(self._section.items if isinstance(self._section, Mapping) else ())

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True, slots=True, eq=False)
class PythonLayer:
    """What an executed Python file brings.

    Attributes:
        layer: What `configure` returned, and `auto` for the values of `on_machine`.
        reads: The values that `configure` looked at.
        machine: The paths that `on_machine` gives.
    """

    file: PythonFile
    layer: Layer
    reads: tuple[str, ...]
    machine: tuple[str, ...] = ()
    functions: dict[str, Any] = field(default_factory=dict, repr=False)

    def on_machine(self, below: Below, section: Node, machine: Machine) -> Mapping:
        """Return what the file's `on_machine` says for a machine.

        Raises:
            ConfigError: It raised, or does not give what `MACHINE` names.
        """
        reads: list[str] = []
        returned = _call(self.file, self.functions["on_machine"], View(below, section, reads), machine)
        places = places_of(self.file, "on_machine")
        tree = _returned(self.file, "on_machine", returned, places, f"on {machine.summary}")
        given = {path for path, _ in leaves(tree) if path}
        odd = sorted(given.symmetric_difference(self.machine))
        if odd:
            what = "names it and on_machine does not give it" if odd[0] in self.machine else "does not name it"
            raise ConfigError([Problem(f"{odd[0]}: MACHINE {what}", str(places[""].origin))])
        return tree

    def check(self, below: Below, section: Node) -> list[tuple[str, str]]:
        """Return what the file's `check` finds wrong: path and message.

        Raises:
            ConfigError: It raised anything but ValueError, or says what is no finding.
        """
        found: list[tuple[str, str]] = []
        view = View(below, section, [])
        if "check" not in self.functions:
            return found
        for item in _call(self.file, lambda: list(self.functions["check"](view) or ())):
            if not (isinstance(item, tuple) and len(item) == 2 and all(isinstance(part, str) for part in item)):
                where = str(places_of(self.file, "check")[""].origin)
                raise ConfigError([Problem(f"check yields pairs of a path and a message, not {item!r}", where)])
            found.append(item)
        return found


def execute(file: PythonFile, below: Below, section: Mapping) -> PythonLayer:
    """Execute a Python file and call its `configure`.

    Args:
        file: The file.
        below: Answers what it asks of the config below it.
        section: The tree below it.

    Raises:
        ConfigError: It raised, or returned what no layer can hold.
    """
    names = _call(file, _namespace, file)
    functions = {name: names[name] for name in ("configure", "on_machine", "check") if callable(names.get(name))}
    if not functions:
        raise ConfigError([Problem("no function 'configure(config)' in this file", file.name)])
    machine = _machine_keys(file, functions)
    reads: list[str] = []
    tree = Mapping({}, Origin("file", file.name, 1, 1))
    if "configure" in functions:
        returned = _call(file, functions["configure"], View(below, section, reads))
        tree = _returned(file, "configure", returned, places_of(file, "configure"), _read_note(reads))
    for path, origin in machine.items():
        tree = merge(tree, nested(path, Scalar(AUTO, origin.with_note("until the run starts"))))
    return PythonLayer(file, Layer(file.name, tree), tuple(reads), tuple(machine), functions)


def _read_note(reads: list[str]) -> str:
    if not reads:
        return ""
    shown = ", ".join(reads[:_SHOWN_READS])
    more = f" and {len(reads) - _SHOWN_READS} more" if len(reads) > _SHOWN_READS else ""
    return f"computed from {shown}{more}"


def _namespace(file: PythonFile) -> dict[str, Any]:
    module = ModuleType(f"burnish_layer_{file.path.stem}")
    module.__file__ = str(file.path)
    sys.path.insert(0, str(file.path.parent))
    sys.modules[module.__name__] = module  # dataclasses and pickle look a class's module up
    try:
        exec(_code(file), module.__dict__)
    finally:
        sys.path.remove(str(file.path.parent))
    return module.__dict__


def _code(file: PythonFile) -> CodeType:
    return compile(parsed(file), str(file.path), "exec")


def _machine_keys(file: PythonFile, functions: dict[str, Any]) -> dict[str, Origin]:
    node = literal(file, "MACHINE")
    if ("on_machine" in functions) != (node is not None):
        missing = "MACHINE = [...] beside 'on_machine'" if node is None else "function 'on_machine' beside MACHINE"
        raise ConfigError([Problem(f"no {missing} in this file", file.name)])
    found = words_of(node) if node is not None else []
    if node is not None and not found:
        raise ConfigError([Problem("MACHINE is a list of keys, written out", f"{file.name}:{node.lineno}")])
    return {text: Origin("file", file.name, line, column) for text, line, column in found}


def _call(file: PythonFile, function: Callable[..., Any], *arguments: object) -> Any:
    """Call what a user wrote; what it raises becomes a mistake at the line of the file that raised it."""
    try:
        with contextlib.redirect_stdout(sys.stderr):  # stdout is the command's result
            return function(*arguments)
    except ConfigError:
        raise
    except (Exception, SystemExit, GeneratorExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        line = next((f":{frame.lineno}" for frame in reversed(frames) if frame.filename == str(file.path)), "")
        try:
            text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
        except Exception:  # noqa: BLE001  an exception of the user's own, whose text is broken too
            text = "(its text cannot be shown)"
        text = Masker(tuple(literals_of_secrets(file.source))).text(text)
        raise ConfigError([Problem(f"{type(error).__name__}: {text}", f"{file.name}{line}")]) from error


def _returned(file: PythonFile, function: str, value: object, places: dict[str, Place], note: str) -> Mapping:
    problems: list[Problem] = []

    def convert(item: object, path: str, origin: Origin, depth: int) -> Node:
        place = places.get(path, Place(origin))
        origin = place.origin
        if depth > _DEEPEST:
            problems.append(Problem(f"nested deeper than {_DEEPEST} levels", str(origin)))
        elif isinstance(item, MappingABC):
            inner = {str(k): convert(v, f"{path}.{k}" if path else str(k), origin, depth + 1) for k, v in item.items()}
            return Mapping(inner, origin, {key: node.origin for key, node in inner.items()})
        elif isinstance(item, list | tuple):
            return Sequence(tuple(convert(v, f"{path}.{n}", origin, depth + 1) for n, v in enumerate(item)), origin)
        else:
            known, leaf = _scalar(item)
            if known:
                return Scalar(leaf, origin.with_note(note) if note and not place.is_constant else origin, None)
            what = f"{function} returned {path or 'a value'} of type {type(item).__name__}"
            problems.append(Problem(what, str(origin), "a layer holds numbers, text, lists and sections"))
        return Scalar(None, origin)

    tree = convert({} if value is None else value, "", places[""].origin, 0)
    if not isinstance(tree, Mapping) and not problems:
        problems.append(Problem(f"{function} returned no section, but {type(value).__name__}", str(places[""].origin)))
    if problems:
        raise ConfigError(problems)
    assert isinstance(tree, Mapping)
    return tree


def _scalar(value: object) -> tuple[bool, bool | int | float | str | None]:
    """Return whether a value of Python's can stand in a config, and as what."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, Path):
        return True, str(value)
    if getattr(value, "shape", None) == () and callable(item := getattr(value, "item", None)):
        value = item()  # a number of numpy's
    if isinstance(value, str):
        return is_text(value), value
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        return False, None
    return (True, value) if isinstance(value, bool | int | float | None) else (False, None)
