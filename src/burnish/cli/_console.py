"""The one module that writes to stdout and stderr: results on the first, progress and errors on the second."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, BinaryIO, Self

from burnish.core.clock import duration
from burnish.core.errors import BurnishError, ConfigError, Problem
from burnish.core.ids import run_id
from burnish.core.paths import Project, RunPaths
from burnish.core.secrets import Masker
from burnish.journal.facts import unshipped_sinks
from burnish.journal.record import RunRecord, read_record
from burnish.launch import Progress, adopt_orphans

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

_STATUS_EVERY_S = 0.2
_PLAIN_EVERY_S = 10.0
_TAIL_LINES = 12
_BAR = 20
_BAR_AFTER_S = 1.0
_GAP = 2  # between two columns of a table
_PROSE = 40  # a cell that is longer may be broken between words
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")


def out(text: str) -> None:
    """Print a result."""
    # Half a surrogate pair, as a cut token or a file's name can leave, must not end a command.
    sys.stdout.write(text.encode(errors="backslashreplace").decode() + "\n")
    sys.stdout.flush()


def out_json(value: object) -> None:
    """Print a result for machines: one object; NaN and infinities, which JSON lacks, become null."""
    out(json.dumps(_finite(value), indent=1, ensure_ascii=False))


def out_bytes() -> BinaryIO:
    """Return where a result goes that is not text, or too long to be one piece."""
    sys.stdout.flush()
    return sys.stdout.buffer


def err(text: str) -> None:
    """Print a message that is not the result."""
    raw_err(text + "\n")


def show_error(error: BurnishError, *, as_json: bool) -> None:
    """Print an error: what, where it came from, what to type. A value that it quotes may be a credential."""
    masker = Masker.from_environment(os.environ)
    if as_json:
        out_json({"error": masker.tree(error.to_json())})
        return
    problems = error.problems if isinstance(error, ConfigError) else [Problem(error.message, error.origin, error.hint)]
    for problem in problems:
        err(f"{_paint('error:', '31;1')} {masker.text(str(problem))}")
        if problem.hint:
            err(f"{_paint('hint:', '36')} {masker.text(problem.hint)}")


def warn(text: str) -> None:
    """Print a warning."""
    err(f"{_paint('warning:', '33')} {Masker.from_environment(os.environ).text(text)}")


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[int] = (),
    drop: Sequence[Sequence[int]] = (),
) -> None:
    """Print rows under a head; nothing is broken in two but prose, which a last column may hold.

    Args:
        columns: The head.
        rows: The cells of each row.
        right: The columns that are numbers.
        drop: The columns that a terminal which is too narrow does without, those together that go together and the
            first to go first. Where that is not enough, lines run over.
    """
    from rich.console import Console
    from rich.table import Table

    rows = [[visible(cell) for cell in row] for row in rows]
    widths = _widths(columns, rows)
    room = _columns_of_stdout()
    left = list(range(len(columns)))
    for together in drop:
        if room and _total(widths[n] for n in left) > room:
            left = [number for number in left if number not in together]
    last, total = left[-1], _total(widths[n] for n in left)
    is_prose = last not in right and widths[last] > _PROSE
    has_room = is_prose and room and total - widths[last] + _PROSE <= room
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for number in left:
        may_wrap = number == last and is_prose
        shown.add_column(columns[number], justify="right" if number in right else "left", no_wrap=not may_wrap)
    for row in rows:
        shown.add_row(*(row[number] for number in left))
    width = min(room, total) if has_room else total
    Console(file=sys.stdout, width=max(1, width), highlight=False, markup=False, emoji=False).print(shown)


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """Return how many columns of a terminal each column of a table takes."""
    from rich.cells import cell_len

    return [
        max(cell_len(line) for text in (head, *(row[number] for row in rows)) for line in text.split("\n"))
        for number, head in enumerate(columns)
    ]


def _total(widths: Iterable[int]) -> int:
    found = list(widths)
    return sum(found) + _GAP * (len(found) - 1)


def _columns_of_stdout() -> int:
    """Return how wide the terminal is; 0 where stdout is none, and a line may be as long as it likes."""
    if not sys.stdout.isatty():
        return 0
    return shutil.get_terminal_size().columns


def visible(text: str) -> str:
    r"""Return text in which what moves or colours a terminal is shown instead: names and notes may hold anything.

    >>> visible("a\x1b[31mred\nb")
    'a\\x1b[31mred\\nb'
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def colour_allowed() -> bool:
    """Return whether stdout is a terminal that may be shown colours."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def without_colour(text: str) -> str:
    r"""Return text without the marks that colour it on a terminal.

    >>> without_colour("\x1b[1;31merror\x1b[0m")
    'error'
    """
    return _COLOUR.sub("", text)


def size_text(size_bytes: float) -> str:
    """Return a size for people.

    >>> size_text(2_600), size_text(5 << 20), size_text(3 << 40)
    ('2.5 KiB', '5.0 MiB', '3072.0 GiB')
    """
    unit, name = next(((u, n) for u, n in ((1 << 30, "GiB"), (1 << 20, "MiB")) if size_bytes >= u), (1 << 10, "KiB"))
    return f"{size_bytes / unit:.1f} {name}"


def adopt(project: Project) -> None:
    """Look after runs whose supervisor died, and say so."""
    for adoption in adopt_orphans(project.runs):
        is_adopted = adoption.outcome == "adopted"
        what = "adopted, training goes on" if is_adopted else f"record completed, state {adoption.outcome}"
        err(f"run {run_id(adoption.name)}: its supervisor had died; {what}")


def record_json(record: RunRecord) -> RunRecord:
    """Return a run's record as `--json` prints it: `attempts` is their number, `attempt_list` the attempts."""
    attempts = record.get("attempts")
    return {**record, "attempts": len(attempts) if isinstance(attempts, list) else 0, "attempt_list": attempts}


