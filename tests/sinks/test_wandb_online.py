"""W&B's own uploader against a stand-in of its server on this machine, as far as uploading a run asks one.

There is no real server here. What the stand-in answers is what W&B's uploader (wandb-core, the real one) asks for.
"""

import base64
import gzip
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from burnish.core.files import write_json
from burnish.core.paths import RunPaths
from burnish.journal import JournalWriter, Kind
from burnish.journal.reader import JournalReader, journal_files
from burnish.sinks.base import WHERE, Batch, Refused
from burnish.sinks.wandb import WandbSink

KEY = "0123456789abcdef0123456789abcdef01234567"
CREATED = 1_750_000_000.0


@dataclass
class Tracker:
    """A server with what it was told, by run."""

    url: str = ""
    lines: list[str] = field(default_factory=list)
    told: list[tuple[str, dict]] = field(default_factory=list)
    uploaded: dict[str, bytes] = field(default_factory=dict)
    exits: list[int] = field(default_factory=list)
    denies: bool = False
    stream_status: int = 200

    def steps(self):
        return [json.loads(line)["step"] for line in self.lines if "loss" in line]

    def numbers(self):
        return [json.loads(line)["_step"] for line in self.lines]

    def asked(self, name):
        return [variables for operation, variables in self.told if operation == name]

    def answer(self, operation, given, host):
        """Return what the server says to a query."""
        self.told.append((operation, given))
        bucket = {"id": "UnVuOjE=", "name": given.get("name"), "historyLineCount": len(self.lines)}
        project = {"id": "UDox", "name": given.get("project"), "entity": {"id": "RTox", "name": "somebody"}}
        if operation == "UpsertBucket":
            bucket |= {"displayName": given.get("displayName"), "config": "{}", "project": project}
            return {"upsertBucket": {"bucket": bucket, "inserted": True}}
        if operation == "RunResumeStatus":
            return {"viewer": {"entity": "somebody"}, "model": {"entity": {"name": "somebody"}, "bucket": bucket}}
        if operation == "CreateRunFiles":
            files = [{"name": name, "uploadUrl": f"http://{host}/up/{name}"} for name in given["files"]]
            return {"createRunFiles": {"runID": "UnVuOjE=", "uploadHeaders": [], "files": files}}
        if operation == "CreateArtifact":
            sequence = {"id": "s", "latestArtifact": None}
            return {"createArtifact": {"artifact": {"id": "QTox", "state": "COMMITTED", "artifactSequence": sequence}}}
        return {}

    def stream(self, told):
        """Take in what is streamed: lines from an offset on."""
        history = told.get("files", {}).get("wandb-history.jsonl")
        if history:
            self.lines[history["offset"] :] = history["content"]
        if "exitcode" in told:
            self.exits.append(told["exitcode"])


def answering(tracker):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def body(self):
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            return gzip.decompress(raw) if self.headers.get("content-encoding") == "gzip" else raw

        def reply(self, told, status=200):
            raw = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def do_PUT(self):
            tracker.uploaded[self.path.removeprefix("/up/")] = self.body()
            self.reply({})

        def do_POST(self):
            body = self.body()
            wanted = "Basic " + base64.b64encode(f"api:{KEY}".encode()).decode()
            if tracker.denies or self.headers.get("authorization") != wanted:
                return self.reply({"errors": [{"message": "permission denied"}]}, 401)
            told = json.loads(body)
            if self.path == "/graphql":
                answer = tracker.answer(told.get("operationName"), told.get("variables") or {}, self.headers["host"])
                return self.reply({"data": answer})
            if tracker.stream_status != 200:
                return self.reply({}, tracker.stream_status)
            tracker.stream(told)
            return self.reply({})

    return Handler


@pytest.fixture
def tracker(tmp_path, monkeypatch):
    tracker = Tracker()
    server = ThreadingHTTPServer(("127.0.0.1", 0), answering(tracker))
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # an uploader that is killed leaves its connections
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    tracker.url = f"http://127.0.0.1:{server.server_port}"
    for name, value in {"WANDB_BASE_URL": tracker.url, "WANDB_API_KEY": KEY, "HOME": str(tmp_path / "home")}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "home").mkdir()
    yield tracker
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def run(tmp_path):
    paths = RunPaths(tmp_path / "toy" / "runs" / "20260101_toy_k7f2")
    for folder in (paths.journals, paths.cursors):
        folder.mkdir(parents=True)
    write_json(paths.state, {"created": CREATED, "project": str(tmp_path / "toy"), "state": "running"})
    return paths


