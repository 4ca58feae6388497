"""Bad input: one clear message with its origin and a hint, the right exit code, nothing left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest


def test_a_misspelt_flag_is_one_error_with_the_nearest_flag(burnish):
    burnish.write("experiments/sft.yaml", SFT)
    done = burnish("run", "experiments/sft.yaml", "--trainng.lr", "1")
    assert done.returncode == 2
    assert done.stderr == (
        "error: unknown key 'trainng.lr' (flag --trainng.lr)\nhint: did you mean --training.learning_rate?\n"
    )
    assert burnish.records() == []


SFT = """
experiment: sft
model: {name: tiny-llama}
data: {name: reasoning-gym, family: spell_backward}
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "experiment: sft\nmodl: {name: tiny-llama}\ndata: {name: reasoning-gym, family: x}\n",
            "error: unknown key 'modl' (bad.yaml:2:1)\nhint: did you mean model?\n",
        ),
        (
            SFT + "training: {learning_rate: true, max_steps: many}\n",
            "error: training.learning_rate: a boolean is not accepted here, not true (bad.yaml:5:27)\n"
            "error: training.max_steps: should be a valid integer, unable to parse string as an integer, "
            "not 'many' (bad.yaml:5:44)\n",
        ),
        (
            SFT.replace("tiny-llama", "tiny-lama"),
            "error: model: no models component is called 'tiny-lama' (bad.yaml:3:8)\nhint: did you mean tiny-llama?\n",
        ),
        (
            "experiment: sfft\n",
            "error: no experiments component is called 'sfft' (bad.yaml:1:13)\nhint: did you mean sft?\n",
        ),
        (
            SFT + "training: {trl: {max_lenght: 3, output_dir: x}}\n",
            "error: training.trl.max_lenght: the trainer has no such argument (bad.yaml:5:30)\n"
            "hint: did you mean training.trl.max_length?\n"
            "error: training.trl.output_dir: is set by the run directory (bad.yaml:5:45)\n",
        ),
        (SFT + "training:\n\tmax_steps: 3\n", "error: not YAML: found character that cannot start any token"),
    ],
)
def test_mistakes_in_a_file_are_told_with_line_and_column(burnish, text, message):
    burnish.write("bad.yaml", text)
    done = burnish("run", "bad.yaml")
    assert done.returncode == 2
    assert done.stderr.startswith(message)
    assert "Traceback" not in done.stderr
    assert burnish.records() == []


def test_a_missing_file_is_told_with_the_nearest_one(burnish):
    burnish.write("experiments/sft.yaml", SFT)
    done = burnish("run", "experiments/stf.yaml")
    assert done.returncode == 2
    assert done.stderr == ("error: no such file: experiments/stf.yaml\nhint: did you mean experiments/sft.yaml?\n")


def test_a_command_without_the_two_dashes_is_told_what_to_type(burnish):
    done = burnish("run", "python", "train.py")
    assert done.returncode == 2
    assert done.stderr == (
        "error: 'python' is no experiment file\nhint: to run a command: burnish run -- python train.py\n"
    )


def test_an_error_as_json_has_one_shape(burnish):
    burnish.write("bad.yaml", "experiment: sfft\n")
    done = burnish("run", "bad.yaml", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout) == {
        "error": {
            "code": "config",
            "message": "no experiments component is called 'sfft'",
            "hint": "did you mean sft?",
            "origin": "bad.yaml:1:13",
            "problems": [
                {
                    "message": "no experiments component is called 'sfft'",
                    "hint": "did you mean sft?",
                    "origin": "bad.yaml:1:13",
                }
            ],
        }
    }


def test_without_a_git_repository_the_run_goes_on_with_a_warning(burnish):
    done = burnish("run", burnish.toy(max_steps=2))
    assert done.returncode == 0
    assert "warning: no git repository here: the code of this run is not recorded (git init)" in done.stderr
    card = json.loads(next(burnish.runs.glob("*/card.json")).read_text())
    assert card["code"] is None


def test_in_a_git_repository_the_card_has_commit_branch_and_the_uncommitted_change(burnish):
    file = burnish.toy(max_steps=2)
    burnish.write(".gitignore", "__pycache__/\n")  # which Python makes unless it is told not to
    for words in (
        ["init", "-q", "-b", "exp/test"],
        ["add", "-A"],
        ["-c", "user.name=t", "-c", "user.email=t@example.invalid", "commit", "-qm", "first"],
    ):
        subprocess.run(["git", *words], cwd=burnish.root, check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=burnish.root, capture_output=True, text=True, check=True)
    with (burnish.root / "toy.py").open("a") as source:
        source.write("# changed\n")
    done = burnish("run", file)
    assert done.stderr.startswith("run ")  # no warning
    folder = next(burnish.runs.iterdir())
    code = json.loads((folder / "card.json").read_text())["code"]
    assert code["commit"] == head.stdout.strip()
    assert (code["branch"], code["dirty"], code["untracked"]) == ("exp/test", True, [])
    assert "+# changed" in (folder / "code.diff").read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user to be refused")
