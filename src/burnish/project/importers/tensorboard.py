"""TensorBoard's log folders: each that holds event files is a run.

Two plugins' content stays out: what is drawn by TensorBoard alone, and what Burnish has no kind for; it is counted.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # it has no stubs
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from burnish.core.errors import RunError
from burnish.project.importers.beside import name_of_folder
from burnish.project.importers.event_file import EventFile, begins
from burnish.project.importers.event_values import record_value
from burnish.project.importers.found import Facts, Found, State
from burnish.project.importers.log import Log

_STAMP: Final = re.compile(r"\d{9,11}\.\d+")
"""What `add_hparams` calls the folder that it makes: the time."""
_HPARAMS: Final = "hparams"
_STATUS: Final[dict[int, State]] = {1: "finished", 2: "failed", 3: "lost"}


def is_event_file(path: Path) -> bool:
    """Return whether TensorBoard would take a file for one of its own."""
    return "tfevents" in path.name


def look(files: Iterable[Path]) -> list[Path]:
    """Return the event files among some files."""
    return sorted(path for path in files if is_event_file(path))


def read(files: Iterable[Path], root: Path) -> Iterator[Found]:
    """Yield the run of each folder that holds event files.

    Args:
        files: Event files.
        root: What was asked for: names of runs are paths below it.
    """
    folders: dict[Path, list[Path]] = {}
    for path in files:
        folders.setdefault(path.absolute().parent, []).append(path)
    root = root.absolute() if root.is_dir() else root.absolute().parent
    for folder, found in folders.items():
        if not (_STAMP.fullmatch(folder.name) and folder.parent in folders):
            inner = [
                p
                for below, ps in folders.items()
                if below.parent == folder and _STAMP.fullmatch(below.name)
                for p in ps
            ]
            yield _found(folder, found, inner, root)


def _found(folder: Path, files: list[Path], hparams: list[Path], root: Path) -> Found:
    shown = folder.relative_to(root).as_posix() if folder.is_relative_to(root) else "."
    experiment = name_of_folder(root)
    name = experiment if shown == "." else shown
    files = sorted(files, key=lambda path: path.name)
    digest = hashlib.sha256(f"{files[0].name}\0".encode(errors="backslashreplace") + begins(files[0])).hexdigest()
    size = max(1, sum(path.stat().st_size for path in (*files, *hparams)))
    reader = _Folder(tuple(files), tuple(sorted(hparams)))
    return Found("tensorboard", str(folder), experiment, name, reader.read, id=digest[:32], size=size)


@dataclass(slots=True)
class _State:
    """What is known of a run while its files are read.

    Attributes:
        plugins: Whose each tag is; told with its first value only.
        config: Hyperparameters.
    """

    plugins: dict[str, str] = field(default_factory=dict)
    config: dict[str, object] = field(default_factory=dict)
    state: State = "finished"
    ended: float | None = None
    started: float | None = None
    version: str = ""
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Folder:
    """The event files of a run, in the order in which TensorBoard reads them."""

    files: tuple[Path, ...]
    hparams: tuple[Path, ...]

    def read(self, log: Log) -> Facts:
        known, is_read = _State(), False
        for path in (*self.files, *self.hparams):
            file = EventFile(path)
            for raw, size in file.records():
                log.advance(size)
                is_read = True
                try:
                    _take(Event.FromString(raw), known, log)
                except (DecodeError, ValueError, TypeError, OverflowError) as error:
                    log.left_out[f"event that cannot be read ({type(error).__name__})"] += 1
            if file.torn_bytes:
                known.warnings.append(f"{path.name}: the last {file.torn_bytes:,} bytes are no whole record")
        if not is_read:
            raise RunError("no whole event is in it", origin=str(self.files[0].absolute().parent))
        return Facts(
            state=known.state,
            reason="finished" if known.state == "finished" else f"TensorBoard's session is {known.state}",
            started=known.started,
            ended=known.ended,
            config=known.config,
            version=known.version,
            warnings=tuple(known.warnings),
        )


def _take(event: Event, known: _State, log: Log) -> None:
    what = event.WhichOneof("what")
    if what == "summary":
        for value in event.summary.value:
            _value(value, event, known, log)
    elif what == "session_log":
        if event.session_log.status == SessionLog.START:
            log.restart(event.step)
    elif what == "file_version":
        known.version = known.version or event.file_version
    elif what is not None:
        log.left_out[what.replace("_", " ")] += 1


def _value(value: Summary.Value, event: Event, known: _State, log: Log) -> None:
    plugin = value.metadata.plugin_data.plugin_name or known.plugins.get(value.tag, "")
    known.plugins[value.tag] = plugin
    if plugin == _HPARAMS:
        _hparams(value.metadata.plugin_data.content, known, log)
    else:
        record_value(value, plugin, event, log)


def _hparams(content: bytes, known: _State, log: Log) -> None:
    """Take what the HParams plugin says of a session: its hyperparameters, begin and end."""
    told = HParamsPluginData.FromString(content)
    what = told.WhichOneof("data")
    if what == "session_start_info":
        session = told.session_start_info
        for name, value in session.hparams.items():
            kind = value.WhichOneof("kind")
            found = getattr(value, kind) if kind in ("bool_value", "number_value", "string_value") else None
            known.config[name] = int(found) if isinstance(found, float) and found.is_integer() else found
        known.started = session.start_time_secs or None
    elif what == "session_end_info":
        known.state = _STATUS.get(told.session_end_info.status, "finished")
        known.ended = told.session_end_info.end_time_secs or None
    elif what != "experiment":
        log.left_out["hparams record"] += 1
