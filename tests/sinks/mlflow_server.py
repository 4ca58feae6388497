"""A real MLflow server for tests, and a proxy before it that answers badly when it is told to."""

from __future__ import annotations

import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path


def free_port() -> int:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return int(chosen.getsockname()[1])


@dataclass
class Server:
    """`mlflow server` on a database and a folder of artifacts, in a session of its own."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def database(self) -> Path:
        return self.folder / "mlflow.db"

    def start(self) -> None:
        argv = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        argv += ["--backend-store-uri", f"sqlite:///{self.database}", "--workers", "1"]
        argv += ["--artifacts-destination", str(self.folder / "artifacts")]
        environ = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(argv, env=environ, stdout=log, stderr=log, start_new_session=True)
        until = time.monotonic() + 90
        while not self._is_up():
            assert time.monotonic() < until, (self.folder / "server.log").read_text()[-2000:]
            time.sleep(0.05)

    def stop(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def _is_up(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


class Proxy:
    """Passes connections on to a server, as `mode` says: `fine`, `500`, `slow`, `hanging`."""

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._mode = "fine"
        self._open: set[socket.socket] = set()
        self._healed = threading.Event()
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                proxy.serve(self.request)

        class Listener(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._listener = Listener(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self._listener.server_address[1]}"

    @property
    def mode(self) -> str:
        return self._mode

    @mode.setter
    def mode(self, mode: str) -> None:
        self._mode = mode
        (self._healed.set if mode == "fine" else self._healed.clear)()
        for known in list(self._open):  # what is kept alive would go on as before
            _shut(known)

    def close(self) -> None:
        self.mode = "fine"
        self._listener.shutdown()
        self._listener.server_close()
        self._thread.join()

    def serve(self, client: socket.socket) -> None:
        self._open.add(client)
        try:
            if self._mode == "500":
                client.recv(1 << 16)
                client.sendall(b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\nConnection: close\r\n\r\nOops")
            elif self._mode == "hanging":
                self._healed.wait(60)
            else:
                self._pass_on(client, 0.5 if self._mode == "slow" else 0.0)
        except OSError:
            pass
        finally:
            self._open.discard(client)

    def _pass_on(self, client: socket.socket, wait_s: float) -> None:
        with socket.create_connection(("127.0.0.1", self._upstream), timeout=60) as server:
            self._open.add(server)
            answers = threading.Thread(target=_copy, args=(server, client, wait_s), daemon=True)
            answers.start()
            _copy(client, server, 0.0)
            answers.join()
            self._open.discard(server)


def _copy(source: socket.socket, target: socket.socket, wait_s: float) -> None:
    try:
        while raw := source.recv(1 << 16):
            time.sleep(wait_s)
            target.sendall(raw)
    except OSError:
        pass
    _shut(source)
    _shut(target)


def _shut(known: socket.socket) -> None:
    try:
        known.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
