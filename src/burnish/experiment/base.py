"""`Experiment`: what to train, as a class with a config. Subclass it, fill in the hooks, name it in a YAML file.

    class Mine(Experiment[Tensor]):
        Config = MineConfig

        def build_model(self) -> None: ...
        def batch(self, step: int) -> Tensor: ...
        def train_step(self, batch: Tensor) -> dict[str, float]: ...
        def evaluate(self) -> dict[str, float]: ...

`run` calls them in this order: `setup`, `prepare_data`, `build_model`, `train` (which calls `train_step` and
`evaluate`). Weights, optimizer and random state that `state` names survive a kill.
"""

from __future__ import annotations

import random
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, Literal, TypeVar

from pydantic import Field

from burnish.core.errors import ComponentError
from burnish.experiment.config import ExperimentConfig
from burnish.experiment.loop import steps
from burnish.track.run import Run

Batch = TypeVar("Batch")
Stage = Literal["setup", "prepare_data", "build_model", "train"]


class LoopConfig(ExperimentConfig):
    """Config of an experiment that uses the loop of the base class."""

    max_steps: int = Field(100, ge=1, description="training steps in all")
    evaluate_every: int = Field(50, ge=1, description="steps between evaluations")
    save_every: int = Field(50, ge=1, description="steps between checkpoints")


class Experiment(ABC, Generic[Batch]):
    """One thing to train. The hooks are called in the order in which they stand here.

    Attributes:
        config: The validated config.
        track: Where to log.
        stage: The hook that is running, for error messages.
    """

    Config: ClassVar[type[ExperimentConfig]] = LoopConfig

    def __init__(self, config: Any, run: Run) -> None:
        self.config = config
        self.track = run
        self.stage: Stage = "setup"

    def setup(self) -> None:
        """Seed every generator; runs before anything is built."""
        seed_everything(self.config.seed)

    def prepare_data(self) -> None:
        """Load or make the data."""

    @abstractmethod
    def build_model(self) -> None:
        """Build the model and what trains it."""

    def state(self) -> Mapping[str, Any]:
        """Return the objects whose state a checkpoint holds: they have `state_dict` and `load_state_dict`."""
        return {}

    def batch(self, step: int) -> Batch:
        """Return the batch of a step. The same step must give the same batch, so that a resumed run repeats none."""
        raise self._lacks("batch")

    def train_step(self, batch: Batch) -> Mapping[str, float]:
        """Train on one batch and return what to log."""
        raise self._lacks("train_step")

    def evaluate(self) -> Mapping[str, float]:
        """Return the metrics of the model as it stands; they are logged under `eval/`."""
        return {}

    def train(self) -> None:
        """Train to the end. The loop of `train_step`; override it where a trainer brings its own."""
        config = self.config
        for step in steps(config.max_steps, every=config.save_every, run=self.track, **self.state()):
            metrics = self.train_step(self.batch(step))
            self.track.log({f"train/{name}": value for name, value in metrics.items()}, step)
            if (step + 1) % config.evaluate_every == 0 or step + 1 == config.max_steps:
                self.log_evaluation(step)

    def log_evaluation(self, step: int) -> dict[str, float]:
        """Evaluate and log the result at a step; return it."""
        metrics = {f"eval/{name}": value for name, value in self.evaluate().items()}
        if metrics:
            self.track.log(metrics, step)
        return metrics

    def run(self) -> None:
        """Do it all: the hooks, in their order."""
        hooks: tuple[tuple[Stage, Callable[[], None]], ...] = (
            ("setup", self.setup),
            ("prepare_data", self.prepare_data),
            ("build_model", self.build_model),
            ("train", self.train),
        )
        for self.stage, hook in hooks:
            hook()
            if self.stage == "build_model":
                self.track.report({"seed": self.config.seed})
                self.track.report_imports()

    def _lacks(self, hook: str) -> ComponentError:
        return ComponentError(f"{type(self).__name__} has no method {hook!r}, and no 'train' of its own")


def seed_everything(seed: int) -> None:
    """Seed python, and numpy and torch where they are loaded: import them at the top of your module."""
    random.seed(seed)
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed(seed)
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(seed)
