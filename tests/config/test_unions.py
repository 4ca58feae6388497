"""Sections of one of several classes, told apart by their `name`."""

from typing import Literal

import pytest
from pydantic import Field

from burnish.config import Config


class Cosine(Config):
    name: Literal["cosine"] = "cosine"
    cycles: int = Field(1, ge=1)


class Linear(Config):
    name: Literal["linear"] = "linear"
    end: float = 0.0


class UnionConfig(Config):
    experiment: str
    schedule: Cosine | Linear = Cosine()
    several: list[Cosine | Linear] = Field([])


@pytest.fixture
def mistakes(resolve_file, register, folder, told):
    register("experiments", "unions", UnionConfig)

    def call(text, flags=()):
        (folder / "u.yaml").write_text(f"{text}\nexperiment: unions\n")
        return [message for message, _, _ in told(lambda: resolve_file("u.yaml", flags=flags))]

    return call


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("schedule: {name: linear, cycles: 3}", "unknown key 'schedule.cycles'"),
        (
            "schedule: {name: cosine, cycles: 0}",
            "schedule.cycles: should be greater than or equal to 1, not 0",
        ),
        ("schedule: {name: step}", "schedule.name: should be 'cosine' or 'linear', not 'step'"),
        ("several: [{name: linear}, {name: cosine, cycle: 3}]", "unknown key 'several.1.cycle'"),
    ],
)
def test_only_the_class_that_is_named_is_asked(mistakes, text, message):
    assert mistakes(text) == [message]


def test_a_flag_may_name_another_class(resolve_file, register, folder):
    register("experiments", "unions", UnionConfig)
    (folder / "u.yaml").write_text("experiment: unions\nschedule: {name: linear, end: 0.5}\n")
    assert resolve_file("u.yaml", flags=["--schedule.end=0.1"]).config.schedule == Linear(end=0.1)
