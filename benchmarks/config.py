"""What a config costs: `python benchmarks/config.py`.

The same 125 values from three files, three environment variables and five flags, composed and checked by Burnish
and by others (`_config_jobs`). Before anything is timed, each must have come to the same values. Whole processes run
in turn, round after round, so that what else the machine does falls on all of them, and so do the processes that are
warm. The first round writes the bytecode and is not counted.
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
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # not this folder, whose logging.py would hide another

from benchmarks._config_jobs import spec  # noqa: E402

JOBS = Path(__file__).resolve().parent / "_config_jobs"
FLOOR = "python -c pass"
PYDANTIC = "import pydantic, yaml"
WARM_GOAL_US = 3000.0
WARM_PROCESSES = 3
# What whole processes are compared with, and how much of it ours may cost.
RIVALS: Mapping[str, float | None] = {FLOOR: None, "hydra": 0.5, "jsonargparse": 1.0}
SIZES = (125, 5000)


@dataclass(frozen=True, slots=True)
class Library:
    """A library, where its job finds the files, and how it likes its flags."""

    name: str
    distribution: str
    module: str
    folder: str
    flags: str


LIBRARIES = (
    Library("burnish", "burnish", "burnish", "burnish", "dashes"),
    Library("hydra", "hydra-core", "hydra", "hydra", "plain"),
    Library("omegaconf", "omegaconf", "omegaconf", "plain", "plain"),
    Library("jsonargparse", "jsonargparse", "jsonargparse", "plain", "dashes"),
    Library("pydantic_settings", "pydantic-settings", "pydantic_settings", "plain", "dashes"),
)


@dataclass(frozen=True, slots=True)
class Timing:
    """One line of the table: CPU and wall of a whole process, and one compose in a warm process.

    `ratios` are the medians over the rounds of this process's CPU to that of a rival in the same round: a machine that
    changes its speed between two rounds does not change them.
    """

    name: str
    ratios: Mapping[str, float]
    cpu_ms: float
    fastest_cpu_ms: float
    wall_ms: float
    fastest_wall_ms: float
    warm_us: float | None = None
    fastest_warm_us: float | None = None


@dataclass(frozen=True, slots=True)
class Goal:
    """What we aim at, and whether it was reached."""

    text: str
    found: float
    reached: bool


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What composing and checking 125 config values costs.")
    parser.add_argument("--runs", type=int, default=11, help="counted processes of each library")
    parser.add_argument(
        "--warm", type=int, default=30, help="counted composes in each of 3 warm processes of each library"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    told = parser.parse_args()
    absent = [library.distribution for library in LIBRARIES if find_spec(library.module) is None]
    present = [library for library in LIBRARIES if library.distribution not in absent]
    with tempfile.TemporaryDirectory(prefix="burnish-bench-") as folder:
        base = Path(folder)
        spec.write_job(base)
        for library in present:
            _check(library, base)
        timings = _timings(_measure(present, base, told.runs), _measure_warm(present, base, told.warm))
        parsing = {size: _parsing(size, base) for size in SIZES}
    goals = _goals(timings)
    names = ("pydantic", "PyYAML", *(library.distribution for library in present))
    versions = {"python": platform.python_version()} | {name: version(name) for name in names}
    if told.json:
        body = {"rows": [asdict(timing) for timing in timings], "goals": [asdict(goal) for goal in goals]}
        head = {"versions": versions, "runs": told.runs, "warm": told.warm}
        print(json.dumps(head | body | {"parsing_us": parsing, "absent": absent}, indent=1))
        return
    rounds = f"{told.runs} interleaved runs, {WARM_PROCESSES} × {told.warm} warm"
    print(f"125 values, 3 files, 3 variables, 5 flags; all agree; {rounds}")
    print(", ".join(f"{name} {number}" for name, number in versions.items()))
    print(_table(timings))
    for goal in goals:
        print(f"goal: {goal.text}: {goal.found:.2f}: {'PASS' if goal.reached else 'short'}")
    print(_parsing_table(parsing))
    for name in absent:
        print(f"{name}: not installed, skipped")


def _environ(base: Path) -> dict[str, str]:
    """Return the environment of a job: its three variables, nothing of the user's, bytecode as usual."""
    unwanted = ("LLM_", "BURNISH_", "HYDRA_", "JSONARGPARSE_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    paths = [str(base), *filter(None, [os.environ.get("PYTHONPATH")])]
    config_home = str(base / "home")
    return kept | spec.ENVIRON | {"PYTHONPATH": os.pathsep.join(paths), "XDG_CONFIG_HOME": config_home}


def _argv(library: Library) -> list[str]:
    return [sys.executable, str(JOBS / f"{library.name}_job.py"), *spec.flags(library.flags)]


def _check(library: Library, base: Path) -> None:
    """Run a job once, which also writes its bytecode; stop unless it comes to the expected values and types."""
    written = base / f"{library.name}.json"
    environ = _environ(base) | {"JOB_VALUES": str(written)}
    done = subprocess.run(
        _argv(library), cwd=base / library.folder, env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{library.name}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    found, wanted = dict(spec.flat(json.loads(written.read_text()))), dict(spec.flat(spec.expected()))
    for path in sorted(found.keys() | wanted.keys()):
        ours, theirs = wanted.get(path), found.get(path)
        if ours != theirs or type(ours) is not type(theirs):
            sys.exit(f"{library.name}: {path} is {theirs!r}, not {ours!r}")
    assert len(wanted) == SIZES[0]


def _measure(libraries: Sequence[Library], base: Path, runs: int) -> dict[str, list[tuple[float, float]]]:
    """Return CPU and wall of each process, in ms."""
    cases = {
        FLOOR: (base, [sys.executable, "-c", "pass"]),
        PYDANTIC: (base, [sys.executable, "-c", PYDANTIC]),
        **{library.name: (base / library.folder, _argv(library)) for library in libraries},
    }
    environ = _environ(base)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    for turn in range(1 + runs):
        for name, (folder, argv) in cases.items():
            cost = _process(argv, folder, environ)
            if turn:
                times[name].append(cost)
    return times


def _process(argv: Sequence[str], folder: Path, environ: Mapping[str, str]) -> tuple[float, float]:
    start = time.perf_counter()
    child = subprocess.Popen(argv, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    wall_ms = (time.perf_counter() - start) * 1000
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"exit code {child.returncode}: {' '.join(argv)}")
    return (usage.ru_utime + usage.ru_stime) * 1000, wall_ms


def _measure_warm(libraries: Sequence[Library], base: Path, rounds: int) -> dict[str, list[float]]:
    """Return µs of each compose in processes that have done it before, in turn."""
    times: dict[str, list[float]] = {library.name: [] for library in libraries}
    for _ in range(WARM_PROCESSES):
        for library in libraries:
            argv = [sys.executable, str(JOBS / "warm.py"), library.name, str(rounds), *spec.flags(library.flags)]
            times[library.name] += [ns / 1000 for ns in _json_of(argv, base / library.folder, base)]
    return times


def _parsing(size: int, base: Path) -> dict[str, float]:
    """Return the median µs that each reader takes for a YAML text of so many values."""
    tree: spec.Tree = {}
    for number in range(size // SIZES[0]):
        copy = spec.expected()
        tree |= {f"part_{number}": copy} if size > SIZES[0] else copy
    file = base / f"{size}.yaml"
    file.write_text(spec.yaml_of(tree))
    told = _json_of([sys.executable, str(JOBS / "parse.py"), str(file), "15"], base, base)
    return {name: round(median(times) / 1000, 1) for name, times in told.items()}


def _json_of(argv: Sequence[str], folder: Path, base: Path) -> Any:
    done = subprocess.run(argv, cwd=folder, env=_environ(base), stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"exit code {done.returncode}: {' '.join(argv)}")
    return json.loads(done.stdout)


def _timings(whole: Mapping[str, Sequence[tuple[float, float]]], warm: Mapping[str, Sequence[float]]) -> list[Timing]:
    cpu = {name: [one for one, _ in costs] for name, costs in whole.items()}
    timings = []
    for name, costs in whole.items():
        ratios = {
            rival: round(median(ours / theirs for ours, theirs in zip(cpu[name], cpu[rival], strict=True)), 3)
            for rival in RIVALS
            if rival in cpu
        }
        walls = [wall for _, wall in costs]
        inside = warm.get(name)
        warm_us = (round(median(inside), 1), round(min(inside), 1)) if inside else (None, None)
        whole_ms = (median(cpu[name]), min(cpu[name]), median(walls), min(walls))
        timings.append(Timing(name, ratios, *(round(one, 2) for one in whole_ms), *warm_us))
    return timings


def _goals(timings: Sequence[Timing]) -> list[Goal]:
    (ours,) = (timing for timing in timings if timing.name == "burnish")
    assert ours.warm_us is not None
    goals = [Goal(f"warm ≤ {WARM_GOAL_US / 1000:g} ms", ours.warm_us / 1000, ours.warm_us <= WARM_GOAL_US)]
    for rival, most in RIVALS.items():
        if most is not None and rival in ours.ratios:
            found = ours.ratios[rival]
            goals.append(Goal(f"whole process ≤ {most:g} × {rival}, CPU", found, found <= most))
    return goals


def _table(timings: Sequence[Timing]) -> str:
    head = f"{'':<23}{'CPU ms':>8}{'least':>8}{'wall ms':>9}{'least':>8}"
    head += "".join(f"{'× ' + rival.removeprefix('python -c '):>15}" for rival in timings[0].ratios)
    lines = [head + f"{'warm µs':>12}{'least':>11}{'× burnish':>11}"]
    (ours,) = (timing.warm_us for timing in timings if timing.name == "burnish")
    for timing in timings:
        line = f"{timing.name:<23}{timing.cpu_ms:>8.1f}{timing.fastest_cpu_ms:>8.1f}"
        line += f"{timing.wall_ms:>9.1f}{timing.fastest_wall_ms:>8.1f}"
        line += "".join(f"{ratio:>15.2f}" for ratio in timing.ratios.values())
        if timing.warm_us is not None and ours is not None:
            line += f"{timing.warm_us:>12,.0f}{timing.fastest_warm_us:>11,.0f}{timing.warm_us / ours:>11.1f}"
        lines.append(line)
    return "\n".join(lines)


def _parsing_table(parsing: Mapping[int, Mapping[str, float]]) -> str:
    head = f"{'reading YAML, ms':<26}" + "".join(f"{f'{size:,} values':>16}" for size in parsing)
    names = next(iter(parsing.values()))
    rows = [f"{name:<26}" + "".join(f"{times[name] / 1000:>16.2f}" for times in parsing.values()) for name in names]
    return "\n".join([head, *rows])


if __name__ == "__main__":
    main()
