from __future__ import annotations

import fcntl

import pytest

A, B = "20261121_sft_lr1e-4_aaaa", "20261122_toy_bbbb"


def test_rename_changes_the_middle_and_keeps_date_and_id(burnish, recorded):
    recorded(A, experiment="sft")
    done = burnish("rename", "aaaa", "Best so far!")
    assert (done.returncode, done.stdout) == (0, f"{A} → 20261121_best-so-far_aaaa\n")
    shown = burnish.json("show", "aaaa")["run"]
    assert shown["name"] == "20261121_best-so-far_aaaa"
    assert shown["experiment"] == "sft"
    assert shown["named_before"] == [A]
    assert [run["name"] for run in burnish.json("ls")["runs"]] == ["20261121_best-so-far_aaaa"]


def test_rename_as_json_tells_both_names(burnish, recorded):
    folder = recorded(A)
    new = "20261121_x_aaaa"
    assert burnish.json("rename", "aaaa", "x") == {
        "before": A,
        "run": new,
        "id": "aaaa",
        "folder": str(folder.with_name(new)),
    }


def test_a_renamed_run_has_everything_that_it_had(burnish):
    assert burnish("run", burnish.toy(max_steps=4, keep_state=True)).returncode == 0
    run = burnish.records()[0]["id"]
    before = burnish.json("show", run)
    points = burnish("export", run).stdout
    assert burnish("rename", run, "better").returncode == 0
    after = burnish.json("show", run)
    assert after["checkpoints"] == before["checkpoints"]
    assert after["run"]["summary"] == before["run"]["summary"]
    old, new = before["run"]["name"], after["run"]["name"]
    assert burnish("export", run).stdout == points.replace(old, new)


def test_a_stopped_run_goes_on_under_its_new_name(burnish, eventually):
    training = burnish.start("run", burnish.toy(max_steps=60, step_s=0.02, keep_state=True))
    eventually(lambda: burnish.records() and burnish.records()[0].get("step", -1) >= 1, "the run to log")
    training.terminate()
    training.communicate()
    run = burnish.records()[0]["id"]
    assert burnish("rename", run, "longer").returncode == 0
    done = burnish("run", "--resume", run)
    assert done.returncode == 0, done.stderr
    (record,) = burnish.records()
    assert record["state"] == "finished"
    assert record["name"].endswith(f"_longer_{run}")


def test_a_run_without_a_date_keeps_its_id(burnish, recorded):
    recorded("by-hand")
    assert burnish("rename", "by-hand", "better").stdout == "by-hand → better_by-hand\n"


def test_a_long_name_is_cut_and_the_id_is_not(burnish, recorded):
    recorded(A)
    new = burnish.json("rename", "aaaa", "x" * 300)["run"]
    assert len(new) == 120
    assert new.endswith("x_aaaa")


def test_renamed_twice_it_remembers_both_names(burnish, recorded):
    recorded(A)
    burnish("rename", "aaaa", "b")
    burnish("rename", "aaaa", "c")
    assert burnish.json("show", "aaaa")["run"]["named_before"] == [A, "20261121_b_aaaa"]


@pytest.mark.parametrize("state", ["created", "running", "retrying"])
def test_a_run_that_lives_on_another_machine_is_not_renamed(burnish, recorded, state):
    identity = {"pid": 4_000_000, "started_ticks": 1, "boot": "other", "host": "other"}
    recorded(A, state=state, supervisor=identity)
    done = burnish("rename", "aaaa", "b")
    assert (done.returncode, done.stderr) == (
        1,
        f"error: run {A} is live and cannot be renamed\nhint: wait for its end\n",
    )


def test_a_run_whose_lock_somebody_holds_is_not_renamed(burnish, recorded):
    folder = recorded(A)
    with (folder / "supervisor.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "is live and cannot be renamed" in burnish("rename", "aaaa", "b").stderr
    assert folder.is_dir()


def test_a_run_into_which_others_have_paths_is_not_renamed(burnish, recorded):
    folder = recorded(A)
    recorded(B, lineage={"model.path": {"run": A, "path": str(folder / "checkpoints" / "checkpoint-3")}})
    done = burnish("rename", "aaaa", "b")
    assert done.returncode == 1
    assert done.stderr == (
        f"error: run {A} cannot be renamed: others were made from its files\n"
        f"hint: its id names it all the same; these have paths in their config: {B}\n"
    )


def test_a_run_that_others_only_name_or_used_an_artifact_of_is_renamed(burnish, recorded):
    used = recorded(A) / "artifacts" / "by-name" / "set"
    recorded(B, replays=A, artifacts=[{"role": "used", "name": "set", "run": A, "path": str(used)}])
    assert burnish("rename", "aaaa", "b").returncode == 0


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("…", "error: '…' cannot be a name: nothing of it can stand in a file name\n"),
        ("sft-lr1e-4", ""),
    ],
)
def test_names_that_cannot_be(burnish, recorded, name, told):
    recorded(A)
    done = burnish("rename", "aaaa", name)
    assert (done.returncode, done.stderr) == ((2, told) if told else (0, ""))


def test_a_name_that_is_taken_or_its_own_is_told(burnish, recorded):
    folder = recorded("20261121_a_aaaa")
    done = burnish("rename", "aaaa", "a")
    assert (done.returncode, done.stderr) == (1, "error: run 20261121_a_aaaa has that name already\n")
    taken = folder.with_name("20261121_b_aaaa")
    taken.mkdir()
    done = burnish("rename", "aaaa", "b")
    assert (done.returncode, done.stderr) == (1, f"error: {taken} exists already\nhint: choose another name\n")
