"""What is sent of replayed points, against an oracle that knows only what was written where."""

import json
import math
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.core.files import make_folder
from burnish.journal import JournalWriter, Kind, Row
from burnish.journal.reader import SYSTEM_RANK, JournalName, RunReader
from burnish.sinks.base import Batch
from burnish.sinks.replayed import Replayed


@dataclass(frozen=True)
class File:
    """A journal file: its attempt, whether it goes on with another, and its entries; a number is a resume record."""

    attempt: int
    continues: bool
    entries: tuple


def write(folder, files, *, rank=0):
    """Write files that were opened one after another."""
    make_folder(folder)
    for number, file in enumerate(files):
        writer = JournalWriter(folder, rank, lambda f=file: {"attempt": f.attempt}, continues=file.continues)
        writer.record(Kind.TEXT, "begin", {"text": "no lifecycle record"})
        for entry in file.entries:
            if isinstance(entry, int):
                writer.record(Kind.LIFECYCLE, "resume", {}, entry)
            else:
                step, values = entry
                writer.row(tuple(values), tuple(values.values()), step, 1e9)
        writer.close()
        (path,) = [path for path in folder.glob("*.journal") if JournalName.parse(path).started_us > 1e12]
        path.rename(folder / str(JournalName(rank, number + 1, 7)))


def send(folder, *, chunk=1 << 20, through_json=False):
    """Return what a sink sends, as often as it does; its state is all that survives a batch where it says so."""
    replayed, sent, reader = Replayed(folder), Counter(), RunReader(folder, chunk_bytes=chunk)
    for file, entries in reader.read():
        if through_json:
            replayed = Replayed(folder, json.loads(json.dumps(replayed.state)))
        batch = Batch(file.path.name, JournalName.parse(file.path).rank, entries, 0, file.offset)
        sent.update(point for entry in entries for point in told(replayed, batch, entry))
    reader.close()
    return sent, replayed.superseded


def told(replayed, batch, entry):
    """Return what is sent of an entry."""
    if isinstance(entry, Row):
        row = replayed.new(batch, entry)
        return [comparable(name, row.step, value) for name, value in zip(row.keys, row.values, strict=True)]
    replayed.take(batch, entry)
    return []


def comparable(name, step, value):
    return name, step, "nan" if math.isnan(value) else value


def expected(files):
    """Return what is to be sent, and which steps were trained again, by what each file says in its turn."""
    sent, superseded, cuts = Counter(), [], {}
    for place, file in enumerate(files):
        cut = cuts.get(file.attempt)
        for at, entry in enumerate(file.entries):
            step = entry if isinstance(entry, int) else entry[0] - 1
            if isinstance(entry, int) or (file.attempt > 1 and not file.continues and file.attempt not in cuts):
                lowest = step if cut is None else min(step, cut[0])
                cut = cuts[file.attempt] = lowest, said(files, place, at, lowest)
                if any(again > step for _, again, _ in cut[1]):
                    superseded.append((step + 1, max(again for _, again, _ in cut[1])))
            if not isinstance(entry, int):
                points = [comparable(name, entry[0], value) for name, value in entry[1].items()]
                sent.update(point for point in points if cut is None or point not in cut[1])
    return sent, superseded


def said(files, place, at, step):
    """Return the points beyond a step that stand before an entry: in files of the attempts up to this one."""
    found = set()
    for number, file in enumerate(files):
        if (file.attempt, number) <= (files[place].attempt, place):
            entries = file.entries[:at] if number == place else file.entries
            rows = [entry for entry in entries if not isinstance(entry, int)]
            found |= {comparable(name, row[0], value) for row in rows for name, value in row[1].items()}
    return {point for point in found if point[1] > step}


VALUES = st.sampled_from([0.0, 1.0, math.nan, math.inf])
ROWS = st.tuples(st.integers(0, 6), st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3))
ENTRIES = st.lists(ROWS | ROWS | ROWS | st.integers(-1, 6), max_size=8).map(tuple)
FILES = st.lists(st.builds(File, st.integers(1, 4), st.booleans(), ENTRIES), max_size=5)


