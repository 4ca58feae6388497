"""Tables on their way out: batches of columns written as CSV, as JSON lines or as Parquet, whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, TypeAlias

from burnish.core.errors import StorageError, UsageError
from burnish.core.files import draft_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Format = Literal["parquet", "csv", "json"]


@dataclass(frozen=True, slots=True)
class Labels:
    """A column of text in which few values repeat.

    Attributes:
        names: The values.
        codes: int32, shape (n,): which of them each row has; −1 for none.
    """

    names: Sequence[str]
    codes: npt.NDArray[np.int32]

    def cells(self) -> list[str | None]:
        """Return the value of each row."""
        names = [*self.names, None]
        return [names[code] for code in self.codes.tolist()]


Column: TypeAlias = "Labels | npt.NDArray[np.generic] | list[object]"
"""A list holds values of any kind that JSON has, None where a row has none."""

Batch = dict[str, Column]
"""Columns of equal length by name; all batches of a table have the same ones."""


def write(batches: Iterable[Batch], file: BinaryIO, form: Format) -> None:
    """Write a table. There is at least one batch, which may be empty: it names the columns.

    NaN and infinities are `nan` and `inf` in CSV, text of the same in JSON, which has no such numbers.
    """
    {"csv": _write_csv, "json": _write_json, "parquet": _write_parquet}[form](batches, file)


def _write_csv(batches: Iterable[Batch], file: BinaryIO) -> None:
    for number, batch in enumerate(batches):
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if not number:
            writer.writerow(batch)
        writer.writerows(zip(*(_cells(column, _csv_cell) for column in batch.values()), strict=True))
        file.write(text.getvalue().encode(errors="backslashreplace"))


def _csv_cell(value: object) -> object:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, bool | list | tuple | dict) else value


def _write_json(batches: Iterable[Batch], file: BinaryIO) -> None:
    encode = json.JSONEncoder(ensure_ascii=False).encode
    for batch in batches:
        names = list(batch)
        rows = zip(*(_cells(column, _json_cell) for column in batch.values()), strict=True)
        lines = [encode(dict(zip(names, row, strict=True))) for row in rows]
        file.write("".join(f"{line}\n" for line in lines).encode(errors="backslashreplace"))


def _json_cell(value: object) -> object:
    if isinstance(value, list | tuple):
        return [_json_cell(item) for item in value]
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value


def _cells(column: Column, shown: Callable[[object], object]) -> Iterable[object]:
    if isinstance(column, list):
        return map(shown, column)
    return column.cells() if isinstance(column, Labels) else map(shown, column.tolist())


def _write_parquet(batches: Iterable[Batch], file: BinaryIO) -> None:
    from burnish.journal.parquet import write_columns  # pyarrow takes half a second to load

    write_columns(({name: _typed(column) for name, column in batch.items()} for batch in batches), file)


def _typed(column: Column) -> npt.NDArray[np.generic] | tuple[Sequence[str], npt.NDArray[np.int32]] | list[object]:
    """Return a column whose values are of one kind; what is mixed becomes text."""
    if not isinstance(column, list):
        return (column.names, column.codes) if isinstance(column, Labels) else column
    known = [value for value in column if value is not None]
    if all(isinstance(value, str | bool) for value in known) and len({type(value) for value in known}) <= 1:
        return column
    if all(isinstance(v, int) and not isinstance(v, bool) and -(2**63) <= v < 2**63 for v in known):
        return column
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
        return [None if value is None else _as_float(value) for value in column]
    return [value if value is None or isinstance(value, str) else json.dumps(value) for value in column]


def _as_float(value: object) -> float:
    try:
        return float(str(value))
    except OverflowError:
        return math.inf


def form_of(wanted: str, path: Path | None) -> Format:
    """Return the format of a table: as it is wanted, else by the name of its file, else CSV.

    Raises:
        UsageError: The name of the file tells no format.
    """
    known: dict[str, Format] = {"parquet": "parquet", "csv": "csv", "json": "json", "jsonl": "json", "ndjson": "json"}
    if wanted:
        return known[wanted]
    if path is None:
        return "csv"
    suffix = path.suffix.lstrip(".").lower()
    if suffix not in known:
        raise UsageError(f"{path.name!r} tells no format", hint="add --format parquet, csv or json")
    return known[suffix]


@contextmanager
def replaced(path: Path, *, force: bool) -> Iterator[BinaryIO]:
    """Open a file that takes its name when everything is written; what is no file (a pipe) is written to at once.

    Raises:
        StorageError: There is such a file and it may not be replaced, or it cannot be written.
    """
    if path.exists() and not path.is_file():
        with _told(path), path.open("wb") as file:
            yield file
        return
    if path.exists() and not force:
        raise StorageError(f"{path} exists already", hint="choose another name, or replace it: --force")
    draft = draft_of(path)
    with _told(path):
        try:
            with draft.open("wb") as file:
                yield file
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error


def labels(values: Sequence[str | None]) -> Labels:
    """Return text as a column."""
    import numpy as np

    places: dict[str, int] = {}
    codes = [-1 if value is None else places.setdefault(value, len(places)) for value in values]
    return Labels(list(places), np.array(codes, np.int32))
