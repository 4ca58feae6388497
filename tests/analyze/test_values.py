import math

from burnish.analyze.values import order


def test_order_is_numbers_truth_values_texts_and_nothing_last():
    values = ["b", None, 2, True, math.nan, "a", 1.5, ("x",), False]
    placed = sorted((v for v in values if order(v) is not None), key=order)
    assert placed == [1.5, 2, False, True, "a", "b", ("x",)]
