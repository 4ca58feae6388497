"""Importing: each run is written in a hidden folder and takes its place by one rename, or not at all.

However many imports go on at once, a run of a source becomes one run here: who is to publish holds a lock and looks
first at what is there. What a killed import leaves behind, the next one clears away.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom
from typing import Final, Literal

from burnish.core.errors import BurnishError, RunError, StorageError
from burnish.core.files import FileLock, make_folder
from burnish.core.ids import run_id, run_token
from burnish.core.paths import Project, RunPaths
from burnish.core.secrets import Masker
from burnish.project.importers.folder import complete, mark_of, name_of
from burnish.project.importers.found import Facts, Found
from burnish.project.importers.known import KnownRuns, Mark, Relation
from burnish.project.importers.log import Log

_LOCK: Final = ".import.lock"
_DRAFT: Final = ".import-"
_OWNER: Final = "owner.lock"
_REPLACED: Final = "replaced"
_KEPT: Final = ("annotations.json",)
"""What was said of a run here stays when it is imported again."""

Outcome = Literal["imported", "updated", "unchanged"]


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one run of a source.

    Attributes:
        found: The run as its source tells of it.
        id: Its id here; empty in a dry run of one that is new.
        name: Its name here.
        experiment: What the experiment is called here.
        called: What its source calls it, without credentials.
        outcome: `updated` where it had been imported already, and there is more of it now.
        points: How many values it has.
        metrics: How many metrics.
        state: How it ended.
        warnings: What was left out, and why.
    """

    found: Found
    id: str
    name: str
    experiment: str
    called: str
    outcome: Outcome
    points: int
    metrics: int
    state: str
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """A run of a source that could not be imported."""

    found: Found
    error: BurnishError


@dataclass(frozen=True, slots=True)
class _Draft:
    """A run that was read, and lies in a hidden folder."""

    found: Found
    facts: Facts
    log: Log
    mark: Mark
    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "run"


