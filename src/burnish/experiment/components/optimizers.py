"""Optimizers, as TRL's trainers take them: arguments, and a class where the trainer has no argument for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from burnish.experiment.components.configs import AdamWConfig, SgdConfig


@dataclass(frozen=True, slots=True)
class TrainerOptimizer:
    """What a trainer is told.

    Attributes:
        arguments: Arguments of its config class.
        made_of: The optimizer's class and its own arguments, learning rate apart; None leaves it to the trainer.
    """

    arguments: dict[str, Any] = field(default_factory=dict)
    made_of: tuple[type[torch.optim.Optimizer], dict[str, Any]] | None = None


def adamw(config: AdamWConfig) -> TrainerOptimizer:
    """Return AdamW, which every trainer knows."""
    return TrainerOptimizer(
        {
            "adam_beta1": config.beta1,
            "adam_beta2": config.beta2,
            "adam_epsilon": config.eps,
            "weight_decay": config.weight_decay,
        }
    )


def sgd(config: SgdConfig) -> TrainerOptimizer:
    """Return SGD; the trainer's own choice of that name ignores momentum."""
    own = {"momentum": config.momentum, "nesterov": config.nesterov}
    return TrainerOptimizer({"weight_decay": config.weight_decay}, (torch.optim.SGD, own))
