"""Checks of this machine and project, each with the command that mends what it finds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from typing import Literal

from burnish.core.errors import BurnishError
from burnish.core.hardware import read_machine
from burnish.core.paths import Project
from burnish.journal.facts import is_unshipped
from burnish.journal.index import RunIndex
from burnish.journal.record import LIVE
from burnish.launch.notify import GROUP as CHANNELS
from burnish.track.shipping import GROUP as SINKS

Level = Literal["ok", "note", "problem"]
_MIN_FREE_BYTES = 5 << 30
_PLUGINS = (SINKS, CHANNELS)


@dataclass(frozen=True, slots=True)
class Check:
    """What one check found.

    Attributes:
        name: What was looked at.
        level: `problem` needs mending, `note` is worth knowing.
        found: What was found.
        fix: The command or step that mends it; empty when nothing does.
    """

    name: str
    level: Level
    found: str
    fix: str = ""


def examine(project: Project) -> list[Check]:
    """Run every check; one that fails itself is reported as a problem."""
    checks: list[Callable[[Project], Iterator[Check]]] = [
        _python,
        _git,
        _runs_folder,
        _machine,
        _packages,
        _plugins,
        _runs,
    ]
    found: list[Check] = []
    for check in checks:
        try:
            found += check(project)
        except (OSError, BurnishError) as error:
            found.append(Check(check.__name__.strip("_"), "problem", str(error)))
    return found


def _python(project: Project) -> Iterator[Check]:
    yield Check("python", "ok", f"{sys.version.split()[0]} at {sys.executable}")


def _git(project: Project) -> Iterator[Check]:
    if shutil.which("git") is None:
        yield Check("git", "problem", "git is not installed", "apt-get install git")
        return
    inside = subprocess.run(
        ["git", "-C", str(project.root), "rev-parse", "--verify", "HEAD"], capture_output=True, text=True, check=False
    )
    if inside.returncode != 0:
        fix = "git init && git add -A && git commit -m 'first'"
        yield Check("git", "note", "no commit here: the code of runs is not recorded", fix)
    else:
        yield Check("git", "ok", f"commit {inside.stdout[:12]}")


def _runs_folder(project: Project) -> Iterator[Check]:
    try:
        project.make()
        probe = project.runs / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except (OSError, BurnishError) as error:
        yield Check("runs", "problem", f"cannot write {project.runs}: {error}", "BURNISH_RUNS=/path/to/runs")
        return
    free = shutil.disk_usage(project.runs).free
    if free < _MIN_FREE_BYTES:
        yield Check("runs", "problem", f"only {free / 2**30:.1f} GiB free at {project.runs}", "free some space")
    else:
        yield Check("runs", "ok", f"{project.runs}, {free / 2**30:.0f} GiB free")


def _machine(project: Project) -> Iterator[Check]:
    machine = read_machine()
    missing_binding = "pip install" in machine.note
    fix = "pip install 'burnish[gpu]'" if missing_binding else ""
    yield Check("gpu", "problem" if missing_binding else "ok", machine.summary, fix)


def _packages(project: Project) -> Iterator[Check]:
    for module, extra, what in (
        ("trl", "trl", "SFT, DPO and GRPO experiments"),
        ("tensorboard", "tensorboard", "the TensorBoard sink"),
        ("mlflow", "mlflow", "the MLflow sink"),
        ("wandb", "wandb", "the W&B sink"),
    ):
        if find_spec(module) is None:
            yield Check(module, "note", f"not installed: {what} cannot be used", f"pip install 'burnish[{extra}]'")
        else:
            yield Check(module, "ok", "installed")


def _plugins(project: Project) -> Iterator[Check]:
    """Load what other packages bring: a broken one shows here, not in the middle of a run."""
    for group in _PLUGINS:
        points = sorted(metadata.entry_points(group=group))
        names = [point.name for point in points]
        for point in points:
            package = point.dist.name if point.dist else point.value
            what = f"{group}: {point.name} of {package}"
            if names.count(point.name) > 1:
                yield Check(
                    "plugin", "problem", f"{what} has a name that another package uses too", "remove one of them"
                )
                continue
            try:
                point.load()
            except Exception as error:  # noqa: BLE001  one of the five walls: plugin load
                yield Check(
                    "plugin", "problem", f"{what} cannot be loaded: {error}", f"pip install --upgrade {package}"
                )
            else:
                yield Check("plugin", "ok", what)


def _runs(project: Project) -> Iterator[Check]:
    records = RunIndex(project.runs).records()
    behind = [r for r in records if r.get("state") not in LIVE and is_unshipped(r)]
    lost = [str(r.get("id")) for r in records if r.get("state") == "lost"]
    if behind:
        names = ", ".join(str(r.get("id")) for r in behind)
        yield Check("shipping", "note", f"over, but not all shipped to their trackers: {names}", "burnish sync")
    if lost:
        yield Check("lost runs", "note", f"{', '.join(lost)}", f"burnish run --resume {lost[0]}")
    yield Check("records", "ok", f"{len(records)} runs")
