"""Values of runs beside each other: what kind they are, which comparisons hold, and their order."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from typing import Final

from burnish.journal.facts import Value


def kind_of(value: Value) -> str:
    """Return one of `NOUNS`, or `nothing` for None."""
    return _KINDS[type(value)]


def order(value: Value) -> tuple[int, object] | None:
    """Return what a value is sorted by: numbers first, then truth values, texts and lists; None goes last always."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    kind = kind_of(value)
    return _ORDER.index(kind), str(value) if kind == "list" else value


def _like(compare: Callable[..., bool], kinds: frozenset[str]) -> Callable[[Value, Value], bool]:
    """Return a comparison that is false between unlike things, and for NaN."""

    def compared(left: Value, right: Value) -> bool:
        kind = _KINDS[type(left)]
        if kind != _KINDS[type(right)]:
            return compare is operator.ne and (left is None or right is None)
        # The only values that are not equal to themselves are NaN.
        return kind in kinds and left == left and right == right and compare(left, right)

    return compared


def _is_in(left: Value, right: Value) -> bool:
    if isinstance(right, str):
        return isinstance(left, str) and left in right
    return isinstance(right, tuple) and any(_equal(left, item) for item in right)


def _is_not_in(left: Value, right: Value) -> bool:
    if isinstance(right, str) and not isinstance(left, str):
        return False
    is_nan = isinstance(left, float) and math.isnan(left)
    return isinstance(right, str | tuple) and not is_nan and not _is_in(left, right)


def could_hold(op: ast.cmpop, left: Value, right: Value) -> bool:
    """Return whether a comparison of values of these kinds could ever be true."""
    if isinstance(op, ast.In | ast.NotIn):
        if isinstance(right, str):
            return isinstance(left, str)
        return isinstance(right, tuple) and (not right or any(kind_of(item) == kind_of(left) for item in right))
    return kind_of(left) == kind_of(right) and (isinstance(op, ast.Eq | ast.NotEq) or kind_of(left) in _ORDERED)


_KINDS: Final[dict[type, str]] = {
    int: "number",
    float: "number",
    bool: "truth",
    str: "text",
    tuple: "list",
    type(None): "nothing",
}
NOUNS: Final = {"number": "a number", "truth": "true or false", "text": "a text", "list": "a list"}
_ORDER: Final = ("number", "truth", "text", "list")
_ORDERED: Final = frozenset({"number", "text"})
_EVERY: Final = frozenset(_KINDS.values())
_equal = _like(operator.eq, _EVERY)
COMPARISONS: Final[dict[type[ast.cmpop], Callable[[Value, Value], bool]]] = {
    ast.Eq: _equal,
    ast.NotEq: _like(operator.ne, _EVERY),
    ast.Lt: _like(operator.lt, _ORDERED),
    ast.LtE: _like(operator.le, _ORDERED),
    ast.Gt: _like(operator.gt, _ORDERED),
    ast.GtE: _like(operator.ge, _ORDERED),
    ast.In: _is_in,
    ast.NotIn: _is_not_in,
}
