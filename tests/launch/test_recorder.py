import json
import math
import os
import random
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest

from burnish.core.files import FileLock
from burnish.core.processes import ProcessIdentity
from burnish.journal import Kind, Row
from burnish.journal.reader import SYSTEM_RANK, JournalName, RunReader
from burnish.journal.writer import JournalWriter
from burnish.launch import RetryPolicy, Supervisor
from burnish.launch.adopt import complete
from burnish.launch.recorder import Recorder
from burnish.launch.retry import Exit
from burnish.track.fingerprint import fingerprint

SUPERVISE = """
import sys
from burnish.core.paths import RunPaths
from burnish.core.processes import ProcessIdentity
from burnish.launch import RetryPolicy, Supervisor
from burnish.launch.adopt import complete
from pathlib import Path
Supervisor(RunPaths(Path(sys.argv[1])), sys.argv[2:], policy=RetryPolicy(2, 0.0), sinks={}).run()
"""
LOOP = """
import sys, time
import burnish
run = burnish.start_run()
for step in range(int(sys.argv[1])):
    run.log({"loss": 1.0 / (step + 1) if step != 5 else float("nan")}, step)
    time.sleep(float(sys.argv[2]))
"""

UNSEEN = ("lost", "failed")
"""A process that was killed unseen is lost; where nothing reaps orphans it stays a zombie, which tells its end."""


def entries_of(paths, rank=SYSTEM_RANK):
    reader = RunReader(paths.journals)
    found = [entry for file, entries in reader.read() for entry in entries if JournalName.parse(file.path).rank == rank]
    reader.close()
    return found


def alert_frames(paths):
    return [e for e in entries_of(paths) if not isinstance(e, Row) and e.kind == Kind.ALERT]


@pytest.fixture
def train(made_run, tmp_path):
    """Return a function that supervises a script in this process, to its end."""

    def run(source, *words, attempts=1, **options):
        script = tmp_path / "train.py"
        script.write_text(source)
        policy = RetryPolicy(attempts, 0.0)
        command = [sys.executable, str(script), *words]
        return Supervisor(made_run.paths, command, policy=policy, sinks={}, **options).run()

    return run


@pytest.fixture
def supervised(made_run, tmp_path):
    """Return a function that supervises a script in a process of its own; what is left is killed at the end."""

    def start(source, *words):
        script = tmp_path / "train.py"
        script.write_text(source)
        command = [sys.executable, "-c", SUPERVISE, str(made_run.paths.root), sys.executable, str(script), *words]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    started = []
    yield start
    for process in started:
        process.kill()
        process.communicate()
    for attempt in made_run.record["attempts"]:
        try:
            os.killpg(attempt["process"]["pid"], signal.SIGKILL)
        except (ProcessLookupError, KeyError):
            pass


@pytest.fixture
def recorder_of():
    """Return a function that makes the recorder of a run; it is closed at the end, as if its process had died."""

    def make(made_run):
        made.append(Recorder(made_run.paths, {}))
        return made[-1]

    made = []
    yield make
    for recorder in made:
        recorder.close()


def writer_of(made_run, attempt=1, rank=0):
    return JournalWriter(made_run.paths.journals, rank, lambda: {"attempt": attempt, "pid": os.getpid()})


def test_system_metrics_are_sampled_beside_the_training_and_disturb_nothing(made_run, train):
    made_run.tracking(system_every_s=0.05)
    assert train(LOOP, "12", "0.05")[0] == "finished"
    record = made_run.record
    assert record["step"] == 11
    assert record["latest"].keys() == {"loss"}
    assert record["summary"]["loss"]["count"] == 12
    assert record["summary"]["system/rss_bytes"]["count"] >= 3
    assert record["summary"]["system/rss_bytes"]["max"] > 5 << 20
    rows = [entry for entry in entries_of(made_run.paths) if isinstance(entry, Row)]
    assert {row.step for row in rows} <= set(range(12))
    table = pq.read_table(made_run.paths.metrics).to_pylist()
    assert {row["rank"] for row in table if row["key"].startswith("system/")} == {-1}
    assert {row["rank"] for row in table if row["key"] == "loss"} == {0}


def test_system_metrics_can_be_left_out(made_run, train):
    made_run.tracking(system_every_s=0)
    train(LOOP, "12", "0.02")
    assert entries_of(made_run.paths) == []
    assert list(made_run.paths.journals.glob("system-*")) == []


