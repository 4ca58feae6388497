"""Records as TensorBoard shows them: histograms, pictures and texts, each under its key and its kind.

TensorBoard keeps one kind of content a tag, so that `reward` the scalar and `reward` the histogram need two: the
second is `reward/histogram`. What it cannot hold is counted by rule.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_STRING

from burnish.journal import Kind, Record
from burnish.sinks.tensorboard.blob import Unusable, read_blob
from burnish.sinks.tensorboard.tables import Table, table_text

Counts = Counter[str]
T = TypeVar("T")

_LONGEST_TEXT: Final = 200_000
_LONGEST_TITLE: Final = 200
_LARGEST: Final = 3.4028234663852886e38
_PICTURES: Final = ("image", "figure", "attention")
_LEFT_OUT: Final[dict[int, str]] = {Kind.LOG: "log record", Kind.CHECKPOINT: "checkpoint", Kind.ARTIFACT: "artifact"}


class _Histogram(msgspec.Struct):
    edges: list[float]
    counts: list[float]
    count: float = 0.0
    nonfinite: int = 0
    min: float | None = None
    max: float | None = None
    mean: float | None = None
    std: float | None = None


class _Text(msgspec.Struct):
    text: str
    level: str = ""


class _Picture(msgspec.Struct):
    width: int = 0
    height: int = 0
    caption: str = ""


def record_event(record: Record, step: int, root: Path, counts: Counts) -> bytes | None:
    """Return a record as a serialized event; None where TensorBoard has no place for it.

    Args:
        record: Any but a graph.
        step: Where it is shown.
        root: The run's folder, in which its files lie.
        counts: What is not shown as it is, by rule; added to.

    Raises:
        OSError: A file cannot be read now.
    """
    show = _shown_by(record)
    if show is None:
        if record.kind != Kind.LIFECYCLE:
            counts[f"{_LEFT_OUT.get(record.kind, 'unknown record')} left out"] += 1
        return None
    try:
        event = Event(wall_time=record.time, step=step, summary=Summary(value=show(record, root, counts)))
        return bytes(event.SerializeToString(deterministic=True))
    except Unusable as why:
        counts[str(why)] += 1
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError):  # a stranger wrote it
        counts["record not understood"] += 1
    return None


def _shown_by(record: Record) -> Callable[[Record, Path, Counts], list[Summary.Value]] | None:
    """Return what shows a record; None where nothing does."""
    match record.kind:
        case Kind.HISTOGRAM:
            return _histogram
        case Kind.TEXT:
            return lambda record, root, counts: _text(f"{record.key}/text", _read(record, _Text).text, counts)
        case Kind.TABLE:
            return _table
        case Kind.MEDIA if record.payload.get("type") in _PICTURES:
            return _picture
        case Kind.ALERT:
            return _alert
        case Kind.LIFECYCLE if record.key == "note":
            return lambda record, root, counts: _text("notes/text", _read(record, _Text).text, counts)
    return None


def _read(record: Record, what: type[T]) -> T:
    return msgspec.convert(record.payload, what)


def _histogram(record: Record, root: Path, counts: Counts) -> list[Summary.Value]:
    told = _read(record, _Histogram)
    if len(told.edges) != len(told.counts) + 1:
        raise ValueError("a histogram has one edge more than bins")
    counts["histogram without what is not finite"] += told.nonfinite > 0
    counts["histogram beyond 32 bits"] += any(abs(edge) > _LARGEST for edge in told.edges)
    mean, std = told.mean or 0.0, told.std or 0.0
    shown = HistogramProto(
        min=told.edges[0] if told.min is None else told.min,
        max=told.edges[-1] if told.max is None else told.max,
        num=told.count,
        sum=mean * told.count,
        sum_squares=(std * std + mean * mean) * told.count,
        bucket_limit=told.edges,  # right edges; an empty bin in front says where the first begins, as torch does
        bucket=[0.0, *told.counts],
    )
    return [Summary.Value(tag=f"{record.key}/histogram", histo=shown)]


def _picture(record: Record, root: Path, counts: Counts) -> list[Summary.Value]:
    told = _read(record, _Picture)
    content = read_blob(root, record.payload)
    shown = Summary.Image(width=told.width, height=told.height, encoded_image_string=content)
    picture = Summary.Value(tag=f"{record.key}/{record.payload['type']}", image=shown)
    if not told.caption:
        return [picture]
    counts["caption as text"] += 1
    return [picture, *_text(f"{record.key}/caption", told.caption, counts)]


def _table(record: Record, root: Path, counts: Counts) -> list[Summary.Value]:
    if "file" in record.payload:
        table = msgspec.convert(json.loads(read_blob(root, record.payload)), Table)  # msgspec's JSON has no NaN
    else:
        table = _read(record, Table)
    counts["table as text"] += 1
    text, left = table_text(table)
    if left:
        counts["row of a table cut or left out"] += left
    return _text(f"{record.key}/table", text, counts)


def _alert(record: Record, root: Path, counts: Counts) -> list[Summary.Value]:
    told = _read(record, _Text)
    title = record.key[:_LONGEST_TITLE]
    # A tag a title: of what falls on one step of a tag, TensorBoard shows the last only.
    return _text(f"alerts/{title}", f"**{told.level or 'alert'}: {title}**\n\n{told.text}", counts)


def _text(tag: str, text: str, counts: Counts) -> list[Summary.Value]:
    if len(text) > _LONGEST_TEXT:
        counts["text cut"] += 1
        text = f"{text[:_LONGEST_TEXT]}…"
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
    shown = TensorProto(dtype=DT_STRING, tensor_shape=shape, string_val=[text.encode(errors="backslashreplace")])
    about = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
    return [Summary.Value(tag=tag, tensor=shown, metadata=about)]
