"""Numbers out of whatever a metric is given as, with at most one wait for a device however many there are.

No torch is imported here: where there is a tensor, torch is loaded already.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from itertools import groupby
from numbers import Number
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import torch

_PART = "with a part of it on each rank: call .full_tensor() on every rank first"
_WITHOUT_VALUES: Final = frozenset({"meta"})


def number(name: object, value: object) -> float:
    """Return a value as a Python float.

    Python, NumPy and 0-d array numbers are taken, booleans too, fractions and decimals. An integer beyond the
    range of a float becomes an infinity, one beyond 2**53 the nearest float. Reading a tensor on a device waits
    for it: `read_numbers` waits once for many.

    Raises:
        TypeError: It is no number, or its name no string.
    """
    if not isinstance(name, str):
        raise TypeError(f"a metric's name must be a string, not {name!r}")
    if isinstance(value, float):  # NumPy's float64 is a float, but not one that the encoder takes
        return float(value)
    plain = value
    item = getattr(value, "item", None)
    if item is not None and getattr(value, "ndim", 0) == 0 and _device_of(value) not in _WITHOUT_VALUES:
        plain = item()
    if isinstance(plain, Number) and hasattr(plain, "__float__"):  # complex numbers are Numbers without
        return _as_float(plain)
    raise _no_number(name, value)


def read_numbers(values: Mapping[str, object]) -> dict[str, float]:
    """Return the values as Python floats, waiting once for each device that holds some of them.

    Raises:
        TypeError: A value is no number, or a name no string.
    """
    return defer(values).read()


def defer(values: Mapping[str, object]) -> Pending:
    """Take the values as they are now and start bringing those on a device over, without waiting for it.

    A CUDA device is not waited for at all. Any other device that is not the CPU is waited for here.

    Raises:
        TypeError: A value is no number, or a name no string.
    """
    found: dict[str, float] = {}
    away: dict[str, torch.Tensor] = {}
    for name, value in values.items():
        tensor = _tensor_on_device(name, value)
        if tensor is None:
            found[name] = number(name, value)
        else:
            found[name] = math.nan  # keeps the place in the order; `read` fills it in
            away[name] = tensor
    return Pending(found, _send(away))


class Pending:
    """Numbers of one call, some of them still on their way from a device."""

    __slots__ = ("_found", "_transfers")

    def __init__(self, found: dict[str, float], transfers: list[tuple[list[str], Packed]]) -> None:
        self._found = found
        self._transfers = transfers

    def ready(self) -> bool:
        """Return whether `read` would not wait."""
        return all(packed.transfer.ready() for _, packed in self._transfers)

    def read(self) -> dict[str, float]:
        """Return the numbers in the order that they were given, waiting for those that are not here yet."""
        for names, packed in self._transfers:
            self._found.update(zip(names, packed.numbers(), strict=True))
        self._transfers = []
        return dict(self._found)


class Transfer:
    """A copy of a tensor to the host that is under way; the tensor may change as soon as this is made."""

    __slots__ = ("_event", "_host")

    def __init__(self, tensor: torch.Tensor) -> None:
        torch = sys.modules["torch"]
        tensor = tensor.detach()
        self._event = None
        if tensor.device.type != "cuda":
            self._host = tensor.to("cpu", copy=True)
            return
        # Pinned, or the copy would not be asynchronous. The device's own allocator keeps the source's memory
        # from being written before the copy, which was asked for earlier on the same stream.
        self._host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        self._host.copy_(tensor, non_blocking=True)
        self._event = torch.cuda.Event()
        self._event.record(torch.cuda.current_stream(tensor.device))

    def ready(self) -> bool:
        """Return whether the copy has arrived."""
        return self._event is None or bool(self._event.query())

    def read(self) -> torch.Tensor:
        """Return the copy, waiting for it if need be."""
        if self._event is not None:
            self._event.synchronize()
            self._event = None
        return self._host


class Packed:
    """0-d tensors of one device, of any dtypes, as the bytes of one tensor: exact, and one copy for all."""

    __slots__ = ("_runs", "transfer")

    def __init__(self, tensors: Sequence[torch.Tensor]) -> None:
        """Pack tensors; those of one dtype should stand side by side, the widest dtypes first."""
        torch = sys.modules["torch"]
        stacks = [torch.stack([*run]) for _, run in groupby(tensors, key=lambda tensor: tensor.dtype)]
        self._runs = [(stack.dtype, stack.numel() * stack.element_size()) for stack in stacks]
        parts = [stack.view(torch.uint8) for stack in stacks]
        self.transfer = Transfer(parts[0] if len(parts) == 1 else torch.cat(parts))

    def numbers(self) -> list[float]:
        """Return the numbers in the order of the tensors, waiting for them if need be."""
        raw, at, found = self.transfer.read(), 0, []
        for dtype, size in self._runs:
            part = raw[at : at + size].view(dtype)
            # A list of an 8-bit float tensor is refused, of a wider one not; other values are exact as they are.
            found += (part.float() if dtype.is_floating_point and dtype.itemsize < 4 else part).tolist()
            at += size
        return [float(value) for value in found]


def _send(tensors: Mapping[str, torch.Tensor]) -> list[tuple[list[str], Packed]]:
    """Start one transfer a device; the widest dtypes first, so that each part lies where its dtype may be read."""
    rank = lambda name: (str(tensors[name].device), -tensors[name].dtype.itemsize, str(tensors[name].dtype))  # noqa: E731
    sent = []
    for _, group in groupby(sorted(tensors, key=rank), key=lambda name: tensors[name].device):
        names = list(group)
        sent.append((names, Packed([tensors[name].detach() for name in names])))
    return sent


def _tensor_on_device(name: object, value: object) -> torch.Tensor | None:
    """Return a 0-d tensor of another device than the CPU; None for what can be read without waiting.

    Raises:
        TypeError: The name is no string, or the tensor no real number.
    """
    if _device_of(value) in (None, "cpu"):
        return None
    if not isinstance(value, sys.modules["torch"].Tensor):
        return None  # another library's array; it is read by `number`
    if not isinstance(name, str):
        raise TypeError(f"a metric's name must be a string, not {name!r}")
    tensor: torch.Tensor = value
    placements = getattr(tensor, "placements", None)
    if placements is not None:  # a DTensor; reading one that is not whole would be a collective operation
        if not all(placement.is_replicate() for placement in placements):
            raise TypeError(f"metric {name!r} must be one number, not {type(value).__name__} {_PART}")
        tensor = tensor.to_local()
    if tensor.ndim != 0 or tensor.dtype.is_complex or tensor.device.type in _WITHOUT_VALUES:
        raise _no_number(name, value)
    return tensor


def _device_of(value: object) -> str | None:
    """Return the type of device that a torch tensor lies on."""
    loaded = sys.modules.get("torch")
    if loaded is None or not isinstance(value, getattr(loaded, "Tensor", ())):  # it may be half imported
        return None
    tensor: torch.Tensor = value
    return str(tensor.device.type)


def _as_float(value: Number) -> float:
    try:
        return float(value)  # type: ignore[arg-type]  # the caller has looked
    except OverflowError:
        return math.inf if value > 0 else -math.inf  # type: ignore[operator]
    except ValueError:  # a decimal's signalling NaN
        return math.nan


def _no_number(name: str, value: object) -> TypeError:
    shape = getattr(value, "shape", None)
    what = type(value).__name__ + (f" of shape {tuple(shape)}" if shape is not None else "")
    return TypeError(f"metric {name!r} must be one number, not {what}")
