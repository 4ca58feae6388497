"""`burnish config env`: the environment variables that count, by tier, with what each of them does."""

from __future__ import annotations

import os
from collections.abc import Container
from pathlib import Path

import click

from burnish.cli import _console
from burnish.config.fields import fields_of
from burnish.config.resolve import static_experiment
from burnish.config.variables import Variable, variables
from burnish.core.environment import data_root
from burnish.core.errors import ConfigError, Problem, UsageError
from burnish.core.paths import Project, find_project
from burnish.core.secrets import Masker


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path), metavar="[EXPERIMENT.yaml]")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(file: Path | None, as_json: bool) -> None:
    """Show the environment variables that count, from which tier, and what each does; credentials are masked.

    With an experiment file, names are checked against its config: one that it does not have is an error.
    """
    project = find_project()
    secret, others = _check(file, project) if file is not None else (frozenset(), 0)
    found = variables(os.environ, project.env_prefix, secret)
    if as_json:
        _show_json(found, project)
    else:
        _show(found, project)
    if others:
        _console.err(f"{file} has mistakes that no variable makes: burnish config check {file}")
    elif file is None and any(variable.sets for variable in found):
        _console.err("names are checked when an experiment is given: burnish config env experiments/sft.yaml")


def _check(file: Path, project: Project) -> tuple[Container[str], int]:
    """Return the config values that are credentials, and how many mistakes are not those of a variable.

    Raises:
        ConfigError: Every mistake that a variable makes; or why their names cannot be checked.
    """
    from burnish.experiment.registry import config_of
    from burnish.experiment.submit import resolve_experiment

    try:
        return resolve_experiment(file, (), project, os.environ).frozen.secret, 0
    except ConfigError as error:
        mask = Masker.from_environment(os.environ).text
        of_variables = [problem for problem in error.problems if problem.origin.startswith("env ")]
        if of_variables:
            raise ConfigError([Problem(mask(p.message), p.origin, mask(p.hint)) for p in of_variables]) from error
        kind, tree = static_experiment(file, project, config_of)
        return {path for path, found in fields_of(kind, tree, config_of) if found.is_secret}, len(error.problems)


def _show(found: list[Variable], project: Project) -> None:
    if found:
        rows = [[variable.tier, variable.name, variable.value, variable.effect] for variable in found]
        _console.table(["tier", "variable", "value", "what it does"], rows)
        _console.out("")
    _console.out(f"prefix     {project.env_prefix}  ({_prefix_origin(project)})")
    try:
        folder, origin = data_root(os.environ, project)
        _console.out(f"data root  {folder}  ({origin})")
    except UsageError as error:
        _console.out(f"data root  {error}\n           {error.hint}")


def _show_json(found: list[Variable], project: Project) -> None:
    try:
        folder, origin = data_root(os.environ, project)
        root: dict[str, object] = {"path": str(folder), "origin": origin}
    except UsageError as error:
        root = {"path": None, "error": error.to_json()}
    _console.out_json(
        {
            "variables": [
                {
                    "name": variable.name,
                    "tier": variable.tier,
                    "value": variable.value,
                    "effect": variable.effect,
                    "sets": variable.sets or None,
                }
                for variable in found
            ],
            "prefix": {"value": project.env_prefix, "origin": _prefix_origin(project)},
            "data_root": root,
        }
    )


def _prefix_origin(project: Project) -> str:
    return f"env_prefix in {project.file}" if "env_prefix" in project.settings else "default"
