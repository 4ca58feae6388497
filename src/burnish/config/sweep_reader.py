"""Reading sweeps: the section of a file, its `[[run]]` tables, and flags. Every mistake is collected, then told."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from collections.abc import Sequence as Sequence_

from burnish.config.layer import Mapping, Node, Scalar, Sequence
from burnish.config.origin import Origin
from burnish.config.sources.flags import text_value
from burnish.config.sweep import MAX_VARIANTS, Axis, Group, Pairs, Range, Sample, Sweep
from burnish.core.errors import ConfigError, Problem
from burnish.core.nearest import nearest

_MAX_PATHS = 100
_MAX_COUNT = 2**53  # of what a random float can tell apart


def parse_sweep(node: Node) -> Sweep:
    """Read the section `sweep` of a config file.

    Raises:
        ConfigError: All that is wrong with it.
    """
    reader = _Reader()
    fields = reader.section(node, "sweep", ("grid", "zip", "sample", "include", "exclude"))
    groups = [(axis,) for axis in reader.axes(fields.get("grid"), "sweep.grid")]
    sweep = Sweep(
        node.origin,
        (*groups, *reader.zips(fields.get("zip"))),
        reader.sample(fields.get("sample")),
        reader.entries(fields.get("include"), "sweep.include"),
        reader.entries(fields.get("exclude"), "sweep.exclude"),
    )
    if not reader.problems and not all(sweep.exclude):
        reader.fail("an empty entry excludes every variant", fields["exclude"].origin)
    if not reader.problems and not (sweep.groups or sweep.sample or sweep.include):
        reader.fail("'sweep' needs grid, zip, sample or include", node.origin)
    return reader.checked(sweep)


def run_tables(node: Node) -> Sweep:
    """Read the tables `[[run]]`: each is one variant, whole; an empty one is the config as it stands.

    Raises:
        ConfigError: All that is wrong with them.
    """
    reader = _Reader()
    return reader.checked(Sweep(node.origin, include=reader.entries(node, "run")))


def sweep_flags(grid: Sequence_[str], zips: Sequence_[str]) -> Sweep:
    """Read `--sweep a=1,2` and `--zip b,c=1:2,3:4` (b is 1 with c 2, then b is 3 with c 4); all of them multiply.

    Commas and colons inside quotes or brackets separate nothing: `a=[1,2],[3,4]` is two lists.

    Raises:
        ConfigError: All that is wrong with them.
    """
    reader = _Reader()
    words = [*(("--sweep", word) for word in grid), *(("--zip", word) for word in zips)]
    groups = tuple(reader.flag(flag, word) for flag, word in words)
    return reader.checked(Sweep(Origin("flag", words[0][0] if words else "--sweep"), groups))


class _Reader:
    """Reads sweeps, and keeps what is wrong with them until all is read."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def fail(self, message: str, origin: Origin, hint: str = "") -> None:
        self.problems.append(Problem(message, str(origin), hint))

    def checked(self, sweep: Sweep) -> Sweep:
        """Return a sweep in which each path is swept once, and not too many are."""
        places = [(axis.path, axis.values[0].origin) for group in sweep.groups for axis in group]
        for part in sweep.sample.space if sweep.sample else ():
            places.append((part.path, part.origin if isinstance(part, Range) else part.values[0].origin))
        first: dict[str, Origin] = {}
        for path, origin in places:
            if path in first:
                self.fail(f"{path!r} is swept twice; see {first[path]} too", origin)
            first.setdefault(path, origin)
        if len(first) > _MAX_PATHS:
            self.fail(f"more than {_MAX_PATHS} paths are swept", sweep.origin)
        if self.problems:
            raise ConfigError(self.problems)
        return sweep

    def section(self, node: Node, where: str, known: Sequence_[str], needed: Sequence_[str] = ()) -> dict[str, Node]:
        """Return the fields of a section; unknown and missing ones are reported."""
        if not isinstance(node, Mapping):
            self.fail(f"{where!r} takes a section of {', '.join(known)}", node.origin)
            return {}
        for key in [key for key in node.items if key not in known]:
            best = nearest(key, known)
            hint = f"did you mean '{where}.{best}'?" if best else f"there are {', '.join(known)}"
            self.fail(f"unknown key '{where}.{key}'", node.keys.get(key, node.origin), hint)
        for key in [key for key in needed if key not in node.items]:
            self.fail(f"{where!r} needs {key!r}", node.origin)
        return {key: item for key, item in node.items.items() if key in known}

    def axes(self, node: Node | None, where: str) -> list[Axis]:
        """Return the axes of a section of lists, however deep they stand."""
        axes = []
        for path, item in self.pairs(node, where):
            if isinstance(item, Sequence) and item.items:
                axes.append(Axis(path, item.items))
            elif isinstance(item, Sequence | Mapping):
                self.fail(f"'{where}' has no values for {path!r}", item.origin)
            else:
                self.fail(f"'{where}' takes a list of values for {path!r}", item.origin, f"write {path}: [VALUE, …]")
        return axes

    def zips(self, node: Node | None) -> list[Group]:
        groups = [tuple(self.axes(n, "sweep.zip")) for n in (node.items if isinstance(node, Sequence) else (node,))]
        for group in groups:
            if len({len(axis.values) for axis in group}) > 1:
                lengths = ", ".join(f"{axis.path} has {len(axis.values)}" for axis in group)
                self.fail(f"'sweep.zip' pairs lists of one length: {lengths}", group[0].values[0].origin)
        return [group for group in groups if group]

    def sample(self, node: Node | None) -> Sample | None:
        if node is None:
            return None
        before = len(self.problems)
        fields = self.section(node, "sweep.sample", ("n", "seed", "space"), ("n", "space"))
        n = self.whole(fields.get("n"), "sweep.sample.n", 1, MAX_VARIANTS)
        seed = self.whole(fields.get("seed"), "sweep.sample.seed", 0, _MAX_COUNT)
        pairs = self.pairs(fields.get("space"), "sweep.sample.space", ranges=True)
        space = tuple(part for path, item in pairs if (part := self.dimension(path, item)))
        if not space and len(self.problems) == before:
            self.fail("'sweep.sample.space' has no paths", fields["space"].origin)
        return Sample(n, seed, space) if len(self.problems) == before else None

    def dimension(self, path: str, node: Node) -> Range | Axis | None:
        if isinstance(node, Sequence) and node.items:
            return Axis(path, node.items)
        if not isinstance(node, Mapping) or not node.items:
            message = f"'sweep.sample.space' takes a list of choices, or low and high, for {path!r}"
            self.fail(message, node.origin, f"write {path}: {{low: 1, high: 8}}")
            return None
        before = len(self.problems)
        fields = self.section(node, path, ("low", "high", "log", "step"), ("low", "high"))
        low, high, step = (self.number(fields.get(key), f"{path}.{key}") for key in ("low", "high", "step"))
        log = self.truth(fields.get("log"), f"{path}.log")
        if len(self.problems) > before or low is None or high is None:
            return None
        found = Range(path, low, high, node.origin, log, step)
        if fault := _fault(found):
            self.fail(f"the range of {path!r} {fault}", node.origin)
        return found

    def whole(self, node: Node | None, where: str, low: int, high: int) -> int:
        """Return a whole number between two bounds, the lower one when there is none."""
        value = low if node is None else node.value if isinstance(node, Scalar) else None
        if type(value) is int and low <= value <= high:
            return value
        assert node is not None
        self.fail(f"{where!r} takes a whole number from {low:,} to {high:,}", node.origin)
        return low

    def number(self, node: Node | None, where: str) -> int | float | None:
        value = node.value if isinstance(node, Scalar) else None
        if type(value) is int and abs(value) <= _MAX_COUNT:
            return value
        if isinstance(value, float) and math.isfinite(value):
            return value
        if node is not None:
            self.fail(f"{where!r} takes a number", node.origin)
        return None

    def truth(self, node: Node | None, where: str) -> bool:
        value = node.value if isinstance(node, Scalar) else None
        if node is not None and not isinstance(value, bool):
            self.fail(f"{where!r} takes true or false", node.origin)
        return value is True

    def entries(self, node: Node | None, where: str) -> tuple[Pairs, ...]:
        """Return a list of sections, each flattened to paths and values."""
        if node is not None and not isinstance(node, Sequence):
            hint = "write [[run]]" if where == "run" else "begin each with '- '"
            self.fail(f"{where!r} takes a list of sections", node.origin, hint)
        items = node.items if isinstance(node, Sequence) else ()
        return tuple(tuple(self.pairs(item, where)) for item in items)

    def pairs(self, node: Node | None, where: str, *, ranges: bool = False) -> Iterator[tuple[str, Node]]:
        """Yield the paths and values of a section, nested and dotted keys alike; impossible paths are reported."""
        if node is not None and not isinstance(node, Mapping):
            self.fail(f"{where!r} takes a section of paths", node.origin)
        first: dict[str, Origin] = {}
        for path, item, origin in _flat(node, "", ranges) if isinstance(node, Mapping) else ():
            if path in first:
                self.fail(f"{path!r} is given twice; see {first[path]} too", origin)
            elif self.is_path(path, origin):
                first[path] = origin
                yield path, item

    def is_path(self, path: str, origin: Origin) -> bool:
        keys = path.split(".")
        if not all(keys):
            self.fail(f"{path!r} names no key", origin)
        elif any(key[-1] in "+!" for key in keys):
            whole = ".".join(key.rstrip("+!") for key in keys)
            self.fail(f"{path!r} cannot be swept: a variant sets its values whole", origin, f"write {whole!r}")
        else:
            return True
        return False

    def flag(self, flag: str, word: str) -> Group:
        before = len(self.problems)
        names, equals, text = word.partition("=")
        keys = [key.strip() for key in (names.split(",") if flag == "--zip" else [names])]
        origin = Origin("flag", f"{flag} {names}")
        if not equals:
            form = "A,B=1:2,3:4" if flag == "--zip" else "KEY=1,2"
            self.fail(f"{word!r} sets no values", Origin("flag", flag), f"write {flag} {form}")
            return ()
        for key in keys:
            self.is_path(key, origin)
        rows = [_split(row, ":") if flag == "--zip" else [row] for row in _split(text, ",")]
        for row in rows:
            if len(row) != len(keys):
                message = f"{':'.join(row)!r} has {len(row)} values for {len(keys)} keys"
                self.fail(message, origin, "put quotes around a value with a colon")
            elif not all(row):
                self.fail(f"an empty value in {text!r}", origin, "write '' for an empty text")
        if len(self.problems) > before:
            return ()
        try:
            columns = [tuple(text_value(text, origin) for text in column) for column in zip(*rows, strict=True)]
        except ConfigError as error:
            self.problems.extend(error.problems)
            return ()
        return tuple(map(Axis, keys, columns))


