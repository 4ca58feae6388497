from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.fixture
def ran(burnish):
    done = burnish("run", burnish.toy(max_steps=4, keep_state=True))
    assert done.returncode == 0, done.stderr
    return burnish


def test_ls_lists_runs_newest_first_with_the_number_of_attempts(ran):
    assert ran("run", "experiments/toy.yaml", "--name", "second").returncode == 0
    runs = ran.json("ls")["runs"]
    assert [run["experiment"] for run in runs] == ["second", "toy"]
    assert [run["attempts"] for run in runs] == [1, 1]
    assert {"id", "name", "state", "attempts"} <= set(runs[0])
    assert runs[0]["state"] == "finished"


def test_ls_for_people_is_a_table(ran):
    done = ran("ls")
    head, row = done.stdout.splitlines()
    assert head.split() == ["id", "experiment", "state", "tries", "step", "loss", "best", "took", "when"]
    assert row.split()[1:5] == ["toy", "finished", "1", "3/4"]
    assert done.stderr == ""


def test_ls_of_an_empty_project_says_how_to_begin(burnish):
    done = burnish("ls")
    assert done.returncode == 0
    assert "start one: burnish run" in done.stderr
    assert burnish.json("ls") == {"runs": []}


def test_ls_filters_by_state_and_number(ran):
    assert ran.json("ls", "--state", "failed") == {"runs": []}
    assert len(ran.json("ls", "-n", "1")["runs"]) == 1


def test_show_tells_one_run_with_its_checkpoints(ran):
    run_id = ran.json("ls")["runs"][0]["id"]
    shown = ran.json("show", run_id)
    assert shown["run"]["id"] == run_id
    assert shown["card"]["format"] == 1
    assert [checkpoint["step"] for checkpoint in shown["checkpoints"]] == [3]
    text = ran("show", run_id).stdout
    assert "train/loss" in text
    assert "attempt 1" in text
    assert ran("show", run_id, "--card").stdout.startswith(f"# {shown['run']['name']}")


def test_a_run_that_does_not_exist_is_exit_1_with_a_hint(ran):
    done = ran("show", "nope")
    assert done.returncode == 1
    assert done.stderr == f"error: no run 'nope' in {ran.runs}\nhint: list the runs: burnish ls\n"


@pytest.mark.parametrize(
    "script", ["print()", "import burnish; burnish.start_run(config={'lr': 1}).log({'a': 1.0}, 0)"]
)
def test_a_run_of_a_command_cannot_be_run_again_from_its_config(burnish, script):
    burnish.write("st.py", script)
    assert burnish("run", "--", sys.executable, "st.py", "--lr", "1 2").returncode == 0
    run = burnish.records()[0]["id"]
    done = burnish("run", "--from", run)
    assert (done.returncode, done.stderr) == (
        1,
        f"error: run {run} ran a command, not an experiment file\n"
        f"hint: run it again: burnish run -- {sys.executable} st.py --lr '1 2'\n",
    )


def test_logs_prints_the_console(burnish):
    burnish("run", "--", sys.executable, "-c", "print('one'); print('two')")
    run_id = burnish.json("ls")["runs"][0]["id"]
    assert burnish("logs", run_id).stdout == "one\ntwo\n"


def test_logs_of_the_journal_are_one_json_object_a_frame(ran):
    run_id = ran.json("ls")["runs"][0]["id"]
    frames = [json.loads(line) for line in ran("logs", run_id, "--journal").stdout.splitlines()]
    assert all("step" in frame for frame in frames)
    losses = [
        frame["values"]["train/loss"] for frame in frames if frame["kind"] == "row" and "train/loss" in frame["values"]
    ]
    assert losses == [1.0, 1 / 2, 1 / 3, 1 / 4]
    told = [f["key"] for f in frames if f["kind"] == "lifecycle" and f["journal"].startswith("0-")]
    assert (told[0], told[-1]) == ("open", "end")
    assert {"card", "total"} <= set(told)


def test_config_show_names_winner_and_losers(burnish):
    burnish.write("experiments/default.yaml", "max_steps: 5\n")
    burnish.write("experiments/base.yaml", "max_steps: 10\n")
    file = burnish.toy(extends="base.yaml")
    lines = burnish("config", "show", file, "max_steps", "--origins", "--max_steps", "30").stdout.splitlines()
    told = [line.split("(")[1].rstrip(")") for line in lines]
    assert told == [
        "flag --max_steps",
        "experiments/toy.yaml:2:12",
        "experiments/base.yaml:1:12",
        "experiments/default.yaml:1:12",
        told[4],
    ]
    assert told[4].startswith("default burnish/experiment/base.py:")
    assert [line.split()[-2 if "beat" not in line else 1] for line in lines][1:] == ["20", "10", "5", "100"]


def test_config_show_static_needs_no_schema(burnish):
    burnish.write("any.yaml", "a:\n  b: [1, {c: '${x.y}'}]\n")
    assert burnish.json("config", "show", "any.yaml", "--static") == {
        "values": {"a": {"b": [1, {"c": "${x.y}"}]}},
        "origins": {"a.b.0": "any.yaml:2:7", "a.b.1.c": "any.yaml:2:14"},
    }


def test_doctor_finds_nothing_to_mend_in_a_good_project(ran):
    checks = ran.json("doctor")["checks"]
    assert {check["name"] for check in checks} >= {"python", "git", "runs", "gpu", "records"}
    assert not [check for check in checks if check["level"] == "problem"]
    assert ran("doctor").returncode == 0


def test_doctor_says_what_to_type_when_something_is_wrong(burnish):
    burnish.environ["BURNISH_RUNS"] = "/proc/burnish"
    done = burnish("doctor")
    assert done.returncode == 1
    assert "problem" in done.stdout
    assert "BURNISH_RUNS=/path/to/runs" in done.stdout


def test_short_script_has_ended_when_the_next_command_looks(burnish):
    script = "import burnish; r = burnish.start_run('quick'); r.log({'loss': 0.5}, 3)"
    done = subprocess.run([sys.executable, "-c", script], cwd=burnish.root, env=burnish.environ, check=True)
    assert done.returncode == 0
    listed = burnish("ls", "--json")
    (run,) = json.loads(listed.stdout)["runs"]
    assert (run["state"], run["summary"]["loss"]["last"]) == ("finished", 0.5)
    assert listed.stderr == ""  # its keeper closed the record: nobody had to adopt it
