"""Recipes of LLaMA-Factory."""

from __future__ import annotations

from typing import Final

from burnish.config.layer import Plain
from burnish.project.migrate.hugging_face import HUGGING_FACE
from burnish.project.migrate.recipe import Recipe
from burnish.project.migrate.rules import (
    DATA,
    RUNS,
    SEVERAL,
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

_STAGES = {"pt": "pretraining", "rm": "reward modelling", "ppo": "PPO", "kto": "KTO"}
_VISION = "the built-in models read text alone"
_DATA_KEYS = (
    "dataset",
    "dataset_dir",
    "eval_dataset",
    "max_samples",
    "overwrite_cache",
    "preprocessing_num_workers",
    "val_size",
    "mix_strategy",
    "interleave_probs",
    "streaming",
    "tokenized_path",
)
_VISION_KEYS = (
    "image_max_pixels",
    "video_max_pixels",
    "video_fps",
    "video_maxlen",
    "freeze_vision_tower",
    "freeze_multi_modal_projector",
    "freeze_language_model",
)


def _has_lora(recipe: Recipe) -> bool:
    return recipe.get("finetuning_type") in (None, "lora")


def _lora(path: str) -> Rule:
    def rule(value: Plain, recipe: Recipe) -> dict[str, Plain]:
        if not _has_lora(recipe):
            raise CannotCarry("finetuning_type is not lora, so there are no adapters")
        return {path: value}

    return rule


def _finetuning_type(value: Plain, recipe: Recipe) -> dict[str, Plain]:
    if value == "full":
        raise CannotCarry("so it is in Burnish anyway")
    if value != "lora":
        raise CannotCarry("Burnish trains all weights, or LoRA adapters: model.lora")
    return {"model.lora": {}}


def _checkpointing(value: Plain, recipe: Recipe) -> dict[str, Plain]:
    return {"training.gradient_checkpointing": not value}


def _pref_loss(value: Plain, recipe: Recipe) -> dict[str, Plain]:
    if value not in ("sigmoid", "hinge", "ipo"):
        raise CannotCarry("TRL's DPO trainer has no such loss")
    return {"training.trl.loss_type": value}


_RULES: Final[dict[str, Rule]] = {
    **HUGGING_FACE,
    "stage": lambda value, recipe: {"experiment": value},
    "model_name_or_path": lambda value, recipe: {"model.name": "pretrained", "model.path": value},
    "model_revision": leave(WEIGHTS),
    "adapter_name_or_path": leave("a model with adapters is a folder like any other: model.path"),
    "quantization_bit": leave(WEIGHTS),
    "quantization_method": leave(WEIGHTS),
    "flash_attn": leave(WEIGHTS),
    "infer_dtype": leave(WEIGHTS),
    "finetuning_type": _finetuning_type,
    "lora_rank": _lora("model.lora.rank"),
    "lora_alpha": _lora("model.lora.alpha"),
    "lora_dropout": _lora("model.lora.dropout"),
    "lora_target": only("all", "adapters go on every linear layer"),
    "template": leave("chat prompts take the tokenizer's own template: data.chat"),
    "cutoff_len": to("training.trl.max_length"),
    "packing": to("training.trl.packing"),
    "pref_beta": to("beta"),
    "pref_loss": _pref_loss,
    "disable_gradient_checkpointing": _checkpointing,
    "use_reentrant_gc": leave("the trainer's arguments say how: training.trl.gradient_checkpointing_kwargs"),
    "plot_loss": leave("every metric is in the journal: burnish show"),
    "use_swanlab": leave(TRACKERS),
    "ray_num_workers": leave(SEVERAL),
    "ray_run_name": leave(SEVERAL),
    "ray_storage_path": leave(RUNS),
    **{key: leave(DATA) for key in _DATA_KEYS},
    **{key: leave(_VISION) for key in _VISION_KEYS},
}


def _experiment_of(recipe: Recipe) -> str:
    """Return the experiment that `stage` names.

    Raises:
        ConfigError: It is for another stage, or trains nothing.
    """
    stage = recipe.get("stage")
    if stage is None:
        for sign, what in (("infer_backend", "inference"), ("export_dir", "exporting a model"), ("task", "evaluation")):
            if recipe.get(sign) is not None:
                refuse(recipe, sign, what)
        stage = "sft"  # LLaMA-Factory's own default
    if stage not in ("sft", "dpo"):
        refuse(recipe, "stage", _STAGES.get(str(stage), f"stage {stage!r}"))
    if recipe.get("do_train") is not True and (recipe.get("do_predict") or recipe.get("do_eval")):
        refuse(recipe, "do_predict" if recipe.get("do_predict") else "do_eval", "evaluation without training")
    if recipe.get("pref_loss") in ("orpo", "simpo"):
        refuse(recipe, "pref_loss", str(recipe.get("pref_loss")).upper())
    return str(stage)


def _assumed(experiment: str, recipe: Recipe) -> dict[str, Plain]:
    values: dict[str, Plain] = {"training.learning_rate": 5e-5}
    if _has_lora(recipe):
        rank = recipe.get("lora_rank") or 8
        alpha: Plain = 2 * rank if isinstance(rank, int) else 16
        values |= {"model.lora.rank": rank, "model.lora.alpha": alpha}
    return values


LLAMA_FACTORY: Final = Dialect("llama-factory", _RULES, _experiment_of, _assumed, takes_trl=True)
