"""What a training process said of its run besides numbers: tags, notes, metrics, media, artifacts, drops."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from burnish.core.shape import section, words
from burnish.journal import Kind, Record, Row
from burnish.journal.media import media_kind
from burnish.journal.reader import JournalName

_ARTIFACT = ("role", "sha256", "bytes", "files", "kind", "path", "run", "metadata")
_MOST_MEDIA = 1_000
_RECENT = 1_024
_OTHERS, _OTHER_KIND = "…", "other"


@dataclass(slots=True)
class _Medium:
    """How often something was recorded under one key.

    Attributes:
        kind: What it is; the last one, where a key stands for several.
        count: How many there are, without those that a later attempt replaces.
        recent: The last steps, in the order of recording: how far an attempt can go back exactly.
        own: Where in `recent` those of the newest attempt begin.
        unstepped: How many the newest attempt recorded at no step.
    """

    kind: str
    count: int = 0
    recent: array[int] = field(default_factory=lambda: array("q"))
    own: int = 0
    attempt: int = 1
    unstepped: int = 0

    def take(self, kind: str, step: int | None, attempt: int) -> None:
        if attempt != self.attempt:
            self.own, self.attempt = len(self.recent), attempt
            if step is None:  # said once an attempt, such as the model's graph: the newest counts
                self.count -= self.unstepped
                self.unstepped = 0
        self.kind = kind
        self.count += 1
        if step is None:
            self.unstepped += 1
            return
        self.recent.append(step)
        if (over := len(self.recent) - _RECENT) >= _RECENT:
            del self.recent[:over]
            self.own = max(0, self.own - over)

    def take_back(self, step: int, attempt: int) -> None:
        """Forget what earlier attempts recorded beyond a step, which is being done again."""
        end = self.own if self.attempt == attempt else len(self.recent)
        kept = array("q", (known for known in self.recent[:end] if known <= step))
        self.count -= end - len(kept)
        self.recent = kept + self.recent[end:]
        self.own = len(kept) if self.attempt == attempt else self.own

    def to_json(self) -> dict[str, object]:
        return {"kind": self.kind, "count": self.count, "last_step": max(self.recent, default=None)}


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
    _media: dict[str, _Medium] = field(default_factory=dict)
    _attempt: int = 1
    _awaits_first_step: bool = False
    _thinned: dict[tuple[int, int], dict[str, int]] = field(default_factory=dict)

    @property
    def thinned(self) -> dict[str, int]:
        """How many values each tier's rule dropped, over all processes."""
        total: Counter[str] = Counter()
        for dropped in self._thinned.values():
            total.update(dropped)
        return dict(total)

    @property
    def media(self) -> dict[str, dict[str, object]]:
        """What rank 0 recorded besides scalars: kind, count and last step by key; of many keys the rest as one."""
        return {key: medium.to_json() for key, medium in self._media.items() if medium.count}

    def know(self, artifacts: Iterable[object]) -> None:
        """Take over what the record says already: a config may use another run's artifacts."""
        for told in artifacts:
            if isinstance(told, dict):
                self.artifacts[str(told.get("role")), str(told.get("name")), str(told.get("sha256"))] = told

    def take(self, entry: Row | Record, source: JournalName) -> None:
        """Account for one entry of a journal of a training process."""
        if isinstance(entry, Row):
            if self._awaits_first_step and source.rank == 0:
                self._take_back(entry.step - 1)
            return
        if entry.kind == Kind.ARTIFACT:
            self._artifact(entry)
        elif entry.kind == Kind.LIFECYCLE and entry.key == "thinned":
            counts = section(entry.payload, "dropped")
            # Each frame tells what its process dropped since it began.
            self._thinned[source.rank, source.pid] = {k: n for k, n in counts.items() if isinstance(n, int)}
        elif entry.kind == Kind.LIFECYCLE and source.rank == 0:
            self._said(entry)
        elif source.rank == 0 and (kind := media_kind(entry)) is not None:
            self._recorded(kind, entry)

    def _said(self, entry: Record) -> None:
        if entry.key == "open":
            attempt = entry.payload.get("attempt")
            if isinstance(attempt, int) and attempt != self._attempt:
                self._attempt, self._awaits_first_step = attempt, True
        elif entry.key == "resume" and entry.step is not None:
            self._take_back(entry.step)
        elif entry.key == "tag":
            self.tags.update(dict.fromkeys(words(entry.payload, "tags")))
        elif entry.key == "note":
            self.notes.append({"time": entry.time, "text": str(entry.payload.get("text", ""))})
        elif entry.key == "metric" and isinstance(pattern := entry.payload.get("pattern"), str):
            self.metrics.pop(pattern, None)  # said again, it counts as said last
            axis, best = entry.payload.get("axis"), entry.payload.get("best")
            self.metrics[pattern] = {"axis": str(axis or "step"), "best": best if best in ("min", "max") else ""}

    def _recorded(self, kind: str, entry: Record) -> None:
        key = entry.key
        if key not in self._media and len(self._media) >= _MOST_MEDIA:  # keys that hold a step would fill the record
            key, kind = _OTHERS, _OTHER_KIND
        self._media.setdefault(key, _Medium(kind)).take(kind, entry.step, self._attempt)

    def _take_back(self, step: int) -> None:
        self._awaits_first_step = False
        for medium in self._media.values():
            medium.take_back(step, self._attempt)

    def _artifact(self, entry: Record) -> None:
        told = {key: entry.payload.get(key) for key in _ARTIFACT}
        # The same file again, by another rank or a resumed attempt, is the same artifact.
        key = (str(told["role"]), entry.key, str(told["sha256"]))
        self.artifacts[key] = {"role": told["role"], "name": entry.key, **told, "step": entry.step}
