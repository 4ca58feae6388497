"""A run in a folder of its own, and what its journals hold."""

import pytest

from burnish.journal import JournalReader, Record, Row
from burnish.journal.reader import journal_files
from burnish.track import Run


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "20260101_toy_k7f2"
    (path / "journal").mkdir(parents=True)
    return path


@pytest.fixture
def run(folder):
    return Run(folder)


@pytest.fixture
def rows():
    """Return a function that reads the rows of a run, as step and values."""
    return lambda run: [(e.step, dict(zip(e.keys, e.values, strict=True))) for e in entries(run) if isinstance(e, Row)]


@pytest.fixture
def records():
    """Return a function that reads the records of one kind of a run."""
    return lambda run, kind: [e for e in entries(run) if isinstance(e, Record) and e.kind == kind]


def entries(run):
    run._writer.close()
    found = []
    for path in journal_files(run.paths.journals):
        reader = JournalReader(path)
        found += reader.read_all()
        reader.close()
    return found
