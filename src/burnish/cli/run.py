"""`burnish run`: an experiment file, or any command after `--`."""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from burnish.cli import _console
from burnish.core.errors import UsageError
from burnish.core.paths import Project, RunPaths, find_project
from burnish.core.processes import ProcessIdentity
from burnish.journal.record import read_record
from burnish.launch import Progress

if TYPE_CHECKING:
    from burnish.launch.prepare import PreparedRun

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
    """Run an experiment file, or any command, under supervision.

    \b
    burnish run experiments/sft.yaml --training.learning_rate 1e-4
    burnish run -- python train.py --lr 1e-4
    burnish run --resume k7f2

    A killed training process is started again and resumes from its newest checkpoint. Ctrl-C once stops after
    the step and saves; twice, at once. The exit code is the training process's own.
    """  # noqa: D301  \b is click's mark for lines to keep apart
    project = find_project()
    _console.adopt(project)
    argv = ctx.meta["command"]
    if resume:
        if words or argv is not None or debug:
            raise UsageError("--resume takes a run and nothing else", hint=f"burnish run --resume {resume}")
        from burnish.experiment.submit import prepare_resume

        return _supervise(prepare_resume(resume, project), quiet=quiet, as_json=as_json)
    if argv is not None:
        return _run_command(project, list(words), argv, debug=debug, quiet=quiet, as_json=as_json)
    return _run_experiment(project, list(words), debug=debug, quiet=quiet, as_json=as_json)


def _run_experiment(project: Project, words: list[str], *, debug: bool, quiet: bool, as_json: bool) -> int:
    from burnish.experiment.submit import prepare_experiment

    file, flags = _split(words)
    prepared = prepare_experiment(file, flags, project, os.environ, one_step=debug)
    return _in_foreground(prepared) if debug else _supervise(prepared, quiet=quiet, as_json=as_json)


def _run_command(
    project: Project, flags: list[str], argv: list[str], *, debug: bool, quiet: bool, as_json: bool
) -> int:
    from burnish.experiment.submit import prepare_command

    if not argv:
        raise UsageError("no command after --", hint="burnish run -- python train.py")
    if debug:
        try:
            os.execvp(argv[0], argv)
        except OSError as error:
            raise UsageError(f"cannot start {argv[0]!r}: {error.strerror}") from error
    return _supervise(prepare_command(argv, flags, project, os.environ), quiet=quiet, as_json=as_json)


def _supervise(prepared: PreparedRun, *, quiet: bool, as_json: bool) -> int:
    from burnish.experiment.submit import supervise

    paths = prepared.paths
    # What a command prints is why it was run; of an experiment, the status line says more.
    is_experiment = bool(read_record(paths).get("needs_end_record"))
    show = _Display(paths, follow=None if is_experiment or quiet else _Follow(paths), quiet=quiet)
    show.begin(prepared.warnings)
    result = supervise(prepared, show, os.environ)
    show.end(result.state)
    if as_json:
        _console.out_json(_console.record_json(read_record(paths)))
    return result.exit_code


class _Display:
    """What `burnish run` shows on stderr while a run lives; called with its progress."""

    def __init__(self, paths: RunPaths, *, follow: _Follow | None, quiet: bool) -> None:
        self._paths = paths
        self._id = paths.id
        self._follow = follow
        self._quiet = quiet
        self._status = _console.StatusLine(self._id)
        self._attempt = 0
        self._told_stop = False

    def begin(self, warnings: tuple[str, ...]) -> None:
        """Say what runs."""
        for warning in warnings:
            _console.warn(warning)
        if not self._quiet:
            _console.err(f"run {self._paths.name}")

    def __call__(self, progress: Progress) -> None:
        """Show what is new."""
        if self._quiet:
            return
        if self._follow is not None:
            self._follow(self._status.clear)
        if progress.stop_signals and not self._told_stop:
            self._told_stop = True
            self._status.clear()
            _console.err(f"{self._id}  stopping after this step; Ctrl-C again to stop at once")
        if self._attempt and progress.attempt != self._attempt:
            self._status.clear()
            _console.err(_retry_line(self._paths, self._id, progress.attempt))
        self._attempt = progress.attempt
        self._status(progress)

    def end(self, state: str) -> None:
        """Say how it ended; a failure is told even when nothing else is wanted."""
        self._status.clear()
        if self._follow is not None:
            self._follow(self._status.clear)
        if not self._quiet or state != "finished":
            _console.show_end(self._paths, state, with_output=self._follow is None)


def _retry_line(paths: RunPaths, run_id: str, attempt: int) -> str:
    attempts = read_record(paths).get("attempts")
    before = attempts[attempt - 2] if isinstance(attempts, list) and len(attempts) >= attempt else {}
    at = f" at step {before['last_step']}" if before.get("last_step", -1) >= 0 else ""
    return f"{run_id}  attempt {attempt - 1} {before.get('reason', 'ended')}{at}; attempt {attempt} goes on"


def _in_foreground(prepared: PreparedRun) -> int:
    """Train in this very process, with its terminal: no supervisor, no retry."""
    from burnish.experiment.child import main
    from burnish.experiment.submit import secret_variables
    from burnish.launch.adopt import complete
    from burnish.launch.recorder import Recorder
    from burnish.track.start import RUN_DIR_VARIABLE

    paths = prepared.paths
    for warning in prepared.warnings:
        _console.warn(warning)
    _console.err(f"run {paths.name} (debug: one step, in the foreground)")
    os.environ |= {RUN_DIR_VARIABLE: str(paths.root), **secret_variables(prepared)}
    with prepared.lock:
        recorder = Recorder(paths, {})
        recorder.attempt_starts()
        recorder.attempt_runs(ProcessIdentity.of(os.getpid()))
        try:
            return main()
        finally:
            _console.show_end(paths, complete(paths), with_output=False)


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
    raise UsageError(
        "nothing to run: no experiment file, and no -- before a command",
        hint="burnish run experiments/sft.yaml, or burnish run -- python train.py",
    )


class _Follow:
    """Passes on to stderr what the command prints."""

    def __init__(self, paths: RunPaths) -> None:
        self._path = paths.console
        self._offset = self._path.stat().st_size if self._path.exists() else 0
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    def __call__(self, make_room: Callable[[], None]) -> None:
        """Print what is new; `make_room` removes the status line first."""
        try:
            with self._path.open("rb") as console:
                console.seek(self._offset)
                fresh = console.read()
        except FileNotFoundError:
            return
        self._offset += len(fresh)
        if fresh:
            make_room()
            _console.raw_err(self._decode(fresh))
