"""What a run recorded besides scalars: what there is, and its contents. Live runs are read as they stand.

A run may come from anywhere, so what its journal says is checked before a file is opened.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, TypeVar

from burnish.analyze.table import Cell, Table
from burnish.core.errors import RunError
from burnish.core.nearest import nearest
from burnish.core.paths import RunPaths
from burnish.core.shape import items, words
from burnish.journal.entry import Record
from burnish.journal.media import MediaKind, Place, find_records, load_media, media_file, media_kind

_MOST_STEPS = 12


@dataclass(frozen=True, slots=True)
class Media:
    """Something that was recorded once, without its content.

    Attributes:
        key: What it is called.
        kind: image, figure, attention, graph, table, text or histogram.
        step: The training step; None where it belongs to none.
        time: When it was recorded, in seconds since the epoch.
        shape: Width and height of a picture, rows and columns of a table, characters of a text, bins of a histogram.
        size_bytes: What it takes.
        caption: What the user says of it.
        file: Where it lies; None for what is in the journal itself, and for a file that no run would name so.
        place: Where the journal tells it.
    """

    key: str
    kind: MediaKind
    step: int | None
    time: float
    shape: tuple[int, ...]
    size_bytes: int
    caption: str
    file: Path | None
    place: Place = field(repr=False)


@dataclass(frozen=True, slots=True)
class Histogram:
    """How values were spread.

    Attributes:
        edges: Borders of the bins, ascending, one more than bins.
        counts: How many values each bin has.
        count: How many finite values there were.
        nonfinite: How many were NaN or infinite.
        min, max, mean, std: Of the finite ones; None where there were none.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    count: int
    nonfinite: int
    min: float | None
    max: float | None
    mean: float | None
    std: float | None


Content: TypeAlias = "str | Table | Histogram | dict[str, object] | Path"
"""A text, a table, a histogram, a graph (see `track.graph.model_graph`), or a picture's file."""

_NAMES: Mapping[type, str] = {str: "text", Table: "table", Histogram: "histogram", dict: "graph", Path: "picture"}
T = TypeVar("T")

Folder: TypeAlias = "str | os.PathLike[str]"


def media(run: Folder, *, rank: int = 0) -> list[Media]:
    """Return what a run recorded besides scalars, by key, then by step; what belongs to no step comes first.

    Args:
        run: The run's folder.
        rank: The rank that recorded it.

    >>> media("/no/such/run")
    []
    """
    root = Path(run)
    found = load_media(RunPaths(root).journals, lambda record, place, size: _told(root, record, place, size), rank=rank)
    return sorted(found, key=lambda item: (item.key, item.step is not None, item.step or 0))


def read_text(run: Folder, key: str, step: int | None = None, *, rank: int = 0) -> str:
    """Return a text. See `read`."""
    return _of_type(str, read(run, key, step, rank=rank), key)


def read_table(run: Folder, key: str, step: int | None = None, *, rank: int = 0) -> Table:
    """Return a table; of columns of one name the second becomes `name (2)`. See `read`."""
    return _of_type(Table, read(run, key, step, rank=rank), key)


def read_histogram(run: Folder, key: str, step: int | None = None, *, rank: int = 0) -> Histogram:
    """Return a histogram. See `read`."""
    return _of_type(Histogram, read(run, key, step, rank=rank), key)


def read_graph(run: Folder, key: str = "model", step: int | None = None, *, rank: int = 0) -> dict[str, object]:
    """Return a model's graph, as `track.graph.model_graph` describes it. See `read`."""
    return _of_type(dict, read(run, key, step, rank=rank), key)


def read_picture(run: Folder, key: str, step: int | None = None, *, rank: int = 0) -> Path:
    """Return where a picture lies, a PNG or JPEG file of the run. See `read`."""
    return _of_type(Path, read(run, key, step, rank=rank), key)


def read(run: Folder, key: str, step: int | None = None, *, rank: int = 0) -> Content:
    """Return what was recorded under a key; of several at one step the last.

    Args:
        run: The run's folder.
        key: What it is called.
        step: When it was recorded; the last step when left out.
        rank: The rank that recorded it.

    Raises:
        RunError: The run recorded no such thing, or its file is lost or damaged.
    """
    root = Path(run)
    chosen = at_step(_of_key(root, key, rank), step)[-1:]
    for _, content in contents(root, chosen):
        if isinstance(content, RunError):
            raise content
        return content
    raise RunError(f"{key!r} is no longer in the journal of run {root.name}")


def at_step(items: Sequence[Media], step: int | None) -> list[Media]:
    """Return what was recorded under one key at a step, the last one when it is None.

    Raises:
        RunError: There is nothing at that step.
    """
    wanted = items[-1].step if step is None else step
    found = [item for item in items if item.step == wanted]
    if not found:
        steps = list(dict.fromkeys(item.step for item in items if item.step is not None))
        shown = ", ".join(map(str, steps[-_MOST_STEPS:]))
        more = "…, " if len(steps) > _MOST_STEPS else ""
        hint = f"there are steps {more}{shown}" if steps else "it belongs to no step"
        raise RunError(f"{items[-1].key!r} has nothing at step {step}", hint=hint)
    return found


