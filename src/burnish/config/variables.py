"""The environment variables that count: the tier of each, its value without credentials, and what it does."""

from __future__ import annotations

import json
import re
from collections.abc import Container
from collections.abc import Mapping as Environ
from dataclasses import dataclass
from typing import Final

from burnish.config.layer import Plain, plain
from burnish.config.origin import Origin
from burnish.config.sources.env import env_name, env_path
from burnish.config.sources.flags import text_value
from burnish.core.environment import Tier, tier_of
from burnish.core.errors import ConfigError
from burnish.core.nearest import nearest
from burnish.core.secrets import MASK, Masker, is_secret_name

_NAMES: Final = {
    "EXPERIMENT_NAME": "names the run and its group",
    "RUN_ID": "becomes the last part of the run's name",
    "DEBUG_MODE": "asks for one step in the foreground, as --debug does",
}
_PATHS: Final = {"DATA_ROOT": "path: data root", "CHECKPOINT_DIR": "path: checkpoints"}
_BURNISH: Final = {"BURNISH_HOME": "path: instead of .burnish", "BURNISH_RUNS": "path: runs folder"}
_READERS: Final = (("WANDB_", "W&B"), ("MLFLOW_", "MLflow"), ("HF_|HUGGINGFACE_|TRANSFORMERS_", "Hugging Face"))
_ORDER: Final[tuple[Tier, ...]] = ("experiment", "project", "system")


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable.

    Attributes:
        value: Its value as it may be shown.
        effect: What it does, in words.
        sets: The config value that it sets; empty where it sets none.
    """

    name: str
    tier: Tier
    value: str
    effect: str
    sets: str = ""


def variables(environ: Environ[str, str], prefix: str, secret: Container[str] = ()) -> list[Variable]:
    """Return the variables that count, by tier and name.

    Args:
        environ: The environment.
        prefix: What those of the experiment begin with.
        secret: Config values that are credentials whatever they are called.
    """
    masker = Masker.from_environment(environ)
    found = [(name, tier) for name in sorted(environ) if (tier := tier_of(name, prefix)) is not None]
    return [
        Variable(name, tier, _shown(name, environ[name], prefix, masker, secret), *_effect(name, tier, prefix))
        for wanted in _ORDER
        for name, tier in found
        if tier == wanted
    ]


def _shown(name: str, text: str, prefix: str, masker: Masker, secret: Container[str]) -> str:
    """Return a value without credentials; of one that is a section, those inside it are hidden too."""
    path = env_path(name, prefix)
    if is_secret_name(name) or is_secret_name(path or "") or (path or "") in secret:
        return MASK if text else ""
    if path is None:
        return masker.text(text)
    try:
        value = plain(text_value(text, Origin("env", name)))
    except ConfigError:
        return masker.source(text)
    return masker.text(text) if masker.tree(value, path, secret) == value else _line(masker.tree(value, path, secret))


def _line(value: Plain) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


def _effect(name: str, tier: Tier, prefix: str) -> tuple[str, str]:
    """Return what a variable does, and which config value it sets."""
    if tier == "system":
        return "recorded, never config", ""
    if tier == "project":
        return _project_effect(name, prefix), ""
    rest = name.removeprefix(prefix)
    if rest in _NAMES:
        return _NAMES[rest], ""
    path = env_path(name, prefix)
    if path is not None and all(path.split(".")):
        return f"sets {path}", path
    return f"sets nothing; {_meant(name, prefix)}", ""


def _meant(name: str, prefix: str) -> str:
    rest = name.removeprefix(prefix)
    best = nearest(rest, [*_NAMES, *_PATHS])
    if best is not None and rest:
        return f"did you mean {prefix}{best}?"
    top = rest.strip("_").lower()
    return f"a top-level key would be {env_name(top, prefix)}" if top else "it names no key"


def _project_effect(name: str, prefix: str) -> str:
    rest = name.removeprefix(prefix)
    if name.startswith(prefix) and rest in _PATHS:
        return _PATHS[rest]
    if name in _BURNISH:
        return _BURNISH[name]
    reader = next((who for begins, who in _READERS if re.match(begins, name)), "Burnish")
    kind = "credential" if is_secret_name(name) else "setting"
    return f"{kind} of {reader}, never config"
