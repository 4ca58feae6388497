"""`burnish config check`: every mistake of every file, in one report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import click

from burnish.cli import _console
from burnish.config.layer import Layer
from burnish.config.report import FileReport, later_runs, report_on
from burnish.config.resolve import resolve
from burnish.config.resolved import Resolved
from burnish.config.sources.files import SUFFIXES
from burnish.config.sources.flags import is_flag
from burnish.config.survey import pick, survey
from burnish.core.errors import ConfigError, UsageError
from burnish.core.paths import Project, find_project
from burnish.core.secrets import Masker


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[FILE]… [--KEY VALUE]…")
@click.option("--json", "as_json", is_flag=True, help='Print {"files": {file: {"problems": …, "parameters": …}}}.')
def command(words: tuple[str, ...], as_json: bool) -> int:
    """Check experiment files as they would run on this machine, and report every mistake at once.

    Without FILE, those of experiments/: what others extend is only read, and a run that a later stage refers to
    may be still to come. Exits with 2 if anything is wrong.
    """
    project = find_project()
    files, flags = _split(words)
    reports = check_files(files, flags, project)
    if as_json:
        _console.out_json({"files": {report.file: report.to_json() for report in reports}})
    else:
        _show(reports)
    return ConfigError.exit_code if any(report.problems for report in reports) else 0


def check_files(files: Sequence[Path], flags: Sequence[str], project: Project) -> list[FileReport]:
    """Return a report on each file, or where none is named on all of the project's experiments.

    Raises:
        UsageError: There is no file to check.
    """
    from burnish.core.hardware import read_machine
    from burnish.experiment.registry import config_of
    from burnish.experiment.submit import follow_reference
    from burnish.experiment.sweep import read_sweep

    folder = project.root / "experiments"
    found = survey(folder, files)
    chosen = pick(found, files) if files else found
    if not chosen:
        raise UsageError(f"no config files in {folder}", hint="name one: burnish config check FILE")
    machine = cache(read_machine)
    later: dict[str, str] = {}
    find_run = lambda text: follow_reference(text, project)  # noqa: E731

    def resolve_file(file: Path, above: Sequence[Layer]) -> Resolved:
        later.clear()
        resolved = resolve(
            file,
            lookup=config_of,
            project=project,
            flags=flags,
            environ=os.environ,
            find_run=find_run if files else later_runs(find_run, later),
            above=above,
        )
        to_come = tuple(f"{reference} is still to come: {why}" for reference, why in later.items())
        return replace(resolved, warnings=(*resolved.warnings, *to_come)).on_machine(machine(), os.environ)

    masker = Masker.from_environment(os.environ)
    return [report_on(one, resolve_file, read_sweep, is_named=bool(files)).masked(masker) for one in chosen]


def _split(words: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Return the files and the flags among the words: a file is no flag, and no flag's value."""
    files: list[Path] = []
    flags: list[str] = []
    for number, word in enumerate(words):
        before = words[number - 1] if number else ""
        is_value = is_flag(before) and "=" not in before
        is_file = not is_flag(word) and not is_value and (word.endswith(SUFFIXES) or "=" not in word)
        (files if is_file else flags).append(Path(word) if is_file else word)  # type: ignore[arg-type]
    return files, flags


def _show(reports: Sequence[FileReport]) -> None:
    for report in reports:
        if not report.problems:
            _console.out(f"{report.file}: {_verdict(report)}")
        for warning in report.warnings:
            _console.warn(f"{report.file}: {warning}")
    problems = list(dict.fromkeys(problem for report in reports for problem in report.problems))
    if problems:
        _console.show_error(ConfigError(problems), as_json=False)
        wrong = sum(1 for report in reports if report.problems)
        _console.err(f"{_counted(len(problems), 'mistake')} in {wrong} of {_counted(len(reports), 'file')}")


def _verdict(report: FileReport) -> str:
    if report.role == "default":
        return f"read, {_counted(report.parameters, 'value')} below every experiment"
    if report.role == "parent":
        by = _counted(report.children, "file") if report.children else "nothing"
        return f"read, {_counted(report.parameters, 'value')}; extended by {by}, and names no experiment itself"
    runs = f", {_counted(report.runs, 'run')}" if report.runs is not None else ""
    return f"fine, {_counted(report.parameters, 'parameter')}{runs}"


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
