import os

import pytest

from burnish.journal import JournalWriter
from burnish.launch.durability import JournalSync


@pytest.fixture
def flushed(monkeypatch):
    """Which files are flushed, by name; the flush itself is done."""
    names = []
    really = os.fdatasync

    def flush(fd):
        names.append(os.path.basename(os.readlink(f"/proc/self/fd/{fd}")))  # noqa: PTH119, PTH115
        really(fd)

    monkeypatch.setattr(os, "fdatasync", flush)
    return names


def test_only_journals_that_have_grown_are_flushed(tmp_path, flushed):
    writers = [JournalWriter(tmp_path, rank, dict) for rank in (0, 1)]
    for writer in writers:
        writer.row(("loss",), (1.0,), 0, 0.0)
    sync = JournalSync(tmp_path)
    assert (sync.sync(), sync.sync()) == (2, 0)
    writers[1].row(("loss",), (1.0,), 1, 0.0)
    assert sync.sync() == 1
    assert [name[0] for name in flushed] == ["0", "1", "1"]
    for writer in writers:
        writer.close()


def test_what_is_logged_is_flushed_while_the_run_lives(tmp_path, flushed, eventually):
    sync = JournalSync(tmp_path, every_s=0.01)
    sync.start()
    writer = JournalWriter(tmp_path, 0, dict)
    writer.row(("loss",), (1.0,), 0, 0.0)
    eventually(lambda: flushed, "the journal is flushed")
    sync.finish()
    writer.close()


def test_finishing_flushes_the_rest_also_when_it_was_never_started(tmp_path, flushed):
    writer = JournalWriter(tmp_path, 0, dict)
    writer.row(("loss",), (1.0,), 0, 0.0)
    JournalSync(tmp_path).finish()
    assert len(flushed) == 1
    writer.close()


def test_a_disk_that_fails_is_one_warning(tmp_path, monkeypatch, caplog):
    writer = JournalWriter(tmp_path, 0, dict)
    writer.row(("loss",), (1.0,), 0, 0.0)

    def fail(fd):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fail)
    sync = JournalSync(tmp_path)
    assert (sync.sync(), sync.sync()) == (0, 0)
    assert caplog.messages == [f"{tmp_path} cannot be made durable: [Errno 5] Input/output error"]
    writer.close()


def test_a_folder_without_journals_is_nothing_to_do(tmp_path):
    assert JournalSync(tmp_path).sync() == 0
