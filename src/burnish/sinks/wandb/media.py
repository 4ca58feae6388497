"""What a run recorded beside scalars, as W&B shows it: values with parts, and files beside the log."""

from __future__ import annotations

import hashlib
import html
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from burnish.core.files import draft_of, write_atomic
from burnish.core.shape import items
from burnish.journal import Record
from burnish.journal.media import MediaKind

MOST_BINS: Final = 512
"""How many bins W&B's client takes."""
MOST_ROWS: Final = 200_000
"""How many rows W&B shows of a table."""
MOST_CAPTION: Final = 10_000
"""How long a caption may be: W&B's uploader leaves out rows of more than 10 MB."""
_LONGEST_NAME: Final = 80
_CELLS: Final = {type(None): "none", bool: "boolean", int: "number", float: "number", str: "string"}
_IMAGES: Final = frozenset({"image", "figure", "attention"})


class Missing(Exception):
    """A file that a record names is not there, or none that a run keeps."""


@dataclass(slots=True)
class Shown:
    """What W&B shows of one record.

    Attributes:
        value: The value's parts, `_type` among them.
        files: What lies below the folder of files for it.
        table: Of a table, the file that goes into an artifact of its own.
        lost: What of it W&B cannot hold, as counted in the state.
    """

    value: dict[str, object]
    files: list[str] = field(default_factory=list)
    table: bytes = b""
    lost: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class MediaFiles:
    """Turns records into values, laying their files beside the log.

    Attributes:
        run: The run's folder.
        folder: Where W&B looks for files that go with the run.
    """

    run: Path
    folder: Path

    def show(self, record: Record, kind: MediaKind, number: int) -> Shown:
        """Return what W&B shows of a record.

        Args:
            record: What was recorded.
            kind: What it is.
            number: W&B's step of the row that will show it.

        Raises:
            Missing: A file that it names is not there.
            ValueError: It has not the shape that Burnish writes; so do KeyError and TypeError.
        """
        if kind in _IMAGES:
            return self._image(record, number)
        make: Callable[[Record, int], Shown] = {
            "histogram": _histogram,
            "table": self._table,
            "text": self._text,
            "graph": self._graph,
        }[kind]
        return make(record, number)

    def _image(self, record: Record, number: int) -> Shown:
        source = self._source(record)
        told, digest = record.payload, str(record.payload["sha256"])
        file = f"media/images/{_safe(record.key)}_{number}_{_safe(digest)[:20]}{source.suffix}"
        size = self._place(source, file)
        value: dict[str, object] = {"_type": "image-file", "sha256": digest, "size": size, "path": file}
        value |= {"format": source.suffix[1:], "width": told["width"], "height": told["height"]}
        caption = str(told.get("caption") or "")
        if caption:
            value["caption"] = caption[:MOST_CAPTION]
        return Shown(value, [file], lost=["captions over 10,000 characters"] * (len(caption) > MOST_CAPTION))

    def _table(self, record: Record, number: int) -> Shown:
        told = record.payload
        if "file" in told:
            told = json.loads(self._read(record))
        columns, rows = [str(name) for name in items(told, "columns")], items(told, "rows")
        lost = ["tables over 200,000 rows"] if len(rows) > MOST_ROWS else []
        shown: dict[str, object] = {"columns": columns, "data": rows[:MOST_ROWS]}
        value = self._written(record, number, json.dumps(shown).encode(), ("table", "table.json", "table-file"))
        value.value |= {"ncols": len(columns), "nrows": len(rows[:MOST_ROWS]), "log_mode": "IMMUTABLE"}
        whole = {"_type": "table", "column_types": _column_types(columns, rows), **shown, "ncols": len(columns)}
        value.table = json.dumps({**whole, "nrows": len(rows[:MOST_ROWS]), "log_mode": "IMMUTABLE"}).encode()
        value.lost = lost
        return value

    def _text(self, record: Record, number: int) -> Shown:
        text = html.escape(str(record.payload["text"]))
        page = f'<meta charset="utf-8"><pre style="white-space:pre-wrap">{text}</pre>'.encode(errors="backslashreplace")
        return self._written(record, number, page, ("html", "html", "html-file"))

    def _graph(self, record: Record, number: int) -> Shown:
        graph = json.loads(self._read(record))
        nodes = [_node(node) for node in items(graph, "nodes") if isinstance(node, dict)]
        told = [edge for edge in items(graph, "edges") if isinstance(edge, dict)]
        flow = [edge for edge in told if edge.get("kind") != "contains"] or told
        edges = [[str(edge["from"]) or "model", str(edge["to"]) or "model"] for edge in flow]
        content = json.dumps({"format": "torch", "nodes": nodes, "edges": edges}).encode()
        return self._written(record, number, content, ("graph", "graph.json", "graph-file"))

    def _written(self, record: Record, number: int, content: bytes, kind: tuple[str, str, str]) -> Shown:
        """Return a file that is made here.

        Args:
            record: What it is made of.
            number: W&B's step of the row.
            content: What it holds.
            kind: Folder, ending and type.
        """
        digest = hashlib.sha256(content).hexdigest()
        file = f"media/{kind[0]}/{_safe(record.key)}_{number}_{digest[:20]}.{kind[1]}"
        target = self.folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(target, content)
        return Shown({"_type": kind[2], "sha256": digest, "size": len(content), "path": file}, [file])

    def _source(self, record: Record) -> Path:
        """Return the file that a record names; never one outside the run's folder, whoever wrote the journal."""
        name = PurePosixPath(str(record.payload.get("file")))
        path = self.run / name
        if name.is_absolute() or ".." in name.parts or not path.is_file() or path.is_symlink():
            raise Missing(str(name))
        return path

    def _read(self, record: Record) -> bytes:
        try:
            return self._source(record).read_bytes()
        except OSError as error:
            raise Missing(str(error)) from error

    def _place(self, source: Path, file: str) -> int:
        """Lay a file of the run below the folder of files; return its size."""
        target = self.folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        place(source, target)
        return target.stat().st_size


