"""Help and completion for config flags: groups by section, from the schema of the experiment that a file names."""

from __future__ import annotations

import json
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
    from burnish.config.resolve import static_experiment
    from burnish.core.paths import find_project
    from burnish.experiment.registry import config_of

    project = find_project()
    schema, tree = static_experiment(file, project, config_of)
    return settings_of(schema, tree, config_of, project.env_prefix)


def experiment_called(word: str) -> Path | None:
    """Return the file in `experiments/` that has a name, None where there is none."""
    from burnish.config.sources.files import SUFFIXES
    from burnish.core.paths import find_project

    root = find_project().root
    found = [root / "experiments" / f"{word}{suffix}" for suffix in SUFFIXES if "/" not in word]
    file = next((path for path in found if path.is_file()), None)
    return Path(os.path.relpath(file)) if file is not None else None


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
    if isinstance(value, list | dict):
        return json.dumps(value)
    return str(value) if value != "" else "empty"


def width() -> int:
    """Return how wide help may be."""
    try:
        return min(_WIDE, os.get_terminal_size().columns)
    except OSError:
        return _WIDE
