"""A disk that is full: one warning, training goes on and ends well, the hole is counted, and space is used again."""

import resource
import subprocess
import sys

import psutil
import pytest

from burnish.journal.series import load_scalars

FILL = """
import os, sys
import burnish
from pathlib import Path

run = burnish.start_run(tracking={"system_every_s": 0})
filler = run.paths.root.parent.parent / "filler"

def fill():
    with open(filler, "wb", buffering=0) as file:
        size = 1 << 20
        while size:
            try:
                file.write(b"x" * size)
            except OSError:
                size //= 2

def steps(first, last):
    for step in range(first, last):
        run.log({f"metric/{i}": step + i / 4 for i in range(40)}, step)
"""
GOES_ON = (
    FILL
    + """
steps(0, 100)
fill()
steps(100, 300)
run.log_text("sample", "x" * 5000)
run.log_histogram("weights", [1.0, 2.0])
filler.unlink()
steps(300, 400)
print(run.dropped)
"""
)
STAYS_FULL = (
    FILL
    + """
steps(0, 100)
fill()
steps(100, 300)
print(run.dropped)
"""
)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 MiB; skipped where none may be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no `mount` here to make a small disk with")
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def check_hole(paths, rows, dropped):
    """Check that what the script says it lost is all that is missing; return the steps that are missing."""
    steps = [row.step for row in rows]
    assert steps == sorted(set(steps))
    for row in rows:
        assert row.values == tuple(row.step + i / 4 for i in range(40))
    missing = sorted(set(range(400)) - set(steps))
    assert len(missing) + 2 == dropped  # the text and the histogram besides
    assert 100 <= missing[0] <= missing[-1] < 300
    assert load_scalars(paths.journals).damage == {}
    return missing


def test_full_disk_under_a_keeper_costs_one_warning_and_what_could_not_be_written(scripts, small_disk, rows_of):
    scripts.runs = small_disk / "runs"
    done = scripts(GOES_ON, BURNISH_RUNS=str(small_disk / "runs"))
    assert done.returncode == 0, done.stderr
    paths, record = scripts.completed("finished")
    (warning,) = done.stderr.splitlines()
    start = f"run {paths.name}: cannot write to {paths.journals}: [Errno 28] "
    assert warning.startswith(start)
    assert warning.endswith("o space left on device; training goes on")
    missing = check_hole(paths, rows_of(paths), int(done.stdout))
    assert len(missing) > 150
    assert record["dropped"] == int(done.stdout)
    assert record["step"] == 399
    assert record["summary"]["metric/7"]["count"] == 400 - len(missing)
    assert paths.metrics.exists()


def test_full_disk_under_a_supervisor_costs_no_exit_code(burnish, scripts, small_disk, rows_of):
    scripts.runs = small_disk / "runs"
    burnish.environ["BURNISH_RUNS"] = str(small_disk / "runs")
    burnish.write("train.py", GOES_ON)
    done = burnish("run", "--quiet", "--", sys.executable, "train.py")
    assert done.returncode == 0, done.stderr
    paths, record = scripts.completed("finished")
    # What the script says of it would be written to the same disk.
    assert done.stderr.count("cannot write") <= 1
    missing = check_hole(paths, rows_of(paths), record["dropped"])
    assert record["summary"]["metric/7"]["count"] == 400 - len(missing)


def test_disk_that_stays_full_to_the_end_lets_the_script_end_well_and_is_completed_when_there_is_space(
    burnish, scripts, small_disk, rows_of, eventually
):
    scripts.runs = small_disk / "runs"
    burnish.environ["BURNISH_RUNS"] = str(small_disk / "runs")
    done = scripts(STAYS_FULL, BURNISH_RUNS=str(small_disk / "runs"))
    assert done.returncode == 0, done.stderr
    assert len(done.stderr.splitlines()) == 1
    eventually(lambda: not keepers(scripts.paths().root), "its keeper has ended")
    assert scripts.record()["state"] == "running"  # there is no room for another
    (small_disk / "filler").unlink()
    shown = burnish.json("show", scripts.paths().id)["run"]
    paths, record = scripts.completed("finished", "lost")
    assert shown["state"] == record["state"]
    rows = rows_of(paths)
    assert [row.step for row in rows][:100] == list(range(100))
    assert record["summary"]["metric/7"]["count"] == len(rows) == 300 - int(done.stdout)


def keepers(root):
    return [p for p in psutil.process_iter(["cmdline"]) if str(root) in (p.info["cmdline"] or [])]


LIMITED = """
import resource
import burnish
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
run = burnish.start_run(tracking={"system_every_s": 0})
for step in range(1000):
    run.log({f"metric/{i}": step + i / 4 for i in range(40)}, step)
print(run.dropped)
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="there is no limit on the size of files here")
def test_file_that_may_not_grow_is_left_for_another_at_the_cost_of_the_call_that_met_its_end(joined, scripts, rows_of):
    done = scripts(LIMITED, BURNISH_RUN_DIR=str(joined.root))
    assert done.returncode == 0, done.stderr
    assert len(done.stderr.splitlines()) == 1
    rows, dropped = rows_of(joined), int(done.stdout)
    assert 0 < dropped < 10
    assert len(rows) == 1000 - dropped
    assert [row.step for row in rows] == sorted(row.step for row in rows)
    assert all(path.stat().st_size <= 1 << 16 for path in joined.journals.iterdir())
