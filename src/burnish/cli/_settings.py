"""Help and completion for config flags: groups by section, from the schema of the experiment that a file names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from burnish.config.describe import Setting

_WIDE = 100


def settings_of_file(file: Path) -> list[Setting]:
    """Return what the experiment of a file can be told.

    Raises:
        ConfigError: The file cannot be read, or names no experiment.
    """
    from burnish.config.describe import settings_of
    from burnish.config.resolve import experiment_class, load_static
    from burnish.core.paths import find_project
    from burnish.experiment.registry import config_of

    tree = load_static(file)
    return settings_of(experiment_class(tree, config_of), tree, config_of, find_project().env_prefix)


def format_settings(settings: list[Setting], formatter: click.HelpFormatter) -> None:
    """Write settings, a group a section; required ones first."""
    for section in dict.fromkeys(setting.section for setting in settings):
        with formatter.section(section or "Top level"):
            inside = [setting for setting in settings if setting.section == section]
            formatter.write_dl([(_names(setting), _about(setting)) for setting in inside], col_max=46)


def completions(settings: list[Setting], incomplete: str) -> list[click.shell_completion.CompletionItem]:
    """Return the flags that begin with what was typed."""
    from click.shell_completion import CompletionItem

    return [
        CompletionItem(flag, help=setting.text or setting.kind)
        for setting in settings
        for flag in (f"--{setting.path}", *setting.flags)
        if flag.startswith(incomplete)
    ]


def _names(setting: Setting) -> str:
    return f"{', '.join([*setting.flags, f'--{setting.path}'])} {setting.kind.upper()}"


def _about(setting: Setting) -> str:
    if setting.is_required:
        state = "required"
    else:
        state = f"default {_shown(setting.default)}{f' {setting.unit}' if setting.unit else ''}"
    facts = "; ".join(filter(None, (state, setting.allowed, f"env {setting.variable}")))
    return f"{setting.text}{' ' if setting.text else ''}[{facts}]"


def _shown(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value) if value != "" else "empty"


def width() -> int:
    """Return how wide help may be."""
    try:
        return min(_WIDE, os.get_terminal_size().columns)
    except OSError:
        return _WIDE
