"""Runs whose steps are timed, with sinks and without, while MLflow's server is well or fails.

Each run is a real `burnish run` of a training process. What fails, fails from the first step that is measured to the
last, and is well again before the run ends, so that every point is shipped and can be read back.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
from tests.sinks.mlflow_server import Proxy, Server

from benchmarks._shipping.measure import cpu_of_tree
from benchmarks._shipping.training import END, GO, TOLD
from burnish.core.paths import RunPaths
from burnish.sinks.cursor import Cursor

ROOT = Path(__file__).resolve().parent.parent.parent
SINKS = ("tensorboard", "mlflow", "wandb")
NONE, AGAIN, ALL = "none", "none again", "all"
FAILURES = ("stopped", "hanging", "500")
"""How MLflow's server fails: it is killed, it is stopped by a signal, it answers with an error."""

_LOOK_S = 0.1
_NEARLY_BYTES = 32 << 10
"""Some 280 rows, which take more than a second here; sinks look each half second."""
_PATIENCE_S = 180.0
_SINK_PROCESS = "burnish.sinks.process"

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Plan:
    """What all runs have in common.

    Attributes:
        steps: How many are measured.
        work_bytes: What a step reads.
        settle_s: How long a run goes on at least before its steps are measured.
    """

    steps: int
    work_bytes: int
    settle_s: float


@dataclass(frozen=True, slots=True)
class Trackers:
    """What the sinks ship to, besides folders of the run itself."""

    server: Server
    proxy: Proxy

    def fail(self, how: str) -> None:
        """Let the server fail."""
        if how == "stopped":
            self.server.stop()
        elif how == "hanging":
            self._signal(signal.SIGSTOP)
        elif how == "500":
            self.proxy.mode = "500"

    def heal(self, how: str) -> None:
        """Let the server be well."""
        if how == "stopped":
            self.server.start()
        elif how == "hanging":
            self._signal(signal.SIGCONT)
        elif how == "500":
            self.proxy.mode = "fine"

    @property
    def pid(self) -> int:
        """The server's process; 0 for none."""
        return self.server.process.pid if self.server.process else 0

    def _signal(self, number: signal.Signals) -> None:
        os.killpg(self.pid, number)


def timed_run(kind: str, folder: Path, plan: Plan, trackers: Trackers) -> Figures:
    """Do one run; return how long its steps took, and the CPU that others used meanwhile, by step.

    Args:
        kind: `none`, `all`, or how the server fails.
        folder: An empty folder, by whose name MLflow's experiment is called.
        plan: What all runs have in common.
        trackers: What the sinks ship to.
    """
    uri = trackers.proxy.uri if kind == "500" else trackers.server.uri
    options: dict[str, dict[str, str]] = {"mlflow": {"uri": uri, "experiment": folder.name}}
    sinks = {} if kind in (NONE, AGAIN) else {name: options.get(name, {}) for name in SINKS}
    with (folder / "output.log").open("wb") as log:
        run = subprocess.Popen(_argv(folder, plan, sinks), cwd=folder, env=_environ(folder), stdout=log, stderr=log)
    try:
        began = time.monotonic()
        _until(run, folder, lambda: time.monotonic() - began > plan.settle_s and _keep_up(folder, sinks))
        ready_s = time.monotonic() - began
        trackers.fail(kind)
        before = _used(run.pid, trackers.pid)
        (folder / GO).touch()
        _until(run, folder, (folder / TOLD).exists)
        after = _used(run.pid, trackers.pid)
        trackers.heal(kind)
        (folder / END).touch()
        if run.wait(_PATIENCE_S):
            sys.exit(f"the run {folder.name} failed\n{(folder / 'output.log').read_text()}")
    finally:
        if run.poll() is None:
            run.terminate()
            run.wait()
    told: Figures = json.loads((folder / TOLD).read_text())
    others = {f"{name}_ms": max(0.0, after[name] - before[name]) / plan.steps * 1000 for name in after}
    return {**told, **others, "ready_s": ready_s}


def _argv(folder: Path, plan: Plan, sinks: Mapping[str, object]) -> list[str]:
    argv = [sys.executable, "-m", "burnish", "run", "--quiet", f"--tracking.sinks={json.dumps(sinks)}", "--"]
    argv += [sys.executable, "-m", "benchmarks._shipping", "train", str(folder)]
    return [*argv, "--steps", str(plan.steps), "--work-bytes", str(plan.work_bytes)]


def _environ(folder: Path) -> dict[str, str]:
    return {**os.environ, "BURNISH_HOME": str(folder), "BURNISH_RUNS": str(folder / "runs"), "PYTHONPATH": str(ROOT)}


def _keep_up(folder: Path, sinks: Mapping[str, object]) -> bool:
    """Tell whether sinks have taken what came while they were imported, and are about as far as training."""
    runs = [RunPaths(run) for run in folder.glob("runs/*")]
    for run in runs:
        for name in sinks:
            cursor = run.cursors / f"{name}.json"
            if not cursor.exists() or Cursor.read(cursor).behind_bytes(run.journals) > _NEARLY_BYTES:
                return False
    return bool(runs)


def _until(run: subprocess.Popen[bytes], folder: Path, condition: Callable[[], bool]) -> None:
    until = time.monotonic() + _PATIENCE_S
    while not condition():
        if run.poll() is not None or time.monotonic() > until:
            sys.exit(f"the run {folder.name} came to nothing\n{(folder / 'output.log').read_text()}")
        time.sleep(_LOOK_S)


def _used(supervisor: int, server: int) -> Figures:
    """Return the CPU seconds that the processes around training have used so far.

    A sink's process that has ended is among what its supervisor has waited for, and counts as a sink.
    """
    watching = psutil.Process(supervisor)
    own = watching.cpu_times()
    sinks = own.children_user + own.children_system
    for child in watching.children():
        if _SINK_PROCESS in child.cmdline():
            sinks += cpu_of_tree(child.pid)
    return {"supervisor": own.user + own.system, "sinks": sinks, "server": cpu_of_tree(server)}