def log(run, steps, attempt=1, *, alert=False):
    writer = JournalWriter(run.journals, 0, lambda: {"attempt": attempt})
    for step in steps:
        writer.row(("loss",), (step / 2,), step, CREATED + step)
    if alert:
        writer.record(Kind.ALERT, "all is well", {"text": "so far", "level": "info"}, None)
    writer.close()


def batches(run, size=400):
    found = []
    for path in journal_files(run.journals):
        reader, start = JournalReader(path), -1
        while reader.offset != start:
            start = reader.offset
            if entries := reader.read(size):
                found.append(Batch(path.name, 0, entries, start, reader.offset))
        reader.close()
    return found


def opened(run, state=None):
    sink = WandbSink(mode="online")
    sink.open(run, json.loads(json.dumps(state or {})))
    return sink


def ship(run, state=None, seen=(), status="finished"):
    sink = opened(run, state)
    done = {(batch.journal, batch.end) for batch in seen}
    for batch in batches(run):
        if (batch.journal, batch.end) not in done:
            state = sink.ship(batch)
    sink.close(status)
    return state


def uploaders(run):
    """Return the processes that upload a run."""
    return [process for process in psutil.process_iter() if str(run.root) in words_of(process)]


def words_of(process):
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def test_run_is_at_the_server_when_the_sink_is_closed(tracker, run):
    log(run, range(30), alert=True)
    state = ship(run)
    assert tracker.steps() == list(range(30))
    assert tracker.numbers() == list(range(30))
    assert tracker.exits == [0]
    assert state[WHERE] == f"{tracker.url}/somebody/toy/runs/20260101_toy_k7f2"
    assert [told["title"] for told in tracker.asked("NotifyScriptableRunAlert")] == ["all is well"]
    assert json.loads(tracker.uploaded["wandb-summary.json"])["loss"] == 14.5
    assert uploaders(run) == []


def test_rows_are_at_the_server_while_the_run_goes_on(tracker, run, eventually):
    log(run, range(30))
    first, second, *rest = batches(run)
    sink = opened(run)
    sink.ship(first)
    sink.ship(second)
    eventually(lambda: tracker.steps(), "the first rows at the server")
    assert uploaders(run)
    for batch in rest:
        sink.ship(batch)
    sink.close("failed")
    assert tracker.steps() == list(range(30))
    assert tracker.exits == [1]


KILLED = """
import json, sys, time
from pathlib import Path
from burnish.core.paths import RunPaths
from burnish.journal.reader import JournalReader, journal_files
from burnish.sinks.base import Batch
from burnish.sinks.wandb import WandbSink

run = RunPaths(Path(sys.argv[1]))
sink = WandbSink(mode="online")
sink.open(run, {})
for path in journal_files(run.journals):
    reader, start = JournalReader(path), -1
    while reader.offset != start:
        start = reader.offset
        entries = reader.read(400)
        if entries:
            print(json.dumps(sink.ship(Batch(path.name, 0, entries, start, reader.offset))), flush=True)
time.sleep(600)
"""


def test_sink_that_was_killed_takes_its_uploader_along_and_the_next_one_sends_the_rest(tracker, run, eventually):
    log(run, range(30))
    killed = subprocess.Popen([sys.executable, "-c", KILLED, str(run.root)], stdout=subprocess.PIPE)
    states = [json.loads(killed.stdout.readline()) for _ in batches(run)]
    eventually(lambda: tracker.steps(), "the first rows at the server")
    had = len(tracker.lines)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    killed.stdout.close()
    eventually(lambda: not uploaders(run), "the end of the uploader")
    assert tracker.exits == []
    ship(run, states[3], seen=batches(run)[:4])
    assert had >= 1
    assert tracker.numbers() == list(range(30))
    assert tracker.steps() == list(range(30))


def test_sink_that_is_dropped_takes_its_uploader_along(tracker, run, eventually):
    log(run, range(3))
    sink = opened(run)
    for batch in batches(run):
        sink.ship(batch)
    assert uploaders(run)
    del sink
    eventually(lambda: not uploaders(run), "the end of the uploader")


