from __future__ import annotations

import json
import os
import signal

import pyarrow.parquet as pq
import pytest


def only(burnish):
    (record,) = burnish.records()
    return record


def test_an_experiment_of_a_few_lines_runs_to_its_end(burnish):
    done = burnish("run", burnish.toy(), "--evaluate_every", "10")
    assert done.returncode == 0, done.stderr
    record = only(burnish)
    assert record["state"] == "finished"
    assert record["summary"]["train/loss"]["count"] == 20
    assert record["summary"]["eval/score"]["last"] == 20
    assert record["experiment"] == "toy"


@pytest.mark.parametrize(
    ("fail_in", "fail_at", "code", "reason"),
    [
        ("setup", -1, 1, "setup: ValueError: the data root is a lie"),
        ("train", 7, 1, "train: RuntimeError: shapes differ"),
        ("exit", 7, 1, "the process exited with code 0 before training was finished"),
        ("sys.exit", 7, 3, "sys.exit(3) before training was finished"),
    ],
)
def test_a_training_that_fails_is_told_with_its_stage_and_leaves_a_consistent_record(
    burnish, fail_in, fail_at, code, reason
):
    done = burnish("run", burnish.toy(fail_in=fail_in, fail_at=fail_at))
    assert done.returncode == code
    record = only(burnish)
    assert record["state"] == "failed"
    assert record["reason"] == reason
    assert f"failed: {reason}" in done.stderr
    assert len(record["attempts"]) == 1  # its own error: another try would end the same way
    folder = next(burnish.runs.iterdir())
    points = pq.read_table(folder / "metrics.parquet")
    assert points.num_rows == (0 if fail_at < 0 else 14)
    assert json.loads((folder / "card.json").read_text())["format"] == 1


def test_an_error_of_the_users_code_shows_its_traceback(burnish):
    done = burnish("run", burnish.toy(fail_in="train", fail_at=3))
    assert 'raise RuntimeError("shapes differ")' in done.stderr
    assert "burnish logs" in done.stderr


def test_ctrl_c_stops_after_the_step_saves_and_a_resume_goes_on(burnish, eventually):
    file = burnish.toy(step_s=0.02, keep_state=True, max_steps=200, save_every=1000)
    running = burnish.start("run", file)
    eventually(lambda: journal_size(burnish) > 3000, "some steps are logged")
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=30)
    assert running.returncode == 75
    record = only(burnish)
    assert record["state"] == "stopped"
    stopped_at = record["step"]
    assert 0 < stopped_at < 199
    assert f"burnish run --resume {record['id']}" in errors
    resumed = burnish("run", "--resume", str(record["id"]))
    assert resumed.returncode == 0, resumed.stderr
    record = only(burnish)
    assert record["state"] == "finished"
    assert [attempt["reason"] for attempt in record["attempts"]] == ["stopped on request after saving", "finished"]
    table = pq.read_table(next(burnish.runs.iterdir()) / "metrics.parquet").to_pylist()
    seen = [row for row in table if row["key"] == "train/seen"]
    assert [row["step"] for row in seen] == list(range(200))
    assert [row["value"] for row in seen] == [step + 1 for step in range(200)]  # no step twice, none left out


def journal_size(burnish):
    return sum(path.stat().st_size for path in burnish.runs.glob("*/journal/*"))


def test_a_killed_experiment_resumes_by_itself_and_each_step_is_there_once(burnish, eventually):
    file = burnish.toy(step_s=0.02, keep_state=True, max_steps=100, save_every=10)
    running = burnish.start("run", file, "--retry.backoff_s", "0")
    eventually(lambda: journal_size(burnish) > 4000, "some steps are logged")
    os.killpg(only(burnish)["attempts"][0]["process"]["pid"], signal.SIGKILL)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 0, errors
    record = only(burnish)
    assert [attempt["reason"] for attempt in record["attempts"]] == ["killed by SIGKILL", "finished"]
    table = pq.read_table(next(burnish.runs.iterdir()) / "metrics.parquet").to_pylist()
    seen = [row for row in table if row["key"] == "train/seen"]
    assert [row["step"] for row in seen] == list(range(100))
    assert [row["value"] for row in seen] == [step + 1 for step in range(100)]


def test_a_finished_run_cannot_be_resumed(burnish):
    burnish("run", burnish.toy(max_steps=2))
    run_id = str(only(burnish)["id"])
    done = burnish("run", "--resume", run_id)
    assert done.returncode == 1
    assert f"is finished: there is nothing to resume\nhint: burnish show {only(burnish)['name']}" in done.stderr


