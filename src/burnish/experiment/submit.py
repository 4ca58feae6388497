"""From a file or a command line to a finished run: resolve, prepare, supervise. What `burnish run` calls."""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from burnish.checkpoint import CheckpointStore, Direction, Retention
from burnish.checkpoint.manifest import NAME as MANIFEST
from burnish.config import Resolved, resolve, resolve_flags
from burnish.config.interpolate import RunReference
from burnish.config.layer import Layer, Plain, Scalar, nested, plain
from burnish.config.origin import Origin
from burnish.config.snapshot import layer_of_run
from burnish.config.sources.yaml import parse_yaml
from burnish.core.errors import RunError
from burnish.core.files import FileLock
from burnish.core.hardware import read_machine
from burnish.core.nearest import nearest
from burnish.core.paths import Project, RunPaths
from burnish.core.shape import section, words
from burnish.experiment.config import SECRETS_VARIABLE, RunConfig
from burnish.experiment.registry import config_of
from burnish.journal.index import RunIndex, find_run
from burnish.journal.record import LIVE, read_record
from burnish.launch import Progress, RetryPolicy, Supervisor
from burnish.launch.adopt import sinks_of
from burnish.launch.notice import Notice
from burnish.launch.prepare import PreparedRun, RunPlan, prepare_run
from burnish.launch.retry import Exit, State
from burnish.track.artifacts import find_verified, split_reference
from burnish.track.shipping import Options, read_sinks

CHILD = ("-m", "burnish.experiment.child")


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended."""

    paths: RunPaths
    state: State
    ended: Exit

    @property
    def exit_code(self) -> int:
        """What the command line exits with: the child's own code, or 1 where that hides a failure."""
        return self.ended.shell_code or (0 if self.state == "finished" else 1)


def resolve_experiment(
    source: Path | RunPaths,
    flags: Sequence[str],
    project: Project,
    environ: Mapping[str, str],
    *,
    above: Sequence[Layer] = (),
) -> Resolved:
    """Resolve the config of an experiment file, or of a run to be run again; run references included.

    Raises:
        ConfigError: Every mistake, at once.
        RunError: The run to be run again ran a command.
    """
    if isinstance(source, RunPaths) and (command := _plain_command(source)):
        hint = f"run it again: burnish run -- {shlex.join(command)}"
        raise RunError(f"run {source.id} ran a command, not an experiment file", hint=hint)
    file = layer_of_run(source, flags) if isinstance(source, RunPaths) else source
    return resolve(
        file,
        lookup=config_of,
        project=project,
        flags=flags,
        environ=environ,
        find_run=lambda text: follow_reference(text, project),
        above=above,
    )


def prepare_experiment(
    source: Path | RunPaths,
    flags: Sequence[str],
    project: Project,
    environ: Mapping[str, str],
    *,
    one_step: bool = False,
    above: Sequence[Layer] = (),
    sweep: Mapping[str, object] | None = None,
    credentials: Sequence[str] = (),
) -> PreparedRun:
    """Freeze an experiment's config for this machine and make its run directory.

    Args:
        source: The experiment file, or a run whose config is run again.
        flags: Words that set config values.
        project: Where runs are kept.
        environ: The environment.
        one_step: Set `training.max_steps` or `max_steps` to 1, to look at one step under a debugger.
        above: Layers over all others, such as a sweep's.
        sweep: What the record says of the sweep that the run is part of.
        credentials: What else its command line holds that is to be masked, such as those of its sweep's other runs.

    Raises:
        ConfigError: Every mistake in the config, at once.
        StorageError: The runs folder cannot be written.
    """
    machine = read_machine()
    resolved = resolve_experiment(source, flags, project, environ, above=above)
    place = next((name for name in ("training.max_steps", "max_steps") if name in resolved.origins), "")
    if one_step and place:
        one = Layer("--debug", nested(place, Scalar(1, Origin("flag", "--debug"), "1")))
        resolved = resolve_experiment(source, flags, project, environ, above=[*above, one])
    resolved = resolved.on_machine(machine, environ)
    stem = source.stem if isinstance(source, Path) else str(read_record(source).get("experiment") or "run")
    plan = RunPlan(
        experiment=str(resolved.values.get("name") or stem),
        name_parts=name_parts(stem, resolved.values),
        command=(sys.executable, *CHILD),
        policy=_policy(resolved.values),
        ship_to=_ship_to(resolved.values),
        needs_end_record=True,
        resolved=resolved,
        tags=words(resolved.values, "tags"),
        debug=one_step,
        group=str(resolved.values.get("group") or ""),
        sweep=sweep or {},
        credentials=tuple(credentials),
        replays=source.name if isinstance(source, RunPaths) else "",
        tracking=_stated(resolved, "tracking"),
    )
    return prepare_run(plan, project, environ=environ, machine=machine)


