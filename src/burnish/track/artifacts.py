"""Artifacts: files and folders kept with a run under the hash of their content, and found again with their lineage.

    artifacts/objects/<2>/<sha256>                 each content once, read-only
    artifacts/manifests/<sha256>.json              a folder: its files by path, size and hash; named by its own hash
    artifacts/by-name/<name>/<sha256[:12]>/<file>  relative links to the objects, so that a run can be moved and copied

Nothing is ever visible under its hash before it is whole and on disk.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from burnish.core.errors import RunError
from burnish.core.files import make_folder, write_atomic
from burnish.core.nearest import nearest
from burnish.core.paths import RunPaths
from burnish.core.secrets import Masker
from burnish.core.shape import items
from burnish.journal.record import OVER
from burnish.track.objects import object_path, read_file
from burnish.track.tree import Tree, link, read_tree

_log = logging.getLogger(__name__)

_CHANGED: Final = "changed_while_read"


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file or folder with the hash of its content.

    Attributes:
        name: What the user calls it.
        kind: What it is, such as `model` or `dataset`.
        sha256: Of a file, of its content; of a folder, of its manifest.
        bytes: The size of all its files.
        files: How many files it has.
        path: Where to find it: relative to the run's directory where the run holds it, else absolute.
        metadata: What else the user says of it, in terms of JSON.
        run: The run that made it; empty where that is not known, or goes without saying.
    """

    name: str
    kind: str
    sha256: str
    bytes: int
    files: int
    path: str
    metadata: dict[str, object] = field(default_factory=dict)
    run: str = ""

    def payload(self, role: Literal["made", "used"]) -> dict[str, object]:
        """Return what the journal keeps of it."""
        return {
            "role": role,
            "sha256": self.sha256,
            "bytes": self.bytes,
            "files": self.files,
            "kind": self.kind,
            "metadata": self.metadata,
            "path": self.path,
            "run": self.run,
        }


def store_artifact(
    root: Path,
    source: Path,
    *,
    name: str,
    kind: str = "file",
    metadata: Mapping[str, object] | None = None,
    copy: bool = True,
) -> Artifact:
    """Keep a file or folder with a run.

    A link inside a folder is recorded as such, and a socket, pipe or device passed over; both are warned of, and
    so is a file that changes while it is read: what was read is what is kept, and the metadata says so. The run's
    own directory, where it lies inside the folder, is left out.

    Args:
        root: The run's directory.
        source: The file or folder; a link is followed.
        name: What to call it.
        kind: What it is.
        metadata: What else to say of it; credentials are masked, and what JSON does not know becomes text.
        copy: False keeps only its hash and where it lies.

    Raises:
        TypeError: An argument has the wrong type.
        OSError: The source is missing or cannot be read, or the run not be written.
    """
    _check_types(source, name, kind, metadata)
    source = Path(source)
    where = source.resolve(strict=True)
    store = root / "artifacts"
    if where.is_dir():
        tree = read_tree(where, root.resolve(), store if copy else None)
        digest, size, count = tree.digest, tree.size_bytes, len(tree.files)
        _tell(source, tree)
        if copy:
            target = make_folder(store / "manifests") / f"{digest}.json"
            if not target.exists():
                write_atomic(target, tree.manifest(), durable=True)
    else:
        size, digest, has_changed = read_file(where, store if copy else None)
        tree, count = Tree({source.name: (size, digest)}, has_changed=has_changed), 1
        _tell(source, tree)
    told = Masker.from_environment(os.environ).tree(dict(metadata or {}))
    if tree.has_changed:
        told[_CHANGED] = True
    if copy:
        path = link(root, name, digest, source.name or where.name, tree if where.is_dir() else None).relative_to(root)
    else:
        path = where.relative_to(root.resolve()) if where.is_relative_to(root.resolve()) else where
    return Artifact(name, kind, digest, size, count, str(path), told)


