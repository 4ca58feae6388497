"""W&B's offline runs as runs, written by W&B's own client."""

import json
import math
import shutil
import subprocess
import sys

import pytest

from burnish.analyze.media import media, read_histogram, read_table
from burnish.config.flat import config_values
from burnish.core.paths import RunPaths, find_project
from burnish.journal.record import read_record
from burnish.journal.series import load_scalars
from burnish.project.importers import Failed, find_runs, import_runs
from burnish.project.importers.wandb_log import WandbLog, fields

pytest.importorskip("wandb")

WRITE = """
import sys
import numpy as np
import wandb

folder, run_id, first, last = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
settings = wandb.Settings(x_disable_stats=True, silent=True)
run = wandb.init(project="letters", id=run_id, name="my run", dir=folder, mode="offline", resume="allow",
    config={"lr": 1e-3, "model": {"name": "tiny", "layers": [1, 2]}, "api_key": "abcdefgh"},
    tags=["pilot", "two words"], notes="a note", group="ablation", settings=settings)
run.define_metric("tokens")
run.define_metric("eval/*", step_metric="tokens", summary="min")
for step in range(first, last):
    run.log({"loss": 1 / (step + 1), "tokens": 512 * step, "deep": {"er": step}, "word": "hello"}, step=step)
run.log({
    "eval/loss": 0.5, "nan": float("nan"), "inf": float("-inf"),
    "hist": wandb.Histogram(np_histogram=([1, 3], [0.0, 1.0, 2.0])),
    "image": wandb.Image(np.zeros((4, 5, 3), dtype=np.uint8), caption="nothing"),
    "images": [wandb.Image(np.zeros((4, 5, 3), dtype=np.uint8)), wandb.Image(np.ones((4, 5, 3), dtype=np.uint8))],
    "table": wandb.Table(columns=["prompt", "score"], data=[["a", 1], ["b", 2]]),
    "html": wandb.Html("<b>x</b>"),
}, step=last)
run.summary["best"] = 0.25
run.config.update({"late": 5})
print("said on the console")
run.finish(int(sys.argv[5]) if len(sys.argv) > 5 else 0)
"""


MEDIA = ("hist", "image", "images", "table", "html")


