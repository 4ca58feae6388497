"""`trainer_state.json` of Hugging Face's Trainer: its log, and the scalars of its state as config.

It holds no times. The file's own time counts as the end, and `train_runtime`, where it is told, is spread over the
steps; without it all points have the time of the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from burnish.core.errors import RunError
from burnish.project.importers.beside import config_beside, name_of_folder, results_beside
from burnish.project.importers.found import Facts, Found, State
from burnish.project.importers.json_text import peek_json, read_json_file
from burnish.project.importers.log import Log
from burnish.project.importers.values import flat, number, whole

STATE_FILE: Final = "trainer_state.json"
_LOG: Final = "log_history"
_CHECKPOINT: Final = re.compile(r"checkpoint-(\d+)")
_STEPS: Final = ("step", "global_step", "current_steps")
_RUNTIME: Final = "train_runtime"
_NO_CONFIG: Final = frozenset({_LOG, "stateful_callbacks", "trial_params"})
_NAMES: Final = {"lr": "train/learning_rate"}


def look(files: Iterable[Path]) -> list[Path]:
    """Return the state file of each training among some files: a training's checkpoints each hold one."""
    homes: dict[Path, list[Path]] = {}
    for path in files:
        if path.name == STATE_FILE:
            homes.setdefault(_home(path), []).append(path)
    return [max(found, key=_progress) for _, found in sorted(homes.items())]


def holds_log(path: Path) -> bool:
    """Return whether a JSON file holds a Trainer's log."""
    found = peek_json(path)
    return isinstance(found, dict) and isinstance(found.get(_LOG), list)


def read(paths: Iterable[Path]) -> Iterator[Found]:
    """Yield the run of each state file."""
    for path in paths:
        home = _home(path)
        name = name_of_folder(home) if path.name == STATE_FILE else path.stem
        yield Found("hf", str(home / path.name), name, name, _State(path).read, size=max(1, path.stat().st_size))


def metric_name(key: str) -> str:
    """Return our name for a Trainer's number, the one that our callback gives it.

    >>> metric_name("loss"), metric_name("eval_loss"), metric_name("train_runtime"), metric_name("eval/acc")
    ('train/loss', 'eval/loss', 'trainer/runtime', 'eval/acc')
    """
    if key in _NAMES:
        return _NAMES[key]
    for theirs, ours in (("eval_", "eval/"), ("train_", "trainer/"), ("test_", "test/"), ("predict_", "predict/")):
        if key.startswith(theirs):
            return ours + key.removeprefix(theirs)
    return key if key.startswith(("eval/", "train/")) else f"train/{key}"


def _home(path: Path) -> Path:
    """Return the folder of the whole training, of which a checkpoint's folder is a part."""
    folder = path.absolute().parent
    return folder.parent if _CHECKPOINT.fullmatch(folder.name) else folder


def _progress(path: Path) -> tuple[int, bool]:
    """Return how far a state is; of two that are equally far, the one at the end of training counts."""
    in_checkpoint = _CHECKPOINT.fullmatch(path.absolute().parent.name)
    if in_checkpoint:
        return int(in_checkpoint[1]), False
    told = peek_json(path)
    step = whole(told.get("global_step")) if isinstance(told, dict) else None
    return step if step is not None else -1, True


@dataclass(frozen=True, slots=True)
class _State:
    path: Path

    def read(self, log: Log) -> Facts:
        told = read_json_file(self.path)
        history = told.get(_LOG) if isinstance(told, dict) else None
        if not isinstance(told, dict) or not isinstance(history, list):
            raise RunError(f"no {_LOG!r} in it", origin=str(self.path), hint="it is no log of a Trainer")
        entries = _numbered(history, log)
        ended = self.path.stat().st_mtime
        runtime = max((r for _, e in entries if (r := number(e.get(_RUNTIME))) is not None and r > 0), default=0.0)
        last = max((step for step, _ in entries), default=0)
        seen: set[str] = set()
        for step, entry in entries:
            at = ended - runtime * (1 - max(0, step) / last) if last > 0 else ended
            values = {metric_name(key): value for key, value in flat(entry, "/") if key not in _STEPS}
            seen.update(values)
            log.scalars(values, step, at)
        home = _home(self.path)
        results = {metric_name(key): value for key, value in results_beside(home).items()}
        log.scalars({key: value for key, value in results.items() if key not in seen}, last, ended)
        return self._facts(told, runtime, last, ended)

    def _facts(self, told: Mapping[object, object], runtime: float, last: int, ended: float) -> Facts:
        total = whole(told.get("max_steps")) or 0
        at = whole(told.get("global_step"))
        is_over = bool(runtime) or at is None or at >= total
        state: State = "finished" if is_over else "lost"
        reason = "finished" if is_over else f"the file ends at step {at:,} of {total:,}"
        config = {str(k): v for k, v in told.items() if k not in _NO_CONFIG and not isinstance(v, list | dict)}
        trial = told.get("trial_params")
        return Facts(
            state=state,
            reason=reason,
            started=ended - runtime,
            ended=ended,
            are_times_recorded=False,
            config={
                **({"trainer": config} if config else {}),
                **({"trial": trial} if isinstance(trial, dict) else {}),
                **config_beside((self.path.parent, _home(self.path))),
            },
            total_steps=max(0, total),
            warnings=(() if last else ("it has no steps",)) + _on_times(runtime),
        )


def _on_times(runtime: float) -> tuple[str, ...]:
    end = "times are estimated: the file's own is the end"
    return (f"{end}, and the run time is spread over the steps" if runtime else f"{end}, and of all points",)


def _numbered(history: list[object], log: Log) -> list[tuple[int, dict[str, object]]]:
    """Return the entries with their steps; one without belongs to the step before."""
    found: list[tuple[int, dict[str, object]]] = []
    step, is_told = 0, any(isinstance(entry, dict) and any(key in entry for key in _STEPS) for entry in history)
    for place, entry in enumerate(history):
        if not isinstance(entry, dict):
            log.left_out["entry that is no object"] += 1
            continue
        known = next((whole(entry[key]) for key in _STEPS if key in entry), None)
        if known is not None:
            step = known
        elif not is_told:
            step = place
        elif any(key in entry for key in _STEPS):
            log.left_out["row without a step"] += 1
            continue
        found.append((step, entry))
    return found
