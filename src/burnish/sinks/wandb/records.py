"""The records of W&B's log, field by field as `wandb_internal.proto` numbers them; each without its own number."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from burnish.sinks.wire import fields, part, read_varint, text, whole

HISTORY: Final = 2
SUMMARY: Final = 3
ALERT: Final = 10
_CONFIG, _FILES, _ARTIFACT, _METRIC, _OUTPUT_RAW, _RUN, _EXIT, _HEADER, _ENVIRONMENT = (
    5, 6, 8, 12, 13, 17, 18, 21, 26,
)  # fmt: skip
_OLDEST_READER: Final = "0.70.0"  # what W&B's client of 2026 writes there
_ALERT_WAIT_MS: Final = 60_000
_MEDIA: Final = 2
_STEP_TAG: Final = 2 << 3 | 2
_NUMBER_TAG: Final = 1 << 3
_LONGEST_STEP: Final = 11

Path = tuple[str, ...]
"""Where a value stands in a row, summary or config: a name, and names within it."""


@dataclass(frozen=True, slots=True)
class Identity:
    """How W&B knows a run.

    Attributes:
        id: Unique in its project.
        project: Where it is shown.
        entity: The team or user; empty for the default of whoever uploads.
    """

    id: str
    project: str
    entity: str = ""


@dataclass(frozen=True, slots=True)
class RunFields:
    """What W&B shows of a run beside its config."""

    display_name: str
    group: str = ""
    job_type: str = ""
    notes: str = ""
    tags: tuple[str, ...] = ()
    host: str = ""
    remote_url: str = ""
    commit: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of an artifact: where it stands in there, its MD5 in base64, and its content or a reference to it."""

    path: str
    digest: str
    size: int
    local_path: str = ""
    ref: str = ""


def header() -> bytes:
    """Return what a log begins with."""
    return part(_HEADER, part(1, text(1, "burnish") + text(2, _OLDEST_READER)))


def run(identity: Identity, told: RunFields, started: float, config: Mapping[str, object] | None = None) -> bytes:
    """Return a run's record: the first makes the run, later ones change what they name."""
    git = text(1, told.remote_url) + text(2, told.commit)
    return part(
        _RUN,
        text(1, identity.id)
        + text(2, identity.entity)
        + text(3, identity.project)
        + (part(4, _config(config)) if config is not None else b"")
        + text(6, told.group)
        + text(7, told.job_type)
        + text(8, told.display_name)
        + text(9, told.notes)
        + b"".join(text(10, tag) for tag in told.tags)
        + text(13, told.host)
        + part(17, timestamp(started))
        + (part(21, git) if git else b""),
    )


def config(values: Mapping[str, object]) -> bytes:
    """Return values of the config by their first name, which replace those of the same names."""
    return part(_CONFIG, _config(values))


def environment(told: Mapping[str, str], numbers: Mapping[str, int], git: tuple[str, str], writer: str) -> bytes:
    """Return where a run runs.

    Args:
        told: Text by the names that `_ENVIRONMENT_TEXT` has.
        numbers: Numbers by the names that `_ENVIRONMENT_NUMBERS` has.
        git: Address and commit.
        writer: What tells this account from one of another process.
    """
    body = b"".join(text(field, told.get(name, "")) for name, field in _ENVIRONMENT_TEXT.items())
    body += b"".join(whole(field, numbers.get(name, 0)) for name, field in _ENVIRONMENT_NUMBERS.items())
    if any(git):
        body += part(9, text(1, git[0]) + text(2, git[1]))
    return part(_ENVIRONMENT, body + text(199, writer))


_ENVIRONMENT_TEXT: Final = {
    "os": 1, "python": 2, "program": 6, "root": 11, "host": 12, "executable": 14, "gpu_type": 18,
}  # fmt: skip
_ENVIRONMENT_NUMBERS: Final = {"cpu_count": 16, "cpu_count_logical": 17, "gpu_count": 19}


def metric(name: str, axis: str = "", *, best: str = "", glob: bool = False, hidden: bool = False) -> bytes:
    """Return over what a metric is drawn, and what of it the summary holds.

    Args:
        name: Its name, or a pattern that ends in `*` with `glob`.
        axis: The key of the rows that it is drawn over.
        best: `min` or `max`: the summary holds that and the last value.
        glob: The name is a pattern.
        hidden: It has no chart of its own.
    """
    # `defined` and `step_sync` are what `define_metric` sets
    options = whole(1, bool(axis)) + whole(2, hidden) + whole(3, 1)
    summary = whole(1, best == "min") + whole(2, best == "max") + whole(5, bool(best))
    body = text(2 if glob else 1, name) + text(4, axis) + part(6, options)
    return part(_METRIC, body + (part(7, summary) if summary else b""))


def history(values: Iterable[tuple[Path, bytes]], number: int) -> bytes:
    """Return a row.

    Args:
        values: JSON by path.
        number: W&B's step: how many rows came before.
    """
    items = b"".join(part(1, item(path, value)) for path, value in values)
    return part(HISTORY, items + part(2, whole(1, number)))


