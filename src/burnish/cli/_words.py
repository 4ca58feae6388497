"""Two command lines, and the words in which they differ: flags by their name, the rest by its place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import Final

SCRIPT: Final = frozenset({"program", "script", "-m", "-c"})
"""What tells which code a command runs."""

_PYTHON: Final = re.compile(r"python(\d+(\.\d+)*t?)?")
_NUMBER: Final = re.compile(r"-[\d.]+(e[-+]?\d+)?", re.IGNORECASE)
_IS_SET: Final = "given"


def differing_words(a: Sequence[str], b: Sequence[str]) -> dict[str, tuple[str | None, str | None]]:
    """Return what differs between two command lines, by flag or place; None where only one has it.

    A word after a flag is taken for its value. Of an interpreter its name and folder are left out: `python` and
    `/usr/bin/python3` say the same, and which environment it is of is a question of the machine.

    >>> differing_words(["python", "t.py", "--lr", "1"], ["python3", "t.py", "--lr=2", "--fast"])
    {'--lr': ('1', '2'), '--fast': (None, 'given')}
    """
    one, other = _read(a), _read(b)
    return {key: (one.get(key), other.get(key)) for key in {**one, **other} if one.get(key) != other.get(key)}


def _read(words: Sequence[str]) -> dict[str, str]:
    """Return the words of a command line by flag or place; what is given several times is one text."""
    found: dict[str, list[str]] = {}
    rest = list(words)
    is_python = bool(rest) and _PYTHON.fullmatch(PurePath(rest[0]).name) is not None
    if rest:
        first = rest.pop(0)
        if not is_python:
            found["program"] = [first]
    place = 0 if is_python else 1  # the first word without a flag is the script, of an interpreter
    has_program = not is_python
    while rest:
        word = rest.pop(0)
        if word.startswith("-") and len(word) > 1 and not _NUMBER.fullmatch(word):
            flag, is_assigned, value = word.partition("=")
            if not is_assigned:
                value = rest.pop(0) if rest and _is_value(rest[0]) else _IS_SET
            found.setdefault(flag, []).append(value)
            has_program |= flag in ("-m", "-c")
        elif not has_program:
            found["script"], has_program = [word], True
        else:
            place = place or 1
            found[f"argument {place}"] = [word]
            place += 1
    return {key: " ".join(values) for key, values in found.items()}


def _is_value(word: str) -> bool:
    return not word.startswith("-") or word == "-" or _NUMBER.fullmatch(word) is not None
