from __future__ import annotations

import fcntl
import os
import shutil
import signal
import sys

import pytest

A, B, C = "20261121_toy_aaaa", "20261122_toy_bbbb", "20261123_toy_cccc"


def filled(folder, number=3, size=1000):
    folder.mkdir(parents=True, exist_ok=True)
    for name in range(number):
        (folder / f"{name}.bin").write_bytes(b"x" * size)
    return folder


def of(shown, run):
    return next(found for found in shown["runs"] if found["id"] == run)


def test_rm_is_a_dry_run_that_tells_name_state_and_bytes(burnish, recorded):
    folder = filled(recorded(A) / "artifacts").parent
    size = 3000 + (folder / "run.json").stat().st_size
    done = burnish("rm", "aaaa")
    assert done.returncode == 0
    assert done.stdout.splitlines()[1].split() == [A, "finished", f"{size:,}", "would", "be", "removed"]
    assert done.stderr == f"nothing is removed yet; --yes removes 1 of 1 runs, {size / 1024:.1f} KiB\n"
    assert folder.is_dir()
    assert burnish.json("rm", "aaaa") == {
        "dry_run": True,
        "runs": [
            {
                "run": A,
                "id": "aaaa",
                "state": "finished",
                "size_bytes": size,
                "checkpoints": None,
                "checkpoints_kept": None,
                "refused": "",
                "removed": False,
            }
        ],
        "size_bytes": size,
        "leftovers": [],
    }


def test_a_dry_run_writes_nothing(burnish, recorded):
    folder = recorded(A)
    burnish("rm", "aaaa")
    assert [path.name for path in folder.iterdir()] == ["run.json"]


def test_rm_yes_removes_the_runs_and_nothing_else(burnish, recorded):
    recorded(A), recorded(B), recorded(C)
    done = burnish("rm", "aaaa", "bbbb", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in burnish.runs.iterdir()] == [C]
    assert [run["id"] for run in burnish.json("ls")["runs"]] == ["cccc"]


def test_rm_of_a_run_that_does_not_exist_removes_none(burnish, recorded):
    recorded(A)
    done = burnish("rm", "aaaa", "nope", "--yes")
    assert done.returncode == 1
    assert (burnish.runs / A).is_dir()


def test_a_live_run_stays(burnish, eventually):
    training = burnish.start("run", burnish.toy(max_steps=500, step_s=0.02))
    eventually(lambda: burnish.records() and burnish.records()[0].get("state") == "running", "the run to start")
    run = burnish.records()[0]["id"]
    shown = burnish.json("rm", run, "--yes", "--force")
    assert of(shown, run)["refused"] == "it is live"
    assert of(shown, run)["removed"] is False
    training.terminate()
    training.communicate()
    assert burnish("rm", run, "--yes").returncode == 0
    assert burnish.records() == []


