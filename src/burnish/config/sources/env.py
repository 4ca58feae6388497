"""Config values from the environment: `LLM_<SECTION>__<FIELD>`, such as `LLM_TRAINING__LEARNING_RATE=1e-4`.

Two underscores are a dot; a top-level key has an empty section: `LLM__SEED=1`.
"""

from __future__ import annotations

from collections.abc import Mapping as Environ

from burnish.config.layer import Layer, nested
from burnish.config.origin import Origin
from burnish.config.sources.flags import is_text, text_value
from burnish.core.errors import ConfigError, Problem

PREFIX = "LLM_"


def env_layers(environ: Environ[str, str], prefix: str = PREFIX, problems: list[Problem] | None = None) -> list[Layer]:
    """Read every variable that sets a config value, each into a layer of its own.

    Args:
        environ: The environment.
        prefix: What their names begin with.
        problems: Where to add values that are not YAML; None raises them.

    Raises:
        ConfigError: A value is not YAML, and nobody collects problems.
    """
    layers: list[Layer] = []
    told: list[Problem] = [] if problems is None else problems
    for name in sorted(environ):
        path = env_path(name, prefix)
        if path is None:
            continue
        origin = Origin("env", name)
        if not all(path.split(".")) or not is_text(path):
            told.append(Problem(f"{name!r} names no key", str(origin)))
            continue
        try:
            layers.append(Layer(str(origin), nested(path, text_value(environ[name], origin))))
        except ConfigError as error:
            told += error.problems
    if problems is None and told:
        raise ConfigError(told)
    return layers


def env_path(name: str, prefix: str = PREFIX) -> str | None:
    """Return the config value that a variable sets, None for a variable that sets none.

    >>> env_path("LLM_TRAINING__LEARNING_RATE"), env_path("LLM__SEED"), env_path("LLM_DATA_ROOT")
    ('training.learning_rate', 'seed', None)
    """
    rest = name.removeprefix(prefix)
    if not name.startswith(prefix):
        return None
    if rest.startswith("_") and not rest.startswith("__"):
        rest = rest[1:]
    elif "__" not in rest:
        return None
    return ".".join(rest.lower().split("__"))


def env_name(path: str, prefix: str = PREFIX) -> str:
    """Return the variable that sets a config value.

    >>> env_name("training.learning_rate"), env_name("seed")
    ('LLM_TRAINING__LEARNING_RATE', 'LLM__SEED')
    """
    name = path.replace(".", "__").upper()
    return f"{prefix}{name}" if "." in path else f"{prefix}_{name}"