def test_debug_runs_one_step_in_the_foreground_with_its_terminal(burnish):
    file = burnish.toy()
    text = (burnish.root / "toy.py").read_text()
    burnish.write(
        "toy.py", text.replace("self.counter.seen.append(batch)", "breakpoint(); self.counter.seen.append(batch)")
    )
    import subprocess

    done = subprocess.run(
        burnish.argv("run", "--debug", file),
        cwd=burnish.root,
        env=burnish.environ,
        input="p batch + 41\nc\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "(Pdb) 41" in done.stdout
    record = only(burnish)
    assert record["state"] == "finished"
    assert record["summary"]["train/loss"]["count"] == 1


def test_debug_step_is_visible_in_the_origins(burnish):
    burnish("run", "--debug", burnish.toy())
    origins = json.loads(next(burnish.runs.glob("*/origins.json")).read_text())["origins"]
    assert origins["max_steps"] == "flag --debug"
    assert origins["evaluate_every"].startswith("default burnish/experiment/base.py:")


def test_a_base_experiment_says_which_hook_it_lacks(burnish):
    burnish.write(
        "bare.py",
        "from burnish import Experiment\n\nclass Bare(Experiment[int]):\n    def build_model(self):\n        pass\n",
    )
    burnish.write("bare.yaml", "experiment: bare:Bare\n")
    done = burnish("run", "bare.yaml")
    assert done.returncode == 1
    assert "Bare has no method 'batch', and no 'train' of its own" in done.stderr


SECRETIVE = """
from burnish.experiment import Experiment, LoopConfig

class SecretiveConfig(LoopConfig):
    api_key: str = ""
    greeting: str = ""
    eos_token: str = ""

class Secretive(Experiment[int]):
    Config = SecretiveConfig

    def build_model(self):
        config = self.config
        assert config.api_key == "planted-key-77", "the child got the mask"
        assert config.greeting == "pre_environ-secret-88_post"
        assert config.eos_token == "<eos>"

    def train(self):
        pass
"""


def test_credentials_reach_the_training_process_and_no_byte_on_disk(burnish):
    burnish.write("secretive.py", SECRETIVE)
    burnish.write("s.yaml", "experiment: secretive:Secretive\ngreeting: pre_${env:MY_TOKEN}_post\neos_token: <eos>\n")
    burnish.environ["MY_TOKEN"] = "environ-secret-88"
    done = burnish("run", "s.yaml", "--api_key", "planted-key-77")
    assert done.returncode == 0, done.stderr
    written = b"".join(path.read_bytes() for path in burnish.runs.rglob("*") if path.is_file())
    for secret in ("planted-key-77", "environ-secret-88"):
        assert secret.encode() not in written
        assert secret not in done.stdout + done.stderr
    assert b"<eos>" in written


def test_a_resume_that_lacks_its_credentials_is_refused_rather_than_trained_on_the_mask(burnish):
    burnish.write("secretive.py", SECRETIVE.replace('"planted-key-77"', '"another"'))
    burnish.write("s.yaml", "experiment: secretive:Secretive\n")
    assert burnish("run", "s.yaml", "--api_key", "planted-key-77").returncode == 1
    done = burnish("run", "--resume", str(only(burnish)["id"]))
    assert done.returncode == 1
    assert "api_key was a credential, which is not kept on disk" in done.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "class Shut(Experiment[int]):\n    build_model = None\n"
            "    def __init__(self, config, run):\n        raise OSError('shut')",
            "OSError: shut",
        ),
        ("import sys\nsys.exit(4)", "SystemExit: 4"),
        ("x = undefined", "NameError: name 'undefined' is not defined, at mine.py:2"),
    ],
)
@pytest.mark.parametrize("flags", [[], ["--debug"]])
def test_a_broken_module_of_the_user_is_the_users_error_and_leaves_no_run_open(burnish, text, told, flags):
    burnish.write("mine.py", f"from burnish.experiment import Experiment\n{text}\n")
    burnish.write("mine.yaml", "experiment: mine:Shut\n")
    done = burnish("run", *flags, "mine.yaml")
    assert done.returncode in (1, 2)
    assert told in done.stderr
    assert "bug in Burnish" not in done.stderr
    assert all(record["state"] == "failed" for record in burnish.records())


def test_a_debug_run_is_not_what_other_runs_start_from(burnish):
    file = burnish.toy(keep_state=True, max_steps=3)
    assert burnish("run", file).returncode == 0
    real = str(only(burnish)["name"])
    assert burnish("run", "--debug", file).returncode == 0
    burnish.write("next.yaml", "experiment: toy:Toy\nfail_in: ${run:toy@last}\n")
    assert real in burnish.json("config", "show", "next.yaml", "fail_in")["values"]["fail_in"]
    assert "toy (debug)" in burnish("ls").stdout


def test_debug_of_an_experiment_without_a_number_of_steps_works(burnish):
    burnish.write(
        "free.py",
        "from burnish.experiment import Experiment, ExperimentConfig\n\nclass Free(Experiment[int]):\n"
        "    Config = ExperimentConfig\n    def build_model(self):\n        pass\n    def train(self):\n        pass\n",
    )
    burnish.write("free.yaml", "experiment: free:Free\n")
    assert burnish("run", "--debug", "free.yaml").returncode == 0
    assert burnish("run", "--debug", "--", "no-such-program").returncode == 2


def test_a_reference_to_an_experiment_that_has_not_finished_says_to_run_it_first(burnish):
    burnish("run", burnish.toy(fail_in="train", fail_at=1))
    burnish.write("next.yaml", "experiment: toy:Toy\nfail_in: ${run:toy@last}\n")
    done = burnish("run", "next.yaml")
    assert done.returncode == 2
    assert done.stderr == (
        f"error: no run and no finished experiment is called 'toy' in {burnish.runs} (next.yaml:2:10)\n"
        "hint: run it first: burnish run experiments/toy.yaml\n"
    )


def test_three_stars_that_somebody_wrote_are_no_credential(burnish):
    file = burnish.toy(fail_in="train", fail_at=1, name="a *** b")
    assert burnish("run", file).returncode == 1
    assert only(burnish)["reason"] == "train: RuntimeError: shapes differ"
    resumed = burnish("run", "--resume", str(only(burnish)["id"]))
    assert "RuntimeError: shapes differ" in resumed.stderr
    assert len(only(burnish)["attempts"]) == 2
