"""A folder `mlruns`, as MLflow kept its runs before it had databases: small files, read as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import yaml

from burnish.core.errors import RunError
from burnish.project.importers.mlflow_store import Point, Store, StoredRun, local_folder
from burnish.project.importers.values import number_in_text

_META: Final = "meta.yaml"
_STATUS: Final = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
_LARGEST_TEXT: Final = 1 << 20


def is_file_store(folder: Path) -> bool:
    """Return whether a folder is one: its experiments are folders with a file that says so."""
    try:
        return any((below / _META).is_file() and "experiment_id" in _meta(below) for below in folder.iterdir())
    except OSError:
        return False


class FileStore(Store):
    """One folder.

    Args:
        folder: The folder, or one in which it lies as `mlruns`.

    Raises:
        RunError: It is none.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute() if is_file_store(folder) else (folder / "mlruns").absolute()
        self.shown = str(self._folder)
        self.beside = self._folder.parent
        if not is_file_store(self._folder):
            raise RunError("no store of MLflow's: no experiment lies in it", origin=str(folder.absolute()))

    def experiments(self) -> dict[str, str]:
        """Return the names of experiments by their ids, which are the names of their folders."""
        metas = {path.name: _meta(path) for path in sorted(self._folder.iterdir()) if (path / _META).is_file()}
        return {key: str(meta.get("name") or key) for key, meta in metas.items() if _is_active(meta)}

    def runs(self, experiments: Mapping[str, str]) -> Sequence[StoredRun]:
        """Return the runs of experiments."""
        found = []
        for experiment in experiments:
            for folder in sorted((self._folder / experiment).iterdir()):
                meta = _meta(folder) if (folder / _META).is_file() else {}
                if meta and _is_active(meta):
                    found.append(self._run(folder, experiment, meta))
        return sorted(found, key=lambda run: (run.started_ms, run.id))

    def points(self, run: str) -> Iterator[Point]:
        """Yield the points of a run by time."""
        folder = next(self._folder.glob(f"*/{run}/metrics"), None)
        found: list[tuple[int, int, str, float]] = []
        for path in sorted(folder.rglob("*")) if folder is not None else ():
            if path.is_file():
                name = path.relative_to(folder).as_posix() if folder is not None else path.name
                found += [(at_ms, step, name, value) for at_ms, value, step in _lines(path)]
        for at_ms, step, name, value in sorted(found, key=lambda point: point[:3]):
            yield name, value, at_ms, step

    def _run(self, folder: Path, experiment: str, meta: Mapping[str, object]) -> StoredRun:
        status = meta.get("status")
        started, ended = meta.get("start_time"), meta.get("end_time")
        uri = str(meta.get("artifact_uri") or "")
        inside = folder / "artifacts"
        return StoredRun(
            folder.name,
            str(meta.get("run_name") or ""),
            experiment,
            _STATUS.get(status, "") if isinstance(status, int) else str(status),
            started if isinstance(started, int) else 0,
            ended if isinstance(ended, int) else 0,
            _texts(folder / "params"),
            _texts(folder / "tags"),
            uri,
            inside if inside.is_dir() else local_folder(uri, self._folder.parent),
        )


def _is_active(meta: Mapping[str, object]) -> bool:
    return meta.get("lifecycle_stage", "active") == "active"


def _meta(folder: Path) -> dict[str, object]:
    try:
        found = yaml.safe_load((folder / _META).read_bytes())
    except (OSError, yaml.YAMLError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _texts(folder: Path) -> dict[str, str]:
    """Return the content of each file below a folder by its path there."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.stat().st_size <= _LARGEST_TEXT:
            found[path.relative_to(folder).as_posix()] = path.read_text(errors="replace")
    return found


def _lines(path: Path) -> Iterator[tuple[int, float, int]]:
    """Yield time, value and step of each line; one that was cut off is passed over."""
    with path.open(errors="replace") as file:
        for line in file:
            at_ms, value, step, *_ = (*line.split(), "", "", "")
            found = number_in_text(value)
            if at_ms.isdigit() and found is not None:
                yield int(at_ms), found, int(step) if step.removeprefix("-").isdigit() else 0
