"""A run at MLflow: found again by a tag of ours, or made, with its place among experiments and sweeps.

https://mlflow.org/docs/latest/ml/tracking/
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

# What a sink's process waits for is no reason to hang: the shipper tries again, later each time.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from burnish.core.files import FileLock
from burnish.sinks.about import About
from burnish.sinks.base import Gone, Refused
from burnish.sinks.mlflow.database import make_database

if TYPE_CHECKING:
    from mlflow.entities import Run as MLflowRun

T = TypeVar("T")

KEY: Final = "burnish.key"
"""The tag by which a run is found again."""
SWEEP: Final = "burnish.sweep"
_OF_TRAINING: Final = {"mlflow.experimentKind": "custom_model_development"}
"""Without it MLflow's page shows an experiment as one of chat traces."""
_PARENT: Final = "mlflow.parentRunId"
_MOST_METRICS: Final = 1_000
_MOST_PARAMS: Final = 100
_MOST_TAG: Final = 5_000
_NOT_THERE: Final = "RESOURCE_DOES_NOT_EXIST"
_INVALID: Final = "INVALID_PARAMETER_VALUE"


@dataclass(frozen=True, slots=True)
class Place:
    """Where runs go.

    Attributes:
        uri: The tracking URI.
        experiment: The experiment's name.
        files: Where a database that is used without a server keeps artifacts; None for what a server decides.
        lock: A file of the project, held while a sweep is looked for and made.
    """

    uri: str
    experiment: str
    files: Path | None
    lock: Path


