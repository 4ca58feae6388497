import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from burnish.core.files import read_json
from burnish.core.processes import ProcessIdentity
from burnish.journal import JournalWriter
from burnish.sinks import Shipper, finish_all

from .conftest import log


@pytest.fixture
def shipper(run, jot):
    made = []

    def make(name="jot", **options):
        made.append(Shipper(run, name, {**jot.options, **options}))
        return made[-1]

    yield make
    for each in made:
        each.stop()


def until(eventually, shipper, condition, what):
    """Look at a shipper until a condition holds."""

    def holds():
        shipper.look()
        return condition()

    eventually(holds, what)


def test_everything_is_shipped_before_the_sink_is_closed(run, jot, shipper):
    log(run, range(10))
    one = shipper()
    one.start()
    log(run, range(10, 15), rank=1)
    assert finish_all([one], "finished", 60)
    assert sorted(jot.steps) == list(range(15))
    assert jot.lines("closed") == ["finished"]
    assert one.status.to_json() == {
        "shipped": 17,
        "behind_bytes": 0,
        "error": "",
        "mapped": {"odd": 1},
        "where": "here",
        "closed": True,
    }


def test_entries_are_shipped_while_the_run_goes_on(run, jot, shipper, eventually):
    one = shipper()
    one.start()
    log(run, [1, 2])
    until(eventually, one, lambda: jot.steps == [1, 2], "the first steps at the sink")
    log(run, [3])
    until(eventually, one, lambda: jot.steps == [1, 2, 3], "the later step at the sink")
    assert not one.status.closed
    assert finish_all([one], "finished", 60)


def test_second_shipper_goes_on_from_the_stored_cursor(run, jot, shipper):
    log(run, [1, 2])
    one = shipper()
    one.start()
    assert finish_all([one], "stopped", 60)
    log(run, [3])
    two = shipper()
    assert two.status.behind_bytes > 0
    two.start()
    assert finish_all([two], "finished", 60)
    assert jot.lines() == ["[0, [1, 2]]", "[0, [3]]"]
    assert jot.lines("closed") == ["stopped", "finished"]


def test_sink_that_raises_is_marked_with_its_error_then_catches_up(run, jot, shipper, eventually, caplog):
    log(run, range(5))
    jot.tell("raise-in-ship")
    one = shipper()
    one.start()
    until(eventually, one, lambda: one.status.error, "an error")
    assert one.status.error == "ConnectionError: the server is gone"
    assert one.status.behind_bytes > 0
    until(eventually, one, lambda: not one.status.error, "a retry that succeeds")
    assert jot.steps == list(range(5))
    assert finish_all([one], "finished", 60)
    assert caplog.messages == ["sink jot: ConnectionError: the server is gone; training goes on, shipping is retried"]


@pytest.mark.parametrize("call", ["open", "ship", "close"])
def test_sink_that_recovers_only_while_finishing_ends_without_an_error(run, jot, shipper, call):
    jot.tell(f"raise-in-{call}")
    log(run, range(5))
    one = shipper()
    one.start()
    assert finish_all([one], "finished", 60)
    assert one.status.error == ""
    assert (jot.steps, jot.lines("closed")) == (list(range(5)), ["finished"])


@pytest.mark.parametrize("call", ["open", "ship", "close"])
def test_sink_that_hangs_is_ended_and_begun_again(run, jot, shipper, call, caplog):
    jot.tell(f"hang-in-{call}")
    log(run, [1, 2, 3])
    one = shipper(timeout_s=1.0)
    one.start()
    assert finish_all([one], "finished", 60)
    assert (jot.steps, jot.lines("closed")) == ([1, 2, 3], ["finished"])
    told = "sink jot: it did not answer for 1 s and was ended; training goes on, shipping is retried"
    assert caplog.messages == [told]


def test_sink_that_always_hangs_is_left_behind_in_time(run, jot, shipper, eventually):
    jot.tell("hang-in-ship", for_ever=True)
    log(run, [1])
    one = shipper()
    one.start()
    until(eventually, one, lambda: jot.lines("done"), "the call that hangs")
    process = ProcessIdentity.of(int(jot.lines("pid")[0]))
    began = time.monotonic()
    assert not finish_all([one], "finished", 0.5)
    assert time.monotonic() - began < 20
    assert one.status.behind_bytes > 0
    assert not process.is_alive