def contents(run: Folder, chosen: Sequence[Media]) -> Iterator[tuple[Media, Content | RunError]]:
    """Yield the contents of media in the order of the journal, an error in place of what cannot be read.

    The journal is read once, and one content is in memory at a time.
    """
    root = Path(run)
    by_place = {item.place: item for item in chosen}
    for place, record in find_records(RunPaths(root).journals, by_place):
        try:
            yield by_place[place], _content(by_place[place], record)
        except RunError as error:
            yield by_place[place], error


def _of_key(root: Path, key: str, rank: int) -> list[Media]:
    every = media(root, rank=rank)
    found = [item for item in every if item.key == key]
    if not found:
        best = nearest(key, {item.key for item in every})
        raise RunError(f"run {RunPaths(root).id} recorded no {key!r}", hint=f"did you mean {best!r}?" if best else "")
    return found


def _of_type(kind: type[T], found: Content, key: str) -> T:
    if not isinstance(found, kind):
        raise RunError(f"{key!r} is no {_NAMES[kind]} but a {_NAMES.get(type(found), 'picture')}")
    return found


def _told(root: Path, record: Record, place: Place, size: int) -> Media:
    kind = media_kind(record)
    assert kind is not None
    payload = record.payload
    file = media_file(root, payload)
    return Media(
        record.key,
        kind,
        record.step,
        record.time,
        _shape(kind, payload),
        size if file is None else _size(file, payload.get("bytes")),
        str(payload.get("caption", "")),
        file,
        place,
    )


def _size(file: Path, told: object) -> int:
    if isinstance(told, int):
        return told
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _shape(kind: MediaKind, payload: dict[str, object]) -> tuple[int, ...]:
    if kind == "text":
        return (len(str(payload.get("text", ""))),)
    if kind == "histogram":
        return (len(items(payload, "counts")),)
    if kind == "table":
        rows = payload.get("row_count")
        return (rows if isinstance(rows, int) else len(items(payload, "rows")), len(items(payload, "columns")))
    sides = payload.get("width"), payload.get("height")
    return tuple(side for side in sides if isinstance(side, int))


def _content(item: Media, record: Record) -> Content:
    """Return a content.

    Raises:
        RunError: It is lost, damaged, or not what its kind should be.
    """
    payload = record.payload
    if item.kind == "text":
        return str(payload.get("text", ""))
    if item.kind == "histogram":
        return _histogram(item, payload)
    if item.kind == "table":
        return _table(item, payload if "rows" in payload else _json(item))
    if item.kind == "graph":
        return _json(item)
    _checked(item)
    assert item.file is not None
    return item.file


def _checked(item: Media) -> bytes:
    """Return what a file holds, if it is what was recorded."""
    if item.file is None:
        raise RunError(f"the journal names no file of the run for {item.key!r}")
    what = f"the file of {item.key!r}, {item.file},"
    if item.file.is_symlink():
        raise RunError(f"{what} is a link")
    try:
        raw = item.file.read_bytes()
    except OSError as error:
        raise RunError(f"{what} cannot be read: {error.strerror}") from error
    if hashlib.sha256(raw).hexdigest() != item.file.stem:
        raise RunError(f"{what} is not what was recorded: its hash differs")
    return raw


def _json(item: Media) -> dict[str, object]:
    try:
        value = json.loads(_checked(item))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise RunError(f"the file of {item.key!r} holds no {item.kind}")
    return value


def _table(item: Media, held: dict[str, object]) -> Table:
    names, rows = words(held, "columns"), items(held, "rows")
    cells: list[list[Cell]] = [row for row in rows if isinstance(row, list) and len(row) == len(names)]
    if len(cells) != len(rows):
        raise RunError(f"{item.key!r} is no table: its rows differ in length")
    columns = zip(*cells, strict=True) if cells else ([] for _ in names)
    return Table(dict(zip(_distinct(names), map(list, columns), strict=True)))


def _distinct(names: Sequence[str]) -> list[str]:
    """Return names that differ.

    >>> _distinct(["a", "b", "a"])
    ['a', 'b', 'a (2)']
    """
    found: dict[str, None] = {}
    for name in names:
        number, shown = 1, name
        while shown in found:
            number += 1
            shown = f"{name} ({number})"
        found[shown] = None
    return list(found)


def _histogram(item: Media, payload: dict[str, object]) -> Histogram:
    edges = [float(edge) for edge in items(payload, "edges") if isinstance(edge, int | float)]
    counts = [count for count in items(payload, "counts") if isinstance(count, int)]
    total, nonfinite = payload.get("count"), payload.get("nonfinite")
    if len(edges) != len(counts) + 1 or not isinstance(total, int) or not isinstance(nonfinite, int):
        raise RunError(f"{item.key!r} is no histogram: it has {len(edges)} edges for {len(counts)} counts")
    low, high, mean, std = (_number(payload.get(name)) for name in ("min", "max", "mean", "std"))
    return Histogram(tuple(edges), tuple(counts), total, nonfinite, low, high, mean, std)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
