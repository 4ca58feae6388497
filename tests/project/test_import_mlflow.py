"""MLflow's stores as runs: a database and a server of MLflow's own, and a folder as older versions wrote it."""

import math
import os
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from burnish.config.flat import config_values
from burnish.core.errors import RunError
from burnish.core.paths import RunPaths, find_project
from burnish.journal.record import read_record
from burnish.journal.series import load_scalars
from burnish.project.importers import Options, find_runs, import_runs
from burnish.track.artifacts import find_verified

WRITE = """
import sys
from pathlib import Path
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

folder = Path(sys.argv[1])
client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
sft = client.create_experiment("sft", artifact_location=f"file://{folder}/artifacts")
other = client.create_experiment("other", artifact_location=f"s3://bucket/other")
T = 1_700_000_000_000

run = client.create_run(sft, start_time=T, run_name="first", tags={
    "team": "nlp", "pilot": "true", "long": "two words", "mlflow.note.content": "looks good",
    "mlflow.source.name": "train.py", "mlflow.source.git.commit": "c0ffee"})
one = run.info.run_id
values = {"lr": "1e-05", "layers": "4", "tied": "True", "name": "adamw", "none": "None"}
params = [Param(key, value) for key, value in values.items()]
metrics = [Metric("loss", 1 / (n + 1), T + 1000 * n, n) for n in range(3)]
metrics += [Metric("acc", n / 2, T + 1000 * n, n) for n in range(3)]
metrics += [Metric("odd", float("nan"), T, 0), Metric("odd", float("inf"), T, 1), Metric("odd", float("-inf"), T, 2)]
metrics += [Metric("twice", 1.0, T, 5), Metric("twice", 2.0, T, 5)]
client.log_batch(one, metrics=metrics, params=params)
(folder / "model.txt").write_text("weights")
client.log_artifact(one, str(folder / "model.txt"))
client.set_terminated(one, "FINISHED", T + 60_000)
for number, status in enumerate(["FAILED", "KILLED"]):
    child = client.create_run(sft, start_time=T + 1 + number, run_name=f"child {number}",
        tags={"mlflow.parentRunId": one}).info.run_id
    client.log_metric(child, "loss", 5.0 + number, T + 2, 1)
    client.set_terminated(child, status, T + 5)
gone = client.create_run(sft, start_time=T + 9, run_name="gone").info.run_id
client.delete_run(gone)
client.create_run(other, start_time=T + 10, run_name="still running")
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Return the folder of a real store; MLflow takes seconds to make one."""
    pytest.importorskip("mlflow")
    folder = tmp_path_factory.mktemp("store")
    subprocess.run([sys.executable, "-c", WRITE, str(folder)], check=True, capture_output=True, timeout=120)
    return folder


@pytest.fixture
def take(alone):
    """Return a function that imports a store; returns what became of its runs, by their names."""

    def call(path, **options):
        found = find_runs([str(path)], options=Options(**options))
        if found.errors:
            raise found.errors[0]
        return {done.called: done for done in import_runs(found.runs, find_project())}

    return call


def run_of(outcome):
    return RunPaths(find_project().runs / outcome.name)


def points(outcome, name):
    found = load_scalars(run_of(outcome).journals).series(name)
    return list(zip(found.step.tolist(), found.value.tolist(), found.time.tolist(), strict=True))


def test_database_gives_every_run_that_is_not_deleted(take, store):
    found = take(store / "mlflow.db")
    assert {name: (done.experiment, done.state) for name, done in found.items()} == {
        "first": ("sft", "finished"),
        "child 0": ("sft", "failed"),
        "child 1": ("sft", "stopped"),
        "still running": ("other", "lost"),
    }


def test_params_are_config_and_metrics_keep_steps_times_and_what_is_not_finite(take, store):
    first = take(store / "mlflow.db")["first"]
    values = {"lr": 1e-05, "layers": 4, "tied": True, "name": "adamw", "none": None}
    assert config_values(run_of(first).config) == values
    assert points(first, "loss") == [(0, 1.0, 1.7e9), (1, 0.5, 1.7e9 + 1), (2, 1 / 3, 1.7e9 + 2)]
    odd = [value for _, value, _ in points(first, "odd")]
    assert math.isnan(odd[0])
    assert odd[1:] == [math.inf, -math.inf]
    assert sorted(value for _, value, _ in points(first, "twice")) == [1.0, 2.0]
    record = read_record(run_of(first))
    assert (record["started"], record["ended"]) == (1.7e9, 1.7e9 + 60)


def test_tags_note_source_and_files_come_along(take, store):
    first = take(store / "mlflow.db")["first"]
    paths = run_of(first)
    record = read_record(paths)
    assert record["tags"] == ["pilot", "team=nlp"]
    assert sorted(note["text"] for note in record["notes"]) == ["looks good", "tag: long=two words"]
    assert record["command"] == ["train.py"]
    artifact, path = find_verified(paths, "model.txt")
    assert (path.read_text(), artifact.kind) == ("weights", "artifact")
    assert record["artifacts"][0]["name"] == "model.txt"


def test_nested_runs_are_a_sweep_in_one_group(take, store):
    found = take(store / "mlflow.db")
    records = {name: read_record(run_of(done)) for name, done in found.items()}
    parent = records["first"]["imported"]["id"]
    assert records["child 0"]["sweep"] == {"id": parent[:8], "number": 1, "of": 2, "values": {}}
    assert records["child 1"]["sweep"]["number"] == 2
    assert {records[name]["group"] for name in ("first", "child 0", "child 1")} == {f"mlflow {parent[:8]}"}
    assert records["still running"]["group"] == ""


