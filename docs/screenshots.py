"""Pictures of trackers' own pages for the docs: `python docs/screenshots.py`, after `make demo-trackers`.

Shows the runs of this project in TensorBoard and MLflow, in a headless Chromium (Debian: `apt-get install chromium`).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from burnish.core.paths import RunPaths, find_project
from burnish.journal.index import find_run
from burnish.journal.record import read_record

PICTURES = Path(__file__).parent / "pictures"
WIDTH, HEIGHT, TALL = 1400, 860, 1700
SETTLE_S = 12
CHOICES = """
localStorage.setItem("mlflow.workflowType_v1", JSON.stringify("machine_learning"));
localStorage.setItem("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true");
"""


def main() -> int:
    """Take every picture; return the exit code."""
    browser = shutil.which("chromium")
    if browser is None:
        print("error: there is no chromium here; apt-get install chromium", file=sys.stderr)
        return 1
    project = find_project()
    run = find_run(project.runs, "last")
    PICTURES.mkdir(exist_ok=True)
    board = ["tensorboard.main", "--logdir", str(project.runs), "--port"]
    with served(board, "") as place:
        for name in ("timeseries", "hparams"):
            shoot(browser, f"{place}/#{name}", f"tensorboard-{name}")
    store = f"sqlite:///{project.home / 'mlflow.db'}"
    server = ["mlflow", "server", "--backend-store-uri", store, "--workers", "1", "--host", "127.0.0.1", "--port"]
    with served(server, "health") as place:
        experiment, mine = ids(run, store)
        pages = {"runs": "runs?compareRunsMode=CHART", "params": f"runs/{mine}", "curves": f"runs/{mine}/model-metrics"}
        pages["artifacts"] = f"runs/{mine}/artifacts/burnish/card.md"
        for name, page in pages.items():
            height = TALL if name == "params" else HEIGHT
            shoot(browser, f"{place}/#/experiments/{experiment}/{page}", f"mlflow-{name}", height)
    return 0


def ids(run: RunPaths, store: str) -> tuple[str, str]:
    """Return what MLflow calls a run's experiment, and the run."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=store)
    experiment = client.get_experiment_by_name(str(read_record(run).get("experiment")))
    (found,) = client.search_runs([experiment.experiment_id], f"tags.`burnish.run` = '{run.name}'")
    return experiment.experiment_id, found.info.run_id


@contextlib.contextmanager
def served(module: Sequence[str], health: str) -> Iterator[str]:
    """Serve a page while the block runs; yield its address."""
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = str(chosen.getsockname()[1])
    place = f"http://127.0.0.1:{port}"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([sys.executable, "-m", *module, port], start_new_session=True, **quiet)  # type: ignore[call-overload]
    try:
        until = time.monotonic() + 60
        while not answers(f"{place}/{health}"):
            if time.monotonic() > until:
                raise TimeoutError(f"{module[0]} does not answer at {place}")
            time.sleep(0.2)
        yield place
    finally:
        process.terminate()
        process.wait()


def answers(address: str) -> bool:
    """Return whether a page is there."""
    try:
        with urllib.request.urlopen(address, timeout=2):
            return True
    except OSError:
        return False


def shoot(browser: str, address: str, name: str, height: int = HEIGHT) -> None:
    """Write the picture of a page once it has settled."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        words = [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        words += [f"--user-data-dir={profile}", f"--window-size={WIDTH},{height}", "--remote-debugging-port=0"]
        process = subprocess.Popen([*words, "about:blank"], stderr=subprocess.PIPE, text=True)
        try:
            (PICTURES / f"{name}.png").write_bytes(asyncio.run(picture(devtools(process), address)))
        finally:
            process.terminate()
            process.wait()
    print(f"{name}.png  {address}", file=sys.stderr)


def devtools(process: subprocess.Popen[str]) -> str:
    """Return where a browser's only page listens."""
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"ws://(\S+?)/", line):
            with urllib.request.urlopen(f"http://{found[1]}/json/list") as answer:
                pages = [page for page in json.load(answer) if page["type"] == "page"]
            return str(pages[0]["webSocketDebuggerUrl"])
    raise RuntimeError("the browser ended")


async def picture(place: str, address: str) -> bytes:
    """Return the PNG of a page, as it looks to somebody who chose MLflow's view of training."""
    from websockets.asyncio.client import connect

    async with connect(place, max_size=None) as socket:
        number = 0

        async def ask(method: str, **params: object) -> dict[str, str]:
            nonlocal number
            number += 1
            await socket.send(json.dumps({"id": number, "method": method, "params": params}))
            while (answer := json.loads(await socket.recv())).get("id") != number:
                pass
            result: dict[str, str] = answer["result"]
            return result

        await ask("Page.enable")
        await ask("Page.addScriptToEvaluateOnNewDocument", source=CHOICES)
        await ask("Page.navigate", url=address)
        await asyncio.sleep(SETTLE_S)
        return base64.b64decode((await ask("Page.captureScreenshot", format="png"))["data"])


if __name__ == "__main__":
    sys.exit(main())
