import array
import itertools
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from burnish.journal import JournalReader, JournalWriter, Kind
from burnish.journal.reader import journal_files
from burnish.track.histogram import histogram

FLOATS = st.floats(allow_nan=True, allow_infinity=True)
ARRAYS = hnp.arrays(
    st.one_of(hnp.floating_dtypes(), hnp.integer_dtypes(), hnp.unsigned_integer_dtypes(), st.just(np.dtype(bool))),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0),
)


def check(found, size, bins):
    edges, counts = found["edges"], found["counts"]
    assert (len(edges), len(counts)) == (bins + 1, bins)
    assert sum(counts) == found["count"] == size - found["nonfinite"]
    assert all(before < after for before, after in itertools.pairwise(edges))
    assert all(map(math.isfinite, edges))
    if found["count"]:
        assert edges[0] <= found["min"] <= found["max"] <= edges[-1]
        assert math.isfinite(found["mean"])
        assert found["std"] >= 0


@given(ARRAYS, st.integers(1, 80))
@example(np.array([sys.float_info.max, 0.0]), 3)
def test_every_value_is_in_one_bin_or_nonfinite(values, bins):
    check(histogram(values, bins=bins), values.size, bins)


@given(st.lists(FLOATS | st.integers() | st.booleans(), max_size=50), st.integers(1, 80))
def test_every_number_of_a_list_is_in_one_bin_or_nonfinite(values, bins):
    check(histogram(values, bins=bins), len(values), bins)


@given(hnp.arrays(np.float64, st.integers(0, 50), elements=FLOATS), st.integers(1, 80))
def test_every_value_of_a_tensor_is_in_one_bin_or_nonfinite(values, bins):
    check(histogram(torch.from_numpy(values), bins=bins), values.size, bins)


@given(hnp.arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e6, 1e6, width=32)), st.integers(1, 80))
def test_arrays_lists_and_numpy_agree(values, bins):
    found = histogram(values, bins=bins)
    assert found["counts"] == histogram(values.tolist(), bins=bins)["counts"]
    assert found["edges"] == histogram(values.tolist(), bins=bins)["edges"]
    if found["edges"][0] == values.min() and found["edges"][-1] == values.max():
        counts, edges = np.histogram(values, bins=bins)
        assert (found["counts"], found["edges"]) == (counts.tolist(), edges.tolist())
    assert found["mean"] == pytest.approx(values.mean(), rel=1e-9, abs=1e-9)
    assert found["std"] == pytest.approx(values.std(), rel=1e-6, abs=1e-6)


@given(hnp.arrays(np.int64, st.integers(1, 60), elements=st.integers(0, 64)))
def test_a_tensor_is_counted_as_an_array_is(values):
    tensor, plain = histogram(torch.from_numpy(values), range=(0, 64)), histogram(values, range=(0, 64))
    assert tensor == {**plain, "mean": pytest.approx(plain["mean"]), "std": pytest.approx(plain["std"])}


@pytest.mark.parametrize(
    "dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64, torch.int8, torch.int64, torch.float8_e4m3fn]
)
def test_tensors_of_every_dtype_are_counted_exactly(dtype):
    values = torch.arange(1200).remainder(8).to(dtype).reshape(3, 400).T
    assert histogram(values, bins=8)["counts"] == [150] * 8


def test_bfloat16_counts_do_not_stop_at_256():
    assert histogram(torch.ones(100_000, dtype=torch.bfloat16), bins=1)["counts"] == [100_000]


@pytest.mark.parametrize("make", [np.array, torch.tensor, list])
def test_nan_and_infinities_are_counted_apart(make):
    found = histogram(make([0.0, math.nan, 1.0, math.inf, -math.inf, 1.0]), bins=2)
    assert found["counts"] == [1, 2]
    assert (found["count"], found["nonfinite"], found["min"], found["max"]) == (3, 3, 0.0, 1.0)
    assert found["mean"] == pytest.approx(2 / 3)
    assert found["std"] == pytest.approx(np.std([0, 1, 1]))


@pytest.mark.parametrize("make", [np.array, torch.tensor, list])
def test_nothing_finite_has_no_extremes(make):
    nothing = {"edges": [0.0, 0.5, 1.0], "counts": [0, 0], "count": 0, "min": None, "max": None}
    nothing |= {"mean": None, "std": None}
    assert histogram(make([]), bins=2) == {**nothing, "nonfinite": 0}
    assert histogram(make([math.nan, math.inf]), bins=2) == {**nothing, "nonfinite": 2}


