"""What this machine can compute on, read from the driver (NVML) and the system, never through torch."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU as the driver describes it; memory in bytes."""

    index: int
    name: str
    uuid: str
    memory_bytes: int
    compute_capability: tuple[int, int]
    driver: str

    def to_json(self) -> dict[str, object]:
        """Return the GPU as a JSON object."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Machine:
    """The hardware that a run may use.

    Attributes:
        gpus: The GPUs of the box, empty when there is none or no driver binding.
        cpus: CPUs that this process may run on.
        note: Why `gpus` is empty.
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
        return Machine((), cpus, "CUDA_VISIBLE_DEVICES hides all GPUs")
    try:
        import pynvml
    except ImportError:
        driver = Path("/proc/driver/nvidia/version").exists()
        note = "a driver is loaded: pip install nvidia-ml-py" if driver else "no NVIDIA driver"
        return Machine((), cpus, note)
    try:
        pynvml.nvmlInit()
        try:
            return Machine(tuple(_gpu(i) for i in range(pynvml.nvmlDeviceGetCount())), cpus)
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError as error:
        return Machine((), cpus, f"NVML: {error}")


def _gpu(index: int) -> Gpu:
    import pynvml as nvml

    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    return Gpu(
        index=index,
        name=str(nvml.nvmlDeviceGetName(handle)),
        uuid=str(nvml.nvmlDeviceGetUUID(handle)),
        memory_bytes=int(nvml.nvmlDeviceGetMemoryInfo(handle).total),
        compute_capability=tuple(nvml.nvmlDeviceGetCudaComputeCapability(handle)),
        driver=str(nvml.nvmlSystemGetDriverVersion()),
    )
