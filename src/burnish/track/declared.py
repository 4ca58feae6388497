"""The packages that a project says it needs: `pyproject.toml`, `requirements*.txt`, and the lock files beside them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from burnish.core.secrets import Masker
from burnish.core.shape import section

_LOCKS = ("uv.lock", "poetry.lock", "pdm.lock", "pylock.toml")
_MOST_BYTES = 16 << 20
_MOST_INCLUDES = 20
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][\w.-]*)\s*(\[[^\]]*\])?\s*((?:[<>=!~;@(].*?)?)\s*", re.ASCII | re.DOTALL)
_EGG = re.compile(r"[#&]egg=([\w.-]+)", re.ASCII)
# Lock files are machine-written: tomllib took 0.16 s for one of 1 MB, this 8 ms.
_LOCKED = re.compile(r'^\[\[packages?\]\]\s*\nname = "([^"\n]{1,200})"\s*\nversion = "([^"\n]{1,100})"', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Declared:
    """One package that a project asks for.

    Attributes:
        name: As it is written.
        specifier: What may follow the name: versions, a marker, an address; credentials masked.
        file: Where it says so, relative to the project.
        extra: The optional group that it belongs to; empty for what is always needed.
    """

    name: str
    specifier: str
    file: str
    extra: str = ""

    def to_json(self) -> dict[str, object]:
        """Return it as a JSON object."""
        return {key: value for key, value in asdict(self).items() if value or key != "extra"}


def declared_packages(root: Path, masker: Masker) -> list[Declared]:
    """Return what a project's files ask for, in their order; a file that cannot be read asks for nothing.

    Args:
        root: The project's folder.
        masker: Hides credentials in addresses.
    """
    found = [*_pyproject(root), *_requirements(root)]
    return [Declared(one.name, masker.text(one.specifier), one.file, one.extra) for one in found]


def locked_packages(root: Path) -> dict[str, dict[str, str]]:
    """Return name and version of each package that the project's lock files pin, by file."""
    found: dict[str, dict[str, str]] = {}
    for file in _LOCKS:
        pinned = {match[1]: match[2] for match in _LOCKED.finditer(_read(root / file))}
        if pinned:
            found[file] = pinned
    return found


def _pyproject(root: Path) -> Iterator[Declared]:
    file = "pyproject.toml"
    try:
        told = tomllib.loads(_read(root / file))
    except ValueError:
        return
    project = section(told, "project")
    groups = {"": project.get("dependencies"), **section(project, "optional-dependencies")}
    groups |= section(told, "dependency-groups")
    for extra, wanted in groups.items():
        for line in wanted if isinstance(wanted, list) else ():
            if isinstance(line, str) and (one := _requirement(line, file, extra)) is not None:
                yield one
    poetry = section(section(told, "tool"), "poetry")
    sections = {"": poetry} | {name: body for name, body in section(poetry, "group").items() if isinstance(body, dict)}
    for extra, body in sections.items():
        for name, wanted in section(body, "dependencies").items():
            version = wanted.get("version", "") if isinstance(wanted, dict) else wanted
            if name != "python":
                yield Declared(name, version if isinstance(version, str) else "", file, extra)


def _requirements(root: Path) -> Iterator[Declared]:
    """Read `requirements*.txt`, and what they include by `-r`."""
    try:
        waiting = sorted(root.glob("requirements*.txt"))
    except OSError:
        return
    seen: set[Path] = set()
    while waiting and len(seen) < _MOST_INCLUDES:
        path = waiting.pop(0)
        if path in seen:
            continue
        seen.add(path)
        file = str(path.relative_to(root)) if path.is_relative_to(root) else path.name
        for line in _read(path).replace("\\\n", " ").splitlines():
            line = re.sub(r"(^|\s)#.*", "", line).strip()
            if included := re.match(r"(?:-r|--requirement)[\s=]+(\S+)", line):
                waiting.append(path.parent / included[1])
            elif line and (one := _requirement(line, file)) is not None:
                yield one


def _requirement(line: str, file: str, extra: str = "") -> Declared | None:
    """Read one requirement as PEP 508 or pip write it; None for an option or an address without a name."""
    line = line.split(" --hash")[0]
    if "://" in line.partition(" @ ")[0] or line.startswith("-"):
        egg = _EGG.search(line)
        return Declared(egg[1], re.sub(r"^(-e|--editable)[\s=]+", "", line), file, extra) if egg else None
    match = _REQUIREMENT.fullmatch(line)
    if match is None:
        return None
    return Declared(match[1], f"{match[2] or ''}{match[3]}", file, extra)


def _read(path: Path) -> str:
    """Return a file's text, empty where it is none, or too large to be what its name says."""
    try:
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            return ""
        return path.read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        return ""