def test_attempts_share_one_file_of_system_metrics(made_run, train):
    made_run.tracking(system_every_s=0.05)
    killed = LOOP + "\nimport os\nif run.attempt == 1: os.kill(os.getpid(), 9)\n"
    assert train(killed, "5", "0.05", attempts=2)[0] == "finished"
    assert len(list(made_run.paths.journals.glob("system-*"))) == 1
    assert len(made_run.record["attempts"]) == 2
    assert made_run.record["summary"]["loss"]["count"] == 5


def test_alerts_are_told_on_the_console_and_to_the_webhook_once_and_kept(made_run, train, hook, monkeypatch):
    monkeypatch.setenv("BURNISH_WEBHOOK_URL", hook.url)
    made_run.tracking(alerts={"on": ["nan", "crash", "finished"], "to": ["console", "webhook"]})
    shown = []
    assert train(LOOP + "\nraise ValueError('broken')\n", "8", "0", on_alert=shown.append)[0] == "failed"
    told = [("nan", "loss is not finite"), ("crash", "attempt 1 crashed"), ("finished", "the run has failed")]
    assert made_run.told == told
    assert [(notice.alert.reason, notice.alert.title) for notice in shown] == told
    assert [(post["reason"], post["title"]) for post in hook.posts] == told
    assert [(frame.payload["reason"], frame.key) for frame in alert_frames(made_run.paths)] == told
    assert hook.posts[1]["text"] == "20260101_toy_k7f2: attempt 1 crashed: ValueError: broken"
    assert made_run.record["alerts"][0]["step"] == 5
    written = b"".join(path.read_bytes() for path in made_run.paths.root.rglob("*") if path.is_file())
    assert b"planted-webhook-secret" not in written


def test_a_script_may_say_itself_how_it_is_watched(made_run, train):
    asked = "run._record(Kind.LIFECYCLE, 'tracking', {'system_every_s': 0.05, 'alerts': {'on': ['nan']}})"
    source = LOOP.replace("for step", f"from burnish.journal import Kind\n{asked}\nfor step")
    shown = []
    train(source, "12", "0.1", on_alert=shown.append)
    assert [notice.alert.title for notice in shown] == ["loss is not finite"]
    assert made_run.record["summary"]["system/rss_bytes"]["count"] >= 3
    assert made_run.record["tracking"]["alerts"] == {"on": ["nan"]}


def test_what_was_said_at_the_start_counts_more_than_the_script(made_run, train):
    made_run.tracking(alerts={"on": ["finished"]})
    asked = "run._record(Kind.LIFECYCLE, 'tracking', {'linger_s': 3, 'alerts': {'on': ['nan']}})"
    train(LOOP.replace("for step", f"from burnish.journal import Kind\n{asked}\nfor step"), "12", "0")
    assert made_run.told == [("finished", "the run has finished")]
    assert made_run.record["tracking"] == {"linger_s": 3, "alerts": {"on": ["finished"]}}


def test_alerts_on_their_way_when_a_script_says_how_it_is_watched_are_waited_for(
    made_run, supervised, eventually, hook, monkeypatch
):
    monkeypatch.setenv("BURNISH_WEBHOOK_URL", hook.url)
    hook.may_answer.clear()
    made_run.tracking(system_every_s=0, alerts={"on": ["nan", "alert"], "to": ["webhook"]})
    asked = "run._record(Kind.LIFECYCLE, 'tracking', {'linger_s': 3})"
    more = f"\nfrom burnish.journal import Kind\nrun.alert('second')\ntime.sleep(0.5)\n{asked}\n"
    supervisor = supervised(LOOP + more, "8", "0")
    eventually(lambda: made_run.record["state"] == "finished", "the run is over")
    assert len(hook.posts) == 1
    hook.may_answer.set()
    supervisor.communicate(timeout=60)
    assert hook.titles == ["loss is not finite", "second"]


def test_alerts_are_off_unless_they_are_wanted(made_run, train):
    train(LOOP + "\nraise ValueError('broken')\n", "8", "0")
    assert made_run.record["alerts"] == []
    assert alert_frames(made_run.paths) == []


def test_a_webhook_that_does_not_answer_leaves_the_run_as_it_is(made_run, train, hook, monkeypatch):
    monkeypatch.setenv("BURNISH_WEBHOOK_URL", hook.url)
    monkeypatch.setattr("burnish.launch.recorder._NOTIFY_S", 0.2)
    hook.may_answer.clear()
    made_run.tracking(alerts={"on": ["finished"], "to": ["webhook"]})
    assert train(LOOP, "3", "0")[0] == "finished"
    assert made_run.record["state"] == "finished"


