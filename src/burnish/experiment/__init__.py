"""What people write against: `Experiment`, the registry of components, and the bridges into trainers."""

from burnish.experiment.base import Experiment, LoopConfig
from burnish.experiment.config import ExperimentConfig, RunConfig
from burnish.experiment.loop import steps
from burnish.experiment.registry import register

__all__ = ["Experiment", "ExperimentConfig", "LoopConfig", "RunConfig", "register", "steps"]
