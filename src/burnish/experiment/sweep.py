"""A sweep of an experiment: every variant is resolved and checked before the first one starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import SystemRandom

from burnish.config.layer import Layer, Plain, nested, plain
from burnish.config.sources.files import FileLayer, read_files
from burnish.config.sources.flags import split_flags
from burnish.config.sweep import Sweep, Variant, combine, expand, size
from burnish.config.sweep_reader import parse_sweep, run_tables, sweep_flags
from burnish.core.errors import ConfigError, Problem
from burnish.core.ids import run_token
from burnish.core.paths import Project, RunPaths
from burnish.experiment.submit import resolve_experiment


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One run of a sweep.

    Attributes:
        number: From 1.
        layers: What it sets, over everything else.
        values: The same as plain values, by path.
    """

    number: int
    layers: tuple[Layer, ...]
    values: dict[str, Plain]


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """The runs of a sweep, all of them checked.

    Attributes:
        id: Names the sweep in the record of each run.
    """

    id: str
    runs: tuple[PlannedRun, ...]

    def record(self, planned: PlannedRun) -> dict[str, object]:
        """Return what the record of a run says of the sweep."""
        return {"id": self.id, "number": planned.number, "of": len(self.runs), "values": planned.values}


def read_sweep(source: Path | RunPaths, grid: Sequence[str] = (), zips: Sequence[str] = ()) -> Sweep | None:
    """Return the sweep that a file and flags ask for, None where neither does.

    Raises:
        ConfigError: It cannot be read as one.
    """
    found: Sweep | None = None
    top = read_files(source)[-1] if isinstance(source, Path) else None
    if isinstance(top, FileLayer) and top.sweep.items:
        parts = top.sweep.items
        found = parse_sweep(parts["sweep"]) if "sweep" in parts else None
        if "run" in parts:
            tables = run_tables(parts["run"])
            found = replace(found, include=(*found.include, *tables.include)) if found is not None else tables
    if not grid and not zips:
        return found
    typed = sweep_flags(grid, zips)
    return combine(found, typed) if found is not None else typed


def plan_sweep(
    sweep: Sweep, source: Path | RunPaths, flags: Sequence[str], project: Project, environ: Mapping[str, str]
) -> SweepPlan:
    """Resolve every variant.

    Raises:
        ConfigError: Every mistake of every variant, each once.
    """
    runs = tuple(_planned(number, variant) for number, variant in enumerate(expand(sweep), 1))
    swept = {path for planned in runs for path in planned.values}
    problems: dict[Problem, None] = {
        Problem(
            f"{flag.path} is swept, and set by a flag too", f"flag {flag.name}", f"--sweep {flag.path}={flag.text}"
        ): None
        for flag in split_flags(flags, {}, [])
        if flag.path in swept
    }
    for planned in runs:
        try:
            resolve_experiment(source, flags, project, environ, above=planned.layers)
        except ConfigError as error:
            problems |= dict.fromkeys(error.problems)
    if not runs:
        problems[Problem("the sweep excludes every variant", str(sweep.origin))] = None
    if problems:
        raise ConfigError(list(problems))
    return SweepPlan(run_token(SystemRandom()), runs)


def _planned(number: int, variant: Variant) -> PlannedRun:
    layers = tuple(Layer(str(node.origin), nested(path, node)) for path, node in variant.values)
    return PlannedRun(number, layers, {path: plain(node) for path, node in variant.values})


__all__ = ["PlannedRun", "SweepPlan", "plan_sweep", "read_sweep", "size"]
