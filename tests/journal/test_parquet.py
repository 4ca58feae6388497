import math
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.journal import JournalWriter
from burnish.journal.parquet import read_points, write_parquet
from burnish.journal.series import load_scalars

points_lists = st.lists(
    st.tuples(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
        st.integers(-(2**63), 2**63 - 1),
        st.integers(0, 3),
        st.floats(allow_nan=False),
    ),
    max_size=30,
)


def scalars(points):
    """Log points and read them back as what is compacted; the time of each is its number."""
    with tempfile.TemporaryDirectory() as folder:
        writers = {rank: JournalWriter(Path(folder), rank, dict) for rank in range(4)}
        for number, (name, step, rank, value) in enumerate(points):
            writers[rank].row((name,), (value,), step, float(number))
        for writer in writers.values():
            writer.close()
        return load_scalars(Path(folder))


def read(path):
    table = pq.ParquetFile(path).read()
    return [tuple(row[c] for c in ("key", "step", "rank", "value", "time")) for row in table.to_pylist()]


@settings(max_examples=40, deadline=None)
@given(points_lists)
def test_parquet_holds_exactly_the_points_sorted_by_key_rank_and_step(points):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "metrics.parquet"
        write_parquet(scalars(points), path)
        found = read(path)
    every = [(name, step, rank, value, float(i)) for i, (name, step, rank, value) in enumerate(points)]
    assert found == sorted(every, key=lambda p: (p[0], p[2], p[1], p[4]))


def test_nan_and_infinities_survive(tmp_path):
    values = [math.nan, math.inf, -math.inf, -0.0]
    write_parquet(scalars([("x", i, 0, v) for i, v in enumerate(values)]), tmp_path / "m.parquet")
    found = [value for _, _, _, value, _ in read(tmp_path / "m.parquet")]
    assert math.isnan(found[0])
    assert found[1:3] == [math.inf, -math.inf]
    assert math.copysign(1, found[3]) == -1


def test_empty_run_gives_a_table_with_columns_and_no_rows(tmp_path):
    write_parquet(scalars([]), tmp_path / "m.parquet")
    table = pq.ParquetFile(tmp_path / "m.parquet").read()
    assert table.column_names == ["key", "step", "time", "value", "rank"]
    assert table.num_rows == 0


def test_many_keys_are_kept_apart(tmp_path):
    points = [(f"key/{i % 3000}", i, 0, float(i)) for i in range(9000)]
    write_parquet(scalars(points), tmp_path / "m.parquet")
    found = read(tmp_path / "m.parquet")
    assert len(found) == 9000
    assert {(key, step, value) for key, step, _, value, _ in found} == {(k, s, v) for k, s, _, v in points}
    assert [key for key, *_ in found] == sorted(key for key, *_ in found)


def test_each_metric_begins_at_the_row_that_is_told_and_its_points_are_read_from_there(tmp_path, monkeypatch):
    monkeypatch.setattr("burnish.journal.parquet.ROWS_A_GROUP", 64)
    points = [(f"key/{i % 7}", i, i % 2, i / 8) for i in range(2000)]
    begins = {}
    write_parquet(
        scalars(points), tmp_path / "m.parquet", lambda name, rank, row, series: begins.update({(name, rank): row})
    )
    assert pq.ParquetFile(tmp_path / "m.parquet").num_row_groups == 2000 // 64 + 1
    assert len(begins) == 14
    for (name, rank), first in begins.items():
        expected = [(step, value) for key, step, r, value in points if (key, r) == (name, rank)]
        steps, values = read_points(tmp_path / "m.parquet", first, first + len(expected))
        assert list(zip(steps.tolist(), values.tolist(), strict=True)) == expected
    assert [len(part) for part in read_points(tmp_path / "m.parquet", 5, 5)] == [0, 0]


def test_file_says_its_format(tmp_path):
    write_parquet(scalars([("a", 1, 0, 0.5)]), tmp_path / "m.parquet")
    assert pq.read_schema(tmp_path / "m.parquet").metadata[b"burnish.format"] == b"1"


def test_failed_write_keeps_the_old_file_and_leaves_no_draft(tmp_path):
    target = tmp_path / "m.parquet"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(OSError, match="directory"):
        write_parquet(scalars([("a", 1, 0, 0.5)]), target)
    assert [path.name for path in tmp_path.iterdir()] == ["m.parquet"]
    assert (target / "old").exists()


WITHOUT_PANDAS = """
import sys
from pathlib import Path
from burnish.journal import JournalWriter
from burnish.journal.parquet import write_parquet
from burnish.journal.series import load_scalars

folder = Path(sys.argv[1])
writer = JournalWriter(folder, 0, dict)
writer.row(("a", "b"), (0.5, 1.0), 1, 2.0)
writer.close()
write_parquet(load_scalars(folder), folder / "metrics.parquet")
print("pandas" in sys.modules, (folder / "metrics.parquet").stat().st_size > 0)
"""


def test_compaction_never_imports_pandas(tmp_path):
    done = subprocess.run([sys.executable, "-c", WITHOUT_PANDAS, str(tmp_path)], capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == (["False", "True"], "")
