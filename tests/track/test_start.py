import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from burnish.config import layer
from burnish.config.sources.yaml import parse_yaml
from burnish.core.errors import UsageError
from burnish.core.files import write_json
from burnish.journal import JournalReader, Kind, Record, Row
from burnish.journal.reader import JournalName, journal_files
from burnish.track.section import checked_tracking


def environment(**more):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LLM_", "BURNISH_")) and k != "RANK"}
    return kept | more


def execute(text, *, cwd, argv=(), **variables):
    return subprocess.run(
        [sys.executable, "-c", text, *argv],
        cwd=cwd,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def entries(folder, pid=None):
    found = []
    for path in journal_files(folder / "journal"):
        if pid in (None, JournalName.parse(path).pid):
            reader = JournalReader(path)
            found += reader.read_all()
            reader.close()
    return found


def ends(folder):
    return [e.payload for e in entries(folder) if isinstance(e, Record) and (e.kind, e.key) == (Kind.LIFECYCLE, "end")]


@pytest.fixture
def joined(tmp_path):
    folder = tmp_path / "20260101_toy_k7f2"
    (folder / "journal").mkdir(parents=True)
    return folder


def test_start_run_joins_the_run_of_the_environment(joined, tmp_path):
    script = "import burnish; r = burnish.start_run(); r.log({'x': 1.0}); print(r.name, r.attempt, r.rank)"
    done = execute(script, cwd=tmp_path, BURNISH_RUN_DIR=str(joined), BURNISH_ATTEMPT="3", RANK="2")
    assert (done.stdout, done.stderr) == (f"{joined.name} 3 2\n", "")
    first = entries(joined)[0]
    assert isinstance(first, Record)
    assert (first.payload["attempt"], first.payload["rank"]) == (3, 2)
    assert [path.name for path in tmp_path.iterdir()] == [joined.name]


def test_second_call_returns_the_same_run(joined, tmp_path):
    script = "import burnish; from burnish.track import current_run\n"
    script += "a = burnish.start_run('a'); print(burnish.start_run('b') is a, current_run() is a)"
    assert execute(script, cwd=tmp_path, BURNISH_RUN_DIR=str(joined)).stdout == "True True\n"


def test_log_begins_the_run_by_itself(joined, tmp_path):
    script = "import burnish; burnish.log({'x': 1.0}); burnish.log({'x': 2.0})"
    execute(script, cwd=tmp_path, BURNISH_RUN_DIR=str(joined))
    assert [e.values for e in entries(joined) if isinstance(e, Row)] == [(1.0,), (2.0,)]


def test_interpreter_exit_closes_the_record_as_finished(joined, tmp_path):
    execute("import burnish; burnish.log({'x': 1.0})", cwd=tmp_path, BURNISH_RUN_DIR=str(joined))
    assert ends(joined) == [{"status": "finished", "exit_code": 0, "error": "", "dropped": 0, "at_exit": True}]


@pytest.mark.parametrize(
    ("statement", "status", "error"),
    [
        ("raise ValueError('shapes differ')", "failed", "ValueError: shapes differ"),
        ("raise KeyboardInterrupt", "stopped", "KeyboardInterrupt: "),
    ],
)
def test_exception_closes_the_record_once_and_is_still_shown(joined, tmp_path, statement, status, error):
    done = execute(f"import burnish; burnish.start_run(); {statement}", cwd=tmp_path, BURNISH_RUN_DIR=str(joined))
    assert done.returncode != 0
    assert error.strip(": ") in done.stderr
    assert ends(joined) == [{"status": status, "exit_code": 1, "error": error, "dropped": 0, "at_exit": True}]


FORKING = """
import os, sys
import burnish
run = burnish.start_run()
run.log({"parent": 1.0})
pid = os.fork()
run.log({"child" if pid == 0 else "parent": 2.0})
if pid == 0:
    sys.exit(0)  # runs the exit functions, as a forked worker's own code may
assert os.waitpid(pid, 0)[1] == 0
print(os.getpid(), pid)
"""


def test_forked_child_logs_to_a_file_of_its_own_and_never_closes_the_record(joined, tmp_path):
    done = execute(FORKING, cwd=tmp_path, BURNISH_RUN_DIR=str(joined))
    parent, child = map(int, done.stdout.split())
    assert [e.keys for e in entries(joined, child) if isinstance(e, Row)] == [("child",)]
    assert [e.keys for e in entries(joined, parent) if isinstance(e, Row)] == [("parent",), ("parent",)]
    assert len(ends(joined)) == 1
    last = entries(joined, parent)[-1]
    assert isinstance(last, Record)
    assert last.key == "end"


HEAVY = ("pydantic", "numpy", "pyarrow", "rich", "torch", "click", "yaml", "psutil", "tensorboard", "pandas")


@pytest.mark.parametrize("is_joined", [True, False], ids=["joined", "plain script"])
def test_training_process_loads_no_heavy_module(joined, tmp_path, is_joined):
    script = "import sys, burnish; burnish.start_run(); burnish.log({'x': 1.0})\n"
    script += "print(sorted({name.partition('.')[0] for name in sys.modules}))"
    where = {"BURNISH_RUN_DIR": str(joined)} if is_joined else {"BURNISH_RUNS": str(tmp_path / "runs")}
    done = execute(script, cwd=tmp_path, **where)
    loaded = set(json.loads(done.stdout.replace("'", '"')))
    assert "msgspec" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_runs_folder_that_cannot_be_made_says_what_to_type(tmp_path):
    (tmp_path / "file").touch()
    script = "import burnish\ntry:\n burnish.start_run()\nexcept burnish.BurnishError as e:\n print(e); print(e.hint)"
    done = execute(script, cwd=tmp_path, BURNISH_RUNS=str(tmp_path / "file" / "runs"))
    assert done.stdout.splitlines() == [
        f"cannot create folder {tmp_path / 'file' / 'runs'}: Not a directory",
        "choose another folder: BURNISH_RUNS=/path/to/runs",
    ]


# Plain scripts, whose record a keeper completes.


def kept_run(runs, *states, timeout_s=60):
    """Wait until the keeper has completed the only run of a folder; return the run directory and its record."""
    until = time.monotonic() + timeout_s
    record = {}
    while time.monotonic() < until:
        for path in runs.glob("*/run.json"):
            record = json.loads(path.read_text())
            if record["state"] in states:
                return path.parent, record
        time.sleep(0.05)
    pytest.fail(f"the run is {record.get('state')!r} after {timeout_s} s, not one of {states}")


PLAIN = """
import burnish
run = burnish.start_run("My Idea", config={
    "lr": 1e-4, "api_key": "planted-config", "url": "https://me:planted-url@host",
    "nested": [{"note": "planted-env-1"}],
})
for step in range(5):
    run.log({"loss": 1.0 / (step + 1)})
run.report({"device": "cpu"})
raise RuntimeError("401 for planted-env-1") if "fail" in __import__("sys").argv else SystemExit
"""
ARGV = ("--api-key", "planted-argv-1", "--hub-token=planted-argv-2", "db://me:planted-argv-3@host/x", "planted-env-1")
PLANTED = {"MY_SERVICE_TOKEN": "planted-env-1", "LLM_API_KEY": "planted-env-2", "NCCL_DEBUG": "INFO", "SHOPPING": "no"}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A finished plain script: its folder, run directory and record."""
    folder = tmp_path_factory.mktemp("plain")
    done = execute(PLAIN, cwd=folder, argv=ARGV, BURNISH_RUNS=str(folder / "runs"), **PLANTED)
    assert (done.returncode, done.stderr) == (0, "")
    return kept_run(folder / "runs", "finished")


def test_keeper_completes_the_record_of_a_plain_script(plain):
    folder, record = plain
    assert record["name"] == folder.name
    assert folder.name.split("_")[1:-1] == ["my-idea"]
    assert (record["step"], record["exit_code"], record["dropped"]) == (4, 0, 0)
    assert record["summary"]["loss"]["last"] == 0.2
    assert record["sinks"]["tensorboard"]["error"] == ""


def test_keeper_writes_the_metrics(plain):
    table = pq.ParquetFile(plain[0] / "metrics.parquet").read()
    assert table["value"].to_pylist() == [1 / (step + 1) for step in range(5)]


def test_config_of_a_plain_script_is_kept_without_credentials(plain):
    config = json.loads((plain[0] / "config.yaml").read_text())
    assert config == {"lr": 1e-4, "api_key": "***", "url": "https://me:***@host", "nested": [{"note": "***"}]}


def test_card_shows_the_masked_command_and_only_known_variables(plain):
    card = json.loads((plain[0] / "card.json").read_text())
    assert card["command"][-5:] == ["--api-key", "***", "--hub-token=***", "db://me:***@host/x", "***"]
    assert card["environment"]["NCCL_DEBUG"] == "INFO"
    assert not {"SHOPPING", "MY_SERVICE_TOKEN", "LLM_API_KEY", "PATH", "HOME"} & card["environment"].keys()
    assert card["reported"].pop("device") == "cpu"
    reported = card["reported"]
    assert (reported["python"], reported["executable"]) == (sys.version.split()[0], sys.executable)
    assert {"burnish", "msgspec"} <= set(reported["imported"])
    assert not {"numpy", "pydantic", "torch"} & set(reported["imported"])
    assert card["packages"]["msgspec"]


def test_card_for_people_shows_the_result(plain):
    text = (plain[0] / "card.md").read_text()
    assert text.startswith(f"# {plain[0].name}\n\n**finished**, took ")
    assert "| loss | 1 | 0.2 | 0.2 | 1 |" in text


def test_no_credential_is_anywhere_in_the_run_directory(plain):
    files = [path for path in plain[0].rglob("*") if path.is_file()]
    assert len(files) >= 7
    assert [path.name for path in files if b"planted-" in path.read_bytes()] == []


def test_failed_script_is_recorded_with_its_error_masked(tmp_path):
    done = execute(PLAIN, cwd=tmp_path, argv=["fail"], BURNISH_RUNS=str(tmp_path / "runs"), **PLANTED)
    assert done.returncode == 1
    folder, record = kept_run(tmp_path / "runs", "failed")
    assert record["reason"] == "RuntimeError: 401 for ***"
    assert [path for path in folder.rglob("*") if path.is_file() and b"planted-" in path.read_bytes()] == []


STOPPING_ITS_KEEPER = """
import os, signal, time
import burnish, psutil
run = burnish.start_run()
run.log({"x": 1.0})
while not run.paths.card.exists():  # then the keeper is at work
    time.sleep(0.01)
mine = [p for p in psutil.process_iter(["cmdline"]) if str(run.paths.root) in (p.info["cmdline"] or [])]
(keeper,) = [p for p in mine if "burnish.launch.keeper" in p.info["cmdline"]]  # beside it, the sinks
keeper.send_signal(signal.SIGSTOP)
print(keeper.pid, flush=True)
"""


def test_pipe_after_a_plain_script_ends_while_the_keeper_is_still_there(tmp_path):
    (tmp_path / "script.py").write_text(STOPPING_ITS_KEEPER)
    # Descriptor 7 is one that the script inherits and passes on.
    done = subprocess.run(
        ["bash", "-c", f"exec 7>&1; '{sys.executable}' script.py | cat"],
        cwd=tmp_path,
        env=environment(BURNISH_RUNS=str(tmp_path / "runs")),
        stdout=subprocess.PIPE,
        timeout=60,
        check=True,
    )
    keeper = int(done.stdout)
    try:
        (path,) = (tmp_path / "runs").glob("*/run.json")
        assert json.loads(path.read_text())["state"] == "running"
    finally:
        os.kill(keeper, signal.SIGCONT)
    assert kept_run(tmp_path / "runs", "finished")[1]["step"] == 0


def test_killed_plain_script_is_recorded_as_lost_with_all_that_it_logged(tmp_path):
    script = "import burnish, time\nfor s in range(50): burnish.log({'x': float(s)})\n"
    script += "print('logged', flush=True)\ntime.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=environment(BURNISH_RUNS=str(tmp_path / "runs")),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "logged\n"
        process.send_signal(signal.SIGKILL)
    folder, record = kept_run(tmp_path / "runs", "failed", "lost")  # a kernel before 6.15 does not tell the end
    assert record["summary"]["x"]["count"] == 50
    assert (folder / "metrics.parquet").exists()
    told = {"failed": "killed by SIGKILL", "lost": "its end was not seen"}
    assert record["attempts"][0]["reason"] == told[record["state"]]


@pytest.mark.parametrize(
    ("end", "state", "code"),
    [("raise SystemExit(3)", "failed", 3), ("os._exit(9)", "failed", 9), ("raise SystemExit(0)", "finished", 0)],
)
def test_script_is_judged_by_its_exit_code_where_the_kernel_tells_it(tmp_path, end, state, code):
    execute(f"import burnish, os; burnish.log({{'x': 1.0}}); {end}", cwd=tmp_path, BURNISH_RUNS=str(tmp_path / "runs"))
    _, record = kept_run(tmp_path / "runs", state, "finished", "lost")
    if os.uname().release.split(".")[:2] >= ["6", "15"]:
        assert (record["state"], record["attempts"][0]["exit_code"]) == (state, code)


RANKS = """
import os, subprocess, sys
code = "import burnish; r = burnish.start_run(); r.log({'x': 1.0}); print(r.name, r.rank)"
jobs = [
    subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "WORLD_SIZE": "3", "RANK": str(rank)},
                     stdout=subprocess.PIPE, text=True)
    for rank in (2, 1, 0)
]
for job in jobs:
    print(job.communicate()[0], end="")
