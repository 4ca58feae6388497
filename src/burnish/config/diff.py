"""Two resolved configs compared: each leaf that differs, both values and origins, and which layer made the difference.

Values compare as numbers do in a config: 1 is 1.0, NaN is NaN, and a boolean is no number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from burnish.config.layer import Plain, value_at
from burnish.config.snapshot import Snapshot, flat, references_of

Side: TypeAlias = Literal["a", "b"]

_REPLAYED = re.compile(r"run \S+ \((.+)\)\Z")


@dataclass(frozen=True, slots=True)
class Given:
    """What one of the two configs has at a path.

    Attributes:
        origins: Where it was written; of a list that differs as a whole, each place that gave an element.
        written: The reference to a run that it was written as; empty where it was not.
    """

    value: Plain
    origins: tuple[str, ...]
    written: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    Attributes:
        a: What the first config has; None where only the second has the path.
        b: The same of the second.
        made_by: Which layer made the difference, by side: the one whose value won and that the other config lacks.
    """

    path: str
    a: Given | None
    b: Given | None
    made_by: dict[Side, str]

    def to_json(self) -> dict[str, object]:
        """Return what `--json` prints of it."""
        return {"key": self.path, "a": _json(self.a), "b": _json(self.b), "made_by": dict(self.made_by)}


@dataclass(frozen=True, slots=True)
class Difference:
    """All that two configs differ in.

    Attributes:
        changes: Leaves that differ, in the order of the first config, then what only the second has.
        computed: What differs because it is computed from them.
        same_hash: Whether they are the same config.
        same_group: Whether they are repeats of each other.
        hidden: Credentials that both have: what was masked cannot be compared.
    """

    changes: tuple[Change, ...]
    computed: tuple[Change, ...] = ()
    same_hash: bool = False
    same_group: bool = False
    hidden: tuple[str, ...] = field(default=())


def diff(a: Snapshot, b: Snapshot) -> Difference:
    """Compare two configs, lists element by element where they are equally long."""
    one, other = _Seen.of(a), _Seen.of(b)
    changes = [
        Change(path, given_a, given_b, _made_by(one, other, path, given_a, given_b))
        for path in _paths(a.values, b.values, "")
        for given_a, given_b in [(one.at(path), other.at(path))]
        if not _is_same(given_a, given_b)
    ]
    computed = [
        Change(path, given_a, given_b, {})
        for path in dict.fromkeys((*a.computed, *b.computed))
        for given_a, given_b in [(_computed(a, path), _computed(b, path))]
        if not _is_same(given_a, given_b)
    ]
    told = {change.path for change in changes}
    return Difference(
        tuple(changes),
        tuple(computed),
        bool(a.hash) and a.hash == b.hash,
        bool(a.group) and a.group == b.group,
        tuple(path for path in a.masked if path in b.masked and path not in told),
    )


def _paths(a: Plain, b: Plain, path: str) -> Iterator[str]:
    """Yield the path of every leaf of either; lists of different length are leaves."""
    if isinstance(a, dict) and isinstance(b, dict) and (a or b):
        for key in dict.fromkeys((*a, *b)):
            inner = f"{path}.{key}" if path else key
            if key in a and key in b:
                yield from _paths(a[key], b[key], inner)
            else:
                yield from (found for found, _ in flat(a[key] if key in a else b[key], inner))
    elif isinstance(a, list) and isinstance(b, list):
        if a and len(a) == len(b):
            for number, (item, other) in enumerate(zip(a, b, strict=True)):
                yield from _paths(item, other, f"{path}.{number}")
        else:
            yield path
    else:
        yield path
        for value in (a, b):  # a section against a value: each leaf of the section is one that only it has
            if isinstance(value, dict) and value:
                yield from (found for found, _ in flat(value, path))


