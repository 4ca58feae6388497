"""Points as a tracker shows them, each as often as it is there; NaN equals NaN, and -0.0 is not 0.0."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

Point = tuple[str, int, float]
"""Name, step and value."""
_MOST_TOLD: Final = 5


class Points:
    """Points in any order.

    Args:
        points: Name, step and value of each; one that is there twice counts twice.

    >>> Points([("loss", 1, 0.5), ("loss", 2, float("nan"))]) == Points([("loss", 2, float("nan")), ("loss", 1, 0.5)])
    True
    >>> print(Points([("loss", 1, 0.5)]).difference(Points([("loss", 1, 0.5), ("acc", 1, 1)])))
    1 missing: acc at step 1: 1.0
    """

    def __init__(self, points: Iterable[Point] = ()) -> None:
        self._counts = Counter((name, int(step), repr(float(value))) for name, step, value in points)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Points) and self._counts == other._counts

    __hash__ = None  # type: ignore[assignment]  # it is a bag

    def __len__(self) -> int:
        return self._counts.total()

    def __iter__(self) -> Iterator[Point]:
        return ((name, step, float(value)) for name, step, value in self._counts.elements())

    def __repr__(self) -> str:
        return f"Points({_told(self._counts)})"

    def difference(self, wanted: Points) -> str:
        """Return what is missing here and what is too much; nothing where both are the same."""
        parts = [("missing", wanted._counts - self._counts), ("too many", self._counts - wanted._counts)]
        return "; ".join(f"{counts.total()} {what}: {_told(counts)}" for what, counts in parts if counts)


def _told(counts: Counter[tuple[str, int, str]]) -> str:
    shown = [f"{name if len(name) < 80 else name[:77] + '…'} at step {step}: {value}" for name, step, value in counts]
    return ", ".join([*shown[:_MOST_TOLD], *["…"][: len(shown) > _MOST_TOLD]])
