"""All scalars of a run as columns, with the steps that a resumed attempt replayed shown once, the newer."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from burnish.core.errors import JournalError
from burnish.journal.entry import Kind, Record, Row
from burnish.journal.frame import Damage
from burnish.journal.reader import JournalName, JournalReader, journal_files

Mask = npt.NDArray[np.bool_]
N = TypeVar("N", bound=np.generic)


@dataclass(slots=True)
class Scalars:
    """Columns of equal length, one entry a point, in the order in which they were logged.

    Attributes:
        names: Metric names; `key` holds indices into it.
        key: int32.
        step: int64, the training step.
        time: float64, seconds since the epoch.
        value: float64.
        rank: int32, the rank that logged the point.
        damage: What could not be read, by file name.
    """

    names: list[str]
    key: npt.NDArray[np.int32]
    step: npt.NDArray[np.int64]
    time: npt.NDArray[np.float64]
    value: npt.NDArray[np.float64]
    rank: npt.NDArray[np.int32]
    damage: dict[str, list[Damage]] = field(default_factory=dict)

    def of(self, name: str, *, rank: int = 0) -> tuple[list[int], list[float]]:
        """Return the steps and values of one metric of one rank."""
        if name not in self.names:
            return [], []
        chosen = (self.key == self.names.index(name)) & (self.rank == rank)
        return self.step[chosen].tolist(), self.value[chosen].tolist()

    def summary(self) -> dict[str, dict[str, float]]:
        """Return count, first, last, min and max of each metric on rank 0; NaN only where nothing else is."""
        result: dict[str, dict[str, float]] = {}
        leading = self.rank == 0
        for number, name in enumerate(self.names):
            chosen = leading & (self.key == number)
            # By step, then as logged: the files of two processes of one attempt may interleave.
            order = np.argsort(self.step[chosen], kind="stable")
            values, steps = self.value[chosen][order], self.step[chosen][order]
            if not len(values):
                continue
            finite = values[~np.isnan(values)]
            span = finite if len(finite) else values
            result[name] = {
                "count": len(values),
                "first": float(values[0]),
                "last": float(values[-1]),
                "min": float(span.min()),
                "max": float(span.max()),
                "last_step": int(steps[-1]),
            }
        return dict(sorted(result.items()))


@dataclass(slots=True)
class _Attempt:
    """The points of one attempt of one rank, and the step after which it replaced what came before."""

    number: int
    rank: int
    resumed_after: int | None = None
    key: array[int] = field(default_factory=lambda: array("i"))
    step: array[int] = field(default_factory=lambda: array("q"))
    time: array[float] = field(default_factory=lambda: array("d"))
    value: array[float] = field(default_factory=lambda: array("d"))

    @property
    def cut(self) -> int | None:
        """The last step of earlier attempts that still counts; None when this attempt logged nothing."""
        if self.resumed_after is not None:
            return self.resumed_after
        return self.step[0] - 1 if self.step else None


def load_scalars(folder: Path) -> Scalars:
    """Read every scalar of a run, finished or live.

    Args:
        folder: The run's journal folder.
    """
    numbers: dict[str, int] = {}
    attempts: dict[tuple[int, int], _Attempt] = {}
    damage: dict[str, list[Damage]] = {}
    for path in journal_files(folder):
        reader = JournalReader(path)
        try:
            _collect(reader.read_all(), JournalName.parse(path).rank, attempts, numbers)
            found = reader.damage
        except JournalError as error:  # one file with a broken header must not hide the others
            found = [Damage(0, path.stat().st_size, error.message)]
        finally:
            reader.close()
        if found:
            damage[path.name] = found
    ordered = sorted(attempts.values(), key=lambda attempt: (attempt.rank, attempt.number))
    kept = [(attempt, _kept(attempt, ordered)) for attempt in ordered]
    return Scalars(
        names=list(numbers),
        key=_join([np.asarray(a.key, np.int32)[mask] for a, mask in kept], np.int32),
        step=_join([np.asarray(a.step, np.int64)[mask] for a, mask in kept], np.int64),
        time=_join([np.asarray(a.time, np.float64)[mask] for a, mask in kept], np.float64),
        value=_join([np.asarray(a.value, np.float64)[mask] for a, mask in kept], np.float64),
        rank=_join([np.full(int(mask.sum()), a.rank, np.int32) for a, mask in kept], np.int32),
        damage=damage,
    )


def _collect(
    entries: Sequence[Row | Record],
    rank: int,
    attempts: dict[tuple[int, int], _Attempt],
    numbers: dict[str, int],
) -> None:
    attempt = attempts.setdefault((rank, 1), _Attempt(1, rank))
    for entry in entries:
        if isinstance(entry, Row):
            for name, value in zip(entry.keys, entry.values, strict=True):
                attempt.key.append(numbers.setdefault(name, len(numbers)))
                attempt.step.append(entry.step)
                attempt.time.append(entry.time)
                attempt.value.append(value)
        elif entry.kind == Kind.LIFECYCLE and entry.key == "open":
            number = entry.payload.get("attempt", 1)
            number = number if isinstance(number, int) else 1
            attempt = attempts.setdefault((rank, number), _Attempt(number, rank))
        elif entry.kind == Kind.LIFECYCLE and entry.key == "resume" and entry.step is not None:
            attempt.resumed_after = entry.step


def _kept(attempt: _Attempt, every: Sequence[_Attempt]) -> Mask:
    """Return which points of an attempt no later attempt of the same rank has replayed."""
    steps = np.asarray(attempt.step, np.int64)
    later = [a.cut for a in every if a.rank == attempt.rank and a.number > attempt.number]
    cuts = [cut for cut in later if cut is not None]
    return steps <= min(cuts) if cuts else np.ones(len(steps), np.bool_)


def _join(parts: Sequence[npt.NDArray[N]], dtype: type[N]) -> npt.NDArray[N]:
    return np.concatenate(parts) if parts else np.empty(0, dtype)