"""


def test_ranks_of_one_launch_without_a_supervisor_share_the_run_that_rank_0_begins(tmp_path):
    launches = [execute(RANKS, cwd=tmp_path, BURNISH_RUNS=str(tmp_path / "runs")) for _ in range(2)]
    found = [sorted(line.split() for line in done.stdout.splitlines()) for done in launches]
    assert [[rank for _, rank in launch] for launch in found] == [["0", "1", "2"]] * 2
    names = [{name for name, _ in launch} for launch in found]
    assert [len(launch) for launch in names] == [1, 1]
    assert names[0] != names[1]
    for launch in names:
        (name,) = launch
        files = journal_files(tmp_path / "runs" / name / "journal")
        assert {JournalName.parse(path).rank for path in files if JournalName.parse(path).rank >= 0} == {0, 1, 2}


CHILDREN = """
import subprocess, sys
import burnish
first = burnish.start_run("first")
code = "import burnish; print(burnish.start_run().name)"
print(first.name, subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip())
first.finish()
second = burnish.start_run("second")
print(second.name, second is first)
"""


def test_process_that_a_script_starts_joins_its_run_and_a_run_after_the_end_is_another(tmp_path):
    done = execute(CHILDREN, cwd=tmp_path, BURNISH_RUNS=str(tmp_path / "runs"))
    first, second = (line.split() for line in done.stdout.splitlines())
    assert first[0] == first[1]
    assert "_first_" in first[0]
    assert "_second_" in second[0]
    assert second[1] == "False"


CONFIGS = """
import argparse, dataclasses, json, burnish

