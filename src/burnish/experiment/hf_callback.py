"""Bridges into Hugging Face's Trainer: its logs into the journal, its checkpoints sealed, a graceful stop.

In a script of one's own, three lines are enough:

    from burnish.experiment.hf_callback import JournalCallback, newest_checkpoint
    trainer = Trainer(…, callbacks=[JournalCallback()])
    trainer.train(resume_from_checkpoint=newest_checkpoint())
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from burnish.checkpoint import CheckpointStore, Retention, read_manifest, seal, verify
from burnish.core.errors import CheckpointError
from burnish.experiment.graceful import GracefulStop
from burnish.journal import Kind, Record
from burnish.journal.reader import RunReader
from burnish.track.run import Run
from burnish.track.start import start_run

_log = logging.getLogger(__name__)
_NOT_METRICS = ("epoch", "total_flos")
_TOKENS = "train/num_tokens"


class JournalCallback(TrainerCallback):  # type: ignore[misc]
    """Logs what a Trainer logs, seals what it saves, and stops it gracefully when asked to.

    Args:
        run: Where to log; this process's own run when left out.
        retention: Which checkpoints to keep; None leaves that to the Trainer's own arguments.
        evaluate: Held-out evaluation: returns metrics under their full names.
        evaluate_every: Steps between evaluations; they also happen before and after training.
    """

    def __init__(
        self,
        run: Run | None = None,
        *,
        retention: Retention | None = None,
        evaluate: Callable[[], dict[str, float]] | None = None,
        evaluate_every: int = 0,
    ) -> None:
        self.run = run or start_run()
        self.stop = GracefulStop()
        self._retention = retention
        self._evaluate = evaluate
        self._every = evaluate_every
        self._scores: tuple[int, dict[str, float]] = (-1, {})
        self._tokens_before = 0.0
        self._tokens = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Say how many steps there will be and from where training resumes; evaluate before the first."""
        self.stop.listen()
        self.run.expect(state.max_steps)
        if state.global_step > 0:
            self.run.resume(state.global_step)
            manifest = read_manifest(Path(args.output_dir) / f"checkpoint-{state.global_step}")
            self._tokens_before = manifest.metrics.get(_TOKENS, 0.0) if manifest else 0.0
        elif self._evaluate is not None:
            self._score(0)
        if args.logging_nan_inf_filter:
            _log.warning("logging_nan_inf_filter is on: transformers hides NaN losses from the log")

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **rest: Any) -> None:
        """Log the Trainer's numbers: its own under `train/`, those of its evaluation under `eval/`."""
        numbers = {_name(k): v for k, v in (logs or {}).items() if k not in _NOT_METRICS and _is_number(v)}
        if _TOKENS in numbers:  # TRL counts from 0 again after a resume
            numbers[_TOKENS] = self._tokens = numbers[_TOKENS] + self._tokens_before
        if numbers:
            self.run.log(numbers, state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> Any:
        """Evaluate when it is time; save and stop when asked to."""
        is_last = state.global_step >= state.max_steps
        if self._evaluate is not None and (is_last or (self._every and state.global_step % self._every == 0)):
            self._score(state.global_step)
        if self.stop.requested or (is_last and self._retention is not None):
            control.should_save = True
        if self.stop.requested:
            control.should_training_stop = True
        return control

    def on_save(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Vouch for the checkpoint that was just written: a folder without a manifest is never resumed from."""
        if not state.is_world_process_zero:
            return
        step = state.global_step
        folder = Path(args.output_dir) / f"checkpoint-{step}"
        at, scores = self._scores
        metrics = {**(scores if at == step else {}), **({_TOKENS: self._tokens} if self._tokens else {})}
        seal(folder, step, metrics)
        self.run.log_checkpoint(folder, step, metrics)
        if self._retention is not None:
            CheckpointStore(Path(args.output_dir)).prune(self._retention)

    def on_train_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Leave with "resume me" when training was stopped before its end."""
        if self.stop.requested and state.global_step < state.max_steps:
            self.stop.leave(self.run)

    def _score(self, step: int) -> None:
        assert self._evaluate is not None
        self._scores = (step, self._evaluate())
        self.run.log(self._scores[1], step)


def newest_checkpoint(run: Run | None = None) -> str | None:
    """Return the newest checkpoint of this run that is whole, wherever the Trainer wrote it; None for none.

    It is named in the journal and verified against its manifest; one that is damaged is passed over, aloud.
    """
    run = run or start_run()
    found: dict[int, Path] = {}
    journals = RunReader(run.paths.journals)
    for _, entries in journals.read():
        for entry in entries:
            if isinstance(entry, Record) and entry.kind == Kind.CHECKPOINT and entry.step is not None:
                found[entry.step] = run.paths.root / entry.key
    journals.close()
    for _, folder in sorted(found.items(), reverse=True):
        try:
            verify(folder)
        except CheckpointError as error:
            if folder.exists():  # else deleted by the Trainer's own limit
                _log.warning("%s; falling back to an older one", error)
            continue
        return str(folder)
    return None


def _name(key: str) -> str:
    """Return our name for a Trainer's number; `train_loss`, the mean over all steps, must not pass for the loss."""
    for theirs, ours in (("eval_", "eval/"), ("train_", "trainer/")):
        if key.startswith(theirs):
            return ours + key.removeprefix(theirs)
    return f"train/{key}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
