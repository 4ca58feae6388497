import hashlib
import json
import os
import subprocess
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import burnish.track.fingerprint as module
from burnish.track.fingerprint import complete_fingerprint, fingerprint, is_pinned


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "data"
    (root / "sub").mkdir(parents=True)
    (root / "a.jsonl").write_text('{"a": 1}\n')
    (root / "sub" / "b.jsonl").write_text('{"b": 2}\n')
    return root


def stored(payload):
    """Return a payload as it comes back from a journal and a card."""
    return json.loads(json.dumps(payload))


def test_file_is_told_by_its_size_time_and_content(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_bytes(b"abc")
    os.utime(path, (5, 7))
    assert fingerprint(path) == {
        "kind": "file",
        "path": str(path),
        "size_bytes": 3,
        "files": 1,
        "mtime": 7.0,
        "sha256": hashlib.sha256(b"abc").hexdigest(),
        "pending": False,
    }


def test_hash_of_a_folder_is_the_one_that_sha256sum_gives(folder):
    (folder / "odd\nname\\").write_text("x")
    command = r"find . -type f -printf '%P\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum"
    done = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, check=True)
    told = fingerprint(str(folder))
    assert told["sha256"] == done.stdout.split()[0]
    assert (told["kind"], told["files"]) == ("folder", 3)


def test_copy_of_a_folder_has_the_same_hash_and_a_renamed_file_another(folder, tmp_path):
    before = fingerprint(folder)["sha256"]
    copy = tmp_path / "elsewhere"
    subprocess.run(["cp", "-r", folder, copy], check=True)
    assert fingerprint(copy)["sha256"] == before
    (copy / "a.jsonl").rename(copy / "c.jsonl")
    assert fingerprint(copy)["sha256"] != before


def test_caches_and_git_beside_data_do_not_change_its_hash(folder):
    before = fingerprint(folder)["sha256"]
    for name in (".git", ".cache", "__pycache__"):
        (folder / name).mkdir()
        (folder / name / "x").write_text(str(time.time()))
    assert fingerprint(folder)["sha256"] == before


def test_linked_folders_are_followed_and_a_loop_ends(folder, tmp_path):
    elsewhere = tmp_path / "disk"
    elsewhere.mkdir()
    (elsewhere / "c").write_text("c")
    (folder / "linked").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(folder)
    (folder / "itself").symlink_to(folder)
    assert fingerprint(folder)["files"] == 3


def test_pipes_and_broken_links_are_counted_and_never_opened(folder):
    os.mkfifo(folder / "pipe")
    (folder / "gone").symlink_to(folder / "nowhere")
    told = fingerprint(folder)
    assert (told["files"], told["left_out"], bool(told["sha256"])) == (2, 2, True)
    assert fingerprint(folder / "pipe")["left_out"] == 1


def test_what_is_large_is_left_to_the_supervisor_which_gives_the_same_hash(folder, monkeypatch):
    whole = fingerprint(folder)
    monkeypatch.setattr(module, "_SMALL_BYTES", 10)
    pending = fingerprint(folder)
    assert (pending["sha256"], pending["pending"], pending["size_bytes"]) == (None, True, 18)
    assert complete_fingerprint(stored(pending)) == whole


def test_what_cannot_be_listed_in_time_is_left_to_the_supervisor(folder):
    pending = fingerprint(folder, budget_s=0)
    assert (pending["files"], pending["sha256"], pending["pending"]) == (None, None, True)
    done = complete_fingerprint(stored(pending))
    assert done == fingerprint(folder)


def test_a_sparse_file_of_a_terabyte_is_told_within_the_budget(tmp_path):
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    pending = fingerprint(path)
    assert (pending["size_bytes"], pending["pending"]) == (1 << 40, True)
    done = complete_fingerprint(stored(pending), limit_s=0.01)
    assert (done["pending"], done["sha256"], done["note"]) == (True, None, "not hashed within 0.01 s")


