"""What a run recorded besides scalars, as files whose names tell what they hold."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import click

from burnish.analyze.media import Content, Histogram, contents
from burnish.analyze.table import Table
from burnish.cli import _console
from burnish.cli._table import replaced, write
from burnish.core.errors import RunError, StorageError
from burnish.core.files import make_folder
from burnish.core.paths import RunPaths

if TYPE_CHECKING:
    from burnish.analyze.media import Media
    from burnish.journal.media import Place

_SUFFIXES = {"text": "txt", "table": "csv", "histogram": "csv", "graph": "json"}
_UNSAFE = re.compile(r"[^\w.+=@-]+")
_LONGEST_NAME = 120  # bytes of 255 that a file system takes: beside the step, the suffix and a draft's ending


def write_files(paths: RunPaths, chosen: Sequence[Media], folder: Path, *, force: bool, as_json: bool) -> None:
    """Write each content into a file; what cannot be read is told, and the others are written all the same.

    Raises:
        StorageError: A file exists already, or cannot be written.
    """
    names = file_names(chosen)
    there = [name for name in names.values() if not force and _exists(folder / name)]
    if there:
        told = f"{folder / there[0]} exists already" + (f", and {len(there) - 1:,} more" if len(there) > 1 else "")
        raise StorageError(told, hint="choose another folder, or replace them: --force")
    if chosen:
        make_folder(folder)
    results: dict[Place, dict[str, object]] = {}
    with _console.Bar("media", len(chosen)) as bar:
        for item, content in contents(paths.root, chosen):
            path = folder / names[item.place]
            if isinstance(content, RunError):
                results[item.place] = {"error": content.message}
            else:
                _write(content, path, force=force)
                results[item.place] = {"written": str(path)}
            bar.advance(1)
    lost = {"error": "it is no longer in the journal"}
    told_of = [{**media_json(item), **results.get(item.place, lost)} for item in chosen]
    failed = [told_item for told_item in told_of if "error" in told_item]
    for lost_item in failed:
        _console.warn(str(lost_item["error"]))
    if as_json:
        _console.out_json({"run": paths.name, "media": told_of})
    else:
        _console.err(f"{many(len(chosen) - len(failed), 'file')} written to {folder}")
    if failed:
        click.get_current_context().exit(1)


def _exists(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _write(content: Content, path: Path, *, force: bool) -> None:
    with replaced(path, force=force) as file:
        if isinstance(content, str):
            file.write(content.encode(errors="backslashreplace"))
        elif isinstance(content, Table):
            write([{name: list(column) for name, column in content.columns.items()}], file, "csv")
        elif isinstance(content, Histogram):
            edges, counts = list(content.edges), list(content.counts)
            write([{"low": [*edges[:-1]], "high": [*edges[1:]], "count": [*counts]}], file, "csv")
        elif isinstance(content, dict):
            file.write(f"{json.dumps(content, indent=1, ensure_ascii=False)}\n".encode(errors="backslashreplace"))
        else:
            file.write(content.read_bytes())


def file_names(chosen: Sequence[Media]) -> dict[Place, str]:
    """Return a file name for each: key and step, safe on any system, each only once whatever the case."""
    names: dict[Place, str] = {}
    taken: set[str] = set()
    numbers: Counter[str] = Counter()  # of several at one step
    for item in chosen:
        stem = _stem(item.key) + ("" if item.step is None else f"_{item.step}")
        suffix = _SUFFIXES.get(item.kind) or (item.file.suffix[1:] if item.file is not None else "png")
        name = f"{stem}.{suffix}"
        first = name.casefold()
        while name.casefold() in taken:
            numbers[first] += 1
            name = f"{stem}-{numbers[first] + 1}.{suffix}"
        taken.add(name.casefold())
        names[item.place] = name
    return names


def _stem(key: str) -> str:
    r"""Return a key as part of a file name: it neither leads elsewhere nor hides.

    >>> _stem("eval/attention layer 3"), _stem("../../etc/passwd"), _stem("日本/x\0y"), _stem("")
    ('eval_attention_layer_3', 'etc_passwd', '日本_x_y', 'unnamed')
    """
    stem = _UNSAFE.sub("_", key).lstrip("._-") or "unnamed"
    raw = stem.encode()
    if len(raw) <= _LONGEST_NAME:
        return stem
    return f"{raw[:_LONGEST_NAME].decode(errors='ignore')}-{sha256(key.encode()).hexdigest()[:8]}"


def media_json(item: Media) -> dict[str, object]:
    """Return what `--json` prints of one."""
    return {
        "key": item.key,
        "kind": item.kind,
        "step": item.step,
        "time": item.time,
        "shape": item.shape,
        "size_bytes": item.size_bytes,
        "caption": item.caption,
        "file": None if item.file is None else str(item.file),
    }


def many(number: int, what: str) -> str:
    """Return a number of things: `1 file`, `2 files`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
