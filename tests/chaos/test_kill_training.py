"""A training process is killed at random moments: what a method of `Run` has returned from is in the journal.

The process acknowledges each call on a pipe of its own after the call has returned, and the test compares.
"""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from burnish.journal import JournalReader, Kind, Row
from burnish.journal.reader import JournalName, journal_files
from burnish.journal.series import load_scalars

SCALARS = """
import os, sys
from pathlib import Path
from burnish.track.run import Run

run, acknowledge, step = Run(Path(sys.argv[1])), int(sys.argv[2]), 0
while True:
    run.log({f"metric/{i}": step + i / 16 for i in range(10)}, step)
    os.write(acknowledge, step.to_bytes(8, "little"))
    step += 1
"""

LAZY = SCALARS.replace("range(10)}, step)", "range(10)}, step, lazy=True)")

# One call after the other, so that the number of the last acknowledged call says what must be there.
RICH = """
import os, sys
from pathlib import Path
from burnish.track.run import Run
from burnish.track.tiers import read_tiers

tiers = read_tiers({"tiers": [{"metrics": "grad/*", "every": 4}]})
run, acknowledge, done = Run(Path(sys.argv[1]), tiers=tiers), int(sys.argv[2]), 0
source = run.paths.root / "source.txt"

def calls(step):
    yield lambda: run.log({"loss": step / 2, "grad/a": float(step), "grad/b": -float(step)}, step)
    yield lambda: run.log_histogram("weights", ([step, 1, 2], [0.0, 1.0, 2.0, 3.0]))
    yield lambda: run.log_table("samples", [{"prompt": f"p{step}", "reward": step / 4}])
    yield lambda: run.log_text("sample", f"text {step}")
    yield lambda: run.log_artifact(source, name=f"made-{step}", metadata={"step": step})
    yield lambda: run.alert(f"alert {step}")

step = 0
while True:
    source.write_text(f"content {step}")
    for call in calls(step):
        call()
        os.write(acknowledge, done.to_bytes(8, "little"))
        done += 1
    step += 1
"""

# A parent and two forked children, each with two threads, all logging at once.
WORKERS = """
import os, sys, threading
from pathlib import Path
from burnish.track.run import Run

run, acknowledge = Run(Path(sys.argv[1])), int(sys.argv[2])
run.log({"begun": 1.0}, 0)
worker = next((number for number in (1, 2) if os.fork() == 0), 0)

def log(thread):
    step = 0
    while True:
        run.log({f"worker/{worker}/{thread}": step / 2}, step)
        os.write(acknowledge, (worker * 2 + thread << 32 | step).to_bytes(8, "little"))
        step += 1

for thread in (1, 0):
    threading.Thread(target=log, args=(thread,)).start() if thread else log(thread)
"""


def acknowledged_before_kill(folder, source, kill_after_s):
    """Train, kill all processes some time after the first call, and return the numbers that they acknowledged."""
    (folder / "journal").mkdir()
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as acknowledged:
        argv = [sys.executable, "-c", source, str(folder), str(writing)]
        child = subprocess.Popen(argv, pass_fds=[writing], start_new_session=True)
        os.close(writing)
        with child:
            received = bytearray(acknowledged.read(8))  # training has begun
            until = time.monotonic() + kill_after_s
            while time.monotonic() < until:
                received += acknowledged.read(1 << 16)
            os.killpg(child.pid, signal.SIGKILL)
        while rest := acknowledged.read(1 << 16):
            received += rest
    assert len(received) % 8 == 0
    assert child.returncode == -signal.SIGKILL
    return [int.from_bytes(received[at : at + 8], "little") for at in range(0, len(received), 8)]


def entries_of(path):
    reader = JournalReader(path)
    found = reader.read_all()
    reader.close()
    assert reader.damage == []
    return found


def check_scalars(folder, kill_after_s, source=SCALARS, *, behind=0):
    last = acknowledged_before_kill(folder, source, kill_after_s)[-1] - behind
    (path,) = journal_files(folder / "journal") or [None]
    rows = [entry for entry in entries_of(path) if isinstance(entry, Row)]
    # The step after the last may be written and not yet acknowledged.
    assert last + 1 <= len(rows) <= last + 2 + behind
    for step, row in enumerate(rows):
        assert row.step == step
        assert dict(zip(row.keys, row.values, strict=True)) == {f"metric/{i}": step + i / 16 for i in range(10)}