@pytest.mark.parametrize("make", [np.array, torch.tensor, list])
def test_equal_values_lie_in_the_middle_of_a_unit(make):
    found = histogram(make([3.0] * 5), bins=4)
    assert (found["edges"], found["counts"]) == ([2.5, 2.75, 3.0, 3.25, 3.5], [0, 0, 5, 0])
    assert (found["mean"], found["std"]) == (3.0, 0.0)


@pytest.mark.parametrize("make", [np.array, torch.tensor, list])
def test_extremes_of_int64_do_not_overflow(make):
    found = histogram(make([-(2**63), 2**63 - 1, 0]), bins=2)
    assert (found["edges"], found["counts"]) == ([-(2.0**63), 0.0, 2.0**63], [1, 2])
    assert found["std"] == pytest.approx(2.0**63 * math.sqrt(2 / 3))


@pytest.mark.parametrize("make", [np.array, torch.tensor, list])
@pytest.mark.parametrize(
    "values", [[-1.7e308, 1.7e308], [1.79e308] * 2, [0.0, 5e-324], [sys.float_info.max], [1e300, 1e300], [5e-324] * 2]
)
def test_extremes_of_float64_do_not_overflow(make, values):
    found = histogram(make(values) if make is not torch.tensor else torch.tensor(values, dtype=torch.float64))
    check(found, len(values), 64)
    assert math.isfinite(found["std"])


@pytest.mark.parametrize("make", [np.array, torch.tensor, list])
def test_values_outside_a_given_range_are_in_no_bin(make):
    found = histogram(make([-1.0, 0.0, 0.5, 1.0, 9.0]), bins=2, range=(0, 1))
    assert (found["edges"], found["counts"]) == ([0.0, 0.5, 1.0], [1, 2])
    assert (found["count"], found["min"], found["max"], found["mean"]) == (5, -1.0, 9.0, pytest.approx(1.9))


def test_deterministic_algorithms_are_respected():
    values = torch.randn(1000)
    usual = histogram(values)
    torch.use_deterministic_algorithms(True)
    try:
        assert histogram(values) == usual
    finally:
        torch.use_deterministic_algorithms(False)


def test_a_parameter_keeps_its_gradient_and_nothing_is_recorded():
    weight = torch.nn.Parameter(torch.randn(4, 4))
    (weight.sum() * 2).backward()
    before = weight.grad.clone()
    assert histogram(weight)["count"] == 16
    assert torch.equal(weight.grad, before)
    assert weight.grad_fn is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("deterministic", [False, True])
def test_a_tensor_on_a_gpu_is_counted_there(deterministic):
    values = torch.randn(3_000_000, dtype=torch.float64)
    torch.use_deterministic_algorithms(deterministic)
    try:
        found = histogram(values.cuda())
    finally:
        torch.use_deterministic_algorithms(False)
    plain = histogram(values)
    assert np.abs(np.subtract(found["counts"], plain["counts"])).sum() <= 4
    assert found["std"] == pytest.approx(plain["std"])


def test_what_converts_itself_to_an_array_is_counted():
    for values in (pd.Series([1, 2, 2]), pl.Series([1, 2, 2]), array.array("f", [1, 2, 2]), range(1, 3), {1, 2}):
        assert histogram(values, bins=2)["counts"] == [1, len(values) - 1]
    assert histogram(iter([1, np.float32(2), torch.tensor(2)]), bins=2)["counts"] == [1, 2]


def test_an_array_that_is_not_contiguous_is_counted_whole():
    values = np.arange(3_000_000, dtype=np.int32).reshape(1000, 3000)[:, ::2]
    assert histogram(values, bins=3)["counts"] == np.histogram(values, bins=3)[0].tolist()


