"""What lies at a path: whose record it is, told by names and by the first bytes, and the runs in it.

Of a folder that holds records of several tools one is taken, the one that says most of the same training: a Trainer's
own state before the event files that it wrote besides. What else there is, is said.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from burnish.core.errors import BurnishError, RunError, UsageError
from burnish.project.importers import hugging_face, llama_factory, mlflow, wandb
from burnish.project.importers.found import SOURCES, Found, Options, Source
from burnish.project.importers.json_text import peek_json, read_lines
from burnish.project.importers.mlflow_files import is_file_store
from burnish.project.importers.mlflow_sqlite import SqliteStore, is_sqlite

_MOST_FILES: Final = 200_000
_TABLES: Final[dict[str, Source]] = {
    ".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl",
}  # fmt: skip
_LISTED: Final = (".csv", ".tsv", ".jsonl", ".ndjson")
_DATABASES: Final = (".db", ".sqlite", ".sqlite3")
_SUFFIXES: Final = frozenset({*_TABLES, *_DATABASES, wandb.SUFFIX})
_SAMPLE: Final = 4096
_CONTROLS: Final = bytes(byte for byte in range(32) if byte not in b"\t\n\v\f\r\x1b")
_RAREST: Final = 20  # of so many bytes of a text, at most one is none of a text
_WHERE: Final = "burnish import PATH --from " + "|".join(SOURCES)
_OF_FOLDERS: Final[dict[Source, str]] = {
    "hf": f"no {hugging_face.STATE_FILE}",
    "llama-factory": f"no {llama_factory.LOG_FILE}",
    "tensorboard": "no event file",
    "mlflow": "no mlruns or database of MLflow's",
    "wandb": "no .wandb file",
    "csv": "no .csv file",
    "jsonl": "no .jsonl file",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Something that was asked for, and whose it is.

    Attributes:
        shown: As it was typed.
        root: The path; None for an address.
        source: Whose.
        files: The files that are read.
        notes: What whoever imports should know.
    """

    shown: str
    root: Path | None
    source: Source
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

    def runs(self, options: Options) -> Iterator[Found]:
        """Yield its runs.

        Raises:
            BurnishError: There is something in it that cannot be read.
        """
        match self.source:
            case "hf":
                yield from hugging_face.read(self.files)
            case "llama-factory":
                yield from llama_factory.read(self.files)
            case "wandb":
                yield from wandb.read(self.files)
            case "mlflow":
                for where in map(str, self.files) if self.root is not None else (self.shown,):
                    yield from mlflow.read(where, options)
            case "tensorboard":
                yield from _tensorboard(self.files, self.root or Path())
            case source:
                from burnish.project.importers import tables

                yield from tables.read(self.files, source, options)


def _tensorboard(files: Sequence[Path], root: Path) -> Iterator[Found]:
    try:
        from burnish.project.importers import tensorboard
    except ImportError as error:
        hint = "pip install 'burnish[tensorboard]'"
        raise RunError("tensorboard is not installed", origin=str(root), hint=hint) from error
    yield from tensorboard.read(files, root)


