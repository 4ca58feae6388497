import math

import pytest

from burnish.track.quantity import quantity


@pytest.mark.parametrize(
    ("metric", "value", "shown"),
    [
        ("train/loss", 1.5, "1.5"),
        ("system/disk_free_bytes", 8.20008e10, "76.4 GiB"),
        ("system/disk_free_bytes", -2048, "-2.0 KiB"),
        ("system/disk_write_bytes_per_s", 1536.0, "1.5 KiB/s"),
        ("gpu_bytes", math.nan, "nan"),
        ("gpu_bytes", math.inf, "inf"),
        ("bytes", 2048, "2048"),
        ("a_bytes", None, ""),
        ("a_bytes", True, ""),
    ],
)
def test_bytes_have_units_and_all_else_is_a_number(metric, value, shown):
    assert quantity(metric, value) == shown
