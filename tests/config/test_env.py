import functools

import pytest

from burnish.config.layer import empty, find, plain
from burnish.config.merge import merge
from burnish.config.origin import Origin
from burnish.config.sources.env import env_layers, env_name


def env(environ, **words):
    return functools.reduce(merge, (layer.tree for layer in env_layers(environ, **words)), empty(Origin("env", "")))


def test_two_underscores_part_section_from_field():
    tree = env({"LLM_TRAINING__LEARNING_RATE": "1e-4", "LLM_MODEL__LORA__RANK": "8"})
    assert plain(tree) == {"training": {"learning_rate": 1e-4}, "model": {"lora": {"rank": 8}}}


@pytest.mark.parametrize("name", ["LLM_RUN_ID", "LLM_DEBUG_MODE", "llm_a__b", "XLLM_A__B", "PATH", "LLM_"])
def test_other_variables_set_no_value(name):
    assert plain(env({name: "1"})) == {}


def test_a_value_comes_from_its_variable():
    assert str(find(env({"LLM_A__B": "[1]"}), "a.b.0").origin) == "env LLM_A__B"


@pytest.mark.parametrize(
    ("text", "value"), [("", ""), ("no", "no"), ("3", 3), ("a: b", "a: b"), ("{x: 1}", {"x": 1}), ("a #b", "a #b")]
)
def test_text_reads_like_that_of_a_flag(text, value):
    assert plain(env({"LLM_A__B": text})) == {"a": {"b": value}}


def test_every_bad_variable_is_told(told):
    environ = {"LLM_A__B": "[1", "LLM_A__C": "2", "LLM_A__D": "{x: 1"}
    assert [origin for _, origin, _ in told(lambda: env_layers(environ))] == ["env LLM_A__B", "env LLM_A__D"]


def test_prefix_can_be_another():
    assert plain(env({"MY_A__B": "1", "LLM_A__B": "2"}, prefix="MY_")) == {"a": {"b": 1}}


def test_name_of_a_variable_sets_the_path_it_was_made_from():
    assert plain(env({env_name("training.max_steps"): "3"})) == {"training": {"max_steps": 3}}
