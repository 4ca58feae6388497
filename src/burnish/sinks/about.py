"""What is known of a run besides its journal, as trackers want to be told: config, tags, code, sweep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from burnish.config.flat import Leaf, config_values
from burnish.core.errors import ConfigError
from burnish.core.files import read_json
from burnish.core.paths import RunPaths
from burnish.core.shape import section, words
from burnish.journal.record import read_record

_OF_ANY_RUN: Final = ("name", "group", "tags", "retry", "tracking")
"""Sections that do not say what is trained: told last."""


@dataclass(frozen=True, slots=True)
class About:
    """A run, from the files in its folder as they are now.

    Attributes:
        name: Its full name.
        id: The last part of it.
        experiment: What runs of one kind share.
        group: Runs of one config with several seeds, or what the user called it.
        tags: Words to find it by.
        created: Seconds since the epoch.
        config: Values by dotted path, those of the training first; empty until they are known, which for a script is
            after its start.
        sweep: The sweep that it is part of: `id`, `number`, `of`, `values`; empty for none.
        code: Commit, branch and so on; empty outside a repository.
        command: What was typed.
        metrics: `{"axis", "best"}` by pattern, as `step_metric` said.
        record: The whole `run.json`.
    """

    name: str
    id: str
    experiment: str
    group: str
    tags: tuple[str, ...]
    created: float
    config: Mapping[str, Leaf] = field(default_factory=dict)
    sweep: Mapping[str, object] = field(default_factory=dict)
    code: Mapping[str, object] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    metrics: Mapping[str, object] = field(default_factory=dict)
    record: Mapping[str, object] = field(default_factory=dict)


def read_about(run: RunPaths) -> About:
    """Return what a run's folder says of it."""
    record, card = read_record(run), read_json(run.card)
    created = record.get("created")
    config = section(record, "config")
    return About(
        name=run.name,
        id=run.id,
        experiment=str(record.get("experiment") or "run"),
        group=str(record.get("group") or config.get("group") or ""),
        tags=words(record, "tags"),
        created=float(created) if isinstance(created, int | float) else 0.0,
        config=_config(run),
        sweep=section(record, "sweep"),
        code=section(card, "code"),
        command=words(record, "typed") or words(record, "command"),
        metrics=section(record, "metrics"),
        record=record,
    )


def _config(run: RunPaths) -> Mapping[str, Leaf]:
    try:
        found = config_values(run.config)
    except (ConfigError, OSError):
        return {}
    # A list is told whole; its elements one by one would be said twice.
    lists = tuple(f"{path}." for path, value in found.items() if isinstance(value, tuple))
    told = [(path, value) for path, value in found.items() if not path.startswith(lists)]
    return dict(sorted(told, key=lambda both: both[0].partition(".")[0] in _OF_ANY_RUN))
