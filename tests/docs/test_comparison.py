"""What docs/concepts/comparison.md says of other libraries is what their installed versions do.

Burnish's own column is tested in tests/config, and by the page's blocks. With other versions than the page names there
is nothing to check: after an update, name the new ones on the page and read its table again where a test fails.
"""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import warnings
from dataclasses import dataclass, field
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import hydra
import jsonargparse
import pytest
from hydra.core.config_store import ConfigStore
from hydra.errors import ConfigCompositionException, OverrideParseException
from omegaconf import OmegaConf
from pydantic import BaseModel, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError, YamlConfigSettingsSource

PAGE = Path(__file__).parents[2] / "docs" / "concepts" / "comparison.md"
LIBRARIES = ("hydra-core", "jsonargparse", "omegaconf", "pydantic-settings")
INSTALLED = {name: version(name) for name in LIBRARIES}
NAMED = dict(re.findall(rf"({'|'.join(LIBRARIES)}) (\d[\d.]*\d)", PAGE.read_text()))
pytestmark = pytest.mark.skipif(
    any(INSTALLED[name] != number for name, number in NAMED.items()), reason="the page is about other versions"
)

WORDS = {"a": False, "b": True, "d": 10, "e": 1342, "f": 1000}
WORDS_YAML = "a: no\nb: on\nc: 1e-5\nd: 012\ne: 22:22\nf: 1_000\n"
GIVEN_TWICE = "training:\n  batch_size: 1\n  batch_size: 2\n"
MISSPELT = "training:\n  learning_rat: 1\n"
TWO_WRONG_TYPES = "training:\n  learning_rate: fast\n  batch_size: many\n"
RIGHT = "training:\n  learning_rate: 1e-5\n  batch_size: 16\n"
BOOLEAN = "training:\n  learning_rate: true\n"


@dataclass
class Training:
    learning_rate: float = 1e-4
    batch_size: int = 8
    tags: list[str] = field(default_factory=lambda: ["a"])


@dataclass
class Job:
    training: Training = field(default_factory=Training)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_names_a_version_of_each_library():
    assert NAMED.keys() == INSTALLED.keys()


def written(text: str, name: str = "job.yaml") -> str:
    Path(name).write_text(text)
    return name


# Hydra with OmegaConf


def hydra_config(text: str, *overrides: str) -> Any:
    Path("job.yaml").write_text(f"defaults: [schema, _self_]\n{text}")
    ConfigStore.instance().store(name="schema", node=Job)
    with hydra.initialize_config_dir(config_dir=str(Path.cwd()), version_base="1.3"):
        composed = hydra.compose("job", list(overrides))
    return OmegaConf.to_container(composed, resolve=True)


def test_hydra_reads_yaml_1_1_but_for_floats():
    Path("words.yaml").write_text(WORDS_YAML)
    assert OmegaConf.to_container(OmegaConf.load("words.yaml")) == WORDS | {"c": 1e-5}


def test_hydra_refuses_a_key_given_twice_with_both_lines():
    Path("twice.yaml").write_text(GIVEN_TWICE)
    with pytest.raises(Exception, match=r"line 2, column 3\nfound duplicate key batch_size\n.*line 3, column 3"):
        OmegaConf.load("twice.yaml")


def test_hydra_refuses_a_misspelt_key_and_names_the_config_but_no_line():
    with pytest.raises(ConfigCompositionException, match=r"In 'job'.*\nKey 'learning_rat' not in 'Training'") as caught:
        hydra_config(MISSPELT)
    assert "learning_rate" not in str(caught.value)


def test_hydra_without_a_structured_config_takes_any_key_of_a_file():
    Path("free.yaml").write_text(MISSPELT)
    with hydra.initialize_config_dir(config_dir=str(Path.cwd()), version_base="1.3"):
        assert hydra.compose("free") == {"training": {"learning_rat": 1}}


def test_hydra_tells_the_first_mistake_without_its_line():
    with pytest.raises(ConfigCompositionException, match="full_key: training.learning_rate") as caught:
        hydra_config(TWO_WRONG_TYPES)
    assert "batch_size" not in str(caught.value)
    assert "job.yaml" not in str(caught.value)


