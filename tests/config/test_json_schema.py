"""What an editor is told about experiment files: every file that may be written is valid, mistakes are not."""

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, SecretStr

from burnish.config import ComponentConfig, Config, Unit, component
from burnish.config.json_schema import config_schema
from burnish.config.layer import plain
from burnish.config.sources.yaml import parse_yaml
from burnish.core.errors import ComponentError
from burnish.experiment.registry import config_of, names

jsonschema = pytest.importorskip("jsonschema")

ROOT = Path(__file__).parents[2]


class AdamConfig(ComponentConfig):
    beta: float = Field(0.9, ge=0, lt=1)


class ForestConfig(ComponentConfig):
    """Holds others of its own category."""

    trees: list[component("optimizers")] = Field([])


class InnerConfig(Config):
    rank: int = Field(8, ge=1, le=64, multiple_of=8)


class TrainConfig(Config):
    """How to train."""

    renamed = {"lr": "learning_rate"}

    learning_rate: float = Field(1e-3, gt=0, lt=1, description="step size")
    timeout: Annotated[float, Unit("s")] = Field(1.0, description="how long to wait")
    schedule: Literal["linear", "cosine"] = "linear"
    optimizer: component("optimizers") = AdamConfig(name="adam")
    lora: InnerConfig | None = None
    old: int = Field(0, deprecated="use new")


class Schema(Config):
    experiment: str
    version: str = ""
    key: SecretStr = SecretStr("hunter22")
    tags: list[str] = Field(["a"], min_length=1, max_length=3)
    judges: list[component("optimizers")] = Field([])
    parts: dict[str, InnerConfig] = Field({})
    extra: dict[str, Any] = Field({})
    rank: Literal["auto"] | int = "auto"
    train: TrainConfig = TrainConfig()


KINDS = {
    ("experiments", "demo"): Schema,
    ("optimizers", "adam"): AdamConfig,
    ("optimizers", "forest"): ForestConfig,
}


def lookup(category, name):
    if (category, name) not in KINDS:
        raise ComponentError(f"no {category} component is called {name!r}")
    return KINDS[category, name]


def known(category):
    return [name for kind, name in KINDS if kind == category]


@pytest.fixture(scope="module")
def schema():
    made = config_schema(["demo"], lookup, known)
    jsonschema.Draft202012Validator.check_schema(made)
    return made


def mistakes(schema, text):
    values = plain(parse_yaml(text, "x.yaml"))
    found = jsonschema.Draft202012Validator(schema).iter_errors(values)
    return [(".".join(map(str, error.absolute_path)), error.message) for error in found]


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "experiment: demo",
        "experiment: my.module:Thing",
        "extends: base.yaml",
        "extends: [a.yaml, b.toml]",
        "sweep: {grid: {train.learning_rate: [1e-3, 1e-4]}, exclude: []}",
        "run: [{seed: 1}]",
        "train: {learning_rate: 1e-4}",
        "train: {learning_rate: '${env:LR}'}",
        "train: {learning_rate: '${= 1 / 3}', schedule: '${x:-cosine}'}",
        "train: ${other.train}",
        "train: ~delete",
        "train: {learning_rate: ~delete, lora: ~delete}",
        "train!: {learning_rate: 1e-4}",
        "train: {lora!: {rank: 8}}",
        "tags+: [b]",
        "tags: ['${x}', b]",
        "tags: {0: b}",
        "tags[a]: b",
        "judges: [adam, {name: adam, beta: 0.1}, {name: 'm:f', anything: 1}, 'm.n:f']",
        "judges[adam]: {beta: 0.1}",
        "judges: {'[adam]': {beta: 0.1}, 1: ~delete}",
        "judges: [{name: forest, trees: [adam, {name: forest, trees: []}]}]",
        "train.lora.rank: 16",
        "train: {optimizer: adam}",
        "train: {optimizer: {name: adam, beta: 0.5}}",
        "train: {optimizer: {beta: 0.5}}",
        "train: {optimizer: {'beta!': 0.5}}",
        "train: {optimizer: {name: '${x}', beta: 0.5}}",
        "train: {lora: null}",
        "train: {lora: {rank: 16}}",
        "train: {lr: 1e-3, old: 1}",
        "version: 1.10",
        "rank: 3",
        "rank: auto",
        "parts: {a: {rank: 8}, b: '${parts.a}'}",
        "extra: {a: [1, {b: c}], d: null}",
    ],
)
def test_what_may_be_written_is_valid(schema, text):
    assert mistakes(schema, text) == []


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("trian: {}", "", "'trian' does not match"),
        ("train: {learnin_rate: 1}", "train", "'learnin_rate' does not match"),
        ("train: {learning_rate: 1}", "train.learning_rate", "1 is greater than or equal to the maximum of 1"),
        ("train: {learning_rate: 0}", "train.learning_rate", "0 is less than or equal to the minimum of 0"),
        ("train: {learning_rate!: 2}", "train.learning_rate!", "2 is greater than or equal to the maximum of 1"),
        ("train: {learning_rate: fast}", "train.learning_rate", "'fast' is not of type 'number'"),
        ("train: {learning_rate: true}", "train.learning_rate", "True is not of type 'number'"),
        ("train: {schedule: cos}", "train.schedule", "'cos' is not one of ['linear', 'cosine']"),
        ("train: {lora: {rank: 9}}", "train.lora.rank", "9 is not a multiple of 8"),
        ("train: {lora: {rank: 72}}", "train.lora.rank", "72 is greater than the maximum of 64"),
        ("train: [1]", "train", "is not valid under any"),
        ("train: {optimizer: adm}", "train.optimizer", "is not valid under any of the given schemas"),
        ("train: {optimizer: {name: adm}}", "train.optimizer.name", "is not valid under any of the given schemas"),
        ("train: {optimizer: {name: adam, trees: []}}", "train.optimizer", "'trees' does not match"),
        ("train: {optimizer: {bta: 1}}", "train.optimizer", "'bta' does not match"),
        ("judges: [{beta: 0.1}]", "judges.0", "'name' is a required property"),
        ("judges: [{name: forest, trees: [{name: adam, beta: 2}]}]", "judges.0.trees.0.beta", "2 is greater than"),
        ("tags: []", "tags", "should be non-empty"),
        ("tags: [a, b, c, d]", "tags", "is too long"),
        ("tags: a", "tags", "'a' is not of type 'array'"),
        ("rank: first", "rank", "is not valid under any of the given schemas"),
        ("parts: {a: {rank: 0}}", "parts.a.rank", "0 is less than the minimum of 1"),
        ("extends: 1", "extends", "1 is not valid under any of the given schemas"),
        ("sweep: {gird: {}}", "sweep", "'gird' was unexpected"),
        ("[1]", "", "[1] is not of type 'object'"),
    ],
)
def test_a_mistake_is_told_at_its_place(schema, text, where, message):
    found = mistakes(schema, text)
    assert [at for at, _ in found][:1] == [where]
    assert message in found[0][1]


