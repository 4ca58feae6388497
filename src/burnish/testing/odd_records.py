"""One record of every kind that a journal may hold, with its files; and such that nobody ought to write."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

from burnish.journal import JournalWriter, Kind
from burnish.track.artifacts import store_artifact
from burnish.track.blobs import store_blob
from burnish.track.histogram import histogram
from burnish.track.table import table, table_payload

_PNG: Final = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNk+M9QDwADgQGA6n0wHAAAAABJRU5ErkJggg=="
)
_UNKNOWN: Final = 99
_Payload = dict[str, object]


def write_every_kind(writer: JournalWriter, root: Path) -> None:
    """Write a text, table, histogram, picture, graph, artifact and all else that `Run` records."""
    for kind, key, payload in _of_every_kind(root):
        writer.record(kind, key, payload, 1)
        writer.record(kind, f"größe {key}", payload, None)


def write_nonsense(writer: JournalWriter) -> None:
    """Write records of every kind whose payloads are empty, or hold what they should not."""
    wrong: _Payload = {
        "type": "image", "file": "media/../../etc/passwd", "sha256": 3, "text": None, "rows": 7, "columns": [None],
        "counts": ["x"], "edges": {}, "attempt": "two", "continues": "yes", "level": [], "steps": -1, "pattern": 5,
    }  # fmt: skip
    for kind in Kind:
        if kind not in (Kind.ROW, Kind.KEYS):
            for payload in ({}, wrong, {"type": "hologram", "role": "stolen"}):
                writer.record(kind, "", payload, None)
                for key in ("odd/key", "open", "metric", "tag", "card"):
                    writer.record(kind, key, payload, 1 << 62)
    writer.record(_UNKNOWN, "from the future", {"value": [1, {"deep": [None]}]})  # type: ignore[arg-type]  # no kind


def lose_files(root: Path) -> int:
    """Remove what the journals name; return how many files that were."""
    lost = [path for folder in ("media", "artifacts", "objects") for path in (root / folder).rglob("*")]
    files = [path for path in lost if path.is_file()]
    for path in files:
        path.unlink()
    return len(files)


def _of_every_kind(root: Path) -> Iterator[tuple[Kind, str, _Payload]]:
    picture = asdict(store_blob(root, _PNG, "png")) | {"width": 1, "height": 1, "caption": "one pixel"}
    yield Kind.TEXT, "sample", {"text": "2 + 2 = 4\n損失"}
    yield Kind.TABLE, "samples", table_payload(root, *table([{"prompt": "2+2=", "reward": 1.0, "seen": None}], None))
    yield Kind.HISTOGRAM, "weights", histogram([0.0, 1.0, 1.0, float("nan")])
    for kind in ("image", "figure", "attention"):
        yield Kind.MEDIA, f"eval/{kind}", {"type": kind, **picture}
    graph = asdict(store_blob(root, json.dumps(_graph()).encode(), "json"))
    yield Kind.MEDIA, "model", {"type": "graph", **graph, "caption": "4 parameters"}
    yield Kind.ARTIFACT, "notes.txt", _artifact(root)
    yield Kind.ARTIFACT, "base", {**_artifact(root), "role": "used", "run": "20260101_other_aaaa"}
    yield Kind.ALERT, "loss is NaN", {"text": "at step 1", "level": "error", "reason": "nan"}
    yield Kind.LOG, "trainer", {"level": logging.getLevelName(logging.WARNING), "message": "slow", "error": ""}
    yield Kind.CHECKPOINT, "checkpoints/step_1", {"metrics": {"loss": 0.5}}
    yield Kind.LIFECYCLE, "total", {"steps": 10}
    yield Kind.LIFECYCLE, "card", {"device": "cpu"}
    yield Kind.LIFECYCLE, "metric", {"pattern": "eval/*", "axis": "train/num_tokens", "best": "min"}
    yield Kind.LIFECYCLE, "tag", {"tags": ["pilot", "größe @ 1"]}
    yield Kind.LIFECYCLE, "note", {"text": "looks low"}


def _artifact(root: Path) -> _Payload:
    source = root / "notes.txt"
    source.write_text("what was tried")
    made = store_artifact(root, source, name="notes.txt", kind="file", metadata={"step": 1})
    return made.payload("made")


def _graph() -> _Payload:
    def node(name: str, kind: str, parameters: int) -> _Payload:
        known = {"name": name, "class": kind, "parent": None if not name else "", "parameters": parameters}
        rest = {"dtype": "float32", "shared_with": [], "same_as": None, "calls": 1, "order": 0, "shapes": [[1, 2]]}
        return {**known, "trainable": parameters, **rest}

    edges = [("", "layer", "contains"), ("", "layer", "input"), ("layer", "", "output")]
    return {
        "nodes": [node("", "Net", 0), node("layer", "Linear", 4)],
        "edges": [{"from": source, "to": to, "kind": kind} for source, to, kind in edges],
        "parameters": 4,
        "trainable": 4,
        "bytes": 16,
        "forward_s": 0.1,
        "note": "",
    }