def open_artifact(root: Path, artifact: Artifact) -> Path:
    """Return an artifact's path, mending links that a copy of the run lost; nothing is verified.

    Raises:
        RunError: Its content is not there.
    """
    path = root / artifact.path  # of an absolute path, that path
    if path.exists() and (_is_outside(artifact) or not path.is_dir() or not artifact.files or any(path.iterdir())):
        return path
    tree = _stored_tree(root, artifact)
    if _is_outside(artifact) or (tree is None and not object_path(root / "artifacts", artifact.sha256).is_file()):
        raise RunError(f"artifact {artifact.name!r} is not there: {path}")
    try:
        return link(root, artifact.name, artifact.sha256, path.name, tree)
    except OSError as error:
        if tree is None:
            return object_path(root / "artifacts", artifact.sha256)  # a folder that cannot be written to
        raise RunError(f"cannot restore artifact {artifact.name!r} in {root}: {error.strerror}") from error


def verify_artifact(root: Path, artifact: Artifact) -> None:
    """Read an artifact and compare it with the hash that it was recorded with.

    Raises:
        RunError: It is missing, or not what it was.
    """
    store = root / "artifacts"
    try:
        if _is_outside(artifact):
            where = (root / artifact.path).resolve(strict=True)
            found = read_tree(where, root.resolve(), None).digest if where.is_dir() else read_file(where, None)[1]
            _must_equal(artifact, artifact.path, found, artifact.sha256)
            return
        tree = _stored_tree(root, artifact)
        wanted = tree.files if tree is not None else {Path(artifact.path).name: (artifact.bytes, artifact.sha256)}
        for name, (_, digest) in wanted.items():
            _must_equal(artifact, name, read_file(object_path(store, digest), None)[1], digest)
    except OSError as error:
        raise RunError(f"artifact {artifact.name!r} cannot be read: {error.filename}: {error.strerror}") from error


def find_artifact(root: Path, name: str) -> Artifact:
    """Return the newest artifact of this name that a run made; a live run's journals are read.

    Raises:
        RunError: It made none.
    """
    from burnish.journal.record import read_record  # training itself looks nothing up

    paths = RunPaths(root)
    record = read_record(paths)
    told = [entry for entry in items(record, "artifacts") if isinstance(entry, dict)]
    made = [read_payload(str(entry.get("name")), entry, paths.name) for entry in told if entry.get("role") == "made"]
    if record.get("state") not in OVER or name not in {artifact.name for artifact in made if artifact}:
        made = _in_journals(paths)
    found = [artifact for artifact in made if artifact is not None]
    for artifact in reversed(found):
        if artifact.name == name:
            return artifact
    names = dict.fromkeys(artifact.name for artifact in found)
    best = nearest(name, names)
    hint = f"did you mean {best}?" if best else f"it made {', '.join(names)}" if names else "it made none"
    raise RunError(f"run {paths.name} made no artifact {name!r}", hint=hint)


def find_used(runs: Path, reference: str | os.PathLike[str]) -> tuple[Artifact, Path]:
    """Return an artifact to be used, verified, and its path.

    Args:
        runs: Where runs are kept.
        reference: `k7f2/name`, or the path of a file or folder; of one in a run's directory the run is known.

    Raises:
        RunError: There is no such run, artifact or file, or its content has changed.
        TypeError: The reference is no text and no path.
    """
    if not isinstance(reference, str | os.PathLike):
        raise TypeError(f"an artifact is named by RUN/NAME or a path, not by {type(reference).__name__}")
    where = Path(reference).absolute()
    split = split_reference(runs, os.fspath(reference))
    if split is not None:
        try:
            return find_verified(*split)
        except RunError:
            if not where.exists():  # else it is the path of a file in a run's directory
                raise
    if not where.exists():
        from burnish.journal.index import find_run

        raise _no_such(find_run, runs, os.fspath(reference))
    maker = next((p.name for p in where.parents if (p / "run.json").is_file()), "")
    try:
        if where.is_dir():
            tree = read_tree(where.resolve(), where, None)
            digest, size, count = tree.digest, tree.size_bytes, len(tree.files)
        else:
            (size, digest, _), count = read_file(where.resolve(), None), 1
    except OSError as error:
        raise RunError(f"cannot read {where}: {error.strerror}") from error
    kind = "folder" if where.is_dir() else "file"
    return Artifact(where.name, kind, digest, size, count, str(where), run=maker), where


