"""What the sink needs to go on after a crash, as JSON keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from burnish.core.shape import items, section, words
from burnish.sinks.base import MAPPED, WHERE, SinkState
from burnish.sinks.names import Names
from burnish.sinks.replayed import superseded_in
from burnish.sinks.wandb.axes import Definitions, Drawn, clean_name, may_meet
from burnish.sinks.wandb.log import Extent
from burnish.sinks.wandb.records import Identity
from burnish.sinks.wandb.rows import Rows


@dataclass(slots=True)
class Progress:
    """How far the sink got.

    Attributes:
        identity: How W&B knows the run; chosen once, so that renaming the run makes no second one.
        rows: Rows and what is known of metrics.
        part: The number of the log that is written to: a new one is begun once W&B's uploader has taken the last.
        extent: What of that log is vouched for.
        tags: What the journal said the run was tagged with; its record says it a moment later.
        notes: The same of notes.
        used: Artifacts of other runs that this one used, by name.
        mark: What was last said of the run.
        graphs: How many model graphs there are.
        mapped: What W&B cannot hold as it is, counted.
        replayed: The state of `Replayed`.
        where: Where to look at the run.
    """

    identity: Identity
    rows: Rows
    part: int = 0
    extent: Extent = field(default_factory=Extent)
    tags: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    used: dict[str, object] = field(default_factory=dict)
    mark: str = ""
    graphs: int = 0
    mapped: dict[str, int] = field(default_factory=dict)
    replayed: dict[str, object] = field(default_factory=dict)
    where: str = ""

    def count(self, rule: str, times: int = 1) -> None:
        """Note what W&B cannot hold as it is."""
        if times:
            self.mapped[rule] = self.mapped.get(rule, 0) + times

    @property
    def superseded(self) -> list[tuple[int, int]]:
        """Ranges of steps that were trained again."""
        return superseded_in(self.replayed)

    def to_json(self) -> SinkState:
        """Return it as plain values that nothing else holds."""
        rows = self.rows
        return {
            "id": self.identity.id,
            "project": self.identity.project,
            "entity": self.identity.entity,
            "created": rows.created,
            "rows": rows.count,
            "step": rows.step,
            "said": [list(one) for one in rows.definitions.said],
            "names": dict(rows.names.chosen),
            "told": {name: [drawn.axis, drawn.best] for name, drawn in rows.told.items()},
            "extremes": {name: repr(value) for name, value in rows.extremes.items()},  # infinity is no JSON
            "axes": {name: repr(value) for name, value in rows.axes.items()},
            "part": self.part,
            "extent": [self.extent.size, self.extent.records, self.extent.tail_crc],
            "tags": list(self.tags),
            "notes": list(self.notes),
            "used": dict(self.used),
            "mark": self.mark,
            "graphs": self.graphs,
            MAPPED: dict(self.mapped),
            "replayed": _copied(self.replayed),
            WHERE: self.where,
        }

    @classmethod
    def from_json(cls, state: Mapping[str, object]) -> Progress:
        """Return what `to_json` gave."""
        names = Names(clean_name, may_meet, {str(name): str(new) for name, new in section(state, "names").items()})
        said = [(str(one[0]), str(one[1]), str(one[2])) for one in items(state, "said") if isinstance(one, list)]
        rows = Rows(
            _number(state, "created"),
            Definitions(said),
            names,
            count=int(_number(state, "rows")),
            step=int(_number(state, "step")),
            told={name: _drawn(told) for name, told in section(state, "told").items()},
            extremes={name: float(str(value)) for name, value in section(state, "extremes").items()},
            axes={name: float(str(value)) for name, value in section(state, "axes").items()},
        )
        extent = [number for number in items(state, "extent") if isinstance(number, int)]
        return cls(
            Identity(str(state["id"]), str(state["project"]), str(state["entity"])),
            rows,
            part=int(_number(state, "part")),
            extent=Extent(*extent),
            tags=list(words(state, "tags")),
            notes=list(words(state, "notes")),
            used=section(state, "used"),
            mark=str(state["mark"]),
            graphs=int(_number(state, "graphs")),
            mapped={rule: count for rule, count in section(state, MAPPED).items() if isinstance(count, int)},
            replayed=_copied(section(state, "replayed")),
            where=str(state.get(WHERE, "")),
        )


def _drawn(told: object) -> Drawn:
    axis, best = told if isinstance(told, list) else ("", "")
    return Drawn(str(axis), "min" if best == "min" else "max" if best == "max" else "")


def _number(state: Mapping[str, object], key: str) -> float:
    value = state.get(key)
    return value if isinstance(value, int | float) else 0


def _copied(tree: Mapping[str, object]) -> dict[str, object]:
    """Return a copy of what `Replayed` keeps: it changes its lists in place."""
    return {key: _copy(value) for key, value in tree.items()}


def _copy(value: object) -> object:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value
