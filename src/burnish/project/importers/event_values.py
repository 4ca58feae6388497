"""Values of TensorBoard's summaries, in the forms of both its generations, as Burnish records them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.util.tensor_util import make_ndarray

from burnish.journal import Kind
from burnish.project.importers.bins import binned
from burnish.project.importers.log import Log
from burnish.track.blobs import store_blob

_LARGEST: Final = 1e300  # TensorBoard's outermost buckets end at the largest number there is
_PICTURES: Final = ((b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpg"), (b"GIF8", "gif"))
_TEXTS: Final = "text"


def record_value(value: Summary.Value, plugin: str, event: Event, log: Log) -> None:
    """Record one value of a summary.

    Args:
        value: The value.
        plugin: Whose it is; empty for the first generation, which has a field for each kind.
        event: Its step and time.
        log: Where it is recorded, or counted as left out.

    Raises:
        ValueError: It is not what its plugin writes.
    """
    what = value.WhichOneof("value")
    if what == "simple_value":
        log.scalars({value.tag: float(value.simple_value)}, event.step, event.wall_time)
    elif what == "histo":
        _add(Kind.HISTOGRAM, value.tag, _old_histogram(value.histo), event, log)
    elif what == "image":
        _picture(value.tag, value.image.encoded_image_string, (value.image.width, value.image.height), event, log)
    elif what == "tensor" and (record := _RECORDERS.get(plugin)) is not None:
        record(value, event, log)
    elif what == "tensor" and not plugin and _is_number(value.tensor):
        _scalar(value, event, log)
    else:
        log.left_out[f"summary of {plugin or what or 'nothing'}"] += 1


def _add(kind: Kind, tag: str, payload: dict[str, object] | None, event: Event, log: Log) -> None:
    if payload is None:
        log.left_out["histogram that is none"] += 1
    else:
        log.record(kind, tag, payload, event.step, event.wall_time)


def _is_number(tensor: TensorProto) -> bool:
    return not tensor.tensor_shape.dim and not tensor.string_val and tensor.dtype not in (0, 7)


def _scalar(value: Summary.Value, event: Event, log: Log) -> None:
    found = make_ndarray(value.tensor)
    if found.size != 1:
        raise ValueError("a scalar is one number")
    log.scalars({value.tag: float(found.reshape(-1)[0])}, event.step, event.wall_time)


def _histogram(value: Summary.Value, event: Event, log: Log) -> None:
    rows = np.asarray(make_ndarray(value.tensor), dtype=np.float64).reshape(-1, 3)
    edges = [*rows[:, 0].tolist(), *rows[-1:, 1].tolist()]
    _add(Kind.HISTOGRAM, value.tag, binned(edges, rows[:, 2].tolist()), event, log)


def _text(value: Summary.Value, event: Event, log: Log) -> None:
    parts = np.asarray(make_ndarray(value.tensor)).reshape(-1).tolist()
    text = "\n\n".join(part.decode(errors="replace") if isinstance(part, bytes) else str(part) for part in parts)
    log.record(Kind.TEXT, value.tag, {"text": text}, event.step, event.wall_time)


def _pictures(value: Summary.Value, event: Event, log: Log) -> None:
    width, height, *pictures = np.asarray(make_ndarray(value.tensor)).reshape(-1).tolist()
    for place, content in enumerate(pictures):
        tag = value.tag if len(pictures) == 1 else f"{value.tag}/{place}"
        _picture(tag, content, (int(width), int(height)), event, log)


def _picture(tag: str, content: bytes, size: tuple[int, int], event: Event, log: Log) -> None:
    suffix = next((suffix for magic, suffix in _PICTURES if content.startswith(magic)), "")
    if not suffix:
        log.left_out["picture of an unknown format"] += 1
        return
    blob = store_blob(log.root, content, suffix)
    told = {"bytes": blob.bytes, "width": size[0], "height": size[1], "caption": ""}
    payload = {"type": "image", "file": blob.file, "sha256": blob.sha256, **told}
    log.record(Kind.MEDIA, tag, payload, event.step, event.wall_time)


def _old_histogram(told: HistogramProto) -> dict[str, object] | None:
    """Return a histogram whose buckets are named by their right edges; the first reaches down to the least value."""
    limits, counts = list(told.bucket_limit), list(told.bucket)
    if len(limits) != len(counts) or not counts:
        return None
    if counts[0] == 0 and len(counts) > 1:  # an empty one in front says where the first begins
        edges, counts = limits, counts[1:]
    else:
        edges = [min(told.min, limits[0]), *limits]
    edges[-1] = max(told.max, edges[-2]) if edges[-1] > _LARGEST else edges[-1]
    edges[0] = min(told.min, edges[1]) if edges[0] < -_LARGEST else edges[0]
    found = binned(edges, counts)
    if found is not None and told.num > 0:
        mean = told.sum / told.num
        spread = math.sqrt(max(0.0, told.sum_squares / told.num - mean * mean))
        found |= {"min": told.min, "max": told.max, "mean": mean, "std": spread}
    return found


_RECORDERS: Final[dict[str, Callable[[Summary.Value, Event, Log], None]]] = {
    "scalars": _scalar,
    "histograms": _histogram,
    "images": _pictures,
    _TEXTS: _text,
}
