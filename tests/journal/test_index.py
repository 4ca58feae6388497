import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.core.errors import RunError
from burnish.core.files import write_json
from burnish.core.paths import RunPaths
from burnish.journal.facts import FIELDS
from burnish.journal.index import RunIndex, find_run
from burnish.journal.record import read_record

SUMMARY = {"count": 3, "first": 4.0, "last": 1.5, "min": 1.5, "max": 4.0, "last_step": 2}


def make(runs, name, created=0.0, **more):
    (runs / name).mkdir(parents=True, exist_ok=True)
    write_json(runs / name / "run.json", {"name": name, "created": created, **more})


@pytest.fixture
def runs(tmp_path):
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def index(runs, tmp_path):
    return RunIndex(runs, cache=tmp_path / "cache")


def names(index):
    return [record["name"] for record in index.records()]


def test_records_are_newest_first(runs, index):
    for name, created in (("old", 1.0), ("new", 3.0), ("middle", 2)):
        make(runs, name, created)
    assert names(index) == ["new", "middle", "old"]


def test_changed_record_is_read_again(runs, index):
    make(runs, "a", state="running")
    assert index.records()[0]["state"] == "running"
    make(runs, "a", state="finished")
    assert index.records()[0]["state"] == "finished"


def test_deleted_run_is_no_longer_listed(runs, index):
    make(runs, "a", 1.0)
    make(runs, "b", 2.0)
    assert names(index) == ["b", "a"]
    shutil.rmtree(runs / "b")
    assert names(index) == ["a"]


def test_folder_without_a_record_is_no_run(runs, index):
    (runs / "empty").mkdir()
    (runs / ".hidden").mkdir()
    (runs / "file").touch()
    assert index.records() == []


def test_runs_folder_that_does_not_exist_holds_no_runs(tmp_path):
    assert RunIndex(tmp_path / "nowhere", cache=tmp_path / "cache").records() == []


def test_unreadable_record_is_left_out(runs, index):
    make(runs, "good")
    (runs / "bad").mkdir()
    (runs / "bad" / "run.json").write_text('{"name": "ba')
    assert names(index) == ["good"]


@pytest.mark.parametrize("content", [b"this is no database" * 100, b""])
def test_corrupt_index_is_dropped_and_rebuilt(runs, index, tmp_path, content):
    make(runs, "a")
    index.records()
    (file,) = (tmp_path / "cache").glob("*.sqlite")
    file.write_bytes(content)
    assert names(index) == ["a"]
    assert names(index) == ["a"]
    assert file.read_bytes().startswith(b"SQLite format 3")


@pytest.mark.parametrize("seed", range(20))
def test_bytes_flipped_in_the_index_stop_nobody(runs, index, tmp_path, seed):
    for number in range(20):
        make(runs, f"run{number}", float(number), tags=["a"], summary={"loss": SUMMARY})
    index.records()
    (file,) = (tmp_path / "cache").glob("*.sqlite")
    content, random = bytearray(file.read_bytes()), Random(seed)
    for _ in range(200):
        content[random.randrange(100, len(content))] ^= 1 << random.randrange(8)
    file.write_bytes(content)
    index.records()
    index.read(lambda view: [dict(view.known(view.runs())), view.field("tags")])


def test_cache_that_cannot_be_written_only_costs_time(runs, tmp_path):
    make(runs, "a", 1.0)
    make(runs, "b", 2.0)
    (tmp_path / "cache").write_text("a file where a folder should be")
    assert names(RunIndex(runs, cache=tmp_path / "cache")) == ["b", "a"]


def test_two_runs_folders_have_indexes_of_their_own(tmp_path):
    for which in ("one", "two"):
        make(tmp_path / which, f"run-{which}")
    assert names(RunIndex(tmp_path / "one", cache=tmp_path / "cache")) == ["run-one"]
    assert names(RunIndex(tmp_path / "two", cache=tmp_path / "cache")) == ["run-two"]


