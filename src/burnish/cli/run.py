"""`burnish run`: an experiment file, or any command after `--`."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from burnish.cli import _console
from burnish.cli._display import Show, supervise_shown
from burnish.cli._settings import experiment_called
from burnish.core.environment import is_debug
from burnish.core.errors import UsageError
from burnish.core.paths import Project, RunPaths, find_project
from burnish.core.processes import ProcessIdentity
from burnish.journal.index import find_run
from burnish.journal.record import read_record

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from burnish.launch.prepare import PreparedRun

SUFFIXES = (".yaml", ".yml", ".toml", ".py")


_TAKE_A_VALUE = ("--resume", "--from", "--sweep", "--zip")
_SWITCHES = ("--debug", "--quiet", "--json", "--yes", "--dry-run", "--help", "-h")


class _RunCommand(click.Command):
    """Takes its own options out of the words; whatever else there is sets config values, and is left as it stands."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        before = args[: args.index("--")] if "--" in args else args
        ctx.meta["command"] = args[args.index("--") + 1 :] if "--" in args else None
        own: list[str] = []
        words: list[str] = []
        left = list(before)
        while left:
            word = left.pop(0)
            if word in _TAKE_A_VALUE:
                if not left or left[0].startswith("-"):
                    raise UsageError(f"{word} wants a value", hint="see burnish run --help")
                own += [word, left.pop(0)]
            else:
                (own if word in _SWITCHES or word.startswith(tuple(f"{n}=" for n in _TAKE_A_VALUE)) else words).append(
                    word
                )
        ctx.meta["words"] = words
        return super().parse_args(ctx, own)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what the experiment can be told, where the words name one."""
        file = _named_file(ctx.meta.get("words", []))
        formatter.write_paragraph()
        if file is None:
            with formatter.indentation():
                formatter.write_text("What an experiment can be told: burnish run EXPERIMENT.yaml --help")
            return
        from burnish.cli._settings import format_settings, settings_of_file

        format_settings(settings_of_file(file), formatter)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return own options, and the flags of the experiment that the words name."""
        from click.shell_completion import CompletionItem

        from burnish.cli._settings import completions, settings_of_file
        from burnish.core.errors import BurnishError

        if not incomplete.startswith("-"):
            return [CompletionItem(incomplete, type="file")]
        file = _named_file(ctx.meta.get("words", []))
        try:
            found = completions(settings_of_file(file), incomplete) if file is not None else []
        except BurnishError:
            found = []
        return [*super().shell_complete(ctx, incomplete), *found]


