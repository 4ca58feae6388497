import os
import subprocess
import sys

import pytest

from burnish.launch.process_tree import Process, read_processes, tree_of, usage_of

# Prints the ids of a child, a grandchild in a session of its own, and one whose parent has ended.
FAMILY = """
import subprocess, sys, time
sleep = [sys.executable, "-c", "import time; print(flush=True); time.sleep(300)"]
child = subprocess.Popen(sleep, stdout=subprocess.PIPE)
away = subprocess.Popen(sleep, stdout=subprocess.PIPE, start_new_session=True)
between = "import subprocess, sys; p = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL); print(p.pid)"
orphan = subprocess.run([sys.executable, "-c", between, *sleep], stdout=subprocess.PIPE).stdout
child.stdout.readline(), away.stdout.readline()
print(child.pid, away.pid, int(orphan), flush=True)
if len(sys.argv) > 1:
    data = bytearray(80 << 20)
    for n in range(0, len(data), 4096):
        data[n] = 1
    until = time.process_time() + 0.5
    while time.process_time() < until:
        pass
    print("done", flush=True)
sys.stdin.read()
"""
# Has a child that works for half a second, and says when that has ended.
PARENT = """
import subprocess, sys
subprocess.run([sys.executable, "-c", "import time\\nwhile time.process_time() < 0.5: pass"])
print(flush=True)
sys.stdin.read()
"""


@pytest.fixture
def family():
    """Return a function that starts a process with children, whose ids are its `pids`; all are killed at the end."""

    def start(*words, new_session=True):
        process = subprocess.Popen(
            [sys.executable, "-c", FAMILY, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=new_session,
        )
        started.append(process)
        process.pids = [int(word) for word in process.stdout.readline().split()]
        return process

    started = []
    yield start
    for process in started:
        for pid in (process.pid, *process.pids):
            assert pid > 1
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                pass
        process.communicate()


def processes(pid):
    usage = usage_of(pid)
    return usage.processes if usage else 0


def test_children_orphans_and_those_that_left_the_session_belong_to_its_leader(family):
    assert processes(family().pid) == 4


def test_an_orphan_of_a_script_that_leads_no_session_is_nobodys(family):
    assert processes(family(new_session=False).pid) == 3


def test_memory_and_cpu_time_are_those_of_the_whole_tree(family):
    idle, busy = family(), family("busy")
    assert busy.stdout.readline() == "done\n"
    small, large = usage_of(idle.pid), usage_of(busy.pid)
    assert large.rss_bytes - small.rss_bytes > 70 << 20
    assert 0.4 < large.cpu_s - small.cpu_s < 5
    assert small.threads == 4


def test_the_time_of_a_child_that_has_ended_stays_counted():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    parent.stdout.readline()
    usage = usage_of(parent.pid)
    parent.communicate()
    assert usage.cpu_s > 0.45  # the kernel counts in ticks of 10 ms
    assert usage.processes == 1


def test_a_process_that_is_gone_uses_nothing():
    done = subprocess.Popen(["true"])
    done.wait()
    assert usage_of(done.pid) is None


def test_names_with_spaces_and_parentheses_are_read(tmp_path):
    odd = tmp_path / "a) b (c"
    odd.symlink_to("/bin/sleep")
    process = subprocess.Popen([str(odd), "300"])
    try:
        assert read_processes()[process.pid].parent == os.getpid()
    finally:
        process.kill()
        process.wait()


def test_processes_that_are_each_others_parents_end_the_walk():
    looped = {1: Process(2, 0, 1.0, 5, 1), 2: Process(1, 0, 2.0, 5, 1), 3: Process(9, 3, 0.0, 0, 1)}
    assert len(tree_of(1, looped)) == 2
    assert len(tree_of(3, looped)) == 1
    assert tree_of(7, looped) == []
