"""W&B's offline runs: folders with a transaction log; several folders of one run id are one run.

A later folder goes on with the run: from its first step on it replaces what an earlier one logged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from burnish.core.errors import RunError
from burnish.journal import Kind
from burnish.project.importers.found import Facts, Found, State
from burnish.project.importers.log import Log
from burnish.project.importers.values import flat
from burnish.project.importers.values import whole as whole_step
from burnish.project.importers.wandb_log import Item, WandbLog, fields, item, one, timestamp, whole
from burnish.project.importers.wandb_media import record_media

SUFFIX: Final = ".wandb"
_FOLDER: Final = re.compile(r"(?:offline-)?run-(\d{8}_\d{6})-(.+)")
_HISTORY, _SUMMARY, _OUTPUT, _CONFIG, _STATS, _ARTIFACT, _ALERT, _METRIC, _RAW, _RUN, _EXIT, _HEADER, _ENVIRONMENT = (
    2, 3, 4, 5, 7, 8, 10, 12, 13, 17, 18, 21, 26,
)  # fmt: skip
_OWN: Final = ("_step", "_runtime", "_timestamp", "_wandb")
_GOALS: Final = {1: "min", 2: "max"}


def look(files: Iterable[Path]) -> list[Path]:
    """Return the logs among some files."""
    return sorted(path for path in files if path.suffix == SUFFIX)


def read(paths: Iterable[Path]) -> Iterator[Found]:
    """Yield the run of each id; folders of the same id beside one that is named belong to it."""
    runs: dict[str, list[Path]] = {}
    for path in paths:
        run = _run_of(path)
        files = runs.setdefault(run.key, [])
        files += [other for other in (path.absolute(), *_siblings(path)) if other not in files]
    for key, files in runs.items():
        files.sort(key=lambda path: (_stamp(path), path.name))
        run = _run_of(files[-1])
        where = str(files[0].parent)
        size = max(1, sum(path.stat().st_size for path in files))
        reader = _Run(tuple(files))
        yield Found("wandb", where, run.project or "wandb", run.name or run.id, reader.read, id=key, size=size)


@dataclass(frozen=True, slots=True)
class _Identity:
    id: str
    project: str
    name: str

    @property
    def key(self) -> str:
        return f"{self.project}/{self.id}"


def _run_of(path: Path) -> _Identity:
    """Return whose log a file is: its first record of a run says so, else its name.

    A file that is none, or is gone, is told when its turn comes.
    """
    with suppress(RunError, OSError):
        for raw, _ in WandbLog(path).records():
            with suppress(ValueError):
                if message := one(raw, _RUN):
                    texts = [one(message, number).decode(errors="replace") for number in (1, 3, 8)]
                    return _Identity(*texts)
    return _Identity(path.stem.removeprefix("run-"), "", "")


def _siblings(path: Path) -> list[Path]:
    """Return the logs of the same run in folders beside that of a log."""
    folder = path.absolute().parent
    if not _FOLDER.fullmatch(folder.name):
        return []
    found = folder.parent.glob(f"*run-*/{path.name}")
    return [other for other in found if other != path.absolute() and _FOLDER.fullmatch(other.parent.name)]


def _stamp(path: Path) -> str:
    found = _FOLDER.fullmatch(path.parent.name)
    return found[1] if found else ""


@dataclass(slots=True)
class _Known:
    """What is known of a run while its logs are read."""

    config: dict[str, object] = field(default_factory=dict)
    summary: dict[str, object] = field(default_factory=dict)
    logged: set[str] = field(default_factory=set)
    axes: dict[str, dict[str, object]] = field(default_factory=dict)
    group: str = ""
    sweep: str = ""
    notes: str = ""
    tags: tuple[str, ...] = ()
    code: dict[str, object] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    started: float = 0.0
    exit_code: int | None = None
    step: int = -1
    at: float = 0.0
    version: str = ""
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Run:
    """The logs of one run, oldest first."""

    paths: tuple[Path, ...]

    def read(self, log: Log) -> Facts:
        known = _Known()
        for path in self.paths:
            known.exit_code = None
            self._read_file(path, known, log)
        left = {key: value for key, value in known.summary.items() if key not in known.logged and key[:1] != "_"}
        log.scalars(left, max(0, known.step), known.at or None)
        for pattern, axis in known.axes.items():
            log.record(Kind.LIFECYCLE, "metric", {"pattern": pattern, **axis}, None, None)
        return _facts(known)

    def _read_file(self, path: Path, known: _Known, log: Log) -> None:
        is_later, file = known.step >= 0, WandbLog(path)
        for raw, size in file.records():
            log.advance(size)
            try:
                for number, message in fields(raw):
                    if isinstance(message, bytes):
                        is_later = _take(number, message, known, log, path, is_later=is_later)
            except (ValueError, TypeError) as error:
                log.left_out[f"record that cannot be read ({type(error).__name__})"] += 1
        if file.torn_bytes:
            known.warnings.append(f"{path.name}: the last {file.torn_bytes:,} bytes are no whole record")


def _take(number: int, message: bytes, known: _Known, log: Log, path: Path, *, is_later: bool) -> bool:
    """Account for a record; return whether the next history is the first of a folder that goes on with a run."""
    if number == _HISTORY:
        _history(message, known, log, path, is_later=is_later)
        return False
    if number in (_CONFIG, _SUMMARY):
        _update(known.config if number == _CONFIG else known.summary, message)
    elif number == _STATS:
        _stats(message, known, log)
    elif number in (_OUTPUT, _RAW):
        _console(message, log)
    elif number == _ARTIFACT:
        log.left_out["artifact"] += 1
    elif number == _ALERT:
        title, text = (one(message, n).decode(errors="replace") for n in (1, 2))
        payload = {"text": text, "level": "warning", "reason": "alert"}
        log.record(Kind.ALERT, title or "alert", payload, max(0, known.step), known.at or None)
    elif number == _METRIC:
        _metric(message, known)
    elif number == _RUN:
        _about(message, known)
    elif number == _ENVIRONMENT:
        _environment(message, known)
    elif number == _EXIT:
        known.exit_code = whole(message, 1) or 0
    elif number == _HEADER:
        known.version = one(one(message, 1), 1).decode(errors="replace") or known.version
    return is_later


def _items(message: bytes, number: int = 1) -> list[Item]:
    return [item(raw) for field_, raw in fields(message) if field_ == number and isinstance(raw, bytes)]


def _history(message: bytes, known: _Known, log: Log, path: Path, *, is_later: bool) -> None:
    values: dict[str, object] = {}
    _update(values, message)  # what is nested comes in parts
    own = {key: values.pop(key, None) for key in _OWN}
    step = whole_step(own["_step"])
    if step is None:
        step = whole(one(message, 2), 1)
    step = known.step + 1 if step is None else step
    if is_later and step <= known.step:
        log.restart(step)
    known.step = step
    at = own["_timestamp"]
    known.at = float(at) if isinstance(at, int | float) and at > 0 else known.at or known.started
    known.logged.update(values)
    files = path.parent / "files"
    plain: dict[str, object] = {}
    for name, value in flat(values, ".", is_whole=lambda value: "_type" in value):
        if isinstance(value, dict):
            record_media(name, value, files, (step, known.at), log)
        else:
            plain[name] = value
    log.scalars(plain, step, known.at or None)


def _update(values: dict[str, object], message: bytes) -> None:
    """Change what a config or summary holds."""
    for found in _items(message):
        *above, name = found.path
        inside = values
        for key in above:
            below = inside.get(key)
            if not isinstance(below, dict):
                inside[key] = below = {}
            inside = below
        inside[name] = found.value
    for found in _items(message, 2):
        if len(found.path) == 1:
            values.pop(found.path[0], None)


def _stats(message: bytes, known: _Known, log: Log) -> None:
    values = {f"system/{'.'.join(found.path)}": found.value for found in _items(message, 3)}
    log.scalars(values, max(0, known.step), timestamp(one(message, 2)) or None)


def _console(message: bytes, log: Log) -> None:
    line = one(message, 3).decode(errors="replace")
    with (log.root / "console.log").open("a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(log.text(line) if line.endswith("\n") else f"{log.text(line)}\n")


def _metric(message: bytes, known: _Known) -> None:
    name = one(message, 1).decode(errors="replace") or one(message, 2).decode(errors="replace")
    if not name or name.startswith("_"):
        return
    axis = one(message, 4).decode(errors="replace")
    summary = one(message, 7)
    said = next((word for number, word in ((1, "min"), (2, "max")) if whole(summary, number)), "")
    best = _GOALS.get(whole(message, 8) or 0, said)
    if axis or best:
        known.axes[name] = {"axis": "step" if axis in ("", "_step") else axis, "best": best}


def _about(message: bytes, known: _Known) -> None:
    texts = {number: one(message, number).decode(errors="replace") for number in (6, 9, 12)}
    known.group, known.sweep = texts[6] or known.group, texts[12] or known.sweep
    known.notes = texts[9] or known.notes
    tags = [raw.decode(errors="replace") for n, raw in fields(message) if n == 10 and isinstance(raw, bytes)]
    known.tags = tuple(dict.fromkeys((*known.tags, *tags)))
    known.started = known.started or timestamp(one(message, 17))
    _update(known.config, one(message, 4))
    _update(known.summary, one(message, 5))
    _git(one(message, 21), known)


def _environment(message: bytes, known: _Known) -> None:
    if program := one(message, 6).decode(errors="replace"):
        words = [raw.decode(errors="replace") for n, raw in fields(message) if n == 5 and isinstance(raw, bytes)]
        known.command = (program, *words)
    _git(one(message, 9), known)


def _git(message: bytes, known: _Known) -> None:
    if commit := one(message, 2).decode(errors="replace"):
        known.code = {"commit": commit, "remote": one(message, 1).decode(errors="replace")}


def _facts(known: _Known) -> Facts:
    ended = known.exit_code
    state: State = "lost" if ended is None else "failed" if ended else "finished"
    reason = "the log has no end" if ended is None else f"exit code {ended}" if ended else "finished"
    return Facts(
        state=state,
        reason=reason,
        exit_code=ended,
        started=known.started or None,
        config={key: _plain(value) for key, value in known.config.items() if key not in ("_wandb", "wandb_version")},
        tags=known.tags,
        notes=(known.notes,) if known.notes else (),
        group=known.group,
        sweep={"id": known.sweep, "number": 0, "of": 0, "values": {}} if known.sweep else {},
        command=known.command,
        code=known.code,
        version=f"wandb {known.version}".strip(),
        warnings=tuple(known.warnings),
    )


def _plain(value: object) -> object:
    """Return a config value; older clients wrapped each with a description."""
    if isinstance(value, dict) and value.keys() == {"desc", "value"}:
        return value["value"]
    return value