def find_verified(paths: RunPaths, name: str) -> tuple[Artifact, Path]:
    """Return the newest artifact of this name that a run made, verified, and its path.

    Raises:
        RunError: It made none, or its content has changed.
    """
    artifact = find_artifact(paths.root, name)
    verify_artifact(paths.root, artifact)
    path = open_artifact(paths.root, artifact).absolute()
    return replace(artifact, path=str(path)), path


def split_reference(runs: Path, text: str) -> tuple[RunPaths, str] | None:
    """Return the run and the artifact's name of `RUN/NAME`; None where there is no such run.

    RUN is an id, a name or a path. Both may hold `/`: the shortest beginning that is a run counts.
    """
    from burnish.journal.index import find_run

    for match in re.finditer("/", text):
        selector, name = text[: match.start()], text[match.end() :]
        try:
            if selector and name:
                return find_run(runs, selector), name
        except RunError:
            continue
    return None


def _no_such(find_run: Callable[[Path, str], RunPaths], runs: Path, text: str) -> RunError:
    try:
        paths = find_run(runs, text.partition("/")[0])
    except RunError as error:
        return error
    return RunError(f"no artifact of run {paths.name} is named in {text!r}", hint=f"such as {paths.id}/NAME")


def _in_journals(paths: RunPaths) -> list[Artifact | None]:
    from burnish.journal import Kind, Record
    from burnish.journal.reader import RunReader

    reader = RunReader(paths.journals)
    try:
        entries = [
            entry
            for _, batch in reader.read()
            for entry in batch
            if isinstance(entry, Record) and entry.kind == Kind.ARTIFACT and entry.payload.get("role") == "made"
        ]
    finally:
        reader.close()
    entries.sort(key=lambda entry: entry.time)
    return [read_payload(entry.key, entry.payload, paths.name) for entry in entries]


def read_payload(name: str, payload: Mapping[str, object], run: str) -> Artifact | None:
    """Return the artifact that a record tells of; None where the record is not one that Burnish writes."""
    size, count, metadata = payload.get("bytes"), payload.get("files", 1), payload.get("metadata")
    digest, path = payload.get("sha256"), payload.get("path")
    if not (isinstance(size, int) and isinstance(count, int) and isinstance(digest, str) and isinstance(path, str)):
        return None
    if not re.fullmatch("[0-9a-f]{64}", digest) or ".." in Path(path).parts:
        return None
    known = metadata if isinstance(metadata, dict) else {}
    return Artifact(name, str(payload.get("kind") or "file"), digest, size, count, path, known, run)


def _stored_tree(root: Path, artifact: Artifact) -> Tree | None:
    """Return the manifest of a stored folder; None where the artifact is a file.

    Raises:
        RunError: The manifest is not what it was.
    """
    try:
        raw = (root / "artifacts" / "manifests" / f"{artifact.sha256}.json").read_bytes()
    except FileNotFoundError:
        return None
    _must_equal(artifact, "its manifest", hashlib.sha256(raw).hexdigest(), artifact.sha256)
    if (tree := Tree.parse(raw)) is None:
        raise RunError(f"artifact {artifact.name!r} has a manifest that names files outside its folder")
    return tree


def _must_equal(artifact: Artifact, name: str, found: str, wanted: str) -> None:
    if found != wanted:
        raise RunError(f"artifact {artifact.name!r} has changed since it was recorded: {name}")


def _check_types(source: object, name: object, kind: object, metadata: object) -> None:
    if not isinstance(source, str | os.PathLike):
        raise TypeError(f"an artifact's source must be a path, not {type(source).__name__}")
    for what, value in (("name", name), ("kind", kind)):
        if not isinstance(value, str):
            raise TypeError(f"an artifact's {what} must be a string, not {value!r}")
    if metadata is not None and not isinstance(metadata, Mapping):
        raise TypeError(f"an artifact's metadata must be a mapping, not {type(metadata).__name__}")


def _tell(source: Path, tree: Tree) -> None:
    if tree.has_changed:
        _log.warning("%s changed while it was read; the artifact holds what was read", source)
    if tree.links:
        _log.warning("%s: %d links are recorded, not followed", source, len(tree.links))
    if tree.passed_over:
        _log.warning("%s: passed over what is no file: %s", source, ", ".join(sorted(tree.passed_over)[:10]))


def _is_outside(artifact: Artifact) -> bool:
    return not artifact.path.startswith("artifacts/by-name/")