@click.command(
    cls=_RunCommand,
    context_settings={"max_content_width": 100, "help_option_names": ["-h", "--help"]},
    short_help="Run an experiment file, or any command, under supervision.",
    options_metavar="EXPERIMENT.yaml [--KEY VALUE]… [OPTIONS] | -- COMMAND…",
)
@click.option("--debug", is_flag=True, help="One step in the foreground, unsupervised: breakpoint() works.")
@click.option("--resume", metavar="RUN", help="Go on with a run that stopped, failed or was lost.")
@click.option("--from", "replay", metavar="RUN", help="Run the config of a run again; flags go over it.")
@click.option("--sweep", "grid", multiple=True, metavar="KEY=V,W", help="A run for each value; several multiply.")
@click.option("--zip", "zips", multiple=True, metavar="K,L=1:2,3:4", help="A run for each pair of values.")
@click.option("--dry-run", is_flag=True, help="Check everything and list the runs of a sweep; start nothing.")
@click.option("--yes", is_flag=True, help="Do not ask, however many runs a sweep has.")
@click.option("--quiet", is_flag=True, help="No status line.")
@click.option("--json", "as_json", is_flag=True, help="Print how the run ended as JSON.")
@click.pass_context
def command(
    ctx: click.Context,
    *,
    debug: bool,
    resume: str | None,
    replay: str | None,
    grid: tuple[str, ...],
    zips: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Run an experiment file, or any command, under supervision.

    \b
    burnish run experiments/sft.yaml --training.learning_rate 1e-4
    burnish run experiments/sft.yaml --sweep seed=0,1,2
    burnish run -- python train.py --lr 1e-4
    burnish run --resume k7f2
    burnish run --from k7f2 --seed 1

    A killed training process is started again and resumes from its newest checkpoint. Ctrl-C once stops after
    the step and saves; twice, at once. The exit code is the training process's own.
    """  # noqa: D301  \b is click's mark for lines to keep apart
    project = find_project()
    _console.adopt(project)
    show = Show(quiet=quiet, as_json=as_json)
    words, argv = list(ctx.meta["words"]), ctx.meta["command"]
    debug = debug or is_debug(os.environ, project.env_prefix)
    if resume:
        if words or argv is not None or ctx.params["debug"] or replay or grid or zips:
            raise UsageError("--resume takes a run and nothing else", hint=f"burnish run --resume {resume}")
        from burnish.experiment.submit import prepare_resume

        return _supervise(prepare_resume(resume, project), show)
    if argv is not None:
        if replay or grid or zips or dry_run:
            raise UsageError("--from, --sweep, --zip and --dry-run take an experiment file; a command has no config")
        return _run_command(project, words, argv, show, debug=debug)
    source, flags = _source(words, replay, project)
    from burnish.experiment.sweep import read_sweep

    _refuse_misspelt(flags)
    sweep = read_sweep(source, grid, zips)
    if sweep is not None:
        if debug:
            asked = "--debug" if ctx.params["debug"] else f"{project.env_prefix}DEBUG_MODE"
            raise UsageError("a sweep cannot be debugged", hint=f"leave out {asked}, or the sweep")
        from burnish.cli._sweep import run_sweep

        return run_sweep(sweep, source, flags, project, show, yes=yes, dry_run=dry_run)
    return _run_experiment(project, source, flags, show, debug=debug, dry_run=dry_run)


def _refuse_misspelt(flags: list[str]) -> None:
    """Tell a misspelt option of `run` apart from a flag of the config, which has another name space.

    Raises:
        UsageError: A word is almost, or with a value, an option of `run`.
    """
    options = [name for name in (*_TAKE_A_VALUE, *_SWITCHES) if name.startswith("--")]
    for word in flags:
        name, equals, _ = word.partition("=")
        if name in _SWITCHES:
            raise UsageError(f"{name} takes no value", hint=f"{name}, or leave it out")
        if not name.startswith("--") or "." in name or len(name) < 5:
            continue
        close = difflib.get_close_matches(name, options, n=1, cutoff=0.85)
        if close and not equals:
            raise UsageError(f"no option {name}", hint=f"did you mean {close[0]}?")


def _source(words: list[str], replay: str | None, project: Project) -> tuple[Path | RunPaths, list[str]]:
    """Return what is to be run, and the words that set config values."""
    if not replay:
        return _split(words)
    if (file := _named_file(words)) is not None:
        raise UsageError(f"--from takes the config of a run, and {file} is another one", hint="leave out one of them")
    return find_run(project.runs, replay), words


def _run_experiment(
    project: Project, source: Path | RunPaths, flags: list[str], show: Show, *, debug: bool, dry_run: bool
) -> int:
    from burnish.core.hardware import read_machine
    from burnish.experiment.submit import prepare_experiment, resolve_experiment

    if dry_run:
        resolved = resolve_experiment(source, flags, project, os.environ).on_machine(read_machine(), os.environ)
        for warning in resolved.warnings:
            _console.warn(warning)
        _console.err(f"1 run, {len(resolved.origins)} values, nothing wrong; nothing was started")
        if show.as_json:
            _console.out_json({"sweep": None, "runs": [{}]})
        return 0
    prepared = prepare_experiment(source, flags, project, os.environ, one_step=debug)
    return _in_foreground(prepared) if debug else _supervise(prepared, show)


def _run_command(project: Project, flags: list[str], argv: list[str], show: Show, *, debug: bool) -> int:
    from burnish.experiment.submit import prepare_command

    if not argv:
        raise UsageError("no command after --", hint="burnish run -- python train.py")
    if debug:
        try:
            os.execvp(argv[0], argv)
        except OSError as error:
            raise UsageError(f"cannot start {argv[0]!r}: {error.strerror}") from error
    return _supervise(prepare_command(argv, flags, project, os.environ), show)


def _supervise(prepared: PreparedRun, show: Show) -> int:
    result = supervise_shown(prepared, quiet=show.quiet)
    if show.as_json:
        _console.out_json(_console.record_json(read_record(result.paths)))
    return result.exit_code


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
            recorder.close()
            _console.show_end(paths, complete(paths), with_output=False)


def _split(words: list[str]) -> tuple[Path, list[str]]:
    """Return the experiment file and the flags among the words."""
    number = _file_position(words)
    if number is not None:
        return Path(words[number]), words[:number] + words[number + 1 :]
    if words and not words[0].startswith("-"):
        if (near := experiment_called(words[0])) is not None:
            raise UsageError(f"{words[0]!r} is no experiment file", hint=f"did you mean {near}?")
        raise UsageError(
            f"{words[0]!r} is no experiment file", hint=f"to run a command: burnish run -- {' '.join(words)}"
        )
    raise UsageError(
        "nothing to run: no experiment file, and no -- before a command",
        hint="burnish run experiments/sft.yaml, or burnish run -- python train.py",
    )


def _named_file(words: list[str]) -> Path | None:
    number = _file_position(words)
    return Path(words[number]) if number is not None else None


def _file_position(words: list[str]) -> int | None:
    """Return where among the words the experiment file stands: the first that is no flag, and no flag's value."""
    for number, word in enumerate(words):
        before = words[number - 1] if number else ""
        is_value = before.startswith("-") and "=" not in before and not before.startswith("--no-")
        if not word.startswith("-") and "=" not in word and not is_value:
            return number if word.endswith(SUFFIXES) else None
    return None
