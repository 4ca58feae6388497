"""Which packages a run could use, was meant to use, and really used: installed, declared, imported."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from itertools import islice
from typing import TYPE_CHECKING, cast

from burnish.core.shape import items, section

if TYPE_CHECKING:
    from email.message import Message

# What reading metadata that somebody else wrote may raise: bytes that are no text, a RECORD that is no CSV, no name.
_BROKEN = (OSError, ValueError, KeyError, TypeError, AttributeError, StopIteration, metadata.PackageNotFoundError)
_MOST_FILES = 20_000


def installed_packages() -> dict[str, str]:
    """Return name and version of what is installed in this interpreter's environment, by name."""
    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        name, version = _identity(distribution)
        if name:
            found.setdefault(name, version)  # the first on the path is what an import finds
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def imported_packages(reported: Mapping[str, object], executable: str) -> tuple[dict[str, str], list[str]]:
    """Return the distributions that a training process imported, with versions, and the modules that are its own code.

    Args:
        reported: What `imported_modules` said there.
        executable: This interpreter: only of its own environment can it tell which distribution a module is of.
            Of another's the names and versions of the modules themselves are returned.
    """
    modules = [str(name) for name in items(reported, "imported")]
    versions = {name: str(version) for name, version in section(reported, "versions").items()}
    if not modules or not _is_same_environment(str(reported.get("executable", "")), executable):
        told = {name: versions.get(name, "?") for name in modules if not name.startswith("_")}
        return dict(sorted(told.items(), key=lambda item: item[0].lower())), []
    owners = _owners(modules)
    found: dict[str, str] = {}
    own: list[str] = []
    for module in modules:
        if module in owners:
            found |= owners[module]
        elif module in versions:
            found[module] = versions[module]
        elif not module.startswith("_"):
            own.append(module)
    return dict(sorted(found.items(), key=lambda item: item[0].lower())), own


def _is_same_environment(one: str, other: str) -> bool:
    """Return whether two interpreters import from the same place: `bin/python` and `bin/python3` of one environment."""
    same_folder = bool(one) and os.path.dirname(one) == os.path.dirname(other)  # noqa: PTH120
    return same_folder and os.path.realpath(one) == os.path.realpath(other)


def _owners(modules: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return name and version of the distributions that modules are of, by module.

    `importlib.metadata.packages_distributions` knows top names only, and one broken package stops it.
    """
    wanted = set(modules)
    parents = {name.partition(".")[0] for name in wanted if "." in name}
    owners: dict[str, dict[str, str]] = {}
    namesakes: dict[str, dict[str, str]] = {}  # an editable install lists a hook in the place of its files
    for distribution in metadata.distributions():
        name, version = _identity(distribution)
        if not name:
            continue
        for module in wanted & _provides(distribution, parents):
            owners.setdefault(module, {}).setdefault(name, version)
        namesakes.setdefault(re.sub(r"[-.]+", "_", name).lower(), {name: version})
    return {module: namesakes[module] for module in wanted if module in namesakes} | owners


def _identity(distribution: metadata.Distribution) -> tuple[str, str]:
    try:
        message = cast("Message", distribution.metadata)  # which it is in 3.11, whose stubs do not say so
        # By `get`: `importlib_metadata`, which may stand in for the standard library's, raises for what is absent.
        name: object = message.get("Name")
        version: object = message.get("Version")
    except _BROKEN:
        return "", ""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,200}", name, re.ASCII):
        return "", ""
    return name, " ".join(str(version or "?").split())[:100]


def _provides(distribution: metadata.Distribution, parents: set[str]) -> set[str]:
    """Return the modules of a distribution, as far down as two names where the first is shared."""
    try:
        listed = distribution.read_text("top_level.txt")
        tops = set((listed or "").split())
        found: set[str] = set() if tops & parents else tops
        if not found:
            found |= set(_from_files(distribution, parents))
    except _BROKEN:
        return set()
    return found


def _from_files(distribution: metadata.Distribution, parents: set[str]) -> Iterator[str]:
    for path in islice(distribution.files or (), _MOST_FILES):
        parts = path.parts
        if parts[0] in parents and len(parts) > 1:
            yield f"{parts[0]}.{parts[1].partition('.')[0]}"
        elif parts[0].endswith((".py", ".so")) or len(parts) > 1:
            yield parts[0].partition(".")[0]
