import math

from hypothesis import given
from hypothesis import strategies as st

from burnish.checkpoint import Manifest, Retention

metrics = st.fixed_dictionaries({}, optional={"score": st.floats(), "other": st.floats()})
manifests_lists = st.lists(st.builds(Manifest, st.integers(0, 50), metrics), max_size=12, unique_by=lambda m: m.step)
retentions = st.builds(Retention, st.integers(0, 5), st.sampled_from(["", "score"]), st.sampled_from(["min", "max"]))


def kept(manifests, retention):
    return sorted({m.step for m in manifests} - set(retention.surplus(manifests)))


@given(manifests_lists, retentions)
def test_newest_few_are_kept_and_at_least_one(manifests, retention):
    newest = sorted(m.step for m in manifests)[-max(1, retention.keep_last) :]
    assert set(newest) <= set(kept(manifests, retention))


@given(manifests_lists, retentions)
def test_best_is_kept_and_none_is_better(manifests, retention):
    best = retention.best(manifests)
    finite = [m.metrics["score"] for m in manifests if math.isfinite(m.metrics.get("score", math.nan))]
    if not retention.metric or not finite:
        assert best is None
    else:
        assert best.step in kept(manifests, retention)
        assert best.metrics["score"] == (max(finite) if retention.direction == "max" else min(finite))


@given(manifests_lists, retentions)
def test_nothing_else_is_kept(manifests, retention):
    allowed = max(1, retention.keep_last) + (1 if retention.metric else 0)
    assert len(kept(manifests, retention)) <= allowed


@given(manifests_lists, retentions, st.randoms())
def test_order_of_the_manifests_does_not_matter_and_surplus_is_oldest_first(manifests, retention, random):
    shuffled = random.sample(manifests, len(manifests))
    assert retention.surplus(shuffled) == retention.surplus(manifests) == sorted(retention.surplus(manifests))


@given(manifests_lists, retentions)
def test_what_is_left_after_pruning_has_no_surplus(manifests, retention):
    left = [m for m in manifests if m.step in kept(manifests, retention)]
    assert retention.surplus(left) == []


@given(st.integers(0, 9), metrics, retentions)
def test_the_only_checkpoint_is_never_surplus(step, found, retention):
    assert retention.surplus([Manifest(step, found)]) == []


def test_of_equally_good_checkpoints_the_newest_is_best():
    manifests = [Manifest(step, {"score": 0.5}) for step in (1, 3, 2)]
    assert Retention(1, "score", "max").best(manifests).step == 3
    assert Retention(1, "score", "min").best(manifests).step == 3


def test_nan_and_infinite_metrics_are_never_best():
    manifests = [Manifest(1, {"s": 0.1}), Manifest(2, {"s": math.nan}), Manifest(3, {"s": math.inf}), Manifest(4)]
    assert Retention(1, "s", "max").best(manifests).step == 1