def test_what_a_field_says_of_itself_is_kept(schema):
    train = schema["$defs"]["TrainConfig"]
    rate, timeout, old = (train["properties"][name] for name in ("learning_rate", "timeout", "old"))
    assert train["description"] == "How to train."
    assert (rate["description"], rate["default"]) == ("step size", 1e-3)
    assert timeout["description"] == "how long to wait [s]"
    assert old["deprecated"] is True
    assert train["properties"]["lr"] == {"deprecated": True, "description": "is now learning_rate"}
    assert schema["properties"]["tags"]["default"] == ["a"]


def test_the_default_of_a_credential_is_not_told(schema):
    assert "default" not in schema["properties"]["key"]
    assert "hunter22" not in str(schema)


def test_dialect_and_title(schema):
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] == "Burnish experiment demo"


def test_an_experiment_that_is_not_there_is_an_error():
    with pytest.raises(ComponentError, match="no experiments component is called 'nope'"):
        config_schema(["nope"], lookup, known)


def stages():
    return sorted((ROOT / "experiments").glob("*.yaml"))


@pytest.mark.parametrize("file", stages(), ids=lambda file: file.stem)
def test_experiments_of_this_repository_are_valid(file):
    values = plain(parse_yaml(file.read_bytes(), file.name))
    every = config_schema(names("experiments"), config_of, names)
    own = [values["experiment"]] if "experiment" in values else names("experiments")
    for schema in (every, *(config_schema([name], config_of, names) for name in own)):
        jsonschema.Draft202012Validator.check_schema(schema)
        assert mistakes(schema, file.read_bytes()) == []


@pytest.mark.parametrize("file", stages(), ids=lambda file: file.stem)
def test_experiments_of_this_repository_with_a_mistake_are_not(file):
    wrong = file.read_bytes() + b"trainning: {max_steps: 1}\n"
    assert mistakes(config_schema(names("experiments"), config_of, names), wrong)


def test_of_several_experiments_a_file_is_checked_against_its_own():
    every = config_schema(names("experiments"), config_of, names)
    assert mistakes(every, "experiment: dpo\nbeta: 0.2") == []
    assert [at for at, _ in mistakes(every, "experiment: sft\nbeta: 0.2")] == [""]
    assert mistakes(every, "beta: 0.2") == []
    assert mistakes(every, "experiment: my.module:Own\nanything: 1") == []
