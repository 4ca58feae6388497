import logging
import random
import signal
import subprocess
import sys

import pytest

from burnish.checkpoint import CheckpointStore, Retention, read_manifest, verify
from burnish.core.errors import CheckpointError


@pytest.fixture
def store(tmp_path):
    return CheckpointStore(tmp_path / "checkpoints")


def publish(store, step, content=b"weights", **metrics):
    return store.publish(step, metrics, lambda folder: (folder / "model").write_bytes(content))


def entries(store):
    return sorted(path.name for path in store.root.iterdir())


def spoil(store, step):
    (store.folder(step) / "model").write_bytes(b"WEIGHTS")


def test_published_checkpoint_is_found_verified(store):
    manifest = publish(store, 5, loss=0.5)
    assert store.newest_good() == (store.folder(5), manifest)
    assert entries(store) == ["checkpoint-5"]


def test_failed_write_leaves_nothing_and_raises(store):
    def write(folder):
        (folder / "model").write_bytes(b"half")
        raise OSError(28, "no space left on device")

    with pytest.raises(OSError, match="no space left"):
        store.publish(5, {}, write)
    assert entries(store) == []


def test_failed_write_keeps_the_older_checkpoint_of_the_same_step(store):
    publish(store, 5, b"first")
    with pytest.raises(KeyboardInterrupt):
        store.publish(5, {}, lambda folder: (_ for _ in ()).throw(KeyboardInterrupt()))
    assert (store.folder(5) / "model").read_bytes() == b"first"


def test_newer_checkpoint_of_a_step_replaces_the_older(store):
    publish(store, 5, b"first")
    publish(store, 5, b"second")
    assert (store.folder(5) / "model").read_bytes() == b"second"
    assert entries(store) == ["checkpoint-5"]


def test_manifests_are_oldest_first_by_number_not_by_name(store):
    for step in (100, 20, 3):
        publish(store, step)
    assert [manifest.step for manifest in store.manifests()] == [3, 20, 100]


def test_store_without_a_folder_is_empty(store):
    assert (store.manifests(), store.newest_good(), store.prune(Retention())) == ([], None, [])


def test_newest_good_falls_back_and_says_so(store, caplog):
    for step in (1, 2, 3):
        publish(store, step)
    spoil(store, 3)
    (store.folder(2) / "model").write_bytes(b"cut")
    with caplog.at_level(logging.WARNING):
        found = store.newest_good()
    assert found is not None
    assert found[0] == store.folder(1)
    assert caplog.messages == [
        f"checkpoint {store.folder(3)}: model has changed since it was written; falling back to an older one",
        f"checkpoint {store.folder(2)}: model has 3 bytes, not 7; falling back to an older one",
    ]


def test_newest_good_of_damaged_checkpoints_only_is_none(store):
    publish(store, 1)
    spoil(store, 1)
    assert store.newest_good() is None


@pytest.mark.parametrize(
    ("which", "step"), [("best", 2), ("last", 3), ("1", 1)], ids=["best by metric", "last", "step"]
)
def test_find_returns_what_is_asked_for(store, which, step):
    for number, score in ((1, 0.1), (2, 0.9), (3, 0.5)):
        publish(store, number, score=score)
    folder, manifest = store.find(which, Retention(2, "score", "max"))
    assert (folder, manifest.step) == (store.folder(step), step)


def test_find_best_without_the_metric_is_the_last(store):
    publish(store, 1)
    publish(store, 2)
    assert store.find("best", Retention(2, "score"))[1].step == 2


def test_find_in_an_empty_store_is_an_error(store):
    with pytest.raises(CheckpointError) as caught:
        store.find("best", Retention())
    assert str(caught.value) == f"no complete checkpoint in {store.root}"


def test_find_of_a_missing_step_names_those_that_are_there(store):
    publish(store, 20)
    publish(store, 3)
    with pytest.raises(CheckpointError) as caught:
        store.find("4", Retention())
    assert caught.value.message == f"no checkpoint '4' in {store.root}"
    assert caught.value.hint == "use best, last or one of 3, 20"


def test_find_of_a_damaged_checkpoint_is_an_error_not_another_one(store):
    publish(store, 1)
    publish(store, 2)
    spoil(store, 2)
    with pytest.raises(CheckpointError, match="model has changed since it was written"):
        store.find("last", Retention())


def test_prune_deletes_the_surplus_and_nothing_else(store):
    for step, score in ((1, 0.1), (2, 0.9), (3, 0.2), (4, 0.3), (5, 0.4)):
        publish(store, step, score=score)
    (store.root / "notes.txt").write_text("mine")
    (store.root / ".tmp-6-1").mkdir()
    (store.root / "checkpoint-9").mkdir()
    assert store.prune(Retention(2, "score", "max")) == [1, 3]
    assert entries(store) == [".tmp-6-1", "checkpoint-2", "checkpoint-4", "checkpoint-5", "checkpoint-9", "notes.txt"]
    assert [verify(store.folder(step)).step for step in (2, 4, 5)] == [2, 4, 5]


def test_discard_incomplete_keeps_what_is_sealed(store):
    publish(store, 1)
    publish(store, 2)
    (store.root / "notes.txt").write_text("mine")
    (store.root / "checkpoint-3").mkdir()
    store.folder(2).rename(store.root / ".gone-checkpoint-2-77")
    (store.root / ".tmp-4-77").mkdir()
    (store.root / ".tmp-4-77" / "model").touch()
    store.discard_incomplete()
    assert entries(store) == ["checkpoint-1", "notes.txt"]


WRITER = """
import os, sys
from pathlib import Path
from burnish.checkpoint import CheckpointStore, Retention
store = CheckpointStore(Path(sys.argv[1]))
def write(folder):
    for number in range(6):
        (folder / f"shard-{number}").write_bytes(os.urandom(200_000))
        print("wrote", flush=True)
step = 1
while True:
    store.publish(step, {}, write)
    print("published", step, flush=True)
    store.prune(Retention(2))
    step += 1
"""


@pytest.mark.parametrize("seed", range(12))
def test_sigkill_at_any_moment_leaves_only_whole_checkpoints(store, seed):
    lines = random.Random(seed).randint(1, 40)
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(store.root)], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        seen = [process.stdout.readline() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        seen += process.stdout.readlines()
    published = [int(line.split()[1]) for line in seen if line.startswith("published")]
    for folder in store.root.glob("checkpoint-*"):
        if read_manifest(folder) is not None:
            assert sorted(verify(folder).files) == [f"shard-{number}" for number in range(6)]
    found = store.newest_good()
    assert (found[1].step if found else 0) >= (max(published) if published else 0)
    store.discard_incomplete()
    assert all(name.startswith("checkpoint-") for name in entries(store))
