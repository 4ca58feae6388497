"""Recipes of torchtune, in which `_component_` names the Python object that a section configures."""

from __future__ import annotations

from typing import Final

from burnish.config.layer import Plain
from burnish.project.migrate.recipe import Recipe
from burnish.project.migrate.rules import (
    DATA,
    RUNS,
    SEVERAL,
    STEPS,
    TOKENIZER,
    TRACKERS,
    WEIGHTS,
    CannotCarry,
    Dialect,
    Rule,
    leave,
    only,
    refuse,
    to,
)

_OPTIMIZERS = {
    "torch.optim.AdamW": {"training.optimizer.name": "adamw"},
    "torch.optim.SGD": {"training.optimizer.name": "sgd"},
    "bitsandbytes.optim.PagedAdamW": {"training.trl.optim": "paged_adamw_32bit"},
    "bitsandbytes.optim.PagedAdamW8bit": {"training.trl.optim": "paged_adamw_8bit"},
    "bitsandbytes.optim.AdamW8bit": {"training.trl.optim": "adamw_bnb_8bit"},
}
_SCHEDULES = {"get_cosine_schedule_with_warmup": "cosine", "get_linear_schedule_with_warmup": "linear"}
_LINEAR = "adapters go on every linear layer"
_NOT_TRAINING = {
    "tasks": "evaluation",
    "max_new_tokens": "generation",
    "prompt": "generation",
    "teacher_model": "distillation",
    "policy_model": "PPO",
    "reward_and_value_model": "PPO",
}


def _component(recipe: Recipe, section: str) -> str:
    return str(recipe.get(f"{section}._component_") or "")


def _has_lora(recipe: Recipe) -> bool:
    return "lora_" in _component(recipe, "model").rpartition(".")[2]


def _model(value: Plain, recipe: Recipe) -> dict[str, Plain]:
    if not _has_lora(recipe):
        raise CannotCarry("the model is what lies in model.path, not what code builds")
    return {"model.lora": {}}


def _lora(path: str) -> Rule:
    def rule(value: Plain, recipe: Recipe) -> dict[str, Plain]:
        if not _has_lora(recipe):
            raise CannotCarry("the model has no adapters")
        return {path: value}

    return rule


def _optimizer(value: Plain, recipe: Recipe) -> dict[str, Plain]:
    if value not in _OPTIMIZERS:
        raise CannotCarry("Burnish has no such optimizer; TRL's are named by training.trl.optim")
    return dict(_OPTIMIZERS[str(value)])


def _betas(value: Plain, recipe: Recipe) -> dict[str, Plain]:
    if not isinstance(value, list) or len(value) != 2:
        raise CannotCarry("AdamW has two betas")
    return {"training.optimizer.beta1": value[0], "training.optimizer.beta2": value[1]}


def _schedule(value: Plain, recipe: Recipe) -> dict[str, Plain]:
    name = str(value).rpartition(".")[2]
    if name not in _SCHEDULES:
        raise CannotCarry("Burnish has no such schedule: training.lr_scheduler")
    return {"training.lr_scheduler": _SCHEDULES[name]}


def _dtype(value: Plain, recipe: Recipe) -> dict[str, Plain]:
    if value not in ("bf16", "fp32"):
        raise CannotCarry("Burnish trains in bfloat16 or float32: training.bf16")
    return {"training.bf16": value == "bf16"}


def _steps_per_epoch(value: Plain, recipe: Recipe) -> dict[str, Plain]:
    epochs = recipe.get("epochs")
    if not isinstance(epochs, int) or not isinstance(value, int):
        raise CannotCarry(STEPS)
    return {"training.max_steps": epochs * value}


def _loss(value: Plain, recipe: Recipe) -> dict[str, Plain]:
    if _experiment_of(recipe) == "dpo":
        return {"experiment": "dpo"}
    raise CannotCarry("the loss is cross entropy anyway")


