"""What a folder or a server shows of a run, by each tracker's own reader."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks._recorders.base import NAMES
from benchmarks._shipping.points import Point, compare

EVENTS, LOGS = "events.out.tfevents.*", "*.wandb"
_KNOWN = frozenset(NAMES)


def check(tracker: str, folder: Path, uri: str, steps: int) -> int:
    """Compare what a tracker shows of a folder's run with the rows of the first steps; return the number of points.

    Args:
        tracker: Which one.
        folder: Holds the files; MLflow's experiment is called like it.
        uri: Where MLflow is.
        steps: How many rows were logged.
    """
    shown = _READERS[tracker](folder, uri)
    return compare(f"{tracker} in {folder.name}", shown, steps, single_precision=tracker == "tensorboard")


def _tensorboard(folder: Path, uri: str) -> Iterator[Point]:
    from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    for each in sorted({path.parent for path in folder.rglob(EVENTS)}):
        events: Any = EventAccumulator(str(each), size_guidance={"tensors": 0})
        events.Reload()
        scalars = events.PluginTagToContent("scalars") if "scalars" in events.ActivePlugins() else {}
        for name in _KNOWN.intersection(scalars):
            for event in events.Tensors(name):
                yield name, event.step, float(make_ndarray(event.tensor_proto))


def _mlflow(folder: Path, uri: str) -> Iterator[Point]:
    client: Any = import_module("mlflow").MlflowClient(uri)
    experiment = client.get_experiment_by_name(folder.name).experiment_id
    for run in client.search_runs([experiment]):
        for name in _KNOWN.intersection(run.data.metrics):
            for metric in client.get_metric_history(run.info.run_id, name):
                yield name, metric.step, metric.value


def _wandb(folder: Path, uri: str) -> Iterator[Point]:
    for file in sorted(folder.rglob(LOGS)):
        words = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(file)]
        told = subprocess.run(words, capture_output=True, text=True, check=True)
        for line in told.stdout.splitlines():
            record = json.loads(line)
            if record.get("type") != "history":
                continue
            row = record["history"]["item"]
            step = int(row.get("step", row.get("_step")))
            yield from ((name, step, float(row[name])) for name in _KNOWN.intersection(row))


_READERS: dict[str, Callable[[Path, str], Iterator[Point]]] = {
    "tensorboard": _tensorboard,
    "mlflow": _mlflow,
    "wandb": _wandb,
}
