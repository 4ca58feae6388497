"""Getting a `Run`: join the one that a supervisor prepared, or begin one that a keeper looks after."""

from __future__ import annotations

import atexit
import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from random import SystemRandom
from types import TracebackType

from burnish.core.errors import StorageError
from burnish.core.files import make_folder, write_json
from burnish.core.ids import run_name, run_token
from burnish.core.paths import RunPaths, find_project
from burnish.core.processes import ProcessIdentity
from burnish.core.secrets import MASK, Masker, is_secret_name
from burnish.track.run import Run

RUN_DIR_VARIABLE = "BURNISH_RUN_DIR"
ATTEMPT_VARIABLE = "BURNISH_ATTEMPT"

_current: Run | None = None


def start_run(name: str = "", *, config: Mapping[str, object] | None = None) -> Run:
    """Return the run that this process belongs to, beginning one where there is none.

    Under `burnish run` it joins the supervised run. In a plain script it makes a run directory and starts a
    keeper: a process of its own that ships, watches and closes the record. A second call returns the same run
    until that one is finished.

    Args:
        name: What to call the run, a part of its full name.
        config: Values worth keeping with it; shown by `burnish show`.

    Raises:
        StorageError: The runs folder cannot be written.
    """
    global _current
    if _current is not None and not _current._ended:
        return _current
    folder = os.environ.get(RUN_DIR_VARIABLE)
    if folder:
        run = Run(Path(folder), attempt=int(os.environ.get(ATTEMPT_VARIABLE, "1")), rank=_rank())
    else:
        run = Run(_make_run(name, config or {}), rank=_rank())
        _start_keeper(run)
    _current = run
    _end_with_interpreter(run)
    return run


def current_run() -> Run | None:
    """Return this process's run if it has begun one."""
    return _current


def log(values: Mapping[str, float], step: int | None = None) -> None:
    """Record scalars in this process's run, beginning one if needed. See `Run.log`."""
    (_current or start_run()).log(values, step)


def create_run_directory(runs: Path, name: str, record: Mapping[str, object]) -> RunPaths:
    """Make a run directory with its first `run.json`.

    Raises:
        StorageError: The folder cannot be written, or the name is taken.
    """
    paths = RunPaths(runs / name)
    try:
        paths.root.mkdir()
    except OSError as error:
        reason = "the name is taken" if isinstance(error, FileExistsError) else error.strerror
        raise StorageError(
            f"cannot create run directory {paths.root}: {reason}",
            hint="choose another folder: BURNISH_RUNS=/path/to/runs",
        ) from error
    for folder in (paths.journals, paths.checkpoints, paths.cursors):
        make_folder(folder)
    write_json(paths.state, {"format": 1, "id": name.rsplit("_", 1)[-1], "name": name, **record})
    return paths


def _make_run(name: str, config: Mapping[str, object]) -> Path:
    project = find_project().make()
    masker = Masker.from_environment(os.environ)
    now = time.time()
    script = Path(sys.argv[0]).stem if sys.argv and sys.argv[0] not in ("", "-c", "-m") else "python"
    full = run_name(time.strftime("%Y%m%d", time.gmtime(now)), [name or script], run_token(SystemRandom()))
    record = {
        "state": "running",
        "created": now,
        "started": now,
        "experiment": name or script,
        "command": masker.command([sys.executable, *sys.argv]),
        "directory": str(Path.cwd()),
        "project": str(project.root),
        "attempts": [{"number": 1, "started": now, "process": ProcessIdentity.of(os.getpid()).to_json()}],
    }
    paths = create_run_directory(project.runs, full, record)
    if config:
        # JSON is YAML: no parser of our own is loaded into the training process for this.
        paths.config.write_text(json.dumps(_masked(config, masker), indent=1) + "\n")
    return paths.root


def _masked(value: object, masker: Masker) -> object:
    """Return a value in terms of JSON, without credentials."""
    if isinstance(value, Mapping):
        return {str(k): MASK if is_secret_name(str(k)) else _masked(v, masker) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(item, masker) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else masker.text(str(value))


def _start_keeper(run: Run) -> None:
    """Start the keeper in a session of its own; it inherits no descriptor, or `script | cat` would hang."""
    if run.rank != 0:
        return
    argv = [sys.executable, "-m", "burnish.launch.keeper", str(run.paths.root)]
    null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
    try:
        os.posix_spawn(sys.executable, argv, dict(os.environ), file_actions=null, setsid=True)
    except OSError as error:
        run._lost(error)  # nothing is lost that is logged: the next Burnish command completes the record


def _end_with_interpreter(run: Run) -> None:
    previous = sys.excepthook

    def note_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        status = "stopped" if issubclass(kind, KeyboardInterrupt) else "failed"
        run.finish(status, exit_code=1, error=f"{kind.__name__}: {error}")  # type: ignore[arg-type]
        previous(kind, error, trace)

    sys.excepthook = note_exception
    atexit.register(run.finish)


def _rank() -> int:
    for variable in ("RANK", "SLURM_PROCID"):
        if (value := os.environ.get(variable, "")).isdigit():
            return int(value)
    return 0