def test_without_write_permission_the_folder_and_the_way_out_are_named(burnish):
    locked = Path(tempfile.mkdtemp(prefix="burnish-locked-"))  # pytest's own folders are closed to other users
    locked.chmod(0o755)
    # everything is imported first: another user may not read where Python itself is installed
    code = (
        "import os, burnish.cli.main, burnish.cli.run, burnish.experiment.submit\n"
        "os.setuid(65534)\n"
        "burnish.cli.main.main(['run', '--', 'true'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd="/",
        env={**burnish.environ, "BURNISH_RUNS": str(locked / "runs")},
        capture_output=True,
        text=True,
        check=False,
    )
    locked.rmdir()
    assert done.returncode == 1
    assert f"error: cannot create folder {locked / 'runs'}: Permission denied" in done.stderr
    assert "hint: choose another folder: BURNISH_RUNS=/path/to/runs" in done.stderr


def test_a_flag_and_a_variable_set_values_and_are_named_as_origins(burnish):
    file = burnish.toy()
    burnish.environ["LLM_SEED"] = "ignored: it has no section"
    burnish.environ["LLM_RETRY__MAX_ATTEMPTS"] = "7"
    shown = burnish.json("config", "show", file, "--max_steps", "3")
    assert shown["values"]["max_steps"] == 3
    assert shown["origins"]["max_steps"] == "flag --max_steps"
    assert shown["values"]["retry"]["max_attempts"] == 7
    assert shown["origins"]["retry.max_attempts"] == "env LLM_RETRY__MAX_ATTEMPTS"


def test_an_unknown_command_is_told_with_the_nearest_one(burnish):
    done = burnish("rnu", "x.yaml")
    assert done.returncode == 2
    assert done.stderr == "error: no command 'rnu'\nhint: did you mean burnish run?\n"


def test_changes_beside_the_project_folder_are_in_the_diff(burnish):
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.invalid"]
    top = burnish.root
    (top / "lib").mkdir()
    (top / "lib/a.py").write_text("x = 1\n")
    (top / "pkg").mkdir()
    (top / "pkg/burnish.toml").touch()
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "first"]):
        subprocess.run([*git, *words], cwd=top, check=True)
    (top / "lib/a.py").write_text("x = 2\nAPI_KEY = 'plant-diff-zz3'\n")
    burnish.root = top / "pkg"
    assert burnish("run", "--", "true").returncode == 0
    diff = next(burnish.runs.glob("*/code.diff")).read_text()
    assert "+x = 2" in diff
    assert "plant-diff-zz3" not in diff


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("experiment: dpo\ntraining: {trl: {beta: 0.3}}", "training.trl.beta: is set by beta (bad.yaml:4:24)"),
        (
            "experiment: grpo\ntraining: {trl: {num_generations: 2}}",
            "training.trl.num_generations: is set by generations (bad.yaml:4:35)",
        ),
        (
            "experiment: grpo\ncheckpoints: {every: 5}\ntraining: {trl: {steps_per_generation: 2}}",
            "checkpoints.every: must be a multiple of 2 steps, in which TRL reuses its completions (bad.yaml:4:22)",
        ),
    ],
)
def test_arguments_that_would_fail_or_mislead_later_are_refused_before_training(burnish, lines, message):
    burnish.write("bad.yaml", SFT.replace("experiment: sft\n", "").lstrip() + lines + "\n")
    done = burnish("run", "bad.yaml")
    assert done.returncode == 2
    assert f"error: {message}\n" in done.stderr


def test_config_show_prints_one_section_as_json_too(burnish):
    file = burnish.toy()
    assert burnish.json("config", "show", file, "retry") == {
        "values": {"retry.max_attempts": 3, "retry.backoff_s": 1.0},
        "origins": {
            "retry.max_attempts": "default burnish/experiment/config.py:20",
            "retry.backoff_s": "default burnish/experiment/config.py:21",
        },
    }
    assert burnish.json("config", "show", file, "max_steps", "--static")["values"] == {"max_steps": 20}
