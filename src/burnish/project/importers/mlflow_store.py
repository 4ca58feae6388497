"""What a store of MLflow's is asked for, however it is kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

Point: TypeAlias = tuple[str, float, int, int]
"""Metric, value, milliseconds since the epoch, step."""


@dataclass(frozen=True, slots=True)
class StoredRun:
    """One run.

    Attributes:
        id: Which no other run has.
        name: What it is called; may be empty.
        experiment: The id of its experiment.
        status: `RUNNING`, `SCHEDULED`, `FINISHED`, `FAILED` or `KILLED`.
        started_ms: When it began; 0 where that is not known.
        ended_ms: When it ended; 0 where that is not known.
        params: Its config, as text.
        tags: By name; those that begin with `mlflow.` are MLflow's own.
        artifact_uri: Where its files are.
        artifacts: The folder of its files, None where they are not on this machine.
    """

    id: str
    name: str
    experiment: str
    status: str
    started_ms: int
    ended_ms: int
    params: Mapping[str, str]
    tags: Mapping[str, str]
    artifact_uri: str
    artifacts: Path | None


class Store(ABC):
    """A store; it is only ever read.

    Attributes:
        shown: What to call it, without credentials.
        beside: The folder in which it lies, None where it lies in none.
    """

    shown: str
    beside: Path | None = None

    @abstractmethod
    def experiments(self) -> dict[str, str]:
        """Return the names of the experiments that are not deleted, by their ids."""

    @abstractmethod
    def runs(self, experiments: Mapping[str, str]) -> Sequence[StoredRun]:
        """Return the runs of some experiments that are not deleted, oldest first."""

    @abstractmethod
    def points(self, run: str) -> Iterator[Point]:
        """Yield the points of a run, those of one time and step one after the other."""

    def remote(self, run: StoredRun) -> str:
        """Return where the files of a run are that are not on this machine; empty where there are none.

        A run without files has no folder, but those of its experiment's runs lie where they should.
        """
        return "" if _is_beside_others(run.artifact_uri, self.beside) else run.artifact_uri


def local_folder(uri: str, beside: Path | None) -> Path | None:
    """Return the folder of a run's files, None where it is not on this machine.

    Args:
        uri: What the store says.
        beside: The folder of the store, in which a relative path is looked for.
    """
    path = _path(uri, beside)
    return path if path is not None and path.is_dir() else None


def _path(uri: str, beside: Path | None) -> Path | None:
    if uri.startswith("file:"):
        uri = unquote(urlsplit(uri).path)
    if ":" in uri.split("/", 1)[0] or not uri:
        return None
    path = Path(uri)
    return path if path.is_absolute() else (beside or Path()) / path


def _is_beside_others(uri: str, beside: Path | None) -> bool:
    path = _path(uri, beside)
    return path is not None and path.parent.parent.is_dir()