def test_a_run_whose_lock_somebody_holds_stays_whatever_its_record_says(burnish, recorded):
    folder = recorded(A)
    with (folder / "supervisor.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert of(burnish.json("rm", "aaaa", "--yes"), "aaaa")["refused"] == "it is live"
    assert folder.is_dir()


def test_a_pinned_run_stays_until_it_is_let_go(burnish, recorded):
    recorded(A), recorded(B)
    burnish("pin", "aaaa")
    done = burnish("rm", "aaaa", "bbbb", "--yes", "--force")
    assert done.returncode == 1
    assert "stays: it is pinned: burnish pin --undo aaaa" in done.stdout
    assert [path.name for path in burnish.runs.iterdir()] == [A]
    burnish("pin", "aaaa", "--undo")
    assert burnish("rm", "aaaa", "--yes").returncode == 0


@pytest.mark.parametrize(
    "source",
    [
        {"lineage": {"model.path": {"run": A, "path": "/x/checkpoint-3", "step": 3}}},
        {"artifacts": [{"role": "used", "name": "set", "run": A, "sha256": "0" * 64}]},
    ],
)
def test_a_run_that_another_was_made_from_stays_and_the_other_is_named(burnish, recorded, source):
    recorded(A), recorded(B, **source)
    done = burnish("rm", "aaaa", "--yes")
    assert done.returncode == 1
    assert f"stays: made from it: {B}" in done.stdout
    assert (burnish.runs / A).is_dir()
    assert burnish("rm", "aaaa", "--yes", "--force").returncode == 0
    assert not (burnish.runs / A).exists()


def test_a_run_goes_together_with_the_one_that_was_made_from_it(burnish, recorded):
    recorded(A), recorded(B, lineage={"model.path": {"run": A}})
    assert burnish("rm", "aaaa", "bbbb", "--yes").returncode == 0
    assert list(burnish.runs.iterdir()) == []


def test_what_a_run_that_must_stay_was_made_from_stays_too(burnish, recorded):
    recorded(A), recorded(B, lineage={"x": {"run": A}}), recorded(C, lineage={"x": {"run": B}})
    burnish("pin", "cccc")
    shown = burnish.json("rm", "aaaa", "bbbb", "cccc", "--yes")
    assert [found["refused"] for found in shown["runs"]] == [
        f"made from it: {B}",
        f"made from it: {C}",
        "it is pinned: burnish pin --undo cccc",
    ]
    assert len(list(burnish.runs.iterdir())) == 3


def test_a_run_that_used_its_own_artifact_does_not_hold_itself(burnish, recorded):
    recorded(A, artifacts=[{"role": "used", "name": "set", "run": A}])
    assert burnish("rm", "aaaa", "--yes").returncode == 0


def test_checkpoints_that_were_put_elsewhere_go_with_their_run(burnish, tmp_path):
    burnish.environ["LLM_CHECKPOINT_DIR"] = str(tmp_path / "big")
    assert burnish("run", burnish.toy(max_steps=4, keep_state=True)).returncode == 0
    (record,) = burnish.records()
    elsewhere = tmp_path / "big" / record["name"]
    assert list(elsewhere.iterdir())
    other = filled(tmp_path / "big" / "20261121_other_zzzz")
    shown = burnish.json("rm", record["id"])
    assert shown["runs"][0]["checkpoints"] == str(elsewhere)
    assert shown["size_bytes"] > sum(p.stat().st_size for p in elsewhere.rglob("*") if p.is_file())
    assert burnish("rm", record["id"], "--yes").returncode == 0
    assert not elsewhere.exists()
    assert other.is_dir()


def test_checkpoints_elsewhere_go_also_after_a_rename(burnish, tmp_path):
    burnish.environ["LLM_CHECKPOINT_DIR"] = str(tmp_path / "big")
    assert burnish("run", burnish.toy(max_steps=4, keep_state=True)).returncode == 0
    run = burnish.records()[0]["id"]
    assert burnish("rename", run, "better").returncode == 0
    assert [found["step"] for found in burnish.json("show", run)["checkpoints"]] == [3]
    assert burnish("rm", run, "--yes").returncode == 0
    assert list((tmp_path / "big").iterdir()) == []


@pytest.mark.parametrize("target", ["other", "relative", "linked", "copied"])
def test_a_link_to_anything_but_the_runs_own_checkpoints_is_not_followed(burnish, recorded, tmp_path, target):
    project = "/somewhere/else" if target == "copied" else str(burnish.root)
    folder = recorded(A, project=project)
    real = filled(tmp_path / "big" / ("20261121_other_zzzz" if target in ("other", "linked") else A))
    if target == "linked":
        (tmp_path / "big" / A).symlink_to(real)
    goal = {"other": real, "relative": os.path.relpath(real, folder), "linked": tmp_path / "big" / A, "copied": real}
    (folder / "checkpoints").symlink_to(goal[target])
    told = f"the checkpoints of aaaa in {goal[target]} stay: they may not be its own\n"
    assert burnish("rm", "aaaa").stderr.startswith(told)
    shown = burnish.json("rm", "aaaa", "--yes")["runs"][0]
    assert (shown["removed"], shown["checkpoints"]) == (True, None)
    assert shown["checkpoints_kept"] == str(goal[target])
    assert not folder.exists()
    assert len(list(real.iterdir())) == 3


def test_links_inside_a_run_are_not_followed(burnish, recorded, tmp_path):
    data = filled(tmp_path / "data")
    (recorded(A) / "data").symlink_to(data)
    assert burnish("rm", "aaaa", "--yes").returncode == 0
    assert len(list(data.iterdir())) == 3


def test_a_run_that_is_a_link_stays(burnish, recorded, tmp_path):
    folder = recorded(A)
    shutil.move(folder, tmp_path / A)
    folder.symlink_to(tmp_path / A)
    done = burnish("rm", "aaaa", "--yes")
    assert done.returncode == 1
    assert "stays: its folder is a symbolic link: remove that by hand" in done.stdout
    assert (tmp_path / A / "run.json").is_file()


def test_a_removal_that_is_killed_leaves_no_half_run_and_is_finished_by_the_next(
    burnish, recorded, eventually, tmp_path
):
    folder = recorded(A, project=str(burnish.root))
    elsewhere = filled(tmp_path / "big" / A, 4000, 1)
    (folder / "checkpoints").symlink_to(elsewhere)
    recorded(B)
    removal = burnish.start("rm", "aaaa", "--yes")
    eventually(lambda: not folder.exists(), "the run to be taken away")
    removal.send_signal(signal.SIGKILL)
    removal.communicate()
    assert [run["id"] for run in burnish.json("ls")["runs"]] == ["bbbb"]
    assert burnish("rm", "bbbb", "--yes").returncode == 0
    assert list(burnish.runs.iterdir()) == []
    assert not elsewhere.exists()


def test_leftovers_of_a_killed_removal_are_told_and_swept_with_yes(burnish, recorded, tmp_path):
    left = burnish.runs / f".gone-4000000-{A}"
    recorded(A, project=str(burnish.root)).rename(left)
    elsewhere = filled(tmp_path / "big" / A)
    (left / "checkpoints").symlink_to(elsewhere)
    recorded(B)
    dry = burnish("rm", "bbbb")
    assert dry.stderr.startswith("1 leftovers of a removal that was cut off are swept with --yes\n")
    assert left.is_dir()
    assert burnish("rm", "bbbb", "--yes").returncode == 0
    assert list(burnish.runs.iterdir()) == []
    assert not elsewhere.exists()


def test_a_removal_that_is_under_way_is_left_alone(burnish, recorded):
    left = burnish.runs / f".gone-4000000-{A}"
    recorded(A).rename(left)
    recorded(B)
    with (left / "supervisor.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert burnish("rm", "bbbb", "--yes").returncode == 0
        assert list(burnish.runs.iterdir()) == [left]


def test_what_cannot_be_deleted_is_told_and_swept_later(burnish, recorded):
    if os.geteuid() == 0:
        pytest.skip("root can delete everything")
    folder = filled(recorded(A) / "locked")
    folder.chmod(0o500)
    done = burnish("rm", "aaaa", "--yes")
    assert done.returncode == 1
    assert done.stderr == (
        f"error: cannot remove run {A}: Permission denied\n"
        "hint: what is left of it is swept by the next burnish rm --yes\n"
    )


def test_a_run_given_by_its_folder_is_removed_too(burnish, recorded):
    folder = recorded(A)
    assert burnish("rm", str(folder), "aaaa", "--yes").returncode == 0
    assert not folder.exists()


def test_rm_after_a_real_command(burnish):
    assert burnish("run", "--", sys.executable, "-c", "print(1)").returncode == 0
    assert burnish("rm", burnish.records()[0]["id"], "--yes").returncode == 0
    assert burnish.json("ls") == {"runs": []}