def test_every_attempt_that_is_killed_is_told(made_run, train):
    made_run.tracking(alerts={"on": ["crash", "finished"]})
    killed = "import os; os.kill(os.getpid(), 9)"
    train(killed, attempts=2)
    crashes = [("crash", "attempt 1 crashed"), ("crash", "attempt 2 crashed")]
    assert made_run.told == [*crashes, ("finished", "the run has failed")]


def test_a_training_that_falls_silent_is_told_while_it_lives(made_run, supervised, eventually):
    made_run.tracking(alerts={"on": ["stall"], "stall_s": 0.3})
    supervised(LOOP + "\ntime.sleep(300)\n", "3", "0")
    eventually(lambda: made_run.told == [("stall", "training has stalled")], "the stall is told")
    assert made_run.record["state"] == "running"


def test_a_stop_that_was_asked_for_is_told_as_such(made_run, supervised, eventually):
    made_run.tracking(alerts={"on": ["crash", "finished"]})
    supervisor = supervised(LOOP, "1000", "0.02")
    eventually(lambda: made_run.record.get("step", -1) >= 0, "training has begun")
    supervisor.send_signal(signal.SIGINT)
    supervisor.communicate(timeout=60)
    assert made_run.told == [("finished", "the run has stopped on request")]


def test_a_run_that_was_killed_with_its_supervisor_is_told_by_who_completes_it(
    made_run, supervised, eventually, monkeypatch, hook
):
    monkeypatch.setenv("BURNISH_WEBHOOK_URL", hook.url)
    made_run.tracking(system_every_s=0.05, alerts={"on": ["nan", "crash"], "to": ["webhook"]})
    supervisor = supervised(LOOP, "1000", "0.02")
    eventually(lambda: hook.titles, "the first alert")
    supervisor.kill()
    supervisor.wait()
    os.killpg(made_run.record["attempts"][0]["process"]["pid"], signal.SIGKILL)
    process = ProcessIdentity.from_json(made_run.record["attempts"][0]["process"])
    eventually(lambda: not process.is_alive, "training is dead")
    assert complete(made_run.paths) in UNSEEN
    assert hook.titles == ["loss is not finite", "attempt 1 crashed"]
    assert made_run.record["summary"]["system/rss_bytes"]["count"] >= 1


def test_a_keeper_that_takes_over_tells_nothing_twice_and_goes_on(made_run, supervised, eventually, tmp_path):
    made_run.tracking(system_every_s=0.05, alerts={"on": ["nan", "finished"]})
    more = "\nwhile not __import__('os').path.exists(sys.argv[3]): run.log({'loss': 1.0}); time.sleep(0.02)\n"
    go = tmp_path / "go"
    supervisor = supervised(LOOP + more, "8", "0.01", str(go))
    eventually(lambda: made_run.told, "the first alert")
    supervisor.kill()
    supervisor.wait()
    step = made_run.record["step"]
    environ = {**os.environ, "BURNISH_RUNS": str(made_run.paths.root.parent)}
    made_run.paths.card.write_text("{}")

    def start_keeper():
        with FileLock.acquire(made_run.paths.lock) as lock:
            keep = [sys.executable, "-m", "burnish.launch.keeper", str(made_run.paths.root), str(lock.fd)]
            return subprocess.Popen(keep, env=environ, pass_fds=[lock.fd])

    keeper = start_keeper()
    eventually(lambda: made_run.record["step"] > step, "the keeper goes on with the record")
    eventually(lambda: len(list(made_run.paths.journals.glob("system-*"))) == 2, "it samples into its own file")
    keeper.kill()
    keeper.wait()
    keeper = start_keeper()
    eventually(lambda: made_run.record["supervisor"]["pid"] == keeper.pid, "the next keeper takes over")
    go.touch()
    assert keeper.wait(60) == 0
    record = made_run.record
    assert record["state"] == "finished"
    assert made_run.told == [("nan", "loss is not finite"), ("finished", "the run has finished")]
    assert record["summary"]["loss"]["nonfinite"] == 1
    assert record["summary"]["loss"]["count"] == record["step"] + 1
    assert len(record["attempts"]) == 1


