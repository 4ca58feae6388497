"""What one call of `Run.log` costs the training thread, and what is kept when: `python benchmarks/logging.py`.

Ten metrics that change each call, beside one `os.write` of an equally long frame and beside other recorders. Each
recorder runs in processes of its own, in turn, round after round; times are printed only after every point was
read back and compared.

This file's name hides the standard library's `logging` from scripts of this folder: the recorders therefore run
as `python -m benchmarks._recorders`, and nothing here imports them.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # not this folder, for the reason above

from benchmarks._logging_rounds import Costs, Kept, kept_after, kill_midway, medians, one_round  # noqa: E402  not before the path is right

METRICS = 10
LIMITS = {"mlflow-rows": 500}
"""Steps for what takes milliseconds a call."""
LIBRARIES = ("tensorboard", "trackio", "wandb", "mlflow")
BUDGET_P50_US, BUDGET_P99_US = 5.0, 20.0
TITLES = {
    "floor": "os.write",
    "mlflow": "mlflow, 100 rows",
    "mlflow-rows": "mlflow, each row",
    "wandb": "wandb offline",
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What one call of Run.log costs the training thread.")
    parser.add_argument("--steps", type=int, default=10_000, help="calls in each process")
    parser.add_argument("--rounds", type=int, default=3, help="processes for each recorder")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these recorders beside Burnish")
    parser.add_argument("--quick", action="store_true", help="1,000 steps, one round")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    told = parser.parse_args()
    steps, rounds = (1000, 1) if told.quick else (told.steps, told.rounds)
    absent = [name for name in LIBRARIES if find_spec(name) is None]
    peers = ["tensorboard", "trackio", "wandb", "mlflow", "mlflow-rows"]
    wanted = [name for name in peers if name.split("-")[0] not in absent and (not told.only or name in told.only)]
    with tempfile.TemporaryDirectory(prefix="burnish-bench-", ignore_cleanup_errors=True) as folder:
        costs, kept = _measure_all(["burnish", *wanted], Path(folder), steps, rounds)
    versions = {"python": platform.python_version()}
    versions |= {name: version(name) for name in ("burnish", *LIBRARIES) if name not in absent}
    if told.json:
        rows = {name: {**asdict(costs[name]), **(asdict(kept[name]) if name in kept else {})} for name in costs}
        print(json.dumps({"versions": versions, "steps": steps, "rounds": rounds, "rows": rows, "absent": absent}))
        return
    print(f"Run.log, {METRICS} metrics, {steps:,} calls, {rounds} rounds; every point read back")
    print(", ".join(f"{name} {number}" for name, number in versions.items()))
    print(_cost_table(costs))
    print(_kept_table(costs, kept))
    print(_verdict(costs, kept["burnish"]))
    for name in absent:
        print(f"{name}: not installed, skipped")


def _measure_all(names: Sequence[str], base: Path, steps: int, rounds: int) -> tuple[dict[str, Costs], dict[str, Kept]]:
    found: dict[str, list[Costs]] = {name: [] for name in ("floor", *names)}
    for turn in range(rounds):
        for name in names:
            own, floor = one_round(name, _fresh(base / f"{name}-{turn}"), min(steps, LIMITS.get(name, steps)))
            found[name].append(own)
            if name == "burnish":  # the only recorder here without a thread that might disturb the floor
                found["floor"].append(floor)
    kept = {}
    for name in names:
        few = min(steps, LIMITS.get(name, steps))
        kept[name] = Kept(
            *kept_after(name, _fresh(base / f"{name}-kept"), min(few, 1000)),
            *kill_midway(name, _fresh(base / f"{name}-killed"), few),
        )
    return {name: medians(rows) for name, rows in found.items()}, kept


def _fresh(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _cost_table(costs: dict[str, Costs]) -> str:
    floor, burnish = costs["floor"], costs["burnish"]
    lines = [
        "",
        f"{'in the thread that calls, µs':<30}{'':>36}{'checkpoint written':>24}",
        f"{'':<18}{'p50':>8}{'p99':>9}{'mean':>9}{'CPU':>9}{'× floor':>9}{'× burnish':>11}{'p50':>9}{'p99':>9}",
    ]
    for name, cost in costs.items():
        line = f"{TITLES.get(name, name):<18}{cost.p50_us:>8.1f}{cost.p99_us:>9.1f}{cost.mean_us:>9.1f}"
        line += f"{cost.cpu_us:>9.1f}{cost.p50_us / floor.p50_us:>9.1f}{cost.p50_us / burnish.p50_us:>11.1f}"
        lines.append(f"{line}{cost.busy_p50_us:>9.1f}{cost.busy_p99_us:>9.1f}")
    return "\n".join(lines)


def _kept_table(costs: dict[str, Costs], kept: dict[str, Kept]) -> str:
    head = f"{'what is kept':<18}{'kill -9: safe after, s':>24}{'power cut: safe after, s':>28}"
    lines = ["", f"{head}{'B/point':>9}{'MB':>6}{'+ services':>12}  kill -9: points"]
    for name, told in kept.items():
        cost = costs[name]
        line = f"{TITLES.get(name, name):<18}{_delay(told.file_s, told.is_at_once):>24}"
        line += f"{_durable(told):>28}{cost.bytes_a_point:>9.1f}{cost.own_mb:>6.0f}{cost.service_mb:>12.0f}"
        lines.append(f"{line}  {told.acknowledged * METRICS:,} → {told.survived * METRICS:,}")
    return "\n".join(lines)


def _durable(told: Kept) -> str:
    if told.flushes is None:
        return "no strace"
    if told.durable_s is None:
        return "never by itself"
    return _delay(told.durable_s, told.is_at_once and max(told.durable_s) < 1e-3)


def _delay(times: tuple[float, float] | None, is_at_once: bool) -> str:
    """Return median and maximum."""
    if is_at_once:
        return "0"
    return "never" if times is None else f"{times[0]:.2f}, most {times[1]:.2f}"


def _verdict(costs: dict[str, Costs], kept: Kept) -> str:
    burnish = costs["burnish"]
    is_kept = kept.survived == kept.acknowledged
    is_within = is_kept and burnish.p50_us <= BUDGET_P50_US and burnish.p99_us <= BUDGET_P99_US
    verdict = "within" if is_within else "above"
    lines = [f"\nbudget: p50 ≤ {BUDGET_P50_US:g} µs, p99 ≤ {BUDGET_P99_US:g} µs, no point lost: {verdict}"]
    for name, least in (("trackio", 8), ("wandb", 50)):
        if name in costs:
            ratio = costs[name].p50_us / burnish.p50_us
            lines.append(f"aim: {least} × under {name}: {ratio:.1f}, {'met' if ratio >= least else 'missed'}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
