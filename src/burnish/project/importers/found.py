"""A run as a source tells of it: where it is, how to read it, and what is known of it besides its points."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, get_args

if TYPE_CHECKING:
    from burnish.project.importers.log import Log

Source = Literal["hf", "llama-factory", "tensorboard", "mlflow", "wandb", "csv", "jsonl"]
"""Whose record it is."""
SOURCES: Final[tuple[Source, ...]] = get_args(Source)

State = Literal["finished", "failed", "stopped", "lost"]
"""How a run ended; `lost` where its source does not say, or says that it goes on."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the user says of how to read.

    Attributes:
        step: The column that is the step; the usual names where it is empty.
        time: The column that is the time; the usual names where it is empty.
        experiments: Only these experiments of an MLflow store.
    """

    step: str = ""
    time: str = ""
    experiments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """What a source says of a run besides what its log holds; times are seconds since the epoch.

    Attributes:
        state: How it ended.
        reason: Why, or why that is not known.
        exit_code: Of its process, where it is known.
        started: When it began; the time of its first point where the source does not say.
        ended: When it ended; the time of its last point where the source does not say.
        are_times_recorded: False where times are estimated.
        config: What it was given.
        tags: Words to find it by; what cannot be one becomes a note.
        notes: Remarks on it.
        group: What it was a part of.
        sweep: `id`, `number` and `of` of the sweep that it was a part of.
        total_steps: How many there should have been; 0 where that is not known.
        command: What was run.
        code: `commit`, `branch`, `remote`.
        version: Of the tool that wrote it.
        warnings: What whoever imports it should know.
    """

    state: State = "finished"
    reason: str = "finished"
    exit_code: int | None = None
    started: float | None = None
    ended: float | None = None
    are_times_recorded: bool = True
    config: Mapping[str, object] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    group: str = ""
    sweep: Mapping[str, object] = field(default_factory=dict)
    total_steps: int = 0
    command: tuple[str, ...] = ()
    code: Mapping[str, object] = field(default_factory=dict)
    version: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """A run that can be imported.

    Attributes:
        source: Whose it is.
        path: Where it lies: an absolute path, or an address without credentials.
        experiment: What runs of one kind share there.
        name: What it is called there.
        read: Tells a log all that the source holds; returns the rest. It may raise BurnishError or OSError.
        id: The source's own name for it, which no other run has; empty where it is known by its content only.
        label: What tells it from others in the same file.
        size: How much there is to read, in any unit: the sum of what `Log.advance` will be told.
    """

    source: Source
    path: str
    experiment: str
    name: str
    read: Callable[[Log], Facts]
    id: str = ""
    label: str = ""
    size: int = 1
