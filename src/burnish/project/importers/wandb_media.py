"""What W&B's histories hold besides numbers: histograms, pictures and tables, as Burnish records them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from burnish.core.errors import RunError
from burnish.journal import Kind
from burnish.project.importers.bins import binned
from burnish.project.importers.json_text import read_json_file
from burnish.project.importers.log import Log
from burnish.project.importers.values import number
from burnish.track.blobs import store_blob
from burnish.track.table import table, table_payload

_PICTURES: Final = {".png": "png", ".jpg": "jpg", ".jpeg": "jpg"}
_LARGEST: Final = 256 << 20
_MOST_PICTURES: Final = 1_000


def record_media(name: str, told: Mapping[str, object], files: Path, at: tuple[int, float], log: Log) -> None:
    """Record a value that is no number; one that cannot be is counted.

    Args:
        name: What it is called.
        told: What the history says of it.
        files: The folder of the run's files.
        at: Step and time.
        log: Where it is recorded.
    """
    kind = str(told.get("_type"))
    try:
        if kind == "histogram":
            _histogram(name, told, at, log)
        elif kind == "image-file":
            _picture(name, told, files, at, log)
        elif kind == "images/separated":
            _pictures(name, told, files, at, log)
        elif kind in ("table-file", "partitioned-table-file") and _inside(files, told.get("path")) is not None:
            _table(name, told, files, at, log)
        else:
            log.left_out[f"value of W&B's kind {kind}"] += 1
    except (OSError, RunError, TypeError, ValueError) as error:
        log.left_out[f"{kind} that cannot be read ({type(error).__name__})"] += 1


def _histogram(name: str, told: Mapping[str, object], at: tuple[int, float], log: Log) -> None:
    counts, edges = _numbers(told.get("values")), _numbers(told.get("bins"))
    packed = told.get("packedBins")
    if not edges and isinstance(packed, dict):  # equal bins, told by where they begin and how wide they are
        low, width = number(packed.get("min")), number(packed.get("size"))
        if low is not None and width is not None:
            edges = [low + width * place for place in range(len(counts) + 1)]
    if (payload := binned(edges, counts)) is None:
        raise ValueError("this is no histogram")
    log.record(Kind.HISTOGRAM, name, payload, *at)


def _pictures(name: str, told: Mapping[str, object], files: Path, at: tuple[int, float], log: Log) -> None:
    names, captions = told.get("filenames"), told.get("captions")
    listed = names if isinstance(names, list) else []
    for place, path in enumerate(listed[:_MOST_PICTURES]):
        caption = captions[place] if isinstance(captions, list) and place < len(captions) else ""
        shown = name if len(listed) == 1 else f"{name}/{place}"
        _picture(shown, {**told, "path": path, "caption": caption}, files, at, log)


def _picture(name: str, told: Mapping[str, object], files: Path, at: tuple[int, float], log: Log) -> None:
    found = _inside(files, told.get("path"))
    suffix = _PICTURES.get(found.suffix.lower()) if found is not None else None
    if found is None or suffix is None:
        log.left_out["picture that is not there" if found is None else "picture of an unknown format"] += 1
        return
    blob = store_blob(log.root, found.read_bytes(), suffix)
    size = {"width": int(number(told.get("width")) or 0), "height": int(number(told.get("height")) or 0)}
    about = {"type": "image", "file": blob.file, "sha256": blob.sha256, "bytes": blob.bytes}
    log.record(Kind.MEDIA, name, {**about, **size, "caption": str(told.get("caption") or "")}, *at)


def _table(name: str, told: Mapping[str, object], files: Path, at: tuple[int, float], log: Log) -> None:
    path = _inside(files, told.get("path"))
    found = read_json_file(path) if path is not None else None
    if not isinstance(found, dict):
        raise ValueError("a table is an object")
    columns, rows = found.get("columns"), found.get("data")
    if not isinstance(columns, list) or not isinstance(rows, list):
        raise ValueError("a table has columns and rows")
    payload = table_payload(log.root, *table(rows, [log.text(str(column)) for column in columns]))
    log.record(Kind.TABLE, name, payload, *at)


def _inside(files: Path, told: object) -> Path | None:
    """Return a file of a run; None where it is not there, too large, or outside of its folder."""
    if not isinstance(told, str) or not told:
        return None
    path = (files / told).resolve()
    if not path.is_relative_to(files.resolve()) or not path.is_file() or path.stat().st_size > _LARGEST:
        return None
    return path


def _numbers(told: object) -> list[float]:
    listed = told if isinstance(told, list) else []
    return [found for value in listed if (found := number(value)) is not None]