@dataclasses.dataclass
class Config:
    lr: float = 0.5

for config in (argparse.Namespace(lr=0.5), Config(), {"lr": 0.5}):
    run = burnish.start_run(config=config)
    print(json.loads(run.paths.config.read_text()))
    burnish.start_run(config={"lr": 7})
    run.finish()
for config in ([1], "lr=1", Config):
    try:
        burnish.start_run(config=config)
    except TypeError as error:
        print(error)
burnish.log({"x": 1.0})
print(burnish.log.__module__, burnish.start_run() is not run)
"""


def test_config_may_be_a_namespace_or_a_dataclass_and_nothing_that_has_no_names(tmp_path):
    done = execute(CONFIGS, cwd=tmp_path, BURNISH_RUNS=str(tmp_path / "runs"))
    assert done.stdout.splitlines() == [
        *["{'lr': 0.5}"] * 3,
        "a config must be a mapping, a namespace or a dataclass, not list",
        "a config must be a mapping, a namespace or a dataclass, not str",
        "a config must be a mapping, a namespace or a dataclass, not type",
        "burnish.track.start True",
    ], done.stderr
    told = done.stderr.splitlines()
    assert len(told) == 3
    assert all(line.endswith("goes on: the config of another start_run is not kept") for line in told)


@pytest.mark.parametrize(
    ("tracking", "message"),
    [
        ({"tier": []}, "tracking: unknown key 'tier'"),
        ({"alerts": {"on": ["nans"]}}, "alerts.on: no reason 'nans'"),
        ({"alerts": {"when": ["nan"]}}, "alerts: unknown key 'when'"),
        ({"alerts": ["nan"]}, "alerts: should be a mapping, not ['nan']"),
        ({"system_every_s": -1}, "system_every_s: should be seconds, at least 0, not -1"),
        ({"tiers": {"metrics": "a"}}, "tiers: should be a list, not {'metrics': 'a'}"),
    ],
)
def test_section_of_a_script_is_checked_as_that_of_a_config_is(tracking, message):
    with pytest.raises(UsageError) as caught:
        checked_tracking(tracking)
    assert caught.value.message == message


def test_word_stands_for_a_list_of_one():
    checked = checked_tracking({"alerts": {"on": "nan", "to": "webhook"}, "linger_s": 3})
    assert checked == {"alerts": {"on": ["nan"], "to": ["webhook"]}, "linger_s": 3.0}


def test_script_whose_alerts_nobody_will_hear_is_told_so(tmp_path):
    script = "import burnish; burnish.start_run(tracking={'alerts': {'on': ['nan'], 'to': ['console', 'webhook']}})"
    done = execute(script, cwd=tmp_path, BURNISH_RUNS=str(tmp_path / "runs"))
    assert done.stderr.splitlines() == [
        "alerts to the console are shown by `burnish run -- …`; this script has none",
        "alerts to the webhook want its address in BURNISH_WEBHOOK_URL, which is not set",
    ]


TIERED = """
import json, os, burnish
run = burnish.start_run(tracking={"tiers": [{"metrics": "b", "every": 3}]})
for step in range(5):
    run.log({"a": 0.5, "b": float(step)}, step)
