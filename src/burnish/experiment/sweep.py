"""A sweep of an experiment: every variant is resolved and checked before the first one starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import SystemRandom

from burnish.config.layer import Layer, Node, Plain, nested, plain
from burnish.config.sources.files import FileLayer, read_files
from burnish.config.sources.flags import split_flags
from burnish.config.sweep import Sweep, Variant, combine, expand, size
from burnish.config.sweep_reader import parse_sweep, run_tables, sweep_flags
from burnish.core.errors import ConfigError, Problem
from burnish.core.hardware import read_machine
from burnish.core.ids import run_token
from burnish.core.paths import Project, RunPaths
from burnish.core.secrets import Masker
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
        masker: Knows the credentials of every variant: each run's record shows the command line of all.
    """

    id: str
    runs: tuple[PlannedRun, ...]
    masker: Masker

    def shown(self, planned: PlannedRun) -> dict[str, Plain]:
        """Return what a run sets, without credentials."""
        values: dict[str, Plain] = self.masker.tree(planned.values)
        return values

    def record(self, planned: PlannedRun) -> dict[str, object]:
        """Return what the record of a run says of the sweep."""
        return {"id": self.id, "number": planned.number, "of": len(self.runs), "values": self.shown(planned)}


def read_sweep(source: Path | RunPaths, grid: Sequence[str] = (), zips: Sequence[str] = ()) -> Sweep | None:
    """Return the sweep that a file and flags ask for, None where neither does.

    Raises:
        ConfigError: It cannot be read as one.
    """
    found: Sweep | None = None
    parts = _sweep_of(source) if isinstance(source, Path) else {}
    if parts:
        found = parse_sweep(parts["sweep"]) if "sweep" in parts else None
        if "run" in parts:
            tables = run_tables(parts["run"])
            found = replace(found, include=(*found.include, *tables.include)) if found is not None else tables
    if not grid and not zips:
        return found
    typed = sweep_flags(grid, zips)
    return combine(found, typed) if found is not None else typed


def _sweep_of(file: Path) -> dict[str, Node]:
    """Return what a file says of a sweep, or the nearest of those that it extends."""
    try:
        sources = read_files(file, [])
    except ConfigError:
        return {}  # what cannot be read is told with everything else, when the config is resolved
    swept = [source.sweep.items for source in sources if isinstance(source, FileLayer) and source.sweep.items]
    return swept[-1] if swept else {}


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
    credentials: dict[str, None] = {}
    machine = read_machine()
    for planned in runs:
        try:
            resolved = resolve_experiment(source, flags, project, environ, above=planned.layers)
            resolved = resolved.on_machine(machine, environ)
            credentials |= dict.fromkeys(resolved.masker.values)
        except ConfigError as error:
            problems |= dict.fromkeys(error.problems)
    if not runs:
        problems[Problem("the sweep excludes every variant", str(sweep.origin))] = None
    if problems:
        raise ConfigError(list(problems))
    return SweepPlan(run_token(SystemRandom()), runs, Masker.knowing(credentials))


def _planned(number: int, variant: Variant) -> PlannedRun:
    layers = tuple(Layer(str(node.origin), nested(path, node)) for path, node in variant.values)
    return PlannedRun(number, layers, {path: plain(node) for path, node in variant.values})


__all__ = ["PlannedRun", "SweepPlan", "plan_sweep", "read_sweep", "size"]
