"""CSV and JSON lines as runs: which column is what, and what a careless file holds."""

import json
import math
import os

import pytest

from burnish.core.errors import RunError, UsageError
from burnish.core.paths import RunPaths, find_project
from burnish.journal.record import read_record
from burnish.journal.series import load_scalars
from burnish.project.importers import Failed, Options, find_runs, import_runs


@pytest.fixture
def take(alone):
    """Return a function that imports a file with this content; returns what became of its runs."""

    def call(content, name="log.csv", source=None, **options):
        path = alone / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        os.utime(path, (1.8e9, 1.8e9))
        found = find_runs([str(path)], source, Options(**options))
        if found.errors:
            raise found.errors[0]
        return import_runs(found.runs, find_project())

    return call


def series(outcome, name):
    return load_scalars(RunPaths(find_project().runs / outcome.name).journals).series(name)


def points(outcome, name):
    found = series(outcome, name)
    return dict(zip(found.step.tolist(), found.value.tolist(), strict=True))


def test_columns_of_numbers_are_metrics_and_text_is_counted(take):
    (done,) = take("step,loss,phase,time\n1,2.5,warm,1700000000\n2,nan,train,1700000010\n3,,train,1700000020\n")
    assert list(points(done, "loss")) == [1, 2]
    assert math.isnan(points(done, "loss")[2])
    assert series(done, "loss").time.tolist() == [1.7e9, 1.7e9 + 10]
    assert "left out: 3 × value that is no number (phase)" in done.warnings
    assert (done.metrics, done.points) == (1, 2)


def test_run_begins_and_ends_with_its_first_and_last_point(take):
    (done,) = take("step,loss,timestamp\n1,2.5,2023-11-14T22:13:20\n2,2,2023-11-14 22:13:30+00:00\n")
    record = read_record(RunPaths(find_project().runs / done.name))
    assert (record["started"], record["ended"]) == (1.7e9, 1.7e9 + 10)
    assert record["imported"]["times"] == "recorded"


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
def test_times_may_be_in_any_unit(take, unit):
    (done,) = take(f"step,loss,time\n1,2.5,{1_700_000_000 * unit}\n")
    assert series(done, "loss").time.tolist() == [1.7e9]


def test_times_since_a_start_end_with_the_time_of_the_file(take):
    (done,) = take("step,loss,time\n1,2.5,10\n2,2.5,70\n")
    assert series(done, "loss").time.tolist() == [1.8e9 - 60, 1.8e9]
    assert "times are estimated: the file's own is the end" in done.warnings


def test_seconds_a_step_are_a_metric_not_a_time(take):
    (done,) = take("step,loss,time\n1,2.5,0.35\n2,2.5,0.31\n")
    assert points(done, "time") == {1: 0.35, 2: 0.31}


def test_columns_that_are_called_otherwise_can_be_named(take):
    content = "batch,when,loss\n10,1700000000,1.5\n20,1700000005,1.25\n"
    (done,) = take(content, step="batch", time="when")
    assert points(done, "loss") == {10: 1.5, 20: 1.25}
    assert series(done, "loss").time.tolist() == [1.7e9, 1.7e9 + 5]


def test_column_that_is_not_there_is_told_with_the_nearest(take):
    with pytest.raises(UsageError) as caught:
        take("batch,loss\n1,2\n", step="bacth")
    assert caught.value.message == "no column 'bacth'"
    assert caught.value.hint == "did you mean --step batch?"


def test_rows_without_a_step_are_numbered_and_that_is_said(take):
    (done,) = take("loss\n1.5\n1.25\n")
    assert points(done, "loss") == {0: 1.5, 1: 1.25}
    assert "no column is the step: rows are numbered (--step COLUMN)" in done.warnings


def test_column_that_names_runs_splits_the_file(take):
    rows = [f"{step},{run},{run_loss}\n" for step in range(3) for run, run_loss in (("a", 1.5), ("b\nc", 2.5))]
    content = "step,run,loss\n" + "".join(row.replace("b\nc", '"b\nc"') for row in rows)
    first, second = take(content)
    assert points(first, "loss") == {0: 1.5, 1: 1.5, 2: 1.5}
    assert points(second, "loss") == {0: 2.5, 1: 2.5, 2: 2.5}
    assert [done.outcome for done in take(content)] == ["unchanged", "unchanged"]


def test_runs_of_one_file_that_are_equal_stay_two(take):
    content = "step,run,loss\n1,a,0.5\n1,b,0.5\n"
    first, second = take(content)
    assert first.id != second.id
    assert {done.id for done in take(content)} == {first.id, second.id}


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_any_usual_mark_separates(take, mark):
    (done,) = take(f"step{mark}loss\n1{mark}0.5\n")
    assert points(done, "loss") == {1: 0.5}


