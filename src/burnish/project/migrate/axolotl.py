"""Recipes of axolotl."""

from __future__ import annotations

from typing import Final

from burnish.config.layer import Plain
from burnish.project.migrate.hugging_face import HUGGING_FACE
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
    switch,
    to,
)

_KERNELS = "axolotl swaps parts of the model for its own; Burnish trains the model as it is"
_LINEAR = "adapters go on every linear layer"
_EVALS = "Burnish counts steps, not epochs: set evaluation.every"
_SAVES = "Burnish counts steps, not epochs: set checkpoints.every"
_GRPO = {"beta": "beta", "num_generations": "generations", "temperature": "temperature"}
_GRPO_TRL = ("use_vllm", "vllm_mode", "num_iterations", "scale_rewards", "loss_type", "epsilon", "epsilon_high")


def _lora(path: str) -> Rule:
    def rule(value: Plain, recipe: Recipe) -> dict[str, Plain]:
        if recipe.get("adapter") not in ("lora", "qlora"):
            raise CannotCarry("adapter is not lora, so there are no adapters")
        return {path: value}

    return rule


def _adapter(value: Plain, recipe: Recipe) -> dict[str, Plain]:
    if value not in ("lora", "qlora"):
        raise CannotCarry("Burnish knows LoRA alone: model.lora")
    return {"model.lora": {}}


def _rl(value: Plain, recipe: Recipe) -> dict[str, Plain]:
    return {"training.trl.loss_type": "ipo"} if value == "ipo" else {"experiment": str(value)}


_RULES: Final[dict[str, Rule]] = {
    **HUGGING_FACE,
    "base_model": lambda value, recipe: {"model.name": "pretrained", "model.path": value},
    "base_model_config": leave(WEIGHTS),
    "revision_of_model": leave(WEIGHTS),
    "model_type": leave(WEIGHTS),
    "tokenizer_type": leave(TOKENIZER),
    "tokenizer_config": leave(TOKENIZER),
    "processor_type": leave(TOKENIZER),
    "special_tokens": leave(TOKENIZER),
    "tokens": leave(TOKENIZER),
    "eot_tokens": leave(TOKENIZER),
    "chat_template": leave("chat prompts take the tokenizer's own template: data.chat"),
    "chat_template_jinja": leave("chat prompts take the tokenizer's own template: data.chat"),
    "rl": _rl,
    "micro_batch_size": to("training.batch_size"),
    "batch_size": leave("Burnish counts the sequences of one device and step: training.batch_size"),
    "eval_batch_size": leave("evaluators have a batch size of their own: evaluation.evaluators"),
    "num_epochs": leave(STEPS),
    "sequence_len": to("training.trl.max_length"),
    "sample_packing": switch("training.trl.packing", "TRL knows true and false alone here"),
    "optimizer": HUGGING_FACE["optim"],
    "lr_scheduler": HUGGING_FACE["lr_scheduler_type"],
    "adapter": _adapter,
    "lora_r": _lora("model.lora.rank"),
    "lora_alpha": _lora("model.lora.alpha"),
    "lora_dropout": _lora("model.lora.dropout"),
    "lora_target_linear": only(True, _LINEAR),
    "lora_target_modules": only("all-linear", _LINEAR),
    "lora_modules_to_save": leave(_LINEAR),
    "lora_model_dir": leave("a model with adapters is a folder like any other: model.path"),
    "datasets": leave(DATA),
    "test_datasets": leave(DATA),
    "dataset_prepared_path": leave(DATA),
    "dataset_processes": to("training.trl.dataset_num_proc"),
    "shuffle_merged_datasets": leave(DATA),
    "skip_prepare_dataset": leave(DATA),
    "streaming": leave(DATA),
    "streaming_multipack_buffer_size": leave(DATA),
    "min_sample_len": leave(DATA),
    "val_set_size": leave("a dataset component says what is held out, such as data.heldout_size"),
    "train_on_inputs": only(False, "the loss counts the answer only"),
    "pad_to_sequence_len": only(False, "batches are padded to their longest sequence"),
    "group_by_length": only(False, "items come in the order that the seed says"),
    "evals_per_epoch": leave(_EVALS),
    "saves_per_epoch": leave(_SAVES),
    "activation_offloading": switch("training.trl.activation_offloading", "TRL knows true and false alone here"),
    "dpo_beta": to("beta"),
    "rl_beta": to("beta"),
    **{f"trl.{theirs}": to(ours) for theirs, ours in _GRPO.items()},
    "trl.max_completion_length": to("max_completion_length"),
    "trl.reward_funcs": leave("write a reward component and name it under rewards"),
    "trl.reward_weights": leave("a reward has its weight beside its name: rewards.N.weight"),
    **{f"trl.{name}": to(f"training.trl.{name}") for name in _GRPO_TRL},
    **{f"wandb_{key}": leave(TRACKERS) for key in ("project", "entity", "watch", "name", "log_model", "run_id")},
    **{f"mlflow_{key}": leave(TRACKERS) for key in ("tracking_uri", "experiment_name", "run_name")},
    **{f"trackio_{key}": leave(TRACKERS) for key in ("project_name", "run_name", "space_id")},
    "plugins": leave("axolotl's own; a plugin of Burnish is an installed package"),
    **{f"liger_{key}": leave(_KERNELS) for key in ("rope", "rms_norm", "rms_norm_gated", "glu_activation")},
    **{f"liger_{key}": leave(_KERNELS) for key in ("layer_norm", "fused_linear_cross_entropy")},
    "use_kernels": only(False, _KERNELS),
    "context_parallel_size": leave(SEVERAL),
    "hub_model_id": HUGGING_FACE["hub_model_id"],
    "output_dir": leave(RUNS),
}


def _experiment_of(recipe: Recipe) -> str:
    """Return the experiment that `rl` names, SFT where it names none.

    Raises:
        ConfigError: It is for KTO, ORPO, reward modelling or pretraining.
    """
    for key, what in (
        ("reward_model", "reward modelling"),
        ("process_reward_model", "reward modelling"),
        ("pretraining_dataset", "pretraining"),
    ):
        if recipe.get(key):
            refuse(recipe, key, what)
    rl = recipe.get("rl")
    if rl not in (None, False, "dpo", "ipo", "grpo"):
        refuse(recipe, "rl", str(rl).upper())
    return {"dpo": "dpo", "ipo": "dpo", "grpo": "grpo"}.get(str(rl), "sft")


def _assumed(experiment: str, recipe: Recipe) -> dict[str, Plain]:
    return {"max_completion_length": 256} if experiment == "grpo" else {}


AXOLOTL: Final = Dialect("axolotl", _RULES, _experiment_of, _assumed, takes_trl=True)
