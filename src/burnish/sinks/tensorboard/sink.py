"""One event file a journal, whose bytes are a function of that journal alone.

After a crash a file is cut back to what the state vouches for and appended to, which writes the same bytes again under
a reader that may be looking. What is said of the whole run stands in files of its own.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import ClassVar, Final

from burnish.core.paths import RunPaths
from burnish.core.shape import section
from burnish.journal import Record, Row
from burnish.journal.media import media_kind
from burnish.journal.reader import SYSTEM_RANK, JournalName
from burnish.sinks.base import MAPPED, WHERE, Batch, Sink, SinkState
from burnish.sinks.tensorboard.blob import Unusable
from burnish.sinks.tensorboard.mark import Mark
from burnish.sinks.tensorboard.records import append, empty, framed, restore
from burnish.sinks.tensorboard.session import Session
from burnish.sinks.tensorboard.summaries import Counts
from burnish.sinks.tensorboard.whole_run import PREFIX, WholeRun, is_of_whole_run

FOLDER: Final = "tensorboard"
_GRAPHS: Final = "graphs"
_BEGUN: Final = "begun"
_PIECE_BYTES: Final = 8 << 20


class TensorBoardSink(Sink):
    """Writes what rank 0 recorded to `<run>/tensorboard`, what the machine did to a folder `system` in it.

    TensorBoard keeps scalars as 32-bit floats; larger ones are shown as infinite.
    """

    name: ClassVar[str] = "tensorboard"

    def __init__(self) -> None:
        self._run = RunPaths(Path())
        self._folder = Path()
        self._state: SinkState = {}
        self._whole = WholeRun(self._run, self._folder)
        self._has_shipped = False

    def open(self, run: RunPaths, state: SinkState) -> None:
        """Look whether what the state vouches for is there; without a state, begin every file anew."""
        self._run = run
        self._folder = run.root / FOLDER
        self._folder.mkdir(exist_ok=True)
        self._state = {**state, WHERE: f"{run.name}/{FOLDER}"}
        self._whole = WholeRun(run, self._folder)
        self._has_shipped = False
        self._restore()
        if not self._journals:
            for path in self._folder.rglob(f"{PREFIX}*.burnish.*"):
                if not is_of_whole_run(path):
                    empty(path)

    def ship(self, batch: Batch) -> SinkState:
        """Append what a batch holds."""
        if batch.rank not in (0, SYSTEM_RANK):
            self._state = self._counted(Counter({"other ranks left out": len(batch.entries)}))
            return self._state
        if not self._has_shipped:
            self._whole.take_end_back()
            self._has_shipped = True
        self._whole.tell_config()  # before there are points, so that it is read before them
        mark = Mark.read(self._state, batch.journal)
        if not mark.size:  # a new file hides that an old one is missing
            self._restore()
        self._state = self._shipped(batch, mark)
        return self._state

    def close(self, status: str) -> None:
        """Say how the run ended."""
        self._restore()
        self._whole.tell_config()
        opened = [JournalName.parse(Path(journal)) for journal in self._journals]
        last = max((name.started_us for name in opened if name.rank == 0), default=0)
        self._whole.tell_end(status, last // 1_000_000)

    def _shipped(self, batch: Batch, mark: Mark) -> SinkState:
        """Write the events of a batch, in pieces, since pictures are large; return the state after it."""
        path, size, tail = self._path(batch.journal), mark.size, mark.tail
        begun = self._state.get(_BEGUN)
        session = Session(batch.rank, self._run.root, begun if isinstance(begun, int) else 1)
        session.attempt, session.is_settled, session.begin = mark.attempt, mark.is_settled, mark.begin
        counts: Counts = Counter()
        graphs = dict(section(self._state, _GRAPHS))
        events: list[bytes] = []
        pending = 0
        for entry in batch.entries:
            if isinstance(entry, Row):
                new = session.row(entry, counts)
            elif media_kind(entry) == "graph":
                new = self._graph(entry, graphs, counts)
            else:
                new = session.record(entry, counts)
            events += new
            pending += sum(map(len, new))
            if pending > _PIECE_BYTES:
                size, tail = append(path, size, tail, framed(events))
                events, pending = [], 0
        size, tail = append(path, size, tail, framed(events))
        reached = Mark(size, session.attempt, session.is_settled, session.begin, tail)
        state = {**self._counted(counts), batch.journal: reached.to_json(), _BEGUN: session.begun}
        return {**state, _GRAPHS: graphs} if graphs else state

    def _graph(self, record: Record, graphs: dict[str, object], counts: Counts) -> list[bytes]:
        """Draw a model, in a file that holds every model of the run; of one key the newest."""
        told = {**graphs, record.key: {name: record.payload.get(name) for name in ("file", "sha256")}}
        try:
            self._whole.tell_graphs(told)
        except Unusable as why:
            counts[str(why)] += 1
        else:
            graphs.update(told)
        return []

    def _counted(self, counts: Counts) -> SinkState:
        """Return the state with what could not be shown as it is, by rule."""
        mapped = {rule: number for rule, number in section(self._state, MAPPED).items() if isinstance(number, int)}
        for rule, number in counts.items():
            mapped[rule] = mapped.get(rule, 0) + number
        if self._whole.cut:
            mapped["hyperparameter cut"] = self._whole.cut
        mapped = {rule: number for rule, number in mapped.items() if number}
        return {**self._state, MAPPED: mapped} if mapped else self._state

    def _restore(self) -> None:
        for journal in self._journals:
            mark = Mark.read(self._state, journal)
            restore(self._path(journal), mark.size, mark.tail)

    @property
    def _journals(self) -> list[str]:
        return [key for key in self._state if key.endswith(".journal")]

    def _path(self, journal: str) -> Path:
        """Return where the events of a journal stand; names sort by time, in which order TensorBoard reads them."""
        name = JournalName.parse(Path(journal))
        rest = f"{name.started_us}.{max(0, name.rank)}-{name.pid}" if str(name) == journal else Path(journal).stem
        # A run of its own in TensorBoard: a session start drops later steps of every tag of a run.
        folder = self._folder / "system" if name.rank == SYSTEM_RANK else self._folder
        return folder / f"{PREFIX}{name.started_us // 1_000_000:010d}.burnish.{rest}"
