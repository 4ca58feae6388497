"""What becomes of one key of another tool's recipe: rules that return where its value goes, or say why it cannot."""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass
from typing import Final, NoReturn, TypeAlias, TypeGuard

from burnish.config.layer import Plain
from burnish.core.errors import ConfigError, Problem
from burnish.project.migrate.migration import Kind
from burnish.project.migrate.recipe import Recipe

Rule: TypeAlias = Callable[[Plain, Recipe], dict[str, Plain]]
"""Takes a value and the recipe around it; returns our dotted paths with their values, or raises CannotCarry."""

STEPS: Final = "Burnish counts steps, not epochs: set training.max_steps"
DATA: Final = "write a dataset component and name it under data.name"
TRACKERS: Final = "trackers are fed from the journal: tracking.sinks"
RUNS: Final = "runs lie in .burnish/runs"
HUB: Final = "Burnish uploads nothing to a hub"
TOKENIZER: Final = "the tokenizer is the one in the model's folder"
WEIGHTS: Final = "model 'pretrained' loads the weights as they were saved, from a folder"
SEVERAL: Final = "Burnish starts one training process"


class CannotCarry(Exception):
    """A value that has no place in Burnish; the text says why."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one tool writes its recipes.

    Attributes:
        kind: The tool.
        rules: By the key's dotted path in the recipe; a rule on a section takes the whole of it, and
            `section.*` stands for the keys in a section that have no rule of their own.
        experiment_of: Returns which of our experiments a recipe is; raises ConfigError where it is none of them.
        assumed: Returns the tool's own defaults where ours differ, for an experiment: our path to value.
        takes_trl: Whether a key without a rule may be an argument of the TRL trainer under its own name.
        refers: Whether `${…}` in a value is a reference.
    """

    kind: Kind
    rules: MappingOf[str, Rule]
    experiment_of: Callable[[Recipe], str]
    assumed: Callable[[str, Recipe], dict[str, Plain]]
    takes_trl: bool
    refers: bool = False

    @property
    def sections(self) -> frozenset[str]:
        """The sections that hold keys with rules of their own."""
        return frozenset(path.rpartition(".")[0] for path in self.rules if "." in path) - self.rules.keys()

    def rule_for(self, path: str) -> Rule | None:
        """Return the rule of a key; `section.*` is the rule of what has none of its own in a section."""
        return self.rules.get(path) or self.rules.get(f"{path.rpartition('.')[0]}.*")


def to(path: str) -> Rule:
    """Return the rule of a key that means the same at another path."""
    return lambda value, recipe: {path: value}


def leave(reason: str) -> Rule:
    """Return the rule of a key that has no place in Burnish."""

    def rule(value: Plain, recipe: Recipe) -> dict[str, Plain]:
        raise CannotCarry(reason)

    return rule


def only(kept: Plain, reason: str) -> Rule:
    """Return the rule of a key for which Burnish knows one value, and need not be told of it."""

    def rule(value: Plain, recipe: Recipe) -> dict[str, Plain]:
        raise CannotCarry("so it is in Burnish anyway" if value == kept else reason)

    return rule


def switch(path: str, reason: str) -> Rule:
    """Return the rule of a key that is carried over where it is a boolean."""

    def rule(value: Plain, recipe: Recipe) -> dict[str, Plain]:
        if not isinstance(value, bool):
            raise CannotCarry(reason)
        return {path: value}

    return rule


def max_steps(value: Plain, recipe: Recipe) -> dict[str, Plain]:
    """Carry a number of steps; at most 0 says that epochs count."""
    if isinstance(value, int) and value <= 0:
        raise CannotCarry(STEPS)
    return {"training.max_steps": value}


def warmup_ratio(value: Plain, recipe: Recipe) -> dict[str, Plain]:
    """Carry a share of all steps as a number of steps, where the recipe says how many there are."""
    steps = recipe.get("max_steps")
    if not _is_number(steps) or not _is_number(value) or steps <= 0:
        raise CannotCarry("Burnish counts steps: set training.warmup_steps to this share of training.max_steps")
    if recipe.get("warmup_steps"):
        raise CannotCarry("warmup_steps is set as well")
    return {"training.warmup_steps": math.ceil(steps * value)}


def warmup_steps(value: Plain, recipe: Recipe) -> dict[str, Plain]:
    """Carry a number of steps; between 0 and 1 it is a share, as transformers reads it."""
    return warmup_ratio(value, recipe) if _is_number(value) and 0 < value < 1 else {"training.warmup_steps": value}


def steps_or_epoch(path: str) -> Rule:
    """Return the rule of an interval in steps that may also be the word `epoch`."""

    def rule(value: Plain, recipe: Recipe) -> dict[str, Plain]:
        if value == "epoch":
            raise CannotCarry(f"Burnish counts steps, not epochs: {path}")
        return {path: value}

    return rule


def strategy(path: str) -> Rule:
    """Return the rule of a word that says when something happens, which in Burnish is every so many steps."""
    return only("steps", f"in Burnish it happens every so many steps: {path}")


def optimizer(value: Plain, recipe: Recipe) -> dict[str, Plain]:
    """Carry the name of an optimizer: ours where it is one of them, else by TRL's name for it."""
    if value in ("adamw_torch", "adamw_torch_fused", "adamw", "adamw_hf"):
        return {"training.optimizer.name": "adamw"}
    return {"training.optimizer.name": "sgd"} if value == "sgd" else {"training.trl.optim": value}


def fp16(value: Plain, recipe: Recipe) -> dict[str, Plain]:
    """Carry half precision; bfloat16, which Burnish turns on where the machine has it, excludes it."""
    both: dict[str, Plain] = {"training.trl.fp16": value}
    return {**both, "training.bf16": False} if value is True and recipe.get("bf16") is None else both


def refuse(recipe: Recipe, path: str, what: str) -> NoReturn:
    """Raise the error that Burnish has no experiment for a recipe.

    Raises:
        ConfigError: Always; it names what the recipe is for, and the place that says so.
    """
    hint = "there are sft, dpo and grpo; write an experiment of your own for others"
    raise ConfigError([Problem(f"Burnish has no experiment for {what}", recipe.place(path), hint)])


def _is_number(value: Plain) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
