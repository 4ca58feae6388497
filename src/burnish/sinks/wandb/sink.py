"""W&B: the log of its own client, written as a function of the journal, so that it is exactly once.

W&B's client loses rows when it is killed and cannot resume offline. This sink needs neither it nor its server: the
file has a byte offset in the sink's state, is cut back to it after a crash and appended to. `wandb sync FOLDER`
uploads it at any time; `mode="online"` has W&B's uploader do so while the run goes on.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from burnish.core.paths import RunPaths
from burnish.sinks.about import About, read_about
from burnish.sinks.base import Batch, Gone, Refused, Sink, SinkState
from burnish.sinks.replayed import Replayed
from burnish.sinks.wandb import description, records
from burnish.sinks.wandb.artifacts import Artifacts
from burnish.sinks.wandb.log import Extent, TransactionLog, read_records
from burnish.sinks.wandb.media import MediaFiles
from burnish.sinks.wandb.options import read_options
from burnish.sinks.wandb.parts import Part, Parts
from burnish.sinks.wandb.progress import Progress
from burnish.sinks.wandb.rows import Rows
from burnish.sinks.wandb.server import Server
from burnish.sinks.wandb.translation import Translation
from burnish.sinks.wandb.upload import Upload


class WandbSink(Sink):
    """Writes `<folder>/wandb/offline-run-<time>-<id>/run-<id>.wandb`, which `wandb sync` uploads.

    Args:
        mode: `offline`, or `online` to have W&B's own uploader send the log while it grows. Credentials come from the
            environment, as W&B's client takes them.
        project: W&B's project; else `WANDB_PROJECT`, else the name of the project's folder.
        entity: W&B's team or user; else `WANDB_ENTITY`, else the default of whoever uploads.
        tags: Keys of the config, such as `model.name`, whose values become tags.
        folder: Where `wandb/` lies: relative to the project's folder; the run's own folder when left out.
        artifacts: Whether artifacts and the code go with the run.

    Raises:
        Refused: An option cannot be.
    """

    name: ClassVar[str] = "wandb"

    def __init__(
        self,
        *,
        mode: str = "offline",
        project: str = "",
        entity: str = "",
        tags: Sequence[str] = (),
        folder: str = "",
        artifacts: bool = True,
    ) -> None:
        given: dict[str, object] = {"mode": mode, "project": project, "entity": entity, "tags": tags, "folder": folder}
        self._options = read_options({**given, "artifacts": artifacts})
        self._run = RunPaths(Path())
        self._base = Path()
        self._seen: object = None
        self._progress: Progress | None = None
        self._log: TransactionLog | None = None
        self._translation: Translation | None = None
        self._server: Server | None = None
        self._upload: Upload | None = None

    def open(self, run: RunPaths, state: SinkState) -> None:
        """Look whether the log still holds what the state vouches for."""
        self._forget()
        if self._options.mode == "online":
            if find_spec("wandb") is None:
                raise Refused("mode: 'online' needs W&B's uploader: pip install 'burnish[wandb]'")
            self._server = Server.find(os.environ)
        self._run, self._seen = run, None
        about = read_about(run)
        self._base = self._folder(about) / "wandb"
        self._progress = Progress.from_json(state) if state else self._new(about)
        part = self._part
        if state and self._progress.extent.size:
            TransactionLog(part.log, self._progress.extent).verify()

    def ship(self, batch: Batch) -> SinkState:
        """Append a batch."""
        progress = self._known()
        before = progress.to_json()
        try:
            if self._log is None or self._part.is_taken:
                self._begin()
            if self._upload is not None:  # what the state vouches for by now
                self._upload.follow(progress.extent)
            log, translation = self._ready()
            out = translation.batch(batch)
            log.append([*out, *self._description(again=self._has_changed())])
        except BaseException:  # whatever it was: what was not written did not happen
            self._forget()
            self._progress = Progress.from_json(before)
            raise
        progress.extent = log.extent
        return progress.to_json()

    def close(self, status: str) -> None:
        """Append what ends the run. It is cut off again where the run goes on before anybody has uploaded it."""
        if self._known().extent.size and self._part.is_taken:  # to its end: nothing came since
            return
        try:
            if self._log is None:
                self._begin()
            log, translation = self._ready()
            log.append(self._last_words(translation))
            if self._upload is not None:
                self._upload.follow(log.extent)
            record = read_about(self._run).record
            log.append([records.finish(description.exit_code(status, record), description.runtime_s(record))])
            if self._upload is not None:
                self._upload.finish(log.extent, self._known().rows.count)
        finally:
            self._forget()

    def _last_words(self, translation: Translation) -> list[bytes]:
        """Return what is said of the run when it has ended: what is new of it, and its code."""
        said = self._description(again=True)
        if translation.artifacts is not None:
            about = read_about(self._run)
            code = translation.artifacts.code(about.experiment, about.code)
            said += [code] if code else []
        return said

    @property
    def _part(self) -> Part:
        return self._parts[self._known().part]

    @property
    def _parts(self) -> Parts:
        progress = self._known()
        return Parts(self._base, progress.identity.id, progress.rows.created)

    def _known(self) -> Progress:
        assert self._progress is not None, "open comes first"
        return self._progress

    def _ready(self) -> tuple[TransactionLog, Translation]:
        assert self._log is not None
        assert self._translation is not None
        return self._log, self._translation

    def _folder(self, about: About) -> Path:
        if not self._options.folder:
            return self._run.root
        project = Path(str(about.record.get("project") or self._run.root))
        return project / Path(self._options.folder).expanduser()

    def _new(self, about: About) -> Progress:
        identity = description.identity(about, self._options.project, self._options.entity)
        return Progress(identity, Rows(description.created(about)))

    def _begin(self) -> None:
        """Make ready to append: to the log that the state vouches for, or to a new one."""
        self._forget()
        progress = self._known()
        if progress.extent.size and self._part.is_taken:
            summary = self._summary()
            progress.part, progress.extent, progress.mark = progress.part + 1, Extent(), ""
        else:
            summary = b""
        if not progress.extent.size:
            self._parts.drop_from(progress.part)
        part = self._part
        log = part.open(progress.extent)
        runs = self._run.root.parent
        progress.where = str(part.folder.relative_to(runs) if part.folder.is_relative_to(runs) else part.folder)
        if not progress.extent.size:
            log.append(self._beginning(summary))
            progress.extent = log.extent
        wanted = Artifacts(self._run.root, part.staging, progress.identity) if self._options.artifacts else None
        media = MediaFiles(self._run.root, part.files)
        replayed = Replayed(self._run.journals, progress.replayed)
        self._log, self._translation = log, Translation(progress, replayed, media, wanted)
        if self._server is not None:
            self._upload = Upload(part, progress.identity, self._server)
            progress.where = self._upload.start(progress.extent, is_new=not progress.rows.count)

    def _beginning(self, summary: bytes) -> list[bytes]:
        """Return the records that a log begins with."""
        progress = self._known()
        said = self._describe()
        progress.mark = said.mark
        for rule in said.mapped:
            progress.count(rule)
        started = progress.rows.created + progress.part
        run = records.run(progress.identity, said.fields, started, said.config)
        first = [records.header(), run, *progress.rows.tell_all()]
        return first + [record for record in (said.environment, summary) if record]

    def _summary(self) -> bytes:
        """Return the summary as it stands, for a new log: W&B's uploader begins with an empty one for each."""
        values: dict[tuple[str, ...], bytes] = {}
        for number in range(self._known().part + 1):
            path = self._parts[number].log
            with contextlib.suppress(Gone, OSError):  # W&B has it; `wandb clean` removes such logs
                for record in read_records(path, path.stat().st_size):
                    if records.kind_of(record)[0] == records.SUMMARY:
                        values |= records.summary_values(record)
        return records.summary(values.items()) if values else b""

    def _description(self, *, again: bool) -> list[bytes]:
        """Return what is to be said of the run anew; nothing where nothing has changed."""
        if not again:
            return []
        progress = self._known()
        said = self._describe()
        if said.mark == progress.mark:
            return []
        progress.mark = said.mark
        run = records.run(progress.identity, said.fields, progress.rows.created + progress.part)
        return [records.config(said.config), run, *([said.environment] if said.environment else [])]

    def _describe(self) -> description.Description:
        progress = self._known()
        self._has_changed()
        about = read_about(self._run)
        said = description.Said(progress.tags, progress.notes, progress.used, progress.superseded)
        return description.describe(self._run, about, self._options.tags, said)

    def _has_changed(self) -> bool:
        """Return whether the files that say something of the run are others than at the last look."""
        seen: list[tuple[object, ...]] = []
        for path in (self._run.config, self._run.card, self._run.root / "annotations.json"):
            with contextlib.suppress(OSError):
                stat = path.stat()
                seen.append((path.name, stat.st_ino, stat.st_mtime_ns, stat.st_size))
        said = self._known()
        seen.append((len(said.tags), len(said.notes), len(said.used), len(said.superseded)))
        has_changed = seen != self._seen
        self._seen = seen
        return has_changed

    def _forget(self) -> None:
        if self._log is not None:
            self._log.close()
        if self._upload is not None:
            self._upload.stop()
        self._log = self._translation = self._upload = None
