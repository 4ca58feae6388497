"""Flat recipes of TRL's scripts, alignment-handbook and open-instruct."""

from __future__ import annotations

import re
from typing import Final

from burnish.config.layer import Plain
from burnish.project.migrate.hugging_face import HUGGING_FACE
from burnish.project.migrate.recipe import Recipe
from burnish.project.migrate.rules import (
    DATA,
    HUB,
    RUNS,
    TOKENIZER,
    TRACKERS,
    WEIGHTS,
    CannotCarry,
    Dialect,
    Rule,
    leave,
    only,
    refuse,
    steps_or_epoch,
    to,
)

_NO_EXPERIMENT = {
    "desirable_weight": "KTO",
    "undesirable_weight": "KTO",
    "num_ppo_epochs": "PPO",
    "kl_coef": "PPO",
    "cliprange_value": "PPO",
    "center_rewards_coefficient": "reward modelling",
    "cpo_alpha": "CPO",
    "simpo_gamma": "CPO",
    "rloo_k": "RLOO",
}
_SIGNS = {
    "grpo": ("num_generations", "reward_funcs", "reward_weights", "max_completion_length", "num_iterations"),
    "dpo": ("beta", "max_prompt_length", "precompute_ref_log_probs", "rpo_alpha", "label_smoothing"),
}
_WORDS = {
    **{word: word for word in ("sft", "dpo", "grpo")},
    **{word: word.upper() for word in ("kto", "ppo", "orpo", "cpo", "rloo", "gkd")},
    **dict.fromkeys(("rm", "reward"), "reward modelling"),
}
_NO_REWARDS = "write a reward component and name it under rewards"
_TEMPLATE = "chat prompts take the tokenizer's own template: data.chat"
_LINEAR = "adapters go on every linear layer"


def _lora(path: str) -> Rule:
    """Return the rule of a key that says something of the adapters, which are there if `use_peft` is true."""

    def rule(value: Plain, recipe: Recipe) -> dict[str, Plain]:
        if recipe.get("use_peft") is not True:
            raise CannotCarry("use_peft is not true, so there are no adapters")
        return {path: value}

    return rule


def _use_peft(value: Plain, recipe: Recipe) -> dict[str, Plain]:
    if value is not True:
        raise CannotCarry("there are no adapters unless model.lora says so")
    return {"model.lora": {}}


_MODEL: Final[dict[str, Rule]] = {
    "model_name_or_path": lambda value, recipe: {"model.name": "pretrained", "model.path": value},
    "model_revision": leave(WEIGHTS),
    "torch_dtype": leave(WEIGHTS),
    "dtype": leave(WEIGHTS),
    "tokenizer_name": leave(TOKENIZER),
    "tokenizer_name_or_path": leave(TOKENIZER),
    "use_slow_tokenizer": leave(TOKENIZER),
    "use_fast_tokenizer": leave(TOKENIZER),
    "chat_template": leave(_TEMPLATE),
    "chat_template_path": leave(_TEMPLATE),
}

_RULES: Final[dict[str, Rule]] = {
    **HUGGING_FACE,
    **_MODEL,
    "max_seq_length": to("training.trl.max_length"),
    "use_peft": _use_peft,
    "lora_r": _lora("model.lora.rank"),
    "lora_alpha": _lora("model.lora.alpha"),
    "lora_dropout": _lora("model.lora.dropout"),
    "lora_target_modules": only("all-linear", _LINEAR),
    "dataset_mixer": leave(DATA),
    "dataset_mixture": leave(DATA),
    "dataset_mix_dir": leave(DATA),
    "dataset_name": leave(DATA),
    "dataset_config": leave(DATA),
    "dataset_splits": leave(DATA),
    "dataset_train_split": leave(DATA),
    "dataset_test_split": leave(DATA),
    "datasets": leave(DATA),
    "preprocessing_num_workers": leave(DATA),
    "reward_funcs": leave(_NO_REWARDS),
    "reward_weights": leave("a reward has its weight beside its name: rewards.N.weight"),
    "reward_model_path": leave(_NO_REWARDS),
    "beta": to("beta"),
    "num_generations": to("generations"),
    "max_completion_length": to("max_completion_length"),
    "temperature": to("temperature"),
    "checkpointing_steps": steps_or_epoch("checkpoints.every"),
    "keep_last_n_checkpoints": to("checkpoints.keep_last"),
    "with_tracking": leave(TRACKERS),
    "wandb_project": leave(TRACKERS),
    "wandb_entity": leave(TRACKERS),
    "wandb_run_group": leave(TRACKERS),
    "hf_metadata_dataset": leave(HUB),
    "hf_entity": leave(HUB),
    "hf_repo_id": leave(HUB),
    "push_to_hub_revision": leave(HUB),
    "log_level": leave("what a run prints is kept: burnish logs"),
    "output_path": leave(RUNS),
}


def _experiment_of(recipe: Recipe) -> str:
    """Return the experiment that keys tell, else the name of the file or of a folder around it, else SFT.

    KTO, ORPO and CPO have a `beta` like DPO, so such a name has the word before keys that only speak for DPO.

    Raises:
        ConfigError: It is for KTO, PPO, reward modelling or the like.
    """
    for key, what in _NO_EXPERIMENT.items():
        if key in recipe.tree.items:
            refuse(recipe, key, what)
    if _has(recipe, "grpo"):
        return "grpo"
    word = _word(recipe)
    if word not in ("", "sft", "dpo", "grpo"):
        refuse(recipe, "", word)
    if _has(recipe, "dpo"):
        return "dpo"
    return word or "sft"


def _has(recipe: Recipe, experiment: str) -> bool:
    return any(recipe.get(sign) is not None for sign in _SIGNS[experiment])


def _word(recipe: Recipe) -> str:
    """Return what the nearest name says that holds such a word: the file's, then three folders'."""
    for part in (recipe.path.stem, *reversed(recipe.path.parts[-4:-1])):
        for word in re.split(r"[^a-z]+", part.lower()):
            if word in _WORDS:
                return _WORDS[word]
    return ""


def _assumed(experiment: str, recipe: Recipe) -> dict[str, Plain]:
    rates: dict[str, Plain] = {"dpo": 1e-6, "grpo": 1e-6}
    values: dict[str, Plain] = {"training.learning_rate": rates[experiment]} if experiment in rates else {}
    if experiment == "grpo":
        values["max_completion_length"] = 256
    if recipe.get("use_peft") is True:
        values |= {"model.lora.rank": 16, "model.lora.alpha": 32, "model.lora.dropout": 0.05}
    return values


TRL: Final = Dialect("trl", _RULES, _experiment_of, _assumed, takes_trl=True)
