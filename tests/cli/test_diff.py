from __future__ import annotations

import json
import subprocess
import sys

import pytest

TITLES = ("config", "command", "code", "packages", "machine", "environment", "data", "results")
A, B = "20261121_toy_aaaa", "20261122_toy_bbbb"


def metric(last, **more):
    return {"count": 4, "first": 1.0, "last": last, "min": 0.25, "max": 1.0, "last_step": 3, **more}


@pytest.fixture
def pair(burnish, recorded):
    """Return a function that makes two runs of these cards and records."""

    def make(card_a=None, card_b=None, a=None, b=None):
        for name, card, record in ((A, card_a, a), (B, card_b, b)):
            folder = recorded(name, **(record or {}))
            (folder / "card.json").write_text(json.dumps(card or {}))
        return burnish

    return make


def sections(burnish, a="aaaa", b="bbbb"):
    """Return the lines of each section by its title, the head first."""
    done = burnish("diff", a, b)
    assert done.returncode == 0, done.stderr
    found, title = {}, ""
    for line in done.stdout.splitlines()[3:]:
        if line[:13].strip() in TITLES:
            title = line[:13].strip()
            found[title] = [line[13:]]
        else:
            found[title].append(" ".join(line.split()))
    return found


def test_two_runs_that_differ_in_nothing_are_the_same_in_every_section(pair):
    burnish = pair()
    done = burnish("diff", "aaaa", "bbbb")
    assert done.stdout.splitlines() == [
        f"a  {A}  finished",
        f"b  {B}  finished",
        "",
        "config       neither run has one",
        "command      same",
        "code         not known: neither run's code is in git",
        "packages     same",
        "machine      same",
        "environment  same",
        "data         same",
        "results      no metrics",
    ]


def test_config_is_compared_with_what_made_the_difference(burnish):
    file = burnish.toy(max_steps=4)
    assert burnish("run", file).returncode == 0
    assert burnish("run", file, "--max_steps", "6").returncode == 0
    first, second = (record["id"] for record in burnish.records())
    found = sections(burnish, first, second)
    assert found["config"] == ["1 difference; different groups", "max_steps: 4 → 6 (flag --max_steps)"]
    assert found["results"][0] == f"one run each: a difference may be noise; see burnish ls --like {first}"
    whole = burnish.json("diff", first, second)
    assert whole["config"]["differences"][0]["key"] == "max_steps"
    assert whole["results"]["train/loss"]["difference"]["last"] == pytest.approx(1 / 6 - 1 / 4)


def test_repeats_are_told_to_be_such(burnish):
    file = burnish.toy(max_steps=4)
    assert burnish("run", file, "--seed", "1").returncode == 0
    assert burnish("run", file, "--seed", "2").returncode == 0
    first, second = (record["id"] for record in burnish.records())
    head, line = sections(burnish, first, second)["config"]
    assert head == "1 difference; the same group: repeats of each other"
    assert line == "seed: 1 → 2 (flag --seed)"


def test_a_plain_scripts_config_has_no_origin_but_its_values_are_compared(pair):
    burnish = pair()
    (burnish.runs / A / "config.yaml").write_text('{"lr": 0.1, "only": 1}')
    (burnish.runs / B / "config.yaml").write_text('{"lr": 0.2}')
    assert sections(burnish)["config"] == ["2 differences; different groups", "lr: 0.1 → 0.2", "only: 1, only in a"]
    (burnish.runs / B / "config.yaml").unlink()
    assert sections(burnish)["config"] == ["only a has one"]


def test_packages_are_told_as_added_removed_and_changed(pair):
    before, after = {"torch": "2.8", "old": "1", "same": "3"}, {"torch": "2.9", "new": "4", "same": "3"}
    burnish = pair({"packages": before}, {"packages": after})
    assert sections(burnish)["packages"] == [
        "1 added, 1 removed, 1 changed",
        "new: 4, only in b",
        "old: 1, only in a",
        "torch: 2.8 → 2.9",
    ]
    assert burnish.json("diff", "aaaa", "bbbb")["packages"] == {
        "added": {"new": "4"},
        "removed": {"old": "1"},
        "changed": {"torch": {"a": "2.8", "b": "2.9"}},
    }


