from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from burnish.journal import JournalWriter

COLUMNS = ["run", "key", "step", "time", "value", "rank"]
SCRIPT = """
import burnish, math, sys
run = burnish.start_run("curves", config={"lr": float(sys.argv[1]), "layers": [1, 2], "note": "a, b"})
for step in range(4):
    burnish.log({"train/loss": 1 / (step + 1), "eval/acc": step / 4}, step)
burnish.log({"odd name, é": math.nan, "up": math.inf, "down": -math.inf}, 9)
"""
WRITTEN = 2 * 4 + 3


@pytest.fixture
def trained(burnish):
    """Two finished runs of a plain script."""
    burnish.write("train.py", SCRIPT)
    for rate in ("0.1", "0.2"):
        assert burnish("run", "--", sys.executable, "train.py", rate).returncode == 0
    return burnish


@pytest.fixture
def ids(trained):
    return [record["id"] for record in trained.records()]


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def points(rows):
    return {(row["run"][-4:], row["key"], int(row["step"])): float(row["value"]) for row in rows}


def test_csv_on_stdout_has_every_point_of_every_run(trained, ids):
    done = trained("export", *ids)
    assert done.returncode == 0
    assert done.stderr == f"{2 * WRITTEN} points of 2 runs\n"
    rows = rows_of(done.stdout)
    assert list(rows[0]) == COLUMNS
    found = points(rows)
    assert len(found) == len(rows) == 2 * WRITTEN
    for run in ids:
        assert [found[run, "train/loss", step] for step in range(4)] == [1.0, 1 / 2, 1 / 3, 1 / 4]
        assert math.isnan(found[run, "odd name, é", 9])
        assert (found[run, "up", 9], found[run, "down", 9]) == (math.inf, -math.inf)
    assert {row["rank"] for row in rows} == {"0"}
    assert all(float(row["time"]) > 1.7e9 for row in rows)


def test_json_is_one_object_a_line_and_has_text_for_what_json_lacks(trained, ids):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    lines = trained("export", ids[0], "--format", "json").stdout.splitlines()
    rows = [json.loads(line, parse_constant=refuse) for line in lines]
    assert len(rows) == WRITTEN
    assert list(rows[0]) == COLUMNS
    assert {row["key"]: row["value"] for row in rows if row["step"] == 9} == {
        "odd name, é": "nan",
        "up": "inf",
        "down": "-inf",
    }


def test_parquet_has_the_same_points_and_types(trained, ids, tmp_path):
    file = tmp_path / "points.parquet"
    done = trained("export", *ids, "-o", str(file))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    table = pq.read_table(file)
    assert table.column_names == COLUMNS
    assert [str(table.schema.field(name).type) for name in COLUMNS[2:]] == ["int64", "double", "double", "int32"]
    assert str(table.schema.field("run").type).startswith("dictionary<values=string")
    read = {(r["run"][-4:], r["key"], r["step"]): r["value"] for r in table.to_pylist()}
    written = points(rows_of(trained("export", *ids).stdout))
    assert read.keys() == written.keys()
    assert all(value == written[key] or math.isnan(written[key]) for key, value in read.items())


def test_parquet_goes_through_a_pipe(trained, ids):
    done = subprocess.run(
        trained.argv("export", ids[0], "--format", "parquet"),
        cwd=trained.root,
        env=trained.environ,
        capture_output=True,
        check=True,
    )
    assert pq.read_table(io.BytesIO(done.stdout)).num_rows == WRITTEN


def test_parquet_of_no_points_has_the_columns(burnish, recorded, tmp_path):
    recorded("20261121_toy_aaaa")
    done = burnish("export", "aaaa", "-o", str(tmp_path / "none.parquet"))
    assert done.returncode == 0, done.stderr
    assert pq.read_table(tmp_path / "none.parquet").column_names == COLUMNS
    assert burnish("export", "aaaa").stdout == ",".join(COLUMNS) + "\n"


