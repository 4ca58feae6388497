import ast

import pytest

from burnish.analyze.names import ALIASES, KNOWN, ConfigValue, Field, MetricValue, name_of, name_of_text, spelled
from burnish.cli.ls import _COLUMNS
from burnish.journal.facts import FIELDS


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("state", Field("state")),
        ("config.training.learning_rate", ConfigValue("training.learning_rate")),
        ("config['model.lora-rank']", ConfigValue("model.lora-rank")),
        ("config.data.sources[0]['weight']", ConfigValue("data.sources.0.weight")),
        ("summary['eval/loss']", MetricValue("eval/loss")),
        ("summary['eval/loss'].last", MetricValue("eval/loss")),
        ("summary.loss.min", MetricValue("loss", "min")),
        ("summary['loss']['min']", MetricValue("loss", "min")),
    ],
)
def test_name_is_read_however_it_is_written(text, name):
    assert name_of(ast.parse(text, mode="eval").body) == name


@pytest.mark.parametrize("text", ["1", "step + 1", "'state'", "[1, 2]", "config[0.5]", "config[step]", "f(state)"])
def test_what_is_no_name_is_left_to_others(text):
    assert name_of(ast.parse(text, mode="eval").body) is None


@pytest.mark.parametrize(
    "name", [Field("id"), ConfigValue("a.b-c.0"), MetricValue("eval/loss"), MetricValue("eval/loss.x", "best")]
)
def test_name_that_a_table_shows_is_read_again_as_the_same(name):
    assert name_of_text(str(name)) == name


def test_text_that_no_table_shows_is_no_name():
    assert name_of_text("sate") is None


@pytest.mark.parametrize(
    "name",
    [ConfigValue("a.b"), ConfigValue("a.b-c.0"), ConfigValue("a.lambda"), MetricValue("x/y"), MetricValue("x", "min")],
)
def test_name_is_read_again_from_its_spelling_in_an_expression(name):
    assert name_of(ast.parse(spelled(name), mode="eval").body) == name


def test_every_column_that_ls_shows_can_be_asked_for():
    assert {*_COLUMNS, "tags"} <= {*KNOWN, *ALIASES}
    assert set(ALIASES.values()) <= set(FIELDS) < set(KNOWN)