@dataclass(slots=True)
class Intake:
    """Imports runs into a project.

    Args:
        project: Where they are to be kept.
        environ: Its credentials are masked wherever they stand.
        experiment: What to call the experiment, instead of what the source calls it.
        dry_run: Only say what would become of them.
        on_progress: Told how much more was read, in the units of `Found.size`.
    """

    project: Project
    environ: Mapping[str, str]
    experiment: str = ""
    dry_run: bool = False
    on_progress: Callable[[float], None] = lambda done: None

    def take(self, runs: Iterable[Found]) -> Iterator[Imported | Failed]:
        """Import runs one by one; one that cannot be read stops no other.

        Raises:
            StorageError: The runs folder cannot be written.
        """
        if not self.dry_run:
            self.project.make()
            self._clear()
        known = KnownRuns(self.project.runs)
        for found in runs:
            try:
                yield self._one(found, known)
            except StorageError:
                raise
            except BurnishError as error:
                yield Failed(found, error)
            except (OSError, ValueError, RecursionError, MemoryError) as error:
                told = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
                yield Failed(found, RunError(f"cannot import {found.name!r}: {told}", origin=found.path))

    def _one(self, found: Found, known: KnownRuns) -> Imported:
        with self._draft_folder() as folder:
            draft = self._read(found, folder)
            with self._alone():
                known.look()
                match = known.find(draft.mark, draft.root / "journal")
                if match is None or match[1] == "grown":
                    return self._publish(draft, match[0] if match is not None else None)
                return _unchanged(draft, *match, self.experiment)

    def _read(self, found: Found, folder: Path) -> _Draft:
        root = folder / "run"
        for name in ("journal", "checkpoints", "cursors"):
            (root / name).mkdir(parents=True)
        read = 0.0

        def advance(done: float) -> None:
            nonlocal read
            step = min(done, found.size - read)  # a file may grow while it is read
            read += step
            self.on_progress(step)

        log = Log(root, Masker.from_environment(self.environ), found.label, advance)
        try:
            facts = found.read(log)
            advance(found.size)
            return _Draft(found, facts, log, mark_of(found, facts, log), folder)
        finally:
            log.close()

    def _publish(self, draft: _Draft, before: RunPaths | None) -> Imported:
        """Give a run its place, or the place of what it was when it was imported before."""
        now = time.time()
        name = before.name if before is not None else self._free_name(draft, now)
        new = RunPaths(draft.folder / name)
        draft.root.rename(new.root)
        warnings = complete(new, draft.found, draft.facts, draft.log, experiment=self.experiment, now=now)
        if before is not None and any(before.cursors.glob("*.json")):
            to = " ".join(f"--to {path.stem}" for path in sorted(before.cursors.glob("*.json")))
            warnings += (f"trackers have it as it was: burnish sync {run_id(name)} {to} --from-start",)
        if not self.dry_run and before is not None:
            _replace(before, new, draft.folder)
        elif not self.dry_run:
            new.root.rename(self.project.runs / name)
        log, is_new = draft.log, self.dry_run and before is None
        return Imported(
            draft.found,
            "" if is_new else run_id(name),
            "" if is_new else name,
            log.text(self.experiment or draft.found.experiment),
            log.text(draft.found.name),
            "imported" if before is None else "updated",
            log.points,
            len(log.names),
            draft.facts.state,
            warnings,
        )

    def _free_name(self, draft: _Draft, now: float) -> str:
        taken = {run_id(path.name) for path in self.project.runs.iterdir()} if self.project.runs.is_dir() else set()
        random = SystemRandom()
        while (token := run_token(random)) in taken:
            pass
        return name_of(draft.found, draft.facts, draft.log, self.experiment, token, now=now)

    @contextmanager
    def _draft_folder(self) -> Iterator[Path]:
        """Make a hidden folder, which belongs to this process while it lives."""
        if self.dry_run:
            with tempfile.TemporaryDirectory(prefix="burnish-import-") as temporary:
                yield Path(temporary)
            return
        try:
            with self._alone():  # else another import would take it for one that a killed process left
                folder = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=self.project.runs))
                owner = FileLock.acquire(folder / _OWNER)
        except OSError as error:
            raise StorageError(
                f"cannot write to {self.project.runs}: {error.strerror}",
                hint="choose another folder: BURNISH_RUNS=/path/to/runs",
            ) from error
        with owner:
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if self.dry_run:
            yield
            return
        with FileLock.acquire(self.project.runs / _LOCK):
            yield

    def _clear(self) -> None:
        """Remove what killed imports left behind; a run that one of them was about to replace comes back."""
        with self._alone():
            for folder in self.project.runs.glob(f"{_DRAFT}*"):
                if not folder.is_dir():
                    continue
                owner = FileLock.try_acquire(folder / _OWNER)
                if owner is None:
                    continue
                with owner:
                    for replaced in (folder / _REPLACED).glob("*"):
                        if not (self.project.runs / replaced.name).exists():
                            replaced.rename(self.project.runs / replaced.name)
                    shutil.rmtree(folder, ignore_errors=True)


def import_runs(
    runs: Iterable[Found], project: Project, *, experiment: str = "", environ: Mapping[str, str] | None = None
) -> list[Imported | Failed]:
    """Import runs into a project; return what became of each.

    Args:
        runs: As `find_runs` returns them.
        project: Where they are to be kept.
        experiment: What to call the experiment, instead of what the source calls it.
        environ: Its credentials are masked; this process's own environment when left out.

    Raises:
        StorageError: The runs folder cannot be written.
    """
    return list(Intake(project, os.environ if environ is None else environ, experiment).take(runs))


def _unchanged(draft: _Draft, paths: RunPaths, relation: Relation, experiment: str) -> Imported:
    warnings = draft.facts.warnings
    if relation == "older":
        warnings += (f"this is an older state of run {paths.id}, which has more",)
    log, state = draft.log, draft.facts.state
    experiment = log.text(experiment or draft.found.experiment)
    counts = (log.points, len(log.names))
    called = log.text(draft.found.name)
    return Imported(draft.found, paths.id, paths.name, experiment, called, "unchanged", *counts, state, warnings)


def _replace(before: RunPaths, new: RunPaths, folder: Path) -> None:
    """Put a run in the place of another of its name.

    Raises:
        RunError: Somebody is at work on it.
    """
    lock = FileLock.try_acquire(before.lock)
    if lock is None:
        raise RunError(f"run {before.name} is being shipped to a tracker", hint="import it again when that is done")
    with lock:
        for kept in _KEPT:
            if (before.root / kept).is_file():
                shutil.copy2(before.root / kept, new.root / kept)
        replaced = make_folder(folder / _REPLACED) / before.name
        before.root.rename(replaced)
        try:
            new.root.rename(before.root)
        except BaseException:
            replaced.rename(before.root)  # its notes and tags are nowhere else
            raise
