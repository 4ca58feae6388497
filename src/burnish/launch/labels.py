"""What the training process said about its run besides numbers: tags, notes, metrics, artifacts, what was dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from burnish.core.shape import section, words
from burnish.journal import Kind, Record, Row
from burnish.journal.reader import JournalName

_ARTIFACT = ("role", "sha256", "bytes", "files", "kind", "path", "run", "metadata")


@dataclass(slots=True)
class Labels:
    """Labels of a run, from the journals of its ranks.

    Every rank of a job runs the same script: words are taken from rank 0, files and counts from all.

    Attributes:
        tags: Words to find the run by, in order.
        notes: `{"time", "text"}`.
        metrics: `{"axis", "best"}` by pattern, in the order in which they were last said.
        artifacts: As they stand in `run.json`, by role, name and content.
    """

    tags: dict[str, None] = field(default_factory=dict)
    notes: list[dict[str, object]] = field(default_factory=list)
    metrics: dict[str, dict[str, object]] = field(default_factory=dict)
    artifacts: dict[tuple[str, str, str], dict[str, object]] = field(default_factory=dict)
    _thinned: dict[tuple[int, int], dict[str, int]] = field(default_factory=dict)

    @property
    def thinned(self) -> dict[str, int]:
        """How many values each tier's rule dropped, over all processes."""
        total: Counter[str] = Counter()
        for dropped in self._thinned.values():
            total.update(dropped)
        return dict(total)

    def know(self, artifacts: Iterable[object]) -> None:
        """Take over what the record says already: a config may use another run's artifacts."""
        for told in artifacts:
            if isinstance(told, dict):
                self.artifacts[str(told.get("role")), str(told.get("name")), str(told.get("sha256"))] = told

    def take(self, entry: Row | Record, source: JournalName) -> None:
        """Account for one entry of a journal of a training process."""
        if isinstance(entry, Row):
            return
        if entry.kind == Kind.ARTIFACT:
            self._artifact(entry)
        elif entry.kind == Kind.LIFECYCLE and entry.key == "thinned":
            counts = section(entry.payload, "dropped")
            # Each frame tells what its process dropped since it began.
            self._thinned[source.rank, source.pid] = {k: n for k, n in counts.items() if isinstance(n, int)}
        elif entry.kind == Kind.LIFECYCLE and source.rank == 0:
            self._said(entry)

    def _said(self, entry: Record) -> None:
        if entry.key == "tag":
            self.tags.update(dict.fromkeys(words(entry.payload, "tags")))
        elif entry.key == "note":
            self.notes.append({"time": entry.time, "text": str(entry.payload.get("text", ""))})
        elif entry.key == "metric" and isinstance(pattern := entry.payload.get("pattern"), str):
            self.metrics.pop(pattern, None)  # said again, it counts as said last
            axis, best = entry.payload.get("axis"), entry.payload.get("best")
            self.metrics[pattern] = {"axis": str(axis or "step"), "best": best if best in ("min", "max") else ""}

    def _artifact(self, entry: Record) -> None:
        told = {key: entry.payload.get(key) for key in _ARTIFACT}
        # The same file again, by another rank or a resumed attempt, is the same artifact.
        key = (str(told["role"]), entry.key, str(told["sha256"]))
        self.artifacts[key] = {"role": told["role"], "name": entry.key, **told, "step": entry.step}
