"""The W&B sink's log, read by W&B's own reader."""

import json
import math
import resource
import shutil
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from burnish.core.files import write_json
from burnish.core.paths import RunPaths
from burnish.journal import JournalWriter, Kind, Row
from burnish.journal.annotations import annotate
from burnish.journal.reader import SYSTEM_RANK, JournalName, JournalReader, journal_files
from burnish.sinks.base import MAPPED, WHERE, Batch, Gone, Refused
from burnish.sinks.wandb import WandbSink
from burnish.track.artifacts import store_artifact
from burnish.track.blobs import store_blob
from burnish.track.histogram import histogram
from burnish.track.image import encode_image
from burnish.track.table import table, table_payload

CREATED = 1_750_000_000.5
INFINITY = float("inf")
NOTES = [{"time": CREATED, "text": "one"}, {"time": CREATED + 1, "text": "two"}]


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "project")


def make_run(project, name="20260101_toy_k7f2", **more):
    paths = RunPaths(project / ".burnish" / "runs" / name)
    for folder in (paths.journals, paths.cursors):
        folder.mkdir(parents=True)
    record = {"created": CREATED, "experiment": "toy", "project": str(project), "command": ["toy", "--lr", "1"]}
    write_json(paths.state, {**record, "state": "running", "attempts": [], **more})
    return paths


def attempt(run, number, steps, *, resume=None, rank=0):
    """Write a journal with values of every kind that a tracker may stumble over."""
    writer = JournalWriter(run.journals, rank, lambda: {"attempt": number})
    if resume is not None:
        writer.record(Kind.LIFECYCLE, "resume", {}, resume)
    for step in steps:
        odd = [step / 7, math.nan, INFINITY, -INFINITY, 1e300, -5e-324, -0.0, 1e16][step % 8]
        writer.row(("loss", "größe/a.b"), (odd, number * step / 3), step, CREATED + step)
        if step % 5 == 0:
            writer.row(("eval/score",), (number * step / 11,), step, CREATED + step + 0.25)
    writer.close()


def batches(run, size=1 << 20):
    """Return every batch of a run."""
    found = []
    for path in journal_files(run.journals):
        reader = JournalReader(path)
        start = -1
        while reader.offset != start:
            start = reader.offset
            if entries := reader.read(size):
                found.append(Batch(path.name, JournalName.parse(path).rank, entries, start, reader.offset))
        reader.close()
    return found


def again(state):
    """Return a state as it comes back from its file."""
    return json.loads(json.dumps(state, allow_nan=False))


def ship(run, state=None, *, close="finished", seen=(), size=1 << 20, **options):
    """Ship what a run holds beyond the batches that were seen."""
    sink = WandbSink(**options)
    sink.open(run, again(state or {}))
    done = {(batch.journal, batch.end) for batch in seen}
    for batch in batches(run, size):
        if (batch.journal, batch.end) not in done:
            state = again(sink.ship(batch))
    if close:
        sink.close(close)
    return state


def logs(run):
    return sorted((run.root / "wandb").glob("*/*.wandb"))


def read(log):
    """Return the records of a log as W&B's own reader shows them, without kinds."""
    core = Path(find_spec("wandb").submodule_search_locations[0]) / "bin" / "wandb-core"
    command = [core, "leet", "inspect", "--no-observability", "--json", "--run-file", log, log.parent]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert shown.stderr == ""
    return [json.loads(line) for line in shown.stdout.splitlines()]


def of_kind(run, kind):
    return [record[kind] for log in logs(run) for record in read(log) if record["type"] == kind]


def history(run):
    return [record["item"] for record in of_kind(run, "history")]


def comparable(value):
    return "nan" if math.isnan(float(value)) else float(value)


def points(run):
    """Return name, step and value of each point at W&B."""
    found = Counter()
    for row in history(run):
        for name, value in row.items():
            is_part = f"{name.rpartition('.')[0]}._type" in row
            if not name.startswith("_") and name != "step" and not is_part:
                found[name, row["step"], comparable(value)] += 1
    return found


def journal_points(run):
    found = Counter()
    for batch in batches(run):
        for entry in batch.entries:
            if isinstance(entry, Row) and batch.rank in (0, SYSTEM_RANK):
                for name, value in zip(entry.keys, entry.values, strict=True):
                    found[name, entry.step, comparable(value)] += 1
    return found


def summary(run):
    whole = {}
    for record in of_kind(run, "summary"):
        whole |= record["update"]
    return whole