def test_machine_environment_and_data_are_compared(pair):
    gpu = {"name": "H100", "uuid": "GPU-1", "driver": "560"}
    one = {
        "system": {"host": "box1", "python": "3.11.2", "gpus": [gpu]},
        "environment": {"LLM_SEED": "1"},
        "data": {"train": {"sha256": "aa", "mtime": 1.0, "count": 3}},
    }
    other = {
        "system": {"host": "box2", "python": "3.11.2", "gpus": [{**gpu, "driver": "570", "uuid": "GPU-2"}] * 2},
        "environment": {"LLM_SEED": "1", "NCCL_DEBUG": "INFO"},
        "data": {"train": {"sha256": "bb", "mtime": 2.0, "count": 3}},
    }
    found = sections(pair(one, other))
    assert found["machine"] == [
        "5 differences",
        "gpu 0 driver: 560 → 570",
        "gpu 1 driver: 570, only in b",
        "gpu 1 name: H100, only in b",
        "gpus: 1 → 2",
        "host: box1 → box2",
    ]
    assert found["environment"] == ["1 difference", "NCCL_DEBUG: INFO, only in b"]
    assert found["data"] == ["1 difference", "train.sha256: aa → bb"]


def git(burnish, *words):
    argv = ["git", "-c", "user.name=t", "-c", "user.email=t@t", *words]
    return subprocess.run(
        argv, cwd=burnish.root, env=burnish.environ, capture_output=True, text=True, check=True
    ).stdout


def test_code_is_compared_by_commit_with_what_git_says_of_the_way_between(burnish):
    git(burnish, "init", "-q", "-b", "main")
    commits = []
    for text in ("a = 1\n", "a = 2\nb = 3\n"):
        burnish.write("train.py", text)
        git(burnish, "add", "train.py")
        git(burnish, "commit", "-q", "-m", "x")
        commits.append(git(burnish, "rev-parse", "HEAD").strip())
        if len(commits) == 2:
            burnish.write("train.py", "a = 2\nb = 4\n")
        assert burnish("run", "--", "true").returncode == 0
    first, second = (record["id"] for record in burnish.records())
    assert sections(burnish, first, second)["code"] == [
        "3 differences",
        f"commit: {commits[0][:12]} → {commits[1][:12]}",
        "uncommitted changes: false → true",
        "changed lines in code.diff: 0 → 2",
        "train.py | 3 ++-",
        "1 file changed, 2 insertions(+), 1 deletion(-)",
    ]
    whole = burnish.json("diff", first, second)["code"]
    assert whole["changed_lines"] == {"a": 0, "b": 2}
    assert whole["different"]["commit"] == {"a": commits[0], "b": commits[1]}


def test_the_same_commit_with_other_changes_is_not_the_same_code(pair):
    code = {"code": {"commit": "a" * 40, "branch": "main", "dirty": True}}
    burnish = pair(code, code)
    (burnish.runs / A / "code.diff").write_text("--- a/x\n+++ b/x\n-1\n+2\n")
    (burnish.runs / B / "code.diff").write_text("--- a/x\n+++ b/x\n-1\n+3\n")
    assert sections(burnish)["code"] == ["1 difference", "changed lines in code.diff: 2 → 2"]


@pytest.mark.parametrize("commit", ["--output=stolen", "0" * 40, ""])
def test_a_commit_that_git_does_not_know_is_only_named(pair, commit):
    burnish = pair({"code": {"commit": "f" * 40}}, {"code": {"commit": commit}})
    git(burnish, "init", "-q")
    assert sections(burnish)["code"][0] == "1 difference"
    assert burnish.json("diff", "aaaa", "bbbb")["code"]["stat"] == ""
    assert not (burnish.root / "stolen").exists()


def test_results_stand_side_by_side_with_their_difference_and_claim_nothing(pair):
    burnish = pair(
        a={"summary": {"acc": metric(0.5, best=0.75, best_step=2), "system/cpu": metric(3)}},
        b={"summary": {"acc": metric(0.75, best=0.75, best_step=3), "new": metric(2)}},
    )
    assert sections(burnish)["results"] == [
        "one run each: a difference may be noise",
        "metric last a last b b − a best a best b b − a",
        "acc 0.5 0.75 0.25 0.75 0.75 0",
        "new – 2 – – – –",
    ]
    whole = burnish.json("diff", "aaaa", "bbbb")["results"]
    assert whole["acc"]["difference"] == {"last": 0.25, "best": 0.0}
    assert whole["new"]["a"] is None
    assert "system/cpu" in whole


def test_a_live_run_is_compared_by_its_latest_values(pair):
    burnish = pair(a={"latest": {"loss": 2.0}}, b={"summary": {"loss": metric(0.5)}})
    assert sections(burnish)["results"][2] == "loss 2 0.5 -1.5"


def commands(pair, a, b, code=None):
    card = {"code": code}
    return sections(pair(card, card, {"command": a.split()}, {"command": b.split()}))


def test_words_of_the_command_that_differ_are_told_by_flag_and_place(pair):
    found = commands(
        pair,
        "python train.py data/a --lr 1 --fast -n -3 --tag x --tag y --same z",
        "/venv/bin/python3 train.py data/b --lr=2 -n -4 --tag x --same z --log",
    )
    assert found["command"] == [
        "6 differences",
        "argument 1: data/a → data/b",
        "--lr: 1 → 2",
        "--fast: given, only in a",
        "-n: -3 → -4",
        "--tag: x y → x",
        "--log: given, only in b",
    ]