def prepare_command(
    command: Sequence[str], flags: Sequence[str], project: Project, environ: Mapping[str, str]
) -> PreparedRun:
    """Make the run directory of any command.

    Raises:
        ConfigError: A flag is not known.
        StorageError: The runs folder cannot be written.
    """
    resolved = resolve_flags(RunConfig, flags, lookup=config_of, environ=environ, prefix=project.env_prefix)
    named = [word for word in command if not word.startswith("-")]
    script = next((Path(w).stem for w in named if w.endswith((".py", ".sh"))), Path(named[0]).stem if named else "run")
    name = str(resolved.values.get("name") or script)
    plan = RunPlan(
        experiment=name,
        name_parts=(name,),
        command=tuple(command),
        policy=_policy(resolved.values),
        ship_to=_ship_to(resolved.values),
        tags=words(resolved.values, "tags"),
        group=str(resolved.values.get("group") or ""),
        tracking=_stated(resolved, "tracking"),
    )
    return prepare_run(plan, project, environ=environ)


def prepare_resume(selector: str, project: Project) -> PreparedRun:
    """Get ready to go on with a run that has ended before it was finished.

    Raises:
        RunError: There is no such run, it is finished or alive, or what it needs was a credential.
    """
    paths = find_run(project.runs, selector)
    lock = FileLock.try_acquire(paths.lock)
    record = read_record(paths)
    state = record.get("state")
    if lock is None or state == "finished" or state in LIVE:
        if lock is not None:
            lock.release()
        raise RunError(f"run {paths.name} is {state}: there is nothing to resume", hint=f"burnish show {paths.name}")
    if record.get("imported"):
        lock.release()
        raise RunError(f"run {paths.name} was imported: Burnish knows no command that goes on with it")
    if record.get("command_is_masked"):
        lock.release()
        raise RunError(
            f"the command of run {paths.name} held a credential, which was not kept",
            hint="give credentials by environment, and start it anew: burnish run -- COMMAND",
        )
    return PreparedRun(paths, words(record, "command"), lock)


def supervise(
    prepared: PreparedRun,
    on_progress: Callable[[Progress], None],
    environ: Mapping[str, str],
    *,
    on_alert: Callable[[Notice], None] | None = None,
) -> RunResult:
    """Run a prepared run to its end.

    Raises:
        UsageError: The command cannot be started.
    """
    record = read_record(prepared.paths)
    supervisor = Supervisor(
        prepared.paths,
        prepared.command,
        policy=_policy(record),
        sinks=sinks_of(prepared.paths),
        directory=str(record.get("directory") or Path.cwd()),
        needs_end_record=bool(record.get("needs_end_record")),
        environ={**environ, **secret_variables(prepared)},
        on_progress=on_progress,
        on_alert=on_alert,
    )
    state, ended = supervisor.run(prepared.lock)
    return RunResult(prepared.paths, state, ended)


def secret_variables(prepared: PreparedRun) -> dict[str, str]:
    """Return the variable that carries masked config values to the training process; nothing where none is."""
    return {SECRETS_VARIABLE: json.dumps(prepared.secrets)} if prepared.secrets else {}


