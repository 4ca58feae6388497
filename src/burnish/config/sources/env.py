"""Config values from the environment: `LLM_<SECTION>__<FIELD>`, such as `LLM_TRAINING__LEARNING_RATE=1e-4`."""

from __future__ import annotations

from collections.abc import Mapping as Environ

from burnish.config.layer import Layer, empty, nested
from burnish.config.merge import merge
from burnish.config.origin import Origin
from burnish.config.sources.flags import text_value

PREFIX = "LLM_"


def env_layer(environ: Environ[str, str], prefix: str = PREFIX) -> Layer:
    """Read every variable that sets a config value.

    Raises:
        ConfigError: A value is not YAML.
    """
    tree = empty(Origin("env", ""))
    for name in sorted(environ):
        if name.startswith(prefix) and "__" in name.removeprefix(prefix):
            path = ".".join(name.removeprefix(prefix).lower().split("__"))
            tree = merge(tree, nested(path, text_value(environ[name], Origin("env", name))))
    return Layer("environment", tree)


def env_name(path: str, prefix: str = PREFIX) -> str:
    """Return the variable that sets a config value.

    >>> env_name("training.learning_rate")
    'LLM_TRAINING__LEARNING_RATE'
    """
    return prefix + path.replace(".", "__").upper()
