"""Which sinks a run has that a script asks for, under `burnish run` and by itself."""

import subprocess
import sys

import pytest

from burnish.core.files import read_json

SCRIPT = """
import burnish
run = burnish.start_run("script", tracking={"sinks": {"wandb": {"project": "p"}}})
run.log({"loss": 1.0}, 0)
"""


def shipped(burnish, *flags):
    burnish.write("train.py", SCRIPT)
    done = burnish("run", "--quiet", *flags, "--", sys.executable, "train.py")
    assert done.returncode == 0, done.stderr
    return burnish.records()[-1]


def test_script_under_burnish_run_gets_the_sinks_that_it_asks_for(burnish):
    record = shipped(burnish)
    assert record["ship_to"] == {"wandb": {"project": "p"}}
    assert [(name, status["closed"]) for name, status in record["sinks"].items()] == [("wandb", True)]
    assert list(burnish.runs.glob("*/wandb/offline-run-*/*.wandb"))


def test_what_the_command_says_counts_more_than_the_script(burnish):
    record = shipped(burnish, "--tracking.sinks", "[]")
    assert (record["ship_to"], record["sinks"]) == ({}, {})
    assert not list(burnish.runs.glob("*/wandb"))


def test_plain_script_gets_the_sinks_that_it_asks_for(burnish, eventually):
    burnish.write("train.py", SCRIPT)
    subprocess.run([sys.executable, "train.py"], cwd=burnish.root, env=burnish.environ, check=True, timeout=60)
    eventually(lambda: burnish.records()[-1]["state"] == "finished", "the record is complete")
    record = read_json(next(burnish.runs.glob("*/run.json")))
    assert list(record["sinks"]) == ["wandb"]
    assert record["sinks"]["wandb"]["closed"]


@pytest.mark.parametrize(
    ("sinks", "told"),
    [
        ('["wandbb"]', "sinks: no sink 'wandbb'"),
        ('{"wandb": {"modus": "online"}}', "sinks.wandb.modus: no such option"),
    ],
)
def test_mistake_in_a_script_is_told_at_the_call(burnish, sinks, told):
    burnish.write("wrong.py", f"import burnish\nburnish.start_run(tracking={{'sinks': {sinks}}})\n")
    done = subprocess.run(
        [sys.executable, "wrong.py"], cwd=burnish.root, env=burnish.environ, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert told in done.stderr
