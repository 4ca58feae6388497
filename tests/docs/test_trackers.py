"""What docs/concepts/trackers.md says of trackers is what their installed versions do.

Each cell of its table is asserted here, of real processes that log, are killed, fork and begin again. With other
versions than the page names there is nothing to check: after an update, name the new ones on the page and read its
table again where a test fails.
"""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import pytest
from urllib3.util.retry import Retry

PAGE = Path(__file__).parents[2] / "docs" / "concepts" / "trackers.md"
SCRIPT = Path(__file__).parent / "_trackers.py"
PACKAGES = ("mlflow", "wandb", "tensorboard", "trackio")
INSTALLED = {name: version(name) for name in PACKAGES}
NAMED = dict(re.findall(rf"({'|'.join(PACKAGES)}) (\d[\d.]*\d)", PAGE.read_text()))
pytestmark = pytest.mark.skipif(
    any(INSTALLED[name] != number for name, number in NAMED.items()), reason="the page is about other versions"
)

TIMEOUT_S = 90
LIVE = 5
LOGGED = 45  # as many as `_trackers.killed` logs
ODD_NAMES = {"train/loss", "reward mean", "Verlust 損失", "pass@4", "acc[0]"}


class Folder:
    """Where one library keeps its record, and processes that work in it."""

    def __init__(self, library: str, root: Path) -> None:
        self.library, self.root = library, root
        root.mkdir(exist_ok=True)

    def start(self, scenario: str) -> subprocess.Popen[str]:
        """Start a scenario of `_trackers.py`, without network, telemetry and what a user has set."""
        hidden = ("LLM_", "BURNISH_", "WANDB_", "MLFLOW_", "TRACKIO_", "HF_")
        environ = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
        home = self.root.parent / "home"
        environ |= {name: str(home) for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")}
        environ |= {"WANDB_MODE": "offline", "WANDB_ERROR_REPORTING": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        environ |= {"TRACKIO_DIR": str(self.root / "trackio"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            [sys.executable, str(SCRIPT), self.library, scenario],
            cwd=self.root,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, scenario: str) -> dict[str, Any]:
        """Run a scenario to its end, and return what it found."""
        process = self.start(scenario)
        try:
            printed, said = process.communicate(timeout=TIMEOUT_S)
        finally:
            process.kill()
        assert process.returncode == 0, said
        return {"said": printed + said, **json.loads(printed.splitlines()[-1])}

    def points(self) -> dict[str, list[list[float]]]:
        return self.run("read")["points"]

    def move(self) -> Folder:
        """Return the folder under another name, as after a copy to another machine."""
        moved = self.root.with_name("moved")
        self.root.rename(moved)
        self.root = moved
        return self

    def no_process_is_left(self) -> bool:
        """Return whether nothing writes there any more, such as a keeper, or W&B's service."""
        found = [process.info for process in psutil.process_iter(["cwd", "name"])]
        return not any(info["cwd"] == str(self.root) and info["name"] != "wandb-symon" for info in found)


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, f"{what} within {TIMEOUT_S} s"
        time.sleep(0.1)


@pytest.fixture(scope="module", autouse=True)
def scratch(tmp_path_factory):
    """Remove what killed processes leave among temporary files; its path is short, as W&B's socket wants it."""
    tmp_path_factory.getbasetemp()  # chosen before TMPDIR is another
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", folder)
        yield


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """Return one folder for all runs of MLflow: making its tables takes longer than most of what is asked of them."""
    return tmp_path_factory.mktemp("mlflow") / "record"


@pytest.fixture(scope="module")
def probe(tmp_path_factory, database):
    """Return what a library did with odd values, asked once each."""
    known: dict[str, dict[str, Any]] = {}

    def ask(library: str) -> dict[str, Any]:
        if library not in known:
            root = database if library == "mlflow" else tmp_path_factory.mktemp(library) / "record"
            known[library] = Folder(library, root).run("probe")
        return known[library]

    return ask


@pytest.fixture
def folder(tmp_path, database):
    return lambda library: Folder(library, database if library.startswith("mlflow") else tmp_path / "record")


def steps(points: list[list[float]]) -> list[float]:
    return [step for step, _ in points]


def test_the_page_names_a_version_of_each_library():
    assert NAMED.keys() == INSTALLED.keys()


# Killed, and read while it lives


def seen_live_and_survived(folder: Folder, live: int = LIVE) -> tuple[int, int]:
    """Return how many of five rows another process saw of a live run, and how many of 45 outlived a SIGKILL."""
    process = folder.start("killed")
    try:
        while (line := process.stdout.readline()) != "ready\n":
            assert line, process.stderr.read()
        seen = 0

        def enough() -> bool:
            nonlocal seen
            seen = len(folder.points().get("loss", []))
            return seen >= live

        if live:
            until(enough, f"{live} rows of a live run are seen")
        process.communicate("go on\n", timeout=TIMEOUT_S)
        assert process.returncode == -9
    finally:
        process.kill()
    until(folder.no_process_is_left, "every process in the folder ends")
    return seen, len(folder.points().get("loss", []))


@pytest.mark.parametrize("library", ["burnish", "mlflow"])
def test_all_is_seen_live_and_outlives_a_kill(library, folder):
    assert seen_live_and_survived(folder(library)) == (LIVE, LOGGED)


def test_mlflow_loses_what_it_was_given_asynchronously(folder):
    _, survived = seen_live_and_survived(folder("mlflow-async"), 0)
    assert survived < LOGGED


def test_wandb_offline_loses_what_its_service_holds_and_shows_all_but_the_last_step_of_a_live_run(folder):
    seen, survived = seen_live_and_survived(folder("wandb"), LIVE - 1)
    assert seen == LIVE - 1
    assert LIVE - 1 <= survived < LOGGED


def test_tensorboard_loses_at_most_what_its_queue_holds(folder):
    seen, survived = seen_live_and_survived(folder("tensorboard"))
    assert seen == LIVE
    assert LOGGED - 11 <= survived <= LOGGED  # a queue of ten, and one that is being written


def test_trackio_loses_what_its_thread_has_not_written_yet(folder, probe):
    assert probe("trackio")["interval"] == 0.5
    seen, survived = seen_live_and_survived(folder("trackio"))
    assert seen == LIVE
    assert LIVE <= survived < LOGGED


# Steps


@pytest.mark.parametrize(
    ("library", "expected"),
    [
        ("burnish", [[0, 1], [3, 4], [5, 2], [5, 3]]),
        ("mlflow", [[0, 1], [5, 2], [5, 3], [3, 4]]),
        ("wandb", [[0, 1], [5, 3]]),
        ("tensorboard", [[0, 1], [5, 2], [5, 3], [3, 4]]),
        ("trackio", [[0, 1], [5, 2], [5, 3], [3, 4]]),
    ],
)
def test_a_step_given_twice_and_a_lower_one_after_a_higher(library, expected, probe):
    assert probe(library)["points"]["loss"] == expected


def test_wandb_warns_of_a_lower_step(probe):
    assert "step 3 that is less than the current step 5" in probe("wandb")["said"]


BOTH = [*range(6), *range(3, 8)]


@pytest.mark.parametrize(
    ("library", "expected"),
    [
        ("burnish", [0, 1, 2, *range(3, 8)]),
        ("tensorboard", BOTH),
        ("tensorboard-purged", [0, 1, 2, *range(3, 8)]),
        ("trackio", BOTH),
    ],
)
def test_steps_replayed_by_a_second_process_after_the_folder_was_moved(library, expected, folder):
    record = folder(library)
    record.run("replay")
    until(record.no_process_is_left, "the first process has closed its record")
    points = record.move().run("resume")["points"]["resumed"]
    assert steps(points) == expected
    assert [step + 10.0 for step in range(3, 8)] == [value for _, value in points if value >= 10]


def test_mlflow_shows_replayed_steps_twice_and_finds_no_artifacts_in_a_folder_that_was_moved(tmp_path):
    record = Folder("mlflow", tmp_path / "record")
    assert record.run("replay")["artifact"] == ""
    found = record.move().run("resume")
    assert steps(found["points"]["resumed"]) == BOTH
    assert "note.txt" in found["artifact"]


def test_wandb_offline_begins_another_file_for_a_second_process(folder):
    record = folder("wandb")
    record.run("replay")
    began = int(time.time())
    until(lambda: int(time.time()) > began, "another second: the files are named after it")
    assert steps(record.move().run("resume")["points"]["resumed"]) == BOTH
    assert len(list(record.root.glob("wandb/offline-run-*-same/*.wandb"))) == 2


# Values and names


@pytest.mark.parametrize("library", ["burnish", "wandb", "tensorboard", "trackio"])
def test_nan_and_infinities_are_kept(library, probe):
    points = probe(library)["points"]
    assert math.isnan(points["nan"][0][1])
    assert (points["inf"], points["-inf"]) == ([[6, math.inf]], [[6, -math.inf]])


def test_mlflow_keeps_nan_and_makes_infinities_the_largest_floats(probe):
    points = probe("mlflow")["points"]
    assert math.isnan(points["nan"][0][1])
    assert (points["inf"], points["-inf"]) == ([[6, sys.float_info.max]], [[6, -sys.float_info.max]])


@pytest.mark.parametrize("library", ["burnish", "mlflow", "wandb", "trackio"])
def test_values_are_kept_as_64_bit_floats(library, probe):
    assert probe(library)["points"]["fine"] == [[6, 1.0 + 2.0**-40]]


def test_tensorboard_keeps_32_bit_floats(probe):
    assert probe("tensorboard")["points"]["fine"] == [[6, 1.0]]


@pytest.mark.parametrize("library", ["burnish", "wandb", "tensorboard", "trackio"])
def test_any_name_is_taken(library, probe):
    assert probe(library)["refused"] == {}
    assert probe(library)["points"].keys() >= ODD_NAMES


def test_mlflow_raises_at_a_name_with_an_at_sign_or_a_bracket(probe):
    refused = probe("mlflow")["refused"]
    assert refused.keys() == {"pass@4", "acc[0]"}
    assert all("Names may only contain" in why for why in refused.values())


def test_mlflow_takes_a_row_that_is_sent_again_once(probe):
    assert probe("mlflow")["points"]["sent"] == [[0, 1.0]]


# Processes


@pytest.mark.parametrize("library", ["burnish", "wandb", "trackio"])
def test_a_forked_child_logs_into_the_run(library, folder):
    found = folder(library).run("forked")
    assert found["child returned"]
    assert steps(found["points"]["child"]) == list(range(1, 101))
    assert steps(found["points"]["parent"]) == [0, 101]


def test_mlflow_begins_a_run_of_its_own_in_a_forked_child_that_does_not_name_its_parents(folder):
    found = folder("mlflow").run("forked")
    assert found["child returned"]
    assert found["runs begun"] == 1
    assert found["points"].keys() == {"parent", "by id"}


def test_tensorboard_in_a_forked_child_hangs_when_its_queue_is_full(folder):
    found = folder("tensorboard").run("forked")
    assert not found["child returned"]
    assert "child" not in found["points"]


@pytest.mark.parametrize(
    ("library", "threads"), [("burnish", 0), ("mlflow", 0), ("wandb", 2), ("tensorboard", 1), ("trackio", 2)]
)
def test_threads_in_the_process_that_trains(library, threads, probe):
    assert probe(library)["threads"] == threads


@pytest.mark.parametrize("library", ["burnish", "mlflow", "tensorboard", "trackio"])
def test_no_child_process_is_started(library, probe):
    assert probe(library)["children"] == []


def test_wandb_starts_a_service(probe):
    assert "wandb-core" in probe("wandb")["children"]


def test_what_a_process_that_logs_has_loaded(probe):
    assert set(probe("burnish")["modules"]) <= {"burnish", "msgspec", "typing_extensions"}
    assert set(probe("mlflow")["modules"]) >= {"pandas", "pyarrow", "sqlalchemy", "fastapi", "pydantic"}
    assert set(probe("wandb")["modules"]) >= {"pydantic", "google", "click"}
    assert set(probe("tensorboard")["modules"]) >= {"torch", "tensorboard", "google"}
    assert set(probe("trackio")["modules"]) >= {"gradio_client", "huggingface_hub", "starlette", "httpx", "numpy"}


# Servers that are gone


def test_mlflow_raises_in_the_training_process_when_its_server_is_gone(probe):
    assert re.match("MlflowException: API request to .*runs/log-metric failed", probe("mlflow")["server gone"])


def test_mlflow_tries_for_four_minutes_before_it_raises(probe):
    retries, backoff, jitter = probe("mlflow")["defaults"]
    plan, waits = Retry(total=retries, backoff_factor=backoff), []
    for _ in range(retries):
        plan = plan.increment(error=ConnectionError())
        waits.append(plan.get_backoff_time())
    assert 240 <= sum(waits) <= sum(waits) + jitter * retries <= 260


def test_trackio_keeps_rows_here_while_its_server_is_gone(probe):
    assert probe("trackio")["server gone"] == {"loss": [[0, 0.0], [1, 1.0], [2, 2.0]]}
    assert "have been saved locally and will be sent automatically next time" in probe("trackio")["said"]


# Config


def test_mlflow_keeps_config_as_text_that_cannot_change(probe):
    assert probe("mlflow")["config"] == {"lr": "0.001"}
    assert "Changing param values is not allowed" in probe("mlflow")["changed"]


@pytest.mark.parametrize("library", ["wandb", "trackio"])
def test_config_is_kept_as_values(library, probe):
    config = probe(library)["config"]
    assert {name: value for name, value in config.items() if not name.startswith("_")} == {"lr": 0.001}


def test_tensorboard_keeps_hparams_beside_the_run(probe):
    assert len(probe("tensorboard")["hparams"]) == 1


def test_mlflow_gives_runs_as_a_data_frame_and_has_given_up_folders_of_files(probe):
    assert probe("mlflow")["frame"] == "DataFrame"
    assert "is in maintenance mode" in probe("mlflow")["nowhere"]
