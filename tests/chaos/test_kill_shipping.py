"""Whoever ships a run to three trackers is killed at random moments: each tracker then shows what the journal holds."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import psutil
import pytest
from examples.tracker_readers import (
    float32,
    journal_points,
    mlflow_points,
    tensorboard_points,
    wandb_points,
    without_infinities,
)

from burnish.core.paths import RunPaths

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of SQLAlchemy, as MLflow uses it
]

RUNS, KILLS = 20, 5

# Logs what trackers find hard, and ends when it is told to.
TRAIN = """
import math, os, sys, time
import numpy as np
import burnish
run = burnish.start_run(config={"lr": 1e-3})
step = 0
while not os.path.exists(sys.argv[1]):
    odd = math.nan if step % 7 == 3 else math.inf if step % 50 == 9 else -0.5 * step
    run.log({"loss": 1 / (step + 1), "odd": odd, "eval/größe": step * 1e30}, step)
    if step % 40 == 0:
        run.log_histogram("weights", np.arange(step + 2.0))
        run.log_table("samples", [{"prompt": "2+2=", "step": step}])
        run.log_image("picture", np.full((4, 4), step % 255, np.uint8))
    step += 1
    time.sleep(0.005)
"""


class Shipped:
    """A project in which a script trains, and three trackers get what it logs."""

    def __init__(self, burnish, eventually):
        self.burnish = burnish
        self._eventually = eventually
        burnish.write("train.py", TRAIN)
        self.go = burnish.root / "go"
        self.process = None

    @property
    def paths(self):
        (folder,) = [path for path in self.burnish.runs.iterdir() if path.is_dir()]
        return RunPaths(folder)

    @property
    def record(self):
        return json.loads(self.paths.state.read_text())

    @property
    def database(self):
        return f"sqlite:///{self.burnish.root / '.burnish' / 'mlflow.db'}"

    def start(self):
        sinks = "{tensorboard: {}, mlflow: {batch_kb: 8}, wandb: {batch_kb: 8}}"
        words = self.burnish.argv("run", "--tracking.sinks", sinks, "--", sys.executable, "train.py", str(self.go))
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(
            words, cwd=self.burnish.root, env=self.burnish.environ, start_new_session=True, **quiet
        )
        self._eventually(lambda: list(self.burnish.runs.glob("*/run.json")), "the run is there")
        self._eventually(lambda: "process" in (self.record["attempts"] or [{}])[-1], "the training is known")

    def kill_watcher(self):
        """Kill whoever watches the run, as the kernel would; its sinks go with it."""
        pid = self.record["supervisor"]["pid"]
        os.kill(pid, signal.SIGKILL)
        if pid == self.process.pid:
            self.process.wait()
        self._eventually(lambda: not psutil.pid_exists(pid) or is_zombie(pid), "the watcher is gone")

    def adopt(self):
        """Let the next command find the orphan, and wait for its keeper."""
        before = self.record["supervisor"]
        self.burnish("ls")
        self._eventually(lambda: self.record["supervisor"] != before, "a keeper watches")

    def end(self):
        pid = self.record["attempts"][-1]["process"]["pid"]
        self.go.touch()
        self._eventually(lambda: not psutil.pid_exists(pid) or is_zombie(pid), "training has ended")
        self._eventually(lambda: self.record["state"] == "finished", "the record is complete", 90)


def is_zombie(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def shipped(burnish, eventually):
    made = Shipped(burnish, eventually)
    yield made
    made.go.touch()  # whatever a failed test left behind ends by itself
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()


@pytest.mark.parametrize("seed", range(RUNS))
def test_killed_shippers_leave_each_tracker_with_what_the_journal_holds(shipped, seed):
    shipped.start()
    chance = random.Random(seed)
    for number in range(KILLS):
        time.sleep(chance.uniform(0, 3.5))  # a sink is at work after two or three seconds
        shipped.kill_watcher()
        if number == KILLS - 1 and seed % 2:
            shipped.go.touch()  # the last one finds no training any more, and leaves the rest to burnish sync
        shipped.adopt()
    shipped.end()
    done = shipped.burnish("sync", shipped.paths.id, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    wanted = journal_points(shipped.paths)
    assert sum(wanted.values()) > 100
    assert tensorboard_points(shipped.paths) == float32(wanted)
    assert mlflow_points(shipped.paths, shipped.database) == without_infinities(wanted)
    assert wandb_points(shipped.paths) == wanted
