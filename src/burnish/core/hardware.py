"""What this machine can compute on, read from the driver (NVML) and the system, never through torch."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

NO_DRIVER = "no NVIDIA driver"
HIDDEN = "CUDA_VISIBLE_DEVICES hides all GPUs"

_Answer = TypeVar("_Answer", int, bool)


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU as the driver describes it; memory in bytes, power in watts.

    Attributes:
        driver: Version of the driver.
        cuda: The newest CUDA that the driver can run, such as `12.8`; empty when it does not say.
        power_limit_w: What it may draw as it is set now; None when it does not say.
        mig: Whether it is split into instances (MIG); None where it cannot be.
    """

    index: int
    name: str
    uuid: str
    memory_bytes: int
    compute_capability: tuple[int, int]
    driver: str
    cuda: str = ""
    power_limit_w: float | None = None
    mig: bool | None = None

    def to_json(self) -> dict[str, object]:
        """Return the GPU as a JSON object."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Machine:
    """The hardware that a run may use.

    Attributes:
        gpus: The GPUs of the box, empty when there is none or no driver binding.
        cpus: CPUs that this process may run on.
        note: Why `gpus` is empty, or lacks some.
    """

    gpus: tuple[Gpu, ...]
    cpus: int
    note: str = ""

    @property
    def device(self) -> str:
        """`cuda` or `cpu`."""
        return "cuda" if self.gpus else "cpu"

    @property
    def has_bf16(self) -> bool:
        """Whether every GPU computes in bfloat16 (compute capability 8.0, Ampere, and later)."""
        return bool(self.gpus) and all(gpu.compute_capability >= (8, 0) for gpu in self.gpus)

    @property
    def summary(self) -> str:
        """One line for people."""
        if not self.gpus:
            return f"{self.cpus} CPUs, no GPU ({self.note})"
        return f"{len(self.gpus)} × {self.gpus[0].name}"


def read_machine() -> Machine:
    """Ask the driver for the GPUs and the system for the CPUs. Never raises."""
    cpus = len(os.sched_getaffinity(0))
    if os.environ.get("CUDA_VISIBLE_DEVICES", "unset").strip() in ("", "-1"):
        return Machine((), cpus, HIDDEN)
    driver = Path("/proc/driver/nvidia/version").exists()
    try:
        import pynvml
    except ImportError:
        return Machine((), cpus, "a driver is loaded: pip install nvidia-ml-py" if driver else NO_DRIVER)
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        absent = not driver and error.value in (
            pynvml.NVML_ERROR_LIBRARY_NOT_FOUND,
            pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
        )
        return Machine((), cpus, NO_DRIVER if absent else f"NVML: {error}")
    try:
        return _read_gpus(cpus)
    finally:
        pynvml.nvmlShutdown()


def _read_gpus(cpus: int) -> Machine:
    """Describe every GPU that answers; one that fell off the bus hides no other."""
    import pynvml as nvml

    gpus: list[Gpu] = []
    notes: list[str] = []
    try:
        count = nvml.nvmlDeviceGetCount()
        driver, cuda = _text(nvml.nvmlSystemGetDriverVersion()), _cuda_version()
    except nvml.NVMLError as error:
        return Machine((), cpus, f"NVML: {error}")
    for index in range(count):
        try:
            gpus.append(_gpu(index, driver, cuda))
        except nvml.NVMLError as error:
            notes.append(f"GPU {index}: {error}")
    return Machine(tuple(gpus), cpus, "; ".join(notes))


def _gpu(index: int, driver: str, cuda: str) -> Gpu:
    import pynvml as nvml

    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    memory = _asked(lambda: int(nvml.nvmlDeviceGetMemoryInfo(handle).total))
    limit_mw = _asked(lambda: int(nvml.nvmlDeviceGetEnforcedPowerLimit(handle)))
    mig = _asked(lambda: bool(nvml.nvmlDeviceGetMigMode(handle)[0]))
    return Gpu(
        index=index,
        name=_text(nvml.nvmlDeviceGetName(handle)),
        uuid=_text(nvml.nvmlDeviceGetUUID(handle)),
        memory_bytes=memory or 0,  # boards that share the host's memory do not tell
        compute_capability=tuple(nvml.nvmlDeviceGetCudaComputeCapability(handle)),
        driver=driver,
        cuda=cuda,
        power_limit_w=None if limit_mw is None else limit_mw / 1000,
        mig=mig,
    )


def _asked(question: Callable[[], _Answer]) -> _Answer | None:
    """Return an answer that not every GPU gives."""
    import pynvml

    try:
        return question()
    except pynvml.NVMLError:
        return None


def _cuda_version() -> str:
    import pynvml

    number = _asked(lambda: int(pynvml.nvmlSystemGetCudaDriverVersion()))
    return f"{number // 1000}.{number % 1000 // 10}" if number else ""


def _text(value: object) -> str:
    """Return what NVML says as text; its binding of before 11.5 gave bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
