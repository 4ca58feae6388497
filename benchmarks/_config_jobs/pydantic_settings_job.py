"""The job with pydantic-settings: `yaml_settings` says where values come from, the generated schema what they are."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from finish import finish  # type: ignore[import-not-found]
from schema_pydantic import Schema  # type: ignore[import-not-found]


def load(flags: Sequence[str]) -> Any:
    """Compose and validate."""
    return Schema(_cli_parse_args=list(flags))


if __name__ == "__main__":
    finish(load(sys.argv[1:]))