_RULES: Final[dict[str, Rule]] = {
    "output_dir": leave(RUNS),
    "seed": to("seed"),
    "shuffle": only(True, "items come in the order that the seed says"),
    "model._component_": _model,
    "model.lora_rank": _lora("model.lora.rank"),
    "model.lora_alpha": _lora("model.lora.alpha"),
    "model.lora_dropout": _lora("model.lora.dropout"),
    "model.lora_attn_modules": leave(_LINEAR),
    "model.apply_lora_to_mlp": only(True, _LINEAR),
    "model.apply_lora_to_output": only(False, _LINEAR),
    "model.*": leave("the model is what lies in model.path, not what code builds"),
    "tokenizer.max_seq_len": to("training.trl.max_length"),
    "tokenizer.*": leave(TOKENIZER),
    "checkpointer.checkpoint_dir": lambda value, recipe: {"model.name": "pretrained", "model.path": value},
    "checkpointer.*": leave(WEIGHTS),
    "resume_from_checkpoint": only(False, "a run that was interrupted goes on by itself: burnish run --resume"),
    "save_adapter_weights_only": leave("a checkpoint of a model with adapters holds the adapters"),
    "dataset.packed": to("training.trl.packing"),
    "dataset.*": leave(DATA),
    "dataset_val": leave(DATA),
    "run_val_every_n_steps": to("evaluation.every"),
    "batch_size": to("training.batch_size"),
    "batch_size_val": leave("evaluators have a batch size of their own: evaluation.evaluators"),
    "epochs": leave(STEPS),
    "max_steps_per_epoch": _steps_per_epoch,
    "gradient_accumulation_steps": to("training.gradient_accumulation_steps"),
    "clip_grad_norm": to("training.max_grad_norm"),
    "optimizer._component_": _optimizer,
    "optimizer.lr": to("training.learning_rate"),
    "optimizer.weight_decay": to("training.optimizer.weight_decay"),
    "optimizer.betas": _betas,
    "optimizer.eps": to("training.optimizer.eps"),
    "optimizer.momentum": to("training.optimizer.momentum"),
    "optimizer.nesterov": to("training.optimizer.nesterov"),
    "optimizer.fused": leave("how an optimizer is computed is torch's choice"),
    "optimizer.*": leave("training.optimizer has no such field"),
    "optimizer_in_bwd": only(False, "the optimizer steps after the whole backward pass"),
    "lr_scheduler._component_": _schedule,
    "lr_scheduler.num_warmup_steps": to("training.warmup_steps"),
    "lr_scheduler.*": leave("training.lr_scheduler is a name alone"),
    "loss._component_": _loss,
    "loss.beta": to("beta"),
    "loss.label_smoothing": to("training.trl.label_smoothing"),
    "loss.*": leave("Burnish's loss has no such field"),
    "compile": to("training.trl.torch_compile"),
    "device": to("training.device"),
    "dtype": _dtype,
    "enable_activation_checkpointing": to("training.gradient_checkpointing"),
    "enable_activation_offloading": to("training.trl.activation_offloading"),
    "quantizer": leave("Burnish trains unquantized weights"),
    "metric_logger": leave(TRACKERS),
    "log_every_n_steps": to("training.log_every"),
    "log_peak_memory_stats": leave("Burnish says itself what it records of a machine"),
    "log_level": leave("what a run prints is kept: burnish logs"),
    "profiler": leave("Burnish starts no profiler"),
    "tensor_parallel_plan": leave(SEVERAL),
    "tensor_parallel_dim": leave(SEVERAL),
}


def _experiment_of(recipe: Recipe) -> str:
    """Return DPO for its loss, else SFT.

    Raises:
        ConfigError: It is for PPO or distillation, or trains nothing.
    """
    for key, what in _NOT_TRAINING.items():
        if key in recipe.tree.items:
            refuse(recipe, key, what)
    if "optimizer" not in recipe.tree.items:
        refuse(recipe, "", "recipes without an optimizer")
    loss = _component(recipe, "loss").rpartition(".")[2]
    if loss == "DPOLoss":
        return "dpo"
    if "CrossEntropy" not in loss and loss:
        refuse(recipe, "loss._component_", f"the loss {loss}")
    return "sft"


def _assumed(experiment: str, recipe: Recipe) -> dict[str, Plain]:
    values: dict[str, Plain] = {"training.max_grad_norm": 0.0}
    if not _component(recipe, "lr_scheduler"):
        values["training.lr_scheduler"] = "constant"
    if _component(recipe, "optimizer") == "torch.optim.AdamW":
        values["training.optimizer.weight_decay"] = 0.01
    return values


TORCHTUNE: Final = Dialect("torchtune", _RULES, _experiment_of, _assumed, takes_trl=False, refers=True)
