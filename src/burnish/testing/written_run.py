"""A run whose journals are written by hand, and what trackers of each kind are to show of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from burnish.core.files import write_atomic, write_json
from burnish.core.paths import RunPaths
from burnish.journal import JournalWriter, Kind
from burnish.journal.reader import SYSTEM_RANK

Replay = Literal["newer", "both", "every"]
"""What a tracker shows of steps that were trained again: the newer values, every value that differs, all of them."""

_CREATED: Final = 1_700_000_000.0
_ROW_S: Final = 0.01  # times of rows differ in any tracker's unit


@dataclass(frozen=True, slots=True)
class Row:
    """Scalars of one call."""

    step: int
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Resume:
    """What was logged beyond this step is trained again."""

    step: int


@dataclass(frozen=True, slots=True)
class Said:
    """A point, and whose it is."""

    rank: int
    name: str
    step: int
    value: float


@dataclass(frozen=True, slots=True)
class _File:
    rank: int
    attempt: int
    said: Sequence[Row | Resume]


class WrittenRun:
    """A run in a folder of its own.

    Args:
        project: The folder of its project.
        name: Its name, the last part of which is its id.
    """

    def __init__(self, project: Path, name: str = "20260101_kit_c0nf") -> None:
        self.paths = RunPaths(project / "runs" / name)
        for folder in (self.paths.journals, self.paths.cursors):
            folder.mkdir(parents=True)
        self._files: list[_File] = []
        self._rows = 0
        self.record()

    def record(self, **facts: object) -> None:
        """Write the `run.json`."""
        project = str(self.paths.root.parent.parent)
        known = {"created": _CREATED, "experiment": "kit", "project": project, "state": "running"}
        write_json(self.paths.state, {**known, **facts})

    def configure(self, text: str) -> None:
        """Write the `config.yaml`."""
        write_atomic(self.paths.config, text)

    def attempt(self, number: int, said: Iterable[Row | Resume], *, rank: int = 0) -> None:
        """Write the journal file of one process, `SYSTEM_RANK` for the one that watches."""
        file = _File(rank, number, list(said))
        with self.writer(number, rank=rank) as writer:
            for entry in file.said:
                if isinstance(entry, Resume):
                    writer.record(Kind.LIFECYCLE, "resume", {}, entry.step)
                    continue
                self._rows += 1
                values = tuple(float(value) for value in entry.values.values())
                writer.row(tuple(entry.values), values, entry.step, _CREATED + self._rows * _ROW_S)
        self._files.append(file)

    def writer(self, attempt: int = 1, *, rank: int = 0) -> _Writer:
        """Return a writer of another file, to be used in `with`."""
        return _Writer(self.paths.journals, rank, lambda: {"attempt": attempt})

    def shown(self, replay: Replay) -> list[Said]:
        """Return the points that a tracker is to show."""
        shown: list[Said] = []
        begun: set[tuple[int, int]] = set()
        for file in self._files:
            known: frozenset[Said] = frozenset()
            for step, points in _cuts(file, begun):
                if step is not None and file.rank != SYSTEM_RANK:
                    known = frozenset(said for said in shown if said.rank == file.rank and said.step > step)
                    if replay == "newer":
                        shown = [said for said in shown if said not in known]
                shown += [point for point in points if replay != "both" or not _is_among(point, known)]
        return shown


class _Writer(JournalWriter):
    def __enter__(self) -> JournalWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _cuts(file: _File, begun: set[tuple[int, int]]) -> Iterator[tuple[int | None, list[Said]]]:
    """Yield the points of a file entry by entry, with the step beyond which those before them are replayed."""
    for entry in file.said:
        has_begun = file.attempt == 1 or (file.rank, file.attempt) in begun
        begun.add((file.rank, file.attempt))
        if isinstance(entry, Resume):
            yield entry.step, []
        else:
            points = [Said(file.rank, name, entry.step, float(value)) for name, value in entry.values.items()]
            yield None if has_begun else entry.step - 1, points


def _is_among(point: Said, known: frozenset[Said]) -> bool:
    return point in known or (
        point.value != point.value
        and any((p.name, p.step) == (point.name, point.step) and p.value != p.value for p in known)
    )