@dataclass(slots=True)
class Finding:
    """The runs at some paths, and what could not be looked at.

    Attributes:
        runs: Those that can be imported.
        errors: Of paths.
        notes: What whoever imports should know.
    """

    runs: list[Found] = field(default_factory=list)
    errors: list[BurnishError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_runs(paths: Sequence[str], source: Source | None = None, options: Options | None = None) -> Finding:
    """Return the runs at some paths; a path that cannot be read stops no other.

    Args:
        paths: Files, folders and addresses.
        source: Whose they are; told by themselves when left out.
        options: What the user says of how to read.
    """
    found = Finding()
    for path in dict.fromkeys(paths):
        try:
            place = locate(path, source)
            runs = list(place.runs(options or Options()))
            if not runs:
                raise RunError("there are no runs in it", origin=path)
        except BurnishError as error:
            found.errors.append(error)
        except (OSError, ValueError, RecursionError) as error:
            told = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            found.errors.append(RunError(f"cannot be read: {told}", origin=path))
        else:
            found.runs += runs
            found.notes += [f"{path}: {note}" for note in place.notes]
    return found


def locate(path: str, source: Source | None = None) -> Place:
    """Return whose record lies at a path.

    Raises:
        UsageError: There is no such path, or it is not what the user says.
        RunError: It is nobody's that is known.
    """
    if mlflow.is_address(path) or (source == "mlflow" and path == "databricks"):
        if source not in (None, "mlflow"):
            raise UsageError(f"an address is MLflow's, not {source}", origin=path, hint="--from mlflow")
        return Place(path, None, "mlflow")
    root = Path(path).expanduser()
    if not root.exists():
        raise UsageError("there is no such file or folder", origin=path, hint="burnish import PATH…")
    if not root.is_dir() and not root.is_file():
        raise UsageError("this is neither a file nor a folder", origin=path, hint="burnish import PATH…")
    by_source, notes = _in_folder(root) if root.is_dir() else (_of_file(root, source), ())
    if source is None:
        if not by_source:
            raise RunError(f"nothing that can be imported: {_looks_like(root)}", origin=path, hint=_WHERE)
        first = next(iter(by_source))
        others = [other for other in by_source if other != first and other not in ("csv", "jsonl")]
        if others:
            notes += (f"read as {first}; it holds records of {' and of '.join(others)} too (--from)",)
        return Place(path, root, first, by_source[first], notes)
    if source not in by_source:
        seen = f"it looks like {next(iter(by_source))}" if by_source else _looks_like(root)
        what = _OF_FOLDERS[source] if root.is_dir() else f"this is no record of {source}"
        raise UsageError(f"{what}: {seen}", origin=path, hint=_hint(by_source))
    return Place(path, root, source, by_source[source], notes)


def _hint(by_source: dict[Source, tuple[Path, ...]]) -> str:
    return f"--from {next(iter(by_source))}, or leave --from out" if by_source else _WHERE


def _in_folder(root: Path) -> tuple[dict[Source, tuple[Path, ...]], tuple[str, ...]]:
    """Return the files of each source in a folder, the source that says most first, and what is to be said.

    Raises:
        RunError: There are too many files.
    """
    files, folders, closed = _walk(root)
    found: dict[Source, list[Path]] = {
        "hf": hugging_face.look(files),
        "llama-factory": llama_factory.look(files),
        "wandb": wandb.look(files),
        "mlflow": _mlflow(root, files, folders),
        "tensorboard": sorted(path for path in files if "tfevents" in path.name),
    }
    taken = {path for paths in found.values() for path in paths}
    for path in sorted(files):
        if path.parent == root and path.suffix in _LISTED and path not in taken:
            found.setdefault(_TABLES[path.suffix], []).append(path)
    notes = (f"{len(closed)} folders in it cannot be read: {closed[0]}, …",) if closed else ()
    return {source: tuple(paths) for source, paths in found.items() if paths}, notes


def _walk(root: Path) -> tuple[list[Path], list[Path], list[str]]:
    """Return the files and folders below a folder, and the folders that cannot be read.

    Links to folders are not followed, which may lead round.
    """
    files: list[Path] = []
    folders: list[Path] = []
    closed: list[str] = []
    for folder, names, found in os.walk(root, onerror=lambda error: closed.append(str(error.filename))):
        names[:] = sorted(name for name in names if name not in (".git", "node_modules", "__pycache__", ".burnish"))
        folders.append(Path(folder))
        files += [path for name in found if _may_be(path := Path(folder) / name)]
        if len(files) > _MOST_FILES:
            raise RunError(f"more than {_MOST_FILES:,} files lie in it", origin=str(root), hint="name folders inside")
    return files, folders, closed


def _may_be(path: Path) -> bool:
    """Return whether a file can be one of a source: by its name, and because it is there and no pipe or socket."""
    is_named = path.suffix in _SUFFIXES or "tfevents" in path.name
    return is_named and path.is_file()


def _mlflow(root: Path, files: Sequence[Path], folders: Sequence[Path]) -> list[Path]:
    """Return the stores of MLflow's in a folder."""
    stores = [path for path in files if path.suffix in _DATABASES and _is_mlflow(path)]
    named = [path for path in (root, *folders) if path == root or path.name in ("mlruns", "ml-runs")]
    return [*stores, *(path for path in dict.fromkeys(named) if is_file_store(path))]


def _is_mlflow(path: Path) -> bool:
    try:
        return is_sqlite(path) and bool(SqliteStore(path).shown)
    except BurnishError:
        return False


def _of_file(path: Path, wanted: Source | None) -> dict[Source, tuple[Path, ...]]:
    """Return what a file can be read as, the likeliest first.

    Raises:
        RunError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            sample = file.read(_SAMPLE)
    except OSError as error:
        raise RunError(f"cannot be read: {error.strerror}", origin=str(path)) from error
    if not sample:
        raise RunError("this file is empty", origin=str(path))
    found = [source for source, is_one in _SIGNS if is_one(path, sample)]
    if wanted in ("csv", "jsonl") and _is_text(sample):  # said by who knows, whatever it is called
        found.append(wanted)
    return dict.fromkeys(found, (path,))


def _is_text(sample: bytes) -> bool:
    """Return whether a file is text; a crash may have left a few zeros in it."""
    controls = len(sample) - len(sample.translate(None, _CONTROLS))
    return sample.startswith((b"\xff\xfe", b"\xfe\xff")) or controls * _RAREST <= len(sample)


def _is_state(path: Path, sample: bytes) -> bool:
    if path.name == hugging_face.STATE_FILE:
        return True
    return path.suffix == ".json" and sample.lstrip()[:1] == b"{" and hugging_face.holds_log(path)


def _is_trainer_log(path: Path, sample: bytes) -> bool:
    return b'"current_steps"' in sample and llama_factory.holds_log(path)


def _is_lines(path: Path, sample: bytes) -> bool:
    if not _is_text(sample) or sample.lstrip(b" \t\r\n\xef\xbb\xbf")[:1] not in (b"{", b"["):
        return False
    if path.suffix in (".jsonl", ".ndjson"):
        return True
    if path.suffix == ".json":
        return isinstance(peek_json(path), list | dict) or _first_is_object(path)
    return _first_is_object(path)


def _first_is_object(path: Path) -> bool:
    return next((told for told, _ in read_lines(path)), None) is not None


def _is_csv(path: Path, sample: bytes) -> bool:
    if not _is_text(sample) or sample.lstrip()[:1] in (b"{", b"["):
        return False
    if path.suffix in (".csv", ".tsv"):
        return True
    lines = [line for line in sample.decode(errors="replace").splitlines()[:3] if not line.startswith("#")]
    return len(lines) > 1 and any(lines[0].count(mark) == lines[1].count(mark) > 0 for mark in ",\t;")


_SIGNS: Final[tuple[tuple[Source, Callable[[Path, bytes], bool]], ...]] = (
    ("tensorboard", lambda path, sample: "tfevents" in path.name),
    ("wandb", lambda path, sample: path.suffix == wandb.SUFFIX or sample.startswith(b":W&B")),
    ("mlflow", lambda path, sample: is_sqlite(path) and _is_mlflow(path)),
    ("hf", _is_state),
    ("llama-factory", _is_trainer_log),
    ("jsonl", _is_lines),
    ("csv", _is_csv),
)


def _looks_like(root: Path) -> str:
    """Return in a few words what something is that cannot be imported."""
    if root.is_dir():
        return "an empty folder" if not any(root.iterdir()) else "a folder without a record of a known tool"
    with root.open("rb") as file:
        sample = file.read(_SAMPLE)
    if is_sqlite(root):
        return "a database without MLflow's tables"
    if sample.startswith(b"PK\x03\x04"):
        return "an archive, or a file of torch"
    if not _is_text(sample):
        return "binary, of no kind that is known"
    return "JSON without a log" if peek_json(root) is not None else "text of no kind that is known"
