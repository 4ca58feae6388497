"""Which way a metric is better: as the user said, else as its name says by the field's habits, else unknown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final, Literal

Best = Literal["min", "max", ""]

_LOWER: Final = frozenset(
    (
        "bpb", "bpc", "brier", "cer", "ece", "err", "error", "errors", "loss", "losses", "mae", "mape", "mse", "nll",
        "perplexity", "ppl", "regret", "rmse", "wer", "xent",
    )
)  # fmt: skip
_HIGHER: Final = frozenset(
    (
        "acc", "accuracies", "accuracy", "auc", "auprc", "auroc", "bleu", "chrf", "correct", "dice", "f1", "iou",
        "margin", "margins", "match", "matches", "mcc", "meteor", "mfu", "mrr", "ndcg", "pass", "precision", "r2",
        "recall", "return", "returns", "reward", "rewards", "rouge", "score", "scores", "solved", "success",
        "throughput", "win", "wins",
    )
)  # fmt: skip
# What a name with one of these tells is a part, a spread or a setting, which no direction makes better:
# `rewards/rejected`, `reward_std`, `loss_scale`, `train/loss_weight`.
_NEITHER: Final = frozenset(
    (
        "chosen", "coef", "coefficient", "count", "grad", "length", "lr", "norm", "num", "rejected", "scale", "sd",
        "std", "stddev", "time", "var", "variance", "weight", "zero", "gap", "skew", "ratio",
    )
)  # fmt: skip
_NOT_OF_TRAINING: Final = ("grad/", "gradients/", "lr/", "phase/", "system/", "weight/", "weights/")
_NUMBERED: Final = re.compile(r"(rouge|bleu|chrf)\w*")
_WORD: Final = re.compile(r"[a-z][a-z0-9]*")


def best_direction(name: str, definitions: Mapping[str, Mapping[str, object]]) -> Best:
    """Return whether the lowest or the highest value of a metric is its best; empty when nobody knows.

    Args:
        name: The metric's name.
        definitions: What the user said, by glob pattern in the order in which it was said: the last one that
            matches and names a direction (`"best": "min" | "max"`) wins.

    >>> best_direction("eval/loss", {}), best_direction("eval/exact_match", {}), best_direction("entropy", {})
    ('min', 'max', '')
    >>> best_direction("eval/loss", {"eval/*": {"best": "max"}})
    'max'
    """
    for pattern in reversed(list(definitions)):
        said = definitions[pattern].get("best")
        if said in ("min", "max") and fnmatchcase(name, pattern):
            return "min" if said == "min" else "max"
    return direction_of_name(name)


@lru_cache(maxsize=16384)
def direction_of_name(name: str) -> Best:
    """Return the direction that a name alone tells.

    The last word that has a direction decides, since English names a thing by its last word (`reward_loss` is a
    loss); a word that makes it a spread, a part or a setting takes it away.

    >>> [direction_of_name(name) for name in ("reward_loss", "loss/accuracy", "reward_std", "learning_rate")]
    ['min', 'max', '', '']
    """
    lowered = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    if lowered.startswith(_NOT_OF_TRAINING):
        return ""
    words = _WORD.findall(lowered.replace("_", " "))
    if not _NEITHER.isdisjoint(words):
        return ""
    if "cross" in words and "entropy" in words:
        return "min"
    for word in reversed(words):
        if word in _LOWER:
            return "min"
        if word in _HIGHER or _NUMBERED.fullmatch(word):
            return "max"
    return ""
