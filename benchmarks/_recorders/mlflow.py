"""MLflow's client with a local SQLite database."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks._recorders.base import Recorder, Row


class MLflow(Recorder):
    """`MlflowClient.log_batch` with 1,000 metrics a call, the most that it takes: a call each hundred rows."""

    files = "mlflow.db*"
    batch_rows = 100

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._metric = import_module("mlflow.entities").Metric
        self._client = _client(folder)
        experiment = self._client.create_experiment("bench", artifact_location=folder.as_uri())
        self._run_id = self._client.create_run(experiment).info.run_id
        self._held: list[Any] = []
        self._rows = 0

    def log(self, values: Row, step: int) -> None:
        now = int(time.time() * 1000)
        self._held += [self._metric(name, value, now, step) for name, value in values.items()]
        self._rows += 1
        if self._rows >= self.batch_rows:
            self._send()

    def close(self) -> None:
        self._send()
        self._client.set_terminated(self._run_id)

    def _send(self) -> None:
        self._client.log_batch(self._run_id, self._held)
        self._held, self._rows = [], 0

    @classmethod
    def read(cls, folder: Path) -> Iterator[tuple[int, Row]]:
        client = _client(folder)
        experiment = client.get_experiment_by_name("bench").experiment_id
        rows: dict[int, Row] = {}
        for run in client.search_runs([experiment]):
            for name in run.data.metrics:
                for metric in client.get_metric_history(run.info.run_id, name):
                    rows.setdefault(metric.step, {})[name] = metric.value
        yield from sorted(rows.items())

    @classmethod
    def steps(cls, folder: Path) -> set[int]:
        """Ask the database itself: the client would take longer than a row does."""
        database = sqlite3.connect(f"file:{folder / 'mlflow.db'}?mode=ro", uri=True)
        try:
            return {step for (step,) in database.execute("SELECT DISTINCT step FROM metrics")}
        finally:
            database.close()


class MLflowRows(MLflow):
    """`MlflowClient.log_batch` with one row a call."""

    batch_rows = 1


def _client(folder: Path) -> Any:
    return import_module("mlflow").MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
