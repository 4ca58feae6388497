"""The job with OmegaConf alone: three files, variables by a loop, flags as a dot list, over a structured config."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from finish import finish  # type: ignore[import-not-found]
from omegaconf import OmegaConf
from schema_omegaconf import Schema  # type: ignore[import-not-found]


def load(flags: Sequence[str]) -> Any:
    """Compose and validate."""
    layers = [OmegaConf.load(f"{name}.yaml") for name in ("default", "base", "experiment")]
    # OmegaConf has no environment layer; this is what its users write.
    variables = [
        f"{name.removeprefix('LLM_').lower().replace('__', '.')}={value}"
        for name, value in os.environ.items()
        if name.startswith("LLM_")
    ]
    dotted = [OmegaConf.from_dotlist(words) for words in (variables, list(flags))]
    return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Schema), *layers, *dotted))


if __name__ == "__main__":
    finish(load(sys.argv[1:]))
