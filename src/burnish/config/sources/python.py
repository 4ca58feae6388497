"""Python files as sources: what can be read of one without executing it. `burnish.config.python_layer` executes."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import NamedTuple

from burnish.config.layer import Node, Scalar, Sequence
from burnish.config.origin import Origin
from burnish.core.errors import ConfigError, Problem


class PythonFile(NamedTuple):
    """A Python file that makes a layer when it is executed; until then, its source."""

    path: Path
    name: str
    source: str


class Place(NamedTuple):
    """Where a returned value stands, and whether it is a constant there."""

    origin: Origin
    is_constant: bool = False


def parents_of(file: PythonFile) -> Node:
    """Return what a Python file extends, without executing it.

    Raises:
        ConfigError: It is not Python, or `extends` is no literal.
    """
    node = literal(file, "extends")
    if node is None:
        return Sequence((), Origin("file", file.name, 1, 1))
    found = words_of(node)
    if not found:
        where = f"{file.name}:{node.lineno}:{node.col_offset + 1}"
        raise ConfigError([Problem("extends takes a file name or a list of them, written out", where)])
    at = [(text, Origin("file", file.name, line, column)) for text, line, column in found]
    return Sequence(tuple(Scalar(text, origin, text) for text, origin in at), at[0][1])


def words_of(node: ast.expr) -> list[tuple[str, int, int]]:
    """Return text or a list of texts that is written out, with line and column of each; empty for anything else."""
    words = [node] if isinstance(node, ast.Constant) else list(getattr(node, "elts", []))
    texts = [(w.value, w.lineno, w.col_offset + 1) for w in words if isinstance(w, ast.Constant)]
    found = [(text, line, column) for text, line, column in texts if isinstance(text, str)]
    return found if len(found) == len(words) else []


def parsed(file: PythonFile) -> ast.Module:
    """Return a file's syntax tree.

    Raises:
        ConfigError: It is not Python.
    """
    try:
        return ast.parse(file.source, file.name)
    except SyntaxError as error:
        where = f"{file.name}:{error.lineno}:{error.offset}" if error.lineno else file.name
        raise ConfigError([Problem(f"not Python: {error.msg}", where)]) from error
    except (ValueError, RecursionError, MemoryError) as error:  # NUL bytes, endless nesting
        raise ConfigError([Problem(f"not Python: {str(error) or 'nested too deep'}", file.name)]) from error


def literal(file: PythonFile, name: str) -> ast.expr | None:
    """Return what a name of the module is assigned, None where it is not."""
    for statement in parsed(file).body:
        if isinstance(statement, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id == name for t in statement.targets
        ):
            return statement.value
    return None


def places_of(file: PythonFile, function: str) -> dict[str, Place]:
    """Return where each value of a returned dict stands, as far as it is written out; `""` is the function itself."""
    found = {"": Place(Origin("file", file.name, 1))}
    for statement in parsed(file).body:
        if isinstance(statement, ast.FunctionDef) and statement.name == function:
            found[""] = Place(Origin("file", file.name, statement.lineno))
            for node in ast.walk(statement):
                if isinstance(node, ast.Return) and isinstance(node.value, ast.Dict):
                    _note_places(node.value, "", file.name, found)
    return found


def _note_places(node: ast.Dict, prefix: str, name: str, found: dict[str, Place]) -> None:
    for key, value in zip(node.keys, node.values, strict=True):
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            path = f"{prefix}{key.value}"
            origin = Origin("file", name, value.lineno, value.col_offset + 1)
            found[path] = Place(origin, isinstance(value, ast.Constant))
            if isinstance(value, ast.Dict):
                _note_places(value, f"{path}.", name, found)
