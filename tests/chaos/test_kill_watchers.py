"""Keepers and supervisors are killed at random moments, with the training and without: the next command completes."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pyarrow.parquet as pq
import pytest

from burnish.journal.series import load_scalars

from .watched import Watched, runs

# Acknowledges each step in a file that outlives it, and ends when it is told to.
TRAIN = """
import os, sys, time
import burnish
run = burnish.start_run()
acknowledged = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
step = 0
while not os.path.exists(sys.argv[2]):
    run.log({"loss": step / 2, "accuracy": step / 4}, step)
    os.pwrite(acknowledged, step.to_bytes(8, "little"), 0)
    step += 1
    time.sleep(0.002)
"""


class Trained(Watched):
    """A project in which one script trains, watched by a supervisor or a keeper."""

    def __init__(self, burnish, eventually):
        super().__init__(burnish, eventually)
        burnish.write("train.py", TRAIN)
        self._words = [sys.executable, "train.py", str(burnish.root / "step"), str(burnish.root / "go")]

    @property
    def last_step(self):
        """The last step that the training acknowledged, -1 before the first."""
        try:
            return int.from_bytes((self.burnish.root / "step").read_bytes() or b"\xff" * 8, "little", signed=True)
        except FileNotFoundError:
            return -1

    def start(self, *, supervised):
        words = self.burnish.argv("run", "--", *self._words) if supervised else self._words
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        root, environ = self.burnish.root, self.burnish.environ
        self.process = subprocess.Popen(words, cwd=root, env=environ, start_new_session=True, **quiet)
        self.wait_for_step(3)
        # A training that is quick may log before the record says which process it is.
        self._eventually(lambda: "process" in self.record["attempts"][-1], "the record names the training process")

    def watcher(self):
        """Return the process that watches, waiting for it."""
        if self.process.pid != self.training:
            return self.process.pid
        found = []

        def look():
            words = (str(self.paths.root), "burnish.launch.keeper")
            processes = psutil.process_iter(["pid", "cmdline"])
            found[:] = [p.pid for p in processes if set(words) <= set(p.info["cmdline"] or [])]
            return found

        self._eventually(look, "the keeper has started")
        return found[-1]

    def wait_for_step(self, step):
        self._eventually(lambda: self.last_step >= step, f"step {step}")


@pytest.fixture
def trained(burnish, eventually):
    made = Trained(burnish, eventually)
    yield made
    made.let_go()


def check_complete(trained, state, *, last_step=None):
    """Check that a run's record, points and files are those of a run that has ended."""
    record, paths = trained.record, trained.paths
    last = trained.last_step if last_step is None else last_step
    assert record["state"] == state
    assert record["step"] in (last, last + 1)
    count = record["step"] + 1
    assert [record["summary"][name]["count"] for name in ("loss", "accuracy")] == [count, count]
    table = pq.read_table(paths.metrics)
    points = [(row["step"], row["value"]) for row in table.to_pylist() if row["key"] == "loss"]
    assert points == [(step, step / 2) for step in range(count)]
    assert len(record["attempts"]) == 1
    assert "damage" not in record
    card = json.loads(paths.card.read_text())
    assert card["run"]["state"] == state
    assert card["reported"]["executable"] == sys.executable


def show(trained):
    shown = trained.burnish.json("show", trained.paths.id)["run"]
    return shown["state"], shown["step"]


def check_killed_with_training(trained, seed, *, supervised):
    trained.start(supervised=supervised)
    watcher, chance = trained.watcher(), random.Random(seed)
    until = time.monotonic() + chance.uniform(0, 1.2)
    while time.monotonic() < until:
        time.sleep(0.001)
    trained.kill(*chance.sample([watcher, trained.training], 2))
    state = show(trained)[0]
    assert state in ("failed", "lost")  # a zombie still tells how it ended
    check_complete(trained, state)


def check_killed_alone(trained, seed, *, supervised):
    trained.start(supervised=supervised)
    watcher, until = trained.watcher(), time.monotonic() + random.Random(seed).uniform(0, 1.2)
    while time.monotonic() < until:
        time.sleep(0.001)
    trained.kill(watcher)
    step = trained.last_step
    trained.wait_for_step(step + 20)  # it trains on without anybody who watches
    trained.end_training()
    assert show(trained) == ("finished", trained.last_step)
    check_complete(trained, "finished")


def check_killed_while_it_completes(trained, seed):
    trained.start(supervised=False)
    keeper = trained.watcher()
    trained.end_training()
    until = time.monotonic() + random.Random(seed).uniform(0, 0.6)
    while time.monotonic() < until:
        time.sleep(0.001)
    trained.kill(keeper)
    assert show(trained) == ("finished", trained.last_step)
    check_complete(trained, "finished")


