"""reasoning-gym tasks as training and held-out sets that cannot contaminate each other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import reasoning_gym

from burnish.core.errors import ComponentError
from burnish.experiment.components.configs import ReasoningGymConfig

# Item i of seed s is made from seed s + i, so nearby seeds overlap: ranges lie this far apart.
_RANGE = 100_000


@dataclass(frozen=True, slots=True)
class Example:
    """One task: a prompt and its right answer."""

    prompt: str
    answer: str

    @property
    def key(self) -> str:
        """What makes two examples the same task."""
        return self.prompt.casefold()


@dataclass(frozen=True, slots=True)
class TaskData:
    """Training and held-out examples, all different.

    Attributes:
        train: Training examples.
        heldout: Held-out examples.
        facts: What the card says of them: sizes, fingerprints, contamination.
        chat: Whether prompts want the tokenizer's chat template.
    """

    train: Sequence[Example]
    heldout: Sequence[Example]
    facts: dict[str, object] = field(default_factory=dict)
    chat: bool = False


def load_reasoning_gym(config: ReasoningGymConfig) -> TaskData:
    """Make the items of a reasoning-gym family.

    Raises:
        ComponentError: The family is unknown, its options are wrong, it has too few different items, or the
            held-out range is the training range.
    """
    if config.seed == config.heldout_seed:
        raise ComponentError(
            f"held-out items come from the training range (data.seed = data.heldout_seed = {config.seed})",
            hint="leave data.heldout_seed as it is",
        )
    heldout = _draw(config, config.heldout_seed, config.heldout_size, frozenset())
    reserved = frozenset(example.key for example in heldout)
    train = _draw(config, config.seed, config.train_size, reserved)
    return checked(train, heldout, chat=config.chat)


def checked(train: Sequence[Example], heldout: Sequence[Example], *, chat: bool = False) -> TaskData:
    """Return the two sets, with their facts.

    Raises:
        ComponentError: An item is in both.
    """
    shared = {e.key for e in train} & {e.key for e in heldout}
    if shared:
        raise ComponentError(
            f"{len(shared)} of {len(heldout)} held-out items are in the training set, such as {min(shared)!r}",
            hint="take them out of one of the two: what is measured on them is memory",
        )
    facts: dict[str, object] = {
        "train_size": len(train),
        "heldout_size": len(heldout),
        "contamination": len(shared) / len(heldout),
        "train_sha256": _fingerprint(train),
        "heldout_sha256": _fingerprint(heldout),
    }
    return TaskData(train, heldout, facts, chat)


def near_miss(answer: str, random: Random) -> str:
    """Return a wrong answer close to the right one: two different neighbours swapped.

    >>> near_miss("ab", Random(0)), near_miss("aaa", Random(0)), near_miss("7", Random(0))
    ('ba', 'aa', '77')
    """
    places = [i for i in range(len(answer) - 1) if answer[i] != answer[i + 1]]
    if not places:  # nothing to swap: one character less, or more
        return answer[:-1] or answer * 2
    i = random.choice(places)
    return answer[:i] + answer[i + 1] + answer[i] + answer[i + 2 :]


def _draw(config: ReasoningGymConfig, seed: int, count: int, excluded: frozenset[str]) -> list[Example]:
    """Return the first `count` different examples of a range, none of them excluded."""
    seen = set(excluded)
    drawn: list[Example] = []
    for example in _items(config, (1 + seed) * _RANGE):
        if example.key not in seen:
            seen.add(example.key)
            drawn.append(example)
            if len(drawn) == count:
                return drawn
    raise ComponentError(
        f"reasoning-gym's {config.family} gave only {len(drawn)} different items of the {count} wanted",
        hint="lower data.train_size or data.heldout_size, or widen data.options",
    )


def _items(config: ReasoningGymConfig, first: int) -> Iterator[Example]:
    source = _source(config, first)
    for number in range(_RANGE):
        item = source[number]
        if item["answer"] is None:
            raise ComponentError(f"reasoning-gym's {config.family} has no answers to train on")
        try:
            prompt = config.prompt.format(**{**item["metadata"], "question": item["question"]})
        except (KeyError, IndexError, ValueError) as error:
            raise ComponentError(
                f"data.prompt {config.prompt!r} does not fit the items of {config.family}: {error}",
                hint=f"fields: question, {', '.join(sorted(item['metadata']))}",
            ) from error
        answer = str(item["answer"])
        yield Example(prompt.lower(), answer.lower()) if config.lowercase else Example(prompt, answer)


def _source(config: ReasoningGymConfig, first: int) -> Any:
    try:
        return reasoning_gym.create_dataset(config.family, seed=first, size=_RANGE, **config.options)
    except (ValueError, TypeError, AssertionError, KeyError) as error:
        raise ComponentError(f"reasoning-gym's {config.family}: {error}") from error


def _fingerprint(examples: Sequence[Example]) -> str:
    digest = hashlib.sha256()
    for example in examples:
        digest.update(f"{example.prompt}\x1f{example.answer}\x1e".encode())
    return digest.hexdigest()
