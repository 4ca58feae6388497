"""`tracking.sinks` in files, variables and flags: every form is taken, and a mistake has its place."""

from pathlib import Path

import pytest

from burnish.config import resolve
from burnish.core.paths import Project
from burnish.experiment.config import ExperimentConfig
from burnish.track.shipping import read_sinks

THERE_ARE = "there are tensorboard, mlflow, wandb"


@pytest.fixture
def sinks(folder):
    """Return a function that resolves a `tracking` section, and returns the options of each sink."""

    def call(section="", flags=(), **environ):
        Path("demo.yaml").write_text(f"experiment: demo\n{section}")
        project = Project(folder, folder / ".burnish", folder / ".burnish/runs")
        resolved = resolve(
            Path("demo.yaml"), lookup=lambda *_: ExperimentConfig, project=project, flags=flags, environ=environ
        )
        return read_sinks(resolved.config.tracking.sinks)

    return call


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("", {"tensorboard": {}}),
        ("null", {"tensorboard": {}}),
        ("[]", {}),
        ("wandb", {"wandb": {}}),
        ("[mlflow, wandb]", {"mlflow": {}, "wandb": {}}),
        ("{mlflow: false, wandb: true}", {"wandb": {}}),
        ("{mlflow: {uri: x, timeout_s: 5}}", {"mlflow": {"uri": "x", "timeout_s": 5}}),
        ("{mlflow: }", {"mlflow": {}}),
        ("{wandb: {tags: [seed, name], mode: online}}", {"wandb": {"tags": ["seed", "name"], "mode": "online"}}),
    ],
)
def test_a_file_says_it_in_any_form(sinks, written, found):
    assert sinks(f"tracking:\n  sinks: {written}\n" if written else "") == found


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        (["--tracking.sinks", "wandb"], {"wandb": {}}),
        (["--tracking.sinks", "[wandb, mlflow]"], {"wandb": {}, "mlflow": {}}),
        (["--tracking.sinks", "[]"], {}),
        (["--tracking.sinks", "none"], {}),
        (["--tracking.sinks", "wandb, mlflow"], {"wandb": {}, "mlflow": {}}),
        (["--tracking.sinks.tensorboard", "false"], {}),
        (["--tracking.sinks.mlflow.uri", "http://127.0.0.1:5000"], {"mlflow": {"uri": "http://127.0.0.1:5000"}}),
        (["--tracking.sinks.wandb", "true"], {"wandb": {}}),
        (["--tracking.sinks", '{"wandb": {"mode": "online"}}'], {"wandb": {"mode": "online"}}),
    ],
)
def test_flags_say_it_in_any_form(sinks, flags, found):
    assert sinks(flags=flags) == found


def test_variables_say_it_too(sinks):
    assert sinks(LLM_TRACKING__SINKS="wandb") == {"wandb": {}}
    assert sinks(LLM_TRACKING__SINKS__MLFLOW__URI="x") == {"mlflow": {"uri": "x"}}


def test_flags_add_to_what_a_file_says_and_switch_off(sinks):
    section = "tracking:\n  sinks:\n    mlflow: {uri: x, experiment: e}\n"
    assert sinks(section, ["--tracking.sinks.mlflow.uri", "y"]) == {"mlflow": {"uri": "y", "experiment": "e"}}
    flags = ["--tracking.sinks.wandb.mode", "online", "--tracking.sinks.mlflow", "false"]
    assert sinks(section, flags) == {"wandb": {"mode": "online"}}


@pytest.mark.parametrize(
    ("section", "flags", "problems"),
    [
        (
            "tracking:\n  sinks:\n    mlflow:\n      ury: x\n",
            [],
            [("tracking.sinks.mlflow.ury: no such option", "demo.yaml:5:12", "did you mean 'uri'?")],
        ),
        (
            "tracking:\n  sinks:\n    mlfow: {}\n",
            [],
            [("tracking.sinks: no sink 'mlfow'", "demo.yaml:4:5", "did you mean 'mlflow'?")],
        ),
        (
            "tracking:\n  sinks: [tensorbord]\n",
            [],
            [("tracking.sinks: no sink 'tensorbord'", "demo.yaml:3:10", "did you mean 'tensorboard'?")],
        ),
        (
            "",
            ["--tracking.sinks.mlflow.ury=x"],
            [("tracking.sinks.mlflow.ury: no such option", "flag --tracking.sinks.mlflow.ury", "did you mean 'uri'?")],
        ),
        ("", ["--tracking.sinks", "nil"], [("tracking.sinks: no sink 'nil'", "flag --tracking.sinks", THERE_ARE)]),
        (
            "tracking:\n  sinks: {wandb: {mode: onlne}}\n",
            [],
            [("tracking.sinks.wandb.mode: should be offline or online, not 'onlne'", "demo.yaml:3:25", "")],
        ),
        (
            "tracking:\n  sinks: {mlflow: 5}\n",
            [],
            [("tracking.sinks.mlflow: should be options, true or false, not 5", "demo.yaml:3:19", "")],
        ),
        (
            "tracking:\n  sinks: {mlflow: {timeout_s: 0}}\n",
            [],
            [("tracking.sinks.mlflow.timeout_s: should be a number above 0, not 0", "demo.yaml:3:31", "")],
        ),
    ],
)
def test_a_mistake_is_told_where_it_stands(sinks, told, section, flags, problems):
    assert told(lambda: sinks(section, flags)) == problems


def test_a_credential_is_refused_where_it_stands_and_not_repeated(sinks, told):
    ((message, origin, hint),) = told(lambda: sinks("tracking:\n  sinks: {mlflow: {uri: 'http://me:hunter2@host'}}\n"))
    assert message == "tracking.sinks.mlflow.uri: credentials do not belong into a config"
    assert origin == "demo.yaml:3:25"
    assert hint.startswith("by environment: WANDB_API_KEY, ")


def test_check_prints_the_place_of_a_misspelt_option(burnish):
    file = burnish.toy(tracking={"sinks": {"mlflow": {"ury": "x"}}})
    done = burnish("config", "check", file)
    assert done.returncode == 2
    assert "error: tracking.sinks.mlflow.ury: no such option (experiments/toy.yaml:3:" in done.stdout + done.stderr
    assert "hint: did you mean 'uri'?\n" in done.stdout + done.stderr