"""


def test_tiers_of_the_supervised_run_count_and_those_of_the_script_where_it_says_none(joined, tmp_path):
    write_json(joined / "run.json", {"state": "running", "tracking": {"tiers": [{"metrics": "a", "every": 2}]}})
    execute(TIERED, cwd=tmp_path, BURNISH_RUN_DIR=str(joined))
    rows = [(e.step, e.keys) for e in entries(joined) if isinstance(e, Row)]
    assert rows == [(0, ("a", "b")), (1, ("b",)), (2, ("a", "b")), (3, ("b",)), (4, ("a", "b"))]
    write_json(joined / "run.json", {"state": "running", "tracking": {"tiers": []}})
    execute(TIERED, cwd=tmp_path, BURNISH_RUN_DIR=str(joined))
    later = [(e.step, e.keys) for e in entries(joined) if isinstance(e, Row)][len(rows) :]
    assert later == [(0, ("a", "b")), (1, ("a",)), (2, ("a",)), (3, ("a", "b")), (4, ("a",)), (4, ("b",))]


def test_tier_that_is_none_is_told_at_the_start(tmp_path):
    script = "import burnish; burnish.start_run(tracking={'tiers': [{'metrics': 'a', 'evry': 3}]})"
    done = execute(script, cwd=tmp_path, BURNISH_RUNS=str(tmp_path / "runs"))
    assert done.returncode == 1
    assert "UsageError: {'metrics': 'a', 'evry': 3} is no tier" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_tier_of_a_record_that_is_none_is_told_and_left_out(joined, tmp_path):
    write_json(joined / "run.json", {"tracking": {"tiers": [{"metrics": 7, "every": 3}, {"metrics": "b", "every": 9}]}})
    done = execute(TIERED, cwd=tmp_path, BURNISH_RUN_DIR=str(joined))
    assert done.stderr.strip() == "{'metrics': 7, 'every': 3} is no tier; it is left out"
    assert [e.keys for e in entries(joined) if isinstance(e, Row)][:3] == [("a", "b"), ("a",), ("a",)]


THREADS = """
import threading, burnish
start = threading.Barrier(4)
def work(number):
    start.wait()
    burnish.log({f"t{number}": 1.0}, 0)
threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
print(burnish.start_run().name)
"""


def test_first_calls_of_several_threads_begin_one_run(tmp_path):
    done = execute(THREADS, cwd=tmp_path, BURNISH_RUNS=str(tmp_path / "runs"))
    (folder,) = [path for path in (tmp_path / "runs").iterdir() if not path.name.startswith(".")]
    assert done.stdout.strip() == folder.name
    assert {e.keys for e in entries(folder) if isinstance(e, Row)} == {("t0",), ("t1",), ("t2",), ("t3",)}


AFTER = """
import os, subprocess, sys, burnish
first = burnish.start_run("first")
first.finish()
code = "import burnish; print(burnish.start_run('child').name)"
print(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip())
os.environ["BURNISH_RUN_DIR"] = str(first.paths.root)
open(first.paths.state, "w").write('{"state": "finished"}')
print(burnish.start_run("second").name)
"""


def test_what_is_started_after_the_end_joins_no_run_that_is_over(tmp_path):
    done = execute(AFTER, cwd=tmp_path, BURNISH_RUNS=str(tmp_path / "runs"))
    child, second = done.stdout.split()
    assert "_child_" in child
    assert "_second_" in second


def test_second_process_of_an_attempt_says_that_it_is_not_its_beginning(joined, tmp_path):
    script = "import burnish, subprocess, sys; burnish.log({'x': 1.0})\n"
    script += "code = 'import burnish; burnish.log({\"y\": 1.0})'\n"
    script += "subprocess.run([sys.executable, '-c', code], check=True)"
    execute(script, cwd=tmp_path, BURNISH_RUN_DIR=str(joined), BURNISH_ATTEMPT="2")
    openings = [e.payload["continues"] for e in entries(joined) if isinstance(e, Record) and e.key == "open"]
    assert sorted(openings) == [False, True]


TWO_RUNS = """
import os, subprocess, sys
code = '''
import burnish
for name in ("first", "second"):
    run = burnish.start_run(name)
    run.log({"x": 1.0})
    print(run.name)
    run.finish()
'''
jobs = [
    subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "WORLD_SIZE": "2", "RANK": str(rank)},
                     stdout=subprocess.PIPE, text=True)
    for rank in (1, 0)
]
print(*[job.communicate()[0].split() for job in jobs], sep="\\n")
"""


def test_ranks_that_begin_one_run_after_the_other_meet_in_each(tmp_path):
    done = execute(TWO_RUNS, cwd=tmp_path, BURNISH_RUNS=str(tmp_path / "runs"))
    one, other = done.stdout.splitlines()
    assert one == other
    assert "_first_" in one
    assert "_second_" in one


def test_module_in_the_folder_of_a_script_is_not_taken_for_one_of_the_keepers(tmp_path):
    (tmp_path / "queue.py").write_text("raise SystemExit('not this one')")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "train.py").write_text("import burnish; burnish.log({'x': 1.0}, 0)")
    subprocess.run(
        [sys.executable, "sub/train.py"], cwd=tmp_path, env=environment(BURNISH_RUNS=str(tmp_path / "runs")), check=True
    )
    (folder,) = [path for path in (tmp_path / "runs").iterdir() if not path.name.startswith(".")]
    until = time.monotonic() + 30
    while json.loads((folder / "run.json").read_text())["state"] != "finished" and time.monotonic() < until:
        time.sleep(0.05)
    assert json.loads((folder / "run.json").read_text())["state"] == "finished"
    assert (folder / "card.json").exists()


def test_hundreds_of_runs_in_one_process_leave_no_chain_of_hooks(tmp_path):
    script = "import sys, burnish\nhooks = set()\nfor _ in range(3):\n    burnish.start_run().finish()\n"
    script += "    hooks.add((sys.exit, sys.excepthook))\nprint(len(hooks)); sys.exit(4)"
    done = execute(script, cwd=tmp_path, BURNISH_RUNS=str(tmp_path / "runs"))
    assert (done.stdout, done.returncode) == ("1\n", 4)


def test_exit_of_another_thread_is_no_end_of_the_run(joined, tmp_path):
    script = "import burnish, sys, threading; burnish.start_run()\n"
    script += "t = threading.Thread(target=lambda: sys.exit(1)); t.start(); t.join()"
    execute(script, cwd=tmp_path, BURNISH_RUN_DIR=str(joined))
    assert [end["status"] for end in ends(joined)] == ["finished"]


def test_config_with_numbers_that_json_has_no_word_for_is_read_back_as_numbers(tmp_path):
    script = "import burnish; config = {'a': float('nan'), 'b': [float('-inf')], 'c': 'nan'}\n"
    script += "print(burnish.start_run(config=config).paths.config)"
    done = execute(script, cwd=tmp_path, BURNISH_RUNS=str(tmp_path / "runs"))
    values = layer.plain(parse_yaml(Path(done.stdout.strip()).read_bytes(), "config.yaml"))
    assert values["a"] != values["a"]
    assert (values["b"], values["c"]) == ([float("-inf")], "nan")
