"""What people write against: `Experiment`, the registry of components, and the bridges into trainers."""

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from burnish.experiment.base import Experiment, LoopConfig
    from burnish.experiment.config import ExperimentConfig, RunConfig
    from burnish.experiment.load import load_config, resolve_config
    from burnish.experiment.loop import steps
    from burnish.experiment.registry import register

__all__ = [
    "Experiment",
    "ExperimentConfig",
    "LoopConfig",
    "RunConfig",
    "load_config",
    "register",
    "resolve_config",
    "steps",
]

# A script that only loads a config pays for no journal, and the other way round.
_HOMES = {
    "Experiment": "base",
    "LoopConfig": "base",
    "ExperimentConfig": "config",
    "RunConfig": "config",
    "load_config": "load",
    "resolve_config": "load",
    "steps": "loop",
    "register": "registry",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'burnish.experiment' has no attribute {name!r}")
    return getattr(import_module(f"burnish.experiment.{_HOMES[name]}"), name)
