"""How values are spread: equal bins between the smallest and the largest finite one, as `numpy.histogram` makes them.

Arrays are read in pieces, so that no second copy of a large one is made; a tensor is counted on its own device.
Every path bins in float64 and counts NaN and infinities apart.
"""

from __future__ import annotations

import math
import sys
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from burnish.track.foreign import comes_from, type_name

if TYPE_CHECKING:
    import numpy as np
    import torch

_PIECE: Final = 1 << 20  # values a piece: 8 MB as float64
_RELATIVE: Final = 2.0**-51  # two units in the last place: what a bin must span for its edges to differ
_SMALLEST: Final = 2.0**-900  # below this magnitude, the same: 1 / width must not overflow
_LARGEST: Final = sys.float_info.max
_ACCEPTED: Final = "an array, a tensor, numbers or a (counts, edges) pair"


@dataclass(frozen=True, slots=True)
class _Moments:
    """Count, extremes, mean and sum of squared deviations; the last two in units of `scale`, a power of two."""

    count: int
    low: float
    high: float
    scale: float = 1.0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, count: int, mean: float, squares: float) -> _Moments:
        """Take in another piece (Chan, Golub and LeVeque, 1979); `count` stays, being known before."""
        done = self.count + count
        shift = mean - self.mean
        return _Moments(
            done,
            self.low,
            self.high,
            self.scale,
            self.mean + shift * count / done,
            self.squares + squares + shift * shift * self.count * count / done,
        )


def histogram(values: object, *, bins: int = 64, range: tuple[float, float] | None = None) -> dict[str, object]:
    """Return how values are spread, as the journal keeps it.

    Args:
        values: A NumPy array or torch tensor of any shape and any real dtype (also what converts itself to an
            array: pandas, polars, JAX), Python numbers, or a pair `(counts, edges)` as `numpy.histogram` returns.
            A tensor is counted where it lies and costs one synchronisation.
        bins: How many, from 1.
        range: Where the bins begin and end, else the smallest and largest value. Values outside fall in no bin,
            but are part of `count`, `min`, `max`, `mean` and `std`.

    Returns:
        `edges` (one more than bins), `counts`, `count` of finite values, `nonfinite`, and `min`, `max`, `mean`,
        `std` (population) of the finite ones, None when there are none. Of a pair they are estimates from the
        bins: the outer edges of those that hold something, and the centres.

    Raises:
        TypeError: The values are no real numbers.
        ValueError: Bins, range or pair make no sense.

    >>> histogram([0, 1, 1, float("nan")], bins=2)["counts"]
    [1, 2]
    """
    if isinstance(bins, bool) or not isinstance(bins, int):
        raise TypeError(f"bins must be an integer, not {type_name(bins)}")
    if bins < 1:
        raise ValueError(f"bins must be at least 1, not {bins}")
    if range is not None:
        range = _checked_range(range)
    if isinstance(values, tuple) and len(values) == 2 and all(_is_column(part) for part in values):
        return _of_pair(*values)
    if comes_from(values, "torch") and hasattr(values, "detach"):
        return _of_tensor(values, bins, range)
    if comes_from(values, "numpy") or hasattr(values, "__array__"):
        return _of_array(values, bins, range)
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise TypeError(f"histogram values must be {_ACCEPTED}, not {type_name(values)}")
    return _of_numbers(values, bins, range)


def _checked_range(range: tuple[float, float]) -> tuple[float, float]:
    low, high = map(float, range)
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(f"range must be two finite numbers, the smaller first, not ({low}, {high})")
    return low, high


def _is_column(part: object) -> bool:
    return isinstance(part, Sized) and not isinstance(part, str | bytes | Mapping) and getattr(part, "ndim", 1) == 1


def _of_pair(counts: Iterable[object], edges: Iterable[object]) -> dict[str, object]:
    """Return a histogram that was counted elsewhere."""
    numbers = [_number(count) for count in _listed(counts)]
    borders = [_number(edge) for edge in _listed(edges)]
    if len(borders) != len(numbers) + 1 or not numbers:
        raise ValueError(f"a histogram of {len(numbers)} counts must have one edge more, not {len(borders)} edges")
    if not all(map(math.isfinite, borders)) or borders != sorted(borders):
        raise ValueError("the edges of a histogram must be finite and ascend")
    if not all(count >= 0 and count.is_integer() for count in numbers):
        raise ValueError("the counts of a histogram must be whole numbers from 0, not densities")
    filled = [place for place, count in enumerate(numbers) if count]
    if not filled:
        return _payload(borders, [0] * len(numbers), _Moments(0, 0.0, 0.0), 0)
    low, high = borders[filled[0]], borders[filled[-1] + 1]
    scale = _scale(low, high)
    spread = _Moments(0, low, high, scale)
    for place in filled:
        spread = spread.add(int(numbers[place]), (borders[place] / 2 + borders[place + 1] / 2) / scale, 0.0)
    return _payload(borders, [int(count) for count in numbers], spread, 0)