@pytest.mark.parametrize(
    ("what", "told"), [("crash", "its process was ended by SIGSEGV"), ("exit", "its process ended with code 7")]
)
def test_sink_that_crashes_takes_nothing_with_it(run, jot, shipper, eventually, what, told, caplog):
    jot.tell(f"{what}-in-ship")
    log(run, [1, 2])
    one = shipper()
    one.start()
    until(eventually, one, lambda: one.status.error, "an error")
    assert one.status.error == told
    log(run, [3])
    assert finish_all([one], "finished", 60)
    assert jot.steps == [1, 2, 3]
    assert one.status.error == ""


def test_sink_that_grows_is_ended(run, jot, shipper, eventually):
    jot.tell("grow-in-ship")
    log(run, [1])
    one = shipper(memory_mb=200)
    one.start()
    until(eventually, one, lambda: one.status.error, "an error")
    assert one.status.error.startswith("its memory grew to ")
    assert one.status.error.endswith(" MiB, and it was ended")
    assert finish_all([one], "finished", 60)
    assert jot.steps == [1]


def test_what_is_gone_at_the_tracker_is_shipped_again_from_the_start(run, jot, shipper, eventually):
    log(run, [1, 2])
    one = shipper()
    one.start()
    until(eventually, one, lambda: jot.steps == [1, 2], "the first steps at the sink")
    (jot.folder / "lines").unlink()
    jot.tell("gone-in-ship")
    log(run, [3])
    assert finish_all([one], "finished", 60)
    assert jot.steps == [1, 2, 3]
    assert one.status.shipped == 5


def test_sink_that_refuses_is_not_tried_again(run, jot, shipper, eventually, caplog):
    jot.tell("refuse-in-open", for_ever=True)
    log(run, [1])
    one = shipper()
    one.start()
    until(eventually, one, lambda: one.is_done, "the end")
    assert not finish_all([one], "finished", 60)
    assert jot.lines("done") == ["refuse"]
    assert one.status.error == "no login: set JOT_KEY"
    assert caplog.messages == ["sink jot: no login: set JOT_KEY; training goes on"]


def test_credentials_in_an_error_are_masked(run, jot, shipper, eventually):
    jot.tell("secret-in-open", for_ever=True)
    one = shipper()
    one.start()
    until(eventually, one, lambda: one.status.error, "an error")
    assert one.status.error == "ConnectionError: https://user:***@host refused"


def test_what_a_sink_prints_is_in_a_log_without_credentials(run, jot, shipper, monkeypatch):
    monkeypatch.setenv("JOT_TOKEN", "abcdefgh12345678")
    jot.tell("print-in-ship")
    log(run, [1])
    one = shipper()
    one.start()
    assert finish_all([one], "finished", 60)
    assert (run.cursors / "jot.log").read_text() == "a word on stdout\n***\n"


def test_cursor_is_stored_only_after_the_sink_took_the_batch(run, jot, shipper, eventually):
    log(run, [1])
    jot.tell("hang-in-ship", for_ever=True)
    one = shipper()
    one.start()
    until(eventually, one, lambda: jot.lines("done"), "the call that hangs")
    (path,) = run.journals.glob("*.journal")
    cursor = read_json(run.cursors / "jot.json")
    assert (cursor["offsets"], cursor["pending"]) == ({}, [path.name, 0, path.stat().st_size])
    one.stop()
    (jot.folder / "hang-in-ship").unlink()
    one.start()
    assert finish_all([one], "finished", 60)
    cursor = read_json(run.cursors / "jot.json")
    assert (cursor["offsets"], cursor["pending"]) == ({path.name: path.stat().st_size}, None)


