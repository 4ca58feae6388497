"""What a user reads when a config is wrong, word for word."""

import subprocess
import sys
from pathlib import Path

import pytest

from burnish.config import resolve, resolve_flags
from burnish.core.paths import Project
from burnish.experiment.config import RunConfig
from burnish.experiment.registry import config_of


@pytest.mark.parametrize(
    ("text", "flags", "environ", "message", "origin", "hint"),
    [
        (
            "training:\n  lerning_rate: 1\n",
            [],
            {},
            "unknown key 'training.lerning_rate'",
            "demo.yaml:2:3",
            "did you mean training.learning_rate?",
        ),
        ("trainng: {lr: 1}", [], {}, "unknown key 'trainng'", "demo.yaml:1:1", "did you mean training?"),
        (
            "\ntraining.learning_rate: 1",
            [],
            {},
            "training.learning_rate: should be less than 1, not 1",
            "demo.yaml:1:25",
            "",
        ),
        (
            "",
            ["--training.lr=1"],
            {},
            "unknown key 'training.lr'",
            "flag --training.lr",
            "did you mean --training.learning_rate?",
        ),
        (
            "",
            ["--trainng.lr", "1"],
            {},
            "unknown key 'trainng.lr'",
            "flag --trainng.lr",
            "did you mean --training.learning_rate?",
        ),
        (
            "",
            [],
            {"LLM_TRAINING__LEARNINGRATE": "1"},
            "unknown key 'training.learningrate'",
            "env LLM_TRAINING__LEARNINGRATE",
            "did you mean LLM_TRAINING__LEARNING_RATE?",
        ),
        (
            "",
            [],
            {"LLM_TRAINNG__MAX_STEPS": "1"},
            "unknown key 'trainng.max_steps'",
            "env LLM_TRAINNG__MAX_STEPS",
            "did you mean LLM_TRAINING__MAX_STEPS?",
        ),
        (
            "model: {name: llama, layrs: 3}",
            [],
            {},
            "unknown key 'model.layrs'",
            "demo.yaml:1:22",
            "did you mean model.layers?",
        ),
        (
            "judges: [exact, {name: exact, wieght: 3}]",
            [],
            {},
            "unknown key 'judges.1.wieght'",
            "demo.yaml:1:31",
            "did you mean judges.1.weight?",
        ),
        (
            "model: lama",
            [],
            {},
            "model: no models component is called 'lama'",
            "demo.yaml:1:8",
            "did you mean llama?",
        ),
        ("judges: [{weight: 3}]", [], {}, "judges.0: a component needs a 'name'", "demo.yaml:1:10", ""),
        (
            "training: {learning_rate: true}",
            [],
            {},
            "training.learning_rate: a boolean is not accepted here, not true",
            "demo.yaml:1:27",
            "",
        ),
        (
            "training: {warmup: true}",
            [],
            {},
            "training.warmup: a boolean is not accepted here, not true",
            "demo.yaml:1:20",
            "",
        ),
        (
            "training: {sizes: [1, true]}",
            [],
            {},
            "training.sizes: a boolean is not accepted here",
            "demo.yaml:1:19",
            "",
        ),
        ("weights: {a: false}", [], {}, "weights: a boolean is not accepted here", "demo.yaml:1:10", ""),
        (
            "",
            ["--training.learning_rate=fast"],
            {},
            "training.learning_rate: should be a valid number, unable to parse string as a number, not 'fast'",
            "flag --training.learning_rate",
            "",
        ),
        (
            "",
            [],
            {"LLM_TRAINING__LEARNING_RATE": "3"},
            "training.learning_rate: should be less than 1, not 3",
            "env LLM_TRAINING__LEARNING_RATE",
            "",
        ),
        (
            "training: {max_steps: 1.5}",
            [],
            {},
            "training.max_steps: should be a valid integer, got a number with a fractional part, not 1.5",
            "demo.yaml:1:23",
            "",
        ),
        (
            "training: {schedule: step}",
            [],
            {},
            "training.schedule: should be 'linear' or 'cosine', not 'step'",
            "demo.yaml:1:22",
            "",
        ),
        ("tags: a", [], {}, "tags: should be a valid list, not 'a'", "demo.yaml:1:7", ""),
        ("training:\n", [], {}, "training: should be a valid dictionary, not null", "demo.yaml:1:10", ""),
    ],
)
def test_mistake_is_told_word_for_word(problems_in, text, flags, environ, message, origin, hint):
    assert problems_in(text, flags=flags, environ=environ) == [(message, origin, hint)]


