"""Removing runs: what may not go and why, and a deletion that can be killed at any moment.

A folder is renamed to `.gone-<pid>-<name>` first, a name that nothing in Burnish looks at, so that a run is there
whole or not at all. What a killed deletion left is found by that name and swept by the next one.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from burnish.core.errors import StorageError
from burnish.core.files import FileLock, sync_folder
from burnish.core.ids import run_id
from burnish.core.paths import RunPaths
from burnish.core.shape import items, section, words
from burnish.journal.index import RunIndex
from burnish.journal.record import LIVE, RunRecord, read_record

_GONE = ".gone-"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A run that somebody wants to remove.

    Attributes:
        size_bytes: What its files take, and those of its checkpoints where they lie elsewhere.
        checkpoints: The folder of its checkpoints outside of the run, which goes with it; None where there is none.
        kept: Where its checkpoints lie if they lie outside and stay, because they may not be its own.
        refused: Why it must stay; empty where it may go.
    """

    paths: RunPaths
    state: str
    size_bytes: int
    checkpoints: Path | None = None
    kept: Path | None = None
    refused: str = ""

    def to_json(self) -> dict[str, object]:
        """Return what `--json` prints of it."""
        return {
            "run": self.paths.name,
            "id": self.paths.id,
            "state": self.state,
            "size_bytes": self.size_bytes,
            "checkpoints": str(self.checkpoints) if self.checkpoints else None,
            "checkpoints_kept": str(self.kept) if self.kept else None,
            "refused": self.refused,
        }


@dataclass(frozen=True, slots=True)
class Reference:
    """Something of a run that another run was made from.

    Attributes:
        by: The full name of the run that refers.
        to: The name of the run that it refers to, as it was then.
        path: The file or folder; empty where only the run is named.
        in_config: Whether the other run's config holds the path: an artifact that training asked for is found again
            by run and hash.
    """

    by: str
    to: str
    path: str
    in_config: bool = False


def references(records: Sequence[RunRecord]) -> list[Reference]:
    """Return every reference from one run to another that lineage and used artifacts tell."""
    return [
        Reference(str(record.get("name")), str(to), str(source.get("path") or ""), in_config)
        for record in records
        for source, in_config in _sources(record)
        if (to := source.get("run")) and run_id(str(to)) != record.get("id")
    ]


def _sources(record: RunRecord) -> Iterator[tuple[Mapping[str, object], bool]]:
    yield from ((found, True) for found in section(record, "lineage").values() if isinstance(found, dict))
    for artifact in items(record, "artifacts"):
        if isinstance(artifact, dict) and artifact.get("role") == "used":
            yield artifact, False


def candidates(runs: Sequence[RunPaths], project: Path, *, force: bool) -> list[Candidate]:
    """Return what is to be known of runs before they are removed.

    Args:
        runs: The runs.
        project: The root of the project that they belong to.
        force: Let go also of runs that others refer to.
    """
    found = [_candidate(paths, project) for paths in runs]
    folders = dict.fromkeys(paths.root.parent for paths in runs)
    known = [] if force else references([record for folder in folders for record in RunIndex(folder).records()])
    while True:
        # A run that must stay keeps those that it was made from, so look again until nothing changes.
        going = {candidate.paths.name for candidate in found if not candidate.refused}
        judged = [_referred_to(candidate, known, going) for candidate in found]
        if judged == found:
            return found
        found = judged


def _candidate(paths: RunPaths, project: Path) -> Candidate:
    record = read_record(paths)
    elsewhere = _checkpoints_elsewhere(paths.root, paths.name, project)
    size = _size_bytes(paths.root) + (_size_bytes(elsewhere) if elsewhere else 0)
    link = paths.checkpoints
    kept = link.readlink() if elsewhere is None and link.is_symlink() else None
    return Candidate(paths, str(record.get("state")), size, elsewhere, kept, _why_not(paths, record))


def _why_not(paths: RunPaths, record: RunRecord) -> str:
    if paths.root.is_symlink():
        return "its folder is a symbolic link: remove that by hand"
    if record.get("state") in LIVE or is_locked(paths):
        return "it is live"
    return f"it is pinned: burnish pin --undo {paths.id}" if record.get("pinned") else ""


