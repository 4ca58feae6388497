"""`burnish note`: what people have to say of a run."""

from __future__ import annotations

import getpass
import sys
import time
from dataclasses import replace

import click

from burnish.cli import _console
from burnish.core.clock import iso
from burnish.core.errors import UsageError
from burnish.core.paths import RunPaths, find_project
from burnish.core.shape import items
from burnish.journal.annotations import Note, annotate
from burnish.journal.index import find_run
from burnish.journal.record import read_record


@click.command(short_help="Add a note to a run, or print its notes.")
@click.argument("run")
@click.argument("text", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the notes as one object.")
def command(run: str, text: str | None, as_json: bool) -> None:
    """Add a note to a run; without TEXT, print its notes. `-` as TEXT reads it from stdin."""
    paths = find_run(find_project().runs, run)
    if text is not None:
        _add(paths, sys.stdin.read() if text == "-" else text)
    notes = [note for note in items(read_record(paths), "notes") if isinstance(note, dict)]
    if as_json:
        _console.out_json({"run": paths.name, "notes": notes})
    elif text is not None:
        _console.out(f"{paths.name}  {len(notes)} note{'s' if len(notes) > 1 else ''}")
    elif not notes:
        _console.err(f"no notes on run {paths.id}; add one: burnish note {paths.id} 'TEXT'")
    else:
        for note in notes:
            _console.out("\n".join(note_lines(note)))


def note_lines(note: dict[str, object]) -> list[str]:
    """Return a note as it is shown: when and by whom, then its text."""
    when, author = note.get("time"), note.get("author")
    head = "  ".join(filter(None, (iso(when) if isinstance(when, int | float) else "", str(author or ""))))
    return [head, *(f"  {line}" for line in str(note.get("text")).splitlines())]


def _add(paths: RunPaths, text: str) -> None:
    text = text.strip()
    if not text:
        raise UsageError("a note without text", hint=f"burnish note {paths.id} 'TEXT'")
    note = Note(time.time(), text, _author())
    annotate(paths, lambda said: replace(said, notes=(*said.notes, note)))


def _author() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return ""
