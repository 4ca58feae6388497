"""People's hands on what sinks write, while they write it: nothing is lost, and nothing is there twice."""

import os
import subprocess

import pytest
from examples.tracker_readers import float32, journal_points, tensorboard_points, wandb_points

from .live import Live


@pytest.fixture
def live(tmp_path, eventually):
    made = []

    def begin(name, **options):
        made.append(Live(tmp_path, name, options, eventually))
        made[-1].shipper.start()
        return made[-1]

    yield begin
    for each in made:
        each.close()


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
    count = one.finish()
    assert sum(tensorboard_points(one.run).values()) == count
    assert tensorboard_points(one.run) == float32(journal_points(one.run))


@pytest.mark.parametrize("hand", [shorten, os.unlink])
def test_log_of_wandb_that_is_cut_or_deleted_by_hand_is_written_anew(live, hand):
    one = live("wandb")
    one.log()
    one.until_shipped()
    (file,) = one.run.root.glob("wandb/*/*.wandb")
    hand(file)
    one.log()
    count = one.finish()
    assert sum(wandb_points(one.run).values()) == count
    assert wandb_points(one.run) == journal_points(one.run)


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
    count = one.finish()
    (one.run.root / "wandb").symlink_to(disk / "wandb")
    assert sum(wandb_points(one.run).values()) == count
    assert wandb_points(one.run) == journal_points(one.run)