def test_batch_that_was_cut_off_comes_again_with_the_same_key(run, jot, shipper, eventually):
    writer = JournalWriter(run.journals, 0, lambda: {"attempt": 1})
    for step in range(50):
        writer.row(("loss",), (0.0,), step, 0.0)
    jot.tell("exit-in-ship")
    one = shipper(batch_kb=0.5)
    one.start()
    until(eventually, one, lambda: one.status.error, "an error")
    for step in range(50, 100):
        writer.row(("loss",), (0.0,), step, 0.0)
    writer.close()
    assert finish_all([one], "finished", 60)
    first, again, *rest = map(json.loads, jot.lines("keys"))
    assert first == again
    assert [start for _, start, _ in rest] == [end for _, _, end in [again, *rest[:-1]]]
    assert jot.steps == list(range(100))


def test_only_one_process_ships_a_run_to_a_sink(run, jot, shipper, eventually):
    log(run, [1])
    one, two = shipper(), shipper()
    one.start()
    until(eventually, one, lambda: jot.steps == [1], "the first step at the sink")
    two.start()
    until(eventually, two, lambda: two.status.error, "an error")
    assert two.status.error == "another process ships this run to it"
    assert not two.is_done
    one.stop()
    assert finish_all([two], "finished", 60)
    assert jot.steps == [1]


PARENT = """
import sys, time
from pathlib import Path
from burnish.core.paths import RunPaths
from burnish.sinks import Shipper
shipper = Shipper(RunPaths(Path(sys.argv[1])), "jot", {"folder": sys.argv[2]})
shipper.start()
while True:
    shipper.look()
    time.sleep(0.01)
"""


@pytest.mark.parametrize("hangs", [False, True])
def test_sink_ends_with_whoever_started_it(run, jot, eventually, hangs):
    log(run, [1])
    if hangs:
        jot.tell("hang-in-ship", for_ever=True)
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(run.root), str(jot.folder)])
    try:
        eventually(lambda: jot.steps == [1], "the first step at the sink")
        sink = ProcessIdentity.of(int(jot.lines("pid")[0]))
        assert sink.is_alive
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    eventually(lambda: not sink.is_alive, "the end of the sink")


def test_torn_end_of_a_journal_is_not_unshipped_once_the_run_is_over(run, jot, shipper):
    log(run, [1, 2])
    (path,) = run.journals.glob("*.journal")
    os.truncate(path, path.stat().st_size - 5)
    one = shipper()
    one.start()
    assert finish_all([one], "failed", 60)
    assert jot.steps == [1]
    assert one.status.behind_bytes == 0


def test_journal_that_is_damaged_in_the_middle_is_shipped_around_it(run, jot, shipper):
    log(run, range(20))
    (path,) = run.journals.glob("*.journal")
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    path.write_bytes(raw)
    one = shipper(batch_kb=0.2)
    one.start()
    assert finish_all([one], "finished", 60)
    assert len(jot.steps) == 19
    assert one.status.behind_bytes == 0


def test_two_packages_with_one_name_are_both_refused(run, jot, shipper, tmp_path, eventually, installed):
    installed(tmp_path / "site", "another", "burnish.sinks", jot="other:Jot")
    one = shipper()
    one.start()
    until(eventually, one, lambda: one.is_done, "the end")
    assert one.status.error == "another and jot both have a sink 'jot'; none is used"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"folder": "x", "colour": 1}, "sink 'jot' cannot be made: Jot.__init__() got an unexpected keyword argument"),
        ({}, "sink 'jot' cannot be made: Jot.__init__() missing 1 required positional argument: 'folder'"),
    ],
)
def test_options_that_a_sink_does_not_take_are_told(run, jot, options, told):
    one = Shipper(run, "jot", options)
    one.start()
    assert not finish_all([one], "finished", 60)
    assert one.status.error.startswith(told)


def test_sink_that_nobody_has_is_told_with_those_that_there_are(shipper):
    one = shipper("jotter")
    one.start()
    assert not finish_all([one], "finished", 60)
    assert one.status.error == "no sink is called 'jotter'; there are tensorboard, mlflow, wandb, jot"


def test_scripts_beside_the_run_are_not_taken_for_libraries(run, jot, shipper, tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise RuntimeError('a script of the user')")
    monkeypatch.chdir(tmp_path)
    log(run, [1])
    one = shipper()
    one.start()
    assert finish_all([one], "finished", 60)
    assert jot.steps == [1]
    assert Path("json.py").exists()
