import shutil

import pytest

from burnish.core.errors import RunError
from burnish.core.files import write_json
from burnish.journal.index import RunIndex, find_run


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