def test_mistakes_of_every_layer_are_in_one_report(problems_in, folder):
    (folder / "experiments").mkdir()
    (folder / "experiments/default.yaml").write_text("tgas: [a]\n")
    (folder / "user/burnish").mkdir(parents=True)
    (folder / "user/burnish/user.yaml").write_text("sead: 1\n")
    (folder / "base.yaml").write_text("version: ${nmae}\n")
    found = problems_in(
        "extends: base.yaml\nname: n\nmodel: lama\n",
        flags=["stray", "--x"],
        environ={"LLM_TRAINING__MAX_STEPS": "none"},
    )
    assert sorted(found) == sorted(
        [
            ("unknown key 'tgas'", "experiments/default.yaml:1:1", "did you mean tags?"),
            ("unknown key 'sead'", "user/burnish/user.yaml:1:1", "did you mean seed?"),
            ("${nmae} refers to no key", "base.yaml:1:10", "did you mean ${name}?"),
            ("model: no models component is called 'lama'", "demo.yaml:3:8", "did you mean llama?"),
            (
                "training.max_steps: should be a valid integer, unable to parse string as an integer, not 'none'",
                "env LLM_TRAINING__MAX_STEPS",
                "",
            ),
            ("unexpected argument 'stray'", "", "--KEY stray or KEY=stray"),
            ("unknown key 'x'", "flag --x", ""),
        ]
    )


def test_a_number_in_a_text_field_is_no_mistake_beside_a_real_one(problems_in):
    assert [origin for _, origin, _ in problems_in("version: 1.10\nseed: x\n")] == ["demo.yaml:2:7"]


def test_every_unknown_variable_and_flag_of_one_section_is_told(problems_in):
    found = problems_in("", flags=["--trainng.x=1"], environ={"LLM_TRAINNG__Y": "1", "LLM_TRAINNG__Z": "2"})
    assert [origin for _, origin, _ in found] == ["env LLM_TRAINNG__Y", "env LLM_TRAINNG__Z", "flag --trainng.x"]


def test_what_refers_to_a_failed_value_is_not_told_again(problems_in):
    assert problems_in("seed: ${nothing.like.it}\ntraining: {max_steps: '${seed}'}") == [
        ("${nothing.like.it} refers to no key", "demo.yaml:1:7", "")
    ]


def test_missing_file_is_told_with_the_nearest_one(folder, told, lookup):
    (folder / "demo.yaml").write_text("experiment: demo\n")
    project = Project(folder, folder, folder)
    assert told(lambda: resolve(Path("dmeo.yaml"), lookup=lookup, project=project, environ={})) == [
        ("no such file: dmeo.yaml", "", "did you mean demo.yaml?")
    ]


def test_missing_file_in_a_missing_folder_is_told_without_a_hint(folder, told, lookup):
    project = Project(folder, folder, folder)
    assert told(lambda: resolve(Path("no/e.yaml"), lookup=lookup, project=project, environ={})) == [
        ("no such file: no/e.yaml", "", "")
    ]


def test_folder_in_place_of_a_file_is_told(folder, told, lookup):
    (folder / "e.yaml").mkdir()
    project = Project(folder, folder, folder)
    (problem,) = told(lambda: resolve(Path("e.yaml"), lookup=lookup, project=project, environ={}))
    assert problem[0] == "cannot read: Is a directory: e.yaml"


@pytest.mark.parametrize(
    ("text", "message", "origin", "hint"),
    [
        ("extends: dmo.yaml", "no such file: dmo.yaml", "demo.yaml:1:10", "did you mean demo.yaml?"),
        (
            "extends: demo.yaml",
            "files extend each other in a circle: demo.yaml → demo.yaml",
            "demo.yaml:1:10",
            "",
        ),
        ("extends: {a: b}", "extends takes a file name or a list of them", "demo.yaml:1:10", ""),
        ("extends: 3", "extends takes a file name or a list of them", "demo.yaml:1:10", ""),
        ("a: [1", "not YAML: did not find expected ',' or ']'", "demo.yaml:2:11", ""),
    ],
)
def test_unreadable_file_is_the_only_thing_told(problems_in, text, message, origin, hint):
    assert problems_in(text) == [(message, origin, hint)]


def test_files_that_extend_each_other_are_drawn(problems_in, folder):
    (folder / "a.yaml").write_text("extends: b.yaml\n")
    (folder / "b.yaml").write_text("\nextends: [a.yaml]\n")
    assert problems_in("extends: a.yaml\n") == [
        ("files extend each other in a circle: a.yaml → b.yaml → a.yaml", "b.yaml:2:11", "")
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name: x\n", ("missing key 'experiment'", "e.yaml", "")),
        ("", ("missing key 'experiment'", "e.yaml", "")),
        ("[1]\n", ("a config file holds keys and values", "e.yaml:1:1", "")),
        ("experiment: dmeo\n", ("no experiments component is called 'dmeo'", "e.yaml:1:13", "did you mean demo?")),
    ],
)
def test_file_that_names_no_known_experiment_is_told(folder, told, lookup, text, problem):
    (folder / "e.yaml").write_text(text)
    project = Project(folder, folder, folder)
    assert told(lambda: resolve(Path("e.yaml"), lookup=lookup, project=project, environ={})) == [problem]


