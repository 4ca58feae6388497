import fcntl
import os
import re
import struct
import subprocess
import termios

import pytest

from burnish.core.files import write_json

SUMMARY = {"count": 3, "first": 4.0, "last": 1.5, "min": 1.5, "max": 4.0, "last_step": 2}
BEHIND = {"tensorboard": {"shipped": 3, "behind_bytes": 120, "error": ""}}


@pytest.fixture
def add(burnish):
    """Return a function that puts an ended run into the project."""

    def add(name, config="", **more):
        folder = burnish.runs / name
        folder.mkdir(parents=True)
        record = {"state": "finished", "created": 1.7e9, "experiment": "sft", "step": 2, **more}
        write_json(folder / "run.json", record)
        if config:
            (folder / "config.yaml").write_text(config)

    return add


@pytest.fixture
def listed(burnish, add):
    """Return the command line in a project of three runs, the newest one last in the alphabet."""
    add("20260101_sft_aaaa", "lr: 0.001\n", summary={"eval/loss": SUMMARY}, tags=["keep"])
    add("20260102_sft_bbbb", "lr: 1e-5\n", created=1.8e9, summary={"eval/loss": {**SUMMARY, "last": 1.25}})
    add("20260103_dpo_cccc", created=1.9e9, state="failed", experiment="dpo", tags=["keep", "old"])
    return burnish


def ids(done):
    return [line.split()[0] for line in done.stdout.splitlines()[1:]]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([], ["cccc", "bbbb", "aaaa"]),
        (["--where", "config.lr < 1e-4 and summary['eval/loss'] < 2"], ["bbbb"]),
        (["--where", "experiment == 'sft'", "--state", "finished"], ["bbbb", "aaaa"]),
        (["--tag", "keep"], ["cccc", "aaaa"]),
        (["--tag", "keep", "--tag", "old"], ["cccc"]),
        (["--sort", "summary['eval/loss']"], ["bbbb", "aaaa", "cccc"]),
        (["--sort", "summary.eval/loss", "--reverse"], ["aaaa", "bbbb", "cccc"]),
        (["--reverse"], ["aaaa", "bbbb", "cccc"]),
        (["--reverse", "-n", "1"], ["aaaa"]),
        (["-n", "0"], ["cccc", "bbbb", "aaaa"]),
    ],
)
def test_runs_are_chosen_and_ordered(listed, words, found):
    done = listed("ls", *words)
    assert (ids(done), done.stderr) == (found, "")


def test_json_holds_the_records_of_the_chosen_runs_in_order(listed):
    found = listed.json("ls", "--sort", "summary['eval/loss']", "-n", "2")["runs"]
    assert [run["id"] for run in found] == ["bbbb", "aaaa"]
    assert found[0]["summary"] == {"eval/loss": {**SUMMARY, "last": 1.25}}


def test_columns_are_shown_as_they_were_asked_for(listed):
    done = listed("ls", "--columns", "id, config.lr, summary['eval/loss'], created, tags", "--where", "config.lr > 0")
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["id", "config.lr", "summary.eval/loss", "created", "tags"],
        ["bbbb", "1e-05", "1.25", "2027-01-15T08:00:00.000Z"],
        ["aaaa", "0.001", "1.5", "2023-11-14T22:13:20.000Z", "keep"],
    ]


def test_columns_as_json_are_one_flat_object_a_run(listed):
    assert listed.json("ls", "--columns", "id,config.*,summary.*,tags", "--state", "finished") == {
        "runs": [
            {"id": "bbbb", "config.lr": 1e-5, "summary.eval/loss": 1.25, "tags": []},
            {"id": "aaaa", "config.lr": 0.001, "summary.eval/loss": 1.5, "tags": ["keep"]},
        ]
    }


def test_tags_have_a_column_when_a_shown_run_has_some(listed):
    assert listed("ls").stdout.splitlines()[0].split()[-1] == "tags"
    assert listed("ls", "--where", "config.lr == 1e-5").stdout.splitlines()[0].split()[-1] == "when"


def test_run_whose_sinks_are_behind_is_marked_and_it_is_said_what_that_means(listed, add):
    add("20260104_sft_dddd", created=2e9, sinks=BEHIND)
    done = listed("ls", "-n", "1")
    assert "finished (unshipped)" in done.stdout
    assert (
        done.stderr
        == "unshipped: a tracker has not got all of these runs; why: burnish show RUN; to ship them: burnish sync\n"
    )
    assert listed.json("ls", "--where", "unshipped", "--columns", "id") == {"runs": [{"id": "dddd"}]}


def test_mistake_in_an_expression_is_told_with_what_to_type(listed):
    done = listed("ls", "--where", "config.lrr < 1")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: no run has 'config.lrr'\nhint: did you mean config.lr?\n"
    assert listed.json("ls", "--sort", "stat")["error"]["message"] == "unknown name 'stat'"


