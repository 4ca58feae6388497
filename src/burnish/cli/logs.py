"""`burnish logs`: what a run printed, or what it recorded."""

from __future__ import annotations

import codecs
import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import heappush, heappushpop
from itertools import count as counting
from pathlib import Path
from typing import BinaryIO

import click

from burnish.cli import _console
from burnish.core.errors import UsageError
from burnish.core.nearest import nearest
from burnish.core.paths import RunPaths, find_project
from burnish.journal import Damage, JournalReader, Kind, Record, Row
from burnish.journal.index import find_run
from burnish.journal.reader import RunReader, journal_files
from burnish.journal.record import LIVE, read_record

_POLL_S = 0.3
_CHUNK_BYTES = 1 << 18
_DAMAGE = "damage"
_NAMES = {int(kind): kind.name.lower() for kind in Kind}
_TAIL_BYTES = 1 << 18  # of each journal file, at first
_FURTHER = 16

Keep = Callable[[str], bool]


@click.command(short_help="Print what a run printed, or its journal.")
@click.argument("run")
@click.option("-f", "--follow", is_flag=True, help="Go on until the run ends, over all its attempts.")
@click.option(
    "-n", "--lines", metavar="LINES", type=click.IntRange(0), help="Only the last so many, then what follows."
)
@click.option("--grep", metavar="REGEX", default="", help="Only lines in which a regular expression is found.")
@click.option("--journal", is_flag=True, help="Print the journal, one JSON object a frame.")
@click.option("--kind", "kinds", metavar="KIND,…", default="", help="Of the journal only these: row,log,alert,…")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def command(run: str, follow: bool, lines: int | None, grep: str, journal: bool, kinds: str, as_json: bool) -> None:
    """Print what a run printed (console.log), or with --journal what it recorded.

    With -n, lines that --grep leaves out do not count. The last frames of a journal are the last by time, over all of
    its files; otherwise it is printed file by file.
    """
    keep = _matching(grep)
    wanted = _kinds(kinds, journal=journal)
    project = find_project()
    _console.adopt(project)
    paths = find_run(project.runs, run)
    if not journal and not paths.console.exists():
        _console.err("it was started without `burnish run`, so what it printed was not kept; see --journal")

    def has_ended() -> bool:
        return read_record(paths).get("state") not in LIVE

    if journal:
        source = _journal(paths, keep, wanted, lines)
    else:
        source = _Console(paths.console, keep, _console.colour_allowed()).lines(has_ended, lines, as_json=as_json)
    for line in source:
        if line is None:  # the end, for now
            if not follow or has_ended():
                break
            time.sleep(_POLL_S)
        else:
            _console.out(line)


def _matching(grep: str) -> Keep:
    try:
        found = re.compile(grep).search
    except re.error as error:
        raise UsageError(f"--grep {grep!r} is no regular expression: {error}") from error
    return lambda line: not grep or found(line) is not None


def _kinds(text: str, *, journal: bool) -> frozenset[str]:
    """Return the kinds of frames that are wanted; empty for all."""
    wanted = frozenset(word.strip() for word in text.split(",") if word.strip())
    if wanted and not journal:
        raise UsageError("--kind chooses frames of the journal", hint=f"add --journal --kind {text}")
    known = [*(kind.name.lower() for kind in Kind if kind != Kind.KEYS), _DAMAGE]
    for word in sorted(wanted - set(known)):
        best = nearest(word, known)
        hint = f"did you mean {best}?" if best else f"there are {', '.join(known)}"
        raise UsageError(f"no kind of frame is called {word!r}", hint=hint)
    return wanted


@dataclass(frozen=True, slots=True)
class _Console:
    """What the training process printed, line by line; lines end in a line feed only, as those of `grep` do."""

    path: Path
    keep: Keep
    in_colour: bool

    def lines(self, has_ended: Callable[[], bool], count: int | None, *, as_json: bool) -> Iterator[str | None]:
        """Yield the lines from the last `count` on, all if None; None where the end is reached for now."""
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        offset, rest = 0 if count is None else self._start_of_last(count), ""
        while True:
            over = has_ended()  # asked before reading: what was printed before the end is then read whole
            while fresh := _read_from(self.path, offset):
                offset += len(fresh)
                *lines, rest = (rest + decode(fresh)).split("\n")
                yield from self._shown(lines, as_json=as_json)
            if over and rest:
                yield from self._shown([rest], as_json=as_json)
                rest = ""
            yield None

    def _shown(self, lines: list[str], *, as_json: bool) -> Iterator[str]:
        for line in lines:
            plain = _console.without_colour(line)
            if self.keep(plain):
                text = line if self.in_colour else plain
                yield json.dumps({"line": plain}, ensure_ascii=False) if as_json else text

    def _start_of_last(self, count: int) -> int:
        """Return the offset from which on the last so many lines come, of those that are kept."""
        start = 0
        try:
            with self.path.open("rb") as file:
                if not count:
                    return file.seek(0, os.SEEK_END)
                for start, line in _backwards(file):  # noqa: B007  it is what is returned
                    count -= self.keep(_console.without_colour(line.decode(errors="replace")))
                    if not count:
                        break
        except FileNotFoundError:
            return 0
        return start


