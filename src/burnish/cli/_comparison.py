"""Two runs side by side: what of their records, cards, configs and code differs."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from burnish.cli._words import SCRIPT, differing_words
from burnish.config.diff import Difference, diff
from burnish.config.snapshot import Snapshot, flat, read_snapshot
from burnish.core.paths import RunPaths
from burnish.core.shape import items, section, words
from burnish.journal.record import RunRecord, read_record
from burnish.track.card import read_card

Pair = tuple[object, object]
"""The value of one thing in either run; None where it is not known."""

_MACHINE = ("host", "platform", "cpu", "cpus", "memory_bytes", "python")
# Each run has its own, whatever it ran.
_OF_THE_RUN = frozenset({"BURNISH_RUN", "BURNISH_RUN_DIR", "BURNISH_ATTEMPT", "BURNISH_JOINED"})
_GPU = ("name", "memory_bytes", "driver", "compute_capability")
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_GIT_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class RunSide:
    """One of the two runs.

    Attributes:
        config: None where it was started without a config.
    """

    paths: RunPaths
    record: RunRecord
    card: dict[str, object]
    config: Snapshot | None

    @classmethod
    def read(cls, paths: RunPaths) -> RunSide:
        """Read what is known of a run.

        Raises:
            ConfigError: Its config cannot be read.
        """
        config = read_snapshot(paths) if paths.config.exists() else None
        return cls(paths, read_record(paths), read_card(paths), config)

    def to_json(self) -> dict[str, object]:
        """Return how the run is named in the comparison."""
        return {"run": self.paths.name, "id": self.paths.id, "state": self.record.get("state")}


@dataclass(frozen=True, slots=True)
class Code:
    """How the code of two runs differs.

    Attributes:
        different: Commit, branch and whether there were changes, where they differ.
        changed_lines: Lines of `code.diff` that were added or removed, in either run.
        same_changes: Whether the uncommitted changes were the same.
        stat: What `git diff --stat` says between the commits; empty where it cannot.
        is_known: Whether a commit is known of either run.
        untracked: Files that git did not know in either run; their content was not kept.
        same_script: Whether both commands began the same program.
    """

    different: dict[str, Pair]
    changed_lines: tuple[int, int]
    same_changes: bool
    stat: str
    is_known: bool = True
    untracked: tuple[str, ...] = ()
    same_script: bool = True

    @property
    def is_same(self) -> bool:
        """Whether all that ran is known, and the same."""
        return not self.differs and self.is_known and not self.untracked and self.same_script

    @property
    def differs(self) -> bool:
        """Whether something is known to differ."""
        return bool(self.different) or not self.same_changes


@dataclass(frozen=True, slots=True)
class Result:
    """One metric of two runs: its statistics, and by how much the second is above the first."""

    a: Mapping[str, object]
    b: Mapping[str, object]

    def difference(self, statistic: str) -> float | None:
        """Return b − a of `last` or `best`; None where either is missing."""
        a, b = self.a.get(statistic), self.b.get(statistic)
        return b - a if isinstance(a, int | float) and isinstance(b, int | float) else None

    def to_json(self) -> dict[str, object]:
        """Return what `--json` prints of it."""
        difference = {name: self.difference(name) for name in ("last", "best")}
        return {"a": dict(self.a) or None, "b": dict(self.b) or None, "difference": difference}


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that differs between two runs; a section without differences is empty.

    Attributes:
        config: None where a run has no config.
        command: The words of the command lines that differ, by flag or place.
        results: Every metric that either run has.
    """

    a: RunSide
    b: RunSide
    config: Difference | None
    command: Mapping[str, Pair]
    code: Code
    packages: dict[str, Pair]
    machine: dict[str, Pair]
    environment: dict[str, Pair]
    data: dict[str, Pair]
    results: dict[str, Result] = field(default_factory=dict)


