"""Getting a `Run`: join the one that a supervisor prepared, or begin one that a keeper looks after."""

from __future__ import annotations

import json
import logging
import math
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, is_dataclass
from pathlib import Path
from random import SystemRandom
from threading import RLock

from burnish.core.environment import WEBHOOK_VARIABLE, checkpoint_root, experiment_name, wanted_run_id
from burnish.core.errors import RunError, StorageError
from burnish.core.files import FileLock, make_folder, read_json, write_atomic, write_json
from burnish.core.ids import run_id, run_name, run_token
from burnish.core.paths import Project, RunPaths, find_project
from burnish.core.processes import ProcessIdentity
from burnish.core.secrets import Masker
from burnish.core.shape import section, words
from burnish.journal.entry import Kind
from burnish.journal.record import OVER
from burnish.track.console import print_leniently
from burnish.track.ending import end_with_interpreter
from burnish.track.hand_over import start_keeper
from burnish.track.ranks import folder_of_leader, rank_of, tell_other_ranks
from burnish.track.run import Run
from burnish.track.section import checked_tracking
from burnish.track.tiers import read_tiers

RUN_DIR_VARIABLE = "BURNISH_RUN_DIR"
ATTEMPT_VARIABLE = "BURNISH_ATTEMPT"
JOINED_VARIABLE = "BURNISH_JOINED"

_MARK = "number:8f2c61d0:"

_log = logging.getLogger(__name__)
_current: Run | None = None
_turn = 0
"""How many runs this process has begun or joined: ranks of one launch count alike."""
_starting = RLock()


def _after_fork_in_child() -> None:
    global _starting
    _starting = RLock()  # another thread of the parent may have held it


os.register_at_fork(after_in_child=_after_fork_in_child)


def start_run(name: str = "", *, config: object = None, tracking: Mapping[str, object] | None = None) -> Run:
    """Return the run that this process belongs to, beginning one where there is none.

    Under `burnish run` it joins the supervised run. In a plain script it makes a run directory and starts a
    keeper: a process of its own that ships, watches and closes the record. A second call returns the same run
    until that one is finished. Processes that a script starts join its run, and so do the ranks of `torchrun`.

    Args:
        name: What to call the run, a part of its full name.
        config: Values worth keeping with it: a mapping, an `argparse.Namespace`, a dataclass, a pydantic model. Runs
            are found, shown and compared by them.
        tracking: What is recorded and told, as in the config's section `tracking`: `tiers`, `system_every_s`, `alerts`,
            `linger_s`, `sinks`. Under `burnish run` that section counts, and this where it says nothing.

    Raises:
        StorageError: The runs folder cannot be written.
        RunError: The id that `LLM_RUN_ID` wants belongs to another run.
        UsageError: Something in `tracking` is unknown or cannot be.
        TypeError: The config is none.
    """
    with _starting:  # the first calls of several threads begin one run
        return _start(name, config, tracking)


def _start(name: str, config: object, tracking: Mapping[str, object] | None) -> Run:
    global _current, _turn
    if _current is not None and not _current.has_ended:
        if config and not _current.paths.config.exists():
            _write_config(_current.paths, _plain_config(config))
        elif config:
            _log.warning("run %s goes on: the config of another start_run is not kept", _current.name)
        return _current
    tracking = checked_tracking(tracking or {})
    values = _plain_config(config)
    rank = rank_of(os.environ)
    folder = _folder_to_join() or folder_of_leader(rank, os.environ, _turn)
    _current = _join(Path(folder), rank, values, tracking) if folder else _begin(name, values, tracking)
    _turn += 1
    end_with_interpreter(current_run)
    _current.report({"python": sys.version.split()[0], "executable": sys.executable})
    _current.report_imports()
    return _current


def _folder_to_join() -> str:
    """Return the run directory that this process was told to join; empty where it is one that its parent has ended."""
    folder = os.environ.get(RUN_DIR_VARIABLE, "")
    is_inherited = os.environ.get(JOINED_VARIABLE, "").partition(":")[2] == folder
    if folder and is_inherited and read_json(RunPaths(Path(folder)).state).get("state") in OVER:
        del os.environ[RUN_DIR_VARIABLE]
        return ""
    return folder


