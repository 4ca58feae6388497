"""Runs one recorder as told; the result is one JSON object."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from benchmarks._recorders.base import Recorder, whole_rows
from benchmarks._recorders.keeping import acknowledge, trickle, watch
from benchmarks._recorders.measure import measure
from benchmarks._recorders.mlflow import MLflow, MLflowRows
from benchmarks._recorders.ours import Burnish
from benchmarks._recorders.tensorboard import TensorBoard
from benchmarks._recorders.trackio import Trackio
from benchmarks._recorders.wandb import WandbOffline

RECORDERS: dict[str, type[Recorder]] = {
    "burnish": Burnish,
    "tensorboard": TensorBoard,
    "trackio": Trackio,
    "wandb": WandbOffline,
    "mlflow": MLflow,
    "mlflow-rows": MLflowRows,
}


def main() -> None:
    """Do one task."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=("measure", "count", "acknowledge", "trickle", "watch"))
    parser.add_argument("recorder", choices=RECORDERS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--acknowledge-to", type=int, default=1)
    told = parser.parse_args()
    kind, folder, steps = RECORDERS[told.recorder], told.folder, told.steps
    result = os.dup(1)
    os.dup2(2, 1)  # what a recorder prints is not the result
    value: dict[str, object] = {}
    if told.task == "acknowledge":
        acknowledge(kind, folder, steps, told.acknowledge_to)
    elif told.task == "trickle":
        trickle(kind, folder, steps)
    elif told.task == "watch":
        value = {**watch(kind, folder, steps), "files": kind.files}
    elif told.task == "measure":
        value = measure(kind, folder, steps)
    else:
        size = sum(path.stat().st_size for path in folder.glob(kind.files))
        value = {"rows": whole_rows(kind, folder), "bytes": size}
    with os.fdopen(result, "w") as out:
        json.dump(value, out)


if __name__ == "__main__":
    main()