@pytest.mark.parametrize("supervised", [True, False], ids=["supervisor", "keeper"])
def test_killed_with_the_training_the_next_command_completes_the_record(trained, supervised):
    check_killed_with_training(trained, 0, supervised=supervised)


@pytest.mark.parametrize(
    "supervised", [pytest.param(True, id="supervisor"), pytest.param(False, id="keeper", marks=pytest.mark.chaos)]
)
def test_killed_alone_the_training_goes_on_and_the_next_command_completes_the_record(trained, supervised):
    check_killed_alone(trained, 0, supervised=supervised)


def test_keeper_killed_while_it_completes_the_record_is_replaced_by_the_next_command(trained):
    check_killed_while_it_completes(trained, 1)


@pytest.mark.chaos
@pytest.mark.parametrize("seed", range(1, 13))
@pytest.mark.parametrize("supervised", [True, False], ids=["supervisor", "keeper"])
def test_killed_with_the_training_at_more_moments_the_record_is_completed(trained, seed, supervised):
    check_killed_with_training(trained, seed, supervised=supervised)


@pytest.mark.chaos
@pytest.mark.parametrize("seed", range(1, 9))
@pytest.mark.parametrize("supervised", [True, False], ids=["supervisor", "keeper"])
def test_killed_alone_at_more_moments_the_record_is_completed(trained, seed, supervised):
    check_killed_alone(trained, seed, supervised=supervised)


@pytest.mark.chaos
@pytest.mark.parametrize("seed", range(2, 18))
def test_keeper_killed_at_more_moments_of_its_completing_is_replaced_by_the_next_command(trained, seed):
    check_killed_while_it_completes(trained, seed)


# Completing a record, killed before each change that it makes in the run's directory, one after the other. The
# interpreter's own audit events say when: everything that runs is what always runs.
COMPLETE = """
import os, signal, sys

from pathlib import Path
root, left = sys.argv[1], int(sys.argv[2])

def before(event, args):
    global left
    if event == "open":
        changes = isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    else:
        changes = event in ("os.rename", "os.remove", "os.mkdir", "os.truncate", "os.utime")
    if not changes or not isinstance(args[0], str | os.PathLike) or root not in os.fspath(args[0]):
        return
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1

from burnish.core.paths import RunPaths
from burnish.launch.adopt import keep
sys.addaudithook(before)
keep(RunPaths(Path(root)))
print(int(sys.argv[2]) - left)
"""


@pytest.fixture(scope="module")
def killed_run(tmp_path_factory):
    """Return the directory of a run whose training and supervisor were killed, and the last acknowledged step."""
    root = tmp_path_factory.mktemp("killed")
    (root / "train.py").write_text(TRAIN)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("LLM_", "BURNISH_"))}
    words = [sys.executable, "-m", "burnish", "run", "--quiet", "--", sys.executable, "train.py", "step", "go"]
    environ["BURNISH_RUNS"] = str(root / "runs")
    with subprocess.Popen(words, cwd=root, env=environ, stderr=subprocess.DEVNULL) as supervisor:
        until = time.monotonic() + 30
        step = root / "step"
        while not (step.exists() and int.from_bytes(step.read_bytes(), "little") >= 200):
            assert time.monotonic() < until, "training has not begun"
            time.sleep(0.01)
        supervisor.kill()
    (state,) = (root / "runs").glob("*/run.json")
    training = json.loads(state.read_text())["attempts"][0]["process"]["pid"]
    os.kill(training, signal.SIGKILL)
    while runs(training):
        time.sleep(0.01)
    return state.parent, int.from_bytes(step.read_bytes(), "little")


def check_killed_before_change(trained, killed_run, number):
    """Kill who completes a copy of the run before its so manyth change; return whether it had so many to make."""
    source, last = killed_run
    root = trained.burnish.runs / source.name
    root.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source, root)
    words = [sys.executable, "-c", COMPLETE, str(root), str(number)]
    done = subprocess.run(words, capture_output=True, text=True, env=trained.burnish.environ, timeout=60, check=False)
    if done.returncode == 0:
        return False
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert load_scalars(root / "journal").series("loss").step[-1] >= last
    state = show(trained)[0]
    assert state in ("failed", "lost")
    check_complete(trained, state, last_step=last)
    return True


@pytest.mark.parametrize("number", range(1, 30, 9))
def test_killed_before_a_change_of_the_directory_completing_is_done_again(trained, killed_run, number):
    check_killed_before_change(trained, killed_run, number)


@pytest.mark.chaos
def test_killed_before_each_change_of_the_directory_completing_is_done_again(trained, killed_run):
    number = 0
    while check_killed_before_change(trained, killed_run, number):
        shutil.rmtree(trained.paths.root)
        number += 1
    assert number > 10
