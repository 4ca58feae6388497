from __future__ import annotations

import csv
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from burnish.analyze.media import Histogram
from burnish.cli.media import _bars
from burnish.journal import JournalWriter, Kind
from burnish.track import Run

A = "20261121_toy_aaaa"
SCRIPT = """
import burnish, numpy
run = burnish.start_run("pictures")
for step in range(3):
    burnish.log({"loss": 1.0}, step)
    run.log_text("eval/sample", f"text {step}\\nlast line")
    run.log_table("eval/scores", [{"prompt": "a, b", "reward": step}, {"prompt": None, "reward": float("nan")}])
    run.log_image("eval/digit", numpy.full((4, 6), step, numpy.uint8))
    run.log_histogram("grad/w", [0.0, 1.0, 1.0], bins=2)
"""


@pytest.fixture
def run(recorded):
    """A run whose record is finished and whose journal a test writes."""
    folder = recorded(A)
    (folder / "journal").mkdir()
    return Run(folder)


@pytest.fixture
def filled(run):
    for step in (10, 20):
        run.log_text("eval/sample", f"text {step}\nlast line", step)
        run.log_table("eval/scores", [{"prompt": "a, b", "reward": step}, {"prompt": None, "reward": 0.5}], step)
        run.log_histogram("grad/w", [0.0, 1.0, 1.0], step, bins=2)
    run.log_image("eval/digit", b"\xff\xd8\xff\xc0\x00\x11\x08\x00\x04\x00\x06\x03", 20)
    return run


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_list_shows_key_kind_count_steps_and_size(burnish, filled):
    done = burnish("media", "aaaa")
    assert done.returncode == 0
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[0] == ["key", "kind", "count", "steps", "last", "size"]
    assert rows[1][:7] == ["eval/digit", "image", "1", "20", "6", "×", "4"]
    assert rows[2][:7] == ["eval/sample", "text", "2", "10,", "20", "17", "characters"]
    assert rows[3][:10] == ["eval/scores", "table", "2", "10,", "20", "2", "rows", "×", "2", "columns"]
    assert rows[4][:7] == ["grad/w", "histogram", "2", "10,", "20", "2", "bins"]
    assert len(rows) == 5


def test_many_steps_are_shown_as_first_and_last(burnish, run):
    for step in range(0, 100, 10):
        run.log_text("t", "x", step)
    assert "0 … 90" in burnish("media", "aaaa").stdout


def test_a_run_with_scalars_only_has_nothing_to_list(burnish, run):
    run.log({"loss": 1.0}, 1)
    done = burnish("media", "aaaa")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "run aaaa has recorded nothing but scalars\n")
    assert burnish.json("media", "aaaa") == {"run": A, "media": []}


def test_patterns_and_a_step_choose_what_is_listed(burnish, filled):
    assert [item["key"] for item in burnish.json("media", "aaaa", "eval/s*", "grad/w")["media"]] == [
        *("eval/sample",) * 2,
        *("eval/scores",) * 2,
        *("grad/w",) * 2,
    ]
    chosen = burnish.json("media", "aaaa", "--step", "10")["media"]
    assert [item["key"] for item in chosen] == ["eval/sample", "eval/scores", "grad/w"]


def test_a_key_with_brackets_is_not_a_pattern(burnish, run):
    run.log_text("a[1]", "of brackets", 1)
    assert burnish("media", "aaaa", "a[1]").stdout == "of brackets\n"


def test_one_text_is_printed_as_it_is(burnish, filled):
    done = burnish("media", "aaaa", "eval/sample")
    assert done.stdout == "text 20\nlast line\n"
    assert done.stderr == "of step 20, one of 2 steps; another: --step STEP, all as files: -o DIR\n"
    assert burnish("media", "aaaa", "*sample", "--step", "10").stdout == "text 10\nlast line\n"


def test_all_texts_of_a_step_are_printed(burnish, run):
    for text in ("one", "two"):
        run.log_text("sample", text, 1)
    assert burnish("media", "aaaa", "sample").stdout == "one\ntwo\n"


