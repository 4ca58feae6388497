"""One entry of a defaults list, and what its names mean where it stands.

The rules are those of Hydra 1.3 (https://hydra.cc/docs/advanced/defaults_list and …/overriding_packages).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from burnish.config.layer import Mapping, Node, Plain, Scalar, Sequence
from burnish.config.origin import Origin
from burnish.core.errors import ConfigError, Problem

SELF = "_self_"
_GLOBAL = "_global_"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: `path`, `group: option`, `group: [option, …]`, with `@package` and the words before it.

    Attributes:
        origin: Where it is written.
        group: The group as written; of a `path`, all before its last slash.
        option: The option, or options; None where `null` chooses nothing.
        is_group: Whether it is written `group: option`, so that it can be overridden.
        package: What stands after `@`.
        optional: Whether it may be missing.
        override: Whether it changes the choice of another entry.
        parent_group: The group of the file that it is in.
        parent_package: The package of that file.
        header: The package that the file it names claims for itself.
    """

    origin: Origin
    group: str
    option: str | tuple[str, ...] | None
    is_group: bool
    package: str | None = None
    optional: bool = False
    override: bool = False
    parent_group: str = ""
    parent_package: str = ""
    header: str | None = None

    @property
    def is_self(self) -> bool:
        """Whether it stands for the file that it is in."""
        return not self.is_group and self.option == SELF and not self.group

    @property
    def group_path(self) -> str:
        """Its group, from the config directory down."""
        group = self.group.removeprefix("/")
        if self.group.startswith("/") or not self.parent_group:
            return group
        return f"{self.parent_group}/{group}" if group else self.parent_group

    @property
    def config_path(self) -> str:
        """The file it names, from the config directory down."""
        return f"{self.group_path}/{self.option}" if self.group_path else str(self.option)

    @property
    def key(self) -> str:
        """What an override calls it: its group, and its package where that is not the group's own."""
        own = self.group_path.replace("/", ".")
        final = _final_package(self, self.package)
        return self.group_path if own == final else f"{self.group_path}@{final or _GLOBAL}"

    @property
    def final_package(self) -> str:
        """Where the values of its file go."""
        return _final_package(self, self.header if self.package is None else self.package)

    def within(self, parent_group: str, parent_package: str) -> Entry:
        """Return the entry as it reads in a file of a group and package."""
        placed = replace(self, parent_group=parent_group, parent_package=parent_package)
        if self.package is None or "_group_" not in self.package:
            return placed
        return replace(placed, package=f"{_GLOBAL}.{_with_group(placed, self.package)}")

    def with_header(self, header: str | None) -> Entry:
        """Return the entry with the package that its file claims; `_group_` is what it would have anyway."""
        if header is None or header == "_group_":
            return self
        package = _with_group(self, header).replace("_name_", str(self.option))
        is_global = package == _GLOBAL or package.startswith(f"{_GLOBAL}.")
        return replace(self, header=package if is_global else f"{_GLOBAL}.{package}")

    def told(self) -> str:
        """Return the entry in short, for people."""
        words = ("optional " if self.optional else "") + ("override " if self.override else "")
        package = f"@{self.package}" if self.package else ""
        if self.is_group:
            return f"{words}{self.group}{package}"
        return f"{self.group}/{self.option}{package}" if self.group else f"{self.option}{package}"


def read_entries(defaults: Sequence) -> list[Entry]:
    """Return the entries of a defaults list.

    Raises:
        ConfigError: Entries that Hydra would refuse, all of them.
    """
    entries: list[Entry] = []
    problems: list[Problem] = []
    for node in defaults.items:
        try:
            entries.append(_entry(node))
        except ConfigError as error:
            problems += error.problems
    if sum(entry.is_self for entry in entries) > 1:
        second = [entry for entry in entries if entry.is_self][1]
        problems.append(Problem("_self_ stands twice in a defaults list", str(second.origin)))
    first = next((number for number, entry in enumerate(entries) if entry.override), len(entries))
    late = next((entry for entry in entries[first:] if not entry.override and not entry.is_self), None)
    if late is not None:
        hint = "overrides stand at the end of a defaults list"
        problems.append(Problem(f"{late.told()!r} stands after an override", str(late.origin), hint))
    if problems:
        raise ConfigError(problems)
    return entries


def _entry(node: Node) -> Entry:
    if isinstance(node, Scalar) and isinstance(node.value, str):
        path, _, package = node.value.partition("@")
        group, slash, name = path.rpartition("/")
        return Entry(node.origin, group or slash, name, False, _package(package, "@" in node.value))
    if not isinstance(node, Mapping) or len(node.items) != 1:
        raise _wrong(node)
    (written, value), *_ = node.items.items()
    before, at, package = written.partition("@")
    *words, group = before.split(" ")
    option = _option(value)
    if not group or not set(words) <= {"optional", "override"}:
        raise _wrong(node)
    return Entry(
        node.keys.get(written, node.origin),
        group,
        option,
        True,
        _package(package, bool(at)),
        optional="optional" in words,
        override="override" in words,
    )


def _option(node: Node) -> str | tuple[str, ...] | None:
    items = node.items if isinstance(node, Sequence) else (node,)
    values: list[Plain] = [item.value if isinstance(item, Scalar) else {} for item in items]
    if isinstance(node, Scalar) and (node.value is None or isinstance(node.value, str)):
        return node.value
    if not isinstance(node, Sequence) or not all(isinstance(value, str) for value in values):
        raise ConfigError([Problem("an option is a name, a list of names, or null", str(node.origin))])
    return tuple(str(value) for value in values)


def _package(written: str, is_given: bool) -> str | None:
    package = written.partition(":")[0]  # `@old:new`, a rename, as Hydra 1.0 had it
    return None if not is_given else "" if package == "_here_" else package


def _wrong(node: Node) -> ConfigError:
    hint = "an entry is 'group: option', 'path/to/config' or _self_"
    return ConfigError([Problem("no entry of a defaults list", str(node.origin), hint)])


def _with_group(entry: Entry, package: str) -> str:
    return package.replace("_group_", entry.group_path.replace("/", "."))


def _final_package(entry: Entry, package: str | None) -> str:
    inner = entry.group.removeprefix("/").replace("/", ".") if package is None else package
    full = ".".join(part for part in (entry.parent_package, inner) if part)
    _, is_global, rest = full.rpartition(_GLOBAL)
    return rest.removeprefix(".") if is_global else full
