"""A sink that a package brings, which does what files beside it say; and a run whose journals are written by hand."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from burnish.core.paths import RunPaths
from burnish.journal import JournalWriter

JOT = '''
import ctypes, json, os, sys, time
from pathlib import Path
from burnish.journal import Row
from burnish.sinks import Gone, Refused, Sink

class Jot(Sink):
    """Writes a line for each batch; its state says how many bytes are vouched for."""

    name = "jot"

    def __init__(self, folder, batch=0):
        self.folder = Path(folder)
        self.batch_bytes = batch or Sink.batch_bytes

    def _misbehave(self, call):
        for what in ("raise", "hang", "exit", "crash", "grow", "gone", "refuse", "print", "secret"):
            file = self.folder / f"{what}-in-{call}"
            if not file.exists():
                continue
            if not file.read_text():  # else for ever
                file.unlink()
            (self.folder / "done").open("a").write(f"{what}\\n")
            if what == "raise":
                raise ConnectionError("the server is gone")
            if what == "secret":
                raise ConnectionError("https://user:hunter2secret@host refused")
            if what == "gone":
                raise Gone("somebody deleted it")
            if what == "refuse":
                raise Refused("no login: set JOT_KEY")
            if what == "print":
                print("a word on stdout"), print(os.environ["JOT_TOKEN"], file=sys.stderr)
            if what == "exit":
                os._exit(7)
            if what == "crash":
                ctypes.string_at(0)
            if what == "hang":
                time.sleep(600)
            if what == "grow":
                self.fat = bytearray(os.urandom(1 << 20) * 300)
                time.sleep(600)

    def open(self, run, state):
        (self.folder / "pid").write_text(str(os.getpid()))
        self._misbehave("open")
        self.file = open(self.folder / "lines", "ab")
        self.file.truncate(state.get("size", 0))
        self.file.seek(0, 2)

    def ship(self, batch):
        (self.folder / "keys").open("a").write(json.dumps([batch.journal, batch.start, batch.end]) + "\\n")
        steps = [e.step for e in batch.entries if isinstance(e, Row)]
        self.file.write(json.dumps([batch.rank, steps]).encode() + b"\\n")
        self.file.flush()
        self._misbehave("ship")
        return {"size": self.file.tell(), "mapped": {"odd": 1}, "where": "here"}

    def close(self, status):
        self._misbehave("close")
        (self.folder / "closed").open("a").write(status + "\\n")
'''


@dataclass
class Jot:
    """The folder of the sink, and what it wrote."""

    folder: Path

    @property
    def options(self):
        return {"folder": str(self.folder)}

    def tell(self, what, *, for_ever=False):
        (self.folder / what).write_text("x" if for_ever else "")

    def lines(self, name="lines"):
        file = self.folder / name
        return file.read_text().splitlines() if file.exists() else []

    @property
    def steps(self):
        return [step for line in self.lines() for step in json.loads(line)[1]]


@pytest.fixture
def jot(tmp_path, monkeypatch, installed):
    """Install the package `jot`, whose sink is found by its entry point."""
    site = tmp_path / "site"
    installed(site, "jot", "burnish.sinks", jot="jot:Jot")
    (site / "jot.py").write_text(JOT)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))
    monkeypatch.syspath_prepend(str(site))
    folder = tmp_path / "jotted"
    folder.mkdir()
    yield Jot(folder)
    sys.modules.pop("jot", None)


@pytest.fixture
def run(tmp_path):
    paths = RunPaths(tmp_path / "20260101_toy_k7f2")
    for folder in (paths.journals, paths.cursors):
        folder.mkdir(parents=True)
    return paths


def log(run, steps, *, rank=0, attempt=1):
    writer = JournalWriter(run.journals, rank, lambda: {"attempt": attempt})
    for step in steps:
        writer.row(("loss",), (step / 2,), step, float(step))
    writer.close()
