"""`burnish tag`, `note` and `pin`."""

from __future__ import annotations

import json
import subprocess

import pytest

A, B = "20261121_toy_aaaa", "20261121_toy_bbbb"


@pytest.fixture
def two(burnish, recorded):
    recorded(A, tags=["given"])
    recorded(B)
    return burnish


def tags(burnish, run):
    return burnish.json("tag", run)["runs"][0]["tags"]


def test_tag_adds_words_to_several_runs_and_removes_one(two):
    done = two("tag", "aaaa", "bbbb", "+baseline", "+paper")
    assert (done.returncode, done.stdout) == (0, f"{A}  given baseline paper\n{B}  baseline paper\n")
    assert two("tag", "aaaa", "--remove", "paper", "-r", "given").stdout == f"{A}  baseline\n"
    assert tags(two, "bbbb") == ["baseline", "paper"]


def test_tag_without_words_prints_them_and_writes_nothing(two):
    assert two("tag", "aaaa", "bbbb").stdout == f"{A}  given\n{B}  no tags\n"
    assert not (two.runs / A / "annotations.json").exists()


def test_tag_of_a_word_without_plus_says_how(two):
    done = two("tag", "aaaa", "baseline")
    assert done.returncode == 1
    assert done.stderr == (f"error: no run 'baseline' in {two.runs}\nhint: to add a tag: burnish tag aaaa +baseline\n")


def test_tag_writes_nothing_when_one_of_the_runs_is_missing(two):
    done = two("tag", "aaaa", "nope", "+x")
    assert (done.returncode, done.stderr) == (
        1,
        f"error: no run 'nope' in {two.runs}\nhint: list the runs: burnish ls\n",
    )
    assert tags(two, "aaaa") == ["given"]


def test_tag_that_a_run_has_not_is_told_when_removed(two):
    done = two("tag", "aaaa", "--remove", "givn")
    assert (done.returncode, done.stderr) == (0, "run aaaa has no tag 'givn'\n")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["+x"], "error: no run is named\nhint: burnish tag RUN +x\n"),
        (["aaaa", "+x", "-r", "x"], "error: 'x' cannot be both added and removed\n"),
        (
            ["aaaa", "+a b"],
            "error: 'a b' cannot be a tag\nhint: one word of up to 100 characters that does not begin with + or -\n",
        ),
    ],
)
def test_tag_tells_what_it_cannot_do(two, words, told):
    done = two("tag", *words)
    assert (done.returncode, done.stderr) == (2, told)


def test_tags_of_two_commands_at_once_are_both_kept(two):
    started = [two.start("tag", "aaaa", f"+t{number}") for number in range(6)]
    assert [command.wait() for command in started] == [0] * 6
    for command in started:
        command.communicate()
    assert set(tags(two, "aaaa")) == {"given", *(f"t{number}" for number in range(6))}


def test_tags_show_in_ls_and_show(two):
    two("ls")
    two("tag", "aaaa", "+baseline")
    listed = {run["id"]: run["tags"] for run in two.json("ls")["runs"]}
    assert listed["aaaa"] == ["given", "baseline"]
    assert "  tags         given baseline\n" in two("show", "aaaa").stdout


def test_a_live_run_can_be_tagged_and_its_supervisor_writes_on(burnish, eventually):
    file = burnish.toy(max_steps=400, step_s=0.02)
    training = burnish.start("run", file)
    eventually(lambda: burnish.records() and burnish.records()[0].get("step", -1) >= 1, "the run to log")
    run = burnish.records()[0]["id"]
    assert burnish("tag", run, "+live").returncode == 0
    before = burnish.records()[0]["step"]
    eventually(lambda: burnish.records()[0]["step"] > before, "the supervisor to write its record again")
    assert tags(burnish, run) == ["live"]
    training.terminate()
    training.communicate()
    assert tags(burnish, run) == ["live"]


def test_note_adds_and_prints(two):
    assert two("note", "aaaa", "rate was too high\nsee b").stdout == f"{A}  1 note\n"
    assert two("note", "aaaa", "second").stdout == f"{A}  2 notes\n"
    lines = two("note", "aaaa").stdout.splitlines()
    assert [lines[1], lines[2], lines[4]] == ["  rate was too high", "  see b", "  second"]
    notes = two.json("note", "aaaa")["notes"]
    assert [note["text"] for note in notes] == ["rate was too high\nsee b", "second"]
    assert all(note["author"] for note in notes)


def test_note_reads_stdin(two):
    argv = two.argv("note", "aaaa", "-", "--json")
    done = subprocess.run(
        argv, cwd=two.root, env=two.environ, input="from a pipe\n", capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["notes"][0]["text"] == "from a pipe"


def test_note_without_text_is_no_note(two):
    done = two("note", "aaaa", "  ")
    assert (done.returncode, done.stderr) == (
        2,
        "error: a note without text\nhint: burnish note aaaa 'TEXT'\n",
    )


def test_note_says_that_there_are_none(two):
    done = two("note", "aaaa")
    assert (done.stdout, done.stderr) == ("", "no notes on run aaaa; add one: burnish note aaaa 'TEXT'\n")


def test_pin_and_undo(two):
    assert two("pin", "aaaa", "bbbb").stdout == f"{A}  pinned\n{B}  pinned\n"
    assert two.json("show", "aaaa")["run"]["pinned"] is True
    assert two.json("pin", "aaaa", "--undo") == {"runs": [{"run": A, "pinned": False}]}
    assert two.json("show", "aaaa")["run"]["pinned"] is False


def test_pin_of_one_checkpoint_is_refused_before_anything_is_pinned(two):
    done = two("pin", "aaaa", "bbbb@110")
    assert (done.returncode, done.stderr) == (
        2,
        "error: 'bbbb@110': a single checkpoint cannot be pinned yet\nhint: pin the whole run: burnish pin bbbb\n",
    )
    assert two.json("show", "aaaa")["run"]["pinned"] is False
