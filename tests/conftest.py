"""A project in a folder of its own, and the command line run in it as a user would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

TOY = '''
import os, sys, time
from burnish.experiment import Experiment, LoopConfig


class Counter:
    """Something with a state: it counts the steps that it was trained on."""

    def __init__(self):
        self.seen = []

    def state_dict(self):
        return {"seen": self.seen}

    def load_state_dict(self, state):
        self.seen = list(state["seen"])


class ToyConfig(LoopConfig):
    step_s: float = 0.0
    fail_in: str = ""
    fail_at: int = -1
    keep_state: bool = False


class Toy(Experiment[int]):
    Config = ToyConfig

    def setup(self):
        super().setup()
        if self.config.fail_in == "setup":
            raise ValueError("the data root is a lie")

    def build_model(self):
        self.counter = Counter()

    def state(self):
        return {"counter": self.counter} if self.config.keep_state else {}

    def batch(self, step):
        return step

    def train_step(self, batch):
        if batch == self.config.fail_at:
            if self.config.fail_in == "exit":
                os._exit(0)
            if self.config.fail_in == "sys.exit":
                sys.exit(3)
            raise RuntimeError("shapes differ")
        self.counter.seen.append(batch)
        time.sleep(self.config.step_s)
        return {"loss": 1.0 / (batch + 1), "seen": len(self.counter.seen)}

    def evaluate(self):
        return {"score": len(self.counter.seen)}
'''


@dataclass
class Burnish:
    """The command line in a project folder; `environ` is what it sees."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def runs(self) -> Path:
        return self.root / ".burnish" / "runs"

    def __call__(self, *words: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.argv(*words),
            cwd=self.root,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command and leave it running."""
        return subprocess.Popen(
            self.argv(*words),
            cwd=self.root,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def argv(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "burnish", *words]

    def json(self, *words: str) -> dict[str, object]:
        """Return what a command prints as JSON."""
        done = self(*words, "--json")
        assert done.stdout, done.stderr
        value = json.loads(done.stdout)
        assert isinstance(value, dict)
        return value

    def records(self) -> list[dict[str, object]]:
        """Return the `run.json` of every run, oldest first."""
        found = [json.loads(path.read_text()) for path in self.runs.glob("*/run.json")]
        return sorted(found, key=lambda record: record.get("created", 0))

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def toy(self, **values: object) -> str:
        """Write an experiment that needs no torch; return its file name."""
        self.write("toy.py", TOY)
        body = {"experiment": "toy:Toy", "max_steps": 20, **values}
        self.write("experiments/toy.yaml", "".join(f"{key}: {json.dumps(item)}\n" for key, item in body.items()))
        return "experiments/toy.yaml"


@pytest.fixture
def burnish(tmp_path: Path) -> Iterator[Burnish]:
    """The command line in an empty project; processes that a test left behind are killed."""
    root = tmp_path / "project"
    root.mkdir()
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("LLM_", "BURNISH_"))}
    environ |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    command = Burnish(root, environ)
    yield command
    for record in command.records():
        attempts = record.get("attempts")
        for attempt in attempts if isinstance(attempts, list) else []:
            pid = attempt.get("process", {}).get("pid")
            if "ended" not in attempt and pid:
                kill_group(pid)


def kill_group(pid: int) -> None:
    if pid <= 1:  # a record that a test wrote by hand
        return
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


@pytest.fixture
def eventually() -> Callable[[Callable[[], object], str], None]:
    """Return a function that waits for a condition, and fails with what it waited for."""

    def wait(condition: Callable[[], object], what: str, timeout_s: float = 30) -> None:
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            if condition():
                return
            time.sleep(0.02)
        pytest.fail(f"waited {timeout_s} s for: {what}")

    return wait


@pytest.fixture(scope="session")
def testdata() -> Callable[[str, str], list[Path]]:
    """Return a function that finds real files, which are not part of the repository; without them it skips."""

    def find(part: str, pattern: str) -> list[Path]:
        beside = Path(__file__).parents[2] / "shared" / "testdata"
        folder = Path(os.environ.get("BURNISH_TESTDATA", beside)) / part
        found = sorted(folder.rglob(pattern))
        if not found:
            pytest.skip(f"no {part} in {folder}: set BURNISH_TESTDATA")
        return found

    return find


@pytest.fixture(scope="session")
def recipes(testdata: Callable[[str, str], list[Path]]) -> list[Path]:
    """Return real recipe files of other projects."""
    return testdata("recipes", "*.yaml")


@pytest.fixture
def installed() -> Callable[..., None]:
    """Return a function that writes what `importlib.metadata` knows of an installed package into a folder."""

    def write(folder: Path, package: str, group: str, **points: str) -> None:
        about = folder / f"{package}-1.0.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        listed = "".join(f"{name} = {target}\n" for name, target in points.items())
        (about / "entry_points.txt").write_text(f"[{group}]\n{listed}")

    return write
