"""The GPUs of a run, read from the driver (NVML) while it trains; the library is imported only where it is used."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

_log = logging.getLogger(__name__)
_SHORTEST_UUID = len("GPU-") + 1


def visible_gpus(setting: str | None, uuids: Sequence[str]) -> list[int]:
    """Return the indices of the GPUs that a value of `CUDA_VISIBLE_DEVICES` leaves.

    As CUDA reads it (CUDA C++ programming guide, "CUDA environment variables"): indices or beginnings of UUIDs, up
    to the first that names no GPU.

    >>> visible_gpus("1,GPU-a", ["GPU-aa", "GPU-bb"]), visible_gpus("0,-1,1", ["GPU-aa", "GPU-bb"])
    ([1, 0], [0])

    Args:
        setting: The value; None where the variable is not set.
        uuids: Those of all GPUs, by index.
    """
    if setting is None:
        return list(range(len(uuids)))
    found: list[int] = []
    for word in setting.split(","):
        word = word.strip()
        if word.isdigit():
            matches = [int(word)] if int(word) < len(uuids) else []
        else:
            # A slice of a GPU, `MIG-…`, has no power or temperature of its own: it is not measured.
            is_long = len(word) >= _SHORTEST_UUID
            matches = [n for n, uuid in enumerate(uuids) if is_long and uuid.startswith(word)]
        if len(matches) != 1 or matches[0] in found:
            break
        found.append(matches[0])
    return found


class Gpus:
    """The GPUs that a run may see.

    Args:
        setting: What `CUDA_VISIBLE_DEVICES` is for the run; None where it is not set.
        nvml: The driver's binding, `pynvml` when left out.
    """

    def __init__(self, setting: str | None, *, nvml: Any = None) -> None:  # noqa: ANN401
        self._handles: dict[int, object] = {}
        self._silent: set[str] = set()
        if nvml is None:
            try:
                import pynvml
            except ImportError:
                return
            nvml = pynvml
        self._nvml: Final = nvml
        try:
            nvml.nvmlInit()
            handles = [nvml.nvmlDeviceGetHandleByIndex(n) for n in range(nvml.nvmlDeviceGetCount())]
            chosen = visible_gpus(setting, [str(nvml.nvmlDeviceGetUUID(handle)) for handle in handles])
            self._handles = {n: handles[n] for n in chosen}
        except nvml.NVMLError as error:
            _log.debug("no GPU is measured: %s", error)

    def read(self) -> dict[str, float]:
        """Return utilisation (%), memory (bytes), power (W), temperature (°C) and clock (MHz) of each GPU.

        A GPU is named by its index at the driver. What it cannot tell is left out.
        """
        values: dict[str, float] = {}
        for number, handle in self._handles.items():
            for name, read in self._sensors():
                key = f"system/gpu{number}/{name}"
                if key in self._silent:
                    continue
                try:
                    values[key] = read(handle)
                except self._nvml.NVMLError as error:
                    self._silent.add(key)
                    _log.debug("%s is not measured: %s", key, error)
        return values

    def _sensors(self) -> list[tuple[str, Callable[[object], float]]]:
        nvml = self._nvml
        return [
            ("utilization", lambda gpu: float(nvml.nvmlDeviceGetUtilizationRates(gpu).gpu)),
            ("memory_used_bytes", lambda gpu: float(nvml.nvmlDeviceGetMemoryInfo(gpu).used)),
            ("power_w", lambda gpu: nvml.nvmlDeviceGetPowerUsage(gpu) / 1000),
            ("temperature_c", lambda gpu: float(nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU))),
            ("sm_clock_mhz", lambda gpu: float(nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM))),
        ]

    def close(self) -> None:
        """Let go of the driver."""
        if self._handles:
            self._handles = {}
            try:
                self._nvml.nvmlShutdown()
            except self._nvml.NVMLError as error:
                _log.debug("the GPU driver was not let go: %s", error)
