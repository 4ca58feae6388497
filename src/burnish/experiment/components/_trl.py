"""What the TRL experiments share: data and model components, arguments, callbacks, resume, evaluation."""

from __future__ import annotations

import json
import logging
import warnings
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import datasets
import torch
import transformers

from burnish.checkpoint import CheckpointStore, Retention
from burnish.experiment.base import Experiment
from burnish.experiment.components.configs import TrlExperimentConfig
from burnish.experiment.components.data import Example, TaskData
from burnish.experiment.config import ExperimentConfig
from burnish.experiment.hf_callback import JournalCallback
from burnish.experiment.registry import load
from burnish.experiment.torch_state import preserve_random


class TrlExperiment(Experiment[Any]):
    """An experiment whose loop is a TRL trainer's. Subclasses make the trainer."""

    Config: ClassVar[type[ExperimentConfig]] = TrlExperimentConfig
    config: Any
    data: TaskData
    model: Any
    tokenizer: Any

    def setup(self) -> None:
        """Seed everything before the model is built, and make torch deterministic when the config says so."""
        training = self.config.training
        if training.threads:
            torch.set_num_threads(training.threads)
        if training.device == "cuda" and training.local_rank:
            torch.cuda.set_device(training.local_rank)
        if training.deterministic:
            transformers.trainer_utils.enable_full_determinism(self.config.seed)
            # Filling fresh memory with NaN, to expose reads of it, took 40 % of the time; the weights are the same.
            torch.utils.deterministic.fill_uninitialized_memory = False
        else:
            transformers.set_seed(self.config.seed)
        quiet()

    def prepare_data(self) -> None:
        """Make the data and report its fingerprint and contamination for the card."""
        config = self.config.data
        self.data = load("datasets", config.name)(config)

    def build_model(self) -> None:
        """Build or load the model."""
        config = self.config.model
        self.model, self.tokenizer = load("models", config.name)(config)
        # A `generate` of ours always says how long; the model's own limit would only warn about the two.
        self.model.generation_config.max_length = None
        self.evaluators = [load("evaluators", wanted.name)(wanted) for wanted in self.config.evaluation.evaluators]
        self.track.report(
            {
                "device": self.config.training.device,
                "threads": torch.get_num_threads(),
                "deterministic": self.config.training.deterministic,
                "parameters": sum(p.numel() for p in self.model.parameters()),
                "trainable_parameters": sum(p.numel() for p in self.model.parameters() if p.requires_grad),
                "data": self.data.facts,
            }
        )

    def evaluate(self) -> dict[str, float]:
        """Return the held-out metrics of the model as it stands."""
        was_training = self.model.training
        self.model.eval()
        heldout = self.data.heldout
        prompts = [self.prompt_text(example) for example in heldout]
        metrics: dict[str, float] = {}
        with preserve_random(), torch.no_grad():
            for evaluator in self.evaluators:
                metrics |= evaluator(self.model, self.tokenizer, prompts, heldout)
        self.model.train(was_training)
        return metrics

    def train(self) -> None:
        """Run the trainer, from the newest good checkpoint where there is one."""
        store = CheckpointStore(self.track.paths.checkpoints)
        store.discard_incomplete()
        newest = store.newest_good()
        checkpoints = self.config.checkpoints
        callback = JournalCallback(
            self.track,
            retention=Retention(checkpoints.keep_last, checkpoints.metric, checkpoints.direction),
            evaluate=lambda: {f"eval/{name}": value for name, value in self.evaluate().items()},
            evaluate_every=self.config.evaluation.every,
        )
        trainer = self.make_trainer([callback])
        trainer.remove_callback(transformers.PrinterCallback)
        if (made_of := self.optimizer().made_of) is not None:
            kind, own = made_of
            trainer.optimizer_cls_and_kwargs = (kind, {"lr": self.config.training.learning_rate, **own})
        self.track.log_text("trainer_arguments", json.dumps(trainer.args.to_dict(), default=str, sort_keys=True))
        trainer.train(resume_from_checkpoint=str(newest[0]) if newest else None)

    @abstractmethod
    def make_trainer(self, callbacks: list[Any]) -> Any:
        """Return the TRL trainer, ready to train."""

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that all TRL config classes take."""
        training, checkpoints = self.config.training, self.config.checkpoints
        return {
            "output_dir": str(self.track.paths.checkpoints),
            "seed": self.config.seed,
            "max_steps": training.max_steps,
            "learning_rate": training.learning_rate,
            "per_device_train_batch_size": training.batch_size,
            "gradient_accumulation_steps": training.gradient_accumulation_steps,
            "lr_scheduler_type": training.lr_scheduler,
            "warmup_steps": training.warmup_steps,
            "max_grad_norm": training.max_grad_norm,
            "logging_steps": training.log_every,
            "logging_nan_inf_filter": training.logging_nan_inf_filter,
            "report_to": training.report_to,
            "save_strategy": "steps",
            "save_steps": checkpoints.every,
            "eval_strategy": "no",
            "use_cpu": training.device == "cpu",
            "bf16": bool(training.bf16),
            # the name that transformers 5.23 gives to gradient_checkpointing
            "activation_checkpointing": training.gradient_checkpointing,
            "full_determinism": training.deterministic,
            "dataloader_pin_memory": training.device != "cpu",
            "disable_tqdm": True,
            **self.optimizer().arguments,
            **training.trl,
        }

    def optimizer(self) -> Any:
        """Return what the trainer is told of the optimizer."""
        wanted = self.config.training.optimizer
        return load("optimizers", wanted.name)(wanted)

    def prompt_text(self, example: Example) -> str:
        """Return the text that the model sees before its answer."""
        if not self.data.chat:
            return example.prompt
        text = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": example.prompt}], tokenize=False, add_generation_prompt=True
        )
        assert isinstance(text, str)
        return text


def as_dataset(columns: dict[str, Sequence[str]]) -> Any:
    """Return columns as an in-memory dataset, the form in which TRL takes its data."""
    return datasets.Dataset.from_dict({name: list(values) for name, values in columns.items()})


def quiet() -> None:
    """Keep progress bars out of `console.log`; Burnish shows progress itself."""
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    # TRL 1.16 reads a property that transformers 5.23 renamed; nothing that a user could change.
    warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
    logging.getLogger("transformers.trainer").addFilter(_not_about_tied_weights)


def _not_about_tied_weights(record: logging.LogRecord) -> bool:
    """Pass over the report of each resume that tied output weights are not in the file: they are the input's."""
    return "['lm_head.weight']" not in record.getMessage()