def built_in(folder, text, flags=(), environ=None):
    (folder / "e.yaml").write_text(text)
    project = Project(folder, folder, folder)
    return resolve(Path("e.yaml"), lookup=config_of, project=project, flags=flags, environ=environ or {})


SFT = "experiment: sft\nmodel: tiny-llama\ndata: {name: reasoning-gym, family: chain_sum}\n"


def test_built_in_experiment_resolves_from_a_file(folder):
    resolved = built_in(folder, SFT, ["--training.learning_rate=3e-3"])
    assert resolved.values["model"]["layers"] == 4
    assert str(resolved.origins["training.learning_rate"]) == "flag --training.learning_rate"


def test_mistakes_in_a_built_in_experiment_are_told_together(folder, told):
    text = "experiment: sft\nmodel: {name: tiny-lama}\ndata: {name: reasoning-gym, famly: chain_sum}\n"
    assert told(lambda: built_in(folder, text, ["--training.learning-rate=1e-3"])) == [
        ("model: no models component is called 'tiny-lama'", "e.yaml:2:8", "did you mean tiny-llama?"),
        ("unknown key 'data.famly'", "e.yaml:3:29", "did you mean data.family?"),
        (
            "unknown key 'training.learning-rate'",
            "flag --training.learning-rate",
            "did you mean --training.learning_rate?",
        ),
    ]


def test_missing_key_of_a_component_is_told_at_the_component(folder, told):
    assert told(lambda: built_in(folder, "experiment: sft\nmodel: tiny-llama\ndata: {name: reasoning-gym}\n")) == [
        ("missing key 'data.family'", "e.yaml:3:7", "set it in the file, or --data.family VALUE")
    ]


def test_missing_sections_of_a_built_in_experiment_are_told_with_the_file(folder, told):
    assert told(lambda: built_in(folder, "experiment: sft\n")) == [
        ("missing key 'model'", "e.yaml", "set it in the file, or --model VALUE"),
        ("missing key 'data'", "e.yaml", "set it in the file, or --data VALUE"),
    ]


def test_misspelt_flag_of_a_built_in_is_told_without_torch(folder):
    (folder / "e.yaml").write_text(SFT)
    code = """
import os, sys
from pathlib import Path
from burnish.config import resolve
from burnish.core.errors import ConfigError
from burnish.core.paths import find_project
from burnish.experiment.registry import config_of
try:
    resolve(Path("e.yaml"), lookup=config_of, project=find_project(), flags=["--training.max_step=1"], environ={})
except ConfigError as error:
    print(error.message, "|", error.hint, "|", "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout == ("unknown key 'training.max_step' | did you mean --training.max_steps? | False\n")


def test_unknown_flag_of_a_plain_command_is_told(told):
    assert told(lambda: resolve_flags(RunConfig, ["--retry.max_attemps=2"], lookup=config_of)) == [
        ("unknown key 'retry.max_attemps'", "flag --retry.max_attemps", "did you mean --retry.max_attempts?")
    ]


def test_key_of_a_component_that_another_file_replaced_is_told_how_to_drop_it(tmp_path, monkeypatch):
    from burnish.config import resolve
    from burnish.core.errors import ConfigError
    from burnish.core.paths import Project
    from burnish.experiment.registry import config_of

    monkeypatch.chdir(tmp_path)
    (tmp_path / "low.yaml").write_text(
        "experiment: sft\nmodel: {name: pretrained, path: x}\ndata: {name: reasoning-gym, family: f}\n"
    )
    (tmp_path / "high.yaml").write_text("extends: low.yaml\nmodel: {name: tiny-llama}\n")
    project = Project(tmp_path, tmp_path, tmp_path)
    with pytest.raises(ConfigError) as caught:
        resolve(tmp_path / "high.yaml", lookup=config_of, project=project, environ={})
    (problem,) = caught.value.problems
    assert str(problem) == "unknown key 'model.path' (low.yaml:2:27)"
    assert problem.hint == "it was set for 'pretrained'; to replace the whole section write 'model!:'"


def test_a_field_of_the_default_component_under_another_one_is_told_as_such(problems_in):
    assert problems_in("model: {layers: 2}", flags=["--model.name", "gpt"]) == [
        (
            "unknown key 'model.layers'",
            "demo.yaml:1:9",
            "it is a field of 'llama'; to replace the whole section write 'model!:'",
        )
    ]