def test_hydra_refuses_a_misspelt_flag():
    with pytest.raises(ConfigCompositionException, match=r"Could not override 'training.learning_rat'"):
        hydra_config(RIGHT, "training.learning_rat=1")


def test_hydra_refuses_a_boolean_for_a_float():
    with pytest.raises(ConfigCompositionException):
        hydra_config(BOOLEAN)


def test_hydra_reads_a_variable_only_where_a_file_asks(monkeypatch):
    monkeypatch.setenv("LLM_TRAINING__BATCH_SIZE", "32")
    assert hydra_config(RIGHT)["training"]["batch_size"] == 16
    asking = "training:\n  batch_size: ${oc.env:LLM_TRAINING__BATCH_SIZE,16}\n"
    assert hydra_config(asking)["training"]["batch_size"] == 32


def test_hydra_cannot_append_to_a_list():
    with pytest.raises(OverrideParseException):
        hydra_config(RIGHT, "training.tags+=[b]")
    with pytest.raises(ConfigCompositionException, match="not in 'Training'"):
        hydra_config("training:\n  tags+: [b]\n")


def test_hydra_follows_references_and_calculates_by_resolvers_of_the_user():
    OmegaConf.register_new_resolver("twice", lambda number: 2 * number, replace=True)
    text = "training:\n  batch_size: 16\n  learning_rate: ${twice:${training.batch_size}}\n"
    assert hydra_config(text)["training"]["learning_rate"] == 32.0
    with pytest.raises(Exception, match=re.escape("Value '16 * 2' of type 'str'")):
        hydra_config("training:\n  batch_size: 16\n  learning_rate: ${training.batch_size} * 2\n")


def test_hydra_chooses_a_config_of_a_group():
    Path("model").mkdir()
    for name, layers in (("small", 2), ("large", 24)):
        written(f"layers: {layers}\n", f"model/{name}.yaml")
    written("defaults: [model: small]\n", "free.yaml")
    with hydra.initialize_config_dir(config_dir=str(Path.cwd()), version_base="1.3"):
        assert hydra.compose("free", ["model=large"]) == {"model": {"layers": 24}}


def test_hydra_builds_objects_from_config():
    built = hydra.utils.instantiate({"_target_": "fractions.Fraction", "numerator": 1, "denominator": 3})
    assert built == Fraction(1, 3)


def test_hydra_sweeps_a_grid():
    Path("job.yaml").write_text("a: 1\nb: 1\nhydra: {sweep: {dir: sweep}}\n")
    Path("job.py").write_text(
        "import hydra\n\n"
        "@hydra.main(version_base='1.3', config_path='.', config_name='job')\n"
        "def main(config):\n    print('run', config.a, config.b)\n\nmain()\n"
    )
    told = subprocess.run(
        [sys.executable, "job.py", "-m", "a=1,2", "b=3,4"], capture_output=True, text=True, check=True
    )
    assert re.findall(r"^run .*", told.stdout, re.MULTILINE) == ["run 1 3", "run 1 4", "run 2 3", "run 2 4"]


# jsonargparse


def jsonargparse_config(*words: str, files: tuple[str, ...] = (), mode: str = "yaml") -> Any:
    parser = jsonargparse.ArgumentParser(
        default_env=True, env_prefix="LLM", exit_on_error=False, default_config_files=list(files), parser_mode=mode
    )
    parser.add_argument("--config", action="config")
    parser.add_class_arguments(Job)
    return parser.parse_args(list(words)).training


def test_jsonargparse_reads_yaml_1_1_but_for_floats():
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    for name in "abcdef":
        parser.add_argument(f"--{name}", type=Any)
    found = parser.parse_args(["--config", written(WORDS_YAML)])
    assert {name: found[name] for name in "abcdef"} == WORDS | {"c": 1e-5}


def test_jsonargparse_takes_the_last_of_a_key_given_twice():
    assert jsonargparse_config("--config", written(GIVEN_TWICE)).batch_size == 2


