"""One recipe in, one migration out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from burnish.config.interpolate import References, interpolate
from burnish.core.errors import ConfigError, Problem
from burnish.project.migrate.axolotl import AXOLOTL
from burnish.project.migrate.carry import carry
from burnish.project.migrate.detect import detect
from burnish.project.migrate.hydra import migrate_hydra
from burnish.project.migrate.llama_factory import LLAMA_FACTORY
from burnish.project.migrate.migration import KINDS, Kind, Migration
from burnish.project.migrate.recipe import Recipe, read_recipe
from burnish.project.migrate.rules import Dialect
from burnish.project.migrate.torchtune import TORCHTUNE
from burnish.project.migrate.trl import TRL

_DIALECTS: Final[dict[Kind, Dialect]] = {d.kind: d for d in (TRL, AXOLOTL, LLAMA_FACTORY, TORCHTUNE)}


def migrate(source: Path, *, kind: Kind | None = None) -> Migration:
    """Read a recipe of another tool as a Burnish experiment; nothing in it is executed.

    Whose recipe it is shows in its keys: a folder, a `defaults` list, a `hydra` section, `_target_` or a `# @package`
    line are Hydra's, `_component_` torchtune's, `base_model` and its like axolotl's, `stage`, `template` and their
    like LLaMA-Factory's; what has none of these, but arguments of transformers' trainer, is TRL's.

    Args:
        source: A file, or a Hydra config directory.
        kind: Whose recipe it is, where that does not show.

    Raises:
        ConfigError: It cannot be read, could be of several tools or of none, or is for something that Burnish has
            no experiment for.
    """
    if kind is not None and kind not in KINDS:
        raise ConfigError([Problem(f"no kind of recipe is called {kind!r}", hint=f"one of {', '.join(KINDS)}")])
    if source.is_dir():
        if kind not in (None, "hydra"):
            raise ConfigError([Problem(f"a folder is no {kind} recipe: {source}", hint="name the file")])
        return migrate_hydra(source)
    recipe = read_recipe(source)
    kind = kind or detect(recipe)
    if kind == "hydra":
        return migrate_hydra(source)
    dialect = _DIALECTS[kind]
    return carry(_with_references(recipe) if dialect.refers else recipe, dialect)


def _with_references(recipe: Recipe) -> Recipe:
    """Return a recipe with each `${a.b}` followed: our keys are others, so it could not stand as it is."""
    return replace(recipe, tree=interpolate(recipe.tree, References()).tree)
