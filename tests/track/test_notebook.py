"""`start_run` in a notebook: a real kernel, its cells, its end."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from burnish.journal.series import load_scalars

jupyter_client = pytest.importorskip("jupyter_client")
pytest.importorskip("ipykernel")


class Notebook:
    """A kernel in a folder of its own, cell by cell."""

    def __init__(self, root, environ):
        self.root = root
        self.runs = root / ".burnish" / "runs"
        self._manager = jupyter_client.KernelManager(kernel_name="python3")
        self._manager.kernel_spec.argv[0] = sys.executable
        self._manager.start_kernel(cwd=str(root), env=environ)
        self._client = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=60)

    @property
    def pid(self):
        return self._manager.provisioner.pid

    def __call__(self, code):
        """Run a cell; return what it printed and the name of its exception."""
        printed, raised = [], []

        def hear(message):
            if message["msg_type"] == "stream":
                printed.append(message["content"]["text"])
            elif message["msg_type"] == "error":
                raised.append(message["content"]["ename"])

        self._client.execute_interactive(code, output_hook=hear, timeout=60, store_history=False)
        return "".join(printed), "".join(raised)

    def shut_down(self):
        """End the kernel as Jupyter does when a notebook is closed."""
        self._manager.shutdown_kernel(now=False)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)

    def close(self):
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        self._manager.cleanup_resources()

    def records(self):
        found = [json.loads(path.read_text()) for path in self.runs.glob("*/run.json")]
        return sorted(found, key=lambda record: record["created"])

    def ended(self):
        """Wait until every run has ended; return their records, oldest first."""
        until = time.monotonic() + 60
        while any(record["state"] == "running" for record in self.records()):
            assert time.monotonic() < until, self.records()
            time.sleep(0.05)
        return self.records()


@pytest.fixture
def notebook(tmp_path):
    """Return a function that starts a kernel, given more of its environment."""

    def start(**variables):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("LLM_", "BURNISH_", "JPY_"))}
        kept["IPYTHONDIR"] = str(tmp_path / "ipython")
        started.append(Notebook(tmp_path, kept | variables))
        return started[-1]

    started = []
    yield start
    for one in started:
        one.close()


def test_a_run_lives_over_cells_and_exceptions_until_the_kernel_is_shut_down(notebook):
    kernel = notebook()
    said, _ = kernel("import burnish\nrun = burnish.start_run()\nrun.log({'loss': 1.0}, 0)\nprint(run.name)")
    name = said.strip()
    assert kernel("raise ValueError('a cell failed')")[1] == "ValueError"
    assert kernel("raise KeyboardInterrupt")[1] == "KeyboardInterrupt"
    assert kernel("print(burnish.start_run() is run)")[0] == "True\n"
    assert kernel("burnish.log({'loss': 0.5}, 1)") == ("", "")
    assert [record["state"] for record in kernel.records()] == ["running"]
    kernel.shut_down()
    (record,) = kernel.ended()
    assert (record["name"], record["state"], record["reason"]) == (name, "finished", "finished")
    assert load_scalars(kernel.runs / name / "journal").of("loss") == ([0, 1], [1.0, 0.5])


def test_a_run_that_was_finished_is_followed_by_another(notebook):
    kernel = notebook()
    kernel("import burnish\nfirst = burnish.start_run('first')\nfirst.log({'x': 1.0})\nfirst.finish()")
    assert kernel("second = burnish.start_run('second')\nprint(second is first)")[0] == "False\n"
    kernel("second.log({'x': 2.0})\nburnish.log({'x': 3.0})")
    kernel.shut_down()
    first, second = kernel.ended()
    assert [first["experiment"], second["experiment"]] == ["first", "second"]
    assert [first["state"], second["state"]] == ["finished", "finished"]
    assert [first["summary"]["x"]["count"], second["summary"]["x"]["count"]] == [1, 2]


@pytest.mark.chaos
def test_a_run_in_a_with_block_of_a_cell_ends_with_the_cell(notebook):
    kernel = notebook()
    cell = (
        "import burnish\nwith burnish.start_run() as run:\n    run.log({'x': 1.0})\n    raise RuntimeError('diverged')"
    )
    assert kernel(cell)[1] == "RuntimeError"
    (record,) = kernel.ended()
    assert (record["state"], record["reason"]) == ("failed", "RuntimeError: diverged")


@pytest.mark.parametrize(
    ("session", "experiment"),
    [
        pytest.param("/work/My Analysis.ipynb", "My Analysis", id="named"),
        pytest.param("", "notebook", id="unnamed", marks=pytest.mark.chaos),
    ],
)
def test_a_run_is_called_after_its_notebook(notebook, session, experiment):
    kernel = notebook(**({"JPY_SESSION_NAME": session} if session else {}))
    kernel("import burnish\nburnish.start_run().finish()")
    (record,) = kernel.ended()
    assert record["experiment"] == experiment
    assert experiment.lower().replace(" ", "-") in record["name"]


def test_killed_kernel_leaves_a_run_that_did_not_finish_with_all_that_it_logged(notebook):
    kernel = notebook()
    kernel("import burnish\nfor step in range(100):\n    burnish.log({'loss': float(step)}, step)")
    kernel.kill()
    (record,) = kernel.ended()
    assert record["state"] in ("failed", "lost")  # a Linux before 6.15 does not tell how it ended
    assert record["summary"]["loss"]["count"] == 100


@pytest.mark.chaos
def test_kernel_that_is_restarted_begins_another_run_and_closes_the_first(notebook):
    kernel = notebook()
    kernel("import burnish\nburnish.log({'x': 1.0})")
    kernel._manager.restart_kernel(now=False)
    kernel._client.wait_for_ready(timeout=60)
    kernel("import burnish\nburnish.log({'x': 2.0})")
    assert len(kernel.records()) == 2
    kernel.shut_down()
    assert [record["state"] for record in kernel.ended()] == ["finished", "finished"]


def test_the_keeper_holds_none_of_the_kernels_pipes_and_sockets(notebook):
    kernel = notebook()
    kernel("import burnish\nrun = burnish.start_run()\nrun.log({'x': 1.0})")
    (record,) = kernel.records()
    until = time.monotonic() + 30
    root, found = str(kernel.runs / record["name"]), []
    while not found:
        assert time.monotonic() < until, "the keeper has not started"
        found = [p for p in psutil.process_iter(["cmdline"]) if root in (p.info["cmdline"] or [])]
        found = [p for p in found if "burnish.launch.keeper" in p.info["cmdline"]]
    (keeper,) = found
    while not (kernel.runs / record["name"] / "card.json").exists():  # then it is past its beginning
        assert time.monotonic() < until
        time.sleep(0.01)
    held = descriptors(keeper.pid)
    assert {place for place in descriptors(kernel.pid) if place.startswith(("pipe:", "socket:"))} & held == set()
    assert keeper.ppid() != kernel.pid
    assert os.getsid(keeper.pid) != os.getsid(kernel.pid)


def descriptors(pid):
    found = set()
    for path in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.add(str(path.readlink()))
        except FileNotFoundError:
            pass  # closed meanwhile
    return found
