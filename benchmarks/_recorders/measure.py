"""What calls cost the thread that logs: in a row, and step by step while a checkpoint is written."""

from __future__ import annotations

import os
import threading
import time
from array import array
from collections.abc import Callable
from pathlib import Path

from benchmarks._recorders.base import Recorder, row_of
from benchmarks._recorders.services import forget_peak, processes, resident_bytes

BLOCK = 500
WARM_UP = 200
STEP_S = 0.001
CHECKPOINT_BYTES = 500_000_000
PIECE_BYTES = 8_000_000
LEAST_ROWS = 1000


def measure(kind: type[Recorder], folder: Path, steps: int) -> dict[str, object]:
    """Log rows; return how long each call took, beside as many calls of the floor, and what memory grew by."""
    rows = [row_of(step) for step in range(steps)]
    floor = _floor(folder)
    calls, writes = array("q"), array("q")
    cpu_s = floor_cpu_s = 0.0
    forget_peak()
    before = resident_bytes(os.getpid(), "VmRSS")
    recorder = kind(folder)
    for start in range(0, steps, BLOCK):
        block = range(start, min(start + BLOCK, steps))
        begun = time.process_time()
        _time(lambda step: floor(), block, writes)
        half = time.process_time()
        _time(lambda step: recorder.log(rows[step], step), block, calls)
        floor_cpu_s += half - begun
        cpu_s += time.process_time() - half
    own = resident_bytes(os.getpid(), "VmHWM") - before
    busy, busy_floor = _during_checkpoints(recorder, floor, folder, steps)
    services = sum(resident_bytes(pid, "VmHWM") for pid in processes(folder) if pid != os.getpid())
    recorder.close()
    skipped = min(WARM_UP, steps // 2)
    return {
        "log": {"times_ns": calls[skipped:].tolist(), "busy_ns": busy.tolist(), "cpu_s": cpu_s},
        "floor": {"times_ns": writes[skipped:].tolist(), "busy_ns": busy_floor.tolist(), "cpu_s": floor_cpu_s},
        "rows": steps + len(busy),
        "own_bytes": own,
        "service_bytes": services,
    }


def _time(call: Callable[[int], object], steps: range, times: array[int]) -> None:
    clock = time.perf_counter_ns
    for step in steps:
        before = clock()
        call(step)
        times.append(clock() - before)


def _during_checkpoints(
    recorder: Recorder, floor: Callable[[], object], folder: Path, first: int
) -> tuple[array[int], array[int]]:
    """Log a row each millisecond while another thread writes checkpoints, one after the other until there are enough.

    The thread that logs sleeps between two rows, as one does that waits for its device.
    """
    calls, writes = array("q"), array("q")
    enough, step = first + LEAST_ROWS, first
    while step < enough:
        writer = threading.Thread(target=_write_checkpoint, args=(folder / "checkpoint",))
        writer.start()
        while writer.is_alive():
            row = row_of(step)
            _time(lambda _: floor(), range(1), writes)
            _time(lambda step: recorder.log(row, step), range(step, step + 1), calls)  # noqa: B023  called at once
            step += 1
            time.sleep(STEP_S)
        writer.join()
    return calls, writes


def _write_checkpoint(path: Path) -> None:
    piece = os.urandom(PIECE_BYTES)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    left = CHECKPOINT_BYTES
    while left:
        left -= os.write(descriptor, piece[:left])
    os.fsync(descriptor)
    os.close(descriptor)
    path.unlink()


def _floor(folder: Path) -> Callable[[], object]:
    """Return one `os.write` of a frame as long as a row's in a journal."""
    from burnish.journal.entry import PACKED_ROW, row_struct
    from burnish.journal.frame import frame

    values = row_of(0).values()
    raw = frame(row_struct(len(values)).pack(PACKED_ROW, 1000, 1000, time.time(), 0, *values), 0)
    descriptor = os.open(folder / "floor", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    return lambda: os.write(descriptor, raw)