def check_rich_records(folder, kill_after_s):
    done = acknowledged_before_kill(folder, RICH, kill_after_s)[-1] + 1
    (path,) = journal_files(folder / "journal")
    entries = entries_of(path)
    rows = {entry.step: dict(zip(entry.keys, entry.values, strict=True)) for entry in entries if isinstance(entry, Row)}
    by_kind = {kind: [e for e in entries if not isinstance(e, Row) and e.kind == kind] for kind in Kind}
    calls = [(done + 5 - place) // 6 for place in range(6)]  # how often each of the six was acknowledged
    for step in range(calls[0]):
        due = {"grad/a": step, "grad/b": -step} if step % 4 == 0 else {}
        assert rows[step] == {"loss": step / 2, **due}
    histograms = [(e.step, e.payload["counts"]) for e in by_kind[Kind.HISTOGRAM]]
    assert histograms[: calls[1]] == [(step, [step, 1, 2]) for step in range(calls[1])]
    tables = [(e.step, e.payload["rows"]) for e in by_kind[Kind.TABLE]]
    assert tables[: calls[2]] == [(step, [[f"p{step}", step / 4]]) for step in range(calls[2])]
    texts = [(e.step, e.payload["text"]) for e in by_kind[Kind.TEXT]]
    assert texts[: calls[3]] == [(step, f"text {step}") for step in range(calls[3])]
    artifacts = [(e.step, e.key, e.payload["metadata"]) for e in by_kind[Kind.ARTIFACT]]
    assert artifacts[: calls[4]] == [(step, f"made-{step}", {"step": step}) for step in range(calls[4])]
    for made in by_kind[Kind.ARTIFACT]:  # also of the last one, which may not be acknowledged
        content = (folder / made.payload["path"]).read_bytes()
        assert content == f"content {made.step}".encode()
        assert hashlib.sha256(content).hexdigest() == made.payload["sha256"]
    alerts = [(e.step, e.key) for e in by_kind[Kind.ALERT]]
    assert alerts[: calls[5]] == [(step, f"alert {step}") for step in range(calls[5])]


def check_workers(folder, kill_after_s):
    last = {}
    for number in acknowledged_before_kill(folder, WORKERS, kill_after_s):
        last[divmod(number >> 32, 2)] = number & 0xFFFFFFFF
    files = journal_files(folder / "journal")
    assert len(files) == len({JournalName.parse(path).pid for path in files}) <= 3  # each process has its own
    found = load_scalars(folder / "journal")
    assert found.damage == {}
    for (worker, thread), step in last.items():
        steps, values = found.of(f"worker/{worker}/{thread}")
        assert steps[: step + 1] == list(range(step + 1))
        assert values == [step / 2 for step in steps]


@pytest.mark.parametrize("seed", range(20))
def test_killed_training_has_lost_no_acknowledged_step(tmp_path, seed):
    check_scalars(tmp_path, random.Random(seed).uniform(0, 0.15))


@pytest.mark.parametrize("seed", range(4))
def test_killed_training_has_lost_no_record_of_any_kind(tmp_path, seed):
    check_rich_records(tmp_path, random.Random(seed).uniform(0, 0.3))


@pytest.mark.parametrize("seed", range(3))
def test_killed_workers_and_threads_have_lost_nothing_that_any_of_them_acknowledged(tmp_path, seed):
    check_workers(tmp_path, random.Random(seed).uniform(0, 0.3))


@pytest.mark.parametrize("seed", range(3))
def test_a_lazy_value_is_acknowledged_by_the_call_after_it(tmp_path, seed):
    check_scalars(tmp_path, random.Random(seed).uniform(0.05, 0.2), LAZY, behind=1)


@pytest.mark.chaos
@pytest.mark.parametrize("seed", range(20, 220))
def test_training_killed_at_many_more_moments_has_lost_no_acknowledged_step(tmp_path, seed):
    check_scalars(tmp_path, random.Random(seed).uniform(0, 0.6))


@pytest.mark.chaos
@pytest.mark.parametrize("seed", range(20, 80))
def test_training_killed_at_many_more_moments_has_lost_no_record_of_any_kind(tmp_path, seed):
    check_rich_records(tmp_path, random.Random(seed).uniform(0, 0.6))


@pytest.mark.chaos
@pytest.mark.parametrize("seed", range(20, 60))
def test_workers_killed_at_many_more_moments_have_lost_nothing(tmp_path, seed):
    check_workers(tmp_path, random.Random(seed).uniform(0, 0.5))


@pytest.mark.chaos
@pytest.mark.parametrize("seed", range(20, 60))
def test_lazy_values_at_many_more_moments_are_acknowledged_by_the_call_after_them(tmp_path, seed):
    check_scalars(tmp_path, random.Random(seed).uniform(0.02, 0.5), LAZY, behind=1)
