"""Finding a sink by its name: ours, or one that a package brings by the entry point group `burnish.sinks`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module, metadata
from typing import TYPE_CHECKING, Final

from burnish.sinks.base import Refused, Sink
from burnish.track.shipping import BUILTIN, GROUP, plugin_names

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_OURS: Final = {
    "tensorboard": "burnish.sinks.tensorboard:TensorBoardSink",
    "mlflow": "burnish.sinks.mlflow:MLflowSink",
    "wandb": "burnish.sinks.wandb:WandbSink",
}


def make_sink(name: str, options: Mapping[str, object]) -> Sink:
    """Import and make a sink.

    Raises:
        Refused: There is none of this name, two packages bring one, or it or an option of it cannot be had.
    """
    kind = _load(name)
    try:
        made = kind(**options)  # type: ignore[operator]  # checked below
    except TypeError as error:
        raise Refused(f"sink {name!r} cannot be made: {error}") from error
    if not isinstance(made, Sink):
        raise Refused(f"sink {name!r} is {type(made).__name__}, which is no burnish.sinks.Sink")
    return made


def _load(name: str) -> object:
    found = list(metadata.entry_points(group=GROUP, name=name))
    if name in _OURS:
        if found:
            raise Refused(f"{_makers(found)} and burnish both have a sink {name!r}; none is used")
        module, _, attribute = _OURS[name].partition(":")
        try:
            return getattr(import_module(module), attribute)
        except ModuleNotFoundError as error:
            raise Refused(f"{error}: pip install 'burnish[{name}]'") from error
    if not found:
        raise Refused(f"no sink is called {name!r}; there are {', '.join([*BUILTIN, *plugin_names()])}")
    if len(found) > 1:
        raise Refused(f"{_makers(found)} both have a sink {name!r}; none is used")
    try:
        return found[0].load()
    except ImportError as error:
        raise Refused(f"sink {name!r} of {_makers(found)} cannot be imported: {error}") from error


def _makers(points: list[EntryPoint]) -> str:
    return " and ".join(sorted(point.dist.name if point.dist else point.value for point in points))
