"""Whoever ships a run to three trackers is killed at random moments: each tracker then shows what the journal holds."""

import random
import subprocess
import sys
import time

import pytest
from examples.tracker_readers import (
    float32,
    journal_points,
    mlflow_points,
    tensorboard_points,
    wandb_points,
    without_infinities,
)

from .watched import Watched

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


class Shipped(Watched):
    """A project in which a script trains, and three trackers get what it logs."""

    def __init__(self, burnish, eventually):
        super().__init__(burnish, eventually)
        burnish.write("train.py", TRAIN)
        self.go = burnish.root / "go"

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
        self.kill(self.record["supervisor"]["pid"])

    def adopt(self):
        """Let the next command find the orphan, and wait for its keeper."""
        before = self.record["supervisor"]
        self.burnish("ls")
        self._eventually(lambda: self.record["supervisor"] != before, "a keeper watches")

    def end(self):
        self.end_training()
        self._eventually(lambda: self.record["state"] == "finished", "the record is complete", 90)


@pytest.fixture
def shipped(burnish, eventually):
    made = Shipped(burnish, eventually)
    yield made
    made.let_go()


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