def _fault(part: Range) -> str:
    """Return what is wrong with a range, empty when nothing is."""
    if part.low >= part.high:
        return "is empty: low must be below high"
    if math.isinf(part.high - part.low):
        return "is too wide"
    if part.log and part.low <= 0:
        return "needs low above 0 with log"
    if part.step is None:
        return ""
    if part.log:
        return "has both log and step"
    if not 0 < part.step <= part.high - part.low:
        return "needs a step above 0 and at most high - low"
    return "has too many steps" if (part.high - part.low) / part.step >= _MAX_COUNT else ""


def _flat(node: Mapping, prefix: str, ranges: bool) -> Iterator[tuple[str, Node, Origin]]:
    for key, item in node.items.items():
        # Only a range has plain values: `low` may be a path too.
        is_range = ranges and isinstance(item, Mapping) and any(isinstance(i, Scalar) for i in item.items.values())
        if isinstance(item, Mapping) and item.items and not is_range:
            yield from _flat(item, f"{prefix}{key}.", ranges)
        else:
            yield f"{prefix}{key}", item, node.keys.get(key, item.origin)


_PIECE = re.compile(
    r"""(?<![^\s,:\[{])(?:'(?:[^']|'')*'|"(?:[^"\\]|\\.)*")  # a quote inside a word is an apostrophe
    |.""",
    re.VERBOSE | re.DOTALL,
)


def _split(text: str, separator: str) -> list[str]:
    """Split at separators that stand in neither quotes nor brackets."""
    parts, depth = [""], 0
    for match in _PIECE.finditer(text):
        piece = match[0]
        depth = max(0, depth + (piece in ("[", "{")) - (piece in ("]", "}")))
        if piece == separator and not depth:
            parts.append("")
        else:
            parts[-1] += piece
    return [part.strip() for part in parts]