def test_uploader_that_was_killed_is_an_error_and_the_next_one_sends_the_rest(tracker, run, eventually):
    log(run, range(30))
    first, second, *_ = every = batches(run)
    sink = opened(run)
    state = sink.ship(first)
    eventually(lambda: tracker.asked("UpsertBucket"), "the run at the server")
    (uploader,) = uploaders(run)
    uploader.kill()
    os.waitid(os.P_PID, uploader.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(OSError, match="W&B's uploader has ended"):
        sink.ship(second)
    ship(run, state, seen=every[:1])
    assert tracker.numbers() == list(range(30))
    assert tracker.steps() == list(range(30))


def test_resumed_run_goes_on_at_the_server(tracker, run):
    log(run, range(10))
    seen = batches(run)
    state = ship(run, status="stopped")
    log(run, range(10, 15), attempt=2)
    ship(run, state, seen)
    assert tracker.numbers() == list(range(15))
    assert tracker.steps() == list(range(15))
    assert tracker.exits == [255, 0]


def test_server_that_is_down_is_an_error_until_it_is_back(tracker, run, monkeypatch):
    log(run, range(10))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    with pytest.raises(OSError, match="refused"):
        ship(run)
    monkeypatch.setenv("WANDB_BASE_URL", tracker.url)
    ship(run)
    assert tracker.numbers() == list(range(10))


def test_server_that_takes_no_rows_does_not_hold_the_sink_for_ever(tracker, run, monkeypatch):
    monkeypatch.setattr("burnish.sinks.wandb.upload.FINISH_S", 2.0)
    log(run, range(10))
    tracker.stream_status = 500
    every, sink = batches(run), opened(run)
    state = [sink.ship(batch) for batch in every][-1]
    with pytest.raises(OSError, match="W&B's uploader is not done after 2 s"):
        sink.close("finished")
    assert uploaders(run) == []
    tracker.stream_status = 200
    monkeypatch.undo()
    monkeypatch.setenv("WANDB_BASE_URL", tracker.url)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    opened(run, state).close("finished")
    assert tracker.numbers() == list(range(10))


def test_login_is_wanted_where_there_is_none(tracker, run, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY")
    with pytest.raises(Refused) as refused:
        opened(run)
    assert str(refused.value) == (
        f"mode: 'online' needs a login at {tracker.url}; set WANDB_API_KEY or type `wandb login`"
    )


def test_login_that_wandb_login_wrote_is_found(tracker, run, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY")
    (Path(os.environ["HOME"]) / ".netrc").write_text(f"machine 127.0.0.1\n  login user\n  password {KEY}\n")
    log(run, range(3))
    ship(run)
    assert tracker.steps() == [0, 1, 2]


def test_login_that_the_server_does_not_take_is_refused(tracker, run):
    tracker.denies = True
    log(run, range(3))
    with pytest.raises(Refused, match="does not take the API key; check WANDB_API_KEY"):
        ship(run)


def test_rows_whose_log_is_gone_are_not_sent_again(tracker, run):
    log(run, range(3))
    ship(run)
    with pytest.raises(Refused, match="W&B has 3 rows of run 20260101_toy_k7f2 already"):
        ship(run, {})
    assert tracker.numbers() == [0, 1, 2]


def test_credentials_are_written_nowhere(tracker, run):
    log(run, range(3))
    ship(run)
    for path in run.root.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert KEY.encode() not in content
            assert base64.b64encode(f"api:{KEY}".encode()) not in content


def test_offline_logs_of_a_resumed_run_are_put_together_by_w_and_bs_sync(tracker, run):
    log(run, range(10))
    seen = batches(run)
    state = offline(run, {}, seen)
    sync(run)
    log(run, range(10, 15), attempt=2)
    offline(run, state, batches(run)[len(seen) :])
    sync(run)
    assert tracker.numbers() == list(range(15))
    assert tracker.steps() == list(range(15))
    assert len({told["name"] for told in tracker.asked("UpsertBucket")}) == 1


def offline(run, state, wanted):
    sink = WandbSink()
    sink.open(run, state)
    for batch in wanted:
        state = sink.ship(batch)
    sink.close("finished")
    return state


def sync(run):
    """Have W&B's own command upload what it finds."""
    environment = {**os.environ, "WANDB_DIR": str(run.root), "WANDB_ERROR_REPORTING": "false"}
    folders = map(str, sorted((run.root / "wandb").glob("offline-run-*")))
    command = [sys.executable, "-m", "wandb", "sync", *folders]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert told.returncode == 0, told.stderr