def test_jsonargparse_refuses_a_misspelt_key_without_its_place():
    with pytest.raises(jsonargparse.ArgumentError, match="does not accept option 'learning_rat'$") as caught:
        jsonargparse_config("--config", written(MISSPELT))
    assert "job.yaml" not in str(caught.value)


def test_jsonargparse_tells_the_first_mistake_without_its_place():
    with pytest.raises(jsonargparse.ArgumentError, match="training.learning_rate") as caught:
        jsonargparse_config("--config", written(TWO_WRONG_TYPES))
    assert "batch_size" not in str(caught.value)
    assert "job.yaml" not in str(caught.value)


def test_jsonargparse_ignores_a_misspelt_variable(monkeypatch):
    monkeypatch.setenv("LLM_TRAINING__LEARNING_RAT", "1")
    assert jsonargparse_config().learning_rate == 1e-4


def test_jsonargparse_refuses_a_misspelt_flag_and_completes_a_short_one():
    with pytest.raises(jsonargparse.ArgumentError, match="unrecognized arguments: --training.learning_rtae"):
        jsonargparse_config("--training.learning_rtae", "1")
    with warnings.catch_warnings():  # deprecated, but done
        warnings.simplefilter("ignore")
        assert jsonargparse_config("--training.learning_rat", "1").learning_rate == 1.0


def test_jsonargparse_refuses_a_boolean_for_a_float():
    with pytest.raises(jsonargparse.ArgumentError, match="float"):
        jsonargparse_config("--config", written(BOOLEAN))


def test_jsonargparse_sets_a_given_file_above_variables_and_a_default_file_below(monkeypatch):
    monkeypatch.setenv("LLM_TRAINING__BATCH_SIZE", "32")
    file = written(RIGHT)
    assert jsonargparse_config("--config", file).batch_size == 16
    assert jsonargparse_config(files=(file,)).batch_size == 32


def test_jsonargparse_appends_to_lists_by_flag_and_in_files():
    assert jsonargparse_config("--training.tags+=b").tags == ["a", "b"]
    assert jsonargparse_config("--config", written("training:\n  tags+: [b]\n")).tags == ["a", "b"]


def test_jsonargparse_follows_references_in_omegaconf_mode():
    text = "training:\n  batch_size: 16\n  learning_rate: ${training.batch_size}\n"
    assert jsonargparse_config("--config", written(text), mode="omegaconf").learning_rate == 16.0
    with pytest.raises(jsonargparse.ArgumentError):
        jsonargparse_config("--config", written(text))


def test_jsonargparse_calculates_by_resolvers_of_the_user_in_omegaconf_mode():
    OmegaConf.register_new_resolver("twice", lambda number: 2 * number, replace=True)
    text = "training:\n  batch_size: 16\n  learning_rate: ${twice:${training.batch_size}}\n"
    assert jsonargparse_config("--config", written(text), mode="omegaconf").learning_rate == 32.0


def test_jsonargparse_checks_the_arguments_of_a_class_that_config_names(monkeypatch, folder):
    parts = (
        "class Optimizer: pass\n\n"
        "class Sgd(Optimizer):\n    def __init__(self, momentum: float = 0.0):\n        self.momentum = momentum\n"
    )
    (folder / "optimizer_parts.py").write_text(parts)
    monkeypatch.syspath_prepend(folder)
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--optimizer", type=importlib.import_module("optimizer_parts").Optimizer)
    right = parser.parse_args(["--optimizer=optimizer_parts.Sgd", "--optimizer.momentum=0.9"])
    assert parser.instantiate(right).optimizer.momentum == 0.9
    with pytest.raises(jsonargparse.ArgumentError, match="momentum"):
        parser.parse_args(["--optimizer=optimizer_parts.Sgd", "--optimizer.momentum=much"])


def test_jsonargparse_does_not_keep_where_values_came_from():
    found = jsonargparse_config("--config", written(RIGHT))
    assert [name for name in dir(found) if "prov" in name or "origin" in name or "source" in name] == []


# pydantic-settings


class Section(BaseModel):
    learning_rate: float = 1e-4
    batch_size: int = 8
    tags: list[str] = ["a"]


class StrictSection(Section, extra="forbid"):
    pass


