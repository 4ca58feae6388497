"""A clock that is set back or forth while a run trains: nothing is lost, and steps order the record."""

import json
import os
import sys

import pyarrow.parquet as pq
import pytest

from burnish.core.paths import RunPaths
from burnish.journal import JournalWriter
from burnish.journal.compact import compact
from burnish.journal.series import load_scalars
from burnish.journal.view import LiveView

# Loaded by every interpreter before anything else: the wall clock of all processes is off by what a file says.
SITE = """
import os, time
really, really_ns, place = time.time, time.time_ns, os.environ["CLOCK_OFFSET"]

def offset():
    with open(place) as file:
        return int(file.read() or 0)

time.time = lambda: really() + offset()
time.time_ns = lambda: really_ns() + offset() * 10**9
"""
TRAIN = """
import os, sys, time
import burnish

def set_clock(offset):
    draft = os.environ["CLOCK_OFFSET"] + ".new"
    with open(draft, "w") as file:
        file.write(str(offset))
    os.replace(draft, os.environ["CLOCK_OFFSET"])

run = burnish.start_run(tracking={"system_every_s": 0.05, "tiers": [{"metrics": "rare", "every_s": 0.0001}]})
for step in range(60):
    run.log({"loss": 100.0 - step, "rare": float(step)}, step)
    time.sleep(0.005)
set_clock(int(sys.argv[1]))
for step in range(60, 120):
    run.log({"loss": 100.0 - step, "rare": float(step)}, step)
    time.sleep(0.005)
if run.attempt == 1 and len(sys.argv) > 2:
    os.kill(os.getpid(), 9)
"""


@pytest.fixture
def clock(burnish, tmp_path):
    """Give all processes of the project a clock that a file sets."""
    site, offset = tmp_path / "site", tmp_path / "offset"
    site.mkdir()
    (site / "sitecustomize.py").write_text(SITE)
    offset.write_text("0")
    path = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH"))))
    burnish.environ |= {"PYTHONPATH": path, "CLOCK_OFFSET": str(offset)}
    return offset


def check_record(paths, record):
    loss = record["summary"]["loss"]
    assert (loss["count"], loss["first"], loss["last"], loss["last_step"]) == (120, 100.0, -19.0, 119)
    assert (loss["min"], loss["best_step"]) == (-19.0, 119)
    assert record["step"] == 119
    assert record["latest"]["loss"] == -19.0
    assert record["ended"] >= record["attempts"][0]["ended"] >= record["started"] >= record["created"]
    assert json.loads(paths.card.read_text())["times"]["duration_s"] >= 0
    assert "took -" not in paths.card.with_suffix(".md").read_text()
    assert record["summary"]["rare"]["last"] == 119.0
    table = [row for row in pq.read_table(paths.metrics).to_pylist() if row["key"] == "loss"]
    assert [(row["step"], row["value"]) for row in table] == [(step, 100.0 - step) for step in range(120)]


@pytest.mark.parametrize("offset", [-7200, pytest.param(7200, marks=pytest.mark.chaos)])
def test_clock_set_while_a_supervised_run_trains_costs_nothing(burnish, clock, offset):
    burnish.write("train.py", TRAIN)
    done = burnish("run", "--quiet", "--", sys.executable, "train.py", str(offset))
    assert done.returncode == 0, done.stderr
    (state,) = burnish.runs.glob("*/run.json")
    check_record(RunPaths(state.parent), json.loads(state.read_text()))
    assert burnish.json("show", state.parent.name)["run"]["state"] == "finished"
    assert "-7" not in burnish("ls").stdout
    points = load_scalars(state.parent / "journal").series("loss")
    assert float(points.time[-1] - points.time[0]) * offset > 0  # the clock was set, and the record says what it said


def test_clock_set_back_under_a_keeper_costs_nothing(scripts, clock):
    assert scripts(TRAIN, "-7200").returncode == 0
    check_record(*scripts.completed("finished"))


def test_attempt_that_began_at_an_earlier_time_than_the_one_before_still_replaces_its_steps(burnish, clock):
    burnish.write("train.py", TRAIN.replace("100.0 - step", "100.0 * run.attempt - step"))
    words = ["--retry.backoff_s", "0", "--", sys.executable, "train.py", "-7200", "once"]
    done = burnish("run", "--quiet", *words)
    assert done.returncode == 0, done.stderr
    (state,) = burnish.runs.glob("*/run.json")
    record = json.loads(state.read_text())
    assert len(record["attempts"]) == 2
    assert record["summary"]["loss"]["count"] == 120
    assert record["summary"]["loss"]["first"] == 200.0
    assert record["summary"]["loss"]["last"] == 81.0
    values = load_scalars(state.parent / "journal").series("loss").value.tolist()
    assert values == [200.0 - step for step in range(120)]


def test_points_whose_times_go_back_are_in_order_of_step_everywhere(tmp_path):
    paths = RunPaths(tmp_path / "20260101_toy_k7f2")
    paths.journals.mkdir(parents=True)
    writer = JournalWriter(paths.journals, 0, lambda: {"attempt": 1})
    for step in range(100):
        writer.row(("loss",), (float(step),), step, 1e9 - 60 * step)
    writer.close()
    scalars = compact(paths)
    assert scalars.series("loss").by_step().value.tolist() == list(map(float, range(100)))
    assert scalars.summary()["loss"]["last"] == 99.0
    assert pq.read_table(paths.metrics)["step"].to_pylist() == list(range(100))
    view = LiveView(paths.journals)
    nodes = view.window("loss", 90, 99)
    assert nodes.arrays[0].tolist() == list(range(90, 100))
    view.close()