def _referred_to(candidate: Candidate, known: Sequence[Reference], going: set[str]) -> Candidate:
    by = sorted({r.by for r in known if run_id(r.to) == candidate.paths.id and r.by not in going})
    if candidate.refused or not by:
        return candidate
    return replace(candidate, refused=f"made from it: {', '.join(by)}")


def is_locked(paths: RunPaths) -> bool:
    """Return whether a supervisor or keeper looks after a run."""
    if not paths.lock.exists():  # looking must not make one
        return False
    lock = FileLock.try_acquire(paths.lock)
    if lock is None:
        return True
    lock.release()
    return False


def remove(candidate: Candidate, project: Path) -> Candidate:
    """Remove a run that may go; return it as it was found, refused where things changed since they were looked at.

    Raises:
        StorageError: Something of it could not be deleted.
    """
    paths = candidate.paths
    try:
        lock = FileLock.try_acquire(paths.lock)
        if lock is None:
            return replace(candidate, refused="it is live")
        with lock:
            record = read_record(paths)
            if record.get("state") in LIVE or record.get("pinned"):
                return replace(candidate, refused="it is live" if record.get("state") in LIVE else "it is pinned")
            gone = paths.root.with_name(f"{_GONE}{os.getpid()}-{paths.name}")
            paths.root.rename(gone)
            sync_folder(gone.parent)
            _delete(gone, project)
    except OSError as error:
        hint = "what is left of it is swept by the next burnish rm --yes"
        raise StorageError(f"cannot remove run {paths.name}: {error.strerror}", hint=hint) from error
    return candidate


def leftovers(runs: Path) -> list[Path]:
    """Return what deletions that were killed have left, none that another process is busy with."""
    found = [path for path in runs.glob(f"{_GONE}*") if path.is_dir() and not path.is_symlink()]
    return sorted(path for path in found if not is_locked(RunPaths(path)))


def sweep(leftover: Path, project: Path) -> int:
    """Finish a deletion that was killed; return the bytes that were left.

    Raises:
        StorageError: Something of it could not be deleted.
    """
    size = _size_bytes(leftover)
    try:
        _delete(leftover, project)
    except OSError as error:
        raise StorageError(f"cannot delete {leftover}: {error.strerror}") from error
    return size


def _delete(gone: Path, project: Path) -> None:
    name = gone.name.removeprefix(_GONE).partition("-")[2]
    # First, while the folder still says where they are.
    elsewhere = _checkpoints_elsewhere(gone, name, project)
    for folder in (elsewhere, gone):
        if folder is not None:
            _delete_tree(folder)


def _delete_tree(folder: Path) -> None:
    while True:
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            if not folder.exists():
                return
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:  # another process sweeps the same folder, or looks for its lock
                raise
        else:
            return


def _checkpoints_elsewhere(root: Path, name: str, project: Path) -> Path | None:
    """Return the checkpoints folder that was made for this very run outside of it.

    A link to anything else is never followed: it may have been set by hand. In a copy of the project the link still
    leads to the first one's checkpoints, so a record that was begun in another folder keeps them, too.
    """
    link = root / "checkpoints"
    if not link.is_symlink():
        return None
    target = link.readlink()
    record = read_record(RunPaths(root))
    is_own = target.is_absolute() and target.name in (name, *words(record, "named_before"))
    if not is_own or record.get("project") != str(project) or target.is_symlink() or not target.is_dir():
        return None
    real, home = target.resolve(), root.resolve()
    return None if real.is_relative_to(home) or home.is_relative_to(real) else target


def _size_bytes(folder: Path) -> int:
    """Return what the files below a folder take, links not followed and files with several names counted once."""
    seen: dict[tuple[int, int], int] = {}
    for where, _, files in os.walk(folder):
        for file in files:
            try:
                stat = os.lstat(os.path.join(where, file))  # noqa: PTH118  a path object a file would be slow
            except OSError:
                continue
            seen[stat.st_dev, stat.st_ino] = stat.st_size
    return sum(seen.values())
