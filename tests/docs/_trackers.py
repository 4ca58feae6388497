"""One tracker in a process of its own: `python _trackers.py LIBRARY SCENARIO`, in a folder that holds its record.

What it finds is printed as one JSON object. Nothing heavy is imported but the library that is asked for.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

CONFIG = {"lr": 1e-3}
NAMES = ["train/loss", "reward mean", "Verlust 損失", "pass@4", "acc[0]"]
FINE = 1.0 + 2.0**-40
AFTER_LIVE = 40
MLFLOW_RUN = Path("run_id")
"""Says which run of the folder's database is the one in hand."""
FORKED_STEPS = 100
Points = dict[str, list[tuple[int, float]]]


class Tracker:
    """Writes scalars into the current folder, as the library's documentation says, and reads them back."""

    def __init__(self, *, again: bool = False) -> None:
        raise NotImplementedError

    def log(self, values: dict[str, float], step: int) -> None:
        raise NotImplementedError

    def finish(self) -> None:
        raise NotImplementedError

    @staticmethod
    def read() -> Points:
        raise NotImplementedError

    def more(self) -> dict[str, object]:
        """Return what only this library can be asked, before it is finished."""
        return {}

    @staticmethod
    def more_at_end() -> dict[str, object]:
        """Return what only this library can be asked, after that."""
        return {}


class Burnish(Tracker):
    module = "burnish"

    def __init__(self, *, again: bool = False) -> None:
        import burnish

        if again:
            os.environ.update(BURNISH_RUN_DIR=str(next(Path.cwd().glob(".burnish/runs/*_*"))), BURNISH_ATTEMPT="2")
        self._run = burnish.start_run("r", config=CONFIG)
        self.log, self.finish = self._run.log, self._run.finish

    @staticmethod
    def read() -> Points:
        from burnish.journal.series import load_scalars

        found = load_scalars(next(Path.cwd().glob(".burnish/runs/*_*/journal")))
        return {n: list(zip(s.step.tolist(), s.value.tolist(), strict=True)) for n, rank, s in found if rank == 0}


class MLflow(Tracker):
    module = "mlflow"

    def __init__(self, *, again: bool = False, synchronous: bool = True) -> None:
        self._mlflow = import_module("mlflow")
        self._mlflow.set_tracking_uri("sqlite:///mlflow.db")
        known = MLFLOW_RUN.read_text() if again else None
        self._id = self._mlflow.start_run(run_id=known).info.run_id
        MLFLOW_RUN.write_text(self._id)
        if not again:
            self._mlflow.log_params(CONFIG)
        self._synchronous = synchronous

    def log(self, values: dict[str, float], step: int) -> None:
        self._mlflow.log_metrics(values, step=step, synchronous=self._synchronous)

    def finish(self) -> None:
        self._mlflow.end_run()

    @staticmethod
    def read() -> Points:
        mlflow = import_module("mlflow")
        client = mlflow.MlflowClient(tracking_uri="sqlite:///mlflow.db")
        run = client.get_run(MLFLOW_RUN.read_text())
        history = {name: client.get_metric_history(run.info.run_id, name) for name in run.data.metrics}
        return {name: [(point.step, point.value) for point in points] for name, points in history.items()}

    def log_by_id(self) -> None:
        self._mlflow.log_metrics({"by id": 1.0}, step=0, run_id=self._id)

    @staticmethod
    def artifact() -> str:
        """Return the error of reading the file that `more` gave to the run."""
        mlflow = import_module("mlflow")
        uri = mlflow.get_run(MLFLOW_RUN.read_text()).info.artifact_uri
        return _error(lambda: mlflow.artifacts.load_text(f"{uri}/note.txt"))

    @staticmethod
    def runs() -> int:
        """Return how many runs the database holds."""
        return len(import_module("mlflow").search_runs(output_format="list"))

    def more(self) -> dict[str, object]:
        mlflow = self._mlflow
        found: dict[str, object] = {}
        for _ in range(2):  # a row that is sent again, as after an answer that was lost
            mlflow.MlflowClient().log_metric(self._id, "sent", 1.0, timestamp=1_000, step=0)
        mlflow.log_text("x", "note.txt")
        found["artifact"] = MLflow.artifact()
        found["config"] = mlflow.MlflowClient().get_run(self._id).data.params
        found["changed"] = _error(lambda: mlflow.log_params({"lr": 2e-3}))
        found["frame"] = type(mlflow.search_runs()).__name__
        found["nowhere"] = _error(lambda: mlflow.MlflowClient(tracking_uri="file:./mlruns").search_experiments())
        return found

    @staticmethod
    def more_at_end() -> dict[str, object]:
        """Log to a server that is gone, with fewer attempts than by default."""
        mlflow = import_module("mlflow")
        names = ("MAX_RETRIES", "BACKOFF_FACTOR", "BACKOFF_JITTER")
        variables = import_module("mlflow.environment_variables")
        defaults = [getattr(variables, f"MLFLOW_HTTP_REQUEST_{name}").get() for name in names]
        os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "1"
        client = mlflow.MlflowClient(tracking_uri=nowhere())
        return {"defaults": defaults, "server gone": _error(lambda: client.log_metric("0" * 32, "loss", 1.0, step=0))}