def test_what_is_logged_is_flushed_to_the_disk_before_the_state_is_written(made_run, train, monkeypatch):
    order = []
    really = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (order.append(os.fstat(fd).st_size), really(fd)))
    train(LOOP, "3", "0")
    (journal,) = made_run.paths.journals.glob("0-*.journal")
    assert order[-1] == journal.stat().st_size


def test_the_record_of_a_live_run_has_summaries_labels_and_artifacts(made_run, recorder_of):
    recorder = recorder_of(made_run)
    writer = writer_of(made_run)
    writer.record(Kind.LIFECYCLE, "metric", {"pattern": "kl", "axis": "step", "best": "max"})
    writer.row(("loss", "kl"), (2.0, 0.1), 0, 1.0)
    writer.row(("loss", "kl"), (math.nan, 0.3), 1, 2.0)
    writer.record(Kind.LIFECYCLE, "tag", {"tags": ["good"]})
    writer.record(Kind.LIFECYCLE, "note", {"text": "looks fine"})
    writer.record(Kind.LIFECYCLE, "thinned", {"dropped": {"grad/*": 4}})
    artifact = {"role": "made", "sha256": "aa", "bytes": 3, "kind": "model", "path": "artifacts/aa", "run": ""}
    writer.record(Kind.ARTIFACT, "model", {**artifact, "files": 1, "metadata": {}}, 1)
    recorder.poll()
    record = made_run.record
    assert record["state"] == "created"
    assert (record["summary"]["loss"]["best"], record["summary"]["loss"]["nonfinite"]) == (2.0, 1)
    assert (record["summary"]["kl"]["best"], record["summary"]["kl"]["best_step"]) == (0.3, 1)
    assert record["tags"] == ["good"]
    assert [note["text"] for note in record["notes"]] == ["looks fine"]
    assert record["metrics"] == {"kl": {"axis": "step", "best": "max"}}
    assert record["thinned"] == {"grad/*": 4}
    assert record["artifacts"] == [{**artifact, "name": "model", "step": 1, "files": 1, "metadata": {}}]
    recorder.finish("finished", Exit(0, "finished"))
    assert made_run.record["summary"]["kl"]["best"] == 0.3
    assert recorder.progress.step == 1
    writer.close()


def test_a_recorder_that_takes_over_doubles_no_note_and_no_tag(made_run, recorder_of):
    writer = writer_of(made_run)
    writer.record(Kind.LIFECYCLE, "tag", {"tags": ["good"]})
    writer.record(Kind.LIFECYCLE, "note", {"text": "looks fine"})
    writer.record(Kind.ALERT, "low reward", {"text": "0.1", "level": "warning", "reason": "alert"}, 3)
    for _ in range(2):
        recorder_of(made_run).poll()
    record = made_run.record
    assert (record["tags"], len(record["notes"])) == (["good"], 1)
    assert made_run.told == [("alert", "low reward")]
    writer.close()


def test_only_the_last_hundred_alerts_are_kept(made_run, recorder_of):
    writer = writer_of(made_run)
    for number in range(130):
        writer.record(Kind.ALERT, f"number {number}", {"text": "", "level": "info", "reason": "alert"}, number)
    recorder_of(made_run).poll()
    recorder_of(made_run).poll()
    assert [title for _, title in made_run.told] == [f"number {number}" for number in range(30, 130)]
    writer.close()


def test_credentials_in_an_alert_are_masked_wherever_it_goes(made_run, recorder_of, hook, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "planted-zz9-secret")
    monkeypatch.setenv("BURNISH_WEBHOOK_URL", hook.url)
    made_run.tracking(alerts={"on": ["alert"], "to": ["webhook"]})
    writer = writer_of(made_run)
    writer.record(Kind.ALERT, "planted-zz9-secret", {"text": "key=planted-zz9-secret", "level": "info"}, 3)
    recorder = recorder_of(made_run)
    recorder.poll()
    recorder.finish("stopped", Exit(0))
    assert hook.titles == ["***"]
    assert "planted-zz9" not in json.dumps(made_run.record)
    assert "planted-zz9" not in str([frame.payload for frame in alert_frames(made_run.paths)])
    writer.close()