def test_files_that_are_elsewhere_stay_there_and_that_is_said(take, store):
    (warning,) = take(store / "mlflow.db")["still running"].warnings
    assert warning.startswith("its artifacts are not on this machine: s3://bucket/other/")


def test_importing_twice_changes_nothing_and_a_run_that_went_on_is_updated(take, store, tmp_path):
    copy = tmp_path / "copy.db"
    copy.write_bytes((store / "mlflow.db").read_bytes())
    before = take(copy)
    assert {done.outcome for done in take(copy).values()} == {"unchanged"}
    db = sqlite3.connect(copy)
    db.execute("UPDATE runs SET status = 'FINISHED', end_time = 1700000099000 WHERE name = 'still running'")
    db.commit()
    db.close()
    after = take(copy)
    assert {name: done.outcome for name, done in after.items() if done.outcome != "unchanged"} == {
        "still running": "updated"
    }
    assert after["still running"].id == before["still running"].id
    assert read_record(run_of(after["still running"]))["state"] == "finished"


def test_store_is_only_read(take, store):
    before = (store / "mlflow.db").read_bytes()
    take(f"sqlite:///{store}/mlflow.db")
    assert (store / "mlflow.db").read_bytes() == before
    assert sorted(path.name for path in store.iterdir()) == ["artifacts", "mlflow.db", "model.txt"]


def test_one_experiment_can_be_chosen_and_one_that_is_not_there_is_told(take, store):
    assert set(take(store / "mlflow.db", experiments=("other",))) == {"still running"}
    with pytest.raises(RunError) as caught:
        take(store / "mlflow.db", experiments=("sfx",))
    assert (caught.value.message, caught.value.hint) == ("no experiment 'sfx'", "did you mean 'sft'?")


def test_folder_with_a_database_is_found(take, store):
    assert len(take(store)) == 4


def test_database_of_another_tool_is_told(take, tmp_path):
    db = sqlite3.connect(tmp_path / "x.db")
    db.execute("CREATE TABLE t (x)")
    db.commit()
    db.close()
    with pytest.raises(RunError) as caught:
        take(f"sqlite:///{tmp_path}/x.db")
    assert caught.value.message == "no store of MLflow's: it has no table 'experiments'"


def test_folder_of_small_files_is_read_without_mlflow(take, tmp_path):
    run = tmp_path / "mlruns" / "1" / ("ab" * 16)
    for name in ("metrics/eval", "params", "tags", "artifacts"):
        (run / name).mkdir(parents=True)
    (tmp_path / "mlruns" / "1" / "meta.yaml").write_text("experiment_id: '1'\nname: old\nlifecycle_stage: active\n")
    (run / "meta.yaml").write_text(
        "run_name: quiet\nstatus: 3\nstart_time: 1700000000000\nend_time: 1700000009000\nlifecycle_stage: active\n"
    )
    (run / "metrics" / "loss").write_text("1700000001000 0.5 1\n1700000002000 nan 2\n17000")
    (run / "metrics" / "eval" / "acc").write_text("1700000001000 0.75 1\n")
    (run / "params" / "lr").write_text("0.1")
    (run / "tags" / "mlflow.user").write_text("me")
    (run / "artifacts" / "a.txt").write_text("a")
    (done,) = take(tmp_path / "mlruns").values()
    assert (done.experiment, done.called, done.state) == ("old", "quiet", "finished")
    assert points(done, "eval/acc") == [(1, 0.75, 1.7e9 + 1)]
    assert [step for step, _, _ in points(done, "loss")] == [1, 2]
    assert config_values(run_of(done).config) == {"lr": 0.1}
    assert find_verified(run_of(done), "a.txt")[1].read_text() == "a"
    assert [again.outcome for again in take(tmp_path).values()] == ["unchanged"]


@pytest.fixture
def server(store, tmp_path, eventually):
    """Return the address of a real server of the store; other processes than this one stay out of it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    copy = tmp_path / "served.db"
    copy.write_bytes((store / "mlflow.db").read_bytes())
    words = ["--backend-store-uri", f"sqlite:///{copy}", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    environ = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (tmp_path / "server.log").open("wb") as log:
        running = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *words], stdout=log, stderr=log, env=environ, cwd=tmp_path
        )
    address = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: _answers(f"{address}/health"), "the server", 90)
        yield address
    finally:
        running.terminate()
        running.wait(30)


def _answers(address):
    try:
        return urllib.request.urlopen(address, timeout=2).status == 200
    except OSError:
        return False


@pytest.mark.chaos  # a server of MLflow's takes ten seconds of CPU to start
def test_server_gives_the_same_runs_as_its_database(burnish, server, store):
    told = burnish.json("import", server, "--experiment", "sft")["runs"]
    assert sorted((run["source_name"], run["run_state"], run["points"]) for run in told) == [
        ("child 0", "failed", 1),
        ("child 1", "stopped", 1),
        ("first", "finished", 11),
    ]
    again = burnish.json("import", str(store / "mlflow.db"), "--experiment", "sft")["runs"]
    assert {run["id"] for run in again} == {run["id"] for run in told}
    assert {run["state"] for run in again} == {"unchanged"}


def test_server_that_does_not_answer_is_told(burnish):
    burnish.environ |= {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "2"}
    done = burnish("import", "http://127.0.0.1:9")
    assert done.returncode == 1
    assert "error: MLflow does not answer: " in done.stderr
    assert Path(burnish.root).is_dir()
