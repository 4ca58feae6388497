import json
import math
import struct
import subprocess
import sys
from collections import Counter

import pytest

from burnish.core.files import write_json
from burnish.core.paths import RunPaths
from burnish.journal import JournalReader, JournalWriter, Kind
from burnish.journal.reader import SYSTEM_RANK, JournalName, journal_files
from burnish.sinks import Batch, Gone, Refused

mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")

from burnish.sinks.mlflow import MLflowSink  # noqa: E402
from burnish.sinks.mlflow.sink import _shown, clean_name  # noqa: E402

NAN = float("nan")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of SQLAlchemy, as MLflow uses it


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    """A database that all tests share: making its tables takes seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture
def client(uri):
    return mlflow.MlflowClient(tracking_uri=uri)


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path, "20260101_toy_k7f2", created=hash(str(tmp_path)) % 10**9 + 1e9)


def make_run(root, name, **record):
    paths = RunPaths(root / name)
    for folder in (paths.journals, paths.cursors):
        folder.mkdir(parents=True)
    write_json(paths.state, {"experiment": "toy", "project": str(root), "state": "running", **record})
    return paths


def write(run, rows, *, rank=0, attempt=1, resume=None, records=()):
    writer = JournalWriter(run.journals, rank, lambda: {"attempt": attempt})
    if resume is not None:
        writer.record(Kind.LIFECYCLE, "resume", {}, resume)
    for step, values in rows:
        writer.row(tuple(values), tuple(map(float, values.values())), step, 1e9 + step + attempt / 8)
    for kind, key, payload, step in records:
        writer.record(kind, key, payload, step)
    writer.close()


def ship(run, uri, state=None, *, batch_bytes=1 << 16, close="", **options):
    """Ship what the journals hold beyond a state, and return the state and the sink."""
    sink = MLflowSink(uri=uri, **options)
    offsets, told = (state or {}).get("offsets", {}), (state or {}).get("sink", {})
    sink.open(run, json.loads(json.dumps(told)))
    offsets = dict(offsets)
    for path in journal_files(run.journals):
        reader = JournalReader(path, offsets.get(path.name, 0))
        while entries := reader.read(batch_bytes):
            start = offsets.get(path.name, 0)
            told = sink.ship(Batch(path.name, JournalName.parse(path).rank, entries, start, reader.offset))
            offsets[path.name] = reader.offset
        reader.close()
    if close:
        sink.close(close)
    return json.loads(json.dumps({"offsets": offsets, "sink": told})), sink


def points(client, run_id):
    """Return every point that MLflow has, as often as it has it; NaN by its bits."""
    found = client.get_run(run_id)
    return Counter(
        (name, point.step, point.timestamp, struct.pack("d", point.value))
        for name in found.data.metrics
        for point in client.get_metric_history(run_id, name)
    )


def expected(rows, attempt=1):
    return Counter(
        (name, step, int((1e9 + step + attempt / 8) * 1000), struct.pack("d", float(value)))
        for step, values in rows
        for name, value in values.items()
    )


def test_mlflow_shows_the_points_of_the_journal_nan_included(run, uri, client):
    rows = [(step, {"loss": 1 / (step + 1), "größe": NAN if step == 3 else step}) for step in range(20)]
    write(run, rows)
    state, _ = ship(run, uri, close="finished")
    shown = client.get_run(state["sink"]["run_id"])
    assert points(client, shown.info.run_id) == expected(rows)
    assert (shown.info.status, shown.info.run_name) == ("FINISHED", run.name)
    assert shown.info.start_time == int(json.loads(run.state.read_text())["created"] * 1000)


def test_points_of_the_machine_are_shown_and_those_of_other_ranks_are_not(run, uri, client):
    write(run, [(1, {"loss": 1})])
    write(run, [(2, {"system/cpu": 2})], rank=SYSTEM_RANK)
    write(run, [(3, {"loss": 3})], rank=1)
    state, _ = ship(run, uri)
    assert points(client, state["sink"]["run_id"]) == expected([(1, {"loss": 1}), (2, {"system/cpu": 2})])


@pytest.mark.parametrize("batch_bytes", [200, 1 << 20])
def test_what_is_shipped_twice_is_there_once(run, uri, client, batch_bytes):
    rows = [(step, {"loss": step, "nan": NAN}) for step in range(30)]
    write(run, rows)
    state, _ = ship(run, uri, batch_bytes=batch_bytes)
    again, _ = ship(run, uri, {"offsets": {}, "sink": state["sink"]}, batch_bytes=batch_bytes)
    anew, _ = ship(run, uri, close="finished", batch_bytes=batch_bytes)  # as burnish sync --from-start does
    assert state["sink"]["run_id"] == again["sink"]["run_id"] == anew["sink"]["run_id"]
    assert points(client, state["sink"]["run_id"]) == expected(rows)


def test_run_that_was_made_a_moment_before_a_crash_is_found_again(run, uri, client):
    write(run, [(1, {"loss": 1})])
    _, first = ship(run, uri)
    state, _ = ship(run, uri)
    assert state["sink"]["run_id"] == first._home.run_id


def test_resumed_run_goes_on_and_equal_values_are_not_sent_again(run, uri, client):
    write(run, [(step, {"loss": step}) for step in range(10)])
    state, _ = ship(run, uri, close="failed")
    assert client.get_run(state["sink"]["run_id"]).info.status == "FAILED"
    write(run, [(step, {"loss": step if step < 8 else step + 0.5}) for step in range(6, 12)], attempt=2, resume=5)
    state, _ = ship(run, uri, state, close="finished")
    shown = client.get_run(state["sink"]["run_id"])
    first = expected([(step, {"loss": step}) for step in range(10)])
    again = expected([(step, {"loss": step + 0.5}) for step in range(8, 12)], attempt=2)
    assert points(client, shown.info.run_id) == first + again
    assert shown.data.tags["burnish.superseded"] == "6-9"
    assert shown.info.status == "FINISHED"


def test_run_that_goes_on_is_running_again_at_once(run, uri, client):
    write(run, [(1, {"loss": 1})])
    state, _ = ship(run, uri, close="stopped")
    assert client.get_run(state["sink"]["run_id"]).info.status == "KILLED"
    write(run, [(2, {"loss": 2})], attempt=2, resume=1)
    ship(run, uri, state)
    assert client.get_run(state["sink"]["run_id"]).info.status == "RUNNING"


def test_config_becomes_params_and_words_become_tags(run, uri, client):
    run.config.write_text(
        '{"training": {"lr": 1e-3, "betas": [0.9, 0.99]}, "model@x": null, "on": true, "long": "%s"}' % ("x" * 7000)
    )
    write_json(run.card, {"code": {"commit": "abc", "branch": "main", "remote": "https://host/x"}})
    record = json.loads(run.state.read_text())
    write_json(
        run.state,
        {**record, "tags": ["pilot", "mlflow.user"], "group": "g", "notes": [{"time": 1.0, "text": "a note"}]},
    )
    write(run, [(0, {"loss": 1})])
    state, _ = ship(run, uri, close="finished")
    shown = client.get_run(state["sink"]["run_id"])
    assert {name: value[:20] for name, value in shown.data.params.items()} == {
        "training.lr": "0.001",
        "training.betas": "[0.9, 0.99]",
        "model_at_x": "None",
        "on": "True",
        "long": "x" * 20,
    }
    tags = shown.data.tags
    assert (tags["pilot"], tags["_mlflow.user"], tags["burnish.group"]) == ("true", "true", "g")
    assert (tags["mlflow.source.git.commit"], tags["mlflow.note.content"]) == ("abc", "a note")


def test_config_that_a_script_tells_late_is_sent_with_its_first_points(run, uri, client):
    sink = MLflowSink(uri=uri)
    sink.open(run, {})
    run.config.write_text('{"lr": 1}')
    write(run, [(1, {"loss": 1})])
    (path,) = run.journals.iterdir()
    reader = JournalReader(path)
    state = sink.ship(Batch(path.name, 0, reader.read(), 0, reader.offset))
    reader.close()
    assert client.get_run(state["run_id"]).data.params == {"lr": "1"}


def test_what_mlflow_cannot_hold_is_mapped_and_counted(run, uri, client):
    write(
        run, [(0, {"up": math.inf, "down": -math.inf, "pass@4": 1, "acc[0]": 2, "acc_0_": 3, "../x": 4, "n" * 300: 5})]
    )
    state, _ = ship(run, uri)
    shown = client.get_run(state["sink"]["run_id"]).data.metrics
    largest = 1.7976931348623157e308
    assert (shown["up"], shown["down"], shown["pass_at_4"]) == (largest, -largest, 1)
    assert sorted(shown.values()) == [-largest, 1, 2, 3, 4, 5, largest]
    assert state["sink"]["mapped"] == {"infinity": 2, "name": 4}


def test_names_that_would_meet_stay_apart_over_a_crash(run, uri, client):
    write(run, [(0, {"a_at_b": 1})])
    state, _ = ship(run, uri)
    write(run, [(1, {"a@b": 2, "a_at_b": 3})])
    state, _ = ship(run, uri, state)
    write(run, [(2, {"a@b": 4, "a_at_b": 5})])
    state, _ = ship(run, uri, state)
    run_id = state["sink"]["run_id"]
    shown = {n: [p.value for p in client.get_metric_history(run_id, n)] for n in client.get_run(run_id).data.metrics}
    assert sorted(shown.values()) == [[1, 3, 5], [2, 4]]


def test_point_that_is_logged_twice_in_a_millisecond_is_counted(run, uri, client):
    write(run, [(0, {"loss": 1}), (0, {"loss": 1}), (0, {"loss": 2})])
    state, _ = ship(run, uri)
    assert len(points(client, state["sink"]["run_id"])) == 2
    assert state["sink"]["mapped"] == {"same point in one millisecond": 1}


@pytest.mark.parametrize("name", ["", "/", ".", "..", "a/../b", "a\nb", "\0", "a" * 1000, "損失/é", "./a", "a//", " "])
def test_mlflow_takes_every_cleaned_name(name):
    from mlflow.utils.validation import _validate_metric_name

    _validate_metric_name(clean_name(name))
    assert 0 < len(clean_name(name)) <= 250
    assert clean_name(clean_name(name)) == clean_name(name)


def test_run_that_is_gone_is_told_and_one_that_was_deleted_is_left_alone(run, uri, client):
    write(run, [(0, {"loss": 1})])
    state, _ = ship(run, uri)
    with pytest.raises(Gone, match="^MLflow has no run 0000$"):
        MLflowSink(uri=uri).open(run, {**state["sink"], "run_id": "0000"})
    client.delete_run(state["sink"]["run_id"])
    with pytest.raises(Refused, match=r"was deleted in MLflow \(.*\): restore it there, or burnish sync --from-start$"):
        MLflowSink(uri=uri).open(run, state["sink"])
    anew, _ = ship(run, uri)
    assert anew["sink"]["run_id"] != state["sink"]["run_id"]


def test_experiment_is_the_one_that_is_named(run, uri, client, monkeypatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "by environment")
    write(run, [(0, {"loss": 1})])
    for options, name in (({"experiment": "by option"}, "by option"), ({}, "by environment")):
        state, _ = ship(run, uri, **options)
        shown = client.get_run(state["sink"]["run_id"])
        assert client.get_experiment(shown.info.experiment_id).name == name
    client.delete_experiment(shown.info.experiment_id)
    with pytest.raises(Refused, match=r"^experiment 'by environment' is deleted in MLflow: restore it there, or name"):
        MLflowSink(uri=uri).open(run, {})


def test_runs_of_a_sweep_are_nested_and_the_last_one_ends_it(tmp_path, uri, client):
    states = []
    for number in (1, 2):
        sweep = {"id": "s1", "number": number, "of": 2, "values": {"lr": number}}
        one = make_run(tmp_path, f"20260101_toy_aaa{number}", created=1e9 + number, sweep=sweep)
        write(one, [(0, {"loss": number})])
        states.append(ship(one, uri, experiment="swept")[1])
    parents = {client.get_run(sink._home.run_id).data.tags["mlflow.parentRunId"] for sink in states}
    (parent,) = parents
    assert client.get_run(parent).info.run_name == "sweep s1"
    states[0].close("finished")
    assert client.get_run(parent).info.status == "RUNNING"
    states[1].close("finished")
    assert client.get_run(parent).info.status == "FINISHED"


MAKE = """
import sys, warnings
warnings.simplefilter("ignore")
from pathlib import Path
from burnish.sinks.mlflow.database import make_database
make_database(sys.argv[1], Path(sys.argv[2]))
"""


def test_database_whose_making_was_killed_is_made_whole_by_the_next(tmp_path, eventually):
    place = f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}"
    words = [sys.executable, "-c", MAKE, place, str(tmp_path / "mlruns")]
    killed = subprocess.Popen(words)
    eventually(lambda: [draft for draft in tmp_path.glob("new/.*.tmp") if draft.stat().st_size], "a table is there")
    killed.kill()
    killed.wait()
    assert not (tmp_path / "new" / "mlflow.db").exists()
    both = [subprocess.Popen(words) for _ in range(2)]  # and of two at once
    assert [each.wait() for each in both] == [0, 0]
    assert {path.name for path in tmp_path.glob("new/*")} == {"mlflow.db", ".mlflow.db.lock"}
    assert mlflow.MlflowClient(tracking_uri=place).get_experiment_by_name("Default") is not None


def test_login_of_the_address_is_nowhere_in_the_state(run, uri):
    assert _shown("http://joe:pw@host:5000/a?token=x") == "http://host:5000/a"
    assert _shown("postgresql://joe:pw@host/db?password=x") == "postgresql://host/db"
    assert _shown("sqlite:////a/b@c.db") == "sqlite:////a/b@c.db"


def test_run_is_not_begun_anew_elsewhere_because_another_address_is_set(run, uri, tmp_path):
    write(run, [(0, {"loss": 1})])
    state, _ = ship(run, uri)
    with pytest.raises(
        Refused, match=r"^the run was shipped to sqlite:.* so far, and MLflow is now sqlite:.*other\.db: set"
    ):
        MLflowSink(uri=f"sqlite:///{tmp_path / 'other.db'}").open(run, state["sink"])
    assert not (tmp_path / "other.db").exists()


def test_run_that_is_deleted_while_it_is_shipped_loses_no_point(run, uri, client):
    write(run, [(0, {"loss": 1})])
    state, _ = ship(run, uri)
    sink = MLflowSink(uri=uri)
    sink.open(run, state["sink"])
    client.delete_run(state["sink"]["run_id"])
    write(run, [(1, {"loss": 2})])
    path = journal_files(run.journals)[-1]
    reader = JournalReader(path)
    batch = Batch(path.name, 0, reader.read(), 0, reader.offset)
    reader.close()
    with pytest.raises(Refused, match="was deleted in MLflow"):
        sink.ship(batch)
    client.restore_run(state["sink"]["run_id"])
    ship(run, uri, state)
    assert points(client, state["sink"]["run_id"]) == expected([(0, {"loss": 1}), (1, {"loss": 2})])


def test_files_that_cannot_be_read_are_counted_and_stop_nothing(run, uri, client):
    digest = "ab" * 32
    (run.root / "media").mkdir()
    (run.root / "media" / f"{digest}.json").write_text('{"columns": ["a"], "rows": [[1')
    told = {"columns": ["a"], "row_count": 1, "file": f"media/{digest}.json", "sha256": digest}
    graph = {"type": "graph", "file": f"media/{digest}.json", "sha256": digest}
    picture = {"type": "image", "file": f"media/{'cd' * 32}.png", "sha256": "cd" * 32}
    records = [(Kind.TABLE, "t", told, 1), (Kind.MEDIA, "g", graph, None), (Kind.MEDIA, "p", picture, 1)]
    write(run, [(1, {"loss": 1})], records=records)
    state, _ = ship(run, uri, close="finished")
    assert state["sink"]["mapped"] == {"file that cannot be read": 2, "file that is missing": 1}
    assert points(client, state["sink"]["run_id"]) == expected([(1, {"loss": 1})])