def summary(values: Iterable[tuple[Path, bytes]]) -> bytes:
    """Return values for the summary, JSON by path."""
    return part(SUMMARY, b"".join(part(1, item(path, value)) for path, value in values))


def item(path: Path, value: bytes) -> bytes:
    """Return one value of a row or a summary, as JSON."""
    return b"".join(part(2, name.encode(errors="backslashreplace")) for name in path) + part(16, value)


def files(paths: Iterable[str]) -> bytes:
    """Return which files below the run's `files` folder go with the run."""
    return part(_FILES, b"".join(part(1, text(1, path) + whole(3, _MEDIA)) for path in paths))


def alert(title: str, body: str, level: str) -> bytes:
    """Return a notice to whoever W&B tells; the level is INFO, WARN or ERROR."""
    return part(ALERT, text(1, title) + text(2, body) + text(3, level) + whole(4, _ALERT_WAIT_MS))


def output(line: str, at: float, *, is_error: bool) -> bytes:
    """Return a line for the page of logs."""
    return part(_OUTPUT_RAW, whole(1, not is_error) + part(2, timestamp(at)) + text(3, line))


def finish(code: int, runtime_s: int) -> bytes:
    """Return the end of a run; a log whose last record it is not is of a run that goes on, or crashed."""
    return part(_EXIT, whole(1, code) + whole(2, max(0, runtime_s)))


@dataclass(frozen=True, slots=True)
class ArtifactFields:
    """An artifact as W&B tells it.

    Attributes:
        name: What it is called in its project.
        type: What it is.
        digest: MD5 of the manifest.
        client_id: What W&B knows this content of this run by: the same one sent again is no second version.
        sequence_id: What it knows the artifact of any content by.
        metadata: What else is known, in terms of JSON.
        description: In words.
        aliases: Names of this version.
    """

    name: str
    type: str
    digest: str
    client_id: str
    sequence_id: str
    metadata: Mapping[str, object]
    description: str = ""
    aliases: tuple[str, ...] = ("latest",)


def artifact(identity: Identity, told: ArtifactFields, entries: Sequence[Entry]) -> bytes:
    """Return an artifact with its manifest."""
    policy = part(3, text(1, "storageLayout") + text(2, '"V2"'))
    contents = b"".join(part(4, _entry(entry)) for entry in entries)
    manifest = whole(1, 1) + text(2, "wandb-storage-policy-v1") + policy + contents
    return part(
        _ARTIFACT,
        text(1, identity.id)
        + text(2, identity.project)
        + text(3, identity.entity)
        + text(4, told.type)
        + text(5, told.name)
        + text(6, told.digest)
        + text(7, told.description)
        + (text(8, json.dumps(told.metadata)) if told.metadata else b"")
        + b"".join(text(11, alias) for alias in told.aliases)
        + part(12, manifest)
        + whole(14, 1)  # finalize: W&B makes it a version
        + text(15, told.client_id)
        + text(16, told.sequence_id)
        + text(20, "MANIFEST_MD5"),
    )


def kind_of(record: bytes) -> tuple[int, bytes]:
    """Return what a record is, as the number of its field, and its content.

    Raises:
        ValueError: It is none.
    """
    tag, at = read_varint(record, 0)
    size, at = read_varint(record, at)
    return tag >> 3, record[at : at + size]


def summary_values(record: bytes) -> dict[Path, bytes]:
    """Return the values of a summary's record by path."""
    found: dict[Path, bytes] = {}
    for field, update in fields(kind_of(record)[1]):
        if field == 1 and isinstance(update, bytes):
            path, value = [], b""
            for number, content in fields(update):
                if isinstance(content, bytes):
                    if number == 2:
                        path.append(content.decode())
                    else:
                        value = content
            found[tuple(path)] = value
    return found


def row_number(record: bytes) -> int | None:
    """Return W&B's step of a row, which ends with it; None for a record that is none.

    >>> [row_number(history([], number)) for number in (0, 7, 300)], row_number(files([]))
    ([0, 7, 300], None)
    """
    if read_varint(record, 0)[0] >> 3 != HISTORY:
        return None
    for size in range(_LONGEST_STEP + 1):  # no shorter match is a longer one's end: bytes within a number are over 127
        at = len(record) - size
        if record[at - 2 : at] == bytes((_STEP_TAG, size)) and (not size or record[at] == _NUMBER_TAG):
            return read_varint(record, at + 1)[0] if size else 0
    raise ValueError("a row that does not end with its step")


def timestamp(at: float) -> bytes:
    """Return seconds since the epoch as a `google.protobuf.Timestamp`."""
    micros = round(at * 1e6)
    return whole(1, micros // 1_000_000) + whole(2, micros % 1_000_000 * 1000)


def _entry(entry: Entry) -> bytes:
    return (
        text(1, entry.path)
        + text(2, entry.digest)
        + text(3, entry.ref)
        + whole(4, entry.size)
        + text(6, entry.local_path)
    )


def _config(values: Mapping[str, object]) -> bytes:
    return b"".join(part(1, text(1, name) + text(16, json.dumps(value))) for name, value in values.items())
