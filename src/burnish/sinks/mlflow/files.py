"""Files of a run at MLflow: pictures, tables, texts, histograms, graphs, artifacts, and what the run keeps of itself.

Each has a path that follows from the journal alone, so that sending it twice replaces it.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from burnish.core.errors import RunError
from burnish.core.paths import RunPaths
from burnish.journal import Kind, Record
from burnish.journal.media import media_file, media_kind
from burnish.sinks.mlflow.home import Home, milliseconds
from burnish.track.artifacts import Artifact, open_artifact, read_payload

_OF_RUN: Final = ("config.yaml", "origins.json", "card.md", "card.json", "code.diff", "requirements.lock")
_OURS: Final = "burnish"
_MOST_BYTES: Final = 1 << 30
_MOST_TABLES: Final = 40  # as many paths as one tag holds
_NO_FILE = re.compile(r"[^A-Za-z0-9_.\-]")
_COUNTED: Final[Mapping[int, str]] = {Kind.LOG: "log line", Kind.ALERT: "alert", Kind.CHECKPOINT: "checkpoint"}


class _Unusable(Exception):
    """What a record names cannot be sent, now or ever; says how it is counted."""


class RunFiles:
    """Sends the files of one run.

    Args:
        run: The run.
        home: The run at MLflow.
        mapped: Where to count what is sent in another form, or not at all.
        sends_files: False counts all files, and sends none.
    """

    def __init__(self, run: RunPaths, home: Home, mapped: Counter[str], *, sends_files: bool) -> None:
        self._run = run
        self._home = home
        self._mapped = mapped
        self._sends_files = sends_files
        self._tables: list[str] = []
        self.newest_time = 0.0

    def take(self, record: Record) -> None:
        """Send what a record tells of; nothing for one that tells of no file."""
        self.newest_time = max(self.newest_time, record.time)
        if (counted := _COUNTED.get(record.kind)) is not None:
            self._mapped[f"{counted} not sent"] += 1
        kind = media_kind(record)
        if kind is None and record.kind != Kind.ARTIFACT:
            return
        if not self._sends_files:
            self._mapped["file not sent: artifacts is off"] += 1
            return
        try:
            self._senders.get(kind or "artifact", self._picture)(record)
        except _Unusable as why:  # what the run holds; what MLflow answers is another matter
            self._mapped[str(why)] += 1

    def of_run(self) -> None:
        """Send config, card and code."""
        for name in _OF_RUN if self._sends_files else ():
            file = self._run.root / name
            if file.is_file():
                self._home.send(file, _OURS)

    @property
    def _senders(self) -> Mapping[str, Callable[[Record], None]]:
        return {
            "artifact": self._artifact,
            "table": self._table,
            "text": self._text,
            "histogram": self._histogram,
            "graph": self._graph,
        }

    def _picture(self, record: Record) -> None:
        file = self._stored(record)
        key, sha = _part(record.key.replace("/", "~"), "~"), str(record.payload.get("sha256"))[:32]
        name = f"{key}+step+{record.step or 0}+timestamp+{milliseconds(record.time)}+{sha}"
        with TemporaryDirectory() as folder:
            shown = Path(folder, f"{name}{file.suffix}")
            shown.symlink_to(file)
            self._home.send(shown, "images")
            if small := _thumbnail(file, Path(folder, f"{name}+compressed.webp")):
                self._home.send(small, "images")
        self._home.set_tags({"mlflow.loggedImages": "True"})

    def _table(self, record: Record) -> None:
        payload = record.payload
        rows = payload.get("rows")
        told = payload if isinstance(rows, list) else self._json_of(record)
        path = f"tables/{_path(record.key)}"
        self._json(path, record.step, {"columns": told.get("columns"), "data": told.get("rows")})
        self._tables.append(f"{path}/step_{record.step or 0}.json")
        shown = [{"path": table, "type": "table"} for table in dict.fromkeys(self._tables)][-_MOST_TABLES:]
        self._home.set_tags({"mlflow.loggedArtifacts": json.dumps(shown)})

    def _text(self, record: Record) -> None:
        self._content(f"texts/{_path(record.key)}", f"step_{record.step or 0}.txt", str(record.payload.get("text", "")))

    def _histogram(self, record: Record) -> None:
        self._mapped["histogram as a file"] += 1
        self._json(f"histograms/{_path(record.key)}", record.step, record.payload)

    def _graph(self, record: Record) -> None:
        self._content("model_graph", f"{_path(record.key).replace('/', '.')}.json", json.dumps(self._json_of(record)))

    def _artifact(self, record: Record) -> None:
        artifact = read_payload(record.key, record.payload, self._run.name)
        if artifact is None:
            self._mapped["artifact that nobody can read"] += 1
        elif record.payload.get("role") == "used":
            used = json.dumps({"run": artifact.run, "sha256": artifact.sha256})
            self._home.set_tags({f"burnish.used.{_path(artifact.name)}"[:250]: used})
        else:
            folder = f"artifacts/{_path(artifact.name)}"
            told = {"kind": artifact.kind, "sha256": artifact.sha256, "bytes": artifact.bytes, **artifact.metadata}
            self._content(folder, "metadata.json", json.dumps(told, indent=1))
            if artifact.bytes > _MOST_BYTES:
                self._mapped["artifact over 1 GiB"] += 1
            else:
                self._home.send(self._path_of(artifact), folder)

    def _stored(self, record: Record) -> Path:
        file = media_file(self._run.root, record.payload)
        if file is None or not file.is_file():
            raise _Unusable("file that is missing")
        if not os.access(file, os.R_OK):
            raise _Unusable("file that cannot be read")
        return file

    def _json_of(self, record: Record) -> dict[str, object]:
        try:
            found = json.loads(self._stored(record).read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            raise _Unusable("file that cannot be read") from error
        if not isinstance(found, dict):
            raise _Unusable("file that cannot be read")
        return found

    def _path_of(self, artifact: Artifact) -> Path:
        try:
            path = open_artifact(self._run.root, artifact)
        except (OSError, RunError) as error:
            raise _Unusable("file that is missing") from error
        if not os.access(path, os.R_OK):
            raise _Unusable("file that cannot be read")
        return path

    def _json(self, folder: str, step: int | None, value: Mapping[str, object]) -> None:
        self._content(folder, f"step_{step or 0}.json", json.dumps(value))

    def _content(self, folder: str, name: str, text: str) -> None:
        with TemporaryDirectory() as here:
            file = Path(here, name)
            file.write_text(text, errors="backslashreplace")
            self._home.send(file, folder)


def _thumbnail(file: Path, small: Path) -> Path | None:
    """Write the small picture that MLflow's page shows among others; None where Pillow is not there or refuses."""
    try:
        from mlflow.tracking.multimedia import compress_image_size
        from PIL import Image
    except ImportError:
        return None
    try:
        with Image.open(file) as picture:
            compress_image_size(picture).save(small)
    except Exception:  # noqa: BLE001  of what Pillow refuses, some is no OSError; the picture itself is sent
        return None
    return small


def _path(key: str) -> str:
    """Return a key as a path that every store of artifacts takes; two keys never have the same one.

    >>> _path("eval/samples"), _path("../x")
    ('eval/samples', '.._x-1fb8ad98')
    """
    parts = [part for part in key.split("/") if part]
    safe = "/".join(_part(part) for part in parts)
    if safe and safe == key and ".." not in parts and "." not in parts and len(safe) <= 200:
        return safe
    return f"{_part(key)[:180]}-{zlib.crc32(key.encode(errors='surrogatepass')):08x}"


def _part(text: str, allowed: str = "") -> str:
    return _NO_FILE.sub(lambda found: found[0] if found[0] in allowed else "_", text)