def _of_numbers(values: Iterable[object], bins: int, range: tuple[float, float] | None) -> dict[str, object]:
    """Count Python numbers without NumPy, which the process may not have loaded."""
    every = [_number(value) for value in values]
    finite = [value for value in every if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    edges = _edges(*_limits(*(range or (low, high)), bins), bins)
    counts = [0] * bins
    for value in finite:
        if edges[0] <= value <= edges[-1]:
            counts[min(bisect_right(edges, value), bins) - 1] += 1
    scale = _scale(low, high)
    scaled = [value / scale for value in finite]
    mean = math.fsum(scaled) / len(scaled) if scaled else 0.0
    squares = math.fsum((value - mean) ** 2 for value in scaled)
    return _payload(edges, counts, _Moments(len(finite), low, high, scale, mean, squares), len(every) - len(finite))


def _of_array(values: object, bins: int, range: tuple[float, float] | None) -> dict[str, object]:
    """Count an array in pieces; a piece alone is converted to float64."""
    import numpy as np  # the value is an array: it is loaded

    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"histogram values must be real numbers, not {array.dtype}")
    size, low, high = 0, math.inf, -math.inf
    for piece in _pieces(array):
        if piece.size:
            size, low, high = size + piece.size, min(low, float(piece.min())), max(high, float(piece.max()))
    if not size:
        low, high = 0.0, 1.0
    start, stop = _limits(*(range or (low, high)), bins)
    counts = np.zeros(bins, dtype=np.int64)
    shrink = _shrink(start, stop)
    spread = _Moments(0, low, high, _scale(low, high))
    for piece in _pieces(array):
        if piece.size:
            counts += np.histogram(piece * shrink, bins=bins, range=(start * shrink, stop * shrink))[0]
            piece /= spread.scale
            mean = float(piece.mean())
            piece -= mean
            spread = spread.add(piece.size, mean, float(np.dot(piece, piece)))
    return _payload(_edges(start, stop, bins), counts.tolist(), spread, array.size - size)


def _pieces(array: np.ndarray) -> Iterable[np.ndarray]:
    """Yield the finite values as float64, piece by piece, each a copy."""
    import numpy as np

    whole = array.reshape(-1) if array.flags.c_contiguous else array.flat
    for start in range(0, array.size, _PIECE):
        with np.errstate(over="ignore"):  # a long double may be beyond float64: it counts as infinite
            piece = np.asarray(whole[start : start + _PIECE]).astype(np.float64)
        finite = np.isfinite(piece)
        yield piece if finite.all() else piece[finite]


def _of_tensor(tensor: torch.Tensor, bins: int, range: tuple[float, float] | None) -> dict[str, object]:
    """Count a tensor on its own device, waiting for it once: when everything is known, in one transfer."""
    torch = sys.modules["torch"]
    if hasattr(tensor, "to_local"):
        raise TypeError("histogram values must not be a DTensor: pass .to_local() or, on every rank, .full_tensor()")
    if tensor.layout != torch.strided or tensor.is_complex() or tensor.is_quantized or tensor.is_meta:
        what = "meta" if tensor.is_meta else f"{tensor.dtype} {tensor.layout}"
        raise TypeError(f"histogram values must be a dense tensor of real numbers, not {what}")
    if not tensor.numel():
        return _of_numbers((), bins, range)
    if tensor.device.type == "mps":
        tensor = tensor.cpu()  # which knows no float64, and whose memory is the CPU's
    with torch.no_grad():
        pieces = tensor.detach().reshape(-1).split(_PIECE)
        low, high, start, stop = _device_limits(pieces, bins, range)
        scale = torch.maximum(low.abs(), high.abs())
        scale = torch.where((scale > 0) & scale.isfinite(), scale.log2().floor().clamp(max=1023).exp2(), 1.0)
        counts, size, mean, squares = _device_counts(pieces, bins, start, stop, scale)
        known = torch.cat([torch.stack([low, high, start, stop, scale, size, mean, squares]), counts]).tolist()
    spread = _Moments(int(known[5]), known[0], known[1], known[4], known[6], known[7])
    counted = [int(count) for count in known[8:]]
    return _payload(_edges(known[2], known[3], bins), counted, spread, tensor.numel() - spread.count)


