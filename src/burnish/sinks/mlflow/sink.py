"""MLflow: points with the journal's own times, by which MLflow itself drops what is sent twice.

What it cannot hold, and what becomes of it, is in `docs/concepts/sinks/mlflow.md`; each time is counted.
"""

from __future__ import annotations

import getpass
import math
import os
import posixpath
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Final

from burnish.core.paths import RunPaths, find_project
from burnish.core.shape import section
from burnish.journal import Record, Row
from burnish.journal.reader import SYSTEM_RANK
from burnish.sinks.about import About, read_about
from burnish.sinks.base import MAPPED, WHERE, Batch, Refused, Sink, SinkState
from burnish.sinks.mlflow.files import RunFiles
from burnish.sinks.mlflow.home import Home, Place, milliseconds, point
from burnish.sinks.names import Names, hashed
from burnish.sinks.replayed import Replayed

_STATUS: Final = {"finished": "FINISHED", "stopped": "KILLED"}
_LARGEST: Final = sys.float_info.max
_REFUSED: Final = re.compile(r"[^/\w.\- :]")
_MOST_KEY: Final = 250
_AT: Final = "_at_"
_MOST_PARAM: Final = 6_000
_Point = tuple[str, float, float, int]


class MLflowSink(Sink):
    """Ships a run to MLflow, by its own client.

    Args:
        uri: The tracking URI; by default `MLFLOW_TRACKING_URI`, else `mlflow.db` in the project's `.burnish`.
        experiment: The experiment; by default `MLFLOW_EXPERIMENT_NAME`, else what the run's experiment is called.
        artifacts: Whether files are sent too.
    """

    name: ClassVar[str] = "mlflow"
    batch_bytes: ClassVar[int] = 1 << 16

    def __init__(self, *, uri: str = "", experiment: str = "", artifacts: bool = True) -> None:
        self._uri = uri or os.environ.get("MLFLOW_TRACKING_URI", "")
        self._experiment = experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME", "")
        self._sends_files = artifacts

    def open(self, run: RunPaths, state: SinkState) -> None:
        """Find the run at MLflow, or make it."""
        self._run = run
        self._state: SinkState = {**state}
        about = read_about(run)
        place = self._place(about)
        self._refuse_another_place(state.get("place"), place)
        run_id = state.get("run_id")
        self._home = Home(place, about, run_id if isinstance(run_id, str) else "", alive=lambda: self.alive())
        self._mapped = Counter(section(self._state, MAPPED))
        self._names = Names(clean_name, may_meet, {name: str(new) for name, new in section(state, "names").items()})
        self._replayed = Replayed(run.journals, section(self._state, "replayed"))
        self._files = RunFiles(run, self._home, self._mapped, sends_files=self._sends_files)
        self._moment = 0
        self._said: set[tuple[str, int, float | None]] = set()
        self._told: dict[str, str] = {}
        self._state |= {
            "run_id": self._home.run_id,
            "place": _shown(place.uri),
            WHERE: _where(place.uri, self._home),
            MAPPED: self._mapped,
            "names": self._names.chosen,
            "replayed": self._replayed.state,
        }
        self._tell(about)

    def ship(self, batch: Batch) -> SinkState:
        """Send the batch's points and files."""
        if batch.rank not in (0, SYSTEM_RANK):
            return self._state
        self._home.begin()
        if not self._state.get("params") and self._run.config.exists():
            self._tell(read_about(self._run))
        points = [
            point(self._names[key], self._value(value), at, step)
            for key, value, at, step in self._points(batch)
            if not self._is_repeated(key, value, at, step)
        ]
        if refused := self._home.log_metrics(points):
            self._mapped["refused by MLflow"] += refused
        if changed := self._names.changed:
            self._mapped["name"] = changed
        self._tell_steps()
        return self._state

    def close(self, status: str) -> None:
        """Send the config and the card, and say how the run ended."""
        about = read_about(self._run)
        self._tell(about)
        self._tell_steps()
        self._files.of_run()
        ended = about.record.get("ended")
        at = float(ended) if isinstance(ended, int | float) else self._files.newest_time
        self._home.end(_STATUS.get(status, "FAILED"), at, about)

    def _place(self, about: About) -> Place:
        project = find_project(Path(str(about.record.get("project") or self._run.root)))
        home = project.home
        uri = self._uri or f"sqlite:///{home / 'mlflow.db'}"
        if uri.startswith("sqlite:///") and not uri.startswith("sqlite:////"):  # of the project, wherever one stands
            uri = f"sqlite:///{(project.root / uri.removeprefix('sqlite:///')).absolute()}"
        files = home / "mlruns" if uri.startswith("sqlite:") else None
        return Place(uri, self._experiment or about.experiment, files, self._run.root.parent / ".mlflow.lock")

    def _refuse_another_place(self, before: object, place: Place) -> None:
        """Refuse to begin anew elsewhere, only because whoever ships the rest has another environment.

        Raises:
            Refused: The run was shipped to another MLflow so far.
        """
        if isinstance(before, str) and before != _shown(place.uri):
            hint = (
                f"set MLFLOW_TRACKING_URI={before}, or ship all of it there: burnish sync {self._run.id} --from-start"
            )
            raise Refused(f"the run was shipped to {before} so far, and MLflow is now {_shown(place.uri)}: {hint}")

    def _points(self, batch: Batch) -> Iterator[_Point]:
        for entry in batch.entries:
            if isinstance(entry, Record):
                self._replayed.take(batch, entry)
                self._files.take(entry)
                continue
            row: Row = self._replayed.new(batch, entry)
            for key, value in zip(row.keys, row.values, strict=True):
                yield key, value, row.time, row.step

    def _value(self, value: float) -> float:
        if math.isinf(value):
            self._mapped["infinity"] += 1
            return math.copysign(_LARGEST, value)
        return value

    def _is_repeated(self, key: str, value: float, at: float, step: int) -> bool:
        """Count a point that MLflow takes for the one before: same name, step, value and millisecond."""
        if (moment := milliseconds(at)) != self._moment:
            self._moment = moment
            self._said.clear()
        mark = key, step, None if math.isnan(value) else value
        if mark in self._said:
            self._mapped["same point in one millisecond"] += 1
            return True
        self._said.add(mark)
        return False

    def _tell(self, about: About) -> None:
        """Set params and tags; what was told before stays."""
        if about.config and not self._state.get("params"):
            params = {self._names[path]: self._param(value) for path, value in about.config.items()}
            if changed := self._home.log_params(params):
                self._mapped["param that had another value"] = changed
            self._state["params"] = True
        tags = dict(_tags(about))
        if new := {key: value for key, value in tags.items() if self._told.get(key) != value}:
            self._home.set_tags(new)
            self._told |= new

    def _param(self, value: object) -> str:
        text = str(list(value)) if isinstance(value, tuple) else str(value)
        if len(text) > _MOST_PARAM:
            self._mapped["long param"] += 1
            return f"{text[: _MOST_PARAM - 1]}…"
        return text

    def _tell_steps(self) -> None:
        steps = ", ".join(f"{first}-{last}" for first, last in self._replayed.superseded)
        if steps and self._told.get("burnish.superseded") != steps:
            self._home.set_tags({"burnish.superseded": steps})
            self._told["burnish.superseded"] = steps


