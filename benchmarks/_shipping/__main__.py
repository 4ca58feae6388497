"""Does one task; the result, where there is one, is one JSON object."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path

from benchmarks._shipping.measure import Store, measure, measure_all
from benchmarks._shipping.readers import check
from benchmarks._shipping.training import calibrate, train
from benchmarks._shipping.ways import WAYS


def main() -> None:
    """Do it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=("measure", "measure-one", "check", "train", "calibrate"))
    parser.add_argument("folders", type=Path, nargs="*")
    parser.add_argument("--tracker", default="")
    parser.add_argument("--way", default="")
    parser.add_argument("--uri", default="")
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--each", type=int, nargs="+", help="steps of each folder, where they are not all alike")
    parser.add_argument("--database", type=Path, default=Path("none"), help="file of MLflow's database")
    parser.add_argument("--server", type=int, default=0, help="process id of MLflow's server")
    parser.add_argument("--work-bytes", type=int, default=0)
    parser.add_argument("--step-ms", type=float, default=0.0)
    told = parser.parse_args()
    if told.task == "measure":
        measure_all([sys.executable, "-m", "benchmarks._shipping", "measure-one", *sys.argv[2:]])
        return
    with redirect_stdout(sys.stderr):  # MLflow's client prints where to look at a run
        found = _do(told)
    if found:
        print(json.dumps(found), flush=True)


def _do(told: argparse.Namespace) -> Mapping[str, float]:
    if told.task == "measure-one":
        store = Store(told.uri, told.database, told.server)
        return measure(WAYS[told.tracker, told.way], told.folders[0], store, told.steps)
    if told.task == "check":
        steps = told.each or [told.steps] * len(told.folders)
        every = zip(told.folders, steps, strict=True)
        return {"points": sum(check(told.tracker, folder, told.uri, number) for folder, number in every)}
    if told.task == "calibrate":
        return {"bytes": calibrate(told.step_ms)}
    train(told.folders[0], told.steps, told.work_bytes)
    return {}


if __name__ == "__main__":
    main()
