"""What starting costs: `python benchmarks/startup.py`.

CPU time (user + system) of whole processes, waited for one by one, all cases in turn in each round, so that what
else the machine does falls on all of them. The first round writes the bytecode and is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = Path(sys.executable).with_name("burnish")
PEERS = ("trackio", "mlflow", "wandb")
FLOOR = "python -c pass"
KEEPER_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Case:
    """One way to start a process, and what it may cost."""

    name: str
    argv: Sequence[str]
    environ: Mapping[str, str] = field(default_factory=dict)
    budget_ms: float | None = None
    over_floor: bool = False
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class Timing:
    """One line of the table."""

    name: str
    cpu_ms: float
    fastest_ms: float
    over_floor_ms: float
    budget: str
    within: bool | None


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="CPU time of starting Burnish, beside the bare interpreter.")
    parser.add_argument("--runs", type=int, default=15, help="counted runs of each case")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    told = parser.parse_args()
    absent = [name for name in PEERS if find_spec(name) is None]
    with tempfile.TemporaryDirectory(prefix="burnish-bench-", ignore_cleanup_errors=True) as folder:
        cases = _cases(Path(folder), [name for name in PEERS if name not in absent])
        timings = _timings(cases, _measure(cases, Path(folder), told.runs))
    versions = {"python": platform.python_version()} | {name: version(name) for name in ("burnish", "click", "msgspec")}
    if told.json:
        rows = [asdict(timing) for timing in timings]
        print(json.dumps({"versions": versions, "runs": told.runs, "rows": rows, "absent": absent}, indent=1))
        return
    print(f"CPU ms of a process, median and fastest of {told.runs} interleaved runs")
    print(", ".join(f"{name} {number}" for name, number in versions.items()))
    print(_table(timings))
    for name in absent:
        print(f"import {name}: not installed, skipped")


def _cases(base: Path, peers: Sequence[str]) -> list[Case]:
    joined = base / "joined"
    (joined / "journal").mkdir(parents=True)
    start = "import burnish; burnish.start_run()"
    mistyped = ("run", str(ROOT / "experiments" / "sft.yaml"), "--trainng.lr", "1")
    return [
        Case(FLOOR, _python("pass")),
        Case("import burnish", _python("import burnish"), budget_ms=15, over_floor=True),
        Case("start_run, joining", _python(start), {"BURNISH_RUN_DIR": str(joined)}, budget_ms=110, over_floor=True),
        Case("start_run, plain", _python(start), budget_ms=110, over_floor=True),
        Case("burnish --help", (str(SCRIPT), "--help"), budget_ms=100),
        Case("burnish run, mistyped key", (str(SCRIPT), *mistyped), exit_code=2),
        Case("import msgspec", _python("import msgspec")),
        Case("import click", _python("import click")),
        *(Case(f"import {name}", _python(f"import {name}")) for name in peers),
    ]


def _python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def _measure(cases: Sequence[Case], base: Path, runs: int) -> dict[str, list[float]]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("BURNISH_") and k != "PYTHONDONTWRITEBYTECODE"}
    environ = kept | {"BURNISH_HOME": str(base)}
    times: dict[str, list[float]] = {case.name: [] for case in cases}
    for turn in range(1 + runs):
        for case in cases:
            cpu_ms = _cpu_ms(case, {**environ, **case.environ})
            _wait_for_keepers(base / "runs")
            if turn:
                times[case.name].append(cpu_ms)
    return times


def _cpu_ms(case: Case, environ: Mapping[str, str]) -> float:
    """Run a case once. A keeper is not waited for by its script, and so not counted."""
    child = subprocess.Popen(
        case.argv, cwd=ROOT, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != case.exit_code:
        sys.exit(f"{case.name}: exit code {child.returncode}, not {case.exit_code}: {' '.join(case.argv)}")
    return (usage.ru_utime + usage.ru_stime) * 1000


def _wait_for_keepers(runs: Path) -> None:
    """Wait until no keeper of these runs is left that would work beside the next case."""
    deadline = time.monotonic() + KEEPER_PATIENCE_S
    while any(str(runs).encode() in line for line in _command_lines()):
        if time.monotonic() > deadline:
            sys.exit(f"a keeper of {runs} did not end within {KEEPER_PATIENCE_S:g} s")
        time.sleep(0.05)


def _command_lines() -> list[bytes]:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes())
        except OSError:
            pass  # it has ended
    return lines


def _timings(cases: Sequence[Case], times: Mapping[str, Sequence[float]]) -> list[Timing]:
    floor = median(times[FLOOR])
    timings = []
    for case in cases:
        cpu_ms = median(times[case.name])
        judged = cpu_ms - floor if case.over_floor else cpu_ms
        budget = (
            "" if case.budget_ms is None else f"≤ {case.budget_ms:g}" + (" over the floor" if case.over_floor else "")
        )
        within = None if case.budget_ms is None else judged <= case.budget_ms
        fastest_ms, over_floor_ms = min(times[case.name]), cpu_ms - floor
        timings.append(
            Timing(case.name, round(cpu_ms, 3), round(fastest_ms, 3), round(over_floor_ms, 3), budget, within)
        )
    return timings


def _table(timings: Sequence[Timing]) -> str:
    floor = timings[0].cpu_ms
    lines = [f"{'':<26}{'median':>8}{'fastest':>9}{'− floor':>9}{'× floor':>9}  budget"]
    for timing in timings:
        verdict = {None: "", True: ": within", False: ": above"}[timing.within]
        line = f"{timing.name:<26}{timing.cpu_ms:>8.1f}{timing.fastest_ms:>9.1f}{timing.over_floor_ms:>9.1f}"
        lines.append(f"{line}{timing.cpu_ms / floor:>9.1f}  {timing.budget}{verdict}".rstrip())
    return "\n".join(lines)


if __name__ == "__main__":
    main()