def test_a_pair_is_taken_as_it_is_counted():
    found = histogram(np.histogram([0, 1, 1, 4], bins=4))
    assert (found["edges"], found["counts"], found["count"]) == ([0, 1, 2, 3, 4], [1, 2, 0, 1], 4)
    assert (found["min"], found["max"], found["mean"]) == (0, 4, pytest.approx(1.75))
    assert found["std"] == pytest.approx(np.std([0.5, 1.5, 1.5, 3.5]))
    assert histogram(([0, 0], [0, 1, 2]))["mean"] is None
    assert histogram((torch.tensor([1, 2]), [0, 1, 2]))["counts"] == [1, 2]


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (([1, 2], [0, 1]), "a histogram of 2 counts must have one edge more, not 2 edges"),
        (([], [0]), "a histogram of 0 counts must have one edge more, not 1 edges"),
        (([1], [1, 0]), "the edges of a histogram must be finite and ascend"),
        (([1], [0, math.inf]), "the edges of a histogram must be finite and ascend"),
        (([0.5], [0, 1]), "the counts of a histogram must be whole numbers from 0, not densities"),
        (([-1], [0, 1]), "the counts of a histogram must be whole numbers from 0, not densities"),
    ],
)
def test_a_pair_that_is_no_histogram_is_refused(pair, message):
    with pytest.raises(ValueError) as error:
        histogram(pair)
    assert str(error.value) == message


ACCEPTED = "an array, a tensor, numbers or a (counts, edges) pair"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("1234", f"histogram values must be {ACCEPTED}, not str"),
        (3.5, f"histogram values must be {ACCEPTED}, not float"),
        (None, f"histogram values must be {ACCEPTED}, not NoneType"),
        ({"a": 1}, f"histogram values must be {ACCEPTED}, not dict"),
        (["a"], f"histogram values must be {ACCEPTED}, not a sequence with a str"),
        ([[1], [2]], f"histogram values must be {ACCEPTED}, not a sequence with a list"),
        ([np.zeros(2)], f"histogram values must be {ACCEPTED}, not a sequence with a numpy.ndarray"),
        (torch.nn.Linear(1, 1), f"histogram values must be {ACCEPTED}, not torch.Linear"),
        (np.array(["a"]), "histogram values must be real numbers, not <U1"),
        (np.array([1j]), "histogram values must be real numbers, not complex128"),
        (pd.Series(["a"], dtype=object), "histogram values must be real numbers, not object"),
        (
            torch.tensor([1j]),
            "histogram values must be a dense tensor of real numbers, not torch.complex64 torch.strided",
        ),
        (
            torch.eye(2).to_sparse(),
            "histogram values must be a dense tensor of real numbers, not torch.float32 torch.sparse_coo",
        ),
        (torch.empty(2, device="meta"), "histogram values must be a dense tensor of real numbers, not meta"),
    ],
)
def test_what_is_no_number_is_refused(values, message):
    with pytest.raises(TypeError) as error:
        histogram(values)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bins": 0}, "bins must be at least 1, not 0"),
        ({"bins": 2.0}, "bins must be an integer, not float"),
        ({"bins": True}, "bins must be an integer, not bool"),
        ({"range": (1, 0)}, "range must be two finite numbers, the smaller first, not (1.0, 0.0)"),
        ({"range": (0, math.nan)}, "range must be two finite numbers, the smaller first, not (0.0, nan)"),
    ],
)
def test_bins_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises((TypeError, ValueError)) as error:
        histogram([1, 2], **arguments)
    assert str(error.value) == message


@settings(max_examples=20)
@given(ARRAYS)
def test_the_journal_gives_a_histogram_back(values):
    with tempfile.TemporaryDirectory() as folder:
        writer = JournalWriter(Path(folder), 0, dict)
        writer.record(Kind.HISTOGRAM, "w", histogram(values))
        writer.close()
        (path,) = journal_files(Path(folder))
        reader = JournalReader(path)
        (record,) = [entry for entry in reader.read_all() if getattr(entry, "kind", None) == Kind.HISTOGRAM]
        reader.close()
    assert record.payload == histogram(values)


def run_python(program):
    environ = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environ, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_python_numbers_load_no_library():
    program = (
        "import sys; from burnish.track.histogram import histogram; histogram([1, 2]); print('numpy' in sys.modules)"
    )
    assert run_python(program) == "False"


@pytest.mark.parametrize("make", ["np.zeros(N, np.float16)", "torch.from_numpy(np.zeros(N, np.float16))"])
def test_a_large_array_is_not_copied_as_float64(make):
    size = 40_000_000  # 80 MB as float16, 320 MB as float64
    load = "import torch" if "torch" in make else ""
    program = f"""
import resource, numpy as np
{load}
from burnish.track.histogram import histogram
N = {size}
histogram({make.replace("N", "10")})
values = {make}
values[:] = 1
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert histogram(values)["count"] == N
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    assert int(run_python(program)) < 130