def written(folder, *words):
    subprocess.run(
        [sys.executable, "-c", WRITE, str(folder), *map(str, words)], check=True, capture_output=True, timeout=120
    )
    return folder / "wandb"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Return the folder of a real offline run."""
    return written(tmp_path_factory.mktemp("wandb"), "abc123", 0, 10)


@pytest.fixture
def take(alone):
    """Return a function that imports a folder; returns what became of its runs."""

    def call(path):
        found = find_runs([str(path)])
        if found.errors:
            raise found.errors[0]
        return import_runs(found.runs, find_project())

    return call


def run_of(outcome):
    return RunPaths(find_project().runs / outcome.name)


def points(outcome, name):
    return dict(zip(*load_scalars(run_of(outcome).journals).of(name), strict=True))


def log_file(store):
    return next(store.glob("*run-*/*.wandb"))


def test_history_is_metrics_with_steps_and_times(take, store):
    (done,) = take(store)
    assert (done.experiment, done.called, done.state) == ("letters", "my run", "finished")
    assert points(done, "loss") == {step: 1 / (step + 1) for step in range(10)}
    assert points(done, "deep.er") == {step: float(step) for step in range(10)}
    assert math.isnan(points(done, "nan")[10])
    assert points(done, "inf") == {10: -math.inf}
    assert points(done, "best") == {10: 0.25}
    times = load_scalars(run_of(done).journals).series("loss").time
    record = read_record(run_of(done))
    assert record["started"] <= times[0] <= times[-1] <= record["ended"]
    assert record["ended"] - record["started"] < 120


def test_points_are_those_that_the_reader_of_wandb_itself_shows(take, store):
    words = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(log_file(store))]
    shown = subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout
    own: dict[str, dict[int, float]] = {}
    for record in map(json.loads, shown.splitlines()):
        for name, value in record.get("history", {}).get("item", {}).items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                own.setdefault(name, {})[record["history"]["item"]["_step"]] = float(value)
    (done,) = take(store)
    assert own["loss"]
    plain = {name: found for name, found in own.items() if name[0] != "_" and name.split(".")[0] not in MEDIA}
    assert {name: points(done, name) for name in plain} == plain


def test_config_tags_notes_group_and_axes_come_along(take, store):
    (done,) = take(store)
    config = config_values(run_of(done).config)
    assert (config["lr"], config["model.name"], config["model.layers"], config["late"]) == (1e-3, "tiny", (1, 2), 5)
    assert config["api_key"] == "***"
    record = read_record(run_of(done))
    assert (record["tags"], record["group"]) == (["pilot"], "ablation")
    assert sorted(note["text"] for note in record["notes"]) == ["a note", "tag: two words"]
    assert record["metrics"]["eval/*"] == {"axis": "tokens", "best": "min"}
    assert record["summary"]["eval/loss"]["best"] == 0.5
    assert record["imported"]["id"] == "letters/abc123"
    assert "abc123" in record["command"]


def test_histograms_pictures_tables_and_the_console_come_along(take, store):
    (done,) = take(store)
    root = run_of(done).root
    found = read_histogram(root, "hist")
    assert (found.edges, found.counts, found.mean) == ((0.0, 1.0, 2.0), (1, 3), 1.25)
    assert {item.key: item.shape for item in media(root) if item.kind == "image"} == {
        "image": (5, 4),
        "images/0": (5, 4),
        "images/1": (5, 4),
    }
    assert list(read_table(root, "table").rows()) == [{"prompt": "a", "score": 1}, {"prompt": "b", "score": 2}]
    assert "said on the console" in run_of(done).console.read_text()


def test_what_has_no_place_in_a_run_is_counted(take, store):
    (done,) = take(store)
    assert "left out: 1 × value of W&B's kind html-file" in done.warnings
    assert "left out: 10 × value that is no number (word)" in done.warnings


def test_importing_twice_or_elsewhere_makes_no_second_run(take, store, tmp_path):
    (first,) = take(store)
    assert [done.outcome for done in take(store.parent)] == ["unchanged"]
    shutil.copytree(store, tmp_path / "moved" / "wandb", symlinks=True)
    (second,) = take(log_file(tmp_path / "moved" / "wandb"))
    assert (second.outcome, second.id) == ("unchanged", first.id)


def test_folders_of_one_run_are_one_run_in_which_the_later_one_replaces(take, tmp_path):
    written(tmp_path, "same", 0, 6, 1)
    (first,) = take(tmp_path / "wandb")
    record = read_record(run_of(first))
    assert (record["state"], record["exit_code"], record["reason"]) == ("failed", 1, "exit code 1")
    (earlier,) = (path for path in (tmp_path / "wandb").glob("*run-*"))
    earlier.rename(earlier.with_name("offline-run-20200101_000000-same"))
    written(tmp_path, "same", 4, 8)
    (done,) = take(max((tmp_path / "wandb").glob("*run-*")))
    assert (done.outcome, done.id, done.state) == ("updated", first.id, "finished")
    assert points(done, "loss") == {step: 1 / (step + 1) for step in range(8)}
    assert points(done, "eval/loss") == {8: 0.5}
    assert [attempt["last_step"] for attempt in read_record(run_of(done))["attempts"]] == [6, 8]


def test_log_that_is_cut_off_is_read_up_to_there(take, store, tmp_path):
    shutil.copytree(store, tmp_path / "wandb", symlinks=True)
    path = log_file(tmp_path / "wandb")
    path.write_bytes(path.read_bytes()[:-20])
    (done,) = take(tmp_path / "wandb")
    assert done.state == "lost"
    assert read_record(run_of(done))["reason"] == "the log has no end"
    assert len(points(done, "loss")) == 10
    assert any(warning.startswith(f"{path.name}: the last ") for warning in done.warnings)


def test_every_byte_at_which_a_log_may_be_cut_off_is_harmless(store, tmp_path):
    whole = log_file(store).read_bytes()
    path, counts = tmp_path / "x.wandb", []
    for end in range(7, len(whole), max(1, len(whole) // 300)):
        path.write_bytes(whole[:end])
        counts.append(sum(1 for raw, _ in WandbLog(path).records() for _ in fields(raw)) > 0)
    assert counts == sorted(counts)
    assert counts[-1]


def test_file_that_is_no_log_is_told(take, tmp_path):
    (tmp_path / "x.wandb").write_bytes(b"something else entirely")
    (done,) = take(tmp_path / "x.wandb")
    assert isinstance(done, Failed)
    assert (done.error.message, done.error.origin) == ("this is no log of W&B's", str(tmp_path / "x.wandb"))


def test_one_broken_log_of_several_stops_no_other(take, store, tmp_path):
    shutil.copytree(store, tmp_path / "wandb", symlinks=True)
    broken = tmp_path / "wandb" / "offline-run-20200101_000000-broken"
    broken.mkdir()
    (broken / "run-broken.wandb").write_bytes(b"something else entirely")
    done = take(tmp_path / "wandb")
    assert sorted(isinstance(one, Failed) for one in done) == [False, True]


def test_log_that_vanishes_before_it_is_read_stops_no_other(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shutil.copytree(store, tmp_path / "wandb", symlinks=True)
    found = find_runs([str(tmp_path / "wandb")])
    shutil.rmtree(tmp_path / "wandb")
    (done,) = import_runs(found.runs, find_project())
    assert isinstance(done, Failed)
    assert done.error.message == "cannot import 'my run': No such file or directory"