class Home:
    """One run at MLflow.

    Args:
        place: Where runs go.
        about: The run.
        run_id: What MLflow calls it, where that is known.
        alive: Called after each request.

    Raises:
        Gone: It is known, and not there any more.
        Refused: It was deleted there by hand.
    """

    def __init__(
        self, place: Place, about: About, run_id: str = "", *, alive: Callable[[], None] = lambda: None
    ) -> None:
        if place.files is not None:
            make_database(place.uri, place.files)
        self._client = MlflowClient(tracking_uri=place.uri)
        self._place = place
        self._alive = alive
        found = self._get(run_id) if run_id else self._find(about) or self._make(about)
        self.run_id: str = found.info.run_id
        self.experiment_id: str = found.info.experiment_id
        self._status: str = found.info.status
        self.params: Mapping[str, str] = found.data.params

    def begin(self) -> None:
        """Let a run that had ended go on."""
        if self._status != "RUNNING":
            self._client.update_run(self.run_id, status="RUNNING")
            self._status = "RUNNING"

    def log_metrics(self, points: Iterable[Metric]) -> int:
        """Send points; return how many MLflow refuses, for reasons of its own.

        Raises:
            Gone: The run is not there any more.
        """
        refused = 0
        for some in _batches(points, _MOST_METRICS):
            try:
                self._log(metrics=some)
            except MlflowException as error:
                if error.error_code != _INVALID:
                    raise
                self._get(self.run_id)  # one that was deleted refuses everything, and in the same words
                refused += sum(not self._takes(point) for point in some)
        return refused

    def log_params(self, params: Mapping[str, str]) -> int:
        """Tell the params that are not told yet; return how many cannot be, since MLflow has another value."""
        new = {key: value for key, value in params.items() if key not in self.params}
        for some in _batches(new.items(), _MOST_PARAMS):
            self._log(params=[Param(key, value) for key, value in some])
        self.params = {**self.params, **new}
        return sum(self.params[key] != value for key, value in params.items())

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags, each cut to what MLflow takes."""
        for some in _batches(tags.items(), _MOST_PARAMS):
            self._log(tags=[RunTag(key, value[:_MOST_TAG]) for key, value in some])

    def send(self, file: Path, folder: str) -> None:
        """Upload a file, or a folder with all that is in it, under its own name."""
        self._client.log_artifact(self.run_id, str(file), folder or None)
        self._alive()

    def end(self, status: str, ended: float, about: About) -> None:
        """Say how the run ended, and close its sweep where it was the last one."""
        self._client.set_terminated(self.run_id, status, end_time=milliseconds(ended))
        self._status = status
        parent = self._client.get_run(self.run_id).data.tags.get(_PARENT)
        if parent:
            self._end_sweep(parent, about, ended)

    def _log(
        self,
        metrics: list[Metric] | None = None,
        params: list[Param] | None = None,
        tags: list[RunTag] | None = None,
    ) -> None:
        try:
            self._client.log_batch(self.run_id, metrics or [], params or [], tags or [], synchronous=True)
        except MlflowException as error:
            if error.error_code == _NOT_THERE:
                raise Gone(f"MLflow has no run {self.run_id}") from error
            raise
        self._alive()

    def _takes(self, point: Metric) -> bool:
        try:
            self._log(metrics=[point])
        except MlflowException as error:
            if error.error_code != _INVALID:
                raise
            return False
        return True

    def _get(self, run_id: str) -> MLflowRun:
        try:
            found = self._client.get_run(run_id)
        except MlflowException as error:
            if error.error_code == _NOT_THERE:
                raise Gone(f"MLflow has no run {run_id}") from error
            raise
        if found.info.lifecycle_stage == "deleted":
            raise Refused(f"the run was deleted in MLflow ({run_id}): restore it there, or burnish sync --from-start")
        return found

    def _find(self, about: About) -> MLflowRun | None:
        experiment = self._client.get_experiment_by_name(self._place.experiment)
        if experiment is None:
            return None
        return self._first(experiment.experiment_id, f"tags.`{KEY}` = '{_key(about)}'")

    def _first(self, experiment_id: str, condition: str) -> MLflowRun | None:
        """Return the run that meets a condition; of several that were made at once, the same one to everybody."""
        found = self._client.search_runs([experiment_id], condition, ViewType.ACTIVE_ONLY, max_results=100)
        return min(found, key=lambda run: (run.info.start_time, run.info.run_id), default=None)

    def _make(self, about: About) -> MLflowRun:
        experiment_id = self._experiment()
        tags = {KEY: _key(about)}
        if sweep := str(about.sweep.get("id") or ""):
            tags |= {_PARENT: self._sweep(experiment_id, sweep, about), SWEEP: sweep}
        return self._client.create_run(experiment_id, milliseconds(about.created), tags, about.name)

    def _experiment(self) -> str:
        name = self._place.experiment
        found = self._client.get_experiment_by_name(name)
        if found is None:
            try:
                where = (self._place.files / name).as_uri() if self._place.files else None
                made: str = self._client.create_experiment(name, where, dict(_OF_TRAINING))
                return made
            except MlflowException as error:  # another run's sink was faster
                found = self._client.get_experiment_by_name(name)
                if found is None:
                    raise error from None
        if found.lifecycle_stage == "deleted":
            hint = "restore it there, or name another one: tracking.sinks.mlflow.experiment"
            raise Refused(f"experiment {name!r} is deleted in MLflow: {hint}")
        known: str = found.experiment_id
        return known

    def _sweep(self, experiment_id: str, sweep: str, about: About) -> str:
        """Return the run under which those of a sweep are shown; only one is left of those made at once."""
        with FileLock.acquire(self._place.lock):  # the runs of a sweep of this project begin one after the other
            return self._found_sweep(experiment_id, sweep, about)

    def _found_sweep(self, experiment_id: str, sweep: str, about: About) -> str:
        condition = f"tags.`{KEY}` = 'sweep {_quoted(sweep)}'"
        if (found := self._first(experiment_id, condition)) is not None:
            return str(found.info.run_id)
        tags = {KEY: f"sweep {_quoted(sweep)}", SWEEP: sweep}
        made = self._client.create_run(experiment_id, milliseconds(about.created), tags, f"sweep {sweep}")
        first = self._first(experiment_id, condition) or made
        if first.info.run_id != made.info.run_id:
            self._client.delete_run(made.info.run_id)
        return str(first.info.run_id)

    def _end_sweep(self, parent: str, about: About, ended: float) -> None:
        condition = f"tags.`{_PARENT}` = '{_quoted(parent)}'"
        of = about.sweep.get("of")
        children = self._client.search_runs([self.experiment_id], condition, ViewType.ACTIVE_ONLY, max_results=5_000)
        over = [run for run in children if run.info.status != "RUNNING"]
        if isinstance(of, int) and len(over) >= of:
            status = "FINISHED" if all(run.info.status == "FINISHED" for run in over) else "FAILED"
            self._client.set_terminated(parent, status, end_time=milliseconds(ended))


def point(key: str, value: float, at: float, step: int) -> Metric:
    """Return a point as MLflow's client takes it.

    Args:
        key: Its name.
        value: Its value.
        at: Seconds since the epoch.
        step: The training step.
    """
    return Metric(key, value, milliseconds(at), step)


def _batches(values: Iterable[T], size: int) -> Iterator[list[T]]:
    left = iter(values)
    while some := list(islice(left, size)):
        yield some


def _key(about: About) -> str:
    return _quoted(f"{about.name} {about.created:.6f}")


def _quoted(text: str) -> str:
    return text.replace("'", "_")


def milliseconds(seconds: float) -> int:
    """Return a time as MLflow has it; it knows none before 1970."""
    return max(0, int(seconds * 1000))