@pytest.mark.parametrize("chunk", [700, 5_000, 1 << 20])
def test_w_and_b_reads_the_points_of_the_journal(run, chunk):
    attempt(run, 1, range(1500))
    attempt(run, 1, range(40), rank=SYSTEM_RANK)
    state = ship(run, size=chunk)
    assert points(run) == journal_points(run)
    assert [row["_step"] for row in history(run)] == list(range(state["rows"]))
    assert state[MAPPED] == {}
    assert run.root.parent / state[WHERE] == logs(run)[0].parent


def test_rows_hold_the_times_of_the_journal(run):
    attempt(run, 1, range(3))
    ship(run)
    assert [(row["step"], row["_timestamp"], row["_runtime"]) for row in history(run)] == [
        (0, CREATED, 0),
        (0, CREATED + 0.25, 0.25),
        (1, CREATED + 1, 1),
        (2, CREATED + 2, 2),
    ]


def test_sink_that_died_at_any_batch_tells_each_point_once(run):
    size = 700
    attempt(run, 1, range(60))
    every = batches(run, size)
    assert len(every) > 5
    state, known = {}, 0
    for place in range(len(every)):
        sink = WandbSink()
        sink.open(run, again(state))
        for batch in every[known : known + 3]:  # the states of the last two are lost with the process
            told = again(sink.ship(batch))
            if batch is every[known]:
                kept = told
        state, known = kept, place + 1
    ship(run, state, seen=every, size=size)
    assert points(run) == journal_points(run)
    assert len(logs(run)) == 1


def test_half_a_record_beyond_what_is_vouched_for_is_cut_off(run):
    size = 700
    attempt(run, 1, range(60))
    first, *_ = every = batches(run, size)
    sink = WandbSink()
    sink.open(run, {})
    state = sink.ship(first)
    (log,) = logs(run)
    with log.open("ab") as file:
        file.write(b"\x13\x37" * 50_000)
    ship(run, state, seen=every[:1], size=size)
    assert points(run) == journal_points(run)


@pytest.mark.parametrize("harm", ["deleted", "folder deleted", "truncated", "replaced"])
def test_log_that_is_not_what_was_written_is_gone_then_written_anew_once(run, harm):
    attempt(run, 1, range(60))
    state = ship(run)
    (log,) = logs(run)
    if harm == "deleted":
        log.unlink()
    elif harm == "folder deleted":
        shutil.rmtree(log.parent)
    elif harm == "truncated":
        log.write_bytes(log.read_bytes()[:1000])
    else:
        log.write_bytes(bytes(log.stat().st_size))
    with pytest.raises(Gone, match="run-20260101_toy_k7f2.wandb"):
        WandbSink().open(run, again(state))
    ship(run, {})
    assert points(run) == journal_points(run)
    assert len(logs(run)) == 1


@pytest.mark.parametrize("harm", ["deleted", "truncated", "replaced"])
def test_log_that_is_harmed_under_a_sink_is_gone(run, harm):
    attempt(run, 1, range(60))
    first, second, *_ = batches(run, 700)
    sink = WandbSink()
    sink.open(run, {})
    sink.ship(first)
    (log,) = logs(run)
    if harm == "replaced":
        shutil.copy(log, log.with_suffix(".copy"))
        log.with_suffix(".copy").replace(log)
    elif harm == "deleted":
        log.unlink()
    else:
        log.write_bytes(b"")
    with pytest.raises(Gone):
        sink.ship(second)