def clean_name(name: str) -> str:
    """Return a name of a metric or param that MLflow takes; one that it takes already comes back as it is.

    >>> [clean_name(name) for name in ("eval/pass@4", "acc[0]", "a//b", "größe")]
    ['eval/pass_at_4', 'acc_0__2f1ef2c7', 'a/b_206f76be', 'größe']
    """
    text = name.replace("@", _AT)
    safe = posixpath.normpath(_REFUSED.sub("_", text).lstrip("/") or "_")
    if safe == text and len(safe) <= _MOST_KEY and not safe.startswith("."):
        return safe
    return hashed(safe.lstrip("./")[: _MOST_KEY - 9], name)


def may_meet(name: str) -> bool:
    """Tell whether a name may be what another one is changed to."""
    return _AT in name


def _tags(about: About) -> Iterator[tuple[str, str]]:
    yield "burnish.run", about.name
    yield "mlflow.source.type", "LOCAL"
    if user := _user():
        yield "mlflow.user", user
    if about.command:
        yield "mlflow.source.name", " ".join([Path(about.command[0]).name, *about.command[1:]])
    for key, tag in (("commit", "mlflow.source.git.commit"), ("branch", "mlflow.source.git.branch")):
        if about.code.get(key):
            yield tag, str(about.code[key])
    if about.code.get("remote"):
        yield "mlflow.source.git.repoURL", str(about.code["remote"])
    if about.group:
        yield "burnish.group", about.group
    for word in about.tags:
        cleaned = clean_name(word)
        yield (f"_{cleaned}" if cleaned.startswith(("mlflow.", "burnish.")) else cleaned), "true"
    if notes := [str(note["text"]) for note in _notes(about)]:
        yield "mlflow.note.content", "\n\n".join(notes)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return ""


def _notes(about: About) -> Iterator[dict[str, object]]:
    notes = about.record.get("notes")
    for note in notes if isinstance(notes, list) else ():
        if isinstance(note, dict) and note.get("text"):
            yield note


def _shown(uri: str) -> str:
    """Return a URI without login and query, which may hold one."""
    scheme, slashes, rest = uri.partition("?")[0].partition("://")
    before, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{before.rpartition('@')[2]}{slash}{path}"


def _where(uri: str, home: Home) -> str:
    uri = _shown(uri)
    if not uri.startswith("http"):
        return f"{uri} run {home.run_id}"
    return f"{uri.rstrip('/')}/#/experiments/{home.experiment_id}/runs/{home.run_id}"
