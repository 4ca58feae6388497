"""`metrics.parquet`: the scalars of a finished run, sorted by key and step, small and quick to filter."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from burnish.core.paths import RunPaths
from burnish.journal.columns import Floats, Integers
from burnish.journal.pyramid_file import PyramidWriter
from burnish.journal.series import Scalars, Series, load_scalars

ROWS_A_GROUP = 1 << 17

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


def compact(run: RunPaths) -> Scalars:
    """Write `metrics.parquet` and `metrics.pyramid` of a run; return the scalars.

    Raises:
        OSError: One of them cannot be written; the journals hold everything still.
    """
    scalars = load_scalars(run.journals)
    # The pyramids of an earlier end point into its Parquet file.
    run.pyramid.unlink(missing_ok=True)
    with PyramidWriter(run.pyramid) as pyramids:
        write_parquet(scalars, run.metrics, pyramids.add)
    return scalars


def write_parquet(scalars: Scalars, path: Path, each: Callable[[str, int, int, Series], None] | None = None) -> None:
    """Write scalars as a Parquet file, whole or not at all.

    Columns: key (string), step (int64), time (float64, seconds since the epoch), value (float64),
    rank (int32). Rows are sorted by key, rank, then step, so that row-group statistics find one metric.

    Args:
        scalars: What to write.
        path: The file.
        each: Called with name, rank, first row and points of each series that is written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
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