def test_when_no_run_is_chosen_that_is_said_and_not_how_to_begin(listed):
    done = listed("ls", "--where", "config.lr > 1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"no such runs in {listed.runs}\n")


def on_a_terminal(burnish, *words, columns=80):
    """Return what a command prints when its stdout is a terminal so wide, and its stderr."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    done = subprocess.Popen(
        burnish.argv(*words), cwd=burnish.root, env=burnish.environ, stdout=slave, stderr=subprocess.PIPE, text=True
    )
    os.close(slave)
    shown = b""
    try:
        while part := os.read(master, 65536):
            shown += part
    except OSError:  # the other end was closed
        pass
    os.close(master)
    return shown.decode().splitlines(), done.communicate()[1]


def test_condition_that_the_shell_cut_is_told_so(listed):
    done = listed("ls", "--where", "config.lr")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: a condition is true or false, and 'config.lr' is a number\n"
        'hint: compare it, in quotes, or the shell takes the ">" away: "config.lr > 0.001"\n'
    )


def test_comparison_that_can_never_hold_is_a_warning(listed):
    done = listed("ls", "--where", "config.lr < 'a'")
    assert done.stderr == (
        f"warning: config.lr < 'a' is never true: config.lr is a number in 2 of 3 runs\nno such runs in {listed.runs}\n"
    )
    assert listed.json("ls", "--where", "config.lr < 'a'") == {"runs": []}


def test_empty_columns_are_refused(listed):
    done = listed("ls", "--columns", "")
    assert done.returncode == 2
    assert done.stderr == "error: no column is named\nhint: such as id,state,config.*,summary.*\n"


def test_best_column_shows_the_best_value_of_the_loss_and_what_is_not_known_is_a_dash(burnish, add):
    down = {**SUMMARY, "first": 1.0, "last": 0.9, "min": 0.2, "best": 0.2, "best_step": 1}
    add("20260101_sft_aaaa", step=None, summary={"eval/acc": SUMMARY, "eval/loss": down})
    add("20260102_sft_bbbb", created=1.8e9, step=None, total_steps=9, latest={"loss": 3})
    assert [line.split()[:9] for line in burnish("ls").stdout.splitlines()[1:]] == [
        ["bbbb", "sft", "finished", "0", "–/9", "3", "–", "–", "0.0s"],
        ["aaaa", "sft", "finished", "0", "–", "–", "loss", "1", "→"],
    ]
    assert "loss 1 → 0.2 " in burnish("ls").stdout


def test_columns_of_the_table_can_be_asked_for_by_their_names(burnish, add):
    add("20260101_sft_aaaa", started=1.7e9, ended=1.7e9 + 75, attempts=[{}, {}], command=["python", "a b.py"])
    done = burnish("ls", "--columns", "id,name,took,tries,when,command,commit")
    assert done.stdout.splitlines()[1].split() == [
        *("aaaa", "20260101_sft_aaaa", "1m15s", "2", "2023-11-14T22:13:20.000Z", "python", "'a", "b.py'", "–"),
    ]
    assert burnish.json("ls", "--columns", "took,when") == {"runs": [{"took": 75.0, "when": 1.7e9}]}


def test_first_use_is_told_how_to_begin(burnish):
    assert burnish("ls").stderr == f"no runs in {burnish.runs}; start one: burnish run -- python train.py\n"


def test_terminal_is_shown_the_first_fifty_and_how_to_see_all(burnish, add):
    for number in range(52):
        add(f"20260101_sft_{number:04d}", created=1.7e9 + number)
    shown, said = on_a_terminal(burnish, "ls")
    assert len(shown) == 51
    assert said == "50 of 52 runs; -n 0 for all\n"
    shown, said = on_a_terminal(burnish, "ls", "-n", "0")
    assert (len(shown), said) == (53, "")
    assert len(burnish("ls").stdout.splitlines()) == 53
    assert len(burnish.json("ls")["runs"]) == 52


def test_narrow_terminal_is_shown_fewer_columns_and_whole_words(burnish, add):
    add("20260101_sft_aaaa", experiment="letters-of-a-name", started=1.7e9, ended=1.7e9 + 75, latest={"loss": 0.25})
    head, row = on_a_terminal(burnish, "ls", columns=66)[0]
    assert without_marks(head).split() == ["id", "experiment", "state", "step", "loss", "best", "when"]
    assert row.split() == ["aaaa", "letters-of-a-name", "finished", "2", "0.25", "–", "2023-11-14"]
    head, row = on_a_terminal(burnish, "ls", columns=30)[0]
    assert row.split() == ["aaaa", "letters-of-a-name", "finished", "2", "–"]


def without_marks(text):
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