def test_metrics_are_chosen_by_patterns(trained, ids):
    rows = rows_of(trained("export", ids[0], "--metrics", "eval/*", "--metrics", "up").stdout)
    assert {row["key"] for row in rows} == {"eval/acc", "up"}


def test_a_pattern_that_fits_nothing_is_told_and_writes_nothing(trained, ids, tmp_path):
    file = tmp_path / "x.csv"
    done = trained("export", ids[0], "--metrics", "train/los", "-o", str(file))
    assert (done.returncode, done.stderr) == (
        1,
        "error: no metric is called 'train/los'\nhint: did you mean train/loss?\n",
    )
    assert list(tmp_path.glob("*x.csv*")) == []


def test_a_group_that_there_is_not_is_answered_with_those_there_are(trained, ids):
    done = trained("export", ids[0], "--metrics", "nope/*")
    assert (done.returncode, done.stderr) == (
        1,
        "error: no metric fits 'nope/*'\nhint: there are down, eval/* (1), odd name, é, train/* (1), up\n",
    )


def test_the_table_of_runs_has_fields_config_and_metrics(trained, ids):
    rows = rows_of(trained("export", "--table", "runs").stdout)
    assert [row["id"] for row in rows] == ids[::-1]
    assert [row["config.lr"] for row in rows] == ["0.2", "0.1"]
    assert rows[0]["config.note"] == "a, b"
    assert rows[0]["config.layers.1"] == "2"
    assert (rows[0]["state"], rows[0]["pinned"], rows[0]["tags"]) == ("finished", "false", "[]")
    assert float(rows[0]["summary.train/loss.last"]) == 0.25
    assert float(rows[0]["summary.train/loss.max"]) == 1.0


def test_the_table_of_some_runs_as_parquet_has_numbers_as_numbers(trained, ids, tmp_path):
    trained("tag", ids[0], "+mine")
    file = tmp_path / "runs.parquet"
    done = trained("export", ids[0], "--table", "runs", "--metrics", "train/*", "-o", str(file))
    assert done.returncode == 0, done.stderr
    (row,) = pq.read_table(file).to_pylist()
    assert (row["config.lr"], row["exit_code"], row["tags"], row["pinned"]) == (0.1, 0, '["mine"]', False)
    assert next(name for name in row if name.startswith("summary.")) == "summary.train/loss.last"
    assert not [name for name in row if "eval" in name]


def test_whole_numbers_stay_whole_where_a_run_has_none(burnish, recorded):
    big = 2**62 + 1
    for name, config in (("20261121_toy_aaaa", {"seed": big}), ("20261122_toy_bbbb", {"seed": None, "on": True})):
        (recorded(name, created=float(name[:8])) / "config.yaml").write_text(json.dumps(config))
    rows = rows_of(burnish("export", "--table", "runs").stdout)
    assert [(row["config.seed"], row["config.on"]) for row in rows] == [("", "true"), (str(big), "")]
    lines = burnish("export", "--table", "runs", "--format", "json").stdout.splitlines()
    assert [json.loads(line)["config.seed"] for line in lines] == [None, big]


def test_columns_of_mixed_kinds_become_text_in_parquet(burnish, recorded, tmp_path):
    for name, value in (("20261121_toy_aaaa", "auto"), ("20261122_toy_bbbb", 3)):
        (recorded(name, created=float(name[:8])) / "config.yaml").write_text(json.dumps({"size": value}))
    file = tmp_path / "runs.parquet"
    assert burnish("export", "--table", "runs", "-o", str(file)).returncode == 0
    assert pq.read_table(file).column("config.size").to_pylist() == ["3", "auto"]


def test_a_live_run_is_written_as_it_stands(burnish, eventually):
    training = burnish.start("run", burnish.toy(max_steps=500, step_s=0.02))
    eventually(lambda: burnish.records() and burnish.records()[0].get("step", -1) >= 2, "the run to log")
    run = burnish.records()[0]["id"]
    rows = rows_of(burnish("export", run, "--metrics", "train/loss").stdout)
    assert [float(row["value"]) for row in rows[:3]] == [1.0, 1 / 2, 1 / 3]
    training.terminate()
    training.communicate()


