"""A store of MLflow's that is asked through its client: a server, or a database that is no file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from burnish.core.errors import RunError
from burnish.core.secrets import Masker
from burnish.project.importers.mlflow_store import Point, Store, StoredRun, local_folder

if TYPE_CHECKING:
    from mlflow.entities import Run

T = TypeVar("T")

_PAGE: Final = 1_000
_TIMEOUTS: Final = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "30", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}


class ServerStore(Store):
    """One address. Who logs in is said by MLflow's own variables.

    Args:
        uri: The address.

    Raises:
        RunError: MLflow is not installed, or the address is none of its kinds.
    """

    def __init__(self, uri: str) -> None:
        self.shown = Masker.from_environment(os.environ).text(uri)
        for name, value in _TIMEOUTS.items():  # MLflow's own would wait for minutes where nobody answers
            os.environ.setdefault(name, value)
        try:
            from mlflow import MlflowClient
        except ImportError as error:
            raise RunError("mlflow is not installed", origin=self.shown, hint="pip install mlflow") from error
        self._client = self._asked(lambda: MlflowClient(tracking_uri=uri))

    def experiments(self) -> dict[str, str]:
        """Return the names of experiments by their ids."""
        found: dict[str, str] = {}
        token: str | None = None
        while True:
            page = self._asked(lambda: self._client.search_experiments(max_results=_PAGE, page_token=token))  # noqa: B023  asked at once
            found |= {str(experiment.experiment_id): str(experiment.name) for experiment in page}
            token = page.token
            if not token:
                return found

    def runs(self, experiments: Mapping[str, str]) -> Sequence[StoredRun]:
        """Return the runs of experiments."""
        found: list[StoredRun] = []
        token: str | None = None
        while experiments:
            page = self._asked(
                lambda: self._client.search_runs(
                    list(experiments),
                    max_results=_PAGE,
                    order_by=["attributes.start_time ASC"],
                    page_token=token,  # noqa: B023
                )
            )
            found += map(_stored, page)
            token = page.token
            if not token:
                break
        return found

    def points(self, run: str) -> Iterator[Point]:
        """Yield the points of a run by time."""
        names = self._asked(lambda: sorted(self._client.get_run(run).data.metrics))
        found: list[tuple[int, int, str, float]] = []
        for name in names:
            history = self._asked(lambda: self._client.get_metric_history(run, name))  # noqa: B023  asked at once
            found += [(int(p.timestamp), int(p.step), str(p.key), float(p.value)) for p in history]
        for at_ms, step, key, value in sorted(found, key=lambda point: point[:3]):
            yield key, value, at_ms, step

    def remote(self, run: StoredRun) -> str:
        """Return where files are that cannot be had from here, if there are any."""
        return run.artifact_uri if self._asked(lambda: self._client.list_artifacts(run.id)) else ""

    def _asked(self, ask: Callable[[], T]) -> T:
        """Return what MLflow answers.

        Raises:
            RunError: It does not.
        """
        try:
            return ask()
        except Exception as error:  # of its own, of its transport, of a database driver
            told = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise RunError(f"MLflow does not answer: {told[:300]}", origin=self.shown) from error


def _stored(run: Run) -> StoredRun:
    told = run.info
    return StoredRun(
        str(told.run_id),
        str(told.run_name or ""),
        str(told.experiment_id),
        str(told.status),
        int(told.start_time or 0),
        int(told.end_time or 0),
        dict(run.data.params),
        dict(run.data.tags),
        str(told.artifact_uri or ""),
        local_folder(str(told.artifact_uri or ""), None),
    )