def _begin(name: str, config: Mapping[str, object], tracking: Mapping[str, object]) -> Run:
    """Make a run, with a keeper that looks after it."""
    paths, lock = _make_run(name, config, tracking)
    run = Run(paths.root, rank=rank_of(os.environ), tiers=read_tiers(tracking))
    # What this process starts, and the other ranks of its job, belong to this run too.
    os.environ[RUN_DIR_VARIABLE] = str(paths.root)
    os.environ[JOINED_VARIABLE] = _joined(paths, 1)
    run.when_ended = lambda: _take_back(paths)
    _warn_of_deaf_alerts(tracking, os.environ)
    with lock:  # the keeper holds it from its first moment: no command may take the run for an orphan meanwhile
        try:
            tell_other_ranks(paths, os.environ, _turn)
            start_keeper(paths, lock, pid=os.getpid())
        except OSError as error:
            run._lost(error)  # nothing is lost that is logged: the next Burnish command completes the record
    return run


def _join(folder: Path, rank: int, config: Mapping[str, object], tracking: Mapping[str, object]) -> Run:
    """Return a run that another process has made."""
    paths = RunPaths(folder)
    print_leniently(paths.console)
    told = {**tracking, **{k: v for k, v in section(read_json(paths.state), "tracking").items() if v}}
    attempt = int(os.environ.get(ATTEMPT_VARIABLE, "1"))
    # What this process starts joins the same attempt, and is not its beginning: it replaces nothing of earlier ones.
    joined, before = _joined(paths, attempt), os.environ.get(JOINED_VARIABLE)
    os.environ[JOINED_VARIABLE] = joined
    run = Run(folder, attempt=attempt, rank=rank, tiers=read_tiers(told), continues=before == joined)
    if config and rank == 0 and not paths.config.exists():
        _write_config(paths, config)
    if tracking and rank == 0:
        run._record(Kind.LIFECYCLE, "tracking", tracking)  # what of it the watching process does
    return run


def _joined(paths: RunPaths, attempt: int) -> str:
    return f"{attempt}:{paths.root}"


def _take_back(paths: RunPaths) -> None:
    """Forget a run that is over: what this process starts from now on does not belong to it."""
    if os.environ.get(RUN_DIR_VARIABLE) == str(paths.root):
        del os.environ[RUN_DIR_VARIABLE]


def _plain_config(config: object) -> Mapping[str, object]:
    """Return a config as a mapping.

    Raises:
        TypeError: It is none.
    """
    if config is None or isinstance(config, Mapping):
        return config or {}
    dump = getattr(config, "model_dump", None)  # pydantic's models
    if callable(dump):
        dumped = dump()
        return dumped if isinstance(dumped, Mapping) else {}
    if is_dataclass(config) and not isinstance(config, type):
        return asdict(config)
    if isinstance(config, str | bytes | list | tuple | type) or not hasattr(config, "__dict__"):
        raise TypeError(f"a config must be a mapping, a namespace or a dataclass, not {type(config).__name__}")
    return vars(config)


def _warn_of_deaf_alerts(tracking: Mapping[str, object], environ: Mapping[str, str]) -> None:
    """Say of alerts that are wanted which nobody will hear: a keeper has no terminal, and may have no address."""
    alerts = section(tracking, "alerts")
    if not alerts.get("on"):
        return
    to = words(alerts, "to") or ("console",)
    if "console" in to:
        _log.warning("alerts to the console are shown by `burnish run -- …`; this script has none")
    if "webhook" in to and not environ.get(WEBHOOK_VARIABLE):
        _log.warning("alerts to the webhook want its address in %s, which is not set", WEBHOOK_VARIABLE)


def current_run() -> Run | None:
    """Return this process's run if it has begun one."""
    return _current


def log(values: Mapping[str, float], step: int | None = None, *, lazy: bool = False) -> None:
    """Record scalars in this process's run, beginning one if needed. See `Run.log`."""
    run = _current
    if run is None or run.has_ended:
        run = start_run()
    run.log(values, step, lazy=lazy)


