"""Rules for the arguments of transformers' trainer, which TRL, axolotl and LLaMA-Factory share."""

from __future__ import annotations

from typing import Final, get_args

from burnish.config.layer import Plain
from burnish.experiment.components.configs import TrainingConfig
from burnish.project.migrate.recipe import Recipe
from burnish.project.migrate.rules import (
    HUB,
    RUNS,
    SEVERAL,
    STEPS,
    TRACKERS,
    WEIGHTS,
    CannotCarry,
    Rule,
    fp16,
    leave,
    max_steps,
    only,
    optimizer,
    steps_or_epoch,
    strategy,
    switch,
    to,
    warmup_ratio,
    warmup_steps,
)

_EVALUATORS = "evaluators have a batch size of their own: evaluation.evaluators"
_BEST = "the best checkpoint is always kept: checkpoints.metric and checkpoints.direction"
_RESUME = "a run that was interrupted goes on by itself: burnish run --resume"
_SCHEDULES = get_args(TrainingConfig.model_fields["lr_scheduler"].annotation)


def _schedule_arguments(value: Plain, recipe: Recipe) -> dict[str, Plain]:
    named = recipe.get("lr_scheduler_type") or recipe.get("lr_scheduler")
    if named not in (None, *_SCHEDULES):
        raise CannotCarry(f"they are arguments of the schedule {named!r}, which Burnish does not have")
    return {"training.trl.lr_scheduler_kwargs": value}


def _use_cpu(value: Plain, recipe: Recipe) -> dict[str, Plain]:
    if value is not True:
        raise CannotCarry("so it is in Burnish anyway")
    return {"training.device": "cpu"}


HUGGING_FACE: Final[dict[str, Rule]] = {
    "seed": to("seed"),
    "run_name": to("name"),
    "learning_rate": to("training.learning_rate"),
    "max_steps": max_steps,
    "num_train_epochs": leave(STEPS),
    "per_device_train_batch_size": to("training.batch_size"),
    "gradient_accumulation_steps": to("training.gradient_accumulation_steps"),
    "lr_scheduler_type": to("training.lr_scheduler"),
    "lr_scheduler_kwargs": _schedule_arguments,
    "warmup_steps": warmup_steps,
    "warmup_ratio": warmup_ratio,
    "optim": optimizer,
    "weight_decay": to("training.optimizer.weight_decay"),
    "adam_beta1": to("training.optimizer.beta1"),
    "adam_beta2": to("training.optimizer.beta2"),
    "adam_epsilon": to("training.optimizer.eps"),
    "max_grad_norm": to("training.max_grad_norm"),
    "logging_steps": to("training.log_every"),
    "logging_strategy": strategy("training.log_every"),
    "bf16": to("training.bf16"),
    "fp16": fp16,
    "gradient_checkpointing": switch("training.gradient_checkpointing", "Burnish knows true and false alone here"),
    "use_cpu": _use_cpu,
    "full_determinism": to("training.deterministic"),
    "save_steps": steps_or_epoch("checkpoints.every"),
    "save_total_limit": to("checkpoints.keep_last"),
    "save_strategy": strategy("checkpoints.every"),
    "save_only_model": only(False, "a checkpoint holds all that a resume needs"),
    "save_safetensors": only(True, "checkpoints are safetensors"),
    "load_best_model_at_end": leave(_BEST),
    "metric_for_best_model": leave(_BEST),
    "greater_is_better": leave(_BEST),
    "eval_steps": steps_or_epoch("evaluation.every"),
    "eval_strategy": strategy("evaluation.every"),
    "evaluation_strategy": strategy("evaluation.every"),
    "eval_on_start": only(True, "every run is evaluated before it trains"),
    "per_device_eval_batch_size": leave(_EVALUATORS),
    "do_train": only(True, "a Burnish experiment trains"),
    "do_eval": only(True, "every run is evaluated: evaluation.every"),
    "do_predict": only(False, "a Burnish experiment trains"),
    "resume_from_checkpoint": leave(_RESUME),
    "output_dir": leave(RUNS),
    "overwrite_output_dir": leave(RUNS),
    "logging_dir": leave(RUNS),
    "report_to": leave(TRACKERS),
    "push_to_hub": only(False, HUB),
    "hub_model_id": leave(HUB),
    "hub_model_revision": leave(HUB),
    "hub_revision": leave(HUB),
    "hub_strategy": leave(HUB),
    "hub_private_repo": leave(HUB),
    "hub_always_push": only(False, HUB),
    "hub_token": leave(HUB),
    "disable_tqdm": leave("Burnish shows progress itself"),
    "local_rank": leave(SEVERAL),
    "model_init_kwargs": leave(WEIGHTS),
    "attn_implementation": leave(WEIGHTS),
    "trust_remote_code": only(False, "a model's own code is not executed"),
    "load_in_8bit": only(False, WEIGHTS),
    "load_in_4bit": only(False, WEIGHTS),
}
