"""`steps`: a training loop that resumes, for a script that has a loop of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from burnish.checkpoint import CheckpointStore, Retention
from burnish.experiment.graceful import GracefulStop
from burnish.track.run import Run
from burnish.track.start import start_run


class Stateful(Protocol):
    """What can be saved: a torch module, optimizer, scheduler, or anything with these two methods."""

    def state_dict(self) -> dict[str, object]:
        """Return what `load_state_dict` needs: tensors, numbers, text, and lists and dictionaries of them."""

    def load_state_dict(self, state_dict: dict[str, object], /) -> object:
        """Bring the object back to that state."""


def steps(
    total: int, *, every: int = 50, keep_last: int = 2, run: Run | None = None, **state: Stateful
) -> Iterator[int]:
    """Yield the steps still to do, saving and restoring what is named, and stop when asked to.

    After a kill, the next attempt goes on after the last saved step with the same weights, optimizer and random
    numbers. Steps count from 0. `python`, `numpy` and `torch` generators are saved along; where batches are
    drawn from them, or are a function of the step, a resumed run trains on the same batches.

    Args:
        total: How many steps there are.
        every: Save after so many steps, and after the last.
        keep_last: How many checkpoints to keep.
        run: The run to record in; this process's own when left out.
        **state: Objects with `state_dict` and `load_state_dict`: models, optimizers, schedulers.

    Yields:
        The number of each step.

    Raises:
        SystemExit: The process was asked to stop; code 75, by which the supervisor knows to resume it.
    """
    run = run or start_run()
    store = CheckpointStore(run.paths.checkpoints)
    if run.rank == 0:
        store.discard_incomplete()
    first = _resume(run, store, state)
    run.expect(total)
    stop = GracefulStop().listen()
    for step in range(first, total):
        yield step
        last = step + 1 == total or stop.requested
        # The ranks of data-parallel training hold the same state: one of them writes it.
        if state and run.rank == 0 and (last or (step + 1) % every == 0):
            _save(run, store, step, state)
            store.prune(Retention(keep_last))
        if stop.requested and step + 1 < total:
            stop.leave(run)


def _resume(run: Run, store: CheckpointStore, state: dict[str, Stateful]) -> int:
    newest = store.newest_good() if state else None
    if newest is None:
        return 0
    from burnish.experiment.torch_state import load_state

    folder, manifest = newest
    load_state(folder, state)
    run.resume(manifest.step)
    return manifest.step + 1


def _save(run: Run, store: CheckpointStore, step: int, state: dict[str, Stateful]) -> None:
    from burnish.experiment.torch_state import save_state

    def write(folder: Path) -> None:
        save_state(folder, state)

    store.publish(step, {}, write)
    run.log_checkpoint(store.folder(step), step, {})
