"""Whose recipe a file is, told by the keys that only one tool has.

A folder is Hydra's. `_component_` at any depth is torchtune's; `_target_` at any depth, a `defaults` list, a `hydra`
section and a `# @package` line are Hydra's. Of flat recipes, `base_model`, `micro_batch_size`, `sequence_len` and
`num_epochs` are axolotl's; `stage`, `finetuning_type`, `cutoff_len`, `template` and `infer_backend` are
LLaMA-Factory's; what has none of these, but an argument of transformers' trainer, is TRL's.
"""

from __future__ import annotations

from typing import Final

from burnish.config.layer import Sequence
from burnish.core.errors import ConfigError, Problem
from burnish.project.migrate.hydra.files import package_of
from burnish.project.migrate.migration import KINDS, Kind
from burnish.project.migrate.recipe import Recipe

_FLAT: Final[dict[Kind, frozenset[str]]] = {
    "axolotl": frozenset({"base_model", "micro_batch_size", "sequence_len", "num_epochs"}),
    "llama-factory": frozenset({"stage", "finetuning_type", "cutoff_len", "template", "infer_backend"}),
}
_TRL: Final = frozenset(
    {"model_name_or_path", "learning_rate", "per_device_train_batch_size", "num_train_epochs", "lr_scheduler_type"}
)
_HINT: Final = f"say whose it is: --kind {'|'.join(KINDS)}"


def detect(recipe: Recipe) -> Kind:
    """Return whose recipe a file is.

    Raises:
        ConfigError: It has keys of several tools, or of none.
    """
    found = _nested_signs(recipe) or _flat_signs(recipe)
    if len(found) > 1:
        told = " and ".join(f"{kind} ({sign})" for kind, sign in found.items())
        raise ConfigError([Problem(f"this could be a recipe of {told}", recipe.shown, _HINT)])
    if not found:
        raise ConfigError([Problem("no recipe of a tool that is known", recipe.shown, _HINT)])
    return next(iter(found))


def _nested_signs(recipe: Recipe) -> dict[Kind, str]:
    found: dict[Kind, str] = {}
    for key, place in recipe.written_keys():
        if key == "_component_":
            found.setdefault("torchtune", f"{key!r} at {place}")
        elif key == "_target_":
            found.setdefault("hydra", f"{key!r} at {place}")
    defaults = recipe.tree.items.get("defaults")
    if isinstance(defaults, Sequence) or "hydra" in recipe.tree.items or package_of(recipe.text) is not None:
        found.setdefault("hydra", f"'defaults', 'hydra' or '# @package' in {recipe.shown}")
    return found


def _flat_signs(recipe: Recipe) -> dict[Kind, str]:
    keys = recipe.tree.items
    found: dict[Kind, str] = {}
    for kind, signs in _FLAT.items():
        if sign := next((key for key in keys if key in signs), None):
            found[kind] = f"{sign!r} at {recipe.tree.keys[sign]}"
    if not found and any(key in _TRL for key in keys):
        found["trl"] = ""
    return found
