"""Rewards for GRPO: functions of completions and right answers, one number in [0, 1] each."""

from __future__ import annotations

from collections.abc import Sequence


def exact_match(completions: Sequence[str], answers: Sequence[str]) -> list[float]:
    """Return 1 for a completion that is the answer, else 0.

    >>> exact_match(["cba", "cab"], ["cba", "cba"])
    [1.0, 0.0]
    """
    return [float(c.strip() == a.strip()) for c, a in zip(completions, answers, strict=True)]


def character_match(completions: Sequence[str], answers: Sequence[str]) -> list[float]:
    """Return the share of characters in their place, over the longer of the two texts.

    >>> character_match(["cba", "cab", "cbaa"], ["cba", "cba", "cba"])
    [1.0, 0.3333333333333333, 0.75]
    """
    return [
        sum(x == y for x, y in zip(c.strip(), a.strip(), strict=False)) / max(len(c.strip()), len(a.strip()), 1)
        for c, a in zip(completions, answers, strict=True)
    ]
