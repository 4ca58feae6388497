import math
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch

from burnish.track.lazy import Packed, Transfer, defer, number, read_numbers


class Away(torch.Tensor):
    """A tensor that says it lies on a device, and counts what would wait for one. There is no GPU in the tests."""

    waits = 0
    device = property(lambda self: torch.device("xpu:0"))

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func in (torch.Tensor.item, torch.Tensor.tolist, torch.Tensor.__float__):
            raise AssertionError("read before it was brought over")
        if func in (torch.Tensor.to, torch.Tensor.cpu):
            cls.waits += 1
            with torch._C.DisableTorchFunctionSubclass():
                return func(*args, **(kwargs or {})).as_subclass(torch.Tensor)
        return super().__torch_function__(func, types, args, kwargs or {})


def away(*args, **kwargs):
    Away.waits = 0
    return torch.tensor(*args, **kwargs).as_subclass(Away)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, 3.0),
        (True, 1.0),
        (0.5, 0.5),
        (2**53 + 1, float(2**53 + 1)),
        (10**400, math.inf),
        (-(10**400), -math.inf),
        (Fraction(1, 4), 0.25),
        (Fraction(10**400), math.inf),
        (Decimal("0.1"), 0.1),
        (np.float64(0.25), 0.25),
        (np.float16(0.5), 0.5),
        (np.longdouble(0.5), 0.5),
        (np.bool_(True), 1.0),
        (np.uint64(2**64 - 1), 2.0**64),
        (np.array(7), 7.0),
    ],
)
def test_any_real_number_becomes_a_float(value, expected):
    found = number("x", value)
    assert (type(found), found) == (float, expected)


def test_a_signalling_nan_is_a_nan():
    assert math.isnan(number("x", Decimal("sNaN")))


@pytest.mark.parametrize("make", [torch.tensor, away], ids=["cpu", "device"])
@pytest.mark.parametrize(
    "dtype",
    [
        *["float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "int64", "int32", "int16", "int8", "bool"],
        *["uint8", "uint16", "uint32", "uint64"],
    ],
)
def test_a_tensor_of_every_dtype_is_read_exactly(make, dtype):
    assert read_numbers({"x": make(1, dtype=getattr(torch, dtype))}) == {"x": 1.0}


def test_one_wait_serves_values_of_many_dtypes_and_order_is_kept():
    values = {
        "flag": away(True),
        "host": 0.5,
        "big": away(2**53 + 1),
        "half": away(-math.inf, dtype=torch.bfloat16),
        "nan": away(math.nan),
        "double": away(0.1, dtype=torch.float64, requires_grad=True),
        "byte": away(255, dtype=torch.uint8),
    }
    Away.waits = 0
    found = read_numbers(values)
    assert Away.waits == 1
    assert list(found) == list(values)
    assert math.isnan(found.pop("nan"))
    assert found == {"flag": 1, "host": 0.5, "big": float(2**53 + 1), "half": -math.inf, "double": 0.1, "byte": 255}


def test_a_later_change_in_place_is_not_seen():
    host, device, array = torch.tensor(1.0), away(2.0), np.array(3.0)
    pending = defer({"host": host, "device": device, "array": array})
    host += 10
    device.add_(10)
    array += 10
    assert pending.ready()
    assert pending.read() == {"host": 1.0, "device": 2.0, "array": 3.0}
    assert pending.read() == {"host": 1.0, "device": 2.0, "array": 3.0}


def test_a_view_is_copied_before_its_base_changes():
    base = torch.arange(4.0)
    transfer = Transfer(base[1:3])
    base.zero_()
    assert transfer.read().tolist() == [1.0, 2.0]


@pytest.mark.parametrize("read", [read_numbers, defer])
@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("1", "str"),
        (None, "NoneType"),
        (1j, "complex"),
        (np.complex128(1), "complex128 of shape ()"),
        (np.zeros(2), "ndarray of shape (2,)"),
        (np.datetime64("2026-01-01"), "datetime64 of shape ()"),
        (torch.zeros(1), "Tensor of shape (1,)"),
        (torch.tensor(1j), "Tensor of shape ()"),
        (torch.zeros((), device="meta"), "Tensor of shape ()"),
        (away([1.0, 2.0]), "Away of shape (2,)"),
        (away(1j), "Away of shape ()"),
    ],
)
def test_a_wrong_type_is_told_at_once(read, value, what):
    with pytest.raises(TypeError) as error:
        read({"good": 1.0, "bad": value})
    assert str(error.value) == f"metric 'bad' must be one number, not {what}"


@pytest.mark.parametrize("value", [1.0, away(1.0)])
def test_a_name_that_is_no_string_is_told(value):
    with pytest.raises(TypeError, match=r"^a metric's name must be a string, not 3$"):
        read_numbers({3: value})


def test_a_sharded_tensor_is_not_read_in_secret():
    class Placement:
        def is_replicate(self):
            return False

    value = away(1.0)
    value.placements = (Placement(),)
    with pytest.raises(TypeError, match=r"not Away with a part of it on each rank: call \.full_tensor\(\) on every"):
        read_numbers({"norm": value})


def test_packed_numbers_are_the_tensors_numbers():
    tensors = [torch.tensor(0.1, dtype=torch.float64), torch.tensor(7), torch.tensor(0.5), torch.tensor(False)]
    assert Packed(tensors).numbers() == [0.1, 7.0, 0.5, 0.0]


def test_numbers_are_read_without_torch_or_numpy():
    code = "import sys; from burnish.track.lazy import defer; print(defer({'a': 1}).read(), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "{'a': 1.0} False\n"
