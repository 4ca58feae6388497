"""A training process is killed at random moments: what `Run.log` has returned from is in the journal."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from burnish.journal import JournalReader, Row
from burnish.journal.reader import journal_files

CHILD = """
import os, sys
from pathlib import Path
from burnish.track.run import Run

run, acknowledge, step = Run(Path(sys.argv[1])), int(sys.argv[2]), 0
while True:
    run.log({f"metric/{i}": step + i / 16 for i in range(10)}, step)
    os.write(acknowledge, step.to_bytes(8, "little"))
    step += 1
"""


def last_acknowledged(folder, kill_after_s):
    """Train, kill the process some time after its first step, and return the last step that it acknowledged."""
    (folder / "journal").mkdir()
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as acknowledged:
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(folder), str(writing)], pass_fds=[writing])
        os.close(writing)
        with child:
            received = acknowledged.read(8)  # training has begun
            until = time.monotonic() + kill_after_s
            while time.monotonic() < until:
                received = received[-8:] + acknowledged.read(1 << 16)
            child.send_signal(signal.SIGKILL)
        while rest := acknowledged.read(1 << 16):
            received = received[-8:] + rest
    assert len(received) % 8 == 0
    assert child.returncode == -signal.SIGKILL
    return int.from_bytes(received[-8:], "little")


def check_nothing_acknowledged_is_lost(folder, kill_after_s):
    last = last_acknowledged(folder, kill_after_s)
    (path,) = journal_files(folder / "journal")
    reader = JournalReader(path)
    rows = [entry for entry in reader.read_all() if isinstance(entry, Row)]
    reader.close()
    assert reader.damage == []
    assert len(rows) in (last + 1, last + 2)  # the step after the last may be written and not yet acknowledged
    for step, row in enumerate(rows):
        assert row.step == step
        assert dict(zip(row.keys, row.values, strict=True)) == {f"metric/{i}": step + i / 16 for i in range(10)}


@pytest.mark.parametrize("seed", range(20))
def test_killed_training_has_lost_no_acknowledged_step(tmp_path, seed):
    check_nothing_acknowledged_is_lost(tmp_path, random.Random(seed).uniform(0, 0.15))


@pytest.mark.chaos
@pytest.mark.parametrize("seed", range(20, 220))
def test_training_killed_at_many_more_moments_has_lost_no_acknowledged_step(tmp_path, seed):
    check_nothing_acknowledged_is_lost(tmp_path, random.Random(seed).uniform(0, 0.6))