@pytest.mark.parametrize("selector", ["k7f2", "20260101_sft_k7f2"])
def test_run_is_found_by_id_and_by_name(runs, selector):
    make(runs, "20260101_sft_k7f2")
    make(runs, "20260101_sft_b2b2")
    assert find_run(runs, selector).root == runs / "20260101_sft_k7f2"


def test_run_is_found_by_path_from_anywhere(runs, tmp_path, monkeypatch):
    make(runs, "20260101_sft_k7f2")
    monkeypatch.chdir(tmp_path)
    for selector in ("runs/20260101_sft_k7f2", str(runs / "20260101_sft_k7f2")):
        assert find_run(tmp_path / "elsewhere", selector).root == runs / "20260101_sft_k7f2"


def test_ambiguous_id_names_the_runs_in_order(runs):
    for name in ("b_k7f2", "c_k7f2", "a_k7f2"):
        make(runs, name)
    with pytest.raises(RunError) as caught:
        find_run(runs, "k7f2")
    assert caught.value.message == "3 runs are called 'k7f2'"
    assert caught.value.hint == "use one of a_k7f2, b_k7f2, c_k7f2"


def test_missing_run_says_where_it_was_looked_for(runs):
    with pytest.raises(RunError) as caught:
        find_run(runs, "zzzz")
    assert caught.value.message == f"no run 'zzzz' in {runs}"
    assert caught.value.hint == "list the runs: burnish ls"


def test_runs_of_one_config_group_are_found_by_it(runs, index):
    for name, created, group in (("a", 1.0, "g1"), ("b", 2.0, "g2"), ("c", 3.0, "g1")):
        make(runs, name, created, config={"hash": name, "group": group})
    assert [record["name"] for record in index.records(group="g1")] == ["c", "a"]
    assert index.records(group="g3") == []


def test_records_of_states_are_chosen_by_the_index(runs, index):
    for name, created, state in (("a", 1.0, "finished"), ("b", 2.0, "running"), ("c", 3.0, "created")):
        make(runs, name, created, state=state)
    assert [record["name"] for record in index.records(states={"running", "created"})] == ["c", "b"]
    assert index.records(states=["lost"]) == []


def test_runs_that_made_and_used_a_content_are_found_by_its_digest(runs, index):
    made = {"role": "made", "name": "model", "sha256": "d1"}
    used = {"role": "used", "name": "start", "sha256": "d1"}
    make(runs, "a", 3.0, artifacts=[made, {"role": "made", "name": "log", "sha256": "d2"}])
    make(runs, "b", 1.0, artifacts=[used])
    make(runs, "c", 2.0, artifacts=[used, "not an artifact", {"name": "no digest"}])
    assert index.artifact_runs("d1") == [("a", "made", "model"), ("b", "used", "start"), ("c", "used", "start")]
    assert index.artifact_runs("d3") == []


def test_artifacts_of_a_run_that_is_gone_are_forgotten(runs, index):
    make(runs, "a", artifacts=[{"role": "made", "name": "model", "sha256": "d1"}])
    assert index.artifact_runs("d1")
    shutil.rmtree(runs / "a")
    assert index.artifact_runs("d1") == []


def test_change_within_one_tick_of_the_clock_is_seen(runs, index):
    """The new file has the size, the time and the inode of the old one."""
    make(runs, "a", experiment="first")
    now = time.time_ns()
    os.utime(runs / "a" / "run.json", ns=(now, now))
    assert index.records()[0]["experiment"] == "first"
    file = runs / "a" / "run.json"
    file.write_text(file.read_text().replace("first", "other"))
    os.utime(file, ns=(now, now))
    assert index.records()[0]["experiment"] == "other"


def test_unchanged_record_is_not_read_again(runs, index):
    make(runs, "a", state="running")
    file = runs / "a" / "run.json"
    os.utime(file, ns=(10**18, 10**18))
    index.records()
    content = file.read_bytes().replace(b"running", b"changed")
    with file.open("r+b") as same:  # the same inode, size and time, long ago: nothing tells it apart
        same.write(content)
    os.utime(file, ns=(10**18, 10**18))
    assert index.records()[0]["state"] == "running"


def config_reader(reads):
    def read(paths):
        reads.append(paths.name)
        return json.loads(paths.config.read_text())

    return read


