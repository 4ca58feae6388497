"""Getting a `Run`: join the one that a supervisor prepared, or begin one that a keeper looks after."""

from __future__ import annotations

import atexit
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import SystemRandom
from types import TracebackType
from typing import NoReturn

from burnish.core.errors import StorageError
from burnish.core.files import make_folder, write_atomic, write_json
from burnish.core.ids import run_id, run_name, run_token
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
        if config and run.rank == 0 and not run.paths.config.exists():
            _write_config(run.paths, config)
    else:
        run = Run(_make_run(name, config or {}), rank=_rank())
        try:
            if run.rank == 0:
                start_keeper(run.paths)
        except OSError as error:
            run._lost(error)  # nothing is lost that is logged: the next Burnish command completes the record
    _current = run
    _end_with_interpreter(run)
    run.report({"python": sys.version.split()[0], "executable": sys.executable})
    return run


def current_run() -> Run | None:
    """Return this process's run if it has begun one."""
    return _current


def log(values: Mapping[str, float], step: int | None = None) -> None:
    """Record scalars in this process's run, beginning one if needed. See `Run.log`."""
    (_current or start_run()).log(values, step)


def create_run_directory(runs: Path, parts: Sequence[str], now: float) -> RunPaths:
    """Make the directory of a new run; its name ends in an id that no other run of the folder has.

    Args:
        runs: The runs folder.
        parts: What the name says between date and id.
        now: Seconds since the epoch.

    Raises:
        StorageError: The folder cannot be written.
    """
    random = SystemRandom()
    try:
        taken = {run_id(path.name) for path in runs.iterdir()}
        while (token := run_token(random)) in taken:
            pass
        paths = RunPaths(runs / run_name(time.strftime("%Y%m%d", time.gmtime(now)), parts, token))
        paths.root.mkdir()
    except OSError as error:
        raise StorageError(
            f"cannot create a run directory in {runs}: {error.strerror}",
            hint="choose another folder: BURNISH_RUNS=/path/to/runs",
        ) from error
    for folder in (paths.journals, paths.checkpoints, paths.cursors):
        make_folder(folder)
    return paths


def write_first_record(paths: RunPaths, record: Mapping[str, object]) -> None:
    """Write the `run.json` by which a run begins to exist for others."""
    write_json(paths.state, {"format": 1, "id": paths.id, "name": paths.name, **record})


def _make_run(name: str, config: Mapping[str, object]) -> Path:
    project = find_project().make()
    masker = Masker.from_environment(os.environ)
    now = time.time()
    script = Path(sys.argv[0]).stem if sys.argv and sys.argv[0] not in ("", "-c", "-m") else "python"
    paths = create_run_directory(project.runs, [name or script], now)
    typed = [sys.executable, *sys.argv]
    record = {
        "state": "running",
        "created": now,
        "started": now,
        "experiment": name or script,
        "command": (shown := masker.command(typed)),
        "command_is_masked": shown != typed,
        "directory": str(Path.cwd()),
        "project": str(project.root),
        "attempts": [{"number": 1, "started": now, "process": ProcessIdentity.of(os.getpid()).to_json()}],
    }
    if config:
        _write_config(paths, config)
    write_first_record(paths, record)
    return paths.root


def _write_config(paths: RunPaths, config: Mapping[str, object]) -> None:
    """Keep what a script says of its config. JSON is YAML: no parser is loaded into the training process for it."""
    masker = Masker.from_environment(os.environ)
    write_atomic(paths.config, json.dumps(_masked(config, masker), indent=1) + "\n")


def _masked(value: object, masker: Masker) -> object:
    """Return a value in terms of JSON, without credentials."""
    if isinstance(value, Mapping):
        return {str(k): MASK if is_secret_name(str(k)) else _masked(v, masker) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(item, masker) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else masker.text(str(value))


def start_keeper(paths: RunPaths) -> None:
    """Start a keeper in a session of its own, as nobody's child: a script may wait for all of its children.

    It inherits no descriptor, or `script | cat` would hang. A shell starts it in the background and ends, which
    costs a millisecond; a fork of this process would copy the page tables of a whole training.

    Raises:
        OSError: No process could be started.
    """
    shell = ["sh", "-c", '"$@" &', "sh", sys.executable, "-m", "burnish.launch.keeper", str(paths.root)]
    null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
    os.waitpid(os.posix_spawn("/bin/sh", shell, dict(os.environ), file_actions=null, setsid=True), 0)


def _end_with_interpreter(run: Run) -> None:
    """Close the record when the interpreter ends, however it does."""
    report_exception, leave = sys.excepthook, sys.exit

    def note_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        run.finish_with(error)
        report_exception(kind, error, trace)

    def note_exit(status: str | int | None = None, /) -> NoReturn:
        exits.append(status)
        leave(status)

    def end() -> None:
        # A script that catches an exit and goes on to its end looks the same from here; that is rare.
        run.finish_with(SystemExit(exits[-1]) if exits else None)

    exits: list[str | int | None] = []
    # The interpreter hands an exception to its hook, but an exit to nobody: the only place to see its code is here.
    sys.excepthook, sys.exit = note_exception, note_exit
    atexit.register(end)


def _rank() -> int:
    for variable in ("RANK", "SLURM_PROCID"):
        if (value := os.environ.get(variable, "")).isdigit():
            return int(value)
    return 0
