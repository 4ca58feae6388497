"""A project whose plain scripts are run as users run them, until their record is complete."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from burnish.core.paths import RunPaths
from burnish.journal import JournalReader, Row
from burnish.journal.reader import JournalName, journal_files


@dataclass
class Scripts:
    """Runs plain scripts in a project; `runs` is where their records go."""

    root: Path
    environ: dict
    runs: Path
    eventually: object

    def __call__(self, text, *words, **variables):
        """Run a script to its end."""
        argv, environ = [sys.executable, "-c", text, *words], self.environ | variables
        return subprocess.run(argv, cwd=self.root, env=environ, capture_output=True, text=True, timeout=90, check=False)

    def start(self, text, *words, **variables):
        argv, environ = [sys.executable, "-c", text, *words], self.environ | variables
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(argv, cwd=self.root, env=environ, text=True, **pipes)

    def paths(self):
        (folder,) = [path for path in self.runs.iterdir() if (path / "run.json").exists()]
        return RunPaths(folder)

    def record(self):
        return json.loads(self.paths().state.read_text())

    def completed(self, *states):
        """Wait until the keeper has completed the only run; return its paths and record."""
        states = states or ("finished", "failed", "stopped", "lost")
        self.eventually(lambda: self.record()["state"] in states, f"the run is {' or '.join(states)}")
        return self.paths(), self.record()


@pytest.fixture
def scripts(burnish, eventually):
    return Scripts(burnish.root, burnish.environ, burnish.runs, eventually)


@pytest.fixture
def rows_of():
    """Return a function that reads the rows of rank 0 of a run, in the order in which they were written."""

    def read(paths):
        found = []
        for path in journal_files(paths.journals):
            if JournalName.parse(path).rank == 0:
                reader = JournalReader(path)
                found += [entry for entry in reader.read_all() if isinstance(entry, Row)]
                reader.close()
        return found

    return read


@pytest.fixture
def joined(tmp_path):
    """A run that another process has made, and that nobody watches."""
    paths = RunPaths(tmp_path / "20260101_toy_k7f2")
    paths.journals.mkdir(parents=True)
    return paths
