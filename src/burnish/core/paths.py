"""Where things lie: the project, its runs folder, and the files of one run. Paths only; nothing is read."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from burnish.core.errors import UsageError
from burnish.core.files import make_folder
from burnish.core.ids import run_id
from burnish.core.nearest import nearest

_PROJECT_FILE = "burnish.toml"
_HOME = ".burnish"
_SETTINGS = {"env_prefix": str, "data_root": str, "sweep_limit": int}
_PREFIX = "LLM_"


@dataclass(frozen=True, slots=True)
class Project:
    """A folder whose experiments belong together, and where its runs are kept.

    Attributes:
        file: The project file, None where there is none.
        settings: What the project file says.
    """

    root: Path
    home: Path
    runs: Path
    file: Path | None = None
    settings: dict[str, object] = field(default_factory=dict)

    @property
    def env_prefix(self) -> str:
        """What the variables that set config values begin with."""
        return str(self.settings.get("env_prefix", _PREFIX))

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
        UsageError: Both `burnish.toml` and `[tool.burnish]` in `pyproject.toml` exist in one folder, or the project
            file says what cannot be.
    """
    here = (start or Path.cwd()).resolve()
    root, file = here, None
    settings: dict[str, object] = {}
    for folder in (here, *here.parents):
        file, settings = _project_file(folder)
        if file is not None or (folder / _HOME / "runs").is_dir():  # it has had runs: sub-folders belong to it
            root = folder
            break
    home = Path(os.environ.get("BURNISH_HOME") or root / _HOME).expanduser()
    runs = Path(os.environ.get("BURNISH_RUNS") or home / "runs").expanduser()
    return Project(root, home.absolute(), runs.absolute(), file, settings)


def _project_file(folder: Path) -> tuple[Path | None, dict[str, object]]:
    """Return a folder's project file and what it says; none where it has none."""
    own = folder / _PROJECT_FILE
    pyproject = folder / "pyproject.toml"
    if not os.access(folder, os.X_OK):  # somebody else's folder above: what it holds cannot be known
        return None, {}
    in_pyproject = _table(pyproject) if pyproject.is_file() else None
    if not own.is_file():
        return (pyproject, _checked(in_pyproject, pyproject)) if in_pyproject is not None else (None, {})
    if in_pyproject is not None:
        raise UsageError(f"two project files: {own} and [tool.burnish] in {pyproject}", hint="keep one of them")
    if not own.stat().st_size:
        return own, {}
    import tomllib

    try:
        return own, _checked(tomllib.loads(own.read_text()), own)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the project file: {error}", origin=str(own)) from error


def _table(pyproject: Path) -> dict[str, object] | None:
    """Return `[tool.burnish]`; None where there is none, or the file is broken, which is another tool's to say."""
    try:
        text = pyproject.read_text()
        if "burnish" not in text:
            return None
        import tomllib  # 4 ms that a process which joins its run need not pay

        found = tomllib.loads(text).get("tool", {}).get("burnish")
    except (OSError, ValueError, AttributeError):
        return None
    return found if isinstance(found, dict) else None


def _checked(settings: dict[str, object], file: Path) -> dict[str, object]:
    for key, value in settings.items():
        if key not in _SETTINGS:
            best = nearest(key, _SETTINGS)
            hint = f"did you mean {best}?" if best else f"there are {', '.join(sorted(_SETTINGS))}"
            raise UsageError(f"unknown key {key!r} in the project file", origin=str(file), hint=hint)
        if not isinstance(value, _SETTINGS[key]) or isinstance(value, bool):
            raise UsageError(f"{key}: should be {_SETTINGS[key].__name__}, not {value!r}", origin=str(file))
    prefix = settings.get("env_prefix", _PREFIX)
    if not re.fullmatch(r"[A-Z][A-Z0-9]*_", str(prefix)):
        raise UsageError(f"env_prefix: {prefix!r} is no prefix", origin=str(file), hint='such as env_prefix = "ACME_"')
    return settings


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
    def pyramid(self) -> Path:
        """The same scalars in groups, for charts."""
        return self.root / "metrics.pyramid"

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
