"""Sweeps: one config, many variants, each a tuple of overrides whose origins tell where the values were written.

A group is a set of axes that move together: a grid axis is a group of one, a zip a group of several. Variants are the
product of all groups and of the sample's draws, the last fastest, and their order never depends on the machine.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, TypeAlias

from burnish.config.layer import Mapping, Node, Scalar, Sequence, find
from burnish.config.origin import Origin
from burnish.core.errors import ConfigError, Problem
from burnish.core.nearest import nearest_path

MAX_VARIANTS: Final = 100_000
_MAX_MATCHES = 10_000_000  # of variants with rules of exclude: some ten seconds
_DRAWN_DIGITS = 6

Pairs: TypeAlias = "tuple[tuple[str, Node], ...]"
"""Paths and the values that they get."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A path and the values that it takes in turn."""

    path: str
    values: tuple[Node, ...]


Group: TypeAlias = "tuple[Axis, ...]"
"""Axes of equal length that move together; one without axes stands for a single row that sets nothing."""


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `low` to `high`, both included: even, even in the logarithm, or every `step`."""

    path: str
    low: int | float
    high: int | float
    origin: Origin
    log: bool = False
    step: int | float | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """Joint random draws. Each path has a stream of its own, so another path or more draws change no draw."""

    n: int
    seed: int
    space: tuple[Range | Axis, ...]


@dataclass(frozen=True, slots=True)
class Sweep:
    """What to vary.

    Attributes:
        groups: What is multiplied, with the draws of the sample.
        include: Variants of their own, beside the product; `exclude` leaves them alone.
        exclude: A product variant that has all values of an entry is left out.
        outer: Groups that multiply with every variant, included ones too.
    """

    origin: Origin
    groups: tuple[Group, ...] = ()
    sample: Sample | None = None
    include: tuple[Pairs, ...] = ()
    exclude: tuple[Pairs, ...] = ()
    outer: tuple[Group, ...] = ()


@dataclass(frozen=True, slots=True)
class Variant:
    """The overrides of one run, to be laid over its config in this order."""

    values: Pairs


def combine(file_sweep: Sweep, flag_sweep: Sweep) -> Sweep:
    """Return a file's sweep multiplied by that of the flags, which replaces whatever the file says of the same paths.

    Flags multiply with included variants too: `--sweep seed=1,2` runs each `[[run]]` table twice.
    """
    taken = {axis.path for group in flag_sweep.groups for axis in group}
    groups = [tuple(axis for axis in group if axis.path not in taken) for group in file_sweep.groups]
    sample = file_sweep.sample
    if sample is not None:
        space = tuple(part for part in sample.space if part.path not in taken)
        sample = replace(sample, space=space) if space else None
        groups += [] if space else [()]
    include = tuple(tuple(pair for pair in entry if pair[0] not in taken) for entry in file_sweep.include)
    outer = (*file_sweep.outer, *flag_sweep.groups)
    return replace(file_sweep, groups=tuple(groups), sample=sample, include=include, outer=outer)


def size(sweep: Sweep) -> int:
    """Return how many variants there are before any is excluded or found to be given twice; nothing is expanded."""
    product = math.prod(map(_length, sweep.groups)) * (sweep.sample.n if sweep.sample else 1)
    inner = product if sweep.groups or sweep.sample else 0
    return (inner + len(sweep.include)) * math.prod(map(_length, sweep.outer))


def expand(sweep: Sweep) -> list[Variant]:
    """Return the variants: the product without what is excluded, then what is included, each once.

    Raises:
        ConfigError: There are more than 100,000, or `exclude` names what is not swept.
    """
    count = size(sweep)
    if count > MAX_VARIANTS:
        many = f"{count:,}" if count <= 10**18 else "more than 10^18"
        message = f"the sweep has {many} variants, and {MAX_VARIANTS:,} is the most"
        raise ConfigError([Problem(message, str(sweep.origin), "sweep fewer values, or draw some with sample")])
    if problems := _unswept(sweep):
        raise ConfigError(problems)
    if count * (rules := len(sweep.exclude)) > _MAX_MATCHES:
        raise ConfigError(
            [Problem(f"{rules:,} rules of exclude are too many for {count:,} variants", str(sweep.origin))]
        )
    unique: dict[Hashable, Variant] = {}
    known: dict[int, tuple[Hashable]] = {}  # by identity: variants share few nodes
    for values in _variants(sweep):
        key = [(path, known.get(id(node)) or known.setdefault(id(node), (_identity(node),))) for path, node in values]
        unique.setdefault(frozenset(key), Variant(values))
    return list(unique.values())


def _variants(sweep: Sweep) -> Iterator[Pairs]:
    parts: list[list[Pairs]] = [_rows(group) for group in sweep.groups]
    if sweep.sample:
        parts.append(_draws(sweep.sample))
    outer = [_rows(group) for group in sweep.outer]
    for inner in itertools.product(*parts) if parts else ():
        for rows in itertools.product(*outer):
            values = tuple(itertools.chain(*inner, *rows))
            if not any(_matches(values, entry) for entry in sweep.exclude):
                yield values
    for entry in sweep.include:
        for rows in itertools.product(*outer):
            yield tuple(itertools.chain(entry, *rows))


def _rows(group: Group) -> list[Pairs]:
    return [tuple((axis.path, axis.values[row]) for axis in group) for row in range(_length(group))]


def _length(group: Group) -> int:
    return len(group[0].values) if group else 1


def _matches(values: Pairs, entry: Pairs) -> bool:
    return all((found := _set_value(values, path)) and _identity(found) == _identity(node) for path, node in entry)


def _set_value(values: Pairs, path: str) -> Node | None:
    """Return what a variant sets at a path, perhaps inside a section that it sets whole; the last one wins."""
    for name, node in reversed(values):
        if name == path:
            return node
        if path.startswith(f"{name}.") and (found := find(node, path[len(name) + 1 :])) is not None:
            return found
    return None


def _identity(node: Node) -> Hashable:
    """Return what two nodes of the same value share: 1 is 1.0, but neither is true."""
    if isinstance(node, Mapping):
        return frozenset((key, _identity(item)) for key, item in node.items.items())
    if isinstance(node, Sequence):
        return tuple(map(_identity, node.items))
    value = node.value
    return (isinstance(value, bool), "nan" if value != value else value, isinstance(value, str))


def _unswept(sweep: Sweep) -> list[Problem]:
    swept = {axis.path for group in (*sweep.groups, *sweep.outer) for axis in group}
    swept |= {part.path for part in sweep.sample.space} if sweep.sample else set()
    problems = []
    for path, node in itertools.chain(*sweep.exclude):
        if not any(path == name or path.startswith(f"{name}.") for name in swept):
            hint = f"did you mean {best!r}?" if (best := nearest_path(path, swept)) else ""
            problems.append(Problem(f"exclude names {path!r}, which is not swept", str(node.origin), hint))
    return problems


def _draws(sample: Sample) -> list[Pairs]:
    # Random.random() of a text seed is the one method that Python promises never to change.
    streams = [(part, random.Random(f"{sample.seed}:{part.path}")) for part in sample.space]
    notes = [f"sample {number} of {sample.n}" for number in range(1, sample.n + 1)]
    return [tuple((part.path, _drawn(part, stream.random(), note)) for part, stream in streams) for note in notes]


def _drawn(part: Range | Axis, chance: float, note: str) -> Node:
    if isinstance(part, Range):
        return Scalar(_within(part, chance), part.origin.with_note(note))
    node = part.values[int(chance * len(part.values))]
    return replace(node, origin=node.origin.with_note(note))


def _within(part: Range, chance: float) -> int | float:
    """Return the number at a chance from 0 to below 1, rounded so that no machine's logarithm shows in it."""
    low, high = part.low, part.high
    whole = isinstance(low, int) and isinstance(high, int)
    value: int | float
    if part.step is not None:
        first, last, step = (Decimal(str(number)) for number in (low, high, part.step))  # 0.1 + 2 * 0.1 is 0.3
        exact = first + int(chance * (int((last - first) / step) + 1)) * step
        value = int(exact) if whole and isinstance(part.step, int) else float(exact)
    elif part.log:
        value = math.exp(math.log(low) + chance * (math.log(high) - math.log(low)))
        value = round(value) if whole else float(f"{value:.{_DRAWN_DIGITS}g}")
    elif whole:
        value = int(low) + int(chance * (high - low + 1))
    else:
        width = int(f"{high - low:e}".partition("e")[2])
        value = round(low + chance * (high - low), _DRAWN_DIGITS - 1 - width)
    value = min(max(value, low), high)
    return value if whole else float(value)