def test_two_runs_of_a_script_with_another_value_are_not_the_same(burnish):
    burnish.write("argv.py", "import burnish; burnish.start_run().log({'loss': 1.0}, 0)")
    for rate in ("1", "2"):
        assert burnish("run", "--", sys.executable, "argv.py", "--lr", rate).returncode == 0
    first, second = (record["id"] for record in burnish.records())
    found = sections(burnish, first, second)
    assert found["command"] == ["1 difference", "--lr: 1 → 2"]
    assert found["code"] == ["not known: neither run's code is in git"]
    assert (found["machine"], found["environment"]) == (["same"], ["same"])
    whole = burnish.json("diff", first, second)
    assert whole["command"] == {"--lr": {"a": "1", "b": "2"}}
    assert (whole["code"]["same"], whole["code"]["known"]) == (False, False)


COMMIT = {"commit": "a" * 40, "branch": "main", "dirty": False}


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("python a.py", "python b.py"),
        ("python -m a", "python -m b"),
        ("python -c 1", "python -c 2"),
        ("./a.sh", "./b.sh"),
    ],
)
def test_code_is_not_the_same_where_other_scripts_ran(pair, a, b):
    assert commands(pair, a, b, COMMIT)["code"] == ["same commit, but not the same script: see command"]


def test_code_is_the_same_where_the_same_script_of_a_commit_ran(pair):
    assert commands(pair, "python a.py 1", "python a.py 2", COMMIT)["code"] == ["same"]


def test_files_that_git_does_not_know_are_not_called_the_same(pair):
    code = {**COMMIT, "untracked": ["d.py", "b.py", "c.py", "a.py"]}
    assert commands(pair, "python a.py", "python a.py", code)["code"] == [
        "same commit; files that git does not know are not compared: a.py, b.py, c.py and 1 more"
    ]


def test_what_each_run_has_of_its_own_is_no_difference(pair):
    one = {
        "system": {"executable": "/venv/bin/python"},
        "environment": {"BURNISH_RUN_DIR": "/a", "BURNISH_ATTEMPT": "1"},
    }
    other = {"system": {"executable": "/venv/bin/python3"}, "environment": {"BURNISH_RUN_DIR": "/b"}}
    found = sections(pair(one, other))
    assert (found["machine"], found["environment"]) == (["same"], ["same"])


def test_another_python_environment_is_told(pair):
    found = sections(pair({"system": {"executable": "/a/bin/python"}}, {"system": {"executable": "/b/bin/python"}}))
    assert found["machine"] == ["1 difference", "executable: /a/bin → /b/bin"]


def test_norms_of_every_layer_are_one_line_and_a_pattern_shows_them(pair, on_terminal):
    summary = {f"grad_norm/{number}": metric(number) for number in range(9)} | {"eval/acc": metric(0.5)}
    burnish = pair(a={"summary": summary}, b={"summary": summary})
    assert [line.split()[0] for line in sections(burnish)["results"][1:]] == ["metric", "eval/acc", "grad_norm/*"]
    hint = "hint: each of them: burnish diff aaaa bbbb --metrics 'grad_norm/*'"
    assert on_terminal(120, "diff", "aaaa", "bbbb")[-1] == hint
    lines = burnish("diff", "aaaa", "bbbb", "--metrics", "grad_norm/*").stdout.splitlines()
    assert [line.split()[0] for line in lines[-9:]] == [f"grad_norm/{number}" for number in range(9)]
    done = burnish("diff", "aaaa", "bbbb", "--metrics", "x*")
    assert done.stderr == "error: no metric fits 'x*'\nhint: there are eval/* (1), grad_norm/* (9)\n"


def test_results_in_bytes_have_units(pair):
    burnish = pair(a={"summary": {"kv_bytes": metric(2048)}}, b={"summary": {"kv_bytes": metric(1024)}})
    assert sections(burnish)["results"][2] == "kv_bytes 2.0 KiB 1.0 KiB -1.0 KiB"


def test_a_narrow_terminal_has_the_last_values_with_names_whole(pair, on_terminal):
    summary = {"eval/a_rather_long_name_of_a_metric": metric(0.123456, best=0.123456, best_step=1)}
    pair(a={"summary": summary}, b={"summary": summary})
    head, row = on_terminal(80, "diff", "aaaa", "bbbb")[-2:]
    assert head.split() == ["metric", "last", "a", "last", "b", "b", "−", "a"]
    assert row.split()[0] == "eval/a_rather_long_name_of_a_metric"
