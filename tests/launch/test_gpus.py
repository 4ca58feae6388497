import pytest

from burnish.launch.gpus import Gpus, visible_gpus

UUIDS = ["GPU-8932f937-d72c", "GPU-46ee3d1a-0b1f", "GPU-46ffff00-0000"]


@pytest.mark.parametrize(
    ("setting", "found"),
    [
        (None, [0, 1, 2]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("2,0", [2, 0]),
        (" 1 , 2 ", [1, 2]),
        ("GPU-8932f937", [0]),
        ("GPU-46ee3d1a-0b1f,0", [1, 0]),
        ("GPU-46", []),  # two begin so
        ("GPU-", []),
        ("0,7,1", [0]),
        ("0,-1,1", [0]),
        ("0,0", [0]),
        ("MIG-8932f937-d72c", []),
    ],
)
def test_a_run_sees_the_gpus_that_its_environment_leaves(setting, found):
    assert visible_gpus(setting, UUIDS) == found


class Driver:
    """Stands for a driver with two GPUs, the second of which cannot tell its power: there is none in this machine."""

    NVML_TEMPERATURE_GPU, NVML_CLOCK_SM = 0, 1

    class NVMLError(Exception):
        pass

    def __init__(self, *, broken=False):
        self.broken = broken
        self.is_open = False
        self.asked_power = 0

    def nvmlInit(self):
        if self.broken:
            raise self.NVMLError("Driver Not Loaded")
        self.is_open = True

    def nvmlShutdown(self):
        self.is_open = False

    def nvmlDeviceGetCount(self):
        return 2

    def nvmlDeviceGetHandleByIndex(self, index):
        return index

    def nvmlDeviceGetUUID(self, handle):
        return UUIDS[handle]

    def nvmlDeviceGetUtilizationRates(self, handle):
        return type("Rates", (), {"gpu": 50 + handle})

    def nvmlDeviceGetMemoryInfo(self, handle):
        return type("Memory", (), {"used": 1 << 30})

    def nvmlDeviceGetPowerUsage(self, handle):
        self.asked_power += 1
        if handle == 1:
            raise self.NVMLError("Not Supported")
        return 250_500

    def nvmlDeviceGetTemperature(self, handle, sensor):
        return 61

    def nvmlDeviceGetClockInfo(self, handle, clock):
        return 1980


def test_each_gpu_is_named_by_its_index_at_the_driver():
    gpus = Gpus(UUIDS[1], nvml=Driver())
    assert gpus.read() == {
        "system/gpu1/utilization": 51.0,
        "system/gpu1/memory_used_bytes": float(1 << 30),
        "system/gpu1/temperature_c": 61.0,
        "system/gpu1/sm_clock_mhz": 1980.0,
    }


def test_a_sensor_that_fails_is_left_out_and_not_asked_again():
    driver = Driver()
    gpus = Gpus(None, nvml=driver)
    assert "system/gpu1/power_w" not in gpus.read()
    assert gpus.read()["system/gpu0/power_w"] == 250.5
    assert driver.asked_power == 3


def test_without_a_driver_there_are_no_gpus():
    gpus = Gpus(None, nvml=Driver(broken=True))
    assert gpus.read() == {}
    gpus.close()


def test_the_driver_is_let_go():
    driver = Driver()
    gpus = Gpus("0", nvml=driver)
    assert driver.is_open
    gpus.close()
    gpus.close()
    assert not driver.is_open
    assert gpus.read() == {}
