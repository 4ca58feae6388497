import pytest

from burnish.analyze.history import histories, history
from burnish.analyze.query import Query, find
from burnish.core.errors import UsageError
from burnish.core.files import write_json
from burnish.journal import JournalWriter


@pytest.fixture
def runs(tmp_path):
    """Return a folder of two runs: tokens are counted now and then, the loss of each step is logged."""
    for number, name in enumerate(("20260101_a_aaaa", "20260102_b_bbbb")):
        journals = tmp_path / "runs" / name / "journal"
        journals.mkdir(parents=True)
        write_json(journals.parent / "run.json", {"created": float(number), "state": "running"})
        writer = JournalWriter(journals, 0, dict)
        for step in range(4):
            values = {"train/loss": number + step / 10} | ({"tokens": 100.0 * step} if step in (1, 3) else {})
            writer.row(tuple(values), tuple(values.values()), step, 50.0 - step)
        writer.close()
    return tmp_path / "runs"


@pytest.fixture
def run(runs):
    return runs / "20260101_a_aaaa"


def test_history_is_a_row_a_point_in_order_of_metric_and_step(run):
    table = history(run)
    assert table[0] == {"metric": "tokens", "step": 1, "time": 49.0, "value": 100.0}
    assert table.columns["metric"] == ["tokens"] * 2 + ["train/loss"] * 4
    assert table.columns["step"] == [1, 3, 0, 1, 2, 3]
    assert repr(table).splitlines()[-1] == "6 points"


def test_metrics_are_chosen_by_name_and_pattern(run):
    assert set(history(run, "tokens").columns["metric"]) == {"tokens"}
    assert set(history(run, ["train/*"]).columns["metric"]) == {"train/loss"}
    assert set(history(run, ["tokens", "t*/loss"]).columns["metric"]) == {"tokens", "train/loss"}


def test_along_time_points_are_in_order_of_time(run):
    assert history(run, ["train/loss"], axis="time").columns["time"] == [47.0, 48.0, 49.0, 50.0]


def test_along_a_metric_each_point_has_its_last_value(run):
    table = history(run, ["train/loss"], axis="tokens")
    assert list(table.columns) == ["metric", "step", "time", "value", "tokens"]
    assert table.columns["tokens"] == [None, 100.0, 100.0, 300.0]
    assert set(table.columns["metric"]) == {"train/loss"}


def test_metric_that_is_called_as_another_column_is_an_axis_beside_it(tmp_path):
    (tmp_path / "20260101_a_aaaa" / "journal").mkdir(parents=True)
    writer = JournalWriter(tmp_path / "20260101_a_aaaa" / "journal", 0, dict)
    writer.row(("value", "loss"), (7.0, 1.5), 0, 50.0)
    writer.close()
    assert history(tmp_path / "20260101_a_aaaa", "loss", axis="value").rows() == [
        {"metric": "loss", "step": 0, "time": 50.0, "value": 1.5, "value (axis)": 7.0}
    ]


def test_along_its_own_axis_each_metric_is_where_the_run_said(run):
    said = {"*": "time", "train/*": "tokens", "tokens": "step", "other": "absent"}
    record = {"created": 0.0, "state": "running", "metrics": {name: {"axis": axis} for name, axis in said.items()}}
    write_json(run / "run.json", record)
    table = history(run, axis=None)
    assert list(table.columns) == ["metric", "step", "time", "value", "axis", "x"]
    assert table.columns["axis"] == ["step"] * 2 + ["tokens"] * 4
    assert table.columns["x"] == [1, 3, None, 100.0, 100.0, 300.0]
    write_json(run / "run.json", {**record, "metrics": {"train/loss": {"axis": "time"}}})
    assert history(run, "train/*", axis=None).columns["x"] == [47.0, 48.0, 49.0, 50.0]
    write_json(run / "run.json", {**record, "metrics": {"train/loss": {"axis": "absent", "best": 3}, "x": "broken"}})
    assert history(run, ["train/loss"], axis=None).columns["x"] == [None] * 4
    write_json(run / "run.json", {"created": 0.0, "state": "running"})
    assert history(run, ["train/loss"], axis=None).columns["axis"] == ["step"] * 4


def test_axes_of_each_run_are_its_own(runs):
    folders = sorted(runs.iterdir())
    said = {"train/loss": {"axis": "tokens"}}
    write_json(folders[1] / "run.json", {"created": 1.0, "state": "running", "metrics": said})
    table = histories(folders, "train/loss", axis=None)
    assert list(table.columns) == ["run", "metric", "step", "time", "value", "axis", "x"]
    assert table.columns["axis"] == ["step"] * 4 + ["tokens"] * 4


def test_points_show_their_time_as_people_read_it(run):
    assert repr(history(run, "train/loss")).splitlines()[1] == "train/loss     0  1970-01-01 00:00:50Z      0"


@pytest.mark.parametrize("asked", [{"metrics": ["train/los"]}, {"axis": "train/los"}])
def test_metric_that_a_run_does_not_have_is_an_error_with_the_nearest_one(run, asked):
    with pytest.raises(UsageError) as caught:
        history(run, **asked)
    assert caught.value.message == "run aaaa has no metric 'train/los'"
    assert caught.value.hint == "did you mean 'train/loss'?"


def test_metric_that_one_of_several_runs_has_is_no_error(runs):
    folders = sorted(runs.iterdir())
    assert len(histories(folders, ["train/loss"])) == 8
    with pytest.raises(UsageError, match=r"^none of these runs has the metric 'x/y'$"):
        histories(folders, ["x/y"])


def test_history_of_found_runs_has_their_names_in_front(runs, tmp_path):
    found = find(runs, Query(sort="created", columns=("id",)), cache=tmp_path / "cache").runs
    table = found.history(["train/loss"])
    assert list(table.columns) == ["run", "metric", "step", "time", "value"]
    assert table.columns["run"] == ["20260101_a_aaaa"] * 4 + ["20260102_b_bbbb"] * 4
    assert table.polars().shape == (8, 5)


def test_history_of_no_runs_is_empty(tmp_path):
    assert histories([], ["train/loss"]).columns == {"run": [], "metric": [], "step": [], "time": [], "value": []}
