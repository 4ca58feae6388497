"""Held-out evaluation of a causal language model. Greedy and without a trace in the random generators."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, Protocol

import torch

from burnish.experiment.components.configs import ExactMatchConfig, PreferenceAccuracyConfig
from burnish.experiment.components.data import Example, near_miss


class Evaluator(Protocol):
    """Measures a model on held-out examples."""

    def __call__(
        self, model: Any, tokenizer: Any, prompts: Sequence[str], examples: Sequence[Example]
    ) -> dict[str, float]:
        """Return metrics by name; `prompts[i]` is the text that the model sees for `examples[i]`."""


class ExactMatch:
    """Share of examples whose greedy completion is the answer."""

    def __init__(self, config: ExactMatchConfig) -> None:
        self._config = config

    def __call__(
        self, model: Any, tokenizer: Any, prompts: Sequence[str], examples: Sequence[Example]
    ) -> dict[str, float]:
        """Return `exact_match` in [0, 1]."""
        right = 0
        for start in range(0, len(examples), self._config.batch_size):
            part = slice(start, start + self._config.batch_size)
            completions = complete(model, tokenizer, prompts[part], self._config.max_new_tokens)
            right += sum(c.strip() == e.answer for c, e in zip(completions, examples[part], strict=True))
        return {"exact_match": right / len(examples)}


class PreferenceAccuracy:
    """Share of examples where the answer is likelier to the model than a near miss of it."""

    def __init__(self, config: PreferenceAccuracyConfig) -> None:
        self._config = config

    def __call__(
        self, model: Any, tokenizer: Any, prompts: Sequence[str], examples: Sequence[Example]
    ) -> dict[str, float]:
        """Return `preference_accuracy` in [0, 1] and `preference_margin`, the mean difference in nats."""
        margins: list[float] = []
        for start in range(0, len(examples), self._config.batch_size):
            part = slice(start, start + self._config.batch_size)
            chosen = [e.answer for e in examples[part]]
            # A fixed seed for each example: the same pairs at every step and in every run.
            rejected = [near_miss(e.answer, Random(e.prompt)) for e in examples[part]]
            good = log_probabilities(model, tokenizer, prompts[part], chosen)
            bad = log_probabilities(model, tokenizer, prompts[part], rejected)
            margins += (good - bad).tolist()
        mean = sum(margins) / len(margins)
        return {"preference_accuracy": sum(m > 0 for m in margins) / len(margins), "preference_margin": mean}


def complete(model: Any, tokenizer: Any, prompts: Sequence[str], max_new_tokens: int) -> list[str]:
    """Return the greedy completions of prompts, without special tokens."""
    tokens = tokenizer(
        list(prompts), return_tensors="pt", padding=True, padding_side="left", add_special_tokens=False,
        return_token_type_ids=False,
    ).to(model.device)  # fmt: skip
    made = model.generate(
        **tokens,
        do_sample=False,
        max_new_tokens=max_new_tokens,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    texts: list[str] = tokenizer.batch_decode(made[:, tokens["input_ids"].shape[1] :], skip_special_tokens=True)
    return texts


def log_probabilities(model: Any, tokenizer: Any, prompts: Sequence[str], answers: Sequence[str]) -> torch.Tensor:
    """Return the log-probability, in nats, of each answer with its end token after its prompt; shape (n,)."""
    heads = [tokenizer(p, add_special_tokens=False)["input_ids"] for p in prompts]
    tails = [tokenizer(a, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id] for a in answers]
    longest = max(len(h) + len(t) for h, t in zip(heads, tails, strict=True))
    ids = torch.full((len(heads), longest), tokenizer.pad_token_id)
    scored = torch.zeros((len(heads), longest), dtype=torch.bool)
    seen = torch.zeros((len(heads), longest), dtype=torch.long)
    for row, (head, tail) in enumerate(zip(heads, tails, strict=True)):
        end = len(head) + len(tail)
        ids[row, :end] = torch.tensor(head + tail)
        scored[row, len(head) : end] = True
        seen[row, :end] = 1
    ids, scored, seen = ids.to(model.device), scored.to(model.device), seen.to(model.device)
    logits = model(input_ids=ids, attention_mask=seen).logits[:, :-1].float().log_softmax(-1)
    picked = logits.gather(-1, ids[:, 1:, None]).squeeze(-1)
    return (picked * scored[:, 1:]).sum(-1)
