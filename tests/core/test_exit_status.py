import os
import subprocess
import sys
import time

import pytest

from burnish.core.exit_status import exit_code_of
from burnish.core.processes import ProcessIdentity, wait_pidfd

ENDS = [
    pytest.param("pass", 0, id="well"),
    pytest.param("raise SystemExit(3)", 3, id="with-a-code"),
    pytest.param("import os; os._exit(255)", 255, id="at-once"),
    pytest.param("import os; os.kill(os.getpid(), 9)", -9, id="by-a-signal"),
    pytest.param("import os; os.abort()", -6, id="with-a-core"),
]


@pytest.fixture
def start():
    """Start a process that waits for a line; what it does then is given. It is not reaped."""

    def go(code):
        process = subprocess.Popen(
            [sys.executable, "-c", f"input()\n{code}"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        started.append(process)
        return process, ProcessIdentity.of(process.pid)

    started = []
    yield go
    for process in started:
        process.kill()
        process.communicate()


def end(process, pidfd):
    process.stdin.write(b"\n")
    process.stdin.flush()
    assert wait_pidfd(pidfd, 30)


def has_reaped_codes():
    """Whether this kernel tells how a process ended that was reaped."""
    release = [int(part) for part in os.uname().release.split("-")[0].split(".")[:2]]
    return release >= [6, 15]


@pytest.mark.parametrize(("code", "wanted"), ENDS)
def test_zombie_tells_its_exit_code_to_who_is_not_its_parent(start, code, wanted):
    process, identity = start(code)
    pidfd = identity.open_pidfd()
    end(process, pidfd)
    os.close(pidfd)
    asked = f"""
from burnish.core.exit_status import exit_code_of
from burnish.core.processes import ProcessIdentity
print(exit_code_of(ProcessIdentity.from_json({identity.to_json()!r})))
"""
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout
    assert told == f"{wanted}\n"


@pytest.mark.skipif(not has_reaped_codes(), reason="Linux tells it since 6.15")
@pytest.mark.parametrize(("code", "wanted"), ENDS)
def test_pidfd_tells_the_exit_code_of_a_process_that_was_reaped(start, code, wanted):
    process, identity = start(code)
    pidfd = identity.open_pidfd()
    end(process, pidfd)
    process.wait()
    assert exit_code_of(identity, pidfd) == wanted
    os.close(pidfd)


def test_living_process_has_no_exit_code(start):
    _, identity = start("pass")
    pidfd = identity.open_pidfd()
    assert exit_code_of(identity, pidfd) is None
    os.close(pidfd)


def test_nobody_can_say_how_a_process_ended_that_was_reaped_unseen(start):
    process, identity = start("pass")
    process.communicate(b"\n")
    assert exit_code_of(identity) is None


def test_zombie_of_the_same_pid_is_not_taken_for_another_process(start):
    process, identity = start("pass")
    pidfd = identity.open_pidfd()
    end(process, pidfd)
    os.close(pidfd)
    other = ProcessIdentity(identity.pid, identity.started_ticks + 1, identity.boot, identity.host, identity.namespace)
    assert exit_code_of(other) is None


def test_descriptor_of_something_else_tells_nothing(start, tmp_path):
    _, identity = start("pass")
    with (tmp_path / "file").open("w") as file:
        assert exit_code_of(identity, file.fileno()) is None


@pytest.mark.skipif(not has_reaped_codes(), reason="Linux tells it since 6.15")
def test_who_looks_while_the_process_ends_and_is_reaped_always_gets_the_code(start):
    for _ in range(20):
        process, identity = start("raise SystemExit(3)")
        pidfd = identity.open_pidfd()
        process.stdin.write(b"\n")
        process.stdin.close()
        until = time.monotonic() + 30
        while (found := exit_code_of(identity, pidfd)) is None and time.monotonic() < until:
            process.poll()
        assert found == 3
        os.close(pidfd)
