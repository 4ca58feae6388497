"""People's hands on what sinks write, while they write it: nothing is lost, and nothing is there twice."""

import os
import subprocess
import time

import pytest
from examples.tracker_readers import float32, journal_points, tensorboard_points, wandb_points

from burnish.core.files import write_json
from burnish.core.paths import RunPaths
from burnish.journal import JournalWriter
from burnish.sinks import Shipper, finish_all

EACH = 60


class Live:
    """A run that is logged to while a sink ships it."""

    def __init__(self, root, name, options, eventually):
        self.run = RunPaths(root / f"20260101_toy_{os.urandom(2).hex()}")
        for folder in (self.run.journals, self.run.cursors):
            folder.mkdir(parents=True)
        write_json(self.run.state, {"experiment": "toy", "project": str(root), "created": time.time()})
        self.writer = JournalWriter(self.run.journals, 0, lambda: {"attempt": 1})
        self.shipper = Shipper(self.run, name, options)
        self._eventually = eventually
        self._step = 0

    def log(self):
        for step in range(self._step, self._step + EACH):
            values = (1 / (step + 1), float("nan") if step % 7 == 0 else float(step))
            self.writer.row(("loss", "odd"), values, step, time.time())
        self._step += EACH

    def until(self, condition, what):
        def holds():
            self.shipper.look()
            return condition(self.shipper.status)

        self._eventually(holds, what, 60)

    def until_shipped(self):
        self.until(lambda status: status.shipped and not status.behind_bytes and not status.error, "all is shipped")

    def finish(self):
        assert finish_all([self.shipper], "finished", 60), self.shipper.status
        wanted = journal_points(self.run)
        assert sum(wanted.values()) == 2 * self._step
        return wanted


@pytest.fixture
def live(tmp_path, eventually):
    made = []

    def begin(name, **options):
        made.append(Live(tmp_path, name, options, eventually))
        made[-1].shipper.start()
        return made[-1]

    yield begin
    for each in made:
        each.shipper.stop()
        each.writer.close()


def shorten(path):
    os.truncate(path, path.stat().st_size // 2)


def replace(path):
    path.unlink()
    path.write_bytes(b"something else")


@pytest.mark.parametrize("hand", [shorten, replace, os.unlink])
def test_event_file_that_is_cut_replaced_or_deleted_by_hand_is_written_anew(live, hand):
    one = live("tensorboard")
    one.log()
    one.until_shipped()
    (file,) = one.run.root.glob("tensorboard/*.0-*")
    hand(file)
    one.log()
    assert tensorboard_points(one.run) != float32(journal_points(one.run))
    wanted = one.finish()
    assert tensorboard_points(one.run) == float32(wanted)


@pytest.mark.parametrize("hand", [shorten, os.unlink])
def test_log_of_wandb_that_is_cut_or_deleted_by_hand_is_written_anew(live, hand):
    one = live("wandb")
    one.log()
    one.until_shipped()
    (file,) = one.run.root.glob("wandb/*/*.wandb")
    hand(file)
    one.log()
    wanted = one.finish()
    assert wandb_points(one.run) == wanted


@pytest.fixture
def disk(tmp_path):
    """A file system that can be made read-only."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(folder)], check=False).returncode:
        pytest.skip("no file system could be mounted")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_folder_of_wandb_that_is_read_only_for_a_while(live, disk):
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    one = live("wandb", folder=str(disk))
    one.log()
    one.until(lambda status: "Read-only file system" in status.error, "an error")
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    one.log()
    wanted = one.finish()
    (one.run.root / "wandb").symlink_to(disk / "wandb")
    assert wandb_points(one.run) == wanted