def compare(a: RunPaths, b: RunPaths, repository: Path) -> Comparison:
    """Compare two runs.

    Args:
        a: The first.
        b: The second.
        repository: Where both commits may be found.

    Raises:
        ConfigError: The config of one of them cannot be read.
    """
    one, other = RunSide.read(a), RunSide.read(b)
    command = differing_words(words(one.record, "command"), words(other.record, "command"))
    has_configs = one.config is not None and other.config is not None
    return Comparison(
        one,
        other,
        diff(one.config, other.config) if has_configs and one.config and other.config else None,
        command,
        _code(one, other, repository, same_script=not SCRIPT.intersection(command)),
        _differences(section(one.card, "packages"), section(other.card, "packages")),
        _differences(_machine(one.card), _machine(other.card)),
        _differences(_environment(one.card), _environment(other.card)),
        _differences(_data(one.card), _data(other.card)),
        _results(one.record, other.record),
    )


def _differences(a: Mapping[str, object], b: Mapping[str, object]) -> dict[str, Pair]:
    return {key: (a.get(key), b.get(key)) for key in sorted({*a, *b}) if a.get(key) != b.get(key)}


def _machine(card: Mapping[str, object]) -> dict[str, object]:
    system = section(card, "system")
    gpus = [gpu for gpu in items(system, "gpus") if isinstance(gpu, dict)]
    found = {name: system[name] for name in _MACHINE if name in system}
    if executable := system.get("executable"):
        # Of one environment `python` and `python3` are the same.
        found["executable"] = str(Path(str(executable)).parent)
    if "gpus" in system:
        found["gpus"] = len(gpus)
    return found | {f"gpu {number} {key}": gpu[key] for number, gpu in enumerate(gpus) for key in _GPU if key in gpu}


def _environment(card: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in section(card, "environment").items() if name not in _OF_THE_RUN}


def _data(card: Mapping[str, object]) -> dict[str, object]:
    """Return the fingerprints of a run's data by dotted path; when its files were touched says nothing of them."""
    found = section(card, "data") or section(section(card, "reported"), "data")
    return {path: value for path, value in flat(found) if path and path.rpartition(".")[2] != "mtime"}  # type: ignore[arg-type]


def _code(a: RunSide, b: RunSide, repository: Path, *, same_script: bool) -> Code:
    one, other = ({k: section(side.card, "code").get(k) for k in ("commit", "branch", "dirty")} for side in (a, b))
    changes = [_changes(side.paths) for side in (a, b)]
    return Code(
        _differences(one, other),
        (changes[0][0], changes[1][0]),
        changes[0][1] == changes[1][1],
        _stat(repository, str(one["commit"]), str(other["commit"])) if one["commit"] != other["commit"] else "",
        bool(one["commit"] or other["commit"]),
        tuple(sorted({*_untracked(a), *_untracked(b)})),
        same_script,
    )


def _untracked(side: RunSide) -> tuple[str, ...]:
    return words(section(side.card, "code"), "untracked")


def _changes(paths: RunPaths) -> tuple[int, str]:
    """Return how many lines uncommitted changes added and removed, and a digest of them."""
    try:
        raw = (paths.root / "code.diff").read_bytes()
    except OSError:
        return 0, ""
    lines = raw.split(b"\n")
    changed = sum(line[:1] in (b"+", b"-") and not line.startswith((b"+++ ", b"--- ")) for line in lines)
    return changed, hashlib.sha256(raw).hexdigest()


def _stat(repository: Path, a: str, b: str) -> str:
    """Return `git diff --stat` between two commits; empty where the repository does not have both."""
    if not _COMMIT.fullmatch(a) or not _COMMIT.fullmatch(b):
        return ""
    argv = ["git", "-C", str(repository), "diff", "--no-ext-diff", "--no-color", "--stat=100", a, b, "--"]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            argv, capture_output=True, timeout=_GIT_TIMEOUT_S, env=environment, stdin=subprocess.DEVNULL, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace").rstrip("\n") if done.returncode == 0 else ""


def _results(a: RunRecord, b: RunRecord) -> dict[str, Result]:
    one, other = _summary(a), _summary(b)
    return {name: Result(one.get(name, {}), other.get(name, {})) for name in sorted({*one, *other})}


def _summary(record: RunRecord) -> dict[str, Mapping[str, object]]:
    """Return the statistics of each metric; of a run that keeps none while it lives, the latest values."""
    latest: dict[str, Mapping[str, object]] = {k: {"last": v} for k, v in section(record, "latest").items()}
    return latest | {k: v for k, v in section(record, "summary").items() if isinstance(v, dict)}