def test_a_file_that_exists_is_replaced_only_by_force(trained, ids, tmp_path):
    file = tmp_path / "x.csv"
    file.write_text("mine")
    done = trained("export", ids[0], "-o", str(file))
    assert (done.returncode, done.stderr) == (
        1,
        f"error: {file} exists already\nhint: choose another name, or replace it: --force\n",
    )
    assert file.read_text() == "mine"
    done = trained("export", ids[0], "-o", str(file), "--force")
    assert (done.returncode, done.stderr) == (0, f"{WRITTEN} points of 1 run written to {file}\n")
    assert len(rows_of(file.read_text())) == WRITTEN


def test_json_tells_what_was_written(trained, ids, tmp_path):
    file = tmp_path / "x.ndjson"
    told = trained.json("export", ids[0], "-o", str(file))
    assert told == {"path": str(file), "format": "json", "rows": WRITTEN, "runs": [trained.records()[0]["name"]]}


def test_long_series_are_written_in_pieces_and_whole(burnish, recorded):
    folder = recorded("20261121_toy_aaaa") / "journal"
    folder.mkdir()
    writer = JournalWriter(folder, 0, lambda: {"attempt": 1})
    count = (1 << 17) + 10
    for step in range(count):
        writer.row(("loss", "lr"), (step / 2, 0.5), step, 1.8e9)
    writer.close()
    rows = rows_of(burnish("export", "aaaa").stdout)
    assert [int(row["step"]) for row in rows] == [*range(count)] * 2
    assert [float(row["value"]) for row in rows[:count]] == [step / 2 for step in range(count)]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_long_work_shows_a_bar_on_a_terminal_only(is_terminal):
    code = (
        "from burnish.cli import _console\n"
        "_console._BAR_AFTER_S = 0\n"
        "with _console.Bar('export', 2) as bar:\n"
        "    bar.advance(1)\n"
    )
    ours, theirs = os.openpty() if is_terminal else os.pipe()
    done = subprocess.run([sys.executable, "-c", code], stderr=theirs, check=True)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # a terminal whose other side is closed has no end of file
        while piece := os.read(ours, 4096):
            shown += piece
    os.close(ours)
    assert done.returncode == 0
    assert (b"export" in shown and b"50%" in shown) == is_terminal
    assert is_terminal or shown == b""


def test_a_named_pipe_is_written_to_as_it_is(trained, ids, tmp_path):
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    writing = trained.start("export", ids[0], "-o", str(pipe))
    assert len(rows_of(pipe.read_text())) == WRITTEN
    writing.communicate()
    assert pipe.is_fifo()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "error: no run is named\nhint: burnish export RUN…, or --table runs for all runs\n"),
        (["x", "-o", "x.txt"], "error: 'x.txt' tells no format\nhint: add --format parquet, csv or json\n"),
    ],
)
def test_what_cannot_be_exported_is_told(burnish, words, told):
    done = burnish("export", *words)
    assert (done.returncode, done.stderr) == (2, told)


def test_json_without_a_file_is_refused(burnish):
    assert burnish.json("export", "x")["error"]["message"] == (
        "--json tells what was written to a file, and stdout is none"
    )


def test_a_folder_that_is_missing_is_told(trained, ids, tmp_path):
    file = tmp_path / "no" / "x.csv"
    done = trained("export", ids[0], "-o", str(file))
    assert (done.returncode, done.stderr) == (1, f"error: cannot write {file}: No such file or directory\n")


def test_the_table_of_no_runs_says_how_to_begin(burnish):
    done = burnish("export", "--table", "runs")
    assert (done.returncode, done.stderr) == (
        1,
        "error: there are no runs\nhint: start one: burnish run experiments/sft.yaml\n",
    )
