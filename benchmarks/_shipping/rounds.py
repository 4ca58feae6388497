"""Rounds of shipping: each way into each tracker in a process of its own, and what it shipped read back in another."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks._recorders.base import NAMES
from benchmarks._shipping.measure import Store
from benchmarks._shipping.readers import EVENTS, LOGS

ROOT = Path(__file__).resolve().parent.parent.parent
FLOOR, SQLITE, HTTP = "journal, read only", "mlflow, sqlite", "mlflow, server"
_FILES = {"tensorboard": EVENTS, "wandb": LOGS}


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured: a way into a tracker.

    Attributes:
        place: The tracker as it is shown; MLflow's two places are told apart.
        way: By the sink, or by which client.
        share: How much of the steps it takes part in; 1 for all.
    """

    place: str
    way: str
    share: float = 1.0

    @property
    def tracker(self) -> str:
        """The tracker's name."""
        return "memory" if self.place == FLOOR else self.place.split(",")[0]


CASES = (
    Case(FLOOR, "sink"),
    Case("tensorboard", "sink"),
    Case("tensorboard", "EventFileWriter"),
    Case("tensorboard", "SummaryWriter", 0.2),
    Case(SQLITE, "sink", 0.1),
    Case(SQLITE, "client", 0.1),
    Case(HTTP, "sink", 0.1),
    Case(HTTP, "client", 0.1),
    Case("wandb", "sink"),
    Case("wandb", "client"),
)
"""Those take a part of the steps that need milliseconds for each."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What a way costs; medians over the rounds.

    Attributes:
        points_a_second: From the first row until the tracker has all of them and the run is closed.
        cpu_us: CPU of the process that ships, by point.
        services_us: CPU of those whom it started, by point.
        server_us: CPU of MLflow's server, by point.
        bytes_a_point: What files or the database grew by.
        peak_mb: The most memory that the process held, its imports included.
        begin_s: Imports, and opening the tracker: not in the above.
    """

    points_a_second: float
    cpu_us: float
    services_us: float
    server_us: float
    bytes_a_point: float
    peak_mb: float
    begin_s: float


def measure_ways(
    cases: Sequence[Case], base: Path, stores: Callable[[str], Store], steps: int, rounds: int
) -> dict[Case, Costs]:
    """Return what each way costs, once every point was read back.

    Args:
        cases: The ways.
        base: An empty folder.
        stores: Returns where MLflow is, by place.
        steps: How many rows.
        rounds: How many processes for each way.
    """
    found: dict[Case, list[Costs]] = {case: [] for case in cases}
    for turn in range(rounds):
        for number, case in enumerate(cases):
            print(f"shipping: round {turn + 1} of {rounds}, {case.place}, {case.way}", file=sys.stderr)
            folder = base / f"way-{number}-{turn}"
            folder.mkdir()
            found[case].append(_one(case, folder, stores(case.place), int(steps * case.share)))
    for number, case in enumerate(cases):
        if case.place != FLOOR:
            print(f"reading back: {case.place}, {case.way}", file=sys.stderr)
            folders = [base / f"way-{number}-{turn}" for turn in range(rounds)]
            read_back(case.tracker, folders, stores(case.place).uri, [int(steps * case.share)] * rounds)
    return {case: _medians(rows) for case, rows in found.items()}


def read_back(tracker: str, folders: Sequence[Path], uri: str, steps: Sequence[int]) -> None:
    """Compare what a tracker shows of runs with what was logged; end here where it differs."""
    argv = ["check", *map(str, folders), "--tracker", tracker, "--uri", uri, "--each", *map(str, steps)]
    expected, shown = sum(steps) * len(NAMES), task(argv)["points"]
    if shown != expected:
        sys.exit(f"{tracker}: {shown:,} points were read back of {expected:,}")


def task(argv: Sequence[str]) -> dict[str, Any]:
    """Run a task of this package in a process of its own; return what it says."""
    words = [sys.executable, "-m", "benchmarks._shipping", *argv]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(argv[:2])} failed\n{done.stderr}")
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _one(case: Case, folder: Path, store: Store, steps: int) -> Costs:
    argv = ["measure", str(folder), "--tracker", case.tracker, "--way", case.way, "--steps", str(steps)]
    argv += ["--uri", store.uri, "--database", str(store.database), "--server", str(store.server)]
    told = task(argv)
    points = steps * len(NAMES)
    files = list(folder.rglob(_FILES[case.tracker])) if case.tracker in _FILES else []
    size_bytes = sum(file.stat().st_size for file in files)
    if case.tracker == "mlflow":
        size_bytes = store.size_bytes - int(told["store_bytes"])
    # A service may write on when its client has returned: the run is there when its file is complete.
    written_s = max((file.stat().st_mtime for file in files), default=0.0) - told["began_at"]
    return Costs(
        points_a_second=points / max(told["took_s"], written_s),
        cpu_us=told["own_s"] / points * 1e6,
        services_us=told["services_s"] / points * 1e6,
        server_us=told["server_s"] / points * 1e6,
        bytes_a_point=size_bytes / points,
        peak_mb=told["peak_mb"],
        begin_s=told["begin_s"],
    )


def _medians(rounds: Sequence[Costs]) -> Costs:
    return Costs(*(round(median(getattr(one, each.name) for one in rounds), 4) for each in fields(Costs)))
