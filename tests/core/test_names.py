import re
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.core.ids import ALPHABET, TOKEN_LENGTH, run_name, run_token
from burnish.core.nearest import nearest, nearest_path

PATHS = ["training", "training.learning_rate", "training.max_steps", "model", "model.name", "seed"]


def test_token_comes_from_the_given_randomness_and_alphabet():
    token = run_token(Random(1))
    assert token == run_token(Random(1))
    assert len(token) == TOKEN_LENGTH
    assert set(token) <= set(ALPHABET)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=80), max_size=5))
def test_run_name_is_fit_for_a_file_and_ends_in_its_token(parts):
    name = run_name("20261121", parts, "k7f2")
    assert re.fullmatch(r"20261121(_[a-z0-9.-]+)*_k7f2", name)
    assert len(name) <= 120


def test_long_run_name_keeps_its_token_whole():
    assert run_name("20261121", ["x" * 500], "k7f2").endswith("x_k7f2")


@pytest.mark.parametrize(
    ("word", "best"),
    [
        ("lr", "learning_rate"),
        ("learning-rate", "learning_rate"),
        ("Learning_Rate", "learning_rate"),
        ("max_step", "max_steps"),
        ("steps", "max_steps"),
        ("zzz", None),
        ("", None),
    ],
)
def test_nearest_name_is_the_one_that_was_meant(word, best):
    assert nearest(word, ["learning_rate", "max_steps", "seed"]) == best


def test_nothing_is_near_where_there_is_no_choice():
    assert nearest("a", []) is None


@pytest.mark.parametrize(
    ("path", "best"),
    [
        ("trainng.lr", "training.learning_rate"),
        ("trainng", "training"),
        ("learning_rate", "training.learning_rate"),
        ("model.nam", "model.name"),
        ("sede", "seed"),
        ("qqq.zzz", None),
    ],
)
def test_nearest_path_is_mended_a_segment_at_a_time(path, best):
    assert nearest_path(path, PATHS) == best
