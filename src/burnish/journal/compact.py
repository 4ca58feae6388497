"""`metrics.parquet`: the scalars of a finished run, sorted by key and step, small and quick to filter."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from burnish.journal.series import Scalars

_FORMAT = b"1"


def write_parquet(scalars: Scalars, path: Path) -> None:
    """Write scalars as a Parquet file, whole or not at all.

    Columns: key (string), step (int64), time (float64, seconds since the epoch), value (float64),
    rank (int32). Rows are sorted by key, rank, then step, so that row-group statistics find one metric.
    """
    order = np.argsort(np.array(scalars.names, dtype=object)) if scalars.names else np.empty(0, np.int64)
    names = [scalars.names[i] for i in order]
    place = np.empty(len(names), np.int32)
    place[order] = np.arange(len(names), dtype=np.int32)
    key = place[scalars.key] if len(names) else scalars.key
    rows = np.lexsort((scalars.step, scalars.rank, key))
    table = pa.Table.from_arrays(
        [
            pa.DictionaryArray.from_arrays(_column(key[rows], pa.int32()), _strings(names)),
            _column(scalars.step[rows], pa.int64()),
            _column(scalars.time[rows], pa.float64()),
            _column(scalars.value[rows], pa.float64()),
            _column(scalars.rank[rows], pa.int32()),
        ],
        names=["key", "step", "time", "value", "rank"],
    ).replace_schema_metadata({b"burnish.format": _FORMAT})
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        pq.write_table(
            table,
            draft,
            compression="zstd",
            use_dictionary=["key"],
            column_encoding={
                "step": "DELTA_BINARY_PACKED",
                "time": "BYTE_STREAM_SPLIT",
                "value": "BYTE_STREAM_SPLIT",
                "rank": "DELTA_BINARY_PACKED",
            },
            row_group_size=1 << 17,
        )
        with draft.open("rb") as written:  # the record that will say finished is durable, so this must be
            os.fsync(written.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


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