def test_a_table_is_printed_as_one(burnish, filled):
    lines = burnish("media", "aaaa", "eval/scores").stdout.splitlines()
    assert [line.rstrip() for line in lines] == ["prompt  reward", "a, b        20", "–          0.5"]


def test_a_histogram_is_printed_as_bars(burnish, filled):
    assert burnish("media", "aaaa", "grad/w").stdout.splitlines() == [
        "3 values, mean 0.6667, std 0.4714, min 0, max 1",
        f"  0 … 0.5  {'█' * 20} 1",
        f"0.5 …   1  {'█' * 40} 2",
    ]


def test_neighbouring_bins_are_drawn_together_and_none_is_lost():
    edges = tuple(float(place) for place in range(65))
    lines = _bars(Histogram(edges, (1,) * 63 + (10_000,), 10_063, 2, 0.0, 64.0, 1.0, 2.0))
    assert lines[0] == "10,063 values, mean 1, std 2, min 0, max 64, 2 not finite"
    assert len(lines) == 1 + 22
    assert sum(int(line.rsplit(" ", 1)[1].replace(",", "")) for line in lines[1:]) == 10_063
    assert "▏ 3" in lines[1]


def test_a_histogram_of_nothing_has_no_bars():
    assert _bars(Histogram((0.0, 1.0), (0,), 0, 3, None, None, None, None)) == ["0 values, 3 not finite"]


def test_of_a_picture_the_path_is_printed(burnish, filled):
    path = burnish("media", "aaaa", "eval/digit").stdout.rstrip("\n")
    assert path.startswith(str(burnish.runs / A / "media"))
    assert path.endswith(".jpg")


def test_a_graph_is_printed_as_its_modules(burnish, run):
    torch = pytest.importorskip("torch")
    run.log_model_graph(torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU()))
    lines = [line.split() for line in burnish("media", "aaaa", "model").stdout.splitlines()]
    assert lines == [
        ["9", "parameters,", "9", "trainable"],
        ["module", "class", "own", "parameters"],
        ["(model)", "Sequential"],
        ["0", "Linear", "9"],
        ["1", "ReLU"],
    ]


def test_json_of_one_key_has_its_content(burnish, filled):
    def content(*words):
        (item,) = burnish.json("media", "aaaa", *words)["media"]
        return item["content"]

    assert content("eval/sample", "--step", "10") == "text 10\nlast line"
    assert content("eval/scores") == {"columns": ["prompt", "reward"], "rows": [["a, b", 20], [None, 0.5]]}
    assert content("grad/w")["counts"] == [1, 2]
    (picture,) = burnish.json("media", "aaaa", "eval/digit")["media"]
    assert (picture["content"], picture["shape"], picture["size_bytes"]) == (None, [6, 4], 12)
    assert Path(picture["file"]).is_file()


def test_files_are_written_with_readable_names(burnish, filled):
    done = burnish("media", "aaaa", "-o", "out/pictures")
    assert (done.returncode, done.stderr) == (0, "7 files written to out/pictures\n")
    out = burnish.root / "out" / "pictures"
    assert files(out) == [
        "eval_digit_20.jpg",
        "eval_sample_10.txt",
        "eval_sample_20.txt",
        "eval_scores_10.csv",
        "eval_scores_20.csv",
        "grad_w_10.csv",
        "grad_w_20.csv",
    ]
    assert (out / "eval_sample_10.txt").read_text() == "text 10\nlast line"
    with (out / "eval_scores_20.csv").open() as table:
        assert list(csv.reader(table)) == [["prompt", "reward"], ["a, b", "20"], ["", "0.5"]]
    assert (out / "grad_w_20.csv").read_text() == "low,high,count\n0.0,0.5,1\n0.5,1.0,2\n"
    assert (out / "eval_digit_20.jpg").read_bytes().startswith(b"\xff\xd8")


