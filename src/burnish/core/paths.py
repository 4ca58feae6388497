"""Where things lie: the project, its runs folder, and the files of one run. Paths only; nothing is read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from burnish.core.errors import UsageError
from burnish.core.files import make_folder
from burnish.core.ids import run_id

_PROJECT_FILE = "burnish.toml"
_HOME = ".burnish"


@dataclass(frozen=True, slots=True)
class Project:
    """A folder whose experiments belong together, and where its runs are kept."""

    root: Path
    home: Path
    runs: Path

    def make(self) -> Project:
        """Create the runs folder; what Burnish makes never enters the user's git history.

        Raises:
            StorageError: The folder cannot be written.
        """
        hint = "choose another folder: BURNISH_RUNS=/path/to/runs"
        make_folder(self.runs, hint=hint)
        ignore = self.home / ".gitignore"
        if self.home.is_dir() and not ignore.exists():
            ignore.write_text("*\n")
        return self


def find_project(start: Path | None = None) -> Project:
    """Return the project that a folder belongs to: the nearest one above with a project file or runs, else itself.

    `BURNISH_HOME` replaces `<project>/.burnish`, `BURNISH_RUNS` its runs folder.

    Raises:
        UsageError: Both `burnish.toml` and `[tool.burnish]` in `pyproject.toml` exist in one folder.
    """
    here = (start or Path.cwd()).resolve()
    root = next((folder for folder in (here, *here.parents) if _is_project(folder)), here)
    home = Path(os.environ.get("BURNISH_HOME") or root / _HOME).expanduser()
    runs = Path(os.environ.get("BURNISH_RUNS") or home / "runs").expanduser()
    return Project(root, home.absolute(), runs.absolute())


def _is_project(folder: Path) -> bool:
    """Whether a folder has a project file, or has had runs: a sub-folder then belongs to it without more ado."""
    own = folder / _PROJECT_FILE
    pyproject = folder / "pyproject.toml"
    in_pyproject = False
    if pyproject.is_file():
        import tomllib  # 4 ms that a process which joins its run need not pay

        try:
            in_pyproject = "burnish" in tomllib.loads(pyproject.read_text()).get("tool", {})
        except (OSError, ValueError):
            in_pyproject = False
    if own.is_file() and in_pyproject:
        raise UsageError(f"two project files: {own} and [tool.burnish] in {pyproject}", hint="keep one of them")
    return own.is_file() or in_pyproject or (folder / _HOME / "runs").is_dir()


@dataclass(frozen=True, slots=True)
class RunPaths:
    """The files of one run. Everything inside is named relative to `root`, so a run can be moved."""

    root: Path

    @property
    def name(self) -> str:
        """The run's full name."""
        return self.root.name

    @property
    def id(self) -> str:
        """The last part of the name, which is enough on the command line."""
        return run_id(self.name)

    @property
    def state(self) -> Path:
        """State, times, exit and counters; written by the supervisor only."""
        return self.root / "run.json"

    @property
    def lock(self) -> Path:
        """Held by the one process that may write the record."""
        return self.root / "supervisor.lock"

    @property
    def card(self) -> Path:
        """The experiment card for machines; `card.md` beside it is for people."""
        return self.root / "card.json"

    @property
    def config(self) -> Path:
        """The resolved config, secrets redacted."""
        return self.root / "config.yaml"

    @property
    def origins(self) -> Path:
        """Where each value of the config came from."""
        return self.root / "origins.json"

    @property
    def journals(self) -> Path:
        """The folder of journals, one a process."""
        return self.root / "journal"

    @property
    def metrics(self) -> Path:
        """Every scalar of the finished run, sorted by key."""
        return self.root / "metrics.parquet"

    @property
    def console(self) -> Path:
        """What the training process printed."""
        return self.root / "console.log"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.root / "checkpoints"

    @property
    def cursors(self) -> Path:
        """The folder in which each sink's progress is kept."""
        return self.root / "cursors"
