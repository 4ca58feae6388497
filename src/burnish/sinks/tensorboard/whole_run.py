"""What is said of a whole run in small files of its own: config, models, how it ended.

TensorBoard heeds only the first that it reads of each, so they are not appended to but replaced. Their content is a
function of the run's folder and the sink's state, and is compared before it is written: a crash leaves nothing to mend.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from tensorboard.compat.proto.node_def_pb2 import NodeDef

from burnish.core.paths import RunPaths
from burnish.journal.reader import JournalName, journal_files
from burnish.sinks.about import read_about
from burnish.sinks.tensorboard.blob import Unusable, read_blob
from burnish.sinks.tensorboard.graph import Model, graph_event, model_nodes
from burnish.sinks.tensorboard.hparams import session_end, session_start
from burnish.sinks.tensorboard.records import framed, replace
from burnish.sinks.tensorboard.session import version_event

PREFIX: Final = "events.out.tfevents."
_FIRST: Final = f"{PREFIX}{0:010d}.burnish."  # before all journals' files, in which order they are read
_END: Final = ".burnish.end"  # after the file of the journal whose second it bears

_Signature = tuple[int, int, int]


class WholeRun:
    """Keeps the small files of one run.

    Args:
        run: The run.
        folder: Where its event files lie.
    """

    def __init__(self, run: RunPaths, folder: Path) -> None:
        self._run = run
        self._folder = folder
        self._told: _Signature | None = None
        self.cut = 0
        """How many values of the config are cut."""

    def tell_config(self) -> None:
        """Say what the config is, once it is known, and again where it has changed."""
        signature = _signature(self._run.config)
        if signature is None or signature == self._told:
            return
        about = read_about(self._run)
        if about.config:
            at = about.created or _begun(self._run)
            event, self.cut = session_start(about.config, at)
            replace(self._folder / f"{_FIRST}hparams", framed([version_event(at), event]))
        self._told = signature

    def tell_graphs(self, graphs: Mapping[str, object]) -> None:
        """Say how models look, in one graph.

        Args:
            graphs: What names the file of each, by key.

        Raises:
            Unusable: A file is missing or damaged; the others are told.
        """
        nodes: list[NodeDef] = []
        unusable = None
        for key, told in graphs.items():
            payload = told if isinstance(told, dict) else {}
            try:
                model = msgspec.convert(json.loads(read_blob(self._run.root, payload)), Model)
                nodes += list(model_nodes(key, model))
            except (ValueError, RecursionError, msgspec.MsgspecError):
                unusable = Unusable("record not understood")
            except Unusable as why:
                unusable = why
        if nodes:
            at = _begun(self._run)
            replace(self._folder / f"{_FIRST}graph", framed([version_event(at), graph_event(nodes, at)]))
        if unusable is not None:
            raise unusable

    def tell_end(self, status: str, last: int) -> None:
        """Say how the run ended.

        Args:
            status: The state it ended in.
            last: The second in which the newest journal of rank 0 was opened.
        """
        about = read_about(self._run)
        if about.config:
            ended = about.record.get("ended")
            at = about.created or _begun(self._run)
            event = session_end(status, float(ended) if isinstance(ended, int | float) else 0.0, at)
            replace(self._folder / f"{PREFIX}{last:010d}{_END}", framed([version_event(at), event]))

    def take_end_back(self) -> None:
        """Say no more that the run has ended: it goes on."""
        for path in self._folder.glob(f"{PREFIX}*{_END}"):
            path.unlink(missing_ok=True)


def is_of_whole_run(path: Path) -> bool:
    """Tell whether an event file is one of these, rather than a journal's."""
    return path.name in (f"{_FIRST}hparams", f"{_FIRST}graph") or path.name.endswith(_END)


def _begun(run: RunPaths) -> float:
    """Return when a run began, by its first journal, in seconds since the epoch."""
    return min((JournalName.parse(path).started_us for path in journal_files(run.journals)), default=0) / 1e6


def _signature(path: Path) -> _Signature | None:
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_mtime_ns, about.st_size, about.st_ino
