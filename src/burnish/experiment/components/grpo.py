"""Group relative policy optimization through TRL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from trl import GRPOConfig as GrpoArguments
from trl import GRPOTrainer

from burnish.experiment.components._trl import TrlExperiment, as_dataset
from burnish.experiment.components.configs import GrpoConfig
from burnish.experiment.config import ExperimentConfig
from burnish.experiment.registry import load

Score = Callable[[Sequence[str], Sequence[str]], list[float]]


class GrpoExperiment(TrlExperiment):
    """Trains on the model's own completions, scored by reward components."""

    Config: ClassVar[type[ExperimentConfig]] = GrpoConfig

    def make_trainer(self, callbacks: list[Any]) -> Any:
        """Return a `GRPOTrainer`."""
        config = self.config
        examples = self.data.train
        data = as_dataset(
            {
                "prompt": [self.prompt_text(example) for example in examples],
                "answer": [example.answer for example in examples],
            }
        )
        arguments = GrpoArguments(
            num_generations=config.generations,
            max_completion_length=config.max_completion_length,
            temperature=config.temperature,
            beta=config.beta,
            reward_weights=[wanted.weight for wanted in config.rewards],
            **self.arguments(),
        )
        return GRPOTrainer(
            self.model,
            reward_funcs=[reward_function(wanted.name, load("rewards", wanted.name)) for wanted in config.rewards],
            args=arguments,
            train_dataset=data,
            processing_class=self.tokenizer,
            callbacks=callbacks,
        )


def reward_function(name: str, score: Score) -> Callable[..., list[float]]:
    """Return a reward component in the form in which TRL calls it; its metric carries the component's name."""

    def reward(completions: Sequence[str], answer: Sequence[str], **rest: object) -> list[float]:
        return score(completions, answer)

    reward.__name__ = name
    return reward