def settings(text: str, *words: str, section: type[Section] = Section) -> Any:
    written(text)

    class Settings(BaseSettings):
        model_config = SettingsConfigDict(
            env_prefix="LLM_", env_nested_delimiter="__", yaml_file="job.yaml", cli_exit_on_error=False
        )
        training: section = section()  # type: ignore[valid-type]

        @classmethod
        def settings_customise_sources(cls, settings_cls, init_settings, env_settings, **others):
            return init_settings, env_settings, YamlConfigSettingsSource(settings_cls)

    return Settings(_cli_parse_args=list(words)).training


def test_pydantic_settings_reads_yaml_1_1():
    written(WORDS_YAML)

    class Words(BaseSettings, extra="allow"):
        @classmethod
        def settings_customise_sources(cls, settings_cls, **others):
            return (YamlConfigSettingsSource(settings_cls, yaml_file="job.yaml"),)

    assert Words().model_dump() == WORDS | {"c": "1e-5"}
    assert settings(RIGHT).learning_rate == 1e-5


def test_pydantic_settings_takes_the_last_of_a_key_given_twice():
    assert settings(GIVEN_TWICE).batch_size == 2


def test_pydantic_settings_ignores_a_misspelt_key_of_a_section_unless_the_section_forbids_it():
    assert settings(MISSPELT).learning_rate == 1e-4
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        settings(MISSPELT, section=StrictSection)
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        settings("trainin: {}\n")


def test_pydantic_settings_ignores_a_variable_with_a_misspelt_section(monkeypatch):
    monkeypatch.setenv("LLM_TRAININ__LEARNING_RATE", "1")
    assert settings(RIGHT, section=StrictSection).learning_rate == 1e-5


def test_pydantic_settings_ignores_a_variable_with_a_misspelt_field_unless_the_section_forbids_it(monkeypatch):
    monkeypatch.setenv("LLM_TRAINING__LEARNING_RAT", "1")
    assert settings(RIGHT).learning_rate == 1e-5
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        settings(RIGHT, section=StrictSection)


def test_pydantic_settings_refuses_a_misspelt_flag():
    with pytest.raises(SettingsError, match="unrecognized arguments"):
        settings(RIGHT, "--training.learning_rat", "1")


def test_pydantic_settings_tells_all_wrong_values_without_their_place():
    with pytest.raises(ValidationError) as caught:
        settings(TWO_WRONG_TYPES)
    assert [error["loc"] for error in caught.value.errors()] == [
        ("training", "learning_rate"),
        ("training", "batch_size"),
    ]
    assert "job.yaml" not in str(caught.value)


def test_pydantic_settings_takes_a_boolean_for_a_float():
    assert settings(BOOLEAN).learning_rate == 1.0


def test_pydantic_settings_sets_variables_above_a_file_when_its_source_stands_first(monkeypatch):
    monkeypatch.setenv("LLM_TRAINING__BATCH_SIZE", "32")
    assert settings(RIGHT).batch_size == 32
    assert settings(RIGHT, "--training.batch_size", "64").batch_size == 64


def test_pydantic_settings_replaces_lists_and_follows_no_references():
    assert settings("training:\n  tags: [f]\n", "--training.tags", "b").tags == ["b"]
    with pytest.raises(ValidationError, match=re.escape("${training.batch_size}")):
        settings("training:\n  batch_size: 16\n  learning_rate: ${training.batch_size}\n")


def test_pydantic_settings_chooses_a_model_by_its_discriminator():
    class Sgd(BaseModel):
        name: Literal["sgd"]
        momentum: float = 0.0

    class Adam(BaseModel):
        name: Literal["adam"]
        beta: float = 0.9

    class Settings(BaseSettings, yaml_file="job.yaml"):
        optimizer: Sgd | Adam = Field(discriminator="name")

        @classmethod
        def settings_customise_sources(cls, settings_cls, **others):
            return (YamlConfigSettingsSource(settings_cls),)

    written("optimizer: {name: sgd, momentum: 0.9}\n")
    assert Settings().optimizer == Sgd(name="sgd", momentum=0.9)