def _device_limits(
    pieces: tuple[torch.Tensor, ...], bins: int, range: tuple[float, float] | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the extremes, and where the bins begin and end: `_limits` without leaving the device."""
    torch = sys.modules["torch"]
    low = torch.full((), math.inf, dtype=torch.float64, device=pieces[0].device)
    high = -low
    for piece in pieces:
        values = piece.to(torch.float64)
        finite = values.isfinite()
        low = torch.minimum(low, torch.where(finite, values, math.inf).amin())
        high = torch.maximum(high, torch.where(finite, values, -math.inf).amax())
    start, stop = torch.where(low > high, 0.0, low), torch.where(low > high, 1.0, high)
    if range is not None:
        start, stop = torch.full_like(low, range[0]), torch.full_like(low, range[1])
    least = torch.maximum(start.abs(), stop.abs()).clamp(min=_SMALLEST) * (bins * _RELATIVE)
    half = torch.where(start == stop, 0.5, 0.0)
    pad = torch.where(stop - start >= least, 0.0, torch.maximum(least, half))
    return low, high, (start - pad).clamp(min=-_LARGEST), (stop + pad).clamp(max=_LARGEST)


def _device_counts(
    pieces: tuple[torch.Tensor, ...], bins: int, start: torch.Tensor, stop: torch.Tensor, scale: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the counts, and count, mean and squared deviations of the finite values in units of `scale`."""
    torch = sys.modules["torch"]
    counts = torch.zeros(bins, dtype=torch.float64, device=start.device)
    size = mean = squares = torch.zeros_like(start)
    begin = start * 0.25  # a quarter, so that the width is a number
    bins_a_unit = bins / (stop * 0.25 - begin)
    for piece in pieces:
        values = piece.to(torch.float64)
        finite = values.isfinite()
        places = ((values * 0.25 - begin) * bins_a_unit).clamp(0, bins)
        counts += _count_places(places, finite & (values >= start) & (values <= stop), bins)
        new = finite.sum(dtype=torch.float64)
        scaled = torch.where(finite, values / scale, 0.0)
        center = scaled.sum() / new.clamp(min=1)
        deviation = torch.where(finite, scaled - center, 0.0)
        total = (size + new).clamp(min=1)
        shift = center - mean
        squares = squares + (deviation * deviation).sum() + shift * shift * size * new / total
        mean = mean + shift * new / total
        size = size + new
    return counts, size, mean, squares


def _count_places(places: torch.Tensor, kept: torch.Tensor, bins: int) -> torch.Tensor:
    """Count places in 0..bins by whole units, the last bin closed on both sides."""
    torch = sys.modules["torch"]
    if not torch.are_deterministic_algorithms_enabled():
        return torch.histc(torch.where(kept, places, math.nan), bins, min=0, max=bins)  # which leaves NaN out
    # histc then raises on a GPU; bincount of integers does not, at the price of a wait for every piece
    whole = torch.where(kept, places.clamp(max=bins - 1), bins).to(torch.int64)
    return torch.bincount(whole, minlength=bins + 1)[:bins].to(torch.float64)


def _limits(low: float, high: float, bins: int) -> tuple[float, float]:
    """Return where the bins begin and end; values (almost) alike get bins around them that differ."""
    least = max(abs(low), abs(high), _SMALLEST) * (bins * _RELATIVE)
    if high - low >= least:
        return low, high
    pad = max(least, 0.5 if low == high else 0.0)
    return max(low - pad, -_LARGEST), min(high + pad, _LARGEST)


def _edges(start: float, stop: float, bins: int) -> list[float]:
    """Return the borders of equal bins, to the last bit as `numpy.linspace` computes them."""
    shrink = _shrink(start, stop)
    first, last = start * shrink, stop * shrink
    width = (last - first) / bins
    return [*((first + place * width) / shrink for place in range(bins)), stop]


def _shrink(start: float, stop: float) -> float:
    """Return a factor with which neither the width nor a rounded last edge overflows."""
    return 1.0 if max(abs(start), abs(stop)) < _LARGEST / 4 else 0.25


def _scale(low: float, high: float) -> float:
    """Return a power of two near the largest magnitude, so that squares neither overflow nor vanish."""
    largest = max(abs(low), abs(high))
    return 2.0 ** (math.frexp(largest)[1] - 1) if largest else 1.0


def _payload(edges: list[float], counts: list[int], spread: _Moments, nonfinite: int) -> dict[str, object]:
    known = spread.count > 0
    return {
        "edges": edges,
        "counts": counts,
        "count": spread.count,
        "nonfinite": nonfinite,
        "min": spread.low if known else None,
        "max": spread.high if known else None,
        "mean": spread.mean * spread.scale if known else None,
        "std": math.sqrt(spread.squares / spread.count) * spread.scale if known else None,
    }


def _listed(values: Iterable[object]) -> list[object]:
    """Return an array, a tensor or any other sequence as a list of Python numbers."""
    tolist = getattr(values, "tolist", None)
    return list(values) if tolist is None else list(tolist())


def _number(value: object) -> float:
    """Return a number as a float; an integer beyond float64 is infinite.

    Raises:
        TypeError: It is none.
    """
    if not isinstance(value, float | int) and getattr(value, "ndim", None) == 0:
        item = getattr(value, "item", None)
        value = value if item is None else item()
    if not isinstance(value, float | int):
        raise TypeError(f"histogram values must be {_ACCEPTED}, not a sequence with a {type_name(value)}")
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
