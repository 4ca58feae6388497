"""Folders as artifacts: what they hold, by hash, and links that lay the same folder out again."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from burnish.core.files import make_folder
from burnish.track.objects import object_path, read_file

_SHOWN_DIGITS: Final = 12
_LONGEST_NAME: Final = 100


@dataclass(slots=True)
class Tree:
    """What a folder holds, by relative path. Links are recorded and never followed."""

    files: dict[str, tuple[int, str]] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    has_changed: bool = False

    @property
    def digest(self) -> str:
        """The SHA-256 of the manifest."""
        return hashlib.sha256(self.manifest()).hexdigest()

    @property
    def size_bytes(self) -> int:
        """The size of all files."""
        return sum(size for size, _ in self.files.values())

    def manifest(self) -> bytes:
        """Return the bytes that the folder is known by: the same content gives the same, wherever it lies."""
        content = {"format": 1, "files": self.files, "links": self.links, "empty_folders": sorted(self.empty)}
        return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def parse(cls, raw: bytes) -> Tree | None:
        """Return what a manifest says; None where it is none, or names anything outside its folder."""
        try:
            content = json.loads(raw)
            files = {str(name): (int(size), str(digest)) for name, (size, digest) in content["files"].items()}
            links = {str(name): str(target) for name, target in content["links"].items()}
            tree = cls(files, links, list(map(str, content["empty_folders"])))
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        names = (*tree.files, *tree.links, *tree.empty)
        is_inside = all(not name.startswith("/") and ".." not in name.split("/") for name in names)
        are_hashes = all(re.fullmatch("[0-9a-f]{64}", digest) for _, digest in files.values())
        return tree if is_inside and are_hashes else None


def read_tree(folder: Path, run: Path, store: Path | None) -> Tree:
    """Read a folder, storing its files where a store is given."""
    tree = Tree()
    pending = [folder]
    while pending:
        inside = pending.pop()
        with os.scandir(inside) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        if not found and inside != folder:
            tree.empty.append(inside.relative_to(folder).as_posix())
        for entry in found:
            path = Path(entry.path)
            name = path.relative_to(folder).as_posix()
            if entry.is_symlink():
                tree.links[name] = str(path.readlink())
            elif entry.is_dir(follow_symlinks=False):
                if path != run:
                    pending.append(path)
            elif entry.is_file(follow_symlinks=False):
                size, digest, has_changed = read_file(path, store)
                tree.files[name] = (size, digest)
                tree.has_changed |= has_changed
            else:
                tree.passed_over.append(name)
    return tree


def link(root: Path, name: str, digest: str, file: str, tree: Tree | None) -> Path:
    """Put links to the objects under the artifact's name; return the file's or folder's path."""
    store = root / "artifacts"
    place = make_folder(store / "by-name" / _safe(name) / digest[:_SHOWN_DIGITS])
    path = place / file
    if path.exists() and not (tree is not None and path.is_dir() and not any(path.iterdir()) and tree.files):
        return path
    draft = place / f".tmp-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        if tree is None:
            draft.symlink_to(os.path.relpath(object_path(store, digest), place))
        else:
            _lay_out(draft, path, store, tree)
        draft.rename(path)
    except OSError:
        if not path.exists():  # else another process has laid it out meanwhile
            raise
    finally:
        if draft.is_symlink():
            draft.unlink()
        else:
            shutil.rmtree(draft, ignore_errors=True)
    return path


def _lay_out(draft: Path, path: Path, store: Path, tree: Tree) -> None:
    draft.mkdir()
    for name in tree.empty:
        (draft / name).mkdir(parents=True, exist_ok=True)
    for name, (_, digest) in tree.files.items():
        (draft / name).parent.mkdir(parents=True, exist_ok=True)
        (draft / name).symlink_to(os.path.relpath(object_path(store, digest), (path / name).parent))
    for name, target in tree.links.items():
        goal = os.path.normpath(PurePosixPath(name).parent / target)
        if not goal.startswith("/") and goal.split("/", 1)[0] != "..":  # never a way out of the folder
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            (draft / name).symlink_to(os.path.relpath(goal, PurePosixPath(name).parent))


def _safe(name: str) -> str:
    """Return a name fit for a folder: itself where that is possible, else with a hash that keeps it apart.

    >>> _safe("eval report"), _safe("a/b")
    ('eval report', 'a-b-c14cddc0')
    """
    shown = re.sub(r"[/\0\x01-\x1f]", "-", name).lstrip(".").encode(errors="backslashreplace")[:_LONGEST_NAME]
    text = shown.decode(errors="ignore")
    return text if name and text == name else f"{text}-{hashlib.sha256(name.encode(errors='replace')).hexdigest()[:8]}"
