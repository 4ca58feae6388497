"""Direct preference optimization through TRL."""

from __future__ import annotations

import copy
from random import Random
from typing import Any, ClassVar

from trl import DPOConfig as DpoArguments
from trl import DPOTrainer

from burnish.experiment.components._trl import TrlExperiment, as_dataset
from burnish.experiment.components.configs import DpoConfig
from burnish.experiment.components.data import near_miss
from burnish.experiment.config import ExperimentConfig


class DpoExperiment(TrlExperiment):
    """Trains to prefer right answers to near misses; the reference is the model that training started from."""

    Config: ClassVar[type[ExperimentConfig]] = DpoConfig

    def make_trainer(self, callbacks: list[Any]) -> Any:
        """Return a `DPOTrainer`."""
        examples = self.data.train
        random = Random(self.config.seed)
        data = as_dataset(
            {
                "prompt": [self.prompt_text(example) for example in examples],
                "chosen": [example.answer for example in examples],
                "rejected": [near_miss(example.answer, random) for example in examples],
            }
        )
        # Copied before a checkpoint is loaded: after a resume, too, the reference is the starting model. With
        # adapters, TRL takes the model without them.
        is_adapted = hasattr(self.model, "peft_config")
        return DPOTrainer(
            self.model,
            ref_model=None if is_adapted else copy.deepcopy(self.model),
            args=DpoArguments(beta=self.config.beta, **self.arguments()),
            train_dataset=data,
            processing_class=self.tokenizer,
            callbacks=callbacks,
        )
