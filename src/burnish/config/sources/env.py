"""Config values from the environment: `LLM_<SECTION>__<FIELD>`, such as `LLM_TRAINING__LEARNING_RATE=1e-4`."""

from __future__ import annotations

from collections.abc import Mapping as Environ

from burnish.config.layer import Layer, nested
from burnish.config.origin import Origin
from burnish.config.sources.flags import text_value
from burnish.core.errors import ConfigError, Problem

PREFIX = "LLM_"


def env_layers(environ: Environ[str, str], prefix: str = PREFIX) -> list[Layer]:
    """Read every variable that sets a config value, each into a layer of its own.

    Raises:
        ConfigError: A value is not YAML.
    """
    layers: list[Layer] = []
    problems: list[Problem] = []
    for name in sorted(environ):
        if name.startswith(prefix) and "__" in name.removeprefix(prefix):
            path = ".".join(name.removeprefix(prefix).lower().split("__"))
            try:
                origin = Origin("env", name)
                layers.append(Layer(str(origin), nested(path, text_value(environ[name], origin))))
            except ConfigError as error:
                problems += error.problems
    if problems:
        raise ConfigError(problems)
    return layers


def env_name(path: str, prefix: str = PREFIX) -> str:
    """Return the variable that sets a config value.

    >>> env_name("training.learning_rate")
    'LLM_TRAINING__LEARNING_RATE'
    """
    return prefix + path.replace(".", "__").upper()
