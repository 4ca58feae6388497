"""All mistakes of a config in one report, word for word: from Python and from the command line."""

from pathlib import Path

import pytest

from burnish.config import resolve
from burnish.core.paths import Project
from burnish.experiment.registry import config_of

FILES = {
    "experiments/default.yaml": "trackng:\n  sinks: []\n",
    "experiments/base.toml": (
        'experiment = "sft"\nname = "${data.famly}"\n\n[training]\nmax_grad_norm = true\noptimizer = "sgd"\n'
    ),
    "experiments/sft.yaml": (
        "extends: base.toml\n"
        "model: tiny-lama\n"
        "data:\n"
        "  name: reasoning-gym\n"
        "  family: chain_sum\n"
        "training:\n"
        "  max_steps: many\n"
    ),
}
VARIABLES = {"LLM_TRAINNG__LOG_EVERY": "5", "LLM_TRAINING__WARMUP_STEPS": "-1"}
FLAGS = ["--training.learning_rate=0.5", "--evaluation.evry", "10"]

NINE = [
    ("${data.famly} refers to no key", "experiments/base.toml:2:8", "did you mean ${data.family}?"),
    ("training.max_grad_norm: a boolean is not accepted here, not true", "experiments/base.toml:5:17", ""),
    (
        "model: no models component is called 'tiny-lama'",
        "experiments/sft.yaml:2:8",
        "did you mean tiny-llama?",
    ),
    (
        "training.max_steps: should be a valid integer, unable to parse string as an integer, not 'many'",
        "experiments/sft.yaml:7:14",
        "",
    ),
    (
        "training.warmup_steps: should be greater than or equal to 0, not -1",
        "env LLM_TRAINING__WARMUP_STEPS",
        "",
    ),
    ("unknown key 'evaluation.evry'", "flag --evaluation.evry", "did you mean --evaluation.every?"),
    ("unknown key 'trackng'", "experiments/default.yaml:1:1", "did you mean tracking?"),
    ("unknown key 'trainng.log_every'", "env LLM_TRAINNG__LOG_EVERY", "did you mean LLM_TRAINING__LOG_EVERY?"),
    (
        "training.learning_rate: 0.5 is above 0.1 with sgd, which diverges",
        "flag --training.learning_rate",
        "lower it, or take another optimizer: training.optimizer.name",
    ),
]


@pytest.fixture
def written(folder):
    (folder / "experiments").mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return Project(folder, folder, folder)


def as_printed(problems):
    lines = []
    for message, origin, hint in problems:
        lines += [f"error: {message} ({origin})"]
        lines += [f"hint: {hint}"] if hint else []
    return "".join(f"{line}\n" for line in lines)


def test_nine_mistakes_in_three_files_two_variables_and_two_flags_are_nine_errors_in_one_report(written, told):
    found = told(
        lambda: resolve(Path("experiments/sft.yaml"), lookup=config_of, project=written, flags=FLAGS, environ=VARIABLES)
    )
    assert found == NINE


@pytest.mark.parametrize("command", [["run"], ["run", "--dry-run"], ["config", "show"]])
def test_commands_print_the_same_nine_errors_and_exit_with_2(burnish, command):
    for name, text in FILES.items():
        burnish.write(name, text)
    burnish.environ |= VARIABLES
    done = burnish(*command, "experiments/sft.yaml", *FLAGS)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", as_printed(NINE))
    assert burnish.records() == []


def test_check_prints_the_same_nine_errors_and_exits_with_2(burnish):
    for name, text in FILES.items():
        burnish.write(name, text)
    burnish.environ |= VARIABLES
    done = burnish("config", "check", "experiments/sft.yaml", *FLAGS)
    assert done.returncode == 2
    assert as_printed(NINE) in done.stdout + done.stderr


def test_json_holds_the_same_nine_errors(burnish):
    for name, text in FILES.items():
        burnish.write(name, text)
    burnish.environ |= VARIABLES
    error = burnish.json("run", "experiments/sft.yaml", *FLAGS)["error"]
    assert [(p["message"], p["origin"], p["hint"]) for p in error["problems"]] == NINE
    assert (error["code"], error["message"], error["origin"]) == ("config", NINE[0][0], NINE[0][1])


def test_each_mistake_is_gone_once_it_is_mended(written, told):
    """What is told is all there is: nothing comes up only after the first round of mending."""
    mended = {
        "experiments/default.yaml": "tracking:\n  sinks: []\n",
        "experiments/base.toml": FILES["experiments/base.toml"].replace("famly", "family").replace("true", "1.0"),
        "experiments/sft.yaml": FILES["experiments/sft.yaml"].replace("tiny-lama", "tiny-llama").replace("many", "5"),
    }
    for name, text in mended.items():
        Path(name).write_text(text)
    resolved = resolve(
        Path("experiments/sft.yaml"),
        lookup=config_of,
        project=written,
        flags=["--training.learning_rate=0.05", "--evaluation.every", "10"],
        environ={"LLM_TRAINING__LOG_EVERY": "5", "LLM_TRAINING__WARMUP_STEPS": "1"},
    )
    assert (resolved.values["name"], resolved.values["training"]["learning_rate"]) == ("chain_sum", 0.05)
