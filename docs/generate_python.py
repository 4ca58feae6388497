"""Write docs/reference/python.md from signatures and docstrings: run it by hand after a change to the Python API.

What a module exports, and each public method, is on the page by itself; an order is only told where it helps.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass
from enum import Enum
from importlib import import_module
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Literal, get_args, get_origin

PAGE = Path(__file__).parent / "reference" / "python.md"
_WIDTH = 100
_SECTION = re.compile(r"(Args|Attributes|Returns|Yields|Raises):")
_ITEM = re.compile(r"(?P<names>[\w*., ]+): (?P<text>.*)", re.DOTALL)
_HEAD = """# Python

This page is made from signatures and docstrings by `python docs/generate_python.py`. [Tracking](../guides/tracking.md),
[plain scripts](../guides/plain-scripts.md) and [experiments](../guides/experiments.md) show how the parts are used;
[from other trackers](../guides/from-other-trackers.md) has their names in W&B, MLflow and TensorBoard.

What is not on this page, or begins with an underscore, may change without notice."""


@dataclass(frozen=True)
class Part:
    """A part of the page: the exports of one module.

    Attributes:
        module: Where its names are imported from.
        lead: What stands above them.
        first: Names that come first, in this order.
        only: The names, where the module has others that are no part of the API.
    """

    module: str
    lead: str = ""
    first: tuple[str, ...] = ()
    only: tuple[str, ...] = ()

    def members(self) -> dict[str, object]:
        """Return what is described, by name."""
        module = import_module(self.module)
        names = dict.fromkeys((*self.first, *(self.only or _exports(module))))
        found = {name: getattr(module, name) for name in names}
        return {name: value for name, value in found.items() if isinstance(value, type | FunctionType)}


PARTS = (
    Part("burnish", first=("start_run", "log", "Run", "steps", "runs", "load_config", "Experiment", "register")),
    Part("burnish.track.artifacts", "What `Run.log_artifact` returns.", only=("Artifact",)),
    Part("burnish.analyze", "What `burnish.runs` is made of.", first=("Runs", "Table")),
    Part("burnish.analyze.history", first=("history", "histories"), only=("history", "histories")),
    Part("burnish.analyze.media"),
    Part("burnish.journal", "The files of a run, entry by entry. [The journal](../concepts/journal.md) says why."),
    Part("burnish.journal.view", "Metrics as a chart wants them.", only=("open_view", "MetricsView")),
    Part("burnish.journal.pyramid", only=("Nodes",)),
    Part("burnish.core.paths", only=("RunPaths",)),
    Part("burnish.core.errors"),
)


def render() -> str:
    """Return the page."""
    shown: set[int] = set()
    described = {id(value) for part in PARTS for value in part.members().values()}
    parts, contents = [], []
    for part in PARTS:
        members = {name: value for name, value in part.members().items() if id(value) not in shown}
        shown |= {id(value) for value in members.values()}
        links = [f"[{name}](#{_anchor(_title(part.module, name, value))})" for name, value in members.items()]
        contents.append(f"- [{part.module}](#{_anchor(part.module)}): {', '.join(links)}")
        parts.append(f"## {part.module}")
        parts += [part.lead] if part.lead else _prose(inspect.getdoc(import_module(part.module)) or "")
        for name, value in members.items():
            parts.append(f"### {_title(part.module, name, value)}")
            parts += list(_class(name, value, described) if isinstance(value, type) else _function(name, value))
    return "\n\n".join([_HEAD, "\n".join(contents), *parts]) + "\n"


def _exports(module: ModuleType) -> list[str]:
    """Return what a module exports: its `__all__`, or what it defines without an underscore."""
    told = getattr(module, "__all__", None)
    if told is not None:
        return list(told)
    names = [name for name in vars(module) if not name.startswith("_")]
    return [name for name in names if getattr(getattr(module, name), "__module__", "") == module.__name__]


def _title(module: str, name: str, value: object) -> str:
    return f"class {name}" if isinstance(value, type) else f"{module}.{name}"


def _anchor(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def _function(name: str, value: object, prefix: str = "") -> Iterator[str]:
    assert callable(value)
    yield _block(f"{prefix}{_signature(name, value)}")
    yield from _document(value)


def _class(name: str, kind: type, described: set[int]) -> Iterator[str]:
    bases = [base.__name__ for base in kind.__bases__ if id(base) in described or issubclass(base, Enum)]
    head = f"class {name}({', '.join(bases)})" if bases else f"class {name}"
    if issubclass(kind, Enum):
        yield _block("\n".join([head, *(f"    {member.name} = {member.value!r}" for member in kind)]))
    elif is_dataclass(kind) or "\nArgs:" in (inspect.getdoc(kind) or ""):
        yield _block(f"class {_signature(name, kind, without_self=False).partition(' -> ')[0]}")
    else:
        yield _block(head)
    yield from _document(kind)
    if not issubclass(kind, Enum | Exception):
        yield from (f"Also what `{base}` has." for base in bases)
    for method, value in _members(kind, described):
        if isinstance(value, property):
            yield f"#### {name}.{method}"
            told = _annotation(value.fget, getattr(value.fget, "__annotations__", {}).get("return", ""))
            yield _block(f"{method}: {told}")
            yield from _document(value)
        else:
            yield f"#### {name}.{method}()"
            yield from _function(method, getattr(kind, method), "classmethod " * isinstance(value, classmethod))


def _members(kind: type, described: set[int]) -> Iterator[tuple[str, object]]:
    """Yield the public methods and properties, also those of bases that are not described themselves."""
    seen: set[str] = set()
    for base in kind.__mro__:
        is_elsewhere = base is not kind and id(base) in described
        if is_elsewhere or not base.__module__.startswith("burnish"):
            continue
        for name, value in vars(base).items():
            is_member = isinstance(value, property | FunctionType | classmethod | staticmethod)
            if is_member and not name.startswith("_") and name not in seen:
                seen.add(name)
                yield name, value


def _block(text: str) -> str:
    return f"```text\n{text}\n```"


def _signature(name: str, value: object, *, without_self: bool = True) -> str:
    """Return a call as it is written, on one line or a line for each parameter."""
    assert callable(value)
    signature = inspect.signature(value)
    home = value.__init__ if isinstance(value, type) else value  # type: ignore[misc]
    words: list[str] = []
    is_marked = False
    for parameter in signature.parameters.values():
        if without_self and parameter.name in ("self", "cls") and not words:
            continue
        if parameter.kind is parameter.VAR_POSITIONAL:
            is_marked = True
        elif parameter.kind is parameter.KEYWORD_ONLY and not is_marked:
            words.append("*")
            is_marked = True
        words.append(_parameter(home, parameter))
    told = signature.return_annotation
    end = "" if told is signature.empty else f" -> {_annotation(home, told)}"
    line = f"{name}({', '.join(words)}){end}"
    if len(line) <= _WIDTH:
        return line
    return "\n".join([f"{name}(", *(f"    {word}," for word in words), f"){end}"])


def _parameter(home: object, parameter: inspect.Parameter) -> str:
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    told, default = parameter.annotation, parameter.default
    text = f"{stars}{parameter.name}"
    if told is not parameter.empty:
        text += f": {_annotation(home, told)}"
    if default is parameter.empty:
        return text
    shown = repr(default)
    shown = "…" if shown.startswith("<") else shown.replace("'", '"')
    return f"{text} = {shown}" if told is not parameter.empty else f"{text}={shown}"


def _annotation(home: object, told: object) -> str:
    """Return a type as the source has it; of a closed set or an alias, what it stands for."""
    if not isinstance(told, str):
        return inspect.formatannotation(told)
    meant = getattr(home, "__globals__", {}).get(told)
    if get_origin(meant) is Literal:
        return f"Literal[{', '.join(map(repr, get_args(meant)))}]".replace("'", '"')
    return meant if isinstance(meant, str) else told


def _document(value: object) -> Iterator[str]:
    """Yield the paragraphs of a docstring, its sections as lists."""
    prose: list[str] = []
    section = ""
    told = [] if _is_made(value) else (inspect.getdoc(value) or "").splitlines()
    for line in [*told, "End:"]:
        if (match := _SECTION.fullmatch(line)) or line == "End:":
            yield from _list(section, prose) if section else _prose("\n".join(prose))
            prose, section = [], match[1] if match else ""
        elif section and line and not line.startswith(" "):
            yield from _list(section, prose)
            prose, section = [line], ""
        else:
            prose.append(line)


def _is_made(value: object) -> bool:
    """Return whether a class has no docstring but the one that `dataclass` makes, or that of its base."""
    return isinstance(value, type) and not value.__dict__.get("__doc__")


def _list(section: str, lines: list[str]) -> Iterator[str]:
    """Yield a section: its name, and an entry for each of what it has."""
    text = inspect.cleandoc("\n" + "\n".join(lines))
    if section in ("Returns", "Yields"):
        yield f"{section}: {' '.join(text.split())}"
        return
    entries = [" ".join(entry.split()) for entry in re.split(r"\n(?=\S)", text) if entry.strip()]
    told = []
    for entry in entries:
        match = _ITEM.fullmatch(entry)
        told.append(f"- `{match['names']}`: {match['text']}" if match else f"- {entry}")
    yield f"{section}:"
    yield "\n".join(told)


def _prose(text: str) -> Iterator[str]:
    """Yield paragraphs; code, examples and drawings as blocks."""
    for paragraph in re.split(r"\n\s*\n", text.strip("\n")):
        is_drawn = re.search(r"^    |^>>> |\S {2,}\S|[├│┌]", paragraph, re.MULTILINE) is not None
        if is_drawn:
            yield _block(inspect.cleandoc("\n" + paragraph))
        elif paragraph.strip():
            yield paragraph


if __name__ == "__main__":
    PAGE.write_text(render())
