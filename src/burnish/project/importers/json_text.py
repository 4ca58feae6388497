"""JSON as other tools write it: NaN and Infinity bare, lines cut off, nested without end, of any size."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from burnish.core.errors import RunError

_LARGEST: Final = 2 << 30
_LONGEST_LINE: Final = 64 << 20


def read_json_file(path: Path) -> object:
    """Return what a JSON file holds.

    Raises:
        RunError: It is no JSON, or too large to be read at once.
        OSError: It cannot be read.
    """
    if path.stat().st_size > _LARGEST:
        raise RunError("a JSON file of more than 2 GiB", origin=str(path), hint="write it as JSON lines")
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        told = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise RunError(f"this is no JSON: {told}", origin=str(path)) from error


def peek_json(path: Path) -> object:
    """Return what a JSON file holds, None where it is none."""
    try:
        return read_json_file(path)
    except (RunError, OSError):
        return None


def read_object(path: Path) -> dict[str, object]:
    """Return the object that a JSON file holds, empty where it holds none or is not there."""
    found = peek_json(path) if path.is_file() else None
    return found if isinstance(found, dict) else {}


def read_lines(path: Path) -> Iterator[tuple[dict[str, object] | None, int]]:
    """Yield the object of each line, None for a line that holds none, with the bytes of the line.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        while line := file.readline(_LONGEST_LINE):
            if line.strip(b" \t\r\n\0\xef\xbb\xbf"):
                yield _object(line), len(line)


def _object(line: bytes) -> dict[str, object] | None:
    try:
        found = json.loads(line.strip(b"\0\xef\xbb\xbf"))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
