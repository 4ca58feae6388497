"""What was written is read back whatever the crash point, and both ways of reading a journal agree on it."""

import math
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from burnish.core.paths import RunPaths
from burnish.journal import JournalReader, JournalWriter, Kind, Row
from burnish.journal.compact import compact
from burnish.journal.reader import RunReader, journal_files
from burnish.journal.series import load_scalars

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["loss", "grad/norm", "a b\nc"]
)
# Few key sets, so that rows of each come again and again, as in training.
key_sets = st.lists(st.lists(names, unique=True, max_size=4).map(tuple), min_size=1, max_size=3)
steps = st.integers(-3, 40) | st.integers(-(2**63), 2**63 - 1)
payloads = st.dictionaries(
    st.text(max_size=5), st.floats(allow_nan=False) | st.text(max_size=9) | st.none(), max_size=3
)


@st.composite
def calls(draw):
    """Return what a process logs: rows of a few key sets, and records among them."""
    sets = draw(key_sets)
    found = []
    for _ in range(draw(st.integers(0, 14))):
        if draw(st.integers(0, 3)):
            keys = draw(st.sampled_from(sets))
            found.append((keys, tuple(draw(st.floats()) for _ in keys), draw(steps)))
        else:
            found.append((draw(st.sampled_from([Kind.TEXT, Kind.LOG, Kind.HISTOGRAM])), draw(names), draw(payloads)))
    return found


def write(folder, logged, attempt=1):
    """Log all of it; return the file, and its size after each call."""
    writer = JournalWriter(folder, 0, lambda: {"attempt": attempt})
    sizes, path = [], None
    for number, (first, second, third) in enumerate(logged):
        if isinstance(first, tuple):
            writer.row(first, second, third, number / 2)
        else:
            writer.record(first, second, third, number)
        path = journal_files(folder)[-1]
        sizes.append(path.stat().st_size)
    writer.close()
    return path, sizes


def bits(value):
    """Return a number so that NaN equals itself, and 0.0 does not equal -0.0."""
    return "nan" if isinstance(value, float) and math.isnan(value) else np.float64(value).tobytes()


def expected(logged):
    return [
        (first, tuple(map(bits, second)), third) if isinstance(first, tuple) else (int(first), second, third)
        for first, second, third in logged
    ]


def entry_by_entry(path):
    """Read a file as rows and records."""
    reader = JournalReader(path)
    entries = reader.read_all()
    reader.close()
    found = [
        (e.keys, tuple(map(bits, e.values)), e.step) if isinstance(e, Row) else (e.kind, e.key, e.payload)
        for e in entries
        if isinstance(e, Row) or e.kind != Kind.LIFECYCLE
    ]
    return found, reader


def points_of_rows(rows):
    """Return the points of each metric, as rows hold them."""
    found = {}
    for keys, values, step in rows:
        for key, value in zip(keys, values, strict=True):
            found.setdefault(key, []).append((step, value))
    return found


def points_of_columns(folder):
    scalars = load_scalars(folder)
    return {
        name: [(step, bits(value)) for step, value in zip(*scalars.of(name), strict=True)] for name in scalars.names
    }


