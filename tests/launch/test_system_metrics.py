import math
import subprocess
import sys

import pytest

from burnish.journal import JournalWriter, Row
from burnish.journal.reader import SYSTEM_RANK, JournalName, RunReader
from burnish.launch.system_metrics import Sensors, SystemSampler

BUSY = "print(flush=True)\nwhile True: pass"


@pytest.fixture
def busy():
    process = subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE, start_new_session=True)
    process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def system_rows(folder):
    reader = RunReader(folder)
    found = [
        (JournalName.parse(file.path).rank, entry)
        for file, entries in reader.read()
        for entry in entries
        if isinstance(entry, Row)
    ]
    reader.close()
    assert {rank for rank, _ in found} <= {SYSTEM_RANK}
    return [dict(zip(entry.keys, entry.values, strict=True), step=entry.step) for _, entry in found]


@pytest.fixture
def sampler(tmp_path):
    """Return a function that samples every so often into a journal in `tmp_path`."""

    def start(pid, *, every_s=0.05, step=3):
        made = SystemSampler(Sensors(tmp_path), writer, every_s=every_s, step=lambda: step)
        made.watch(pid)
        started.append(made)
        return made

    started = []
    writer = JournalWriter(tmp_path, SYSTEM_RANK, lambda: {"pid": 1})
    yield start
    for made in started:
        made.close()
    writer.close()


def test_everything_is_measured_and_is_a_finite_number(tmp_path, busy):
    sensors = Sensors(tmp_path)
    sensors.watch(busy.pid)
    sensors.read()
    values = sensors.read()
    assert all(math.isfinite(value) and value >= 0 for value in values.values())
    wanted = {"cpu_percent", "rss_bytes", "threads", "processes", "machine_cpu_percent", "machine_memory_used_bytes",
              "machine_memory_percent", "disk_free_bytes", "disk_read_bytes_per_s", "disk_write_bytes_per_s",
              "network_rx_bytes_per_s", "network_tx_bytes_per_s"}  # fmt: skip
    assert {name.removeprefix("system/") for name in values} >= wanted
    assert values["system/rss_bytes"] > 1 << 20
    assert values["system/processes"] == 1


def test_rates_are_over_the_time_since_the_last_reading(tmp_path, busy):
    now = [100.0]
    sensors = Sensors(tmp_path, clock=lambda: now[0])
    sensors.watch(busy.pid)
    assert "system/cpu_percent" not in sensors.read()
    now[0] += 1e9
    assert sensors.read()["system/cpu_percent"] < 1e-3
    assert "system/cpu_percent" not in sensors.read()  # no time has passed


def test_a_busy_process_takes_about_a_core(sampler, busy, tmp_path, eventually):
    sampler(busy.pid, every_s=0.3)
    eventually(lambda: system_rows(tmp_path), "a sample")
    values = system_rows(tmp_path)[0]
    assert 0 < values["system/cpu_percent"] < 130  # other tests may want the cores too
    assert values["system/machine_cpu_percent"] < 110
    assert values["step"] == 3


def test_before_the_first_step_samples_stand_at_step_0(sampler, busy, tmp_path, eventually):
    sampler(busy.pid, step=-1)
    eventually(lambda: system_rows(tmp_path), "a sample")
    assert system_rows(tmp_path)[0]["step"] == 0


def test_the_next_attempt_goes_on_in_the_same_file(sampler, busy, tmp_path, eventually):
    made = sampler(busy.pid, every_s=0.02)
    eventually(lambda: system_rows(tmp_path), "a sample")
    made.watch(None)
    other = subprocess.Popen(["sleep", "300"], start_new_session=True)
    made.watch(other.pid)
    is_small = "one of the next attempt, which uses less memory"
    eventually(lambda: 0 < system_rows(tmp_path)[-1].get("system/rss_bytes", 0) < 4 << 20, is_small)
    other.kill()
    other.wait()
    assert len(list(tmp_path.glob("system-*.journal"))) == 1


def test_nothing_is_sampled_after_it_was_closed(sampler, busy, tmp_path, eventually):
    made = sampler(busy.pid, every_s=0.02)
    eventually(lambda: system_rows(tmp_path), "a sample")
    made.close()
    made.watch(busy.pid)
    assert not made._thread.is_alive()


def test_a_sensor_that_fails_is_left_out_and_the_others_go_on(tmp_path, busy, caplog):
    caplog.set_level("DEBUG", "burnish.launch.system_metrics")
    sensors = Sensors(tmp_path / "gone")
    sensors.watch(busy.pid)
    first, second = sensors.read(), sensors.read()
    assert "system/disk_free_bytes" not in first
    assert "system/rss_bytes" in second
    (message,) = [text for text in caplog.messages if "disk_space" in text]
    assert message.startswith("system metrics: disk_space is not measured: [Errno 2]")


def test_a_sensor_that_failed_is_tried_again_after_a_minute(tmp_path, caplog):
    caplog.set_level("DEBUG", "burnish.launch.system_metrics")
    now = [100.0]
    sensors = Sensors(tmp_path / "disk", clock=lambda: now[0])
    assert "system/disk_free_bytes" not in sensors.read()
    (tmp_path / "disk").mkdir()
    now[0] += 59
    assert "system/disk_free_bytes" not in sensors.read()
    now[0] += 2
    assert sensors.read()["system/disk_free_bytes"] > 0
    (tmp_path / "disk").rmdir()
    assert "system/disk_free_bytes" not in sensors.read()
    assert len([text for text in caplog.messages if "disk_space" in text]) == 1


def test_a_journal_that_cannot_be_written_is_one_warning(busy, tmp_path, eventually, caplog):
    writer = JournalWriter(tmp_path / "gone", SYSTEM_RANK, dict)
    made = SystemSampler(Sensors(tmp_path), writer, every_s=0.02, step=lambda: 0)
    made.watch(busy.pid)
    eventually(lambda: caplog.messages, "the warning")
    assert made._thread.is_alive()
    made.close()
    (message,) = [text for text in caplog.messages if "system metrics" in text]
    assert message.startswith("system metrics cannot be written: [Errno 2]")
