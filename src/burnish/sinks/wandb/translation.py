"""Entries of a journal as records of W&B's log; what cannot be told is counted and passed over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from burnish.core.shape import words
from burnish.journal import Kind, Record, Row
from burnish.journal.media import MediaKind, media_kind
from burnish.journal.reader import SYSTEM_RANK
from burnish.sinks.base import Batch
from burnish.sinks.replayed import Replayed
from burnish.sinks.wandb import records
from burnish.sinks.wandb.artifacts import Artifacts
from burnish.sinks.wandb.media import MediaFiles, Missing
from burnish.sinks.wandb.progress import Progress
from burnish.sinks.wandb.rows import json_text

_LEVELS: Final = {"info": "INFO", "warning": "WARN", "error": "ERROR"}
_MOST_METRICS: Final = 10_000
_STRANGE: Final = (ValueError, TypeError, LookupError, OverflowError, RecursionError, AttributeError)
"""What reading a record raises that has not the shape which Burnish writes."""


@dataclass(slots=True)
class Translation:
    """Translates batches, in their order.

    Attributes:
        progress: What is known so far; it is changed.
        replayed: Which points were told already.
        media: Where files go.
        artifacts: What makes artifacts; None where they are not wanted.
    """

    progress: Progress
    replayed: Replayed
    media: MediaFiles
    artifacts: Artifacts | None
    _out: list[bytes] = field(default_factory=list)

    def batch(self, batch: Batch) -> list[bytes]:
        """Return the records of a batch, and the summary that it leaves."""
        self._out = []
        if batch.rank not in (0, SYSTEM_RANK):
            self.progress.count("rows of other ranks", sum(isinstance(entry, Row) for entry in batch.entries))
            return []
        rows, out, new = self.progress.rows, self._out, self.replayed.new
        changed = 0
        for entry in batch.entries:
            if isinstance(entry, Row):
                row = new(batch, entry)
                if row is not entry:
                    rows.pass_by(entry)
                for piece in _pieces(row):
                    changed += rows.add(piece, out)
            else:
                self._record(batch, entry)
        self.progress.count("metric names", changed)
        if summary := rows.take_summary():
            out.append(summary)
        self.progress.replayed = self.replayed.state
        return out

    def _record(self, batch: Batch, record: Record) -> None:
        self.replayed.take(batch, record)
        try:
            self._tell(record)
        except Missing:
            self.progress.count("files that are missing")
        except _STRANGE:
            self.progress.count("records that nobody can read")

    def _tell(self, record: Record) -> None:
        kind = media_kind(record)
        if kind is not None:
            self._show(record, kind)
        elif record.kind == Kind.LIFECYCLE:
            self._lifecycle(record)
        elif record.kind == Kind.ALERT:
            told = record.payload
            level = _LEVELS.get(str(told.get("level")), "WARN")
            self._out.append(records.alert(record.key, str(told.get("text") or ""), level))
        elif record.kind == Kind.LOG:
            self._log(record)
        elif record.kind == Kind.ARTIFACT:
            self._artifact(record)
        elif record.kind == Kind.CHECKPOINT:
            self.progress.count("checkpoints")

    def _show(self, record: Record, kind: MediaKind) -> None:
        """Add a row that shows a record."""
        rows, progress = self.progress.rows, self.progress
        shown = self.media.show(record, kind, rows.count)
        for rule in shown.lost:
            progress.count(rule)
        if shown.files:
            self._out.append(records.files(shown.files))
        if kind == "graph":  # W&B's page of the model looks into the summary, under these names
            self._out.append(records.summary([((f"graph_{progress.graphs}",), json_text(shown.value))]))
            progress.graphs += 1
            return
        if shown.table and self.artifacts is not None:
            made, pointers = self.artifacts.table(record.key, rows.count, shown.table)
            self._out.append(made)
            shown.value |= pointers
        self._out.append(rows.add_value(record.key, shown.value, record.step, record.time))

    def _lifecycle(self, record: Record) -> None:
        told = record.payload
        if record.key == "metric":
            axis, best = str(told.get("axis", "step")), str(told.get("best", ""))
            self.progress.rows.define(str(told["pattern"]), axis, best)
        elif record.key == "tag":
            known = self.progress.tags
            known += [tag for tag in words(told, "tags") if tag not in known]
        elif record.key == "note":
            self.progress.notes.append(str(told["text"]))

    def _log(self, record: Record) -> None:
        told = record.payload
        level = str(told.get("level", ""))
        lines = [f"{level} {record.key}: {told['message']}", *str(told.get("error") or "").splitlines()]
        is_error = level in ("WARNING", "ERROR", "CRITICAL")
        self._out += [records.output(f"{line}\n", record.time, is_error=is_error) for line in lines]

    def _artifact(self, record: Record) -> None:
        if record.payload.get("role") != "made":  # W&B wants its server's own id of what is used
            self.progress.used[record.key] = _used(record)
            self.progress.count("used artifacts, in the config")
        elif self.artifacts is not None:
            made, lost = self.artifacts.made(record)
            self._out.append(made)
            for rule in lost:
                self.progress.count(rule)
        else:
            self.progress.count("artifacts")


def _used(record: Record) -> dict[str, object]:
    return {key: record.payload[key] for key in ("run", "sha256", "kind", "path") if key in record.payload}


def _pieces(row: Row) -> Iterable[Row]:
    """Return a row in pieces that W&B takes: its uploader leaves out a line of more than 10 MB."""
    if len(row.keys) <= _MOST_METRICS:
        return (row,) if row.keys else ()
    starts = range(0, len(row.keys), _MOST_METRICS)
    spans = [slice(start, start + _MOST_METRICS) for start in starts]
    return [replace(row, keys=row.keys[span], values=row.values[span]) for span in spans]
