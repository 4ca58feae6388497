import pytest

from burnish.journal.direction import best_direction


@pytest.mark.parametrize(
    "name",
    ["loss", "train/loss", "eval_loss", "evalLoss", "perplexity", "eval/nll", "wer", "token_error", "value_loss",
     "cross_entropy", "reward_loss", "accuracy/error"],
)  # fmt: skip
def test_losses_and_errors_are_better_low(name):
    assert best_direction(name, {}) == "min"


@pytest.mark.parametrize(
    "name",
    ["accuracy", "mean_token_accuracy", "reward", "rewards/exact/mean", "rewards/margins", "rewards/accuracies",
     "eval/exact_match", "f1", "pass@1", "win_rate", "rougeL", "rouge2", "bleu4", "loss/accuracy", "eval/score"],
)  # fmt: skip
def test_rewards_and_scores_are_better_high(name):
    assert best_direction(name, {}) == "max"


@pytest.mark.parametrize(
    "name",
    ["learning_rate", "lr/group0", "grad_norm", "kl", "entropy", "reward_std", "rewards/chosen", "rewards/rejected",
     "frac_reward_zero_std", "loss_scale", "logps/chosen", "num_tokens", "completions/mean_length", "step_time",
     "system/gpu0/utilization", "phase/loss", "grad/score_head", "glossary", "", "損失"],
)  # fmt: skip
def test_spreads_settings_and_unknown_names_have_no_direction(name):
    assert best_direction(name, {}) == ""


def test_what_the_user_said_wins_over_the_name():
    assert best_direction("eval/loss", {"eval/*": {"axis": "step", "best": "max"}}) == "max"
    assert best_direction("entropy", {"entropy": {"best": "max"}}) == "max"


def test_of_two_patterns_that_match_the_later_wins():
    definitions = {"eval/*": {"best": "max"}, "eval/toxicity": {"best": "min"}}
    assert best_direction("eval/toxicity", definitions) == "min"
    assert best_direction("eval/toxicity", dict(reversed(definitions.items()))) == "max"


def test_a_definition_without_a_direction_leaves_the_earlier_one_standing():
    definitions = {"eval/kl": {"best": "min"}, "eval/*": {"axis": "tokens", "best": ""}}
    assert best_direction("eval/kl", definitions) == "min"
    assert best_direction("eval/loss", definitions) == "min"


def test_a_definition_of_another_shape_says_nothing():
    assert best_direction("eval/loss", {"*": {"best": 3}}) == "min"