def create_run_directory(project: Project, parts: Sequence[str], now: float, environ: Mapping[str, str]) -> RunPaths:
    """Make the directory of a new run; its name ends in an id that no other run of the folder has.

    Args:
        project: Where runs are kept.
        parts: What the name says between date and id.
        now: Seconds since the epoch.
        environ: `LLM_RUN_ID` names the id, `LLM_CHECKPOINT_DIR` a folder for the checkpoints of all runs.

    Raises:
        StorageError: The folder cannot be written.
        RunError: The id that is wanted belongs to another run.
        UsageError: The id that is wanted cannot be one.
    """
    runs, random = project.runs, SystemRandom()
    wanted = wanted_run_id(environ, project.env_prefix)
    elsewhere = checkpoint_root(environ, project.env_prefix)
    try:
        # Two processes that want the same id must not both find it free; random ids do not meet.
        with FileLock.acquire(runs / ".new.lock") if wanted else nullcontext():
            folders = [path for path in runs.iterdir() if path.is_dir() and not path.name.startswith(".")]
            taken = {run_id(path.name): path for path in folders}
            if wanted in taken:
                raise _is_taken(wanted, RunPaths(taken[wanted]), project.env_prefix)
            while (token := wanted or run_token(random)) in taken:
                pass
            paths = RunPaths(runs / run_name(time.strftime("%Y%m%d", time.gmtime(now)), parts, token))
            paths.root.mkdir()
        if elsewhere is not None:
            make_folder(elsewhere / paths.name, hint=f"it is {project.env_prefix}CHECKPOINT_DIR")
            paths.checkpoints.symlink_to(elsewhere / paths.name)
    except OSError as error:
        raise StorageError(
            f"cannot create a run directory in {runs}: {error.strerror}",
            hint="choose another folder: BURNISH_RUNS=/path/to/runs",
        ) from error
    for folder in (paths.journals, paths.checkpoints, paths.cursors):
        make_folder(folder)
    return paths


def _is_taken(wanted: str, paths: RunPaths, prefix: str) -> RunError:
    """Return why a run cannot have the id that it wants."""
    state = read_json(paths.state).get("state", "created")
    if state in OVER and state != "finished":
        hint = f"go on with it: burnish run --resume {wanted}; or set another {prefix}RUN_ID"
    else:
        hint = f"set another {prefix}RUN_ID, or unset it"
    return RunError(f"run {wanted} exists already and is {state}", origin=f"env {prefix}RUN_ID", hint=hint)


def write_first_record(paths: RunPaths, record: Mapping[str, object]) -> None:
    """Write the `run.json` by which a run begins to exist for others.

    Raises:
        StorageError: The disk is full.
    """
    try:
        write_json(paths.state, {"format": 1, "id": paths.id, "name": paths.name, **record})
    except OSError as error:
        raise StorageError(
            f"cannot write {paths.state}: {error.strerror}",
            hint="choose another folder: BURNISH_RUNS=/path/to/runs",
        ) from error


def _make_run(name: str, config: Mapping[str, object], tracking: Mapping[str, object]) -> tuple[RunPaths, FileLock]:
    project = find_project().make()
    masker = Masker.from_environment(os.environ)
    now = time.time()
    script = _script()
    wanted = experiment_name(os.environ, project.env_prefix)
    name = wanted or name
    paths = create_run_directory(project, [name or script], now, os.environ)
    typed = [sys.executable, *sys.argv]
    record = {
        "state": "running",
        "created": now,
        "started": now,
        "experiment": name or script,
        "group": wanted,
        "command": (shown := masker.command(typed)),
        "command_is_masked": shown != typed,
        "directory": str(Path.cwd()),
        "project": str(project.root),
        "tracking": masker.tree(tracking),
        **({"ship_to": masker.tree(tracking["sinks"])} if "sinks" in tracking else {}),
        "attempts": [{"number": 1, "started": now, "process": ProcessIdentity.of(os.getpid()).to_json()}],
    }
    if config:
        _write_config(paths, config)
    lock = FileLock.try_acquire(paths.lock)
    assert lock is not None, "nobody else can know of a directory that was made a moment ago"
    write_first_record(paths, record)
    return paths, lock


def _script() -> str:
    """Return what a plain run is called after: the script, or the notebook where Jupyter says which one it is."""
    program = sys.argv[0] if sys.argv else ""
    if Path(program).stem == "ipykernel_launcher":
        return Path(os.environ.get("JPY_SESSION_NAME") or "notebook").stem
    return Path(program).stem if program not in ("", "-c", "-m") else "python"


def _write_config(paths: RunPaths, config: Mapping[str, object]) -> None:
    """Keep what a script says of its config. JSON is YAML: no parser is loaded into the training process for it."""
    masker = Masker.from_environment(os.environ)
    text = json.dumps(_numbers(masker.tree(config)), indent=1)
    write_atomic(paths.config, re.sub(rf'"{_MARK}(\S+?)"', r"\1", text) + "\n")


def _numbers(value: object) -> object:
    """Return a tree in which what JSON has no word for is marked, to be written as YAML writes it."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"{_MARK}{'.nan' if math.isnan(value) else '.inf' if value > 0 else '-.inf'}"
    if isinstance(value, dict):
        return {key: _numbers(item) for key, item in value.items()}
    return [_numbers(item) for item in value] if isinstance(value, list) else value