class MLflowAsync(MLflow):
    def __init__(self, *, again: bool = False) -> None:
        super().__init__(again=again, synchronous=False)


class Wandb(Tracker):
    module = "wandb"

    def __init__(self, *, again: bool = False) -> None:
        wandb = import_module("wandb")
        self._run = wandb.init(project="p", id="same", config=CONFIG, resume="allow" if again else None)

    def log(self, values: dict[str, float], step: int) -> None:
        self._run.log(values, step=step)

    def finish(self) -> None:
        self._run.finish()

    @staticmethod
    def read() -> Points:
        found: Points = {}
        for path in wandb_files():
            for record in map(json.loads, _wandb_inspect(path, "--json").splitlines()):
                row = record["history"]["item"] if record["type"] == "history" else {}
                for name, value in row.items():
                    if not name.startswith("_"):
                        found.setdefault(name, []).append((row["_step"], float(value)))  # NaN is text there
        return found

    @staticmethod
    def more_at_end() -> dict[str, object]:
        (path,) = wandb_files()
        return {"config": json.loads(_wandb_inspect(path, "--summary", "--json"))["config"]}


class TensorBoard(Tracker):
    module = "torch.utils.tensorboard"

    def __init__(self, *, again: bool = False, purge_step: int | None = None) -> None:
        writer = import_module("torch.utils.tensorboard").SummaryWriter("events", purge_step=purge_step)
        self._writer, self.finish = writer, writer.close

    def log(self, values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    @staticmethod
    def read() -> Points:
        module = import_module("tensorboard.backend.event_processing.event_accumulator")
        events = module.EventAccumulator("events", {"scalars": 0})
        events.Reload()
        return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}

    def more(self) -> dict[str, object]:
        self._writer.add_hparams(CONFIG, {"final": 1.0}, run_name="hparams")
        return {"hparams": [path.name for path in Path("events/hparams").iterdir()]}


class TensorBoardPurged(TensorBoard):
    def __init__(self, *, again: bool = False) -> None:
        super().__init__(purge_step=3 if again else None)


class Trackio(Tracker):
    module = "trackio"

    def __init__(self, *, again: bool = False) -> None:
        self._trackio = import_module("trackio")
        self._trackio.init("p", name="r", config=CONFIG, resume="allow" if again else "never", embed=False)

    def log(self, values: dict[str, float], step: int) -> None:
        self._trackio.log(values, step=step)

    def finish(self) -> None:
        self._trackio.finish()

    @staticmethod
    def read(project: str = "p") -> Points:
        storage = import_module("trackio.sqlite_storage").SQLiteStorage
        if not Path("trackio", f"{project}.db").exists():
            return {}
        with sqlite3.connect(Path("trackio", f"{project}.db")) as database:
            rows = database.execute("SELECT metrics FROM metrics").fetchall()
        names = sorted({name for (row,) in rows for name in json.loads(row)})
        found = {name: storage.get_metric_values(project, "r", name) for name in names}
        return {name: [(point["step"], point["value"]) for point in points] for name, points in found.items()}

    @staticmethod
    def more_at_end() -> dict[str, object]:
        """Log to a server of one's own that is gone."""
        trackio = import_module("trackio")
        found: dict[str, object] = {"config": trackio.Api().runs("p")[0].config}
        found["interval"] = import_module("trackio.run").BATCH_SEND_INTERVAL
        os.environ["TRACKIO_WRITE_TOKEN"] = "none"
        trackio.init("gone", name="r", server_url=nowhere(), embed=False)
        for step in range(3):
            trackio.log({"loss": float(step)}, step=step)
        trackio.finish()
        return found | {"server gone": Trackio.read("gone")}


