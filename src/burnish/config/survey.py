"""The config files of a folder: which are experiments, and which only parents that others extend. Nothing executes."""

from __future__ import annotations

import ast
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from burnish.config.fields import shown_path
from burnish.config.layer import leaves
from burnish.config.sources.files import SUFFIXES, FileLayer, Source, read_files
from burnish.config.sources.python import PythonFile
from burnish.core.errors import ConfigError, Problem

Role: TypeAlias = Literal["experiment", "parent", "default"]

_DEFAULT = "default"
_HIDDEN = (".", "__")


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A config file as it lies there.

    Attributes:
        path: The file.
        shown: Its path as a person would type it.
        sources: What it extends and itself, lowest first; empty where it cannot be read.
        problems: Why it cannot be read.
        role: Whether it is an experiment, something that experiments extend, or the layer below all of them.
        children: How many of the files that were read extend it.
    """

    path: Path
    shown: str
    sources: tuple[Source, ...]
    problems: tuple[Problem, ...] = ()
    role: Role = "parent"
    children: int = 0

    @property
    def written(self) -> int:
        """How many values the file sets itself."""
        top = self.sources[-1] if self.sources else None
        return sum(1 for path, _ in leaves(top.layer.tree) if path) if isinstance(top, FileLayer) else 0


def survey(folder: Path, files: Iterable[Path] = ()) -> list[ConfigFile]:
    """Read the config files of a folder, and say what each of them is.

    An experiment has a key `experiment`, its own or one of what it extends; where the folder's `default.yaml` has it,
    whatever nothing extends is one. A Python file that computes a layer, and that nothing extends, counts as one too:
    what it returns is only known when it is executed.

    Args:
        folder: The experiments of a project; it need not exist.
        files: Files to read besides, in other folders.
    """
    here = list(_config_files(folder))
    known = {_real(path) for path in here}
    read = [_read(path) for path in (*here, *(path for path in files if _real(path) not in known))]
    children = Counter(source.path for one in read for source in one.sources[:-1])
    default = next((one for one in read if one.path.parent == folder and one.path.stem == _DEFAULT), None)
    names_all = default is not None and _names_experiment(default.sources)
    return [
        replace(
            one,
            role=_role(one, children[_real(one.path)], names_all=names_all) if one is not default else "default",
            children=children[_real(one.path)],
        )
        for one in read
    ]


def pick(found: Iterable[ConfigFile], files: Iterable[Path]) -> list[ConfigFile]:
    """Return those of the files read that are named, each once."""
    known = {_real(one.path): one for one in found}
    return list({real: known[real] for real in map(_real, files)}.values())


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # unlike Path.resolve, it takes links that lead in a circle


def _config_files(folder: Path) -> Iterator[Path]:
    """Yield the config files of a folder and those below it, in order; of Python files, those that are layers."""
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        inside = path.relative_to(folder).parts
        is_hidden = any(part.startswith(_HIDDEN) for part in inside)
        if path.suffix in SUFFIXES and path.is_file() and not is_hidden and (path.suffix != ".py" or _is_layer(path)):
            yield path


def _is_layer(path: Path) -> bool:
    """Return whether a Python file computes config, and is not the code of an experiment."""
    try:
        body = ast.parse(path.read_bytes()).body
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return any(isinstance(node, ast.FunctionDef) and node.name in ("configure", "on_machine") for node in body)


def _read(path: Path) -> ConfigFile:
    problems: list[Problem] = []
    try:
        sources = tuple(read_files(path, problems))
    except ConfigError as error:
        return ConfigFile(path, shown_path(path), (), (*problems, *error.problems))
    return ConfigFile(path, shown_path(path), sources, tuple(problems))


def _role(one: ConfigFile, children: int, *, names_all: bool) -> Role:
    computes = bool(one.sources) and isinstance(one.sources[-1], PythonFile)
    is_experiment = _names_experiment(one.sources) or (not children and (names_all or computes))
    return "experiment" if is_experiment else "parent"


def _names_experiment(sources: Sequence[Source]) -> bool:
    return any(isinstance(source, FileLayer) and "experiment" in source.layer.tree.items for source in sources)
