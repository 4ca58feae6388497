import dataclasses
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from burnish.core.processes import ProcessIdentity, signal_group, wait_pidfd


@pytest.fixture
def child():
    """A process that lives until its standard input is closed."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, start_new_session=True) as process:
        yield process
        process.kill()


def become_zombie(child):
    """Kill a child without reaping it."""
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)


def test_living_process_is_alive_and_local(child):
    identity = ProcessIdentity.of(child.pid)
    assert identity.is_local
    assert identity.is_alive


def test_zombie_is_not_alive(child):
    identity = ProcessIdentity.of(child.pid)
    become_zombie(child)
    assert not identity.is_alive
    assert ProcessIdentity.of(child.pid).started_ticks == -1


def test_reaped_process_is_not_alive(child):
    identity = ProcessIdentity.of(child.pid)
    child.kill()
    child.wait()
    assert not identity.is_alive


def test_process_described_after_its_death_is_never_alive(child):
    child.kill()
    child.wait()
    assert not ProcessIdentity.of(child.pid).is_alive


@pytest.mark.parametrize("change", [{"started_ticks": 1}, {"boot": "another boot"}])
def test_another_process_of_the_same_pid_is_not_taken_for_it(child, change):
    assert not dataclasses.replace(ProcessIdentity.of(child.pid), **change).is_alive


def test_name_with_spaces_and_parentheses_does_not_hide_the_start(tmp_path):
    odd = tmp_path / "a) S (b"
    odd.symlink_to(sys.executable)
    code = "import sys; print(open('/proc/self/comm').read().strip(), flush=True); sys.stdin.read()"
    with subprocess.Popen([odd, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        comm = process.stdout.readline().strip()
        identity = ProcessIdentity.of(process.pid)
        started = int(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19])
        process.kill()
    assert (comm, identity.started_ticks) == ("a) S (b", started)


def test_identity_reads_back_from_json(child):
    identity = ProcessIdentity.of(child.pid)
    assert ProcessIdentity.from_json(identity.to_json()) == identity


@pytest.mark.parametrize("value", [None, [], {}, {"pid": 1}, {"pid": "x", "started_ticks": 1, "boot": "", "host": ""}])
def test_anything_else_is_no_identity(value):
    assert ProcessIdentity.from_json(value) is None


def test_pidfd_tells_when_the_process_ends(child):
    fd = ProcessIdentity.of(child.pid).open_pidfd()
    try:
        before = wait_pidfd(fd, 0)
        child.kill()
        assert (before, wait_pidfd(fd, 30)) == (False, True)
    finally:
        os.close(fd)


def test_ended_process_has_no_pidfd(child):
    identity = ProcessIdentity.of(child.pid)
    become_zombie(child)
    as_zombie = identity.open_pidfd()
    child.wait()
    assert (as_zombie, identity.open_pidfd()) == (None, None)


def test_signal_reaches_the_group_and_a_gone_group_is_fine(child):
    signal_group(child.pid, signal.SIGTERM)
    assert child.wait() == -signal.SIGTERM
    assert signal_group(child.pid, signal.SIGTERM) is None


def test_a_process_may_open_all_files_that_it_may_and_gives_others_what_it_had(child):
    code = """
import resource, sys
from burnish.core.processes import limit_files, raise_file_limit
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
before = raise_file_limit()
assert before == raise_file_limit() == (200, hard)
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
limit_files(int(sys.argv[1]), before)
limit_files(2**22 + 1, before)  # no such process
"""
    subprocess.run([sys.executable, "-c", code, str(child.pid)], check=True)
    assert resource.prlimit(child.pid, resource.RLIMIT_NOFILE)[0] == 200
