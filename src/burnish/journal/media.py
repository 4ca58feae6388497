"""What a journal holds besides scalars and words about the run: pictures, graphs, tables, texts, histograms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, get_args

from burnish.journal.entry import Kind, Record

Picture = Literal["image", "figure", "attention"]
MediaKind: TypeAlias = Literal[Picture, "graph", "table", "text", "histogram"]

_KINDS: Mapping[int, MediaKind] = {Kind.TABLE: "table", Kind.TEXT: "text", Kind.HISTOGRAM: "histogram"}
_IN_FILES: Mapping[object, MediaKind] = {**{kind: kind for kind in get_args(Picture)}, "graph": "graph"}


def media_kind(record: Record) -> MediaKind | None:
    """Return what a record is that people look at; None for any other.

    >>> media_kind(Record(Kind.MEDIA, 0, 5, 0.0, "eval/map", {"type": "figure"}))
    'figure'
    """
    if record.kind == Kind.MEDIA:
        kind = record.payload.get("type")
        return _IN_FILES.get(kind) if isinstance(kind, str) else None
    return _KINDS.get(record.kind)
