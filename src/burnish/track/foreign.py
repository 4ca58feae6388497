"""Whose class a value is, told without importing the library: a training process pays only for what it uses."""

from __future__ import annotations


def comes_from(value: object, library: str) -> bool:
    """Tell whether a value's class, or a class above it, is defined in a library such as `"torch"`.

    >>> from decimal import Decimal
    >>> comes_from(Decimal(1), "decimal"), comes_from(1, "decimal")
    (True, False)
    """
    return any(base.__module__.partition(".")[0] == library for base in type(value).__mro__)


def type_name(value: object) -> str:
    """Return how a message names the type of a value: `list`, `numpy.ndarray`, `torch.Tensor`."""
    kind = type(value)
    library = kind.__module__.partition(".")[0]
    return kind.__qualname__ if library == "builtins" else f"{library}.{kind.__qualname__}"
