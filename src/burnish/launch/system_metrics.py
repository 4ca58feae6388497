"""What a run uses of its machine, sampled by the process that watches it; training pays nothing for it.

Names begin with `system/`. Those of the run itself (`cpu_percent`, `rss_bytes`, `threads`, `processes`) are of the
training process and its children; `machine_…`, `disk_…` and `network_…` are of the whole machine, `gpu<n>/…` of
the GPUs that the run may see.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from burnish.journal import JournalWriter
from burnish.launch.gpus import Gpus
from burnish.launch.process_tree import usage_of

_log = logging.getLogger(__name__)
_JOIN_S = 2.0
_FIRST_S = 1.0
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_RETRY_AFTER_S = 60.0
# What an odd /proc (a container's, an older kernel's) makes of reading and parsing it.
_FAILURES = (OSError, ValueError, LookupError, RuntimeError, psutil.Error)


class Sensors:
    """Reads what there is to measure. Rates are over the time since the last reading; the first has none.

    A sensor that fails is told once at debug level and left alone for a minute: a disk that does not answer may later.

    Args:
        folder: The runs folder, whose disk is watched.
        clock: Seconds that never go back.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._pid: int | None = None
        self._gpus: Gpus | None = None
        self._counters: dict[str, tuple[float, float]] = {}
        self._silent_until: dict[str, float] = {}
        self._physical = _physical_interfaces()

    def watch(self, pid: int | None) -> None:
        """Measure the tree of this process from now on; None for no process."""
        if pid == self._pid:
            return
        self._pid = pid
        self._counters.pop("system/cpu_percent", None)
        if self._gpus is None and pid is not None:
            self._gpus = Gpus(_environ_of(pid).get(_VISIBLE, os.environ.get(_VISIBLE)))

    def read(self) -> dict[str, float]:
        """Return what can be measured, by name; NaN never."""
        values: dict[str, float] = {}
        for sensor in (self._tree, self._machine, self._disk_space, self._disk, self._network, self._gpu):
            name = sensor.__name__
            if self._clock() < self._silent_until.get(name, -math.inf):
                continue
            try:
                values.update(sensor())
            except _FAILURES as error:
                if name not in self._silent_until:
                    _log.debug("system metrics: %s is not measured: %s", name.strip("_"), error)
                self._silent_until[name] = self._clock() + _RETRY_AFTER_S
        return values

    def close(self) -> None:
        """Let go of the GPU driver."""
        if self._gpus is not None:
            self._gpus.close()

    def _tree(self) -> dict[str, float]:
        usage = usage_of(self._pid) if self._pid is not None else None
        if usage is None:
            return {}
        return {
            # Of one core: 4 busy threads make 400.
            **self._rate("system/cpu_percent", 100 * usage.cpu_s),
            "system/rss_bytes": float(usage.rss_bytes),
            "system/threads": float(usage.threads),
            "system/processes": float(usage.processes),
        }

    def _machine(self) -> dict[str, float]:
        memory = psutil.virtual_memory()
        times = psutil.cpu_times()
        busy = sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)
        return {
            **self._rate("system/machine_cpu_percent", 100 * busy / (psutil.cpu_count() or 1)),
            "system/machine_memory_used_bytes": float(memory.total - memory.available),
            "system/machine_memory_percent": float(memory.percent),
        }

    def _disk_space(self) -> dict[str, float]:
        return {"system/disk_free_bytes": float(psutil.disk_usage(str(self._folder)).free)}

    def _disk(self) -> dict[str, float]:
        counters = psutil.disk_io_counters()
        if counters is None:
            return {}
        return {
            **self._rate("system/disk_read_bytes_per_s", counters.read_bytes),
            **self._rate("system/disk_write_bytes_per_s", counters.write_bytes),
        }

    def _network(self) -> dict[str, float]:
        counters = psutil.net_io_counters(pernic=True)
        # A bridge and its interfaces count the same bytes twice; in a container all are virtual.
        chosen = [c for name, c in counters.items() if name in self._physical]
        chosen = chosen or [c for name, c in counters.items() if name != "lo"]
        return {
            **self._rate("system/network_rx_bytes_per_s", sum(c.bytes_recv for c in chosen)),
            **self._rate("system/network_tx_bytes_per_s", sum(c.bytes_sent for c in chosen)),
        }

    def _gpu(self) -> dict[str, float]:
        return self._gpus.read() if self._gpus is not None else {}

    def _rate(self, name: str, counter: float) -> dict[str, float]:
        """Return how much a counter has grown a second; nothing at its first reading."""
        now = self._clock()
        before = self._counters.get(name)
        self._counters[name] = (counter, now)
        if before is None or now <= before[1]:
            return {}
        return {name: max(0.0, counter - before[0]) / (now - before[1])}


class SystemSampler:
    """Writes what `Sensors` read into a journal, every so many seconds, in a thread of its own.

    Args:
        sensors: What is measured.
        writer: Where rows go.
        every_s: Seconds between two rows.
        step: Returns the last training step.
    """

    def __init__(self, sensors: Sensors, writer: JournalWriter, *, every_s: float, step: Callable[[], int]) -> None:
        self._sensors = sensors
        self._writer = writer
        self._every_s = every_s
        self._step = step
        self._pid: int | None = None
        self._has_failed = False
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name="burnish-system", daemon=True)

    def watch(self, pid: int | None) -> None:
        """Sample the tree of this process from now on; None while there is none, between two attempts."""
        self._pid = pid
        if pid is not None and not self._thread.is_alive() and not self._ending.is_set():
            self._thread.start()

    def close(self) -> None:
        """Stop; a sensor that hangs (a dead network disk) is left to its daemon thread."""
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join(_JOIN_S)

    def _work(self) -> None:
        self._sensors.watch(self._pid)
        self._sensors.read()  # what rates are measured from
        wait_s = min(self._every_s, _FIRST_S)  # a short run has a sample too
        while not self._ending.wait(wait_s):
            wait_s = self._every_s
            if (pid := self._pid) is None:
                continue
            self._sensors.watch(pid)
            self._write(self._sensors.read())
        self._sensors.close()

    def _write(self, values: Mapping[str, float]) -> None:
        if not values or self._ending.is_set():  # the journal of a run that has ended is closed
            return
        try:
            self._writer.row(tuple(values), tuple(values.values()), max(0, self._step()), time.time())
        except OSError as error:
            if not self._has_failed:
                _log.warning("system metrics cannot be written: %s", error)
            self._has_failed = True


def _environ_of(pid: int) -> dict[str, str]:
    """Return the environment that a process was started with; empty when it cannot be read."""
    try:
        raw = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return {}
    pairs = (part.partition("=") for part in raw.decode(errors="surrogateescape").split("\0"))
    return {name: value for name, _, value in pairs}


def _physical_interfaces() -> frozenset[str]:
    found: list[str] = []
    with suppress(OSError):
        found = [path.name for path in Path("/sys/class/net").iterdir() if (path / "device").exists()]
    return frozenset(found)
