import json
import os
import shutil
import signal
import sys

import pytest

from burnish.core.files import read_json
from burnish.core.paths import RunPaths

SCRIPT = """
import burnish
run = burnish.start_run()
for step in range(20):
    run.log({"loss": 1 / (step + 1)}, step)
"""
ENDLESS = """
import time
import burnish
run = burnish.start_run()
step = 0
while True:
    run.log({"loss": 1.0}, step)
    step += 1
    time.sleep(0.01)
"""
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def ended(burnish):
    """Return a function that runs a script with sinks to its end, and returns its run."""

    def run(*flags):
        burnish.write("train.py", SCRIPT)
        done = burnish("run", "--quiet", *flags, "--", sys.executable, "train.py")
        assert done.returncode == 0, done.stderr
        return RunPaths(burnish.runs / str(burnish.records()[-1]["name"]))

    return run


def events(paths):
    return list(paths.root.glob("tensorboard/*.0-*"))


def test_run_that_is_whole_is_not_shipped_again(burnish, ended):
    ended("--tracking.sinks", "tensorboard")
    done = burnish("sync")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "every run that has ended is shipped\n")


def test_what_an_absent_tracker_has_not_got_is_told_and_the_rest_is_shipped(burnish, ended):
    sinks = f"{{tensorboard: {{}}, mlflow: {{uri: '{NOWHERE}'}}}}"
    paths = ended("--tracking.linger_s", "0.5", "--tracking.sinks", sinks)
    done = burnish("sync", "--json")
    assert done.returncode == 1
    (run,) = json.loads(done.stdout)["runs"]
    assert (run["id"], run["live"]) == (paths.id, False)
    assert run["sinks"]["tensorboard"]["closed"]
    assert run["sinks"]["mlflow"]["error"].startswith("MlflowException: API request to")
    assert read_json(paths.state)["sinks"]["mlflow"]["behind_bytes"] > 0


def test_run_whose_supervisor_died_with_its_training_is_shipped_by_sync(burnish, eventually):
    burnish.write("train.py", ENDLESS)
    process = burnish.start("run", "--quiet", "--tracking.sinks", "tensorboard", "--", sys.executable, "train.py")
    eventually(lambda: list(burnish.runs.glob("*/tensorboard/*.0-*")), "the first events")
    record = burnish.records()[-1]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    eventually(lambda: "process" in record["attempts"][-1], "the training is known")
    pid = record["attempts"][-1]["process"]["pid"]
    os.kill(pid, signal.SIGKILL)
    listed = burnish("ls")
    assert "unshipped" in listed.stdout
    done = burnish("sync")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "unshipped" not in burnish("ls").stdout


def test_run_is_shipped_to_a_tracker_that_it_had_not(burnish, ended):
    paths = ended("--tracking.sinks", "[]")
    assert not events(paths)
    done = burnish("sync", paths.id, "--to", "tensorboard")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].split() == ["id", "sink", "entries", "behind", "state"]
    (shown,) = [line.split() for line in done.stdout.splitlines()[1:]]
    assert (shown[0], shown[1], shown[3], shown[4]) == (paths.id, "tensorboard", "–", f"{paths.name}/tensorboard")
    assert events(paths)
    assert read_json(paths.state)["sinks"]["tensorboard"]["closed"]


def test_from_start_ships_everything_again_and_doubles_nothing(burnish, ended):
    paths = ended("--tracking.sinks", "tensorboard")
    (file,) = events(paths)
    before = file.read_bytes()
    file.write_bytes(b"")
    assert burnish("sync", paths.id, "--from-start").returncode == 0
    assert file.read_bytes() == before
    assert burnish("sync", paths.id, "--from-start").returncode == 0
    assert file.read_bytes() == before


def test_live_run_is_left_to_whoever_looks_after_it(burnish, eventually):
    burnish.write("train.py", ENDLESS)
    process = burnish.start("run", "--quiet", "--tracking.sinks", "wandb", "--", sys.executable, "train.py")
    try:
        eventually(lambda: burnish.records() and burnish.records()[-1]["state"] == "running", "it runs")
        name = str(burnish.records()[-1]["id"])
        done = burnish("sync", name, "--to", "tensorboard")
        left = burnish("sync", name)
        assert "live: whoever looks after it ships it" in left.stdout
        assert left.returncode == 0
        assert "live: not to these sinks: sync it when it is over" in done.stdout
        assert done.returncode == 1
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--to", "tensorbord"], 2, "error: sinks: no sink 'tensorbord'\nhint: did you mean 'tensorboard'?\n"),
        ([], 2, "error: run {name} has no sinks\nhint: name one: burnish sync {id} --to mlflow\n"),
    ],
)
def test_what_cannot_be_shipped_is_told_with_what_to_type(burnish, ended, words, code, told):
    paths = ended("--tracking.sinks", "[]")
    done = burnish("sync", paths.id, *words)
    assert (done.returncode, done.stderr) == (code, told.format(name=paths.name, id=paths.id))
    error = json.loads(burnish("sync", paths.id, *words, "--json").stdout)["error"]
    assert error["message"] == told.splitlines()[0].removeprefix("error: ").format(name=paths.name)


def test_what_an_earlier_sync_to_another_tracker_left_is_tried_again(burnish, ended):
    whole, left = ended("--tracking.sinks", "[]"), ended("--tracking.sinks", "tensorboard")
    blocked = whole.root / "tensorboard"
    blocked.write_text("in the way")
    assert burnish("sync", whole.id, "--to", "tensorboard").returncode == 1
    shutil.rmtree(left.root / "tensorboard")
    record = read_json(left.state)
    record["sinks"]["tensorboard"]["closed"] = False
    left.state.write_text(json.dumps(record))
    blocked.unlink()
    done = burnish("sync")
    assert done.returncode == 0, done.stdout + done.stderr
    assert events(whole)
    assert "unshipped" not in burnish("ls").stdout
