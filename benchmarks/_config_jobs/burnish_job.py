"""The job with Burnish: `extends` in the files, variables and flags by their names."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from finish import finish  # type: ignore[import-not-found]
from schema_burnish import Schema  # type: ignore[import-not-found]

from burnish import load_config


def load(flags: Sequence[str]) -> Any:
    """Compose and validate."""
    return load_config("experiment.yaml", Schema, flags=flags)


if __name__ == "__main__":
    finish(load(sys.argv[1:]))
