"""The points of a run as each tracker's own reader shows them: `(name, step, value)`, as often as they are there."""

from __future__ import annotations

import json
import logging
import math
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from burnish.core.paths import RunPaths
from burnish.journal import JournalReader, Row
from burnish.journal.parquet import read_metrics
from burnish.journal.reader import SYSTEM_RANK, JournalName, journal_files
from burnish.journal.series import Series, load_scalars

Points = Counter[tuple[str, int, float | None]]
"""How often each point is there; NaN, which equals nothing, is None."""


def journal_points(run: RunPaths) -> Points:
    """Return the points of rank 0 and of the machine, those of replayed steps once."""
    return _points((name, series) for name, rank, series in load_scalars(run.journals) if rank in (0, SYSTEM_RANK))


def parquet_points(run: RunPaths) -> Points:
    """Return the same of a run that has ended, from its `metrics.parquet`."""
    return _points(read_metrics(run.metrics, lambda name: True, (SYSTEM_RANK, 0)).items())


def tensorboard_points(run: RunPaths) -> Points:
    """Return what TensorBoard's own reader shows, the folder of the machine included; values have 32 bits."""
    from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    logging.getLogger("tensorboard").setLevel(logging.ERROR)  # it tells of each resume
    found: Points = Counter()
    for folder in {path.parent for path in (run.root / "tensorboard").rglob("events.out.tfevents.*")}:
        events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
        events.Reload()
        scalars = events.PluginTagToContent("scalars") if "scalars" in events.ActivePlugins() else {}
        for name in scalars:
            for event in events.Tensors(name):
                found[name, event.step, comparable(float(make_ndarray(event.tensor_proto)))] += 1
    return found


def mlflow_points(run: RunPaths, uri: str) -> Points:
    """Return what MLflow's client shows; infinities are the largest numbers there."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    (shown,) = client.search_runs(experiments, f"tags.`burnish.run` = '{run.name}'")
    found: Points = Counter()
    for name in shown.data.metrics:
        for point in client.get_metric_history(shown.info.run_id, name):
            found[name, point.step, comparable(point.value)] += 1
    return found


def wandb_points(run: RunPaths) -> Points:
    """Return what W&B's own reader shows of the logs in a run's folder; `step` is the training step.

    A row holds pictures and tables besides, as several numbers each: what no journal calls a metric is left out.
    """
    found: Points = Counter()
    metrics = set(load_scalars(run.journals).names)
    for file in sorted(run.root.glob("wandb/*run-*/*.wandb")):
        for row in _history(file):
            step = int(str(row.get("step", row.get("_step"))))
            for name, value in row.items():
                if name in metrics and (number := _number(value)) is not None:
                    found[name, step, comparable(number)] += 1
    return found


def float32(points: Points) -> Points:
    """Return points with values of 32 bits, as TensorBoard keeps them."""
    found: Points = Counter()
    with np.errstate(over="ignore"):
        for (name, step, value), count in points.items():
            found[name, step, None if value is None else float(np.float32(value))] += count
    return found


def without_infinities(points: Points) -> Points:
    """Return points with the largest numbers for infinities, as MLflow keeps them."""
    found: Points = Counter()
    for (name, step, value), count in points.items():
        is_odd = value is not None and math.isinf(value)
        found[name, step, math.copysign(sys.float_info.max, value or 0) if is_odd else value] += count
    return found


def superseded_steps(run: RunPaths) -> set[int]:
    """Return the steps that more than one process of rank 0 logged: a tracker that takes nothing back has both."""
    seen: Counter[int] = Counter()
    for path in journal_files(run.journals):
        if JournalName.parse(path).rank == 0:
            reader = JournalReader(path)
            seen.update({entry.step for entry in reader.read_all() if isinstance(entry, Row)})
            reader.close()
    return {step for step, processes in seen.items() if processes > 1}


def comparable(value: float) -> float | None:
    """Return a value that equals itself.

    >>> comparable(math.nan), comparable(0.5)
    (None, 0.5)
    """
    return None if math.isnan(value) else value


def _points(metrics: Iterable[tuple[str, Series]]) -> Points:
    found: Points = Counter()
    for name, series in metrics:
        values = map(comparable, series.value.tolist())
        found.update((name, step, value) for step, value in zip(series.step.tolist(), values, strict=True))
    return found


def _history(file: Path) -> Iterator[dict[str, object]]:
    words = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(file)]
    told = subprocess.run(words, capture_output=True, text=True, check=True)
    for line in told.stdout.splitlines():
        record = json.loads(line)
        if record.get("type") == "history":
            yield record["history"]["item"]


def _number(value: object) -> float | None:
    """Return a number as W&B writes it; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None
