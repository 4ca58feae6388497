"""A run directory that was moved or copied, finished or live, is read where it is; nothing leads to the old place."""

import json
import shutil
import sys

import pytest

from burnish.core.paths import RunPaths
from burnish.journal.view import open_view

TRAIN = """
import os, pathlib, time
import burnish
run = burnish.start_run("moved", config={"lr": 0.1})
pathlib.Path("data.txt").write_text("some data")
artifact = run.log_artifact(pathlib.Path("data.txt"), name="data")
run.log_table("samples", [{"a": "x" * 1000} for _ in range(1000)])
run.log_histogram("weights", [1.0, 2.0])
for step in range(50):
    run.log({"loss": 1 / (step + 1)}, step)
checkpoint = run.paths.checkpoints / "step-50"
checkpoint.mkdir()
(checkpoint / "model.bin").write_bytes(b"weights")
run.log_checkpoint(checkpoint, 50, {"eval/loss": 0.5})
"""
GO_ON = """
step = 50
while not pathlib.Path("go").exists():
    run.log({"loss": 1 / (step + 1)}, step)
    step += 1
    time.sleep(0.005)
"""
# Where the run was made is told in these, and is no reference: what was typed, and in which folder.
MAY_NAME_THE_OLD_PLACE = {
    "run.json": {"directory", "project", "command", "typed"},
    "card.json": {"directory", "command"},
}


def check_reads(burnish, paths, *, live=False):
    """Check that all commands read the run in its new place."""
    shown = burnish.json("show", str(paths.root))["run"]
    count = shown["summary"]["loss"]["count"]
    assert count >= 50
    exported = burnish("export", str(paths.root), "--metrics", "loss")
    assert exported.returncode == 0, exported.stderr
    assert len(exported.stdout.splitlines()) >= 51 if live else len(exported.stdout.splitlines()) == count + 1
    lines = [json.loads(line) for line in burnish("logs", str(paths.root), "--journal").stdout.splitlines()]
    for line in lines:
        if line["kind"] in ("artifact", "checkpoint", "table"):
            place = line["payload"].get("path") or line["payload"].get("file") or line["key"]
            assert (paths.root / place).exists(), line
    view = open_view(paths)
    assert len(view.window("loss", width=20).arrays[0]) > 0
    view.close()


@pytest.fixture
def finished(burnish):
    burnish.write("train.py", TRAIN)
    done = burnish("run", "--quiet", "--", sys.executable, "train.py")
    assert done.returncode == 0, done.stderr
    (state,) = burnish.runs.glob("*/run.json")
    return RunPaths(state.parent)


@pytest.mark.parametrize(
    "how", ["renamed", pytest.param("moved", marks=pytest.mark.chaos), pytest.param("copied", marks=pytest.mark.chaos)]
)
def test_finished_run_is_read_in_its_new_place(burnish, finished, tmp_path, how):
    name = "20270101_other_z9z9" if how == "renamed" else finished.name
    target = tmp_path / "elsewhere" / name
    target.parent.mkdir()
    if how == "copied":
        shutil.copytree(finished.root, target, symlinks=True)
    shutil.move(finished.root, target if how != "copied" else tmp_path / "gone")
    check_reads(burnish, RunPaths(target))
    assert burnish.json("show", str(target))["run"]["name"] == name


def test_moved_into_another_project_a_run_is_found_by_its_id(burnish, finished, tmp_path):
    other = tmp_path / "other"
    (other / ".burnish" / "runs").mkdir(parents=True)
    shutil.move(finished.root, other / ".burnish" / "runs" / finished.name)
    burnish.root = other
    assert [run["name"] for run in burnish.json("ls")["runs"]] == [finished.name]
    assert burnish.json("show", finished.id)["run"]["summary"]["loss"]["count"] == 50


def test_nothing_inside_a_run_names_its_place_but_what_was_typed_and_where(finished):
    place = str(finished.root)
    found = {}
    for path in finished.root.rglob("*"):
        if path.is_file() and place.encode() in path.read_bytes():
            found[path.relative_to(finished.root).as_posix()] = path
    for name in list(found):
        if name in MAY_NAME_THE_OLD_PLACE:
            content = json.loads(found[name].read_text())
            for key in MAY_NAME_THE_OLD_PLACE[name]:
                content.pop(key, None)
            if place not in json.dumps(content):
                del found[name]
    assert list(found) == []
    links = [path.readlink() for path in finished.root.rglob("*") if path.is_symlink()]
    assert not [link for link in links if link.is_absolute()]


def test_copy_of_a_live_run_is_read_and_the_run_itself_is_not_disturbed(burnish, eventually, tmp_path):
    burnish.write("train.py", TRAIN + GO_ON)
    running = burnish.start("run", "--", sys.executable, "train.py")
    eventually(lambda: any(record.get("step", -1) >= 60 for record in burnish.records()), "training has begun")
    (state,) = burnish.runs.glob("*/run.json")
    target = tmp_path / "copy" / state.parent.name
    shutil.copytree(state.parent, target, symlinks=True)
    check_reads(burnish, RunPaths(target), live=True)
    (burnish.root / "go").touch()
    running.communicate(timeout=60)
    record = json.loads(state.read_text())
    assert record["state"] == "finished"
    assert record["summary"]["loss"]["count"] == record["step"] + 1
    assert len(record["attempts"]) == 1


def test_live_copy_inside_the_runs_folder_stops_no_command_and_takes_nothing_from_the_run(burnish, eventually):
    burnish.write("train.py", TRAIN + GO_ON)
    running = burnish.start("run", "--", sys.executable, "train.py")
    eventually(lambda: any(record.get("step", -1) >= 60 for record in burnish.records()), "training has begun")
    (state,) = burnish.runs.glob("*/run.json")
    shutil.copytree(state.parent, burnish.runs / "20270101_copy_c0py", symlinks=True)
    listed = burnish("ls")
    assert listed.returncode == 0, listed.stderr
    (burnish.root / "go").touch()
    running.communicate(timeout=60)
    assert running.returncode == 0
    record = json.loads(state.read_text())
    assert record["state"] == "finished"
    assert record["summary"]["loss"]["count"] == record["step"] + 1
