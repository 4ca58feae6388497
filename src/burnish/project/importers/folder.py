"""An imported run as a run's folder: config, metrics, card and record, as a run of Burnish's own has them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from burnish import __version__
from burnish.config.snapshot import dump_yaml
from burnish.config.sources.bounds import MAX_BYTES, MAX_NODES
from burnish.core.errors import UsageError
from burnish.core.files import sync_folder, write_atomic, write_json
from burnish.core.ids import run_name
from burnish.core.paths import RunPaths
from burnish.core.secrets import Masker
from burnish.core.shape import section
from burnish.journal.annotations import check_tag
from burnish.journal.reader import journal_files
from burnish.launch.closing import close_metrics
from burnish.project.importers.found import Facts, Found
from burnish.project.importers.known import Mark
from burnish.project.importers.log import Log
from burnish.project.importers.values import can_be_time, number
from burnish.track.card import find_seeds, read_card, write_card

_DEEPEST: Final = 40
_FINISHED: Final = "finished"


def mark_of(found: Found, facts: Facts, log: Log) -> Mark:
    """Return by what a run that was read is known again."""
    told = asdict(facts)
    told.pop("warnings")
    if not facts.are_times_recorded:  # they change when a file is copied
        told["started"] = told["ended"] = None
    digest = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()
    path, own, label = log.text(found.path), log.text(found.id), log.text(found.label)
    return Mark(found.source, path, own, label, log.beginning, log.digest, digest, log.rows)


def started_at(facts: Facts, log: Log, now: float) -> float:
    """Return when a run began: as its source says, else its first point, else now."""
    return next(at for at in (facts.started, log.first_time, now) if at is not None and can_be_time(at))


def name_of(found: Found, facts: Facts, log: Log, experiment: str, token: str, *, now: float) -> str:
    """Return what the folder of a run is called that ends in this id."""
    date = datetime.fromtimestamp(started_at(facts, log, now), UTC).strftime("%Y%m%d")
    wanted = log.masker.text(experiment or found.experiment)
    name = log.masker.text(found.name)
    return run_name(date, [wanted, name if name != wanted else ""], token)


def complete(
    paths: RunPaths, found: Found, facts: Facts, log: Log, *, experiment: str = "", now: float
) -> tuple[str, ...]:
    """Write all but the journal of a run whose journal is written; return what whoever imports it should know.

    Raises:
        OSError: The disk does not take it.
    """
    tags, notes = _labels(facts, log)
    warnings = [*facts.warnings, *log.warnings()]
    config, complaint = _config(facts.config, log.masker)
    if config:
        write_atomic(paths.config, dump_yaml(config))  # type: ignore[arg-type]
    warnings += [complaint] if complaint else []
    log.close()
    record: dict[str, object] = {
        "format": 1,
        "id": paths.id,
        "name": paths.name,
        **_times(facts, log, now),
        **_origin(found, facts, log, experiment, now),
        "tags": tags,
        "notes": notes,
        "media": log.labels.media,
        "metrics": log.labels.metrics,
        "artifacts": list(log.labels.artifacts.values()),
    }
    record |= close_metrics(paths, log.labels.metrics)
    summary = section(record, "summary")
    record["latest"] = {name: values["last"] for name, values in summary.items() if isinstance(values, dict)}
    record["imported"] = {**section(record, "imported"), "warnings": list(warnings)}
    write_card(paths, _card(facts, config, log.masker), record)
    record["config"] = section(read_card(paths), "config")
    record["state"] = facts.state
    for path in (*journal_files(paths.journals), paths.metrics):
        _flush(str(path))
    write_json(paths.state, record, durable=True)
    sync_folder(paths.root)
    return tuple(warnings)


def _times(facts: Facts, log: Log, now: float) -> dict[str, object]:
    started = started_at(facts, log, now)
    last = (facts.ended, log.last_time, started)
    ended = max(started, next(at for at in last if at is not None and can_be_time(at)))
    step = log.last_step if log.last_step is not None else -1
    attempts: list[dict[str, object]] = [
        {
            "number": number,
            "started": started if number == 1 else span.first or started,
            "ended": span.last or started,
            "exit_code": None,
            "reason": "restarted",
            "last_step": span.last_step,
        }
        for number, span in enumerate(log.spans, 1)
    ]
    attempts[-1] |= {"ended": ended, "exit_code": facts.exit_code, "reason": facts.reason}
    return {
        "created": started,
        "started": started,
        "ended": ended,
        "attempts": attempts,
        "step": step,
        "total_steps": facts.total_steps,
        "exit_code": facts.exit_code,
        "reason": facts.reason,
    }


def _origin(found: Found, facts: Facts, log: Log, experiment: str, now: float) -> dict[str, object]:
    mask = log.masker
    return {
        "experiment": log.text(experiment or found.experiment) or "imported",
        "group": log.text(facts.group),
        "sweep": mask.tree(facts.sweep),
        "command": mask.command(facts.command),
        # It was never started here, and what is known of its command would not start it: it is not to be resumed.
        "imported": {
            **mark_of(found, facts, log).to_json(),
            "name": log.text(found.name),
            "time": now,
            "version": __version__,
            "written_by": log.text(facts.version),
            "times": "recorded" if facts.are_times_recorded else "estimated",
        },
    }


def _labels(facts: Facts, log: Log) -> tuple[list[str], list[dict[str, object]]]:
    """Return tags and notes; what cannot be a tag is a note."""
    tags = dict.fromkeys(log.labels.tags)
    notes = list(log.labels.notes)
    at = facts.ended or log.last_time or 0.0
    texts = [log.text(text) for text in facts.notes]
    for text in facts.tags:
        tag = log.text(text)
        try:
            tags[check_tag(tag)] = None
        except UsageError:
            texts.append(f"tag: {tag}")
    return list(tags), [*notes, *({"time": at, "text": text} for text in texts if text.strip())]


def _config(told: Mapping[str, object], masker: Masker) -> tuple[dict[str, object], str]:
    """Return a config in terms of YAML without credentials, and what is to be said where it is left out."""
    try:
        shallow = _shallow(told, 0)
        values = _known(masker.tree(shallow))
    except RecursionError:
        return {}, "left out: the config, which is too deep"
    assert isinstance(values, dict)
    if sum(1 for _ in _leaves(values)) > MAX_NODES or len(dump_yaml(values)) > MAX_BYTES:
        return {}, "left out: the config, which is too large to be one"
    return values, ""


def _shallow(value: object, depth: int) -> object:
    if isinstance(value, Mapping):
        if depth > _DEEPEST:
            return str(value)
        return {str(key): _shallow(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return str(value) if depth > _DEEPEST else [_shallow(item, depth + 1) for item in value]
    return value


def _known(value: object) -> object:
    """Return a value whose texts are valid UTF-8 and whose numbers YAML reads back."""
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, dict):
        return {str(_known(key)): _known(item) for key, item in value.items()}
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        return number(value)
    return [_known(item) for item in value] if isinstance(value, list) else value


def _leaves(value: object) -> Iterator[object]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)
    yield value


def _card(facts: Facts, config: Mapping[str, object], masker: Masker) -> dict[str, object]:
    """Return what is known of the machine, the packages and the code, which is little."""
    return {
        "format": 1,
        "uuid": str(uuid4()),
        "system": {},
        "packages": {},
        "declared": [],
        "locked": {},
        "code": masker.tree(facts.code) or None,
        "config": {},
        "seeds": find_seeds(config),
        "command": masker.command(facts.command),
        "environment": {},
        "reported": {},
    }


def _flush(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
