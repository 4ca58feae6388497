"""`burnish config`: what a config says, where each value came from, and what is wrong with it."""

from __future__ import annotations

from typing import Final

import click

from burnish.cli._lazy import LazyGroup

_COMMANDS: Final = {
    "show": "Show a config and where each value came from.",
    "check": "Check configs and report every mistake.",
    "diff": "Compare two configs: values, origins, and what made the difference.",
    "schema": "Print the JSON Schema of an experiment, for editors.",
    "stats": "Count parameters, repetition and near-duplicates.",
    "env": "Show the environment variables that count, credentials masked.",
    "import": "Turn a recipe of another tool into an experiment file.",
}


@click.group(
    cls=LazyGroup,
    known=_COMMANDS,
    package="burnish.cli.config",
    short_help="Show, check, compare and import configs.",
)
def command() -> None:
    """Show, check, compare and import configs, and where each value came from."""