def show_end(paths: RunPaths, state: str, *, with_output: bool) -> None:
    """Say how a run ended, with the last lines that it printed if it went wrong and they were not shown yet."""
    record = read_record(paths)
    if left := unshipped_sinks(record):
        err(f"not shipped: {', '.join(left)}; later: burnish sync {paths.id}")
    if state == "finished":
        err(f"run {paths.id} finished; see burnish show {paths.id}")
        return
    if state == "failed" and with_output:
        for line in _tail(paths):
            err(f"  | {line}")
    err(f"{_paint(f'run {paths.id} {state}:', '31;1')} {record.get('reason')}")
    if state == "stopped":
        err(f"{_paint('hint:', '36')} go on with it: burnish run --resume {paths.id}")
    else:
        err(f"{_paint('hint:', '36')} all that it printed: burnish logs {paths.id}")


def _tail(paths: RunPaths) -> list[str]:
    try:
        with paths.console.open("rb") as console:
            size = console.seek(0, os.SEEK_END)
            console.seek(max(0, size - 8192))
            lines = console.read().decode(errors="replace").splitlines()
    except OSError:
        return []
    return lines[-_TAIL_LINES:]


def hint_on_terminal(text: str) -> None:
    """Say what else could be typed, to a person: whoever reads stdout through a pipe wants only that."""
    if sys.stdout.isatty():
        err(f"{_paint('hint:', '36')} {text}")


def raw_err(text: str) -> None:
    """Write text to stderr as it is; a closed terminal is no reason to stop."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        pass


class StatusLine:
    """One line on stderr that says where a run stands; on no terminal, a line every ten seconds.

    Args:
        name: What to call the run.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._is_terminal = sys.stderr.isatty()
        self._started_at = time.monotonic()
        self._shown_at = 0.0
        self._last = ""

    def __call__(self, progress: Progress) -> None:
        """Show progress, if it is time to."""
        now = time.monotonic()
        every = _STATUS_EVERY_S if self._is_terminal else _PLAIN_EVERY_S
        if now - self._shown_at < every or (progress.step < 0 and not self._is_terminal):
            return
        waited = duration(now - self._started_at)
        line = (
            status_text(self._name, progress, bar=self._is_terminal)
            if progress.step >= 0
            else f"{self._name}  starting, {waited}"
        )
        if line == self._last:
            return
        self._shown_at, self._last = now, line
        if self._is_terminal:
            raw_err(f"\r\x1b[2K{line[: _width() - 1]}")
        else:
            err(line)

    def clear(self) -> None:
        """Remove the line."""
        if self._is_terminal and self._last:
            raw_err("\r\x1b[2K")


class Bar:
    """A progress bar on stderr for work that takes longer than a second; none where stderr is no terminal.

    Args:
        what: What is being done.
        total: How many pieces there are.
    """

    def __init__(self, what: str, total: int) -> None:
        self._what = what
        self._total = total
        self._done = 0.0
        self._began_at = time.monotonic()
        self._shown: RichProgress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._shown is not None:
            self._shown.stop()

    def advance(self, pieces: float) -> None:
        """Say that so many pieces more are done."""
        self._done += pieces
        if self._shown is None:
            if not sys.stderr.isatty() or time.monotonic() - self._began_at < _BAR_AFTER_S:
                return
            from rich.console import Console
            from rich.progress import Progress as RichProgress

            self._shown = RichProgress(console=Console(file=sys.stderr), transient=True)
            self._shown.add_task(self._what, total=self._total)
            self._shown.start()
        self._shown.update(self._shown.task_ids[0], completed=self._done)


def status_text(name: str, progress: Progress, *, bar: bool) -> str:
    """Return one line: how far, loss, speed, time left."""
    parts = [name, f"step {progress.step}"]
    if progress.total:
        done = round(_BAR * min(1.0, progress.step / progress.total))
        drawn = f"{'━' * done}{'╌' * (_BAR - done)} " if bar else "step "
        parts[1] = f"{drawn}{progress.step}/{progress.total}"
    if (loss := training_loss(progress.latest)) is not None:
        parts.append(f"loss {loss:.4g}")
    if progress.steps_per_s:
        parts.append(f"{progress.steps_per_s:.2f} steps/s")
    if progress.left_s is not None:
        parts.append(f"{duration(progress.left_s)} left")
    if progress.attempt > 1:
        parts.append(f"attempt {progress.attempt}")
    return "  ".join(parts)


def training_loss(latest: Mapping[str, float]) -> float | None:
    """Return the last training loss, under either of the names that it usually has."""
    return next((latest[name] for name in ("train/loss", "loss") if name in latest), None)


def _width() -> int:
    try:
        return os.get_terminal_size(2).columns or 80
    except OSError:
        return 80


def _paint(text: str, code: str) -> str:
    use = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    return f"\x1b[{code}m{text}\x1b[0m" if use else text


def _finite(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value
