"""The defaults lists of a Hydra config directory, followed to the order in which files are laid over each other.

What is not there is left, with where it was asked for; a circle of files, which would have no end, is drawn.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from burnish.config.layer import Plain
from burnish.config.origin import Origin
from burnish.core.errors import ConfigError, Problem
from burnish.project.migrate.hydra.entry import SELF, Entry, read_entries
from burnish.project.migrate.hydra.files import ConfigFile, ConfigFolder, NotFound
from burnish.project.migrate.migration import Left

_MAX_ENTRIES = 20_000  # once nested lists are followed
_MAX_NESTED = 50
_REFERENCE = re.compile(r"\$\{([^${}]+)\}")
_HYDRAS = "how Hydra itself runs is no part of an experiment"


@dataclass(frozen=True, slots=True)
class Step:
    """One file and the package that its values go to; later steps lie over earlier ones."""

    file: ConfigFile
    package: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class Override:
    """A choice that an entry with the word `override` made; it counts where the entry stands first."""

    option: str | tuple[str, ...] | None
    entry: Entry


@dataclass(slots=True)
class Defaults:
    """Follows defaults lists.

    Attributes:
        folder: Where the files are.
        choices: The option of each group, by what an override calls it.
        taken: The same, of those whose file was found.
    """

    folder: ConfigFolder
    choices: dict[str, Plain] = field(default_factory=dict)
    taken: dict[str, Plain] = field(default_factory=dict)
    _overrides: dict[str, Override] = field(default_factory=dict)
    _used: set[str] = field(default_factory=set)
    _left: list[tuple[Origin, Left]] = field(default_factory=list)
    _count: int = 0

    @property
    def left(self) -> list[Left]:
        """What could not be followed, in the order in which it is written."""
        return [left for _, left in sorted(self._left, key=lambda item: (item[0].source, item[0].line, item[0].column))]

    def steps(self, primary: str) -> list[Step]:
        """Return the files in the order in which they are laid over each other.

        Raises:
            ConfigError: The lists are not as Hydra takes them, or have no end.
        """
        start = Entry(Origin("file", f"{primary}.yaml"), "", primary, is_group=False)
        found = self._expand(start, (), interpolated=False)
        for key, override in self._overrides.items():
            if key not in self._used:
                self._leave(override.entry, "it overrides no entry that was found")
        seen: set[str] = set()
        for step in found:
            if step.key and step.key in seen:
                raise ConfigError([Problem(f"{step.key} stands more than once in the defaults lists", step.file.shown)])
            seen.add(step.key)
        return found

    def _expand(self, entry: Entry, trail: tuple[str, ...], *, interpolated: bool) -> list[Step]:
        if entry.group_path == "hydra" or entry.group_path.startswith("hydra/"):
            self._leave(entry, _HYDRAS)
            return []
        self._bound(entry, trail)
        entry, file = self._open(entry)
        if entry.is_group:
            self._choose(entry)
        if file is None:
            return []
        if entry.is_group:
            self.taken.setdefault(entry.key, _as_plain(entry.option))
        if file.name in trail:
            circle = " → ".join((*trail[trail.index(file.name) :], file.name))
            raise ConfigError([Problem(f"defaults lists name each other in a circle: {circle}", str(entry.origin))])
        entries = read_entries(file.defaults) if file.defaults is not None else []
        if not any(inner.is_self for inner in entries) and any(not inner.override for inner in entries):
            entries.append(Entry(file.tree.origin, "", SELF, is_group=False))
        placed = [inner.within(entry.group_path, entry.final_package) for inner in entries]
        self._note_overrides(placed, interpolated=interpolated)
        inside = [inner for inner in placed if not inner.override]
        if not inside:
            return [Step(file, entry.final_package, entry.key if entry.is_group else "")]
        return self._children(inside, Step(file, entry.final_package), (*trail, file.name), interpolated)

    def _children(self, inside: list[Entry], own: Step, trail: tuple[str, ...], interpolated: bool) -> list[Step]:
        """Expand from the last entry to the first: an override in a later file counts in an earlier one."""
        found: dict[int, list[Step]] = {}
        waiting: dict[int, Entry] = {}
        for number, written in reversed(list(enumerate(inside))):
            if written.is_self:
                found[number] = [own]
                continue
            entry = self._overridden(written)
            if isinstance(entry.option, tuple):
                found[number] = self._options(entry, trail, interpolated)
            elif _REFERENCE.search(entry.config_path) and entry.option is not None:
                waiting[number] = entry
            else:
                found[number] = self._expand(entry, trail, interpolated=interpolated)
        for number, entry in waiting.items():
            chosen = self._filled(entry)
            found[number] = self._expand(chosen, trail, interpolated=True) if chosen is not None else []
        return [step for number in sorted(found) for step in found[number]]

    def _options(self, entry: Entry, trail: tuple[str, ...], interpolated: bool) -> list[Step]:
        assert isinstance(entry.option, tuple)
        self.choices.setdefault(entry.key, _as_plain(entry.option))
        self.taken.setdefault(entry.key, _as_plain(entry.option))
        several = [replace(entry, option=option, is_group=False) for option in entry.option]
        inner = [self._expand(one, trail, interpolated=interpolated) for one in reversed(several)]
        return [step for steps in reversed(inner) for step in steps]

    def _open(self, entry: Entry) -> tuple[Entry, ConfigFile | None]:
        """Return an entry with its file's header, and the file; None where there is none to lay."""
        if entry.option is None:
            return entry, None
        if entry.option == "???":
            options = ", ".join(self.folder.options(entry.group_path))
            self._leave(entry, f"must be chosen: {options}" if options else "must be chosen")
            return entry, None
        try:
            file = self.folder.load(entry.config_path)
        except NotFound as reason:
            if not entry.optional:
                self._leave(entry, str(reason))
            return entry, None
        return entry.with_header(file.package), file

    def _choose(self, entry: Entry) -> None:
        option = _as_plain(entry.option)
        if self.choices.setdefault(entry.key, option) != option:
            hint = f"to change it write 'override {entry.key}: {option}'"
            message = f"{entry.key} is both {self.choices[entry.key]} and {option} in the defaults lists"
            raise ConfigError([Problem(message, str(entry.origin), hint)])

    def _note_overrides(self, entries: list[Entry], *, interpolated: bool) -> None:
        for entry in entries:
            if not entry.override:
                continue
            if entry.group_path == "hydra" or entry.group_path.startswith("hydra/"):
                self._leave(entry, _HYDRAS)
            elif interpolated:
                message = f"{entry.told()!r} in a file that a reference chose"
                raise ConfigError([Problem(message, str(entry.origin), "Hydra follows references last")])
            else:
                self._overrides.setdefault(entry.key, Override(entry.option, entry))

    def _overridden(self, entry: Entry) -> Entry:
        override = self._overrides.get(entry.key) if entry.is_group else None
        if override is None:
            return entry
        self._used.add(entry.key)
        return replace(entry, option=override.option)

    def _filled(self, entry: Entry) -> Entry | None:
        """Return an entry with each `${group}` in its name filled; None where no such group was chosen."""
        unknown: list[str] = []

        def choice(match: re.Match[str]) -> str:
            chosen = self.choices.get(match[1].strip())
            if not isinstance(chosen, str):
                unknown.append(match[0])
            return str(chosen)

        option, group = _REFERENCE.sub(choice, str(entry.option)), _REFERENCE.sub(choice, entry.group)
        if unknown:
            self._leave(entry, f"{unknown[0]} is no choice of the defaults lists")
            return None
        return replace(entry, option=option, group=group)

    def _bound(self, entry: Entry, trail: tuple[str, ...]) -> None:
        self._count += 1
        if self._count > _MAX_ENTRIES:
            raise ConfigError([Problem(f"more than {_MAX_ENTRIES:,} entries in the defaults lists", str(entry.origin))])
        if len(trail) > _MAX_NESTED:
            raise ConfigError([Problem(f"defaults lists nested deeper than {_MAX_NESTED}", str(entry.origin))])

    def _leave(self, entry: Entry, reason: str) -> None:
        option = _as_plain(entry.option)
        path, value = (f"defaults: {entry.told()}", option) if entry.is_group else ("defaults", entry.told())
        self._left.append((entry.origin, Left(path, value, str(entry.origin), reason)))


def _as_plain(option: str | tuple[str, ...] | None) -> Plain:
    return [*option] if isinstance(option, tuple) else option
