"""Write docs/reference/cli.md from the commands' own `--help`: run it by hand after a change to the command line."""

from __future__ import annotations

from pathlib import Path

import click
from click.testing import CliRunner

from burnish.cli.main import app

PAGE = Path(__file__).parent / "reference" / "cli.md"
_WIDTH = 100
_HEAD = """# Command line

This page is made from the `--help` texts by `python docs/generate_cli.py`.

Results go to stdout; progress, warnings and errors to stderr. Commands that read have `--json`, which prints one
object; with it, an error is an object too: `{"error": {"code", "message", "hint", "origin"}}`. Colour is used on a
terminal only, and never when `NO_COLOR` is set.

| exit status | meaning |
|---|---|
| 0 | fine |
| 1 | something expected went wrong: no such run, no good checkpoint, a folder that cannot be written |
| 2 | the command line or a config is wrong; nothing was started |
| 70 | a bug in Burnish |
| 130 | interrupted |

`burnish run` passes on the exit status of the training process: 75 for one that stopped when asked and can be
resumed, 128 + n for one that was ended by signal n. See [runs](../concepts/runs.md).
"""


def render() -> str:
    """Return the page."""
    parts = [_HEAD]
    for words in _commands(app, ()):
        title = " ".join(("burnish", *words))
        # `prog_name` as a user types it; the width is fixed, or the page would depend on the terminal.
        done = CliRunner().invoke(app, [*words, "--help"], prog_name="burnish", terminal_width=_WIDTH)
        parts.append(f"## {title}\n\n```text\n{done.output.rstrip()}\n```\n")
    return "\n".join(parts)


def _commands(group: click.Group, above: tuple[str, ...]) -> list[tuple[str, ...]]:
    found = [above]
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        words = (*above, name)
        found += _commands(command, words) if isinstance(command, click.Group) else [words]
    return found


if __name__ == "__main__":
    PAGE.write_text(render())
