import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.core.errors import UsageError
from burnish.track.tiers import Tier, Tiers, read_tiers


def recorded(tier, values, *, steps=None, times=None):
    """Log values of one metric and return the steps that were recorded."""
    tiers = Tiers([tier])
    kept = []
    for number, value in enumerate(values):
        step = steps[number] if steps else number
        keys, _ = tiers.select(("x",), (value,), step, times[number] if times else float(number))
        kept += [step] if keys else []
    return kept


def test_metric_without_a_tier_is_recorded_always():
    tiers = Tiers([Tier(("grad/*",), every=10)])
    assert tiers.select(("loss",), (0.5,), 3, 0.0) == (("loss",), (0.5,))
    assert tiers.counts == {}


def test_every_keeps_the_first_step_at_or_after_each_multiple():
    assert recorded(Tier(("x",), every=10), [0.5] * 35) == [0, 10, 20, 30]
    assert recorded(Tier(("x",), every=10), [0.5] * 8, steps=[3, 8, 13, 18, 23, 25, 29, 41]) == [3, 13, 23, 41]


def test_every_s_keeps_one_value_in_so_much_time():
    times = [0.0, 1.0, 29.9, 30.0, 31.0, 70.0, 99.0, 100.0]
    assert recorded(Tier(("x",), every_s=30), [0.5] * 8, times=times) == [0, 3, 5, 7]


def test_clock_that_was_set_back_silences_nothing():
    assert recorded(Tier(("x",), every_s=30), [0.5] * 4, times=[1000.0, 1010.0, 5.0, 20.0]) == [0, 2]


def test_per_decade_thins_out_evenly_in_the_logarithm():
    kept = recorded(Tier(("x",), per_decade=5), [0.5] * 10_000)
    decades = [sum(10**d <= step < 10 ** (d + 1) for step in kept) for d in range(4)]
    assert decades[1:] == [5, 5, 5]
    assert kept[:3] == [0, 1, 2]


def test_on_change_keeps_what_differs_from_the_last_one_recorded():
    assert recorded(Tier(("x",), on_change=True), [0.1, 0.1, 0.2, 0.2, 0.1]) == [0, 2, 4]


@pytest.mark.parametrize("tier", [Tier(("x",), every=50), Tier(("x",), on_change=True), Tier(("x",), every_s=1e6)])
def test_value_that_is_not_finite_is_never_dropped(tier):
    values = [1.0, 1.0, math.nan, 1.0, math.inf, -math.inf, math.nan, 1.0]
    assert {2, 4, 5, 6} <= set(recorded(tier, values))


def test_training_that_goes_back_is_recorded_from_there_on():
    assert recorded(Tier(("x",), every=10), [0.5] * 7, steps=[0, 10, 20, 5, 6, 10, 15]) == [0, 10, 20, 5, 10]


def test_first_tier_that_covers_a_metric_counts():
    tiers = Tiers([Tier(("grad/total",), every=2), Tier(("grad/*", "lr"), every=3)])
    kept = [tiers.select(("grad/total", "grad/a", "lr", "loss"), (0.5,) * 4, step, 0.0)[0] for step in range(4)]
    assert kept == [
        ("grad/total", "grad/a", "lr", "loss"),
        ("loss",),
        ("grad/total", "loss"),
        ("grad/a", "lr", "loss"),
    ]
    assert tiers.counts == {"grad/total": 2, "grad/*, lr": 4}


def test_last_dropped_value_is_given_back_once_and_only_if_none_was_recorded_after_it():
    tiers = Tiers([Tier(("a",), every=10), Tier(("b",), every=4)])
    for step in range(6):
        tiers.select(("a", "b"), (step / 2, step / 4), step, 100.0 + step)
    assert tiers.withheld() == {(5, 105.0): {"a": 2.5, "b": 1.25}}
    assert tiers.withheld() == {}
    for step in range(6, 9):
        tiers.select(("a", "b"), (step / 2, step / 4), step, 100.0 + step)
    assert tiers.withheld() == {(8, 108.0): {"a": 4.0}}


def test_what_is_no_scalar_is_dropped_by_the_same_rules_and_not_given_back():
    tiers = Tiers([Tier(("hist/*",), every=3)])
    assert [tiers.wants("hist/w", step, 0.0) for step in range(5)] == [True, False, False, True, False]
    assert tiers.wants("other", 1, 0.0)
    assert tiers.withheld() == {}
    assert tiers.counts == {"hist/*": 3}


@given(st.lists(st.tuples(st.integers(0, 60), st.floats(width=16)), max_size=60), st.integers(1, 9))
def test_recorded_and_counted_make_up_all_that_was_logged(points, every):
    tiers = Tiers([Tier(("x",), every=every)])
    kept = sum(bool(tiers.select(("x",), (value,), step, 0.0)[0]) for step, value in points)
    assert kept + sum(tiers.counts.values()) == len(points)


def test_ever_new_names_do_not_fill_the_memory():
    tiers = Tiers([Tier(("grad/*",), every=2)])
    for step in range(10_000):
        tiers.select((f"loss/{step}",), (0.5,), step, 0.0)
    assert len(tiers._plans) <= 4096
    assert tiers._metrics == {}


@pytest.mark.parametrize(
    "content",
    [
        None,
        "grad/*",
        {"every": 3},
        {"metrics": "a"},
        {"metrics": "a", "every": 0},
        {"metrics": "a", "every": "3"},
        {"metrics": [1], "every": 3},
        {"metrics": "a", "every": 3, "on_change": True},
    ],
    ids=repr,
)
def test_what_is_no_tier_is_refused_with_what_to_write(content):
    with pytest.raises(UsageError) as caught:
        Tier.read(content)
    assert caught.value.message == f"{content!r} is no tier"
    assert caught.value.hint == 'such as {"metrics": "grad/*", "every": 10}, or every_s, per_decade, on_change'


def test_section_without_tiers_records_everything():
    assert not read_tiers({})
    assert not read_tiers({"tiers": "all"})
    assert read_tiers({"tiers": [{"metrics": ["a", "b"], "every_s": 2.5, "every": None, "on_change": False}]})
