"""Names of metrics as people and programs make them: ten thousand of them, and of every shape."""

import json

import pyarrow.parquet as pq
import pytest

from burnish.journal.view import open_view

MANY = """
import sys
import burnish
run = burnish.start_run(tracking={"system_every_s": 0})
names = [f"layer/{i}/weight" for i in range(10_000)]
if sys.argv[1] == "in one call":
    for step in range(3):
        run.log({name: step + i / 2 for i, name in enumerate(names)}, step)
else:
    for step in range(3):
        for i, name in enumerate(names):
            run.log({name: step + i / 2}, step)
print(run.dropped)
"""
STRANGE = """
import json, sys
import burnish
run = burnish.start_run(tracking={"system_every_s": 0})
names = json.loads(sys.stdin.read())
for step in range(4):
    run.log({name: step + i / 2 for i, name in enumerate(names)}, step)
    run.log({}, step)
for name in names:
    run.log_text(name, "text")
    run.log_histogram(name, [1.0, 2.0])
    run.log_table(name, [{"a": 1}])
run.log_artifact(__import__("pathlib").Path(run.paths.state), name=names[-1])
print(run.dropped)
"""
NAMES = [
    "train/loss",
    "/leading",
    "trailing/",
    "a//b",
    "../../etc/passwd",
    "with space",
    " around ",
    "tab\there",
    "line\nfeed",
    "carriage\rreturn",
    "größe/验证/📉",
    "e\u0301 and é",
    "right\u202eto left",
    "nul\x00inside",
    "\x1b[31mred",
    "%s %d {}",
    "key=value,other",
    "'quoted\" `all`",
    "*?[a-z]",
    "",
    "long/" + "n" * 10_000,
]


@pytest.mark.parametrize("how", ["in one call", pytest.param("one by one", marks=pytest.mark.chaos)])
def test_ten_thousand_names_are_all_kept(scripts, how):
    done = scripts(MANY, how)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")
    paths, record = scripts.completed("finished")
    assert len(record["summary"]) == 10_000
    assert record["summary"]["layer/77/weight"]["last"] == 2 + 77 / 2
    table = pq.read_table(paths.metrics)
    assert len(table) == 30_000
    found = {(row["key"], row["step"]): row["value"] for row in table.to_pylist()}
    assert found == {(f"layer/{i}/weight", step): step + i / 2 for i in range(10_000) for step in range(3)}


def test_names_of_every_shape_are_kept_and_shown_by_every_command(burnish, scripts):
    with scripts.start(STRANGE) as process:
        said, warned = process.communicate(json.dumps(NAMES), timeout=60)
    assert (process.returncode, said, warned) == (0, "0\n", "")
    paths, record = scripts.completed("finished")
    assert set(record["summary"]) == set(NAMES)
    for number, name in enumerate(NAMES):
        assert (record["summary"][name]["first"], record["summary"][name]["count"]) == (number / 2, 4)
    assert set(pq.read_table(paths.metrics)["key"].to_pylist()) == set(NAMES)
    view = open_view(paths)
    assert {name for name, _ in view.metrics} == set(NAMES)
    view.close()
    for words in (["ls"], ["show", paths.id], ["logs", paths.id, "--journal"], ["export", paths.id]):
        shown = burnish(*words)
        assert (shown.returncode, "Traceback" in shown.stderr) == (0, False), shown.stderr
    logged = [json.loads(line) for line in burnish("logs", paths.id, "--journal", "--kind", "row").stdout.splitlines()]
    assert [line["values"] for line in logged if line["values"]] == [
        {name: step + number / 2 for number, name in enumerate(NAMES)} for step in range(4)
    ]
    assert sum(not line["values"] for line in logged) == 4  # rows of no metric
    assert list(scripts.root.parent.rglob("passwd")) == []


def test_ever_new_names_in_each_call_lose_nothing(scripts):
    script = "import burnish\nrun = burnish.start_run(tracking={'system_every_s': 0})\n"
    script += "for step in range(6000):\n    run.log({f'step {step}': float(step), 'loss': 1.0}, step)\n"
    assert scripts(script).returncode == 0
    _, record = scripts.completed("finished")
    assert len(record["summary"]) == 6001
    assert record["summary"]["loss"]["count"] == 6000