def test_only_what_fits_is_written(burnish, filled):
    burnish("media", "aaaa", "eval/s*", "--step", "20", "-o", "out")
    assert files(burnish.root / "out") == ["eval_sample_20.txt", "eval_scores_20.csv"]
    burnish("media", "aaaa", "eval/sample", "-o", "all")
    assert files(burnish.root / "all") == ["eval_sample_10.txt", "eval_sample_20.txt"]


def test_no_file_is_replaced_unless_it_may_be(burnish, filled):
    kept = burnish.write("out/eval_sample_20.txt", "mine")
    done = burnish("media", "aaaa", "eval/*", "-o", "out")
    assert done.returncode == 1
    assert done.stderr == (
        "error: out/eval_sample_20.txt exists already\nhint: choose another folder, or replace them: --force\n"
    )
    assert (kept.read_text(), files(kept.parent)) == ("mine", [kept.name])
    assert burnish("media", "aaaa", "eval/*", "-o", "out", "--force").returncode == 0
    assert kept.read_text() == "text 20\nlast line"


def test_a_dangling_link_is_not_replaced(burnish, filled):
    (burnish.root / "out").mkdir()
    (burnish.root / "out" / "eval_sample_20.txt").symlink_to("nowhere")
    assert burnish("media", "aaaa", "-o", "out").returncode == 1


def test_keys_lead_nowhere_and_share_no_file(burnish, run):
    keys = ["../../up", "/etc/x", "a/b", "a_b", "A_b", ".hidden", "-o", "", "x" * 300, "日本/語", "a\nb\x1b[2J", "up_3"]
    for place, key in enumerate(keys):
        run.log_text(key, str(place), 3)
    run.log_text("a/b", "again", 3)
    assert burnish("media", "aaaa", "-o", "out/deep").returncode == 0
    assert files(burnish.root / "out") == ["deep"]
    found = {path.name: path.read_text() for path in (burnish.root / "out" / "deep").iterdir()}
    assert sorted(found.values()) == sorted([*map(str, range(len(keys))), "again"])
    assert {"up_3.txt", "etc_x_3.txt", "hidden_3.txt", "o_3.txt", "unnamed_3.txt", "日本_語_3.txt"} <= found.keys()
    assert {"a_b_2J_3.txt", "up_3_3.txt"} <= found.keys()
    assert {name.lower() for name in found if name.lower().startswith("a_b_3")} == {
        "a_b_3.txt",
        "a_b_3-2.txt",
        "a_b_3-3.txt",
        "a_b_3-4.txt",
    }


def test_what_is_damaged_is_told_and_the_rest_is_written(burnish, filled):
    (picture,) = (burnish.runs / A / "media").iterdir()
    picture.write_bytes(b"")
    done = burnish("media", "aaaa", "-o", "out")
    assert done.returncode == 1
    assert done.stderr == (
        f"warning: the file of 'eval/digit', {picture}, is not what was recorded: its hash differs\n"
        "6 files written to out\n"
    )
    assert len(files(burnish.root / "out")) == 6
    one = burnish("media", "aaaa", "eval/digit")
    assert (one.returncode, one.stderr) == (
        1,
        f"error: the file of 'eval/digit', {picture}, is not what was recorded: its hash differs\n",
    )
    told = burnish.json("media", "aaaa", "-o", "out", "--force")["media"]
    assert "error" in told[0]
    assert told[1]["written"] == "out/eval_sample_10.txt"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["eval/sampel"], "error: run aaaa recorded nothing called 'eval/sampel'\nhint: did you mean eval/sample?\n"),
        (
            ["zzz*"],
            "error: run aaaa recorded nothing called 'zzz*'\n"
            "hint: there are eval/digit, eval/sample, eval/scores, grad/w\n",
        ),
        (
            ["eval/sample", "--step", "7"],
            "error: 'eval/sample' has nothing at step 7\nhint: there are steps 10, 20\n",
        ),
        (
            ["--step", "7"],
            "error: nothing was recorded at step 7\nhint: see which steps there are, without --step\n",
        ),
    ],
)
def test_what_is_not_there_is_told_with_what_is(burnish, filled, words, error):
    done = burnish("media", "aaaa", *words)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", error)


