import math
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.journal.pyramid import FACTOR, GrowingPyramid, Pyramid

values_lists = st.lists(st.floats(), min_size=1, max_size=700)
widths = st.integers(1, 40)


def arrays(values, gap=1):
    return np.arange(len(values), dtype=np.int64) * gap, np.array(values, np.float64)


def window(values, first, last, width, *, gap=1):
    step, value = arrays(values, gap)
    return Pyramid.build(step, value).window(lambda a, b: (step[a:b], value[a:b]), first, last, width)


def finite(values):
    return [value for value in values if math.isfinite(value)]


@settings(max_examples=200, deadline=None)
@given(values_lists, widths)
def test_whole_series_keeps_its_extremes_its_mean_and_every_point(values, width):
    found = window(values, None, None, width)
    kept = finite(values)
    assert 1 <= len(found) <= width
    assert (found.first[0], found.last[-1]) == (0, len(values) - 1)
    assert int(found.count.sum()) == len(kept)
    assert int(found.nonfinite.sum()) == len(values) - len(kept)
    if kept:
        assert np.nanmin(found.low) == min(kept)
        assert np.nanmax(found.high) == max(kept)
        held = zip(found.mean.tolist(), found.count.tolist(), strict=True)
        mean = float(sum(Fraction(mean) * count for mean, count in held if count) / len(kept))
        exact = float(sum(map(Fraction, kept)) / len(kept))
        assert mean == pytest.approx(exact, rel=1e-6, abs=1e-6 * max(map(abs, kept)))
    else:
        assert np.isnan(found.low).all()


@settings(max_examples=200, deadline=None)
@given(values_lists, widths, st.data())
def test_window_covers_its_steps_and_at_most_a_group_beyond_each_edge(values, width, data):
    first = data.draw(st.integers(0, len(values) - 1))
    last = data.draw(st.integers(first, len(values) - 1))
    found = window(values, first, last, width)
    assert len(found) <= width
    assert found.first[0] <= first <= found.last[0]
    assert found.first[-1] <= last <= found.last[-1]
    assert all(found.last[:-1] + 1 == found.first[1:])
    reach = values[found.first[0] : found.last[-1] + 1]
    for low, high, start, end in zip(found.low, found.high, found.first, found.last, strict=True):
        inside = finite(values[start : end + 1])
        assert (low, high) == (min(inside), max(inside)) if inside else math.isnan(low)
    pixel = max(1, (last - first + 1) / width)
    assert len(reach) <= (last - first + 1) + 2 * FACTOR / 4 * pixel


def test_mean_of_the_greatest_numbers_is_one_of_them():
    greatest = sys.float_info.max
    assert window([greatest] * 1000, None, None, 1).mean.tolist() == [greatest]
    assert window([greatest, greatest, -greatest, -greatest] * 100, None, None, 1).mean[0] == 0
    assert window([greatest, 2.0, math.nan, math.inf], None, None, 1).mean[0] == pytest.approx(greatest / 2)


def test_narrow_window_shows_the_points_themselves():
    found = window(list(range(5000)), 1001, 1010, 20)
    assert found.mean.tolist() == list(range(1001, 1011))
    assert (found.first == found.last).all()


def test_steps_between_points_need_not_be_there():
    found = window(list(range(100)), 15, 38, 50, gap=10)
    assert found.first.tolist() == [20, 30]


def test_window_beside_the_points_is_empty():
    assert len(window([1.0, 2.0], 5, 9, 10)) == 0
    assert len(window([1.0] * 100, 500, 900, 10)) == 0
    assert len(window([], None, None, 10)) == 0


def test_nan_hides_neither_the_extremes_nor_itself():
    values = [1.0] * 100
    values[50], values[51], values[52] = math.nan, math.inf, 9.0
    found = window(values, None, None, 1)
    assert (found.low[0], found.high[0], found.nonfinite[0]) == (1.0, 9.0, 2)


@settings(max_examples=100, deadline=None)
@given(values_lists, st.lists(st.integers(1, 120), max_size=8), widths)
def test_pyramid_that_grew_equals_one_that_was_built_at_once(values, sizes, width):
    step, value = arrays(values)
    growing, at = GrowingPyramid(), 0
    for size in [*sizes, len(values)]:
        growing.extend(step[at : at + size], value[at : at + size])
        at += size
        seen = min(at, len(values))
        expected = Pyramid.build(step[:seen], value[:seen]).window(lambda a, b: (step[a:b], value[a:b]), 3, None, width)
        found = growing.window(3, None, width)
        for one, other in zip(found.arrays, expected.arrays, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 600), st.integers(0, 599), st.integers(1, 600))
def test_resumed_attempt_takes_away_what_it_replays(size, back_to, more):
    back_to = min(back_to, size - 1)
    growing = GrowingPyramid()
    growing.extend(*arrays([1.0] * size))
    growing.truncate(back_to - 1)
    assert len(growing) == back_to
    growing.extend(np.arange(back_to, back_to + more, dtype=np.int64), np.full(more, 2.0))
    found = growing.window(None, None, 10_000)
    assert found.mean.tolist() == [1.0] * back_to + [2.0] * more
    assert int(growing.window(None, None, 1).count.sum()) == back_to + more


@settings(max_examples=80, deadline=None)
@given(st.lists(st.lists(st.integers(0, 200), max_size=40), max_size=8))
def test_steps_that_come_out_of_order_are_put_where_they_belong(batches):
    growing, logged = GrowingPyramid(), []
    for batch in batches:
        points = [(step, float(len(logged) + number)) for number, step in enumerate(batch)]
        logged += points
        growing.extend(np.array(batch, np.int64), np.array([value for _, value in points], np.float64))
    step, value = growing.points(0, len(growing))
    assert list(zip(step.tolist(), value.tolist(), strict=True)) == sorted(logged, key=lambda point: point[0])
    assert int(growing.window(None, None, 3).count.sum()) == len(logged)