def column(index, path):
    def look(view):
        names = view.field("name")
        return {names[run]: value for run, value in view.config(path).items()}

    return index.read(look)


def config(runs, name, values, at_ns=10**18):
    (runs / name / "config.yaml").write_text(json.dumps(values))
    os.utime(runs / name / "config.yaml", ns=(at_ns, at_ns))


@pytest.fixture
def reads():
    return []


@pytest.fixture
def configured(runs, tmp_path, reads):
    return RunIndex(runs, cache=tmp_path / "cache", read_config=config_reader(reads))


def test_config_is_read_once_and_only_by_an_index_that_is_asked_for_it(runs, index, configured, reads):
    make(runs, "a")
    config(runs, "a", {"lr": 0.1})
    index.records()
    assert reads == []
    assert column(configured, "lr") == {"a": 0.1}
    assert column(configured, "lr") == {"a": 0.1}
    make(runs, "a", state="running")
    assert column(configured, "lr") == {"a": 0.1}
    assert reads == ["a"]
    assert column(index, "lr") == {"a": 0.1}


def test_config_that_is_written_after_the_record_was_seen_is_read(runs, configured):
    make(runs, "a")
    os.utime(runs / "a" / "run.json", ns=(10**18, 10**18))
    assert column(configured, "lr") == {}
    config(runs, "a", {"lr": 0.1})
    assert column(configured, "lr") == {"a": 0.1}


def test_config_that_changed_with_its_record_takes_the_place_of_the_old_one(runs, configured):
    make(runs, "a")
    config(runs, "a", {"lr": 0.1, "old": 1})
    assert column(configured, "lr") == {"a": 0.1}
    make(runs, "a", state="running")
    config(runs, "a", {"lr": 0.2}, at_ns=2 * 10**18)
    assert column(configured, "lr") == {"a": 0.2}
    assert column(configured, "old") == {}


@pytest.mark.parametrize("content", ["", "[1, 2", "[" * 100_000])
def test_config_that_cannot_be_read_is_none(runs, configured, content):
    make(runs, "a")
    (runs / "a" / "config.yaml").write_text(content)
    assert column(configured, "lr") == {}
    assert names(configured) == ["a"]


