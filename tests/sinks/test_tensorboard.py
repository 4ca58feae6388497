import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict

import numpy as np
import pyarrow.parquet as pq
import pytest

from burnish.core.paths import RunPaths
from burnish.journal import JournalWriter, Kind
from burnish.journal.parquet import write_parquet
from burnish.journal.reader import SYSTEM_RANK
from burnish.journal.series import load_scalars
from burnish.sinks import Shipper, sink_factories
from burnish.sinks.tensorboard import FOLDER


def make_run(root):
    paths = RunPaths(root / "20260101_toy_k7f2")
    for folder in (paths.journals, paths.cursors):
        folder.mkdir(parents=True)
    return paths


def attempt(run, number, steps, *, resume=None, rank=0):
    writer = JournalWriter(run.journals, rank, lambda: {"attempt": number})
    if resume is not None:
        writer.record(Kind.LIFECYCLE, "resume", {}, resume)
    for step in steps:
        writer.row(("loss", "größe"), (number + step / 7, 1e300 if step == 3 else -step / 3), step, 1e9 + step)
        if step % 5 == 0:
            writer.row(("eval/score",), (float("nan") if step == 5 else number * step / 11,), step, 1e9 + step)
    writer.close()


def ship(run):
    shipper = Shipper(run, "tensorboard", sink_factories(["tensorboard"])["tensorboard"])
    shipper.start()
    assert shipper.finish("finished", 60)


def read_events(run, part="."):
    """Return the points as TensorBoard itself shows them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run.root / FOLDER / part), size_guidance={"scalars": 0})
    events.Reload()
    return {
        tag: [(event.step, np.float32(event.value)) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def read_parquet(run):
    write_parquet(load_scalars(run.journals), run.metrics)
    found = defaultdict(list)
    for row in pq.ParquetFile(run.metrics).read().to_pylist():
        if row["rank"] == 0:
            with np.errstate(over="ignore"):
                found[row["key"]].append((row["step"], np.float32(row["value"])))
    return dict(found)


def event_bytes(run):
    return {path.name: path.read_bytes() for path in (run.root / FOLDER).iterdir()}


def test_tensorboard_shows_the_points_of_the_parquet_file(tmp_path):
    run = make_run(tmp_path)
    attempt(run, 1, range(20))
    ship(run)
    assert set(read_events(run)) == {"loss", "größe", "eval/score"}
    np.testing.assert_equal(read_events(run), read_parquet(run))


@pytest.mark.parametrize("resume", [7, None])
def test_replayed_steps_are_shown_once_the_newer(tmp_path, resume):
    run = make_run(tmp_path)
    attempt(run, 1, range(13))
    attempt(run, 2, range(8, 17), resume=resume)
    attempt(run, 3, range(15, 22), resume=None if resume is None else 14)
    ship(run)
    assert [step for step, _ in read_events(run)["loss"]] == list(range(22))
    np.testing.assert_equal(read_events(run), read_parquet(run))


def test_evaluation_beyond_the_resume_point_disappears(tmp_path):
    run = make_run(tmp_path)
    attempt(run, 1, range(11))
    attempt(run, 2, [7, 8], resume=6)
    ship(run)
    assert [step for step, _ in read_events(run)["eval/score"]] == [0, 5]
    np.testing.assert_equal(read_events(run), read_parquet(run))


def test_what_the_machine_did_is_a_run_of_its_own_that_no_resume_cuts(tmp_path):
    run = make_run(tmp_path)
    attempt(run, 1, range(10))
    machine = JournalWriter(run.journals, SYSTEM_RANK, dict)
    for step in (4, 9, 6, 7):
        machine.row(("system/threads",), (float(step),), step, 1e9 + step)
    machine.close()
    attempt(run, 2, range(6, 9), resume=5)
    ship(run)
    assert [step for step, _ in read_events(run)["loss"]] == list(range(9))
    assert "system/threads" not in read_events(run)
    shown = read_events(run, "system")
    assert list(shown) == ["system/threads"]
    assert [step for step, _ in shown["system/threads"]] == [4, 9, 6, 7]


def test_other_ranks_are_not_shown(tmp_path):
    run = make_run(tmp_path)
    attempt(run, 1, range(3))
    attempt(run, 1, range(9), rank=1)
    ship(run)
    np.testing.assert_equal(read_events(run), read_parquet(run))


def test_shipping_in_pieces_writes_the_bytes_of_shipping_at_once(tmp_path):
    run = make_run(tmp_path)
    attempt(run, 1, range(30))
    attempt(run, 2, range(10, 40))
    ship(run)
    at_once = event_bytes(run)
    journals = {path: path.read_bytes() for path in run.journals.iterdir()}
    (run.cursors / "tensorboard.json").unlink()
    for path in (run.root / FOLDER).iterdir():
        path.unlink()
    for path in journals:
        path.unlink()
    for path, raw in sorted(journals.items()):
        for cut in (300, 555, len(raw)):
            path.write_bytes(raw[:cut])
            ship(run)
    assert event_bytes(run) == at_once


SHIP = """
import sys
from pathlib import Path
import burnish.journal.reader as reader
reader._CHUNK_BYTES = 4096  # many small batches, so that a kill falls between two of them
from burnish.core.paths import RunPaths
from burnish.sinks import Shipper, sink_factories

