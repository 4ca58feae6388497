"""`burnish logs`: what a run printed, or what it recorded."""

from __future__ import annotations

import codecs
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from burnish.cli import _console
from burnish.core.paths import RunPaths, find_project
from burnish.journal import Kind, Record, Row
from burnish.journal.index import find_run
from burnish.journal.reader import RunReader
from burnish.journal.record import read_record
from burnish.launch.retry import LIVE_STATES

_POLL_S = 0.3


@click.command(short_help="Print what a run printed, or its journal.")
@click.argument("run")
@click.option("-f", "--follow", is_flag=True, help="Go on until the run ends.")
@click.option("--journal", is_flag=True, help="Print the journal, one JSON object a frame.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def command(run: str, follow: bool, journal: bool, as_json: bool) -> None:
    """Print what a run printed (console.log), or with --journal what it recorded."""
    project = find_project()
    _console.adopt(project)
    paths = find_run(project.runs, run)
    if not journal and not paths.console.exists():
        _console.err("it was started without `burnish run`, so what it printed was not kept; see --journal")

    def has_ended() -> bool:
        return read_record(paths).get("state") not in LIVE_STATES

    source = _journal(paths) if journal else _console_log(paths, has_ended, as_json=as_json)
    for line in source:
        if line is None:  # the end, for now
            if not follow or has_ended():
                break
            time.sleep(_POLL_S)
        else:
            _console.out(line)


def _console_log(paths: RunPaths, has_ended: Callable[[], bool], *, as_json: bool) -> Iterator[str | None]:
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    offset, rest = 0, ""
    while True:
        over = has_ended()  # asked before reading: what was printed before the end is then read whole
        fresh = _read_from(paths.console, offset)
        offset += len(fresh)
        *lines, rest = (rest + decode(fresh)).split("\n")
        if over and rest:
            lines, rest = [*lines, rest], ""
        for line in lines:
            yield json.dumps({"line": line}, ensure_ascii=False) if as_json else line
        yield None


def _read_from(path: Path, offset: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read()
    except FileNotFoundError:
        return b""


def _journal(paths: RunPaths) -> Iterator[str | None]:
    journals = RunReader(paths.journals)
    while True:
        for reader, entries in journals.read():
            yield from (json.dumps(_frame(reader.path, entry), ensure_ascii=False) for entry in entries)
            for damage in reader.damage:
                where = {"journal": reader.path.name, "offset": damage.offset, "size_bytes": damage.size_bytes}
                yield json.dumps({"kind": "damage", "step": None, **where, "reason": damage.reason})
            reader.damage.clear()
        yield None


def _frame(path: Path, entry: Row | Record) -> dict[str, object]:
    common = {"journal": path.name, "seq": entry.seq, "step": entry.step, "time": entry.time}
    if isinstance(entry, Row):
        return {
            "kind": "row",
            **common,
            "values": dict(zip(entry.keys, map(_json_number, entry.values), strict=True)),
        }
    known = {int(kind): kind.name.lower() for kind in Kind}
    return {"kind": known.get(entry.kind, entry.kind), **common, "key": entry.key, "payload": entry.payload}


def _json_number(value: float) -> float | str:
    return value if abs(value) != float("inf") and value == value else repr(value)