HOSTILE = {
    "nested": '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "huge": '{"created": 1' + "0" * 400 + ', "step": 1' + "0" * 30 + "}",
    "nan": '{"created": NaN, "summary": {"a": {"count": 1, "first": NaN, "last": NaN, "min": 1, "max": 1e999, '
    '"last_step": 1}}}',
    "shapes": '{"created": "now", "state": [1], "tags": {"a": 1}, "summary": [1], "artifacts": {"sha256": 1}, '
    '"sinks": [1]}',
    "surrogates": r'{"experiment": "\ud800", "tags": ["\udfff"], "artifacts": [{"sha256": "\ud800"}]}',
    "list": "[1, 2]",
    "nothing": "",
    "bytes": b"\xff\xfe{",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_record_hides_no_other_run(runs, index, name):
    make(runs, "good", 1.0)
    (runs / "bad").mkdir()
    content = HOSTILE[name]
    (runs / "bad" / "run.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    for _ in range(2):
        assert "good" in names(index)
        index.read(lambda view: [dict(view.known(view.runs())), [view.field(field) for field in FIELDS]])


def test_folder_whose_name_is_no_text_is_a_run_like_any_other(runs, index):
    name = os.fsdecode(b"\xff_k7f2")
    make(runs, name, 1.0)
    assert names(index) == [name]
    assert names(index) == [name]


def test_another_process_that_writes_for_long_is_not_waited_for_without_end(runs, index, tmp_path, monkeypatch):
    make(runs, "a", 1.0)
    index.records()
    (file,) = (tmp_path / "cache").glob("*.sqlite")
    monkeypatch.setattr("burnish.journal.index._BUSY_S", 0.05)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        make(runs, "b", 2.0)
        assert names(index) == ["b", "a"]
    assert file.exists()
    assert names(index) == ["b", "a"]


REFRESH = """
import sys
from pathlib import Path
from burnish.journal.index import RunIndex
index = RunIndex(Path(sys.argv[1]), cache=Path(sys.argv[2]))
for _ in range(30):
    for record in index.records():
        assert record["name"], record
"""


def test_several_processes_may_refresh_while_runs_come_change_and_go(runs, index, tmp_path):
    command = [sys.executable, "-c", REFRESH, str(runs), str(tmp_path / "cache")]
    others = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    turn = 0
    while any(other.poll() is None for other in others):
        make(runs, f"run{turn % 17}", float(turn), turn=turn)
        shutil.rmtree(runs / f"run{(turn + 9) % 17}", ignore_errors=True)
        turn += 1
    errors = [other.communicate()[1] for other in others]
    assert [other.returncode for other in others] == [0, 0, 0], errors
    assert index.records() == read_directly(runs)


@pytest.mark.parametrize("lines", [1, 40, 150, 400])
def test_refresh_that_is_killed_midway_leaves_an_index_that_is_completed(runs, index, tmp_path, lines):
    """A tracer kills the process at some line of the writer: between the rows, or between a row and its commit."""
    for number in range(30):
        make(runs, f"run{number}", float(number), summary={"loss": SUMMARY}, turn=0)
    index.records()
    for number in range(30):
        make(runs, f"run{number}", float(number), summary={"loss": SUMMARY}, turn=1)
    command = [sys.executable, "-c", KILLED + REFRESH, str(runs), str(tmp_path / "cache"), str(lines)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert index.records() == read_directly(runs)
    assert {record["turn"] for record in index.records()} == {1}


KILLED = """
import os, signal, sys
left = int(sys.argv[3])
def trace(frame, event, argument):
    global left
    if not frame.f_code.co_filename.endswith("index_writer.py"):
        return None
    left -= event == "line"
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return trace
import burnish.journal.index
sys.settrace(trace)
"""


def read_directly(runs):
    records = [read_record(RunPaths(folder)) for folder in runs.iterdir()]
    shown = sorted((r for r in records if r), key=lambda r: (r["created"], os.fsencode(r["name"])), reverse=True)
    return [json.loads(json.dumps(record)) for record in shown]


numbers = st.integers(-5, 5) | st.floats(allow_nan=False)
some_names = st.sampled_from(["a", "b", "c_d"])
metrics = st.fixed_dictionaries(dict.fromkeys(("count", "first", "last", "min", "max", "last_step"), numbers))
contents = st.fixed_dictionaries(
    {"created": st.floats(0, 3)},
    optional={
        "state": st.sampled_from(["running", "finished"]),
        "step": numbers,
        "pinned": st.booleans(),
        "tags": st.lists(st.text(max_size=3), max_size=2),
        "summary": st.dictionaries(st.text(max_size=3), metrics, max_size=3),
    },
)
changes = st.one_of(
    st.tuples(st.just("write"), some_names, contents),
    st.tuples(st.just("break"), some_names, st.just({})),
    st.tuples(st.just("remove"), some_names, st.just({})),
    st.tuples(st.just("rename"), some_names, st.just({})),
    st.tuples(st.just("look"), some_names, st.just({})),
)


def change(runs, what, name, content):
    folder = runs / name
    if what == "remove":
        shutil.rmtree(folder, ignore_errors=True)
    elif what == "break":
        folder.mkdir(exist_ok=True)
        (folder / "run.json").write_text('{"created": 1')
    elif what == "rename" and folder.exists() and not (runs / "renamed_x").exists():
        folder.rename(runs / "renamed_x")
    elif what == "write":
        make(runs, name, **content)


@given(st.lists(changes, max_size=12))
@settings(max_examples=60, deadline=None)
def test_whatever_happens_to_the_folders_the_index_says_what_they_say(tmp_path_factory, history):
    root = tmp_path_factory.mktemp("index")
    runs = root / "runs"
    runs.mkdir()
    index = RunIndex(runs, cache=root / "cache")
    for what, name, content in history:
        change(runs, what, name, content)
        if what == "look":
            index.records()
    direct = read_directly(runs)
    assert index.records() == direct
    assert index.read(columns_of_runs) == [
        {
            "name": record["name"],
            "step": record.get("step"),
            "pinned": record.get("pinned", False),
            "tags": tuple(record.get("tags", ())),
            **{f"summary.{name}": values["last"] for name, values in record["summary"].items()},
        }
        for record in direct
    ]


def columns_of_runs(view):
    known = {name: view.field(name) for name in ("name", "step", "pinned", "tags")} | dict(view.known(view.runs()))
    return [{name: column[run] for name, column in known.items() if run in column} for run in view.runs()]


def test_whole_name_of_before_a_rename_still_finds_the_run(tmp_path):
    for name in ("20260101_better_k7f2", "20260102_other_k7f2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text("{}")
    assert find_run(tmp_path, "20260101_sft_lr1e-4_k7f2").name == "20260101_better_k7f2"
    with pytest.raises(RunError, match="^no run '20260103_sft_k7f2' in "):
        find_run(tmp_path, "20260103_sft_k7f2")


@pytest.fixture
def three(runs, monkeypatch, tmp_path):
    """Return a folder of three runs, the newest one neither first nor last in the alphabet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name, created in (("20260101_a_aaaa", 2.0), ("20260101_b_bbbb", 3.0), ("20260101_c_cccc", 1.0)):
        make(runs, name, created)
    return runs


@pytest.mark.parametrize(
    ("selector", "found"),
    [("last", "bbbb"), ("last~", "aaaa"), ("last~0", "bbbb"), ("last~1", "aaaa"), ("last~2", "cccc")],
)
def test_last_is_the_newest_run_and_earlier_ones_are_counted_from_it(three, selector, found):
    assert find_run(three, selector).id == found


def test_last_is_the_run_that_is_called_so_where_there_is_one(three):
    make(three, "20250101_a_last", 0.0)
    assert find_run(three, "last").name == "20250101_a_last"
    make(three, "last", 0.0)
    assert find_run(three, "last").name == "last"


def test_last_sees_a_run_that_was_made_a_moment_ago_and_one_that_is_gone(three):
    assert find_run(three, "last").id == "bbbb"
    make(three, "20260102_d_dddd", 4.0)
    assert find_run(three, "last").id == "dddd"
    shutil.rmtree(three / "20260102_d_dddd")
    assert find_run(three, "last").id == "bbbb"


def test_last_of_too_few_runs_is_an_error(three, runs):
    with pytest.raises(RunError) as caught:
        find_run(three, "last~3")
    assert caught.value.message == f"no run 'last~3': there are 3 runs in {runs}"
    for name in ("20260101_a_aaaa", "20260101_c_cccc"):
        shutil.rmtree(runs / name)
    with pytest.raises(RunError, match="^no run 'last~1': there is one run in "):
        find_run(runs, "last~")
    shutil.rmtree(runs / "20260101_b_bbbb")
    with pytest.raises(RunError) as caught:
        find_run(runs, "last")
    assert caught.value.message == f"no runs in {runs}"
    assert caught.value.hint == "start one: burnish run -- python train.py"


@pytest.mark.parametrize("selector", ["lasts", "last~x", "last~-1", "last ~1", "LAST"])
def test_what_only_looks_like_last_is_no_run(three, selector):
    with pytest.raises(RunError, match="^no run '"):
        find_run(three, selector)


@pytest.mark.parametrize(
    ("card", "commit"),
    [
        (b'{"packages": {"a": "1"}, "code": {"commit": "c0ffee"}}', "c0ffee"),
        (b'{"code": ["c0ffee"]}', None),
        (b'{"code": {"commit": 3}}', None),
        (b'["code"]', None),
        (b'{"code": {"com', None),
        (b"\xff\xfe", None),
        (b'{"code": ' + b"[" * 100_000, None),
        (b"", None),
    ],
)
def test_commit_is_read_from_the_card_and_a_broken_card_hides_no_run(runs, index, card, commit):
    make(runs, "a")
    (runs / "a" / "card.json").write_bytes(card)
    assert index.read(lambda view: list(view.field("commit").values())) == [commit]
