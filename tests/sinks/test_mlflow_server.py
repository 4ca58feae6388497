"""What becomes of a run while its MLflow server fails in every way that we know of: nothing lost, nothing doubled."""

import os
import shutil
import struct
import subprocess
import time
from collections import Counter

import pytest

from burnish.core.files import write_json
from burnish.core.paths import RunPaths
from burnish.journal import JournalWriter
from burnish.journal.series import load_scalars
from burnish.sinks import Shipper, finish_all

from .mlflow_server import Proxy, Server

mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of SQLAlchemy, as MLflow uses it

EACH = 40
LITTLE_DISK = "size=24m"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mlflow-server")
    mounted = (
        subprocess.run(["mount", "-t", "tmpfs", "-o", LITTLE_DISK, "tmpfs", str(folder)], check=False).returncode == 0
    )
    one = Server(folder)
    try:
        one.start()
        one.is_little = mounted
        yield one
    finally:
        one.stop()
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def proxy(server):
    one = Proxy(server.port)
    yield one
    one.close()


@pytest.fixture
def shipping(tmp_path, proxy, monkeypatch, eventually):
    """A run that is logged to and shipped through the proxy."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    one = Shipping(tmp_path, proxy.uri, eventually)
    one.shipper.start()
    yield one
    one.shipper.stop()
    one.writer.close()


class Shipping:
    def __init__(self, root, uri, eventually):
        self.run = RunPaths(root / f"20260101_toy_{os.urandom(4).hex()}")
        for folder in (self.run.journals, self.run.cursors):
            folder.mkdir(parents=True)
        write_json(self.run.state, {"experiment": "toy", "project": str(root), "created": time.time()})
        self.writer = JournalWriter(self.run.journals, 0, lambda: {"attempt": 1})
        self.shipper = Shipper(self.run, "mlflow", {"uri": uri, "timeout_s": 30})
        self._eventually = eventually
        self._step = 0

    def log(self):
        for step in range(self._step, self._step + EACH):
            self.writer.row(
                ("loss", "odd"), (1 / (step + 1), float("nan") if step % 7 == 0 else step), step, time.time()
            )
        self._step += EACH

    def until(self, condition, what):
        def holds():
            self.shipper.look()
            return condition(self.shipper.status)

        self._eventually(holds, what, 60)

    def until_shipped(self):
        self.until(lambda status: not status.behind_bytes and not status.error, "all is shipped")

    def until_failed(self):
        self.until(lambda status: status.error, "an error")

    def must_be_whole(self, server):
        """Finish, then compare what the server has with what the journal holds, point by point."""
        assert finish_all([self.shipper], "finished", 90), self.shipper.status
        client = mlflow.MlflowClient(tracking_uri=server.uri)
        (run,) = client.search_runs(
            [each.experiment_id for each in client.search_experiments()], f"tags.`burnish.run` = '{self.run.name}'"
        )
        shown = Counter(
            (name, point.step, point.timestamp, struct.pack("d", point.value))
            for name in run.data.metrics
            for point in client.get_metric_history(run.info.run_id, name)
        )
        wanted = Counter(
            (name, step, int(at * 1000), struct.pack("d", value))
            for name, _, series in load_scalars(self.run.journals)
            for step, at, value in zip(series.step.tolist(), series.time.tolist(), series.value.tolist(), strict=True)
        )
        assert shown == wanted
        assert sum(shown.values()) == 2 * self._step
        assert run.info.status == "FINISHED"


@pytest.mark.parametrize("mode", ["500", "hanging"])
def test_server_that_answers_badly_for_a_while(shipping, proxy, server, mode):
    shipping.log()
    shipping.until_shipped()
    proxy.mode = mode
    shipping.log()
    shipping.until_failed()
    proxy.mode = "fine"
    shipping.log()
    shipping.must_be_whole(server)


def test_server_that_answers_slowly(shipping, proxy, server):
    proxy.mode = "slow"
    shipping.log()
    shipping.until_shipped()
    shipping.log()
    proxy.mode = "fine"
    shipping.must_be_whole(server)


def test_server_that_is_killed_and_comes_back_with_an_empty_database(shipping, server):
    shipping.log()
    shipping.until_shipped()
    server.stop()
    shipping.log()
    shipping.until_failed()
    server.database.unlink()
    server.start()
    shipping.log()
    shipping.must_be_whole(server)


def test_server_whose_disk_is_full(shipping, server):
    if not server.is_little:
        pytest.skip("no small file system could be mounted")
    shipping.log()
    shipping.until_shipped()
    fill(server.folder)
    shipping.log()
    shipping.until_failed()
    (server.folder / "filling").unlink()
    shipping.log()
    shipping.must_be_whole(server)


def fill(folder):
    """Leave no byte on a disk."""
    with (folder / "filling").open("wb") as file:
        while True:
            try:
                os.write(file.fileno(), bytes(1 << 12))
            except OSError:
                break
    assert shutil.disk_usage(folder).free == 0