def test_a_change_between_training_and_hashing_is_noted(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_bytes(b"abc")
    pending = stored({**fingerprint(path), "sha256": None, "pending": True})
    path.write_bytes(b"abcd")
    os.utime(path, (9, 9))
    done = complete_fingerprint(pending)
    assert done["changed"] == {"size_bytes": [3, 4], "mtime": [pending["mtime"], 9.0]}
    assert done["sha256"] == hashlib.sha256(b"abcd").hexdigest()
    assert not is_pinned(done)


def test_data_that_is_gone_when_it_is_hashed_is_told(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_bytes(b"abc")
    pending = {**fingerprint(path), "sha256": None, "pending": True}
    path.unlink()
    done = complete_fingerprint(pending)
    assert (done["pending"], done["note"]) == (False, "cannot be read any more: No such file or directory")


@pytest.mark.parametrize("payload", [None, "x", 3, [], {}, {"pending": True}, {"pending": True, "path": 3}])
def test_what_is_no_pending_fingerprint_is_left_as_it_is(payload):
    assert complete_fingerprint(payload) == payload


def test_path_with_a_nul_or_a_loop_is_no_error(tmp_path):
    assert fingerprint("a\0b")["kind"] == "name"
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert fingerprint(loop)["note"] == "Too many levels of symbolic links"


def test_name_of_a_dataset_is_kept_with_its_revision():
    assert fingerprint("openai/gsm8k", "cc7b047") == {"kind": "name", "name": "openai/gsm8k", "revision": "cc7b047"}


def test_address_of_data_is_kept_without_login_and_signature(monkeypatch):
    monkeypatch.setenv("DATA_TOKEN", "planted-token")
    told = fingerprint("https://me:planted@host/planted-token/x.jsonl?sig=planted", "planted-token")
    assert told == {"kind": "name", "name": "https://me:***@host/***/x.jsonl", "revision": "***"}


def test_items_have_the_hash_of_their_json_lines():
    told = fingerprint([{"b": 1, "a": "é"}, {"a": None}])
    text = '{"a":"é","b":1}\n{"a":null}\n'
    assert told == {"kind": "items", "count": 2, "sha256": hashlib.sha256(text.encode()).hexdigest()}


def test_items_that_json_cannot_hold_are_counted(tmp_path):
    assert fingerprint([object()]) == {"kind": "items", "count": 1, "sha256": None, "note": "holds what JSON cannot"}


def test_too_many_items_are_counted_and_not_hashed():
    told = fingerprint(["x"] * 1000, budget_s=0)
    assert told == {"kind": "items", "count": 1000, "sha256": None, "note": "too large to hash while training"}


def test_mapping_of_splits_is_told_by_split(folder):
    told = fingerprint({"train": folder / "a.jsonl", "test": [1, 2]})
    assert told["splits"]["train"]["files"] == 1
    assert told["splits"]["test"]["count"] == 2
    assert is_pinned(told)


def test_pending_splits_are_completed_too(folder):
    pending = fingerprint({"train": folder / "a.jsonl", "test": [1, 2]})
    pending["splits"]["train"] |= {"sha256": None, "pending": True}
    assert not is_pinned(pending)
    assert is_pinned(complete_fingerprint(stored(pending)))


def test_mapping_that_is_data_itself_is_hashed():
    assert fingerprint({"a": 1})["sha256"] == hashlib.sha256(b'{"a":1}\n').hexdigest()


def test_array_is_told_by_type_shape_and_content():
    told = fingerprint(np.arange(6, dtype=np.int32).reshape(2, 3))
    assert (told["dtype"], told["shape"], told["count"], told["size_bytes"]) == ("int32", [2, 3], 2, 24)
    assert told["sha256"] == fingerprint(np.arange(6, dtype=np.int32).reshape(2, 3))["sha256"]
    assert told["sha256"] != fingerprint(np.arange(6, dtype=np.int32).reshape(3, 2))["sha256"]


def test_array_of_objects_and_a_large_one_are_not_hashed(tmp_path):
    assert fingerprint(np.array([object()]))["note"] == "holds Python objects"
    large = np.memmap(tmp_path / "tokens.bin", dtype=np.uint8, mode="w+", shape=(65 << 20,))
    assert fingerprint(large)["note"] == "too large to hash while training"


def test_tensor_in_half_precision_is_hashed_and_only_described_elsewhere():
    torch = pytest.importorskip("torch")
    tensor = torch.ones(2, 3, dtype=torch.bfloat16, requires_grad=True)
    assert fingerprint(tensor)["sha256"] == fingerprint(tensor.detach().clone())["sha256"]
    assert fingerprint(tensor)["sha256"] != fingerprint(torch.zeros(2, 3, dtype=torch.bfloat16))["sha256"]
    assert fingerprint(tensor.detach().to("meta"))["note"] == "on meta: hashing it would wait for the device"


def test_dataset_of_hugging_face_is_told_by_what_it_says_of_itself(tmp_path):
    datasets = pytest.importorskip("datasets")
    (tmp_path / "d.jsonl").write_text('{"a": 1}\n{"a": 2}\n')
    loaded = datasets.load_dataset(
        "json", data_files=str(tmp_path / "d.jsonl"), split="train", cache_dir=str(tmp_path / "cache")
    )
    told = fingerprint(loaded)
    assert told == {
        "kind": "dataset",
        "type": "datasets.arrow_dataset.Dataset",
        "fingerprint": loaded._fingerprint,
        "builder": "json",
        "config": "default",
        "version": "0.0.0",
        "split": "train",
        "count": 2,
        "name": "json",
    }
    assert fingerprint(loaded.select([0]))["fingerprint"] != told["fingerprint"]
    splits = fingerprint(datasets.DatasetDict(train=loaded))
    assert splits == {"kind": "splits", "splits": {"train": told}}
    assert is_pinned(splits)
    loaded.info.download_checksums = {f"hf://datasets/o/n@{'a' * 40}/train.parquet": {}}
    assert fingerprint(loaded)["revision"] == "a" * 40
    assert fingerprint(loaded.to_iterable_dataset())["type"] == "datasets.iterable_dataset.IterableDataset"


class Hostile:
    def __getattr__(self, name):
        raise RuntimeError(name)

    def __repr__(self):
        raise RuntimeError("repr")

    def __len__(self):
        raise RuntimeError("len")


class Agreeing:
    """Has whatever it is asked for."""

    def __getattr__(self, name):
        return self


def endless():
    while True:
        yield 1


CYCLE: list[object] = []
CYCLE.append(CYCLE)


def repr_of(value):
    """Return a test's name for a value that must not be asked for one."""
    return type(value).__name__


@pytest.mark.parametrize(
    "source",
    [None, 3, Hostile(), Agreeing(), endless(), CYCLE, {1: 2, "a": 3}, {"x": Hostile()}, b"raw", type, "", "\ud800"],
    ids=repr_of,
)
def test_odd_input_never_raises_and_fits_into_json(source):
    told = fingerprint(source)
    assert isinstance(told["kind"], str)
    assert stored(told) == told
    assert not is_pinned(told) or told["sha256"]


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False)
        | st.text(max_size=5)
        | st.binary(max_size=3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=6,
    )
)
def test_any_data_has_one_fingerprint(value):
    assert fingerprint(value) == fingerprint(value)
    assert stored(fingerprint(value)) == fingerprint(value)
