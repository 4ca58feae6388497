"""What a run's watcher makes of the end of a process that is not its child."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from burnish.core.files import FileLock, write_json
from burnish.core.processes import ProcessIdentity
from burnish.launch.adopt import complete

END = """
import json, os, sys, time, burnish
from burnish.journal import Kind
run = burnish.start_run()
run.log({"x": 1.0})
while "supervisor" not in json.loads(run.paths.state.read_text()):
    time.sleep(0.01)  # until its keeper has begun
def at_exit(status, error=""):
    run._record(Kind.LIFECYCLE, "end", {"status": status, "exit_code": 0, "error": error, "at_exit": True})
"""


def has_reaped_codes():
    """Whether this kernel tells how a process ended that was reaped."""
    return [int(part) for part in os.uname().release.split("-")[0].split(".")[:2]] >= [6, 15]


@pytest.fixture
def ended(burnish, eventually):
    """Run a plain script to its end; return its record once the keeper has completed it."""

    def run(body):
        burnish.write("script.py", END + body + "\n")
        words = [sys.executable, "script.py"]
        done = subprocess.run(words, cwd=burnish.root, env=burnish.environ, capture_output=True, check=False)
        eventually(lambda: burnish.records()[0]["state"] != "running", "the keeper completes the record")
        (record,) = burnish.records()
        return record["state"], record["exit_code"], record["reason"], done.returncode

    return run


@pytest.mark.skipif(not has_reaped_codes(), reason="Linux tells the code of a process that was reaped since 6.15")
@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        pytest.param("at_exit('finished'); os._exit(3)", ("failed", 3, "exit code 3", 3), id="exit-that-no-hook-sees"),
        pytest.param("os._exit(7)", ("failed", 7, "exit code 7", 7), id="no-last-word"),
        pytest.param("os._exit(0)", ("finished", 0, "exit code 0", 0), id="no-last-word-and-a-good-code"),
        pytest.param("os.kill(os.getpid(), 9)", ("failed", 137, "killed by SIGKILL", -9), id="killed"),
        pytest.param(
            "at_exit('stopped'); import signal; signal.signal(2, signal.SIG_DFL); os.kill(os.getpid(), 2)",
            ("stopped", 130, "killed by SIGINT", -2),
            id="ctrl-c",
        ),
        pytest.param("at_exit('failed', 'it diverged'); os._exit(0)", ("failed", 1, "it diverged", 0), id="said-so"),
        pytest.param("run.finish(); os._exit(3)", ("finished", 0, "finished", 3), id="over-before-it-ended"),
        pytest.param("at_exit('finished'); os._exit(0)", ("finished", 0, "finished", 0), id="good"),
    ],
)
def test_exit_code_of_a_plain_script_decides_unless_its_run_was_over_before(ended, body, wanted):
    assert ended(body) == wanted


def test_ctrl_c_is_told_as_no_crash(burnish, eventually):
    asked = (
        "import burnish, os\nburnish.start_run(tracking={'alerts': {'on': ['crash', 'finished'], 'to': ['none']}})\n"
    )
    burnish.write("script.py", asked + "print(flush=True)\nimport time\ntime.sleep(60)\n")
    words = [sys.executable, "script.py"]
    process = subprocess.Popen(
        words, cwd=burnish.root, env=burnish.environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.communicate()
    eventually(lambda: burnish.records()[0]["state"] != "running", "the keeper completes the record")
    (record,) = burnish.records()
    assert record["state"] == "stopped"
    assert [alert["reason"] for alert in record["alerts"]] == ["finished"]


@pytest.mark.skipif(not has_reaped_codes(), reason="Linux tells the code of a process that was reaped since 6.15")
def test_keeper_that_begins_after_the_end_learns_it_from_the_descriptor_that_it_inherits(made_run):
    process = subprocess.Popen([sys.executable, "-c", "input(); raise SystemExit(5)"], stdin=subprocess.PIPE)
    identity = ProcessIdentity.of(process.pid)
    attempt = {"number": 1, "started": time.time(), "process": identity.to_json()}
    write_json(made_run.paths.state, made_run.record | {"state": "running", "attempts": [attempt]})
    made_run.paths.card.write_text("{}")
    pidfd = os.pidfd_open(process.pid)
    process.communicate(b"\n")
    with FileLock.acquire(made_run.paths.lock) as lock:
        keep = [sys.executable, "-m", "burnish.launch.keeper", str(made_run.paths.root), str(lock.fd), str(pidfd)]
        assert subprocess.run(keep, pass_fds=[lock.fd, pidfd], check=False).returncode == 0
    os.close(pidfd)
    assert (made_run.record["state"], made_run.record["exit_code"]) == ("failed", 5)


def test_zombie_that_nobody_kept_still_tells_how_it_ended(made_run):
    process = subprocess.Popen([sys.executable, "-c", "input(); raise SystemExit(5)"], stdin=subprocess.PIPE)
    identity = ProcessIdentity.of(process.pid)
    record = made_run.record | {"state": "running", "retry": {}}
    record["attempts"] = [{"number": 1, "started": time.time(), "process": identity.to_json()}]
    write_json(made_run.paths.state, record)
    process.stdin.write(b"\n")
    process.stdin.close()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    with FileLock.acquire(made_run.paths.lock):
        assert complete(made_run.paths) == "failed"
    process.wait()
    assert (made_run.record["exit_code"], made_run.record["attempts"][0]["exit_code"]) == (5, 5)


@pytest.mark.skipif(not has_reaped_codes(), reason="Linux tells the code of a process that was reaped since 6.15")
def test_adopted_run_ends_with_its_process_and_shows_its_exit_code(burnish, eventually):
    body = "import os, time, burnish\nrun = burnish.start_run()\nrun.log({'x': 1.0})\nrun.finish()\n"
    burnish.write("long.py", body + "while not os.path.exists('go'): time.sleep(0.02)\nos._exit(6)\n")
    supervisor = burnish.start("run", "--", sys.executable, "long.py")
    eventually(lambda: burnish.runs.exists() and any(r.get("step") == 0 for r in burnish.records()), "a step")
    supervisor.kill()
    supervisor.communicate()
    assert "adopted, training goes on" in burnish("ls").stderr
    (burnish.root / "go").touch()
    eventually(lambda: burnish.records()[0]["state"] != "running", "the keeper completes the record")
    (record,) = burnish.records()
    assert (record["state"], record["exit_code"], record["reason"]) == ("failed", 6, "exit code 6")
