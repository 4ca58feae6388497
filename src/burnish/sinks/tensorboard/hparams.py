"""What TensorBoard's HParams tab lists of a run: its config when it starts, its status when it has ended."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Final

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_FLOAT
from tensorboard.plugins.hparams.api_pb2 import STATUS_FAILURE, STATUS_RUNNING, STATUS_SUCCESS, STATUS_UNKNOWN
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo, SessionStartInfo

from burnish.config.flat import Leaf
from burnish.sinks.tensorboard.scalars import BEFORE

_LONGEST: Final = 500
_STATUS: Final = {
    "finished": STATUS_SUCCESS,
    "failed": STATUS_FAILURE,
    "lost": STATUS_FAILURE,
    "running": STATUS_RUNNING,
    "retrying": STATUS_RUNNING,
}


def session_start(config: Mapping[str, Leaf], created: float) -> tuple[bytes, int]:
    """Return a run's config as a serialized event, and how many values are cut.

    Args:
        config: Its values by dotted path.
        created: Seconds since the epoch.
    """
    start = SessionStartInfo(start_time_secs=created)
    cut = 0
    for path, value in config.items():
        told, shown = _value(value), start.hparams[path.encode(errors="backslashreplace").decode()]
        if isinstance(told, bool):
            shown.bool_value = told
        elif isinstance(told, str):
            shown.string_value = told if len(told) <= _LONGEST else f"{told[:_LONGEST]}…"
            cut += len(told) > _LONGEST
        else:
            shown.number_value = told
    return _event("_hparams_/session_start_info", HParamsPluginData(session_start_info=start), created), cut


def session_end(status: str, ended: float, created: float) -> bytes:
    """Return how a run ended as a serialized event; one that was stopped may go on, so that this is unknown.

    Args:
        status: The state it ended in.
        ended: Seconds since the epoch, 0 where that is not known.
        created: The same of its beginning.
    """
    end = SessionEndInfo(status=_STATUS.get(status, STATUS_UNKNOWN), end_time_secs=ended)
    return _event("_hparams_/session_end_info", HParamsPluginData(session_end_info=end), ended or created)


def _event(tag: str, content: HParamsPluginData, at: float) -> bytes:
    plugin = SummaryMetadata.PluginData(plugin_name="hparams", content=content.SerializeToString(deterministic=True))
    nothing = TensorProto(dtype=DT_FLOAT, tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=0)]))
    value = Summary.Value(tag=tag, metadata=SummaryMetadata(plugin_data=plugin), tensor=nothing)
    event = Event(wall_time=at, step=BEFORE, summary=Summary(value=[value]))
    return bytes(event.SerializeToString(deterministic=True))


def _value(value: Leaf) -> bool | float | str:
    """Return a value as the tab takes it: a truth, a number that a float holds, or text."""
    if isinstance(value, int | float) and _is_exact(value):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.encode(errors="backslashreplace").decode()


def _is_exact(value: float) -> bool:
    try:
        return math.isfinite(value) and float(value) == value
    except OverflowError:
        return False