LIBRARIES: dict[str, type[Any]] = {
    "burnish": Burnish,
    "mlflow": MLflow,
    "mlflow-async": MLflowAsync,
    "wandb": Wandb,
    "tensorboard": TensorBoard,
    "tensorboard-purged": TensorBoardPurged,
    "trackio": Trackio,
}


def nowhere() -> str:
    """Return an address on this machine at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def wandb_files() -> list[Path]:
    return sorted(Path.cwd().glob("wandb/offline-run-*/*.wandb"))


def _wandb_inspect(path: Path, *words: str) -> str:
    command = [str(Path(sys.executable).parent / "wandb"), "leet", "inspect", *words, str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout


def _error(call: Callable[[], object]) -> str:
    try:
        call()
    except Exception as error:  # noqa: BLE001  whatever the library raises is the answer
        return f"{type(error).__name__}: {error}"
    return ""


def probe(kind: type[Any]) -> dict[str, object]:
    """Log what is odd, and read it back; count what the library has loaded and started."""
    before = set(sys.modules)
    import_module(kind.module)
    tracker = kind()
    tracker.log({"loss": 1.0}, 0)
    loaded = {name.partition(".")[0] for name in set(sys.modules) - before} - sys.stdlib_module_names
    found: dict[str, object] = {"modules": sorted(loaded)}
    import psutil

    found["threads"] = threading.active_count() - 1
    found["children"] = [child.name() for child in psutil.Process().children(recursive=True)]
    for value, step in ((2.0, 5), (3.0, 5), (4.0, 3)):
        tracker.log({"loss": value}, step)
    tracker.log({"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf"), "fine": FINE}, 6)
    found["refused"] = {name: why for name in NAMES if (why := _error(lambda name=name: tracker.log({name: 1.0}, 7)))}
    found |= tracker.more()
    tracker.log({"end": 1.0}, 8)
    tracker.finish()
    return found | {"points": kind.read()} | kind.more_at_end()


def resume(kind: type[Any]) -> dict[str, object]:
    """Go on with the run that an earlier process has begun."""
    tracker = kind(again=True)
    for step in range(3, 8):
        tracker.log({"resumed": float(step) + 10}, step)
    tracker.finish()
    return {"points": kind.read(), "artifact": MLflow.artifact() if kind is MLflow else ""}


def replay(kind: type[Any]) -> dict[str, object]:
    """Begin a run: steps 0 to 5 of what `resume` replays from step 3 on."""
    tracker = kind()
    for step in range(6):
        tracker.log({"resumed": float(step)}, step)
    extra = tracker.more() if kind is MLflow else {}
    tracker.finish()
    return {"artifact": extra.get("artifact", "")}


def killed(kind: type[Any]) -> dict[str, object]:
    """Log five rows, wait for a word, log more, and be killed as soon as the last call has returned."""
    tracker = kind()
    for step in range(5):
        tracker.log({"loss": float(step)}, step)
    print("ready", flush=True)
    sys.stdin.readline()
    for step in range(5, 5 + AFTER_LIVE):
        tracker.log({"loss": float(step)}, step)
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def forked(kind: type[Any]) -> dict[str, object]:
    """Log in a child that was forked after the first row, then in the parent again."""
    tracker = kind()
    tracker.log({"parent": 0.0}, 0)
    runs = MLflow.runs() if kind is MLflow else 0
    child = os.fork()
    if child == 0:
        for step in range(1, 1 + FORKED_STEPS):
            tracker.log({"child": float(step)}, step)
        if kind is MLflow:
            tracker.log_by_id()
        if kind is Trackio:
            tracker.finish()  # it would else end before its thread has written
        os._exit(0)
    deadline, ended = time.monotonic() + 5, False
    while not ended and time.monotonic() < deadline:
        ended = os.waitpid(child, os.WNOHANG)[0] == child
        time.sleep(0.02)
    if not ended:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    tracker.log({"parent": 1.0}, 1 + FORKED_STEPS)
    tracker.finish()
    begun = MLflow.runs() - runs if kind is MLflow else 0
    return {"child returned": ended, "points": kind.read(), "runs begun": begun}


def read(kind: type[Any]) -> dict[str, object]:
    return {"points": kind.read()}


SCENARIOS = (probe, resume, replay, killed, forked, read)

if __name__ == "__main__":
    chosen = {scenario.__name__: scenario for scenario in SCENARIOS}[sys.argv[2]]
    print(json.dumps(chosen(LIBRARIES[sys.argv[1]])), flush=True)
