from burnish.journal.order import Fold, folded, groups, ordered


def test_what_matters_comes_first():
    names = [
        "system/cpu",
        "phase/data",
        "grad_norm/a",
        "lr",
        "train/steps",
        "train/loss",
        "acc",
        "val_long/x",
        "eval/f1",
    ]
    assert ordered(names, {}) == [
        "eval/f1",
        "val_long/x",
        "acc",
        "train/loss",
        "train/steps",
        "grad_norm/a",
        "lr",
        "phase/data",
        "system/cpu",
    ]


def test_what_the_user_calls_best_counts_as_a_direction():
    assert ordered(["b/x", "a/y"], {"b/*": {"best": "max"}}) == ["b/x", "a/y"]


def test_many_of_a_group_are_one_and_few_are_not():
    many, few = [f"grad/{n}" for n in range(5)], [f"lr/{n}" for n in range(4)]
    assert folded([*many, *few], {}) == [Fold("grad", tuple(many)), *few]
    assert str(folded(many, {})[0]) == "grad/* (5 metrics)"


def test_evaluations_training_and_what_has_a_direction_are_never_folded():
    kept = [f"{group}/{n}" for group in ("eval", "train") for n in range(9)] + [f"rewards/{n}/loss" for n in range(9)]
    assert sorted(map(str, folded(kept, {}))) == sorted(kept)
    norms = [f"norms/{n}" for n in range(9)]
    assert folded(norms, {"norms/*": {"best": "min"}}) == norms


def test_metrics_without_a_group_are_never_folded():
    names = [f"m{n}" for n in range(9)]
    assert folded(names, {}) == names


def test_groups_tell_how_many_there_are():
    assert groups([]) == []
    assert groups(["eval/acc", "loss", "train/lr", "train/loss"]) == ["eval/* (1)", "loss", "train/* (2)"]