def test_marks_of_byte_order_comments_quotes_and_zero_bytes_do_no_harm(take):
    content = '\ufeff# made by hand\n"step","a ""b"""\n1,0.5\n\n2,0.2\x005\n3,1,2,3\n'
    (done,) = take(content)
    assert points(done, 'a "b"') == {1: 0.5, 2: 0.25}
    assert "left out: 1 × line that cannot be read" in done.warnings
    (other,) = take("step,loss\n1,0.5\n".encode("utf-16"), name="utf16.csv")
    assert points(other, "loss") == {1: 0.5}


def test_table_as_tensorboard_downloads_it_is_read(take):
    (done,) = take("Wall time,Step,Value\n1700000000.5,10,0.25\n", name="run-loss.csv")
    assert points(done, "Value") == {10: 0.25}
    assert series(done, "Value").time.tolist() == [1_700_000_000.5]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("step,loss\n", "there are no rows in it"),
        ("step\n1\n", "there is no column of values"),
        ("1,2\n3,4\n", "its first line holds numbers, not names"),
    ],
)
def test_table_without_names_rows_or_values_is_refused(take, content, message):
    with pytest.raises(RunError) as caught:
        take(content)
    assert caught.value.message == message


def test_broken_file_pipe_or_link_among_others_stops_none(take, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    (folder / "good.csv").write_text("step,loss\n1,0.5\n")
    (folder / "bad.csv").write_text("step\n1\n")
    (folder / "nowhere.csv").symlink_to("gone.csv")
    os.mkfifo(folder / "pipe.csv")
    found = find_runs([str(folder)])
    bad, good = import_runs(found.runs, find_project())
    assert isinstance(bad, Failed)
    assert bad.error.message == "there is no column of values"
    assert points(good, "loss") == {1: 0.5}
    assert [error.message for error in find_runs([str(folder / "pipe.csv")]).errors] == [
        "this is neither a file nor a folder"
    ]


def test_json_lines_are_flattened_and_words_for_numbers_kept(take):
    lines = [
        '{"_step": 1, "_timestamp": 1700000000, "train": {"loss": NaN, "acc": "Infinity"}, "done": true}',
        '{"_step": 2, "_timestamp": 1700000001, "train": {"loss": 1.5}, "list": [1, 2], "none": null}',
        '{"_step": 3, "_timestamp": 1700000002, "tr',
    ]
    (done,) = take("\n".join(lines), name="log.jsonl")
    found = points(done, "train/loss")
    assert math.isnan(found[1])
    assert found[2] == 1.5
    assert points(done, "train/acc") == {1: math.inf}
    assert "left out: 1 × line that cannot be read" in done.warnings
    assert "left out: 2 × value that is no number (done, list)" in done.warnings


def test_json_array_and_object_with_a_list_are_tables_too(take):
    rows = [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.25}]
    (array,) = take(json.dumps(rows), name="array.json")
    assert points(array, "loss") == {1: 0.5, 2: 0.25}
    (under,) = take(json.dumps({"history": [{"step": 4, "loss": 0.5}]}), name="under.json")
    assert points(under, "loss") == {4: 0.5}
    (lines,) = take("\n".join(map(json.dumps, [{"step": 5, "loss": 9}, {"step": 6, "loss": 8}])), name="lines.json")
    assert points(lines, "loss") == {5: 9.0, 6: 8.0}


def test_log_of_a_trainer_can_be_read_as_plain_json(take):
    (done,) = take('{"log_history": [{"step": 1, "loss": 0.5}]}', name="x.json", source="jsonl")
    assert points(done, "loss") == {1: 0.5}


def test_file_of_a_telling_name_gives_it_to_the_run_and_another_that_of_its_folder(take, tmp_path):
    (done,) = take("step,loss\n1,0.5\n", name="baseline.csv")
    assert (done.experiment, done.called) == ("baseline", "baseline")
    (tmp_path / "sft-7b").mkdir()
    (other,) = take("step,loss\n1,0.75\n", name="sft-7b/metrics.csv")
    assert other.experiment == "sft-7b"


def test_file_without_times_keeps_its_run_when_it_is_touched(take, tmp_path):
    content = "step,loss\n1,0.5\n"
    (first,) = take(content)
    os.utime(tmp_path / "log.csv", (1.81e9, 1.81e9))
    found = find_runs([str(tmp_path / "log.csv")])
    (second,) = import_runs(found.runs, find_project())
    assert (second.outcome, second.id) == ("unchanged", first.id)
