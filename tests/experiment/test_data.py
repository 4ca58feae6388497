from __future__ import annotations

import pytest

pytest.importorskip("reasoning_gym", reason="needs the extra 'trl'")

from burnish.core.errors import ComponentError
from burnish.experiment.components.configs import ReasoningGymConfig
from burnish.experiment.components.data import Example, checked, load_reasoning_gym


def config(**values):
    given = {"name": "reasoning-gym", "family": "spell_backward", "train_size": 300, "heldout_size": 100, **values}
    return ReasoningGymConfig(**given)


def test_training_and_held_out_items_are_all_different():
    data = load_reasoning_gym(config(options={"min_word_len": 3, "max_word_len": 3}))
    keys = [example.key for example in (*data.train, *data.heldout)]
    assert (len(data.train), len(data.heldout)) == (300, 100)
    assert len(set(keys)) == 400
    assert data.facts["contamination"] == 0.0


def test_the_same_config_gives_the_same_data_and_another_seed_other_data():
    first, again, other = (load_reasoning_gym(config(seed=seed)) for seed in (0, 0, 1))
    assert first.facts["train_sha256"] == again.facts["train_sha256"] != other.facts["train_sha256"]
    assert first.facts["heldout_sha256"] == other.facts["heldout_sha256"]


def test_the_prompt_template_takes_question_and_metadata():
    data = load_reasoning_gym(config(prompt="{word}>", lowercase=True, train_size=5))
    for example in data.train:
        assert example.prompt == example.answer[::-1] + ">"


def test_a_held_out_set_that_overlaps_training_is_refused():
    shared = Example("abc>", "cba")
    with pytest.raises(ComponentError) as caught:
        checked([shared, Example("abd>", "dba")], [shared])
    assert str(caught.value) == "1 of 1 held-out items are in the training set, such as 'abc>'"


def test_a_held_out_range_that_is_the_training_range_is_refused():
    with pytest.raises(ComponentError, match=r"held-out items come from the training range"):
        load_reasoning_gym(config(seed=3, heldout_seed=3))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"family": "spell_backwards"}, "reasoning-gym's spell_backwards: "),
        ({"options": {"min_word_length": 3}}, "reasoning-gym's spell_backward: "),
        ({"prompt": "{wrod}"}, "data.prompt '{wrod}' does not fit the items of spell_backward"),
        ({"family": "propositional_logic"}, "reasoning-gym's propositional_logic has no answers to train on"),
        (
            {"options": {"min_word_len": 3, "max_word_len": 3}, "train_size": 90_000},
            "different items of the 90000 wanted",
        ),
    ],
)
def test_what_cannot_be_made_is_refused_with_the_reason(values, message):
    with pytest.raises(ComponentError) as caught:
        load_reasoning_gym(config(**values))
    assert message in str(caught.value)
