"""How much of what a reader may ask about a run its card answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from burnish.core.hardware import HIDDEN, NO_DRIVER
from burnish.core.shape import items, section
from burnish.journal.record import OVER
from burnish.track.fingerprint import is_pinned

Card = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Missing:
    """A question that a card leaves open, and what to do so that the next run's does not."""

    field: str
    todo: str


@dataclass(frozen=True, slots=True)
class Completeness:
    """The share of the fields that apply to a run and are known.

    Attributes:
        score: In [0, 1].
        fields: How many fields apply.
        missing: Those that are not known.
    """

    score: float
    fields: int
    missing: tuple[Missing, ...]

    def to_json(self) -> dict[str, object]:
        """Return it as a JSON object."""
        missing = [{"field": one.field, "todo": one.todo} for one in self.missing]
        return {"score": self.score, "fields": self.fields, "missing": missing}


def completeness(card: Card) -> Completeness:
    """Return how complete a card is: known fields divided by fields that apply, each counting the same.

    The fields are `FIELDS`, in the order of the card. A field does not apply where its question has no answer that
    anybody could write down:

    - `gpus` on a machine without an NVIDIA driver, or where the environment hides all of them;
    - `cuda` unless torch was imported on a machine with GPUs;
    - `changes`, `untracked` and `remote` of code without a commit: that is one thing to do, not four;
    - `imported`, `ended` and `result` while the run goes on.

    Everything else applies to every run. The commit of code outside a git repository, an unknown seed, and data without
    a hash or revision are missing, not exempt. A score of 1 means that all was written down, not that the run can be
    repeated.
    """
    asked = [field for field in FIELDS if field.applies(card)]
    missing = tuple(Missing(field.name, field.todo) for field in asked if not field.known(card))
    return Completeness(round(1 - len(missing) / len(asked), 3), len(asked), missing)


@dataclass(frozen=True, slots=True)
class Field:
    """One question that a card answers.

    Attributes:
        name: What it is called in `missing`.
        todo: What to do when it is missing.
        known: Whether a card answers it.
        applies: Whether it can be asked of a card's run.
    """

    name: str
    todo: str
    known: Callable[[Card], bool]
    applies: Callable[[Card], bool] = lambda card: True


def _all(name: str, *keys: str) -> Callable[[Card], bool]:
    return lambda card: all(section(card, name).get(key) not in (None, "", [], {}) for key in keys)


def _has_commit(card: Card) -> bool:
    return bool(section(card, "code").get("commit"))


def _is_over(card: Card) -> bool:
    return section(card, "run").get("state") in OVER


def _gpus(card: Card) -> list[Mapping[str, object]]:
    return [gpu for gpu in items(section(card, "system"), "gpus") if isinstance(gpu, dict)]


def _may_have_gpus(card: Card) -> bool:
    on_gpu = str(section(card, "reported").get("device", "")).startswith("cuda")
    return on_gpu or bool(_gpus(card)) or section(card, "system").get("gpu_note") not in (NO_DRIVER, HIDDEN)


def _gpus_are_known(card: Card) -> bool:
    wanted = ("name", "uuid", "driver", "memory_bytes", "compute_capability")
    return bool(_gpus(card)) and all(gpu.get(key) for gpu in _gpus(card) for key in wanted)


def _uses_torch_on_gpu(card: Card) -> bool:
    return bool(_gpus(card)) and "torch" in items(section(card, "reported"), "imported")


def _data_is_pinned(card: Card) -> bool:
    """Return whether the content of all data is known, as `log_dataset` tells it or as hashes among other facts."""
    data = section(section(card, "reported"), "data")
    sets = [told for told in data.values() if isinstance(told, dict)]
    marks = ("sha256", "fingerprint", "revision")
    flat = any(value and key.endswith(marks) for key, value in data.items() if not isinstance(value, dict))
    return all(map(is_pinned, sets)) and (bool(sets) or flat)


FIELDS: tuple[Field, ...] = (
    Field(
        "system",
        "host, user, platform, kernel, CPU and memory: report this, Burnish should have found them",
        _all("system", "host", "user", "platform", "kernel", "cpu", "memory_bytes"),
    ),
    Field("python", "report this, Burnish should have found it", _all("system", "python", "executable")),
    Field("gpus", "pip install 'burnish[gpu]', and look at: burnish doctor", _gpus_are_known, _may_have_gpus),
    Field(
        "cuda",
        "call burnish.start_run() in the training process",
        lambda card: "cuda" in section(card, "reported"),
        _uses_torch_on_gpu,
    ),
    Field("packages", "no installed packages were found", lambda card: bool(section(card, "packages"))),
    Field(
        "declared",
        "say what the project needs, in pyproject.toml or requirements.txt",
        lambda card: bool(items(card, "declared") or section(card, "locked")),
    ),
    Field(
        "imported",
        "call burnish.start_run() in the training process",
        lambda card: bool(section(card, "imported")),
        _is_over,
    ),
    Field("commit", "keep the code in git: git init, git commit", _has_commit),
    Field(
        "changes",
        "git could not tell all uncommitted changes, or they are too large: commit them",
        lambda card: isinstance(section(card, "code").get("dirty"), bool) and _all("code", "complete")(card),
        _has_commit,
    ),
    Field(
        "untracked",
        "files that git does not know are not kept: git add or ignore them",
        lambda card: "untracked" in section(card, "code") and not section(card, "code")["untracked"],
        _has_commit,
    ),
    Field("remote", "give others a way to the commit: git remote add origin URL", _all("code", "remote"), _has_commit),
    Field("config", "pass it: burnish.start_run(config={…}), or use an experiment file", _all("config", "hash")),
    Field(
        "seeds", "put a 'seed' into the config, or run.report({'seed': 1})", lambda card: bool(section(card, "seeds"))
    ),
    Field("data", "tell what it was trained on: run.log_dataset('train', path or dataset)", _data_is_pinned),
    Field("command", "report this, Burnish should have it", lambda card: bool(items(card, "command"))),
    Field("environment", "report this, Burnish should have it", lambda card: "environment" in card),
    Field("uuid", "report this, Burnish should have it", lambda card: bool(card.get("uuid"))),
    Field("started", "the run was never started", _all("times", "started")),
    Field("ended", "report this, Burnish should have it", _all("times", "ended"), _is_over),
    Field("result", "log metrics: run.log({'loss': loss})", _all("result", "metrics"), _is_over),
)
"""Every question, in the order of the card. `changes` is known too where there are none."""
