import datetime
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from burnish.core.errors import JournalError
from burnish.journal import JournalReader, JournalWriter, Kind, Record, Row
from burnish.journal.frame import MAX_BODY_BYTES
from burnish.journal.reader import JournalName, journal_files


def read(path):
    reader = JournalReader(path)
    found = reader.read_all()
    reader.close()
    return found


def rows(path):
    return [entry for entry in read(path) if isinstance(entry, Row)]


def open_descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_file_is_named_after_rank_and_process(tmp_path):
    writer = JournalWriter(tmp_path, 3, dict)
    writer.record(Kind.TEXT, "a", {})
    writer.close()
    name = JournalName.parse(journal_files(tmp_path)[0])
    assert (name.rank, name.pid) == (3, os.getpid())


def test_writer_without_a_call_makes_no_file(tmp_path):
    JournalWriter(tmp_path, 0, dict).close()
    assert journal_files(tmp_path) == []


def test_call_after_close_opens_another_file(tmp_path):
    writer = JournalWriter(tmp_path, 0, dict)
    for step in (1, 2):
        writer.row(("a",), (0.5,), step, 0.0)
        writer.close()
    assert [rows(path)[0].step for path in journal_files(tmp_path)] == [1, 2]


def test_sequence_numbers_count_the_frames_of_a_file(tmp_path):
    writer = JournalWriter(tmp_path, 0, dict)
    for step in range(3):
        writer.row(("a",), (0.5,), step, 0.0)
    writer.close()
    assert [entry.seq for entry in read(journal_files(tmp_path)[0])] == [0, 2, 3, 4]  # 1 names the keys


def test_forked_child_writes_its_own_file_and_leaves_the_parents_whole(tmp_path):
    writer = JournalWriter(tmp_path, 0, dict)
    writer.row(("parent",), (1.0,), 1, 0.0)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            for step in range(50):
                writer.row(("child",), (float(step),), step, 0.0)
            status = 0
        finally:
            os._exit(status)
    for step in range(2, 50):
        writer.row(("parent",), (1.0,), step, 0.0)
    assert os.waitpid(pid, 0)[1] == 0
    writer.close()
    found = {JournalName.parse(path).pid: rows(path) for path in journal_files(tmp_path)}
    assert set(found) == {os.getpid(), pid}
    assert [(row.step, row.keys) for row in found[os.getpid()]] == [(step, ("parent",)) for step in range(1, 50)]
    assert [(row.step, row.keys) for row in found[pid]] == [(step, ("child",)) for step in range(50)]


def test_threads_that_write_at_once_lose_nothing_and_share_one_file(tmp_path):
    writer = JournalWriter(tmp_path, 0, dict)
    start = threading.Barrier(8)

    def work(number):
        start.wait()
        for step in range(200):
            writer.row((f"t{number}", f"k{step % 3}"), (float(number), 0.0), step, 0.0)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    (path,) = journal_files(tmp_path)
    found = read(path)
    seen = sorted((row.keys[0], row.step) for row in found if isinstance(row, Row))
    assert seen == sorted((f"t{number}", step) for number in range(8) for step in range(200))
    numbers = [entry.seq for entry in found]
    assert len(set(numbers)) == len(numbers)


def test_closing_while_threads_write_never_writes_into_a_strangers_file(tmp_path):
    (tmp_path / "journal").mkdir()
    writer = JournalWriter(tmp_path / "journal", 0, dict)
    done = threading.Event()
    failures = []

    def work():
        try:
            while not done.is_set():
                writer.row(("a",), (0.5,), 0, 0.0)
        except OSError as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(150):
        writer.close()
        with (tmp_path / f"model{number % 5}").open("w+b") as file:
            file.write(b"weights")
            file.flush()
            file.seek(0)
            assert file.read() == b"weights"
    done.set()
    for thread in threads:
        thread.join()
    writer.close()
    assert failures == []


def test_closed_writer_holds_no_descriptor(tmp_path):
    before = open_descriptors()
    writer = JournalWriter(tmp_path, 0, dict)
    writer.record(Kind.TEXT, "a", {})
    assert open_descriptors() == before + 1
    writer.close()
    assert open_descriptors() == before


def test_record_over_64_mib_is_refused_and_the_next_call_goes_on_in_the_same_file(tmp_path):
    writer = JournalWriter(tmp_path, 0, dict)
    writer.record(Kind.TEXT, "a", {"text": "small"})
    with pytest.raises(JournalError, match=r"^a record of \d+ bytes is too large, a journal takes up to 67108864$"):
        writer.record(Kind.TEXT, "a", {"text": "x" * MAX_BODY_BYTES})
    writer.record(Kind.TEXT, "a", {"text": "more"})
    writer.close()
    (path,) = journal_files(tmp_path)
    assert [entry.payload.get("text") for entry in read(path)[1:]] == ["small", "more"]