def test_a_metric_is_told_to_be_one(burnish, recorded):
    recorded(A, summary={"loss": dict.fromkeys(("count", "first", "last", "min", "max", "last_step"), 1)})
    done = burnish("media", "aaaa", "loss")
    assert done.stderr == (
        "error: run aaaa recorded nothing called 'loss'\nhint: it is a metric: burnish export aaaa --metrics loss\n"
    )


def test_force_without_a_folder_is_refused(burnish, filled):
    done = burnish("media", "aaaa", "--force")
    assert (done.returncode, done.stderr) == (
        2,
        "error: --force replaces files, and none are written\nhint: name a folder: -o DIR\n",
    )


def test_a_model_cannot_steer_the_terminal(burnish, run):
    run.log_text("sample", "a\x1b]0;title\x07b\tc\nd", 1)
    assert burnish("media", "aaaa", "sample").stdout == "a\x1b]0;title\x07b\tc\nd\n"
    assert "\x1b]" not in on_a_terminal(burnish, "media", "aaaa", "sample")
    run.log_text("key\x1b]0;\n", "x", 1)
    assert "key\\x1b]0;\\n" in burnish("media", "aaaa").stdout


def on_a_terminal(burnish, *words):
    here, there = pty.openpty()
    done = subprocess.Popen(burnish.argv(*words), cwd=burnish.root, env=burnish.environ, stdout=there)
    os.close(there)
    found = b""
    try:
        while piece := os.read(here, 1 << 16):
            found += piece
    except OSError:  # Linux says so when the other side is closed
        pass
    os.close(here)
    assert done.wait(30) == 0
    return found.decode()


def test_a_journal_of_a_stranger_opens_no_other_file(burnish, run):
    burnish.write("secret", "secret")
    writer = JournalWriter(run.paths.journals, 0, dict)
    writer.record(Kind.MEDIA, "x", {"type": "image", "file": "../../../secret"}, 1)
    done = burnish("media", "aaaa", "-o", "out")
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        1,
        "warning: the journal names no file of the run for 'x'",
    )


def test_a_run_of_a_script_says_in_its_record_what_it_recorded(burnish):
    burnish.write("train.py", SCRIPT)
    assert burnish("run", "--", sys.executable, "train.py").returncode == 0
    (record,) = burnish.records()
    assert record["media"] == {
        "eval/sample": {"kind": "text", "count": 3, "last_step": 2},
        "eval/scores": {"kind": "table", "count": 3, "last_step": 2},
        "eval/digit": {"kind": "image", "count": 3, "last_step": 2},
        "grad/w": {"kind": "histogram", "count": 3, "last_step": 2},
    }
    assert burnish("media", record["id"], "-o", "out").returncode == 0
    assert len(files(burnish.root / "out")) == 12


def test_a_live_run_is_read_as_it_stands(burnish, eventually):
    burnish.write(
        "train.py",
        "import burnish, pathlib, time\nrun = burnish.start_run('live')\nburnish.log({'loss': 1.0}, 5)\n"
        "run.log_text('sample', 'so far')\n"
        "while not pathlib.Path('stop').exists(): time.sleep(0.02)\n",
    )
    process = burnish.start("run", "--", sys.executable, "train.py")
    try:
        eventually(lambda: any(record.get("media") for record in burnish.records()), "media in the record")
        (record,) = burnish.records()
        assert (record["state"], record["media"]) == (
            "running",
            {"sample": {"kind": "text", "count": 1, "last_step": 5}},
        )
        assert burnish("media", str(record["id"]), "sample").stdout == "so far\n"
    finally:
        burnish.write("stop", "")
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_json_says_what_was_written(burnish, filled):
    told = json.loads(burnish("media", "aaaa", "grad/w", "-o", "out", "--json").stdout)
    assert [item["written"] for item in told["media"]] == ["out/grad_w_10.csv", "out/grad_w_20.csv"]