@dataclass(frozen=True, slots=True)
class _Seen:
    """A snapshot, asked by path."""

    snapshot: Snapshot
    values: dict[str, Plain]
    written: dict[str, str]

    @classmethod
    def of(cls, snapshot: Snapshot) -> _Seen:
        values = dict(flat(snapshot.values))
        written = {path: reference.written for path, reference in references_of(snapshot).items()}
        return cls(snapshot, values, written)

    def at(self, path: str) -> Given | None:
        """Return what stands at a path; None where nothing does, or a section."""
        if path in self.values:
            return Given(self.values[path], (self.origin(path),), self.written.get(path, ""))
        inside = [leaf for leaf in self.values if leaf.startswith(f"{path}.")]
        value = value_at(self.snapshot.values, path)
        if not inside or not isinstance(value, list):
            return None
        return Given(value, tuple(dict.fromkeys(map(self.origin, inside))))

    def origin(self, path: str) -> str:
        return _as_first_run(self.snapshot.origins.get(path, ""))

    def history(self, path: str) -> list[tuple[Plain, str]]:
        """Return every value that was given at a path, the winner first."""
        given = self.snapshot.history.get(path)
        if given:
            return [(value, _as_first_run(origin)) for value, origin in given]
        return [(self.values[path], self.origin(path))] if path in self.values else []


def _as_first_run(origin: str) -> str:
    """Return where a value of a run that was run again was written in the first place."""
    again = _REPLAYED.match(origin)
    return again[1] if again else origin


def _computed(snapshot: Snapshot, path: str) -> Given | None:
    value, origin = snapshot.computed.get(path, (None, ""))
    return Given(value, (origin,)) if path in snapshot.computed else None


def _is_same(a: Given | None, b: Given | None) -> bool:
    if a is None or b is None:
        return a is b
    return same(a.value, b.value) and a.written == b.written


def same(a: Plain, b: Plain) -> bool:
    """Return whether two values mean the same in a config.

    >>> same(1, 1.0), same(1, True), same(float("nan"), float("nan")), same([1], [1.0])
    (True, False, True, True)
    """
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(item, b[key]) for key, item in a.items())
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a):
        return math.isnan(b)
    return isinstance(a, bool) == isinstance(b, bool) and a == b


def _made_by(a: _Seen, b: _Seen, path: str, given_a: Given | None, given_b: Given | None) -> dict[Side, str]:
    """Return the layers of the winning values that the other config does not have; of both, where it has both.

    What only one component has, and nobody wrote, is there because of who named the component.
    """
    name = f"{path.rpartition('.')[0]}.name"
    name_a, name_b = a.at(name), b.at(name)
    is_alone = (given_a is None or given_b is None) and path != name and _is_default(given_a or given_b)
    if is_alone and name_a is not None and name_b is not None and not _is_same(name_a, name_b):
        return _made_by(a, b, name, name_a, name_b)
    lacks: dict[Side, bool] = {"a": _lacks(b, a, path, given_a), "b": _lacks(a, b, path, given_b)}
    if given_a is not None and given_b is not None and _is_default(given_a) != _is_default(given_b):
        # The schema's default stands below everything, so whoever wrote something made the difference.
        lacks = {"a": not _is_default(given_a), "b": not _is_default(given_b)}
    every = not any(lacks.values())
    made: dict[Side, str] = {}
    sides: tuple[tuple[Side, Given | None], ...] = (("a", given_a), ("b", given_b))
    for side, given in sides:
        if given is not None and (lacks[side] or every):
            made[side] = ", ".join(dict.fromkeys(map(layer_of, given.origins)))
    return made


def _is_default(given: Given | None) -> bool:
    return given is not None and all(layer_of(origin) == "default" for origin in given.origins)


def _lacks(other: _Seen, mine: _Seen, path: str, given: Given | None) -> bool:
    """Return whether a config has nothing of a layer whose value won in mine."""
    if given is None:
        return False
    if path not in mine.values:  # a list as a whole: its places are all that is known of it
        there = other.at(path)
        return there is None or bool(set(given.origins) - set(there.origins))
    winner = mine.history(path)[0]
    return not any(origin == winner[1] and same(value, winner[0]) for value, origin in other.history(path))


def layer_of(origin: str) -> str:
    """Return the layer of an origin in a word or two.

    >>> layer_of("flag --training.learning_rate"), layer_of("env LLM_SEED"), layer_of("default src/x.py:3")
    ('flag', 'env LLM_SEED', 'default')
    >>> layer_of("machine: 2 CPUs, no GPU"), layer_of("experiments/b.yaml:3:5")
    ('machine', 'experiments/b.yaml:3:5')
    """
    for kind in ("flag", "default"):
        if origin.startswith(f"{kind} "):
            return kind
    return "machine" if origin.startswith("machine:") else origin


def _json(given: Given | None) -> dict[str, object] | None:
    if given is None:
        return None
    found: dict[str, object] = {"value": given.value, "origin": ", ".join(given.origins)}
    return {**found, "written": given.written} if given.written else found
