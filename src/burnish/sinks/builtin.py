"""The sinks that a run can name. Each is imported in the thread that uses it, so training never waits for one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.util import find_spec
from typing import Final

from burnish.sinks.base import Sink

SinkFactory = Callable[[], Sink]

BUILTIN: Final = {"tensorboard": "burnish.sinks.tensorboard:TensorBoardSink"}


def default_sinks() -> list[str]:
    """Return the sinks that a run uses when none is named: those that are installed and need no server."""
    return ["tensorboard"] if find_spec("tensorboard") is not None else []


def sink_factories(names: Iterable[str]) -> dict[str, SinkFactory]:
    """Return what makes each named sink, by name; a name that is not known makes one that says so."""
    return {name: functools.partial(_make, name) for name in names}


def _make(name: str) -> Sink:
    if name not in BUILTIN:
        raise ImportError(f"no sink is called {name!r}; there are {', '.join(BUILTIN)}")
    module, _, attribute = BUILTIN[name].partition(":")
    try:
        made = getattr(import_module(module), attribute)()
    except ModuleNotFoundError as error:
        raise ImportError(f"{error}: pip install 'burnish[{name}]'") from error
    assert isinstance(made, Sink)
    return made
