import resource
import signal
import subprocess
import sys

import pytest

from burnish.core.errors import StorageError
from burnish.core.files import FileLock, make_folder, read_json, write_atomic, write_json

HOLD = """
import sys
from pathlib import Path
from burnish.core.files import FileLock
lock = FileLock.try_acquire(Path(sys.argv[1]))
print("held" if lock else "refused", flush=True)
sys.stdin.read()
"""
WRITE = """
import sys
from pathlib import Path
from burnish.core.files import write_atomic
print("go", flush=True)
while True:
    for letter in "ab":
        write_atomic(Path(sys.argv[1]), letter * 300_000)
"""


def start(code, path):
    return subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.fixture
def holder(tmp_path):
    """A process that holds a lock."""
    with start(HOLD, tmp_path / "lock") as child:
        assert child.stdout.readline() == "held\n"
        yield child
        child.kill()


def test_reader_sees_the_old_content_or_the_new_never_half_even_after_a_kill(tmp_path):
    file = tmp_path / "f"
    write_atomic(file, "a" * 300_000)
    with start(WRITE, file) as writer:
        assert writer.stdout.readline() == "go\n"
        seen = {(len(text), len(set(text))) for text in (file.read_text() for _ in range(150))}
        writer.kill()
    seen.add((len(file.read_text()), len(set(file.read_text()))))
    assert seen == {(300_000, 1)}


@pytest.mark.parametrize("durable", [False, True])
def test_written_text_and_bytes_read_back(tmp_path, durable):
    write_atomic(tmp_path / "f", "grün", durable=durable)
    write_atomic(tmp_path / "g", b"\x00\xff", durable=durable)
    assert ((tmp_path / "f").read_text(), (tmp_path / "g").read_bytes()) == ("grün", b"\x00\xff")


def test_failed_write_leaves_the_old_file_and_no_draft(tmp_path):
    file = tmp_path / "f"
    file.write_text("old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            write_atomic(file, b"x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert (file.read_text(), [path.name for path in tmp_path.iterdir()]) == ("old", ["f"])


def test_write_over_a_folder_fails_and_leaves_no_draft(tmp_path):
    (tmp_path / "f").mkdir()
    with pytest.raises(IsADirectoryError):
        write_atomic(tmp_path / "f", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_json_reads_back(tmp_path):
    write_json(tmp_path / "f", {"a": ["ü", 1.5, None]})
    assert read_json(tmp_path / "f") == {"a": ["ü", 1.5, None]}


@pytest.mark.parametrize("content", [None, b"", b"{", b"[1]", b"\xff"])
def test_what_is_no_json_object_reads_as_an_empty_one(tmp_path, content):
    if content is not None:
        (tmp_path / "f").write_bytes(content)
    assert read_json(tmp_path / "f") == {}


def test_folder_that_cannot_be_made_is_told_with_the_hint(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"cannot create folder .*/file/x: Not a directory") as caught:
        make_folder(tmp_path / "file/x", hint="choose another")
    assert caught.value.hint == "choose another"


def test_lock_of_another_process_is_refused(tmp_path, holder):
    assert FileLock.try_acquire(tmp_path / "lock") is None


def test_lock_of_a_killed_process_is_free(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    lock = FileLock.try_acquire(tmp_path / "lock")
    assert lock is not None
    lock.release()


def test_lock_excludes_a_second_holder_in_the_same_process_until_released(tmp_path):
    with FileLock.try_acquire(tmp_path / "lock") as first:
        assert FileLock.try_acquire(tmp_path / "lock") is None
        first.release()
        with FileLock.try_acquire(tmp_path / "lock") as second:
            first.release()  # a second time: does nothing to the new holder
            assert FileLock.try_acquire(tmp_path / "lock") is None
        assert second is not None


def test_child_does_not_inherit_the_lock(tmp_path):
    lock = FileLock.try_acquire(tmp_path / "lock")
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False) as child:
        lock.release()
        again = FileLock.try_acquire(tmp_path / "lock")
        child.kill()
    assert again is not None
    again.release()
