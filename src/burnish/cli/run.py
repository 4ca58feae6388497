"""`burnish run`: an experiment file, or any command after `--`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import click

from burnish.cli import _console
from burnish.core.errors import UsageError
from burnish.core.files import read_json
from burnish.core.paths import Project, RunPaths, find_project
from burnish.journal.index import find_run
from burnish.launch import Progress

_CONFIG_SUFFIXES = (".yaml", ".yml", ".toml")


class _RunCommand(click.Command):
    """Leaves config flags alone, and keeps the `--` that click would drop."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta["command"] = args[args.index("--") + 1 :] if "--" in args else None
        return super().parse_args(ctx, args[: args.index("--")] if "--" in args else args)


@click.command(
    cls=_RunCommand,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": True},
    short_help="Run an experiment file, or any command, under supervision.",
)
@click.option("--debug", is_flag=True, help="One step in the foreground, unsupervised: breakpoint() works.")
@click.option("--resume", metavar="RUN", help="Go on with a run that stopped, failed or was lost.")
@click.option("--quiet", is_flag=True, help="No status line.")
@click.option("--json", "as_json", is_flag=True, help="Print how the run ended as JSON.")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="EXPERIMENT.yaml [--KEY VALUE]… | -- COMMAND…")
@click.pass_context
def command(
    ctx: click.Context, words: tuple[str, ...], debug: bool, resume: str | None, quiet: bool, as_json: bool
) -> int:
    r"""Run an experiment file, or any command, under supervision.

    \b
    burnish run experiments/sft.yaml --training.learning_rate 1e-4
    burnish run -- python train.py --lr 1e-4
    burnish run --resume k7f2

    A killed training process is started again and resumes from its newest checkpoint. Ctrl-C once stops after
    the step and saves; twice, at once. The exit code is the training process's own.
    """
    project = find_project()
    _console.adopt(project)
    argv = ctx.meta["command"]
    if resume:
        return _resume(project, resume, quiet=quiet, as_json=as_json)
    if argv is not None:
        return _run_command(project, list(words), argv, debug=debug, quiet=quiet, as_json=as_json)
    return _run_experiment(project, list(words), debug=debug, quiet=quiet, as_json=as_json)


def _run_experiment(project: Project, words: list[str], *, debug: bool, quiet: bool, as_json: bool) -> int:
    from burnish.experiment.submit import CHILD, prepare_experiment

    file, flags = _split(words)
    prepared = prepare_experiment(file, flags, project, os.environ, one_step=debug)
    if debug:
        return _in_foreground(prepared.paths, prepared.warnings)
    return _supervise(prepared.paths, [sys.executable, *CHILD], prepared.warnings, quiet=quiet, as_json=as_json)


def _run_command(
    project: Project, flags: list[str], argv: list[str], *, debug: bool, quiet: bool, as_json: bool
) -> int:
    from burnish.experiment.submit import prepare_command

    if not argv:
        raise UsageError("no command after --", hint="burnish run -- python train.py")
    if debug:
        os.execvp(argv[0], argv)
    prepared = prepare_command(argv, flags, project, os.environ)
    follow = None if quiet else _Follow(prepared.paths)
    return _supervise(prepared.paths, argv, prepared.warnings, quiet=quiet, as_json=as_json, follow=follow)


def _resume(project: Project, selector: str, *, quiet: bool, as_json: bool) -> int:
    from burnish.experiment.submit import command_to_resume

    paths = find_run(project.runs, selector)
    return _supervise(paths, command_to_resume(paths), (), quiet=quiet, as_json=as_json)


def _supervise(
    paths: RunPaths,
    argv: list[str],
    warnings: tuple[str, ...],
    *,
    quiet: bool,
    as_json: bool,
    follow: Callable[[], None] | None = None,
) -> int:
    from burnish.experiment.submit import supervise

    for warning in warnings:
        _console.warn(warning)
    run_id = paths.name.rsplit("_", 1)[-1]
    if not quiet:
        _console.err(f"run {paths.name}")
    status = _console.StatusLine(run_id)
    seen_attempt = 1
    seen_stop = False

    def on_progress(progress: Progress) -> None:
        nonlocal seen_attempt, seen_stop
        if quiet:
            return
        if progress.stop_signals and not seen_stop:
            seen_stop = True
            status.clear()
            _console.err(f"{run_id}  stopping after this step; Ctrl-C again to stop at once")
        if follow is not None:
            status.clear()
            follow()
        if progress.attempt != seen_attempt:
            seen_attempt = progress.attempt
            status.clear()
            _console.err(_retry_line(paths, run_id, seen_attempt))
        status(progress)

    result = supervise(paths, argv, on_progress, os.environ)
    if not quiet:
        status.clear()
        if follow is not None:
            follow()
        _console.show_end(paths, result.state)
    if as_json:
        _console.out_json(read_json(paths.state))
    return result.exit_code


def _retry_line(paths: RunPaths, run_id: str, attempt: int) -> str:
    attempts = read_json(paths.state).get("attempts")
    before = attempts[attempt - 2] if isinstance(attempts, list) and len(attempts) >= attempt else {}
    reason = before.get("reason", "ended") if isinstance(before, dict) else "ended"
    at = f" at step {before['last_step']}" if isinstance(before, dict) and before.get("last_step", -1) >= 0 else ""
    return f"{run_id}  attempt {attempt - 1} {reason}{at}; attempt {attempt} goes on"


def _in_foreground(paths: RunPaths, warnings: tuple[str, ...]) -> int:
    """Train in this very process, with its terminal: no supervisor, no retry."""
    from burnish.core.files import FileLock
    from burnish.experiment.child import main
    from burnish.launch.adopt import complete
    from burnish.track.start import RUN_DIR_VARIABLE

    for warning in warnings:
        _console.warn(warning)
    _console.err(f"run {paths.name} (debug: one step, in the foreground)")
    os.environ[RUN_DIR_VARIABLE] = str(paths.root)
    lock = FileLock.try_acquire(paths.lock)
    assert lock is not None, "a run directory that was made a moment ago is nobody else's"
    with lock:
        code = main()
        complete(paths)
    return code


def _split(words: list[str]) -> tuple[Path, list[str]]:
    """Return the experiment file and the flags among the words."""
    if words and words[0].endswith(_CONFIG_SUFFIXES):
        return Path(words[0]), words[1:]
    for number, word in enumerate(words):
        before = words[number - 1] if number else ""
        if (
            word.endswith(_CONFIG_SUFFIXES)
            and not word.startswith("-")
            and (not before.startswith("--") or "=" in before)
        ):
            return Path(word), words[:number] + words[number + 1 :]
    if words and not words[0].startswith("-"):
        raise UsageError(
            f"{words[0]!r} is no experiment file", hint=f"to run a command: burnish run -- {' '.join(words)}"
        )
    raise UsageError("nothing to run", hint="burnish run experiments/sft.yaml, or burnish run -- python train.py")


class _Follow:
    """Passes on to stderr what the command prints."""

    def __init__(self, paths: RunPaths) -> None:
        self._path = paths.console
        self._offset = 0

    def __call__(self) -> None:
        try:
            with self._path.open("rb") as console:
                console.seek(self._offset)
                fresh = console.read()
        except FileNotFoundError:
            return
        self._offset += len(fresh)
        if fresh:
            _console.raw_err(fresh.decode(errors="replace"))
