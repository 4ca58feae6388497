"""The job with Hydra: a defaults list over a structured config, `oc.env` in the file for the variables."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import hydra
from finish import finish  # type: ignore[import-not-found]
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf
from schema_omegaconf import Schema  # type: ignore[import-not-found]

ConfigStore.instance().store(name="schema", node=Schema)
FOLDER = os.path.abspath(".")  # noqa: PTH100
_started = False


def load(flags: Sequence[str]) -> Any:
    """Compose and validate in a process that has Hydra running."""
    global _started
    if not _started:
        hydra.initialize_config_dir(config_dir=FOLDER, version_base="1.3")
        _started = True
    return OmegaConf.to_object(hydra.compose(config_name="experiment", overrides=list(flags)))


@hydra.main(version_base="1.3", config_path=FOLDER, config_name="experiment")
def main(config: DictConfig) -> None:
    """Run as Hydra's users do."""
    finish(OmegaConf.to_object(config))


if __name__ == "__main__":
    main()
