"""The job with jsonargparse: dataclasses with its restricted types, files as defaults, variables, flags."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Sequence
from typing import Any

from finish import finish  # type: ignore[import-not-found]
from jsonargparse import ArgumentParser
from schema_jsonargparse import Schema  # type: ignore[import-not-found]


@functools.cache
def parser() -> ArgumentParser:
    """Return the parser; who composes more than once keeps it."""
    # All files as default files, since a file given by `--config` would win over the variables.
    files: list[str | os.PathLike[str]] = ["default.yaml", "base.yaml", "experiment.yaml"]
    made = ArgumentParser(default_config_files=files, default_env=True, env_prefix="LLM")
    made.add_class_arguments(Schema)
    return made


def load(flags: Sequence[str]) -> Any:
    """Compose and validate."""
    made = parser()
    return made.instantiate(made.parse_args(list(flags)))


if __name__ == "__main__":
    finish(load(sys.argv[1:]))
