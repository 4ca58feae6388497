"""What a recorder of the benchmark is, the rows that each is given, and the comparison with what it kept."""

from __future__ import annotations

import struct
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import ClassVar

NAMES = tuple(f"train/metric_{number}" for number in range(10))

Row = dict[str, float]


class Recorder(ABC):
    """Writes rows of scalars into a folder, from one process.

    Attributes:
        files: Which files of the folder hold the rows.
        single_precision: Whether values are kept as 32-bit floats.
    """

    files: ClassVar[str]
    single_precision: ClassVar[bool] = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def log(self, values: Row, step: int) -> None:
        """Record one row; what this has returned from counts as acknowledged."""

    @abstractmethod
    def close(self) -> None:
        """Write out what is held back."""

    @classmethod
    @abstractmethod
    def read(cls, folder: Path) -> Iterator[tuple[int, Row]]:
        """Read back all rows."""

    @classmethod
    def steps(cls, folder: Path) -> set[int]:
        """Return the steps that another process would find at this moment."""
        return {step for step, _ in cls.read(folder)}


def row_of(step: int) -> Row:
    """Return the row of a step: ten values that no other step has."""
    random = Random(step)
    return {name: random.gauss(0.0, 1.0) for name in NAMES}


def whole_rows(kind: type[Recorder], folder: Path) -> int:
    """Compare what a folder holds with what was logged, and return the number of rows.

    Rows are counted from step 0 up to the first that is absent.

    Raises:
        SystemExit: A row holds another value than was logged, or a part of them.
    """
    found = dict(kind.read(folder))
    for step, row in found.items():
        expected = row_of(step)
        if kind.single_precision:
            expected = {name: struct.unpack("f", struct.pack("f", value))[0] for name, value in expected.items()}
        if row != expected:
            sys.exit(f"{kind.__name__} read back another row at step {step}: {row} instead of {expected}")
    return next(step for step in range(len(found) + 1) if step not in found)
