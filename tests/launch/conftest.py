import http.server
import json
import threading
import time
from dataclasses import dataclass, field

import pytest

from burnish.core.files import read_json, write_json
from burnish.core.paths import RunPaths


@dataclass
class MadeRun:
    """A run directory as it stands before its supervisor takes it over."""

    paths: RunPaths

    def tracking(self, **section):
        write_json(self.paths.state, {**self.record, "tracking": section})

    @property
    def record(self):
        return read_json(self.paths.state)

    @property
    def told(self):
        return [(alert["reason"], alert["title"]) for alert in self.record.get("alerts", [])]


@pytest.fixture
def made_run(tmp_path):
    paths = RunPaths(tmp_path / "runs" / "20260101_toy_k7f2")
    for folder in (paths.journals, paths.cursors, paths.checkpoints):
        folder.mkdir(parents=True)
    write_json(paths.state, {"format": 1, "state": "created", "created": time.time(), "attempts": []})
    return MadeRun(paths)


@dataclass
class Hook:
    """A web server that takes posts: what it got, and what it answers to each in turn, the last from then on."""

    url: str = ""
    posts: list = field(default_factory=list)
    answers: list = field(default_factory=lambda: [200])
    headers: dict = field(default_factory=dict)
    may_answer: threading.Event = field(default_factory=threading.Event)

    @property
    def titles(self):
        return [post["title"] for post in self.posts]


@pytest.fixture
def hook():
    state = Hook()
    state.may_answer.set()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = state.answers[min(len(state.posts), len(state.answers) - 1)]
            state.posts.append(body)
            state.may_answer.wait(60)
            try:
                self.send_response(answer)
                for name, value in state.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()
            except OSError:
                pass  # who asked has gone

        def do_GET(self):
            state.posts.append({"title": f"GET {self.path}"})
            self.send_response(200)
            self.end_headers()

        def log_message(self, *words):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}/services/T00/planted-webhook-secret"
    yield state
    state.may_answer.set()
    server.shutdown()
    thread.join()
    server.server_close()
