"""A keeper as a process: what it says, and how many files it may open."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time

import pytest

from burnish.core.files import FileLock, write_json
from burnish.core.processes import ProcessIdentity
from burnish.journal.record import LIVE


@pytest.fixture
def training():
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE, start_new_session=True)
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def keeper(made_run, training):
    """Start a keeper of a made run whose training process waits for the end of its input."""

    def start(**environ):
        attempt = {"number": 1, "started": time.time(), "process": ProcessIdentity.of(training.pid).to_json()}
        write_json(made_run.paths.state, made_run.record | {"state": "running", "attempts": [attempt]})
        made_run.paths.card.write_text("{}")
        with FileLock.acquire(made_run.paths.lock) as lock:
            words = [sys.executable, "-m", "burnish.launch.keeper", str(made_run.paths.root), str(lock.fd)]
            limit = 'ulimit -Sn 256; exec "$@"'
            process = subprocess.Popen(
                ["sh", "-c", limit, "sh", *words], env={**os.environ, **environ}, pass_fds=[lock.fd]
            )
        started.append(process)
        return process

    started = []
    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_keeper_that_says_nothing_leaves_no_log(made_run, keeper, training, eventually):
    process = keeper()
    eventually(lambda: made_run.record.get("supervisor"), "it has begun")
    training.communicate()
    assert process.wait(60) == 0
    assert made_run.record["state"] not in LIVE
    assert not (made_run.paths.root / "keeper.log").exists()


def test_what_a_keeper_says_stays_with_the_run_without_credentials(made_run, keeper, training, eventually):
    (made_run.paths.journals / "0-1-1.journal").write_bytes(b"no journal, though long enough to be one")
    process = keeper(PLANTED_TOKEN=made_run.paths.journals.name + "/0-1-1")
    training.communicate()
    assert process.wait(60) == 0
    said = (made_run.paths.root / "keeper.log").read_text()
    assert "it is passed over" in said
    assert "/***.journal" in said
    assert "0-1-1" not in said


def test_error_that_ends_a_keeper_stays_with_the_run(made_run, keeper):
    (made_run.paths.root / "metrics.parquet").mkdir()
    process = keeper()
    made_run.paths.state.unlink()
    made_run.paths.state.mkdir()
    process.wait(60)
    assert (made_run.paths.root / "keeper.log").exists() == (process.returncode != 0)


def test_keeper_may_open_as_many_files_as_the_user_may(made_run, keeper, eventually):
    process = keeper()
    eventually(lambda: made_run.record.get("supervisor"), "it has begun")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert resource.prlimit(process.pid, resource.RLIMIT_NOFILE) == (hard, hard)
