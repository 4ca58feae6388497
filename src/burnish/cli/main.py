"""Entry point: subcommands are imported when they are used, errors become one message and an exit code."""

from __future__ import annotations

import sys
from typing import Final

import click

from burnish import __version__
from burnish.cli._lazy import LazyGroup

_COMMANDS: Final = {
    "run": "Run an experiment file, or any command, under supervision.",
    "ls": "List runs, newest first.",
    "show": "Show one run: state, attempts, metrics, checkpoints.",
    "logs": "Print what a run printed, or its journal.",
    "diff": "Compare two runs: config, code, packages, machine, data, results.",
    "media": "List, print or write what a run recorded besides scalars.",
    "export": "Write metrics of runs, or the runs themselves, as one table.",
    "import": "Import runs of other tools.",
    "sync": "Ship runs to trackers that have not got all of them.",
    "tag": "Add and remove tags of runs.",
    "note": "Add a note to a run, or print its notes.",
    "pin": "Keep runs from being removed.",
    "rename": "Give a run another name; its id stays.",
    "rm": "Remove runs.",
    "config": "Show, check, compare and import configs, and where each value came from.",
    "doctor": "Check this machine and say what to fix.",
}

_BUG = 70  # EX_SOFTWARE


@click.group(
    cls=LazyGroup, known=_COMMANDS, package="burnish.cli", context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="burnish")
def app() -> None:
    """Burnish: the experiment layer under LLM post-training."""


def main(argv: list[str] | None = None) -> None:
    """Run the command line and exit."""
    words = sys.argv[1:] if argv is None else argv
    sys.exit(_run(words))


def _run(words: list[str]) -> int:
    try:
        result = app.main(args=words, prog_name="burnish", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # `burnish ls | head`: the reader has left, and so may we
        return 141
    except Exception as error:  # noqa: BLE001  the last of the five walls
        return _failed(error, words)


def _failed(error: Exception, words: list[str]) -> int:
    from burnish.cli import _console
    from burnish.core.errors import BurnishError, UsageError

    as_json = "--json" in words[: words.index("--")] if "--" in words else "--json" in words
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        _console.err(error.format_message())
        return UsageError.exit_code
    if isinstance(error, click.ClickException):
        where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "burnish"
        text = error.format_message()
        error = UsageError(text[:1].lower() + text[1:].rstrip("."), hint=f"see {where} --help")
    if isinstance(error, BurnishError):
        _console.show_error(error, as_json=as_json)
        return error.exit_code
    import os
    import traceback

    from burnish.core.secrets import Masker

    masker = Masker.from_environment(os.environ)
    _console.err(masker.text("".join(traceback.format_exception(error))).rstrip())
    _console.err("error: this is a bug in Burnish; please report it with the lines above")
    return _BUG