def place(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the disk is another; a file of the run is never written to.

    Raises:
        Missing: The source cannot be read.
    """
    target.unlink(missing_ok=True)
    try:
        with source.open("rb"):
            pass
    except OSError as error:
        raise Missing(str(error)) from error
    try:
        os.link(source, target)
    except OSError:
        draft = draft_of(target)
        try:
            shutil.copyfile(source, draft)
            draft.replace(target)
        except OSError:
            draft.unlink(missing_ok=True)
            raise


def _histogram(record: Record, _: int) -> Shown:
    """Return counts and edges; neighbours are added up where there are more bins than W&B takes."""
    counts, edges = items(record.payload, "counts"), items(record.payload, "edges")
    numbers = [count for count in counts if isinstance(count, int)]
    if len(edges) != len(numbers) + 1 or len(numbers) != len(counts) or not all(_is_finite(edge) for edge in edges):
        raise ValueError("a histogram has finite edges, one more than counts")
    lost = ["histogram values that are not finite"] if record.payload.get("nonfinite") else []
    if len(numbers) > MOST_BINS:
        every = -(-len(numbers) // MOST_BINS)
        lost.append("histograms over 512 bins")
        starts = range(0, len(numbers), every)
        edges = [*(edges[start] for start in starts), edges[-1]]
        numbers = [sum(numbers[start : start + every]) for start in starts]
    return Shown({"_type": "histogram", "values": numbers, "bins": edges}, lost=lost)


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and value - value == 0


def _node(node: Mapping[str, object]) -> dict[str, object]:
    """Return a module as a node of `wandb.Graph`."""
    name = str(node.get("name") or "model")
    shapes = items(node, "shapes")
    shown: dict[str, object] = {"id": name, "name": name, "class_name": str(node.get("class"))}
    if shapes:
        shown["output_shape"] = shapes[0] if len(shapes) == 1 else shapes
    return {**shown, "num_parameters": node.get("parameters"), "parameters": []}


def _column_types(columns: list[str], rows: list[object]) -> dict[str, object]:
    """Return the types of a table's columns, in the words of W&B's own tables."""
    kinds: list[set[str]] = [{"none"} for _ in columns]
    for row in rows:
        for seen, cell in zip(kinds, row if isinstance(row, list) else (), strict=False):
            seen.add(_CELLS.get(type(cell), "any"))
    types = [
        {"wb_type": "union", "params": {"allowed_types": [{"wb_type": kind} for kind in sorted(k)]}} for k in kinds
    ]
    return {"wb_type": "typedDict", "params": {"type_map": dict(zip(columns, types, strict=True))}}


def _safe(name: str) -> str:
    """Return a name as part of a file's name: no folders, no dots in front."""
    return re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII).lstrip(".")[:_LONGEST_NAME] or "_"
