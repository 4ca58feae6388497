"""Supervised fine-tuning through TRL."""

from __future__ import annotations

from typing import Any, ClassVar

from trl import SFTConfig as SftArguments
from trl import SFTTrainer

from burnish.experiment.components._trl import TrlExperiment, as_dataset
from burnish.experiment.components.configs import SftConfig
from burnish.experiment.config import ExperimentConfig


class SftExperiment(TrlExperiment):
    """Trains on prompts and answers; the loss counts the answer only."""

    Config: ClassVar[type[ExperimentConfig]] = SftConfig

    def make_trainer(self, callbacks: list[Any]) -> Any:
        """Return an `SFTTrainer`."""
        examples = self.data.train
        data = as_dataset(
            {
                "prompt": [self.prompt_text(example) for example in examples],
                "completion": [example.answer for example in examples],
            }
        )
        arguments = SftArguments(**{"completion_only_loss": True, **self.arguments()})
        return SFTTrainer(
            self.model,
            args=arguments,
            train_dataset=data,
            processing_class=self.tokenizer,
            callbacks=callbacks,
        )
