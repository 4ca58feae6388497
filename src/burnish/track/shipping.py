"""What `tracking.sinks` may say: which sinks, and the options of each. Nothing heavy: a mistake is told at once.

Names with commas between them, a list of names, or a mapping from names to options, in which `false` switches one off.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from importlib.util import find_spec
from typing import Final, get_args, get_type_hints

from burnish.core.errors import UsageError
from burnish.core.nearest import nearest
from burnish.core.secrets import is_secret_name

Options = dict[str, object]
GROUP: Final = "burnish.sinks"
"""The entry point group by which others add sinks."""

_LOGIN = re.compile(r"^[a-z0-9+.]+://[^/@\s]+@", re.IGNORECASE)
_QUERY = re.compile(r"[?&]([^=&#\s]+)=")
_NEED_NO_SERVER: Final = ("tensorboard",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The walls around a sink: what every one can be told.

    Attributes:
        timeout_s: A call that takes longer is ended, with its process.
        memory_mb: So is a process that needs more.
        batch_kb: How much of a journal is shipped at once; 0 for what the sink prefers.
    """

    timeout_s: float = 120.0
    memory_mb: float = 2048.0
    batch_kb: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorBoardOptions(Limits):
    """TensorBoard has none of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MLflowOptions(Limits):
    """Where MLflow is, and what it gets.

    Attributes:
        uri: `MLFLOW_TRACKING_URI` when left out, else `mlflow.db` in the project's `.burnish`.
        experiment: `MLFLOW_EXPERIMENT_NAME` when left out, else the run's experiment.
        artifacts: Whether files are sent too.
    """

    uri: str = ""
    experiment: str = ""
    artifacts: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class WandbOptions(Limits):
    """How W&B is used.

    Attributes:
        mode: `offline` or `online`.
        project: `WANDB_PROJECT` when left out, else the project folder's name.
        entity: `WANDB_ENTITY` when left out.
        tags: Config values that become tags, by dotted path.
        folder: Where its files are; inside the run when left out.
        artifacts: Whether files are sent too.
    """

    mode: str = "offline"
    project: str = ""
    entity: str = ""
    tags: tuple[str, ...] = ()
    folder: str = ""
    artifacts: bool = True


BUILTIN: Final[dict[str, type[Limits]]] = {
    "tensorboard": TensorBoardOptions,
    "mlflow": MLflowOptions,
    "wandb": WandbOptions,
}
_MODES: Final = ("offline", "online")


def default_sinks() -> dict[str, Options]:
    """Return the sinks that a run uses when none is named: those that are installed and need no server."""
    return {name: {} for name in _NEED_NO_SERVER if find_spec(name) is not None}


def read_sinks(told: object) -> dict[str, Options]:
    """Return the options of each sink that is switched on, whatever the shape; what has none is left out."""
    if isinstance(told, str):
        return {name: {} for name in _words(told)}
    if isinstance(told, list | tuple):
        return {name: {} for name in told if isinstance(name, str)}
    if not isinstance(told, Mapping):
        return default_sinks()
    found = {str(name): dict(o) if isinstance(o, Mapping) else {} for name, o in told.items() if o is not False}
    # Nothing but switches that are off: the others stay as they are.
    return found if found or not told else {name: o for name, o in default_sinks().items() if name not in told}


def check_sinks(told: object) -> None:
    """Look at what a user wrote.

    Raises:
        UsageError: It has another shape, names a sink that nobody has, or an option that this one has not.
    """
    if isinstance(told, Mapping):
        for name, options in told.items():
            _check_name(str(name))
            _check_options(str(name), options)
    elif isinstance(told, str):
        for name in _words(told):
            _check_name(name)
    elif isinstance(told, list | tuple) and all(isinstance(name, str) for name in told):
        for name in told:
            _check_name(name)
    else:
        raise UsageError(f"sinks: should be names, or options by name, not {told!r}", hint=_EXAMPLE)


_EXAMPLE = 'such as [tensorboard, mlflow] or {"mlflow": {"uri": "http://127.0.0.1:5000"}}'


def split_options(options: Mapping[str, object]) -> tuple[Limits, Options]:
    """Return the walls that options ask for, and what is left for the sink itself."""
    own = {field.name for field in fields(Limits)}
    limits = {key: float(v) for key, v in options.items() if key in own and isinstance(v, int | float)}
    return Limits(**limits), {key: value for key, value in options.items() if key not in own}


def _words(told: str) -> list[str]:
    """Return names with commas between them; `none` stands for no name."""
    return [word.strip() for word in told.split(",") if word.strip() not in ("", "none")]


def plugin_names() -> list[str]:
    """Return the names of the sinks that installed packages bring, sorted."""
    from importlib import metadata  # scans what is installed, and only where a name is not ours

    return sorted({point.name for point in metadata.entry_points(group=GROUP)})


def _check_name(name: str) -> None:
    if name in BUILTIN:
        return
    known = [*BUILTIN, *plugin_names()]
    if name not in known:
        best = nearest(name, known)
        hint = f"did you mean {best!r}?" if best else f"there are {', '.join(known)}"
        raise UsageError(f"sinks: no sink {name!r}", hint=hint)


def _check_options(name: str, options: object) -> None:
    if options is None or isinstance(options, bool):
        return
    if not isinstance(options, Mapping):
        raise UsageError(f"sinks.{name}: should be options, true or false, not {options!r}")
    kind = BUILTIN.get(name, Limits)
    known = {field.name: field for field in fields(kind)}
    for key, value in options.items():
        path = f"sinks.{name}.{key}"
        _refuse_credentials(path, str(key), value)
        if key in known:
            _check_value(path, known[str(key)], get_type_hints(kind)[str(key)], value)
        elif name in BUILTIN:
            best = nearest(str(key), known)
            hint = f"did you mean {best!r}?" if best else f"there are {', '.join(known)}"
            raise UsageError(f"{path}: no such option", hint=hint)


def _refuse_credentials(path: str, key: str, value: object) -> None:
    is_address = isinstance(value, str) and (_LOGIN.match(value) or any(map(is_secret_name, _QUERY.findall(value))))
    if is_secret_name(key) or is_address:
        hint = (
            "by environment: WANDB_API_KEY, MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD, MLFLOW_TRACKING_TOKEN"
        )
        raise UsageError(f"{path}: credentials do not belong into a config", hint=hint)
    if isinstance(value, Mapping):
        for inner, item in value.items():
            _refuse_credentials(f"{path}.{inner}", str(inner), item)
    elif isinstance(value, list | tuple):
        for place, item in enumerate(value):
            _refuse_credentials(f"{path}.{place}", "", item)


def _check_value(path: str, field: Field[object], kind: object, value: object) -> None:
    if field.name == "mode" and value not in _MODES:
        raise UsageError(f"{path}: should be {' or '.join(_MODES)}, not {value!r}")
    assert field.default is not MISSING
    if not _fits(value, field.default):
        wanted = "words" if get_args(kind) else kind.__name__ if isinstance(kind, type) else str(kind)
        called = "a number above 0" if wanted == "float" and field.default else _CALLED.get(wanted, wanted)
        raise UsageError(f"{path}: should be {called}, not {value!r}")


_CALLED: Final = {"str": "text", "bool": "true or false", "float": "a number, at least 0", "words": "a list of words"}


def _fits(value: object, default: object) -> bool:
    if isinstance(default, tuple):
        return isinstance(value, list | tuple) and all(isinstance(word, str) for word in value)
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    if isinstance(default, float):  # a wall at 0 would end a sink before it begins
        return isinstance(value, int | float) and math.isfinite(value) and (value > 0 or value == default)
    return isinstance(value, str)