shipper = Shipper(RunPaths(Path(sys.argv[1])), "tensorboard", sink_factories(["tensorboard"])["tensorboard"])
shipper.start()
assert shipper.finish("finished", 60)
"""


def test_killed_shipper_that_ships_again_gives_the_bytes_of_an_undisturbed_one(tmp_path):
    run = make_run(tmp_path)
    attempt(run, 1, range(3000))
    attempt(run, 2, range(2500, 4000))
    ship(run)
    undisturbed = event_bytes(run)
    (run.cursors / "tensorboard.json").unlink()
    for path in (run.root / FOLDER).iterdir():
        path.unlink()
    chance = random.Random(7)
    sizes = []
    for _ in range(6):
        killed = subprocess.Popen([sys.executable, "-c", SHIP, str(run.root)])
        # Killed a random while after it has begun to write, or has ended.
        grown = sum(sizes[-1:]) + chance.randint(1, 30_000)
        while killed.poll() is None and sum(map(len, event_bytes(run).values())) <= grown:
            time.sleep(0.001)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        sizes.append(sum(map(len, event_bytes(run).values())))
    assert 0 < sizes[0] < sum(map(len, undisturbed.values()))
    ship(run)
    assert event_bytes(run) == undisturbed


def test_second_file_of_a_resumed_attempt_keeps_the_points_of_the_first(tmp_path):
    run = make_run(tmp_path)
    attempt(run, 1, range(10))
    writer = JournalWriter(run.journals, 0, lambda: {"attempt": 2})
    writer.record(Kind.LIFECYCLE, "resume", {}, 4)
    for step in (5, 6):
        writer.row(("loss",), (float(step),), step, 1e9 + step)
    child = os.fork()
    if child == 0:  # a data loader that logs: it has a file of its own
        writer.row(("loader/queue",), (3.0,), 5, 1e9 + 5)
        os._exit(0)
    os.waitpid(child, 0)
    writer.close()
    ship(run)
    shown = read_events(run)
    assert [step for step, _ in shown["loss"]] == list(range(7))
    assert shown["loader/queue"] == [(5, np.float32(3.0))]


def test_event_file_that_was_deleted_is_begun_anew_without_a_hole(tmp_path):
    run = make_run(tmp_path)
    attempt(run, 1, range(5))
    ship(run)
    for path in (run.root / FOLDER).iterdir():
        path.unlink()
    ship(run)
    assert all(b"\0" * 64 not in content for content in event_bytes(run).values())