def test_the_more_a_record_takes_to_write_the_less_often_it_is_written(made_run, recorder_of):
    recorder = recorder_of(made_run)
    writer = writer_of(made_run)
    names = tuple(f"layer/{n}/grad norm ü" for n in range(10_000))
    writer.row(names, tuple(map(float, range(10_000))), 1, 0.0)
    began = time.monotonic()
    recorder.poll()
    took_s = time.monotonic() - began
    assert len(made_run.record["summary"]) == 10_000
    written = made_run.paths.state.stat().st_mtime_ns
    assert 1.0 <= recorder._write_after - began <= 1.0 + took_s / 0.03
    writer.row(names, tuple(map(float, range(10_000))), 2, 0.0)
    assert recorder.poll().step == 2
    assert made_run.paths.state.stat().st_mtime_ns == written
    writer.close()


def test_reports_are_united_and_data_that_was_left_for_later_is_hashed(made_run, recorder_of, tmp_path):
    data = tmp_path / "train.jsonl"
    data.write_text("{}\n" * 1000)
    pending = {**fingerprint(str(data)), "sha256": None, "pending": True}
    writer = writer_of(made_run)
    writer.record(Kind.LIFECYCLE, "card", {"imported": ["torch"], "data": {"train": pending}})
    writer.record(Kind.LIFECYCLE, "card", {"imported": ["trl"], "data": {"eval": {"revision": "abc"}}})
    recorder = recorder_of(made_run)
    recorder.finish("finished", Exit(0, "finished"))
    reported = json.loads(made_run.paths.card.read_text())["reported"]
    assert reported["imported"] == ["torch", "trl"]
    assert reported["data"]["eval"] == {"revision": "abc"}
    assert reported["data"]["train"]["pending"] is False
    assert reported["data"]["train"]["sha256"] == fingerprint(str(data))["sha256"]
    writer.close()


@pytest.mark.chaos
@pytest.mark.parametrize("seed", range(20))
def test_watchers_that_are_killed_at_random_moments_leave_a_record_that_can_be_completed(
    made_run, supervised, eventually, monkeypatch, hook, seed
):
    chance = random.Random(seed)
    monkeypatch.setenv("BURNISH_WEBHOOK_URL", hook.url)
    made_run.tracking(system_every_s=0.01, alerts={"on": ["nan", "crash"], "to": ["webhook"]})
    made_run.paths.card.write_text("{}")
    watcher = supervised(LOOP, "10000", "0.001")
    eventually(lambda: "process" in (made_run.record["attempts"] or [{}])[0], "training has begun")
    process = ProcessIdentity.from_json(made_run.record["attempts"][0]["process"])
    for _ in range(4):
        time.sleep(chance.uniform(0, 0.8))  # the moment is what is tested
        watcher.kill()
        watcher.wait()
        watcher = subprocess.Popen([sys.executable, "-m", "burnish.launch.keeper", str(made_run.paths.root)])
    os.killpg(process.pid, signal.SIGKILL)
    watcher.kill()
    watcher.wait()
    eventually(lambda: not process.is_alive, "training is dead")
    if made_run.record["state"] == "running":
        assert complete(made_run.paths) in UNSEEN
    record = made_run.record
    rows = [entry for entry in entries_of(made_run.paths, rank=0) if isinstance(entry, Row)]
    assert record["state"] in UNSEEN
    assert record["step"] == rows[-1].step
    assert record["summary"]["loss"]["count"] == len(rows)
    assert record["summary"]["loss"]["nonfinite"] == (len(rows) > 5)
    told = [("nan", "loss is not finite")] * (len(rows) > 5) + [("crash", "attempt 1 crashed")]
    assert made_run.told == told
    assert len({(frame.key, frame.step) for frame in alert_frames(made_run.paths)}) == len(told)


def test_the_keeper_of_a_plain_script_samples_it_and_tells_alerts(burnish, eventually, hook):
    asked = "{'system_every_s': 0.1, 'alerts': {'on': ['nan', 'finished'], 'to': ['webhook']}}"
    source = LOOP.replace("start_run()", f"start_run('plain', tracking={asked})")
    burnish.write("plain.py", source + "\ntime.sleep(1.5)\n")
    burnish.environ["BURNISH_WEBHOOK_URL"] = hook.url
    command = [sys.executable, "plain.py", "8", "0.01"]
    done = subprocess.run(command, cwd=burnish.root, env=burnish.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    eventually(lambda: burnish.records()[0]["state"] == "finished", "the keeper completes the record")
    (record,) = burnish.records()
    assert hook.titles == ["loss is not finite", "the run has finished"]
    assert record["summary"]["loss"]["count"] == 8
    assert record["summary"]["system/rss_bytes"]["max"] > 5 << 20
    assert record["summary"]["system/processes"]["max"] == 1
