"""There is no GPU where these run: a module in NVML's place answers as its binding does."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from burnish.core.hardware import HIDDEN, NO_DRIVER, read_machine

NOT_FOUND, NOT_LOADED, NOT_SUPPORTED, LOST = 12, 9, 3, 15


class NVMLError(Exception):
    def __init__(self, value):
        self.value = value

    def __str__(self):
        return f"error {self.value}"


class Nvml(ModuleType):
    """Answers for two boards; `fails` says which function raises what, `board` for which board only."""

    NVMLError = NVMLError
    NVML_ERROR_LIBRARY_NOT_FOUND = NOT_FOUND
    NVML_ERROR_DRIVER_NOT_LOADED = NOT_LOADED

    def __init__(self):
        super().__init__("pynvml")
        self.fails = {}
        self.board = None
        self.open = 0

    def __getattr__(self, name):
        answers = {
            "nvmlDeviceGetCount": 2,
            "nvmlSystemGetDriverVersion": b"580.95.05",
            "nvmlSystemGetCudaDriverVersion": 13000,
            "nvmlDeviceGetName": "NVIDIA H100 80GB HBM3",
            "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=80 << 30),
            "nvmlDeviceGetCudaComputeCapability": (9, 0),
            "nvmlDeviceGetEnforcedPowerLimit": 700_000,
            "nvmlDeviceGetMigMode": [0, 0],
        }

        def ask(*words):
            if name in self.fails and self.board in (None, *words):
                raise NVMLError(self.fails[name])
            self.open += {"nvmlInit": 1, "nvmlShutdown": -1}.get(name, 0)
            if name == "nvmlDeviceGetUUID":
                return f"GPU-{words[0]}"
            return words[0] if name == "nvmlDeviceGetHandleByIndex" else answers.get(name)

        return ask


@pytest.fixture
def nvml(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    module = Nvml()
    monkeypatch.setitem(sys.modules, "pynvml", module)
    yield module
    assert module.open == 0, "NVML was left open"


def test_every_gpu_is_described_as_the_driver_does(nvml):
    machine = read_machine()
    assert [gpu.uuid for gpu in machine.gpus] == ["GPU-0", "GPU-1"]
    assert machine.note == ""
    assert machine.gpus[1].to_json() == {
        "index": 1,
        "name": "NVIDIA H100 80GB HBM3",
        "uuid": "GPU-1",
        "memory_bytes": 80 << 30,
        "compute_capability": (9, 0),
        "driver": "580.95.05",
        "cuda": "13.0",
        "power_limit_w": 700.0,
        "mig": False,
    }


def test_what_a_gpu_does_not_tell_is_left_open(nvml):
    for name in ("nvmlDeviceGetMemoryInfo", "nvmlDeviceGetEnforcedPowerLimit", "nvmlDeviceGetMigMode"):
        nvml.fails[name] = NOT_SUPPORTED
    gpu = read_machine().gpus[0]
    assert (gpu.memory_bytes, gpu.power_limit_w, gpu.mig) == (0, None, None)


def test_driver_that_does_not_tell_its_cuda_is_no_error(nvml):
    nvml.fails["nvmlSystemGetCudaDriverVersion"] = NOT_SUPPORTED
    assert read_machine().gpus[0].cuda == ""


def test_gpu_that_fell_off_the_bus_hides_no_other(nvml):
    nvml.fails["nvmlDeviceGetName"], nvml.board = LOST, 0
    machine = read_machine()
    assert [gpu.index for gpu in machine.gpus] == [1]
    assert machine.note == "GPU 0: error 15"


@pytest.mark.skipif(Path("/proc/driver/nvidia/version").exists(), reason="this machine has a driver")
@pytest.mark.parametrize(("error", "note"), [(NOT_FOUND, NO_DRIVER), (NOT_LOADED, NO_DRIVER), (LOST, "NVML: error 15")])
def test_library_without_a_driver_is_a_machine_without_one(nvml, error, note):
    nvml.fails["nvmlInit"] = error
    assert read_machine().note == note


def test_driver_that_answers_nothing_is_told(nvml):
    nvml.fails["nvmlDeviceGetCount"] = LOST
    machine = read_machine()
    assert (machine.gpus, machine.note) == ((), "NVML: error 15")


def test_hidden_gpus_are_not_asked_for(nvml, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert read_machine().note == HIDDEN
