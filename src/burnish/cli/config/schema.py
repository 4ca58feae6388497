"""`burnish config schema`: the JSON Schema of experiment files, for editors."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from burnish.cli import _console
from burnish.config.json_schema import Schema, config_schema
from burnish.config.layer import Scalar
from burnish.config.resolve import static_experiment
from burnish.config.sources.files import SUFFIXES
from burnish.core.files import make_folder, write_atomic
from burnish.core.paths import find_project


@click.command()
@click.argument("what", required=False, metavar="[EXPERIMENT.yaml | NAME]")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write it there.")
@click.option("--json", "as_json", is_flag=True, help="The schema is JSON anyway; errors are then too.")
def command(what: str | None, output: Path | None, as_json: bool) -> None:
    """Print the JSON Schema of an experiment's files, for an editor to complete and check them.

    \b
    burnish config schema sft -o .burnish/schema/sft.json

    Of the experiment that a file names, or that is called NAME; of all that are registered without either. With -o,
    says what line to put on top of the YAML.
    """  # noqa: D301  \b is click's mark for lines to keep apart
    file = Path(what) if what is not None and (what.endswith(SUFFIXES) or Path(what).is_file()) else None
    text = json.dumps(schema_of(what, file), indent=1, ensure_ascii=False)
    if output is None:
        _console.out(text)
        words = f"{what} -o .burnish/schema/{Path(what).stem}" if what else "-o .burnish/schema/experiment"
        _console.err(f"to use it in an editor: burnish config schema {words}.json")
        return
    make_folder(output.parent)
    write_atomic(output, f"{text}\n")
    _console.err(f"wrote {output}; put this line on top of {file or 'each file in experiments/'}:")
    _console.err(comment_line(output, file.parent if file is not None else find_project().root / "experiments"))


def schema_of(what: str | None, file: Path | None) -> Schema:
    """Return the schema of an experiment by its name or that of a file; of all registered ones without either.

    Raises:
        ConfigError: The file cannot be read, or names no experiment.
        ComponentError: There is no experiment of that name.
    """
    from burnish.experiment.registry import config_of, names

    if file is not None:
        _, tree = static_experiment(file, find_project(), config_of)
        named = tree.items["experiment"]
        assert isinstance(named, Scalar)
        return config_schema([str(named.value)], config_of, names)
    return config_schema([what] if what else names("experiments"), config_of, names)


def comment_line(schema: Path, folder: Path) -> str:
    """Return the comment that makes an editor use a schema, for YAML files of a folder."""
    return f"# yaml-language-server: $schema={Path(os.path.relpath(schema.resolve(), folder.resolve())).as_posix()}"
