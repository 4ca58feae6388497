"""Parquet files: `metrics.parquet`, sorted by key and step, small and quick to filter; and what is exported."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from burnish.core.files import draft_of
from burnish.journal.columns import Floats, Integers
from burnish.journal.series import Scalars, Series

ROWS_A_GROUP = 1 << 17
Column = npt.NDArray[np.generic] | tuple[Sequence[str], npt.NDArray[np.int32]] | list[object]

_SCHEMA = pa.schema(
    [
        ("key", pa.dictionary(pa.int32(), pa.string())),
        ("step", pa.int64()),
        ("time", pa.float64()),
        ("value", pa.float64()),
        ("rank", pa.int32()),
    ],
    metadata={b"burnish.format": b"1"},
)
_ENCODING = {
    "step": "DELTA_BINARY_PACKED",
    "time": "BYTE_STREAM_SPLIT",
    "value": "BYTE_STREAM_SPLIT",
    "rank": "DELTA_BINARY_PACKED",
}


def write_parquet(scalars: Scalars, path: Path, each: Callable[[str, int, int, Series], None] | None = None) -> None:
    """Write scalars as a Parquet file, whole or not at all.

    Columns: key (string), step (int64), time (float64, seconds since the epoch), value (float64),
    rank (int32). Rows are sorted by key, rank, then step, so that row-group statistics find one metric.

    Args:
        scalars: What to write.
        path: The file.
        each: Called with name, rank, first row and points of each series that is written.
    """
    draft = draft_of(path)
    try:
        with pq.ParquetWriter(
            draft, _SCHEMA, compression="zstd", use_dictionary=["key"], column_encoding=_ENCODING
        ) as file:
            group = _Group()
            rows = 0
            for name, rank, series in scalars:
                if each is not None:
                    each(name, rank, rows, series)
                rows += len(series)
                for part in group.add(name, rank, series):
                    file.write_table(part, row_group_size=ROWS_A_GROUP)
            if len(group):
                file.write_table(group.table(), row_group_size=ROWS_A_GROUP)
        with draft.open("rb") as written:  # the record that will say finished is durable, so this must be
            os.fsync(written.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


class _Group:
    """Points on their way into row groups of equal size: the place of a row tells its group."""

    def __init__(self) -> None:
        self._parts: list[tuple[str, int, Series]] = []
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def add(self, name: str, rank: int, series: Series) -> Iterator[pa.Table]:
        """Take the points of one metric; yield what fills a row group."""
        start = 0
        while len(series) - start >= ROWS_A_GROUP - self._rows:
            end = start + ROWS_A_GROUP - self._rows
            self._take(name, rank, series, start, end)
            yield self.table()
            self._parts, self._rows, start = [], 0, end
        if start < len(series):
            self._take(name, rank, series, start, len(series))

    def table(self) -> pa.Table:
        """Return the points that it holds."""
        names = list(dict.fromkeys(name for name, _, _ in self._parts))
        places = {name: place for place, name in enumerate(names)}
        sizes = [len(series) for _, _, series in self._parts]
        keys = np.repeat(np.array([places[name] for name, _, _ in self._parts], np.int32), sizes)
        ranks = np.repeat(np.array([rank for _, rank, _ in self._parts], np.int32), sizes)
        columns = [
            pa.DictionaryArray.from_arrays(_column(keys, pa.int32()), _strings(names)),
            _column(np.concatenate([series.step for _, _, series in self._parts]), pa.int64()),
            _column(np.concatenate([series.time for _, _, series in self._parts]), pa.float64()),
            _column(np.concatenate([series.value for _, _, series in self._parts]), pa.float64()),
            _column(ranks, pa.int32()),
        ]
        return pa.Table.from_arrays(columns, schema=_SCHEMA)

    def _take(self, name: str, rank: int, series: Series, start: int, end: int) -> None:
        part = Series(series.step[start:end], series.time[start:end], series.value[start:end])
        self._parts.append((name, rank, part))
        self._rows += end - start


def read_points(path: Path, first: int, last: int) -> tuple[Integers, Floats]:
    """Return steps and values of the rows from `first` to before `last` of a `metrics.parquet`."""
    file = pq.ParquetFile(path)
    groups = list(range(first // ROWS_A_GROUP, (last - 1) // ROWS_A_GROUP + 1)) if last > first else []
    table = file.read_row_groups(groups, columns=["step", "value"])
    skipped = groups[0] * ROWS_A_GROUP if groups else 0
    part = table.slice(first - skipped, last - first)
    return part.column("step").to_numpy(), part.column("value").to_numpy()


def read_metrics(path: Path, is_wanted: Callable[[str], bool], ranks: Sequence[int]) -> dict[str, Series]:
    """Return the points of metrics by name, in order of step.

    Args:
        path: A `metrics.parquet`.
        is_wanted: Chooses metrics by name.
        ranks: Whose points; of a metric that several have, those of the last one.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no Parquet file.
    """
    parts: dict[tuple[str, int], list[Series]] = {}
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            bounds = file.metadata.row_group(group).column(0).statistics
            if bounds is not None and bounds.has_min_max and bounds.min == bounds.max and not is_wanted(bounds.min):
                continue
            table = file.read_row_group(group)
            key = table.column("key").combine_chunks()
            codes, rank = key.indices.to_numpy(), table.column("rank").to_numpy()
            ends = [*(np.flatnonzero((np.diff(codes) != 0) | (np.diff(rank) != 0)) + 1).tolist(), len(codes)]
            names = key.dictionary.to_pylist()
            step, time, value = (table.column(name).to_numpy() for name in ("step", "time", "value"))
            for start, end in zip([0, *ends[:-1]], ends, strict=True):
                if end > start and rank[start] in ranks and is_wanted(name := names[codes[start]]):
                    part = Series(step[start:end], time[start:end], value[start:end])
                    parts.setdefault((name, int(rank[start])), []).append(part)
    return {name: _joined(parts[name, of_rank]) for name, of_rank in sorted(parts)}


def write_columns(batches: Iterable[Mapping[str, Column]], file: BinaryIO) -> None:
    """Write batches of equal columns as a Parquet file.

    Args:
        batches: Columns by name: an array of numbers; texts and the place of each row's among them; or a list of values
            of one kind, None where one is missing. A column's kind is that of the first batch that has any value.
        file: Where to write, from where it stands.
    """
    writer: pq.ParquetWriter | None = None
    for batch in batches:
        table = pa.table({name: _any_column(column) for name, column in batch.items()})
        if writer is None:
            writer = pq.ParquetWriter(file, table.schema, compression="zstd")
        writer.write_table(table.cast(writer.schema))
    if writer is not None:
        writer.close()


# Built from buffers: `pa.array(list)` imports pandas where it is installed, 1.5 s of CPU.


def _column(values: npt.NDArray[np.generic], kind: pa.DataType) -> pa.Array:
    buffer = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(kind, len(values), [None, buffer])


def _strings(values: list[str]) -> pa.Array:
    encoded = [value.encode() for value in values]
    offsets = np.zeros(len(encoded) + 1, np.int32)
    np.cumsum([len(raw) for raw in encoded], out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(encoded), buffers)


def _any_column(column: Column) -> pa.Array:
    if isinstance(column, np.ndarray):
        return _column(column, pa.from_numpy_dtype(column.dtype))
    if isinstance(column, tuple):
        texts, codes = column
        return pa.DictionaryArray.from_arrays(_column(codes, pa.int32()), _strings(list(texts)))
    return pa.array(column, from_pandas=False)


def _joined(parts: list[Series]) -> Series:
    if len(parts) == 1:
        return parts[0]
    return Series(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("step", "time", "value")))
