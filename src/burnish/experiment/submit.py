"""From a file or a command line to a finished run: resolve, prepare, supervise. What `burnish run` calls."""

from __future__ import annotations

import hashlib
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
from burnish.config.sources.yaml import parse_yaml
from burnish.core.errors import RunError
from burnish.core.files import read_json
from burnish.core.hardware import read_machine
from burnish.core.nearest import nearest
from burnish.core.paths import Project, RunPaths
from burnish.experiment.config import RunConfig
from burnish.experiment.registry import config_of
from burnish.journal.index import RunIndex, find_run
from burnish.launch import RetryPolicy, Supervisor
from burnish.launch.prepare import PreparedRun, RunPlan, prepare_run
from burnish.launch.recorder import Progress
from burnish.launch.retry import LIVE_STATES, Exit, State
from burnish.sinks import default_sinks, sink_factories

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
    file: Path, flags: Sequence[str], project: Project, environ: Mapping[str, str], *, above: Layer | None = None
) -> Resolved:
    """Resolve the config of an experiment file, run references included.

    Raises:
        ConfigError: Every mistake, at once.
    """
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
    file: Path, flags: Sequence[str], project: Project, environ: Mapping[str, str], *, one_step: bool = False
) -> PreparedRun:
    """Freeze an experiment's config for this machine and make its run directory.

    Args:
        file: The experiment file.
        flags: Words that set config values.
        project: Where runs are kept.
        environ: The environment.
        one_step: Set `training.max_steps` or `max_steps` to 1, to look at one step under a debugger.

    Raises:
        ConfigError: Every mistake in the config, at once.
        StorageError: The runs folder cannot be written.
    """
    machine = read_machine()
    resolved = resolve_experiment(file, flags, project, environ)
    if one_step:
        place = "training.max_steps" if "training.max_steps" in resolved.origins else "max_steps"
        above = Layer("--debug", nested(place, Scalar(1, Origin("flag", "--debug"), "1")))
        resolved = resolve_experiment(file, flags, project, environ, above=above)
    resolved = resolved.on_machine(machine)
    plan = RunPlan(
        experiment=str(resolved.values.get("name") or file.stem),
        name_parts=name_parts(file.stem, resolved.values),
        command=(sys.executable, *CHILD),
        policy=_policy(resolved.values),
        ship_to=_ship_to(resolved.values),
        needs_end_record=True,
        resolved=resolved,
        tags=_words(resolved.values.get("tags")),
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
    resolved = resolve_flags(RunConfig, flags, lookup=config_of)
    words = [word for word in command if not word.startswith("-")]
    script = next((Path(w).stem for w in words if w.endswith((".py", ".sh"))), Path(words[0]).stem if words else "run")
    name = str(resolved.values.get("name") or script)
    plan = RunPlan(
        experiment=name,
        name_parts=(name,),
        command=tuple(command),
        policy=_policy(resolved.values),
        ship_to=_ship_to(resolved.values),
        tags=_words(resolved.values.get("tags")),
    )
    return prepare_run(plan, project, environ=environ)


def supervise(
    paths: RunPaths,
    command: Sequence[str],
    on_progress: Callable[[Progress], None],
    environ: Mapping[str, str],
) -> RunResult:
    """Run a prepared run to its end.

    Raises:
        RunError: Another live process supervises it.
        UsageError: The command cannot be started.
    """
    record = read_json(paths.state)
    supervisor = Supervisor(
        paths,
        command,
        policy=_policy(record),
        sinks=sink_factories(_words(record.get("ship_to"))),
        directory=str(record.get("directory") or Path.cwd()),
        needs_end_record=bool(record.get("needs_end_record")),
        environ=environ,
        on_progress=on_progress,
    )
    state, ended = supervisor.run()
    return RunResult(paths, state, ended)


def command_to_resume(paths: RunPaths) -> list[str]:
    """Return the command line that goes on with a run that has ended before it was finished.

    Raises:
        RunError: The run is finished or still alive.
    """
    record = read_json(paths.state)
    state = record.get("state")
    if state == "finished" or state in LIVE_STATES:
        raise RunError(f"run {paths.name} is {state}: there is nothing to resume", hint=f"burnish show {paths.name}")
    return list(_words(record.get("command")))


def follow_reference(text: str, project: Project) -> RunReference:
    """Resolve `k7f2@best`, `k7f2@last`, `k7f2@110` or `sft@best` to a verified checkpoint.

    A word that is no run's id is taken as an experiment's name: of its finished runs the newest is meant.

    Raises:
        RunError: There is no such run.
        CheckpointError: It has no such checkpoint, or a damaged one.
    """
    selector, _, which = text.partition("@")
    paths = _select(selector, project)
    checkpoints = _section(_config_values(paths), "checkpoints")
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
            if record.get("experiment") == selector and record.get("state") == "finished":
                return RunPaths(project.runs / str(record["name"]))
        names = sorted({str(r.get("experiment")) for r in records})
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
    model, data, training = (_section(values, key) for key in ("model", "data", "training"))
    rate = training.get("learning_rate")
    return (
        str(values.get("name") or stem),
        str(model.get("name", "")),
        str(data.get("family") or data.get("name") or ""),
        f"lr{rate:g}" if isinstance(rate, float) else "",
    )


def _policy(values: Mapping[str, object]) -> RetryPolicy:
    retry = _section(values, "retry")
    attempts, backoff = retry.get("max_attempts", 3), retry.get("backoff_s", 1.0)
    assert isinstance(attempts, int)
    assert isinstance(backoff, int | float)
    return RetryPolicy(max_attempts=attempts, backoff_s=backoff)


def _ship_to(values: Mapping[str, Plain]) -> tuple[str, ...]:
    wanted = _section(values, "tracking").get("sinks")
    return tuple(map(str, wanted)) if isinstance(wanted, list) else tuple(default_sinks())


def _section(values: Mapping[str, object], key: str) -> dict[str, object]:
    value = values.get(key)
    return value if isinstance(value, dict) else {}


def _words(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _config_values(paths: RunPaths) -> dict[str, object]:
    if not paths.config.exists():
        return {}
    values = plain(parse_yaml(paths.config.read_bytes(), str(paths.config)))
    return dict(values) if isinstance(values, dict) else {}
