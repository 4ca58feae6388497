"""What is wrong with each of several config files, in one report: nothing stops at the first mistake or file."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from burnish.config.interpolate import FindRun, RunReference
from burnish.config.layer import Layer, nested
from burnish.config.resolved import Resolved
from burnish.config.survey import ConfigFile, Role
from burnish.config.sweep import Sweep, Variant, expand
from burnish.core.errors import BurnishError, ConfigError, Problem, RunError
from burnish.core.secrets import Masker

_MOST_VARIANTS = 1000  # of a sweep: some seconds


@dataclass(frozen=True, slots=True)
class FileReport:
    """What there is to say of one file.

    Attributes:
        file: As a person would type it.
        role: What it is; only experiments are resolved, others are read.
        children: How many files extend it.
        parameters: Values of the resolved config; of a file that is only read, those that it sets.
        runs: How many its sweep has; None without one.
        problems: Every mistake.
        warnings: What whoever starts it should be told.
    """

    file: str
    role: Role
    children: int = 0
    parameters: int = 0
    runs: int | None = None
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return what `--json` prints of the file."""
        return {
            "role": self.role,
            "problems": [{"message": p.message, "origin": p.origin, "hint": p.hint} for p in self.problems],
            "warnings": list(self.warnings),
            "parameters": self.parameters,
            "runs": self.runs,
        }

    def masked(self, masker: Masker) -> FileReport:
        """Return the report without credentials."""
        told = [Problem(masker.text(p.message), masker.text(p.origin), masker.text(p.hint)) for p in self.problems]
        return replace(self, problems=tuple(told), warnings=tuple(map(masker.text, self.warnings)))


ResolveFile = Callable[[Path, Sequence[Layer]], Resolved]
"""Resolves a file for this machine, with layers over all others."""

ReadSweep = Callable[[Path], Sweep | None]


def report_on(one: ConfigFile, resolve: ResolveFile, read_sweep: ReadSweep, *, is_named: bool) -> FileReport:
    """Check a file: an experiment is resolved, and every run of its sweep; anything else was read already.

    Args:
        one: The file.
        resolve: Resolves it.
        read_sweep: Reads its sweep.
        is_named: Whether someone asked for this very file; then it is an experiment, unless others extend it.
    """
    bare = FileReport(one.shown, one.role, one.children, one.written, problems=one.problems)
    if one.problems or not (one.role == "experiment" or (is_named and one.role == "parent" and not one.children)):
        return bare
    try:
        sweep = read_sweep(one.path)
        variants = expand(sweep) if sweep is not None else None
        if variants == [] and sweep is not None:
            raise ConfigError([Problem("the sweep excludes every variant", str(sweep.origin))])
    except BurnishError as error:
        return replace(bare, parameters=0, problems=tuple(_problems(error)))
    return replace(_resolved(bare, one.path, variants, resolve), runs=len(variants) if variants is not None else None)


def _resolved(bare: FileReport, file: Path, variants: list[Variant] | None, resolve: ResolveFile) -> FileReport:
    problems: dict[Problem, None] = {}
    warnings: dict[str, None] = {}
    parameters = 0
    for variant in variants[:_MOST_VARIANTS] if variants is not None else (Variant(()),):
        layers = [Layer(str(node.origin), nested(path, node)) for path, node in variant.values]
        try:
            resolved = resolve(file, layers)
        except BurnishError as error:
            problems |= dict.fromkeys(_problems(error))
            continue
        warnings |= dict.fromkeys(resolved.warnings)
        parameters = parameters or len(resolved.origins)
    if variants is not None and len(variants) > _MOST_VARIANTS:
        warnings[f"the sweep has {len(variants):,} runs; the first {_MOST_VARIANTS:,} were checked"] = None
    parameters = 0 if problems else parameters
    return replace(bare, parameters=parameters, problems=tuple(problems), warnings=tuple(warnings))


def _problems(error: BurnishError) -> Sequence[Problem]:
    return error.problems if isinstance(error, ConfigError) else [Problem(error.message, error.origin, error.hint)]


def later_runs(find_run: FindRun, told: dict[str, str]) -> FindRun:
    """Return what stands in for runs that are still to come, so that the rest of a later stage can be checked now.

    Args:
        find_run: Finds those that there are.
        told: Where to add why a run is not there, by the reference to it.
    """

    def find(text: str) -> RunReference:
        try:
            return find_run(text)
        except RunError as error:
            told[f"${{run:{text}}}"] = error.message
            return RunReference(f"${{run:{text}}}", re.split("[@/]", text, maxsplit=1)[0])

    return find