@settings(max_examples=200, deadline=None)
@given(files=FILES, chunk=st.sampled_from([1, 150, 1 << 20]))
def test_what_was_said_before_is_not_sent_again_and_all_else_is(files, chunk, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "journals"
    write(folder, files)
    assert send(folder) == send(folder, chunk=chunk, through_json=True) == expected(files)


def rows(*steps, value=1.0):
    return tuple((step, {"loss": value}) for step in steps)


def steps(sent):
    return sorted(step for _, step, _ in sent.elements())


def test_a_step_that_came_out_the_same_is_sent_once(tmp_path):
    write(tmp_path, [File(1, False, rows(1, 2, 3)), File(2, False, (1, *rows(2, 3, 4)))])
    sent, superseded = send(tmp_path)
    assert steps(sent) == [1, 2, 3, 4]
    assert superseded == [(2, 3)]


def test_a_step_that_came_out_otherwise_is_sent_too(tmp_path):
    write(tmp_path, [File(1, False, rows(1, 2, 3)), File(2, False, (1, *rows(2, 3, value=2.0)))])
    assert steps(send(tmp_path)[0]) == [1, 2, 2, 3, 3]


def test_nan_that_came_out_again_is_sent_once(tmp_path):
    write(tmp_path, [File(1, False, rows(1, 2, value=math.nan)), File(2, False, (0, *rows(1, 2, value=math.nan)))])
    assert steps(send(tmp_path)[0]) == [1, 2]


def test_a_further_file_of_a_resumed_attempt_replays_as_the_first_one_does(tmp_path):
    first, resumed = File(1, False, rows(1, 2, 3, 4)), File(2, False, (1, *rows(2)))
    write(tmp_path, [first, resumed, File(2, True, rows(3, 4, 5))])
    assert steps(send(tmp_path)[0]) == [1, 2, 3, 4, 5]


def test_what_one_attempt_says_twice_is_sent_twice(tmp_path):
    write(tmp_path, [File(1, False, rows(1, 1)), File(1, True, rows(1))])
    assert steps(send(tmp_path)[0]) == [1, 1, 1]


def test_an_older_attempt_whose_clock_was_ahead_is_sent_whole(tmp_path):
    write(tmp_path, [File(2, False, (0, *rows(1, 2, 3))), File(1, False, rows(1, 2))])
    assert steps(send(tmp_path)[0]) == [1, 2, 3]


@pytest.mark.parametrize(("rank", "wanted"), [(SYSTEM_RANK, [1, 1, 1, 2, 2, 2]), (1, [1, 1, 2, 2])])
def test_ranks_replay_by_themselves_and_the_machine_replays_nothing(tmp_path, rank, wanted):
    write(tmp_path, [File(1, False, rows(1, 2)), File(2, False, (0, *rows(1, 2)))])
    write(tmp_path, [File(1, False, rows(1, 2)), File(2, False, rows(1, 2))], rank=rank)
    sent, superseded = send(tmp_path)
    assert steps(sent) == wanted
    assert superseded == [(1, 2)]


def test_a_file_that_is_no_journal_takes_nothing_with_it(tmp_path, caplog):
    write(tmp_path, [File(1, False, rows(1, 2)), File(2, False, (0, *rows(1, 2)))])
    (tmp_path / str(JournalName(0, 1, 9))).write_bytes(b"x" * 100)
    (tmp_path / str(JournalName(0, 2, 9))).mkdir()
    sent, superseded = send(tmp_path)
    assert steps(sent) == [1, 2]
    assert superseded == [(1, 2)]
    assert len(caplog.messages) == 2  # by whoever ships them, once each


def test_a_state_that_begins_in_the_middle_of_a_file_comes_to_the_same(tmp_path):
    write(tmp_path, [File(1, False, rows(*range(50))), File(2, False, (9, *rows(*range(10, 60))))])
    assert send(tmp_path, chunk=1, through_json=True) == send(tmp_path)
    assert steps(send(tmp_path)[0]) == list(range(60))
