"""The built-in components: category, name, where it is, where its config is."""

from __future__ import annotations

from typing import Final

_HERE: Final = "burnish.experiment.components"


def _builtin(category: str, name: str, target: str, config: str) -> tuple[str, str, str, str]:
    return category, name, f"{_HERE}.{target}", f"{_HERE}.configs:{config}"


BUILTINS: Final = (
    _builtin("experiments", "sft", "sft:SftExperiment", "SftConfig"),
    _builtin("experiments", "dpo", "dpo:DpoExperiment", "DpoConfig"),
    _builtin("experiments", "grpo", "grpo:GrpoExperiment", "GrpoConfig"),
    _builtin("models", "tiny-llama", "models:build_tiny_llama", "TinyLlamaConfig"),
    _builtin("models", "pretrained", "models:load_pretrained", "PretrainedConfig"),
    _builtin("models", "smollm2-135m", "smollm2:load_smollm2", "SmolLM2Config"),
    _builtin("optimizers", "adamw", "optimizers:adamw", "AdamWConfig"),
    _builtin("optimizers", "sgd", "optimizers:sgd", "SgdConfig"),
    _builtin("datasets", "reasoning-gym", "data:load_reasoning_gym", "ReasoningGymConfig"),
    _builtin("rewards", "exact-match", "rewards:exact_match", "RewardConfig"),
    _builtin("rewards", "character-match", "rewards:character_match", "RewardConfig"),
    _builtin("evaluators", "exact-match", "evaluators:ExactMatch", "ExactMatchConfig"),
    _builtin("evaluators", "preference-accuracy", "evaluators:PreferenceAccuracy", "PreferenceAccuracyConfig"),
)

DEFAULT_CONFIGS: Final = {"rewards": f"{_HERE}.configs:RewardConfig"}
"""Config classes of components that name none, by category; elsewhere `name` is all that they take."""