def examples(count, *strategies):
    """Return what `given` returns, for so many examples however long they take."""
    chosen = settings(max_examples=count, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    return lambda test: chosen(given(*strategies)(test))


class Folder:
    """A run directory that is gone after the example."""

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory()
        self.paths = RunPaths(Path(self._folder.name) / "20260101_toy_k7f2")
        self.paths.journals.mkdir(parents=True)
        return self.paths

    def __exit__(self, *error):
        self._folder.cleanup()


def check_cut(logged, data):
    with Folder() as paths:
        path, sizes = write(paths.journals, logged)
        if path is None:
            return
        cut = data.draw(st.integers(0, sizes[-1]))
        raw = path.read_bytes()
        path.write_bytes(raw[:cut])
        found, reader = entry_by_entry(path)
        assert found == expected(logged)[: sum(size <= cut for size in sizes)]
        assert reader.damage == []
        rows = [entry for entry in found if isinstance(entry[0], tuple)]
        assert points_of_columns(paths.journals) == points_of_rows(rows)


def check_damaged(logged, at, size, how):
    with Folder() as paths:
        path, sizes = write(paths.journals, logged)
        if path is None:
            return
        raw = bytearray(path.read_bytes())
        at = 20 + at % max(1, len(raw) - 20)  # behind the file's header
        piece = raw[at : at + size]
        change = {
            "flip": bytes(byte ^ 0x55 for byte in piece),
            "zero": bytes(len(piece)),
            "cut out": b"",
            "insert": bytes(range(size)) + piece,
        }
        raw[at : at + size] = change[how]
        path.write_bytes(raw)
        found, _ = entry_by_entry(path)
        rest = iter(expected(logged))
        assert all(any(entry == whole for whole in rest) for entry in found)  # in order, and nothing else
        rows = [entry for entry in found if isinstance(entry[0], tuple)]
        assert points_of_columns(paths.journals) == points_of_rows(rows)
        untouched = sum(end <= at for end in sizes)
        assert found[:untouched] == expected(logged)[:untouched]
        assert bytes(raw) == path.read_bytes()  # reading repairs nothing


def check_growing(logged, pieces):
    with Folder() as paths:
        path, _ = write(paths.journals, logged)
        if path is None:
            return
        raw = path.read_bytes()
        path.unlink()
        path.touch()
        reader, found = RunReader(paths.journals), []
        for end in (*sorted(piece % (len(raw) + 1) for piece in pieces), len(raw)):
            path.write_bytes(raw[:end])  # the same file, further
            for _, entries in reader.read():
                found += [e for e in entries if isinstance(e, Row) or e.kind != Kind.LIFECYCLE]
        reader.close()
        assert len(found) == len(logged)
        assert [e.step for e in found if isinstance(e, Row)] == [c[2] for c in logged if isinstance(c[0], tuple)]


def check_compacted(processes, as_attempts):
    with Folder() as paths:
        for number, logged in enumerate(processes):
            write(paths.journals, logged, attempt=number + 1 if as_attempts else 1)
        scalars = compact(paths)
        table = pq.read_table(paths.metrics).to_pylist()
        found = {}
        for row in table:
            found.setdefault(row["key"], []).append((row["step"], bits(row["value"])))
        wanted = {name: [(s, bits(v)) for s, v in zip(*scalars.of(name), strict=True)] for name in scalars.names}
        # Parquet holds each metric in order of step; those of one step stay as they were logged.
        assert found == {name: sorted(points, key=lambda p: p[0]) for name, points in wanted.items() if points}


@pytest.mark.parametrize("width", [0, 1, 2, 300])
def test_rows_of_any_width_are_read_alike(tmp_path, width):
    keys = tuple(f"metric/{i}" for i in range(width))
    logged = [(keys, tuple(float(step + i) for i in range(width)), step) for step in range(50)]
    path, _ = write(tmp_path, logged)
    found, _ = entry_by_entry(path)
    assert found == expected(logged)
    assert points_of_columns(tmp_path) == points_of_rows(expected(logged))


# Each of the four for some examples, and for many more.
CUT = calls(), st.data()
DAMAGED = calls(), st.integers(0, 400), st.integers(1, 80), st.sampled_from(["flip", "zero", "cut out", "insert"])
GROWING = calls(), st.lists(st.integers(0, 3000), max_size=5)
COMPACTED = st.lists(calls(), min_size=1, max_size=3), st.booleans()


@examples(150, *CUT)
def test_cut_at_any_byte_both_ways_of_reading_give_the_same_beginning_of_what_was_written(logged, data):
    check_cut(logged, data)


@examples(80, *DAMAGED)
def test_damaged_in_the_middle_both_ways_of_reading_give_the_same_rest(logged, at, size, how):
    check_damaged(logged, at, size, how)


@examples(60, *GROWING)
def test_read_while_it_grows_by_any_pieces_nothing_comes_twice_or_never(logged, pieces):
    check_growing(logged, pieces)


@examples(40, *COMPACTED)
def test_what_is_compacted_is_what_the_journals_hold(processes, as_attempts):
    check_compacted(processes, as_attempts)


@pytest.mark.chaos
@examples(2500, *CUT)
def test_cut_in_many_more_cases(logged, data):
    check_cut(logged, data)


@pytest.mark.chaos
@examples(2000, *DAMAGED)
def test_damaged_in_many_more_cases(logged, at, size, how):
    check_damaged(logged, at, size, how)


@pytest.mark.chaos
@examples(800, *GROWING)
def test_read_while_it_grows_in_many_more_cases(logged, pieces):
    check_growing(logged, pieces)


@pytest.mark.chaos
@examples(600, *COMPACTED)
def test_compacted_in_many_more_cases(processes, as_attempts):
    check_compacted(processes, as_attempts)
