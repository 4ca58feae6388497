"""`load_config`: a config of your own class in your own script, from files, flags and environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from burnish.config import Config, Resolved, resolve
from burnish.core.paths import find_project

T = TypeVar("T", bound=Config)


def load_config(
    file: str | Path,
    schema: type[T],
    *,
    flags: Sequence[str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> T:
    """Return a validated config: flags > environment > file (its `extends` parents below it) > the class's defaults.

    Args:
        file: YAML, TOML or Python.
        schema: The config class.
        flags: Words such as `--training.learning_rate 1e-4`; by default those of this script's command line.
        environ: Where `LLM_<SECTION>__<FIELD>` sets values; by default this process's environment.

    Raises:
        ConfigError: Every mistake, at once, each with the place where it was written.
    """
    config = resolve_config(file, schema, flags=flags, environ=environ).config
    assert isinstance(config, schema)
    return config


def resolve_config(
    file: str | Path,
    schema: type[Config],
    *,
    flags: Sequence[str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Resolved:
    """Do the same, and return where each value came from too: `.origins`, `.history("a.b")`.

    Raises:
        ConfigError: Every mistake, at once.
    """
    variables = os.environ if environ is None else environ
    resolved = resolve(
        Path(file),
        schema=schema,
        lookup=_lookup,
        project=find_project(),
        flags=sys.argv[1:] if flags is None else flags,
        environ=variables,
    )
    if not resolved.is_undecided:
        return resolved
    from burnish.core.hardware import read_machine

    return resolved.on_machine(read_machine(), variables)


def _lookup(category: str, name: str) -> type[Config]:
    from burnish.experiment.registry import config_of  # a config without components needs no registry

    return config_of(category, name)