def test_name_that_is_no_string_is_refused_before_anything_is_written(tmp_path):
    writer = JournalWriter(tmp_path, 0, dict)
    with pytest.raises(TypeError, match=r"^a metric's name must be a string, not 1$"):
        writer.row((1,), (0.5,), 0, 0.0)
    writer.close()
    assert rows(journal_files(tmp_path)[0]) == []


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (2**100, str(2**100)),
        (b"ab", "b'ab'"),
        (datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC), "2026-01-02 00:00:00+00:00"),
        ({(1, 2): (3, {4})}, {"(1, 2)": [3, [4]]}),
        ("caf\udce9", "caf\\udce9"),
        ([True, None, 1, 0.5], [True, None, 1, 0.5]),
    ],
)
def test_payload_that_json_does_not_know_is_kept_as_text(tmp_path, value, kept):
    writer = JournalWriter(tmp_path, 0, dict)
    writer.record(Kind.LIFECYCLE, "card", {"fact": value})
    writer.close()
    last = read(journal_files(tmp_path)[0])[-1]
    assert isinstance(last, Record)
    assert last.payload == {"fact": kept}


def test_name_that_is_no_valid_unicode_is_kept_as_it_can_be_written(tmp_path):
    writer = JournalWriter(tmp_path, 0, dict)
    for step in range(2):
        writer.row(("caf\udce9", "b"), (0.5, 1.0), step, 0.0)
    writer.close()
    assert [row.keys for row in rows(journal_files(tmp_path)[0])] == [("caf\\udce9", "b")] * 2


def test_row_too_large_for_a_frame_is_refused_and_the_next_call_goes_on(tmp_path):
    writer = JournalWriter(tmp_path, 0, dict)
    width = MAX_BODY_BYTES // 8
    with pytest.raises(
        JournalError, match=rf"^a row of {width} values is too large, a journal takes up to 67108864 bytes$"
    ):
        writer.row(("a",) * width, (0.5,) * width, 0, 0.0)
    writer.row(("a",), (0.5,), 1, 0.0)
    writer.close()
    (path,) = journal_files(tmp_path)
    assert [row.step for row in rows(path)] == [1]


def test_clock_that_was_set_back_to_a_taken_name_takes_the_next_one(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "time_ns", lambda: 5_000_000)
    for step in range(3):
        writer = JournalWriter(tmp_path, 0, dict)
        writer.row(("a",), (0.5,), step, 0.0)
        writer.close()
    found = {JournalName.parse(path).started_us: rows(path)[0].step for path in journal_files(tmp_path)}
    assert found == {5000: 0, 5001: 1, 5002: 2}


def test_file_that_has_grown_too_large_is_left_for_another(tmp_path, monkeypatch):
    monkeypatch.setattr("burnish.journal.writer.SEGMENT_BYTES", 1 << 20)
    writer = JournalWriter(tmp_path, 0, dict)
    keys = tuple(f"metric/{number}" for number in range(100))
    for step in range(4000):
        writer.row(keys, (0.5,) * 100, step, 0.0)
    writer.close()
    files = journal_files(tmp_path)
    assert len(files) == 4
    assert [row.step for path in files for row in rows(path)] == list(range(4000))
    openings = [read(path)[0].payload["continues"] for path in files]
    assert openings == [False, True, True, True]


def test_ever_new_names_do_not_fill_the_memory_and_are_all_kept(tmp_path):
    writer = JournalWriter(tmp_path, 0, dict)
    for step in range(10_000):
        writer.row((f"loss/{step}",), (float(step),), step, 0.0)
    assert len(writer._segment.keys) <= 4096
    writer.close()
    found = rows(journal_files(tmp_path)[0])
    assert [(row.keys, row.values) for row in found] == [((f"loss/{s}",), (float(s),)) for s in range(10_000)]


def test_writer_that_was_closed_and_used_again_still_gives_a_forked_child_its_own_file(tmp_path):
    writer = JournalWriter(tmp_path, 0, dict)
    writer.close()
    writer.row(("a",), (0.5,), 0, 0.0)
    pid = os.fork()
    if pid == 0:
        try:
            writer.row(("a",), (0.5,), 1, 0.0)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    writer.close()
    assert {JournalName.parse(path).pid for path in journal_files(tmp_path)} == {os.getpid(), pid}


SHORT_WRITES = """
import resource, signal, sys
from pathlib import Path
from burnish.journal import JournalWriter

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (520, 520))
writer = JournalWriter(Path(sys.argv[1]), 0, dict)
for step in range(100):
    try:
        writer.row(("loss",), (float(step),), step, 0.0)
    except OSError:
        continue
    print(step)
"""


def test_after_a_short_write_the_next_call_opens_another_file_and_all_acknowledged_is_read(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SHORT_WRITES, str(tmp_path)], capture_output=True, text=True, check=True
    )
    acknowledged = [int(line) for line in done.stdout.split()]
    files = journal_files(tmp_path)
    assert len(acknowledged) < 100
    assert len(files) == 100 - len(acknowledged) + 1
    assert [(row.step, row.values) for path in files for row in rows(path)] == [(s, (float(s),)) for s in acknowledged]


FULL_DISK = """
import os, resource, signal, sys
from pathlib import Path
from burnish.journal import JournalWriter

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
writer = JournalWriter(Path(sys.argv[1]), 0, dict)
failures = 0
before = len(os.listdir("/proc/self/fd"))
for step in range(300):
    try:
        writer.row(("loss",), (0.5,), step, 0.0)
    except OSError:
        failures += 1
print(failures, len(os.listdir("/proc/self/fd")) - before, len(os.listdir(sys.argv[1])))
"""


@pytest.mark.parametrize("room", [0, 10, 30])
def test_disk_without_room_for_a_beginning_leaves_neither_files_nor_descriptors_behind(tmp_path, room):
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path), str(room)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["300", "0", "0"]
