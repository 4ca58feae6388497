"""What becomes of a run while its MLflow server fails in every way that we know of: nothing lost, nothing doubled."""

import os
import shutil
import subprocess

import pytest
from examples.tracker_readers import journal_points, mlflow_points

from .live import Live
from .mlflow_server import Proxy, Server

pytest.importorskip("mlflow", reason="mlflow is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of SQLAlchemy, as MLflow uses it

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
    one = Live(tmp_path, "mlflow", {"uri": proxy.uri, "timeout_s": 30}, eventually)
    one.shipper.start()
    yield one
    one.close()


def must_be_whole(shipping, server):
    """Finish, then compare what the server has with what the journal holds, point by point."""
    count = shipping.finish()
    shown = mlflow_points(shipping.run, server.uri)
    assert sum(shown.values()) == count
    assert shown == journal_points(shipping.run)


@pytest.mark.parametrize("mode", ["500", "hanging"])
def test_server_that_answers_badly_for_a_while(shipping, proxy, server, mode):
    shipping.log()
    shipping.until_shipped()
    proxy.mode = mode
    shipping.log()
    shipping.until_failed()
    proxy.mode = "fine"
    shipping.log()
    must_be_whole(shipping, server)


def test_server_that_answers_slowly(shipping, proxy, server):
    proxy.mode = "slow"
    shipping.log()
    shipping.until_shipped()
    shipping.log()
    proxy.mode = "fine"
    must_be_whole(shipping, server)


def test_server_that_is_killed_and_comes_back_with_an_empty_database(shipping, server):
    shipping.log()
    shipping.until_shipped()
    server.stop()
    shipping.log()
    shipping.until_failed()
    server.database.unlink()
    server.start()
    shipping.log()
    must_be_whole(shipping, server)


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
    must_be_whole(shipping, server)


def fill(folder):
    """Leave no byte on a disk."""
    with (folder / "filling").open("wb") as file:
        while True:
            try:
                os.write(file.fileno(), bytes(1 << 12))
            except OSError:
                break
    assert shutil.disk_usage(folder).free == 0
