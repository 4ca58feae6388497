"""MLflow's stores: each run that is not deleted, with its params as config.

A SQLite file and a folder `mlruns` are read as they are, whatever version of MLflow wrote them and without one;
nothing is written to them. A server, or a database of another kind, is asked through MLflow's own client.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from burnish.core.errors import RunError
from burnish.core.nearest import nearest
from burnish.journal import Kind
from burnish.project.importers.found import Facts, Found, Options, State
from burnish.project.importers.log import Log
from burnish.project.importers.mlflow_store import Point, Store, StoredRun
from burnish.project.importers.values import literal
from burnish.track.artifacts import store_artifact

NOMINAL_SIZE: Final = 1 << 20
"""What one run counts in a progress bar: how much there is to read is not known before."""
_STATES: Final[dict[str, State]] = {"FINISHED": "finished", "FAILED": "failed", "KILLED": "stopped"}
_LARGEST_COPY: Final = 256 << 20
_LARGEST_NUMBER: Final = 1.7976931348623157e308
_SCHEMES: Final = ("http", "https", "postgresql", "mysql", "mssql", "databricks")
_NAME: Final = "mlflow.runName"
_PARENT: Final = "mlflow.parentRunId"
_NOTE: Final = "mlflow.note.content"
_SOURCE: Final = "mlflow.source.name"
_CODE: Final = {
    "mlflow.source.git.commit": "commit",
    "mlflow.source.git.branch": "branch",
    "mlflow.source.git.repoURL": "remote",
}


def open_store(where: str) -> Store:
    """Return the store that a path or an address names."""
    if where.startswith("sqlite:"):
        where = where.removeprefix("sqlite:///") if where.startswith("sqlite:///") else where.removeprefix("sqlite:")
    if where.startswith("file:"):
        where = unquote(urlsplit(where).path)
    if "://" in where or where.startswith("databricks"):
        from burnish.project.importers.mlflow_server import ServerStore

        return ServerStore(where)
    if Path(where).is_dir():
        from burnish.project.importers.mlflow_files import FileStore

        return FileStore(Path(where))
    from burnish.project.importers.mlflow_sqlite import SqliteStore

    return SqliteStore(Path(where))


def read(where: str, options: Options) -> Iterator[Found]:
    """Yield the runs of a store, oldest first.

    Raises:
        RunError: It is no store of MLflow's, it does not answer, or has no such experiment.
    """
    store = open_store(where)
    names = store.experiments()
    for wanted in options.experiments:
        if wanted not in names.values():
            best = nearest(wanted, names.values())
            hint = f"did you mean {best!r}?" if best else f"there are {', '.join(names.values()) or 'none'}"
            raise RunError(f"no experiment {wanted!r}", origin=store.shown, hint=hint)
    chosen = {key: name for key, name in names.items() if not options.experiments or name in options.experiments}
    runs = store.runs(chosen)
    families = _families(runs)
    for run in runs:
        reader = _Reader(store, run, families)
        name = run.name or run.tags.get(_NAME) or run.id[:8]
        shown = f"{store.shown}#{run.id}"
        yield Found("mlflow", shown, chosen[run.experiment], name, reader.read, id=run.id, size=NOMINAL_SIZE)


def _families(runs: Iterable[StoredRun]) -> dict[str, list[str]]:
    """Return the ids of nested runs by that of the one that they are nested in."""
    found: dict[str, list[str]] = {}
    for run in runs:
        if parent := run.tags.get(_PARENT):
            found.setdefault(parent, []).append(run.id)
    return found


class _Reader:
    """Reads one run.

    Args:
        store: Where it is.
        run: What is known of it.
        families: Which runs are nested in which.
    """

    def __init__(self, store: Store, run: StoredRun, families: Mapping[str, Sequence[str]]) -> None:
        self._store, self._run, self._families = store, run, families

    def read(self, log: Log) -> Facts:
        run = self._run
        for values, step, at in _rows(self._store.points(run.id)):
            log.scalars(values, step, at)
        warnings = self._artifacts(log)
        state = _STATES.get(run.status, "lost")
        reason = "finished" if state == "finished" else f"MLflow says {run.status.lower() or 'nothing'}"
        tags = {key: value for key, value in run.tags.items() if not key.startswith("mlflow.")}
        return Facts(
            state=state,
            reason=reason,
            started=run.started_ms / 1000 if run.started_ms else None,
            ended=run.ended_ms / 1000 if run.ended_ms else None,
            config={key: literal(value) for key, value in run.params.items()},
            tags=tuple(k if value in ("", "true", "True") else f"{k}={value}" for k, value in sorted(tags.items())),
            notes=(note,) if (note := run.tags.get(_NOTE)) else (),
            group=self._group(),
            sweep=self._sweep(),
            command=(source,) if (source := run.tags.get(_SOURCE)) else (),
            code={ours: run.tags[theirs] for theirs, ours in _CODE.items() if theirs in run.tags},
            version="mlflow",
            warnings=tuple(warnings),
        )

    def _group(self) -> str:
        """Return what runs that are nested in one are shown under, that one included."""
        run = self._run
        parent = run.tags.get(_PARENT) or (run.id if run.id in self._families else "")
        return f"mlflow {parent[:8]}" if parent else ""

    def _sweep(self) -> dict[str, object]:
        parent = self._run.tags.get(_PARENT)
        if not parent:
            return {}
        family = self._families.get(parent, [])
        return {"id": parent[:8], "number": family.index(self._run.id) + 1, "of": len(family), "values": {}}

    def _artifacts(self, log: Log) -> list[str]:
        """Keep the artifacts of a run that lie on this machine; return what is to be said of others."""
        where = self._run.artifacts
        if where is None:
            told = self._store.remote(self._run)
            return [f"its artifacts are not on this machine: {log.text(told)}"] if told else []
        warnings: list[str] = []
        for path in sorted(where.iterdir()) if where.is_dir() else ():
            is_small = _size(path) <= _LARGEST_COPY
            try:
                kept = store_artifact(log.root, path, name=path.name, kind="artifact", copy=is_small)
            except OSError as error:
                warnings.append(f"artifact {path.name} cannot be read: {error.strerror}")
                continue
            log.record(Kind.ARTIFACT, kept.name, kept.payload("made"), None, None)
            if not is_small:
                warnings.append(f"artifact {path.name} is not copied: it has more than {_LARGEST_COPY >> 20} MiB")
        return warnings


def _rows(points: Iterable[Point]) -> Iterator[tuple[dict[str, object], int, float]]:
    """Yield points of one step and time together, the second of one metric apart."""
    row: dict[str, object] = {}
    place: tuple[int, int] | None = None
    for key, value, at_ms, step in points:
        if row and (place != (step, at_ms) or key in row):
            assert place is not None
            yield row, place[0], place[1] / 1000
            row = {}
        place = (step, at_ms)
        # What was infinite when it was logged MLflow keeps as the largest number there is.
        row[key] = value if abs(value) != _LARGEST_NUMBER else value * 10
    if row and place is not None:
        yield row, place[0], place[1] / 1000


def _size(path: Path) -> int:
    """Return the size of a file, or of all files in a folder, as far as it matters."""
    if not path.is_dir():
        return path.stat().st_size if path.is_file() else 0
    total = 0
    for below in path.rglob("*"):
        total += below.stat().st_size if below.is_file() and not below.is_symlink() else 0
        if total > _LARGEST_COPY:
            break
    return total


def is_address(where: str) -> bool:
    """Return whether something that was typed is an address of a store, not a path."""
    schemes = ("http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks", "file")
    return ("://" in where and where.split(":", 1)[0].split("+")[0] in schemes) or where.startswith(
        ("sqlite:", "file:")
    )
