"""What shipping costs, and what it costs training: `python benchmarks/sinks.py`.

A: points a second and CPU a point into each tracker, by Burnish's sink and by the tracker's own client. B: training's
step time with all three sinks on, beside none. C: the same while MLflow's server fails. Every point is read back by
the tracker's own reader and compared before a time is printed.

This file's folder hides the standard library's `logging`: all that runs apart runs as `python -m benchmarks._shipping`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # not this folder, for the reason above

from tests.sinks.mlflow_server import Proxy, Server  # noqa: E402  not before the path is right

from benchmarks._shipping.measure import Store  # noqa: E402
from benchmarks._shipping.rounds import CASES, HTTP, SQLITE, Case, Costs, measure_ways, read_back, task  # noqa: E402
from benchmarks._shipping.steps import AGAIN, ALL, FAILURES, NONE, SINKS, Figures, Plan, Trackers, timed_run  # noqa: E402
from benchmarks._shipping.tables import COMPARED, ratios, ratios_table, steps_table, ways_table  # noqa: E402

PARTS = ("A", "B", "C")
STEP_MS = 20.0
SETTLE_S = 5.0
"""A run goes on for so long at least before its steps are timed, and until its sinks are about as far as training."""
SEED = 5


def main() -> None:
    """Measure and print."""
    told = _parse()
    absent = [name for name in (*SINKS, "torch") if find_spec(name) is None]
    if set(absent) & set(SINKS):
        sys.exit(f"{', '.join(absent)}: not installed; pip install 'burnish[tensorboard,mlflow,wandb]'")
    cases, kinds = _wanted(told.only or [], absent)
    costs: dict[Case, Costs] = {}
    runs: dict[str, list[Figures]] = {}
    with tempfile.TemporaryDirectory(prefix="burnish-bench-", ignore_cleanup_errors=True) as folder:
        base = Path(folder)
        server = Server(base)
        try:
            server.start()
            assert server.process is not None
            os.setpriority(os.PRIO_PGRP, server.process.pid, 19)  # it stands for one on another machine
            if cases:
                costs = _measure_ways(cases, base, server, steps=told.rows, rounds=told.rounds)
            if kinds:
                runs = _time_steps(kinds, base, server, steps=told.steps, pairs=told.pairs)
        finally:
            server.stop()
    versions = {"python": platform.python_version()}
    versions |= {name: version(name) for name in ("burnish", *SINKS, "torch") if name not in absent}
    if told.json:
        sizes = {name: getattr(told, name) for name in ("rows", "rounds", "steps", "pairs")}
        print(json.dumps({"versions": versions, **sizes, **_as_json(costs, runs)}))
        return
    print(", ".join(f"{name} {number}" for name, number in versions.items()) + "; every point read back")
    if costs:
        print(f"\n{told.rows:,} rows of 10 metrics, {told.rounds} rounds\n{ways_table(costs)}")
    if runs:
        print(f"\n{told.steps:,} steps of {STEP_MS:g} ms in each run\n{steps_table(runs)}\n\n{ratios_table(runs)}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What shipping to trackers costs, and what it costs training.")
    parser.add_argument("--rows", type=int, default=20_000, help="A: rows that are shipped; MLflow gets a tenth")
    parser.add_argument("--rounds", type=int, default=3, help="A: processes for each way")
    parser.add_argument("--steps", type=int, default=500, help="B, C: steps that are timed in each run")
    parser.add_argument("--pairs", type=int, default=6, help="B: runs of each kind; C has two thirds of it")
    names = f"{', '.join(PARTS)}, {', '.join(SINKS)}, {', '.join(FAILURES)}"
    parser.add_argument("--only", nargs="+", metavar="NAME", help=f"of {names}: parts, trackers of A, failures of C")
    parser.add_argument("--quick", action="store_true", help="2,000 rows, 100 steps, one of each")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    told = parser.parse_args()
    if told.quick:
        told.rows, told.rounds, told.steps, told.pairs = 2_000, 1, 100, 1
    if unknown := set(told.only or ()) - {*PARTS, *SINKS, *FAILURES}:
        parser.error(f"--only: no {', '.join(sorted(unknown))}; there are {names}")
    return told


def _wanted(only: Sequence[str], absent: Sequence[str]) -> tuple[list[Case], list[str]]:
    """Return the ways to measure, and the kinds of runs."""
    sinks, failures = set(SINKS).intersection(only), [name for name in FAILURES if name in only]
    parts = set(PARTS).intersection(only)
    if not parts:
        parts = {"A"} if sinks else set()
        parts |= {"C"} if failures else set()
    parts = parts or set(PARTS)
    cases = [case for case in CASES if "A" in parts and (not sinks or case.tracker in sinks)]
    kinds = [NONE] if parts & {"B", "C"} else []
    kinds += [AGAIN, ALL] if "B" in parts else []
    kinds += (failures or FAILURES) if "C" in parts else []
    return [case for case in cases if case.way != "SummaryWriter" or "torch" not in absent], kinds


def _measure_ways(cases: Sequence[Case], base: Path, server: Server, *, steps: int, rounds: int) -> dict[Case, Costs]:
    local = base / "store" / "mlflow.db"
    local.parent.mkdir()
    assert server.process is not None
    at = {SQLITE: Store(f"sqlite:///{local}", local), HTTP: Store(server.uri, server.database, server.process.pid)}
    return measure_ways(cases, base, lambda place: at.get(place, at[SQLITE]), steps, rounds)


def _time_steps(
    kinds: Sequence[str], base: Path, server: Server, *, steps: int, pairs: int
) -> dict[str, list[Figures]]:
    """Do runs of all kinds, in blocks of one of each in random order; read back what those with sinks shipped."""
    work_bytes = int(task(["calibrate", "--step-ms", str(STEP_MS)])["bytes"])
    plan = Plan(steps, work_bytes, settle_s=SETTLE_S)
    found: dict[str, list[Figures]] = {kind: [] for kind in kinds}
    folders: list[tuple[Path, int]] = []
    order = random.Random(SEED)
    proxy = Proxy(server.port)
    try:
        for turn in range(pairs):
            block = [kind for kind in kinds if kind not in FAILURES or 3 * turn < 2 * pairs]
            order.shuffle(block)
            for kind in block:
                print(f"training: pair {turn + 1} of {pairs}, {kind}", file=sys.stderr)
                folder = base / f"{kind.replace(' ', '-')}-{turn}"
                folder.mkdir()
                found[kind].append(timed_run(kind, folder, plan, Trackers(server, proxy)))
                if kind not in (NONE, AGAIN):
                    folders.append((folder, int(found[kind][-1]["steps"])))
    finally:
        proxy.close()
    for tracker in SINKS if folders else ():
        print(f"reading back: {tracker}, {len(folders)} runs", file=sys.stderr)
        read_back(tracker, [folder for folder, _ in folders], server.uri, [logged for _, logged in folders])
    return found


def _as_json(costs: dict[Case, Costs], runs: dict[str, list[Figures]]) -> dict[str, object]:
    ways = [{**asdict(case), **asdict(cost)} for case, cost in costs.items()]
    compared = {}
    for figure in COMPARED if runs else ():
        compared[figure] = {kind: asdict(ratio) for kind, ratio in ratios(runs, figure).items()}
    return {"ways": ways, "runs": runs, "ratios": compared}


if __name__ == "__main__":
    main()