def follow_reference(text: str, project: Project) -> RunReference:
    """Resolve `k7f2@best`, `k7f2@last`, `k7f2@110` or `sft@best` to a verified checkpoint, `k7f2/name` to an artifact.

    A word that is no run's id is taken as an experiment's name: of its finished runs the newest is meant.

    Raises:
        RunError: There is no such run or artifact, or the artifact has changed.
        CheckpointError: It has no such checkpoint, or a damaged one.
    """
    split = split_reference(project.runs, text)
    first, slash, rest = text.partition("/")
    if split is None and slash and first and rest and "@" not in text:
        split = _select(first, project), rest
    if split is not None:
        artifact, path = find_verified(*split)
        return RunReference(str(path), split[0].name, manifest_sha256=artifact.sha256, artifact=artifact.name)
    selector, _, which = text.partition("@")
    paths = _select(selector, project)
    checkpoints = section(_config_values(paths), "checkpoints")
    direction: Direction = "min" if checkpoints.get("direction") == "min" else "max"
    retention = Retention(1, str(checkpoints.get("metric", "")), direction)
    folder, manifest = CheckpointStore(paths.checkpoints).find(which or "best", retention)
    digest = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    return RunReference(str(folder), paths.name, manifest.step, digest)


def _select(selector: str, project: Project) -> RunPaths:
    try:
        return find_run(project.runs, selector)
    except RunError:
        records = RunIndex(project.runs).records()
        for record in records:
            is_match = record.get("experiment") == selector and record.get("state") == "finished"
            if is_match and not record.get("debug"):
                return RunPaths(project.runs / str(record["name"]))
        names = {str(record.get("experiment")) for record in records} - {selector}
        best = nearest(selector, names)
        raise RunError(
            f"no run and no finished experiment is called {selector!r} in {project.runs}",
            hint=f"did you mean {best}?" if best else f"run it first: burnish run experiments/{selector}.yaml",
        ) from None


def name_parts(stem: str, values: Mapping[str, Plain]) -> tuple[str, ...]:
    """Return what a run's name says: experiment, model, dataset, learning rate.

    >>> name_parts("sft", {"model": {"name": "tiny-llama"}, "training": {"learning_rate": 3e-05}})
    ('sft', 'tiny-llama', '', 'lr3e-05')
    """
    model, data, training = (section(values, key) for key in ("model", "data", "training"))
    rate = training.get("learning_rate")
    return (
        str(values.get("name") or stem),
        str(model.get("name", "")),
        str(data.get("family") or data.get("name") or ""),
        f"lr{rate:g}" if isinstance(rate, float) else "",
    )


def _policy(values: Mapping[str, object]) -> RetryPolicy:
    retry = section(values, "retry")
    attempts, backoff = retry.get("max_attempts", 3), retry.get("backoff_s", 1.0)
    assert isinstance(attempts, int)
    assert isinstance(backoff, int | float)
    return RetryPolicy(max_attempts=attempts, backoff_s=backoff)


def _stated(resolved: Resolved, name: str) -> dict[str, object]:
    """Return the parts of a section that somebody wrote: a script may say what it wants of the others."""
    prefix = f"{name}."
    origins = resolved.origins.items()
    written = {path.split(".")[1] for path, origin in origins if path.startswith(prefix) and origin.kind != "default"}
    return {key: value for key, value in section(resolved.redacted, name).items() if key in written}


def _ship_to(values: Mapping[str, Plain]) -> dict[str, Options]:
    return read_sinks(section(values, "tracking").get("sinks"))


def _plain_command(paths: RunPaths) -> tuple[str, ...]:
    """Return the command of a run that was none of an experiment; empty where it was one, or nobody knows."""
    command = words(read_record(paths), "command")
    return () if command[1 : 1 + len(CHILD)] == CHILD else command


def _config_values(paths: RunPaths) -> dict[str, object]:
    if not paths.config.exists():
        return {}
    values = plain(parse_yaml(paths.config.read_bytes(), str(paths.config)))
    return dict(values) if isinstance(values, dict) else {}