def _backwards(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield where each line begins, and the line, from the last to the first; what is not asked for is not read."""
    start = end = file.seek(0, os.SEEK_END)
    pieces: list[bytes] = []  # of a line whose beginning was not met yet, the last first
    while start:
        step = min(_CHUNK_BYTES, start)
        start -= step
        file.seek(start)
        head, newline, rest = file.read(step).partition(b"\n")
        if newline:
            lines = rest.split(b"\n")
            lines[-1] += b"".join(reversed(pieces))
            pieces = []
            offset = start + len(head) + 1 + sum(map(len, lines)) + len(lines) - 1
            for line in reversed(lines):
                offset -= len(line)
                if offset < end:  # after the last line feed there is no line
                    yield offset, line
                offset -= 1
        pieces.append(head)
    if end:
        yield 0, b"".join(reversed(pieces))


def _read_from(path: Path, offset: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(_CHUNK_BYTES)
    except FileNotFoundError:
        return b""


def _journal(paths: RunPaths, keep: Keep, kinds: frozenset[str], count: int | None) -> Iterator[str | None]:
    """Yield frames as JSON, of those that there are now only the last `count`; None where the end is reached."""
    journals = RunReader(paths.journals)
    if count is not None:
        journals, last = _last(paths, keep, kinds, count)
        yield from last
        yield None
    while True:
        is_over = read_record(paths).get("state") not in LIVE
        yield from (frame.line for frame in _frames(journals, keep, kinds, {}))
        if is_over:  # before that it is a frame that is being written
            shown = (json.dumps(_damage(reader, torn), ensure_ascii=False) for reader, torn in journals.torn())
            yield from (line for line in shown if (not kinds or _DAMAGE in kinds) and keep(line))
        yield None


@dataclass(frozen=True, slots=True, order=True)
class _Shown:
    """A frame as it is printed, in the order of time, then of reading."""

    time: float
    number: int
    journal: str = field(compare=False)
    line: str = field(compare=False)


def _last(paths: RunPaths, keep: Keep, kinds: frozenset[str], count: int) -> tuple[RunReader, list[str]]:
    """Return the last frames that are wanted, and a reader of what follows.

    Each file is read from near its end; where that gives too few, from further before. What is wanted and rare, and
    damage, which may be anywhere, is looked for in all of it.
    """
    window = 0 if _DAMAGE in kinds else _TAIL_BYTES
    while True:
        sizes = {path.name: path.stat().st_size for path in journal_files(paths.journals)}
        starts = {name: size - window for name, size in sizes.items() if 0 < window < size}
        reader = RunReader(paths.journals, starts)
        last: list[_Shown] = []
        found = Counter[str]()
        for shown in _frames(reader, keep, kinds, starts):
            found[shown.journal] += 1
            if len(last) < count:
                heappush(last, shown)
            elif count:
                heappushpop(last, shown)
        if all(found[name] >= count for name in starts):
            return reader, [shown.line for shown in sorted(last)]
        reader.close()
        window *= _FURTHER


def _frames(journals: RunReader, keep: Keep, kinds: frozenset[str], starts: Mapping[str, int]) -> Iterator[_Shown]:
    """Yield each new frame that is wanted, as JSON.

    Args:
        journals: The files.
        keep: Says of a line whether it is wanted.
        kinds: The kinds that are wanted; empty for all.
        starts: Where reading began in the midst of a file, and so of a frame, which is no damage.
    """
    numbers = counting()
    for reader, entries in journals.read():
        name = reader.path.name
        shown = [(e.time, _frame(reader.path, e)) for e in entries if not kinds or _kind(e) in kinds]
        when = entries[-1].time
        for damage in reader.damage:
            if damage.offset == starts.get(name):
                continue
            shown.append((when, _damage(reader, damage)))
        reader.damage.clear()
        for moment, frame in shown:
            line = json.dumps(frame, ensure_ascii=False)
            if (not kinds or frame["kind"] in kinds) and keep(line):
                yield _Shown(moment, next(numbers), name, line)


def _kind(entry: Row | Record) -> str | int:
    return "row" if isinstance(entry, Row) else _NAMES.get(entry.kind, entry.kind)


def _damage(reader: JournalReader, damage: Damage) -> dict[str, object]:
    where = {"journal": reader.path.name, "offset": damage.offset, "size_bytes": damage.size_bytes}
    return {"kind": _DAMAGE, "step": None, **where, "reason": damage.reason}


def _frame(path: Path, entry: Row | Record) -> dict[str, object]:
    common = {"journal": path.name, "seq": entry.seq, "step": entry.step, "time": entry.time}
    if isinstance(entry, Row):
        return {
            "kind": "row",
            **common,
            "values": dict(zip(entry.keys, map(_json_number, entry.values), strict=True)),
        }
    payload = {str(name): _json(value) for name, value in entry.payload.items()}
    return {"kind": _kind(entry), **common, "key": entry.key, "payload": payload}


def _json(value: object) -> object:
    """Return a value of a payload in terms of JSON: NaN and infinities are text, as those of a row are."""
    if isinstance(value, float):
        return _json_number(value)
    if isinstance(value, dict):
        return {str(name): _json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _json_number(value: float) -> float | str:
    return value if abs(value) != float("inf") and value == value else repr(value)