def test_full_disk_loses_and_doubles_nothing(run):
    size = 20_000
    attempt(run, 1, range(900))
    first, second, *_ = every = batches(run, size)
    sink = WandbSink()
    sink.open(run, {})
    sink.ship(first)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (logs(run)[0].stat().st_size + 1000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            sink.ship(second)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    state = sink.ship(second)
    ship(run, state, seen=every[:2], size=size)
    assert points(run) == journal_points(run)


def test_folder_that_cannot_be_made_is_an_error_until_it_can(run):
    attempt(run, 1, range(6))
    (run.root / "wandb").write_text("in the way")
    with pytest.raises(OSError, match="wandb"):
        ship(run)
    (run.root / "wandb").unlink()
    ship(run)
    assert points(run) == journal_points(run)


def test_resumed_run_that_nobody_uploaded_goes_on_in_its_log(run):
    attempt(run, 1, range(10))
    seen = batches(run)
    state = ship(run, close="stopped")
    assert [record["exit_code"] for record in of_kind(run, "exit")] == [255]
    attempt(run, 2, range(10, 20))
    ship(run, state, seen=seen)
    assert points(run) == journal_points(run)
    assert [record["type"] for record in read(logs(run)[0])][-1] == "exit"
    assert [record["exit_code"] for record in of_kind(run, "exit")] == [0]


def test_resumed_run_that_was_uploaded_goes_on_in_a_second_log_of_the_same_run(run):
    attempt(run, 1, range(10))
    seen = batches(run)
    state = ship(run, close="stopped")
    uploaded = logs(run)[0]
    content = uploaded.read_bytes()
    uploaded.with_name(uploaded.name + ".synced").touch()
    attempt(run, 2, range(10, 13))
    ship(run, state, seen=seen)
    first, second = logs(run)
    assert (first, first.read_bytes()) == (uploaded, content)
    told = [next(record["run"] for record in read(log) if record["type"] == "run") for log in (first, second)]
    assert told[0]["run_id"] == told[1]["run_id"]
    assert told[0]["start_time"] < told[1]["start_time"]
    assert points(run) == journal_points(run)
    assert [row["_step"] for row in history(run)] == list(range(len(history(run))))
    held = {}
    for record in read(second):
        held |= record["summary"]["update"] if record["type"] == "summary" else {}
    assert held["eval/score"] == summary(run)["eval/score"]


def test_log_that_was_uploaded_under_a_sink_is_followed_by_a_second(run):
    attempt(run, 1, range(60))
    first, second, third, *_ = every = batches(run, 700)
    sink = WandbSink()
    sink.open(run, {})
    sink.ship(first)
    (log,) = logs(run)
    log.with_name(log.name + ".synced").touch()
    sink.ship(second)
    state = sink.ship(third)
    ship(run, state, seen=every[:3], size=700)
    assert len(logs(run)) == 2
    assert points(run) == journal_points(run)


def test_second_log_that_a_crash_cut_off_is_begun_anew(run):
    attempt(run, 1, range(10))
    seen = batches(run)
    state = ship(run)
    first = logs(run)[0]
    first.with_name(first.name + ".synced").touch()
    attempt(run, 2, range(10, 13))
    ship(run, state, seen=seen, close="")
    ship(run, state, seen=seen)  # the first try's state was lost
    assert len(logs(run)) == 2
    assert points(run) == journal_points(run)


def test_shipping_from_the_start_replaces_all_logs(run):
    attempt(run, 1, range(10))
    seen = batches(run)
    state = ship(run)
    logs(run)[0].with_name(logs(run)[0].name + ".synced").touch()
    attempt(run, 2, range(10, 13))
    ship(run, state, seen=seen)
    ship(run, {})
    assert len(logs(run)) == 1
    assert not list((run.root / "wandb").glob("*/*.synced"))
    assert points(run) == journal_points(run)


def test_replayed_points_are_told_where_they_differ_and_the_run_says_so(run):
    writer = JournalWriter(run.journals, 0, lambda: {"attempt": 1})
    for step in range(8):
        writer.row(("loss", "lr"), (step / 2, 0.1), step, CREATED + step)
    writer.close()
    seen = batches(run)
    state = ship(run)
    writer = JournalWriter(run.journals, 0, lambda: {"attempt": 2})
    writer.record(Kind.LIFECYCLE, "resume", {}, 3)
    for step in range(4, 10):
        writer.row(("loss", "lr"), (step / 2 + (step == 6), 0.1), step, CREATED + 10 + step)
    writer.close()
    state = ship(run, state, seen=seen)
    assert [(row["step"], row.get("loss"), row.get("lr")) for row in history(run)] == [
        *((step, step / 2, 0.1) for step in range(8)),
        (6, 4, None),
        (8, 4, 0.1),
        (9, 4.5, 0.1),
    ]
    assert of_kind(run, "run")[-1]["tags"] == ["superseded"]
    assert of_kind(run, "config")[-1]["update"]["burnish"]["superseded"] == [[4, 7]]


def test_metrics_are_drawn_over_the_step_or_what_step_metric_said(run):
    writer = JournalWriter(run.journals, 0, lambda: {"attempt": 1})
    for pattern, axis, best in (("eval/*", "tokens", "max"), ("*/loss", "time", "min"), ("tokens", "tokens", "")):
        writer.record(Kind.LIFECYCLE, "metric", {"pattern": pattern, "axis": axis, "best": best})
    for step in range(4):
        writer.row(("train/loss", "tokens"), ([3.0, math.nan, 1.0, 2.0][step], step * 100.0), step, CREATED + step)
    writer.row(("eval/acc",), (0.9,), 3, CREATED + 4)
    writer.row(("eval/acc",), (0.8,), 3, CREATED + 5)
    writer.close()
    ship(run)
    told = [{**record, "options": None} for record in of_kind(run, "metric")]
    assert told == [
        {"name": "step", "options": None},
        {"glob_name": "*", "step_metric": "step", "options": None},
        {"name": "train/loss", "step_metric": "_timestamp", "summary": {"min": True, "last": True}, "options": None},
        {"name": "eval/acc", "step_metric": "tokens", "summary": {"max": True, "last": True}, "options": None},
    ]
    assert [row["tokens"] for row in history(run) if "eval/acc" in row] == [300, 300]
    assert summary(run)["eval/acc"] == {"max": 0.9, "last": 0.8}
    assert summary(run)["train/loss"] == {"min": 1, "last": 2}


def test_names_that_w_and_b_keeps_for_itself_get_a_prefix_and_are_counted(run):
    writer = JournalWriter(run.journals, 0, lambda: {"attempt": 1})
    writer.row(("step", "_step", "", "metric/step", "loss"), (7.0, 8.0, 9.0, 10.0, 11.0), 3, CREATED)
    writer.close()
    state = ship(run)
    (row,) = history(run)
    assert (row["step"], row["_step"], row["loss"]) == (3, 0, 11)
    assert sorted(value for name, value in row.items() if name.startswith("metric/")) == [7, 8, 9, 10]
    assert state[MAPPED] == {"metric names": 4}


def test_rows_of_other_ranks_are_counted(run):
    attempt(run, 1, range(2))
    attempt(run, 1, range(1, 4), rank=3)
    state = ship(run)
    assert points(run) == journal_points(run)
    assert state[MAPPED] == {"rows of other ranks": 3}


def record_everything(run):
    """Record one thing of each kind."""
    writer = JournalWriter(run.journals, 0, lambda: {"attempt": 1})
    writer.row(("loss",), (1.0,), 4, CREATED)
    writer.record(Kind.HISTOGRAM, "weights/a", histogram(np.arange(100.0)), 4)
    writer.record(Kind.HISTOGRAM, "weights/b", histogram([*range(1500), math.nan], bins=1500), 4)
    writer.record(Kind.TABLE, "samples", table_payload(run.root, *table([{"prompt": "2+2", "score": 0.5}])), 4)
    big = table([{"prompt": "x" * 400_000, "score": None}])
    writer.record(Kind.TABLE, "big", table_payload(run.root, *big), 4)
    image = encode_image(np.zeros((4, 6, 3), np.uint8))
    blob = store_blob(run.root, image.content, image.suffix)
    size = {"bytes": blob.bytes, "width": image.width, "height": image.height}
    told = {"type": "figure", "file": blob.file, "sha256": blob.sha256, **size, "caption": "a map"}
    writer.record(Kind.MEDIA, "../eval/map", told, 5)
    writer.record(Kind.TEXT, "sample", {"text": "<b>2+2</b> ist größer"}, None)
    graph = {"nodes": [{"name": "", "class": "Net", "shapes": []}, {"name": "fc", "class": "Linear", "parameters": 6}]}
    blob = store_blob(
        run.root, json.dumps({**graph, "edges": [{"from": "", "to": "fc", "kind": "input"}]}).encode(), "json"
    )
    writer.record(Kind.MEDIA, "model", {"type": "graph", "file": blob.file, "sha256": blob.sha256, "bytes": 9}, None)
    writer.record(Kind.ALERT, "loss is NaN", {"text": "at step 3", "level": "error"}, 4)
    writer.record(Kind.LOG, "trainer", {"level": "WARNING", "message": "slow", "error": ""}, 4)
    writer.record(Kind.CHECKPOINT, "checkpoints/4", {"metrics": {}}, 4)
    writer.close()


def test_what_is_no_scalar_is_shown_in_w_and_bs_own_kinds(run):
    record_everything(run)
    state = ship(run)
    (log,) = logs(run)
    rows = {next(name for name in row if name.endswith("._type")): row for row in history(run)[1:]}
    assert {name: row[name] for name, row in rows.items()} == {
        "weights/a._type": "histogram",
        "weights/b._type": "histogram",
        "samples._type": "table-file",
        "big._type": "table-file",
        "../eval/map._type": "image-file",
        "sample._type": "html-file",
    }
    assert [row["step"] for row in rows.values()] == [4, 4, 4, 4, 5, 4]
    assert sum(rows["weights/a._type"]["weights/a.values"]) == 100
    assert len(rows["weights/a._type"]["weights/a.bins"]) == 65
    assert len(rows["weights/b._type"]["weights/b.values"]) == 500
    assert sum(rows["weights/b._type"]["weights/b.values"]) == 1500
    image = rows["../eval/map._type"]
    assert [image[f"../eval/map.{key}"] for key in ("width", "height", "format", "caption")] == [6, 4, "png", "a map"]
    files = log.parent / "files"
    told = [file["path"] for record in of_kind(run, "files") for file in record["files"]]
    assert len(told) == 5
    for row in rows.values():
        for key, value in row.items():
            if key.endswith(".path"):
                name = key.removesuffix(".path")
                assert value in told
                assert (files / value).stat().st_size == row[f"{name}.size"]
                assert (files / value).resolve().is_relative_to(files.resolve())
    shown = (files / rows["sample._type"]["sample.path"]).read_text()
    assert "&lt;b&gt;2+2&lt;/b&gt; ist größer" in shown
    held = json.loads((files / rows["samples._type"]["samples.path"]).read_text())
    assert held == {"columns": ["prompt", "score"], "data": [["2+2", 0.5]]}
    model = summary(run)["graph_0"]
    drawn = json.loads((files / model["path"]).read_text())
    assert ([node["id"] for node in drawn["nodes"]], drawn["edges"]) == (["model", "fc"], [["model", "fc"]])
    assert of_kind(run, "alert")[0] | {"wait_duration": 0} == {
        "title": "loss is NaN", "text": "at step 3", "level": "ERROR", "wait_duration": 0,
    }  # fmt: skip
    assert of_kind(run, "output_raw")[0]["line"] == "WARNING trainer: slow\n"
    assert state[MAPPED] == {
        "histogram values that are not finite": 1,
        "histograms over 512 bins": 1,
        "checkpoints": 1,
    }


def test_summary_shows_the_newest_of_each_kind(run):
    record_everything(run)
    ship(run)
    whole = summary(run)
    assert whole["loss"] == 1
    assert whole["../eval/map"]["_type"] == "image-file"
    assert whole["weights/a"]["_type"] == "histogram"


def test_tables_are_artifacts_too_as_w_and_bs_own_are(run):
    record_everything(run)
    ship(run)
    tables = [record for record in of_kind(run, "artifact") if record["type"] == "run_table"]
    assert [record["name"] for record in tables] == ["run-20260101_toy_k7f2-samples", "run-20260101_toy_k7f2-big"]
    (entry,) = tables[0]["manifest"]["contents"]
    held = json.loads(Path(entry["local_path"]).read_text())
    assert (held["_type"], held["columns"], held["data"]) == ("table", ["prompt", "score"], [["2+2", 0.5]])
    row = next(row for row in history(run) if "samples._type" in row)
    assert row["samples.artifact_path"] == f"wandb-client-artifact://{tables[0]['client_id']}/{entry['path']}"


def made_artifacts(run, tmp_path):
    (tmp_path / "model" / "deep").mkdir(parents=True)
    (tmp_path / "model" / "weights.bin").write_bytes(b"hello")
    (tmp_path / "model" / "deep" / "config.json").write_text("{}")
    folder = store_artifact(run.root, tmp_path / "model", name="my model", kind="model", metadata={"loss": 0.5})
    outside = store_artifact(run.root, tmp_path / "model" / "weights.bin", name="raw", copy=False)
    writer = JournalWriter(run.journals, 0, lambda: {"attempt": 1})
    writer.record(Kind.ARTIFACT, folder.name, folder.payload("made"), 7)
    writer.record(Kind.ARTIFACT, outside.name, outside.payload("made"), None)
    writer.record(Kind.ARTIFACT, "base", {**folder.payload("used"), "run": "20260101_base_a1b2"}, None)
    writer.close()


def test_artifacts_come_with_manifest_metadata_and_links_that_an_uploader_may_remove(run, tmp_path):
    made_artifacts(run, tmp_path)
    state = ship(run)
    folder, outside = of_kind(run, "artifact")
    entries = {entry["path"]: entry for entry in folder["manifest"]["contents"]}
    assert set(entries) == {"weights.bin", "deep/config.json"}
    assert entries["weights.bin"]["digest"] == "XUFAKrxLKna5cZ2REBfFkg=="  # MD5 of hello, as W&B's client writes it
    assert (folder["type"], folder["aliases"]) == ("model", ["latest", "step-7"])
    assert json.loads(folder["metadata"])["loss"] == 0.5
    for entry in entries.values():
        link = Path(entry["local_path"])
        content = link.read_bytes()
        assert len(content) == int(entry["size"])
        kept = link.resolve()
        link.unlink()
        assert kept.read_bytes() == content
    (entry,) = outside["manifest"]["contents"]
    assert entry["ref"] == (tmp_path / "model" / "weights.bin").as_uri()
    assert "local_path" not in entry
    told = of_kind(run, "config")[-1]["update"]["burnish"]["used"]
    assert told["base"]["run"] == "20260101_base_a1b2"
    assert state[MAPPED] == {
        "artifact names": 1,
        "artifacts outside, by reference": 1,
        "used artifacts, in the config": 1,
    }


def test_artifacts_that_are_not_wanted_are_counted(run, tmp_path):
    made_artifacts(run, tmp_path)
    state = ship(run, artifacts=False)
    assert of_kind(run, "artifact") == []
    assert state[MAPPED]["artifacts"] == 2


def test_code_goes_with_the_run_as_it_was_at_its_end(run):
    attempt(run, 1, range(2))
    (run.root / "code.diff").write_text("+x = 1\n")
    run.config.write_text("lr: 0.1\n")
    write_json(run.card, {"code": {"commit": "c0ffee", "branch": "main", "remote": "git@example.org:toy"}})
    ship(run)
    write_json(run.card, {"code": {}, "completed": "later"})
    (code,) = of_kind(run, "artifact")
    assert (code["name"], code["type"]) == ("source-project-toy", "code")
    assert json.loads(code["metadata"])["commit"] == "c0ffee"
    entries = {entry["path"]: entry for entry in code["manifest"]["contents"]}
    assert set(entries) == {"code.diff", "config.yaml", "card.json"}
    assert Path(entries["card.json"]["local_path"]).stat().st_size == int(entries["card.json"]["size"])
    assert of_kind(run, "run")[-1]["git"] == {"commit": "c0ffee", "remote_url": "git@example.org:toy"}


def test_what_cannot_be_shipped_is_counted_and_passed_over(run):
    secret = run.root.parent / "secret.png"
    secret.write_bytes(b"a secret")
    writer = JournalWriter(run.journals, 0, lambda: {"attempt": 1})
    picture = {"type": "image", "sha256": "0" * 64, "width": 1, "height": 1, "caption": ""}
    for file in ("media/gone.png", "../secret.png", str(secret), "media"):
        writer.record(Kind.MEDIA, "picture", {**picture, "file": file}, 1)
    writer.record(Kind.MEDIA, "picture", {"type": "image", "file": 7}, 1)
    writer.record(Kind.HISTOGRAM, "h", {"counts": ["x"], "edges": [0, 1]}, 1)
    writer.record(Kind.HISTOGRAM, "h", {"counts": [1], "edges": [0, INFINITY]}, 1)
    writer.record(Kind.TEXT, "t", {}, 1)
    writer.record(Kind.TABLE, "t", {"columns": 3, "rows": [1]}, 1)
    writer.record(Kind.LIFECYCLE, "metric", {}, 1)
    writer.record(Kind.ARTIFACT, "a", {"role": "made"}, 1)
    writer.record(Kind.ARTIFACT, "a", {"role": "made", "path": "artifacts/gone", "bytes": 1}, 1)
    writer.record(99, "from the future", {}, 1)
    writer.row(("loss",), (1.0,), 2, CREATED)
    writer.close()
    state = ship(run)
    assert points(run)["loss", 2, 1.0] == 1
    assert state[MAPPED]["files that are missing"] == 6
    assert state[MAPPED]["records that nobody can read"] == 5
    shipped = b"".join(path.read_bytes() for path in (run.root / "wandb").rglob("*") if path.is_file())
    assert b"a secret" not in shipped


def test_config_and_tags_that_are_known_later_are_told_later(run):
    size = 700
    attempt(run, 1, range(60))
    first, second, *_ = every = batches(run, size)
    sink = WandbSink(tags=["model.name", "lr", "layers", "nothing"])
    sink.open(run, {})
    sink.ship(first)
    run.config.write_text("model:\n  name: smol\n  size: 3\nlr: 0.0001\nlayers: [1, 2]\nx: .inf\n_wandb: 1\n")
    state = sink.ship(second)
    write_json(run.state, {"created": CREATED, "tags": ["mine", "x" * 70], "notes": NOTES})
    ship(run, state, seen=every[:2], size=size, tags=["model.name", "lr", "layers"])
    made, *later = of_kind(run, "run")
    assert "tags" not in made
    assert later[0]["tags"] == ["smol", "lr=0.0001", "layers=1", "layers=2"]
    assert later[-1]["tags"] == ["mine", "x" * 64, "smol", "lr=0.0001", "layers=1", "layers=2"]
    assert later[-1]["notes"] == "one\ntwo"
    told = of_kind(run, "config")[0]["update"]
    assert told["model"] == {"name": "smol", "size": 3}
    assert (told["lr"], told["layers"], told["x"], told["config/_wandb"]) == (0.0001, [1, 2], "Infinity", 1)
    assert len(later) == 2


def test_tags_and_notes_of_the_journal_are_told_unless_a_command_took_them_away(run):
    writer = JournalWriter(run.journals, 0, lambda: {"attempt": 1})
    writer.record(Kind.LIFECYCLE, "tag", {"tags": ["kept", "removed"]})
    writer.record(Kind.LIFECYCLE, "note", {"text": "lr is too high"})
    writer.close()
    annotate(run, lambda known: known.tagged([], ["removed"]))
    ship(run)
    told = of_kind(run, "run")[-1]
    assert (told["tags"], told["notes"]) == (["kept"], "lr is too high")


def test_row_with_more_metrics_than_w_and_b_takes_in_a_line_is_told_in_several(run):
    writer = JournalWriter(run.journals, 0, lambda: {"attempt": 1})
    writer.row(tuple(f"m{number}" for number in range(25_000)), tuple(map(float, range(25_000))), 3, CREATED)
    writer.close()
    ship(run)
    assert [row["step"] for row in history(run)] == [3, 3, 3]
    assert points(run) == journal_points(run)


@pytest.mark.parametrize(
    ("status", "told", "code"),
    [("finished", 0, 0), ("failed", 3, 3), ("failed", None, 1), ("stopped", 0, 255), ("lost", 0, 1)],
)
def test_run_ends_at_w_and_b_as_it_ended(tmp_path, status, told, code):
    run = make_run(tmp_path, attempts=[{"exit_code": told, "ended": CREATED + 9.7}])
    attempt(run, 1, range(2))
    ship(run, close=status)
    assert of_kind(run, "exit") == [{"exit_code": code, "runtime": 9}]


def test_run_without_entries_is_a_run_at_w_and_b(run):
    sink = WandbSink()
    sink.open(run, {})
    sink.close("finished")
    assert [record["type"] for record in read(logs(run)[0])] == ["header", "run", "metric", "metric", "exit"]


@pytest.mark.parametrize("command", [("sync",), ("beta", "sync")])
def test_w_and_bs_uploader_finds_the_run(run, command, tmp_path):
    attempt(run, 1, range(2))
    ship(run)
    (log,) = logs(run)
    environment = {"HOME": str(tmp_path), "WANDB_DIR": str(tmp_path), "WANDB_ERROR_REPORTING": "false", "PATH": ""}
    told = subprocess.run(
        [sys.executable, "-m", "wandb", *command, "--dry-run", str(log.parent)],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        cwd=tmp_path,
    )
    assert told.returncode == 0
    assert "Would sync 1 run(s)" in told.stderr


def test_log_lies_where_the_option_says_and_is_named_as_w_and_b_names_it(run):
    attempt(run, 1, range(2))
    ship(run, folder="tracked", project="my-project", entity="my-team")
    log = (
        run.root.parents[2] / "tracked/wandb/offline-run-20250615_150640-20260101_toy_k7f2/run-20260101_toy_k7f2.wandb"
    )
    told = next(record["run"] for record in read(log) if record["type"] == "run")
    assert (told["project"], told["entity"], told["run_id"]) == ("my-project", "my-team", "20260101_toy_k7f2")


def test_run_with_a_long_name_has_an_id_that_w_and_b_takes(tmp_path):
    names = [f"20260101_{'größe-' * 12}{end}?_k7f2" for end in "ab"]
    ids = []
    for name in names:
        run = make_run(tmp_path, name)
        attempt(run, 1, range(2))
        ids.append(ship(run)["id"])
    assert len(set(ids)) == 2
    assert all(len(one.encode()) <= 64 and not set(one) & set("/\\#?%:") for one in ids)


def test_run_that_was_renamed_stays_the_same_at_w_and_b(run):
    attempt(run, 1, range(5))
    seen = batches(run)
    state = ship(run)
    moved = RunPaths(run.root.with_name("20260101_better_k7f2"))
    run.root.rename(moved.root)
    attempt(moved, 2, range(5, 9))
    ship(moved, state, seen=seen)
    assert {record["run_id"] for record in of_kind(moved, "run")} == {"20260101_toy_k7f2"}
    assert of_kind(moved, "run")[-1]["display_name"] == "20260101_better_k7f2"
    assert points(moved) == journal_points(moved)


def test_runs_of_a_sweep_are_a_group_at_w_and_b(tmp_path):
    run = make_run(tmp_path, sweep={"id": "s123", "number": 2, "of": 4, "values": {"lr": 0.1}}, group="seeds")
    attempt(run, 1, range(2))
    ship(run)
    (told, *_) = of_kind(run, "run")
    assert told["run_group"] == "s123"
    assert told["config"]["update"]["burnish"]["sweep"]["values"] == {"lr": 0.1}


KILLED = """
import json, sys
from pathlib import Path
from burnish.core.paths import RunPaths
from burnish.journal.reader import JournalReader, journal_files
from burnish.sinks.base import Batch
from burnish.sinks.wandb import WandbSink

run, state = RunPaths(Path(sys.argv[1])), json.loads(sys.argv[2])
sink = WandbSink()
sink.open(run, state)
known = json.loads(sys.argv[3])
for path in journal_files(run.journals):
    reader, start = JournalReader(path), -1
    while reader.offset != start:
        start = reader.offset
        entries = reader.read(5000)
        if entries and reader.offset > known:
            state = sink.ship(Batch(path.name, 0, entries, start, reader.offset))
            print(json.dumps([state, reader.offset]), flush=True)
"""


def test_process_that_is_killed_again_and_again_tells_each_point_once(run):
    attempt(run, 1, range(4000))
    every = batches(run, 5000)
    state, known, kills = {}, 0, 0
    while known < every[-1].end:
        words = [sys.executable, "-c", KILLED, str(run.root), json.dumps(state), str(known)]
        killed = subprocess.Popen(words, stdout=subprocess.PIPE)
        for _ in range(7):
            if line := killed.stdout.readline():
                state, known = json.loads(line)
        killed.kill()
        killed.wait()
        killed.stdout.close()
        kills += 1
    assert kills > 3
    ship(run, state, seen=every, size=5000)
    assert points(run) == journal_points(run)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "live"}, "mode: wandb ships 'offline' or 'online', not 'live'"),
        ({"project": "a/b"}, "project: W&B takes no / in 'a/b'; choose another name"),
        ({"tags": "model.name"}, "tags: a list of config keys is wanted, such as [model.name], not 'model.name'"),
        ({"entity": 3}, "entity: text is wanted, not 3"),
        ({"artifacts": "no"}, "artifacts: true or false is wanted, not 'no'"),
    ],
)
def test_option_that_cannot_be_is_refused(options, message):
    with pytest.raises(Refused) as refused:
        WandbSink(**options)
    assert str(refused.value) == message


def test_environment_names_project_and_entity(run, monkeypatch):
    monkeypatch.setenv("WANDB_PROJECT", "from-the-environment")
    monkeypatch.setenv("WANDB_ENTITY", "a-team")
    attempt(run, 1, range(2))
    state = ship(run)
    assert (state["project"], state["entity"]) == ("from-the-environment", "a-team")


def test_offline_sink_needs_no_package_of_w_and_b(run):
    attempt(run, 1, range(2))
    code = (
        "import sys; from burnish.core.paths import RunPaths; from burnish.sinks.wandb import WandbSink\n"
        "sink = WandbSink(); sink.open(RunPaths(__import__('pathlib').Path(sys.argv[1])), {}); sink.close('finished')\n"
        "print('wandb' in sys.modules, any(name.startswith('google') for name in sys.modules))"
    )
    told = subprocess.run([sys.executable, "-c", code, str(run.root)], capture_output=True, text=True, check=True)
    assert told.stdout == "False False\n"
