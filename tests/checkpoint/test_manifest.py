import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.checkpoint import read_manifest, seal, verify
from burnish.core.errors import CheckpointError

FILES = {"model.safetensors": b"weights" * 20, "optimizer.pt": b"moments", "shards/manifest.json": b"{}", "empty": b""}


def fill(folder):
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return seal(folder, 7, {"loss": 0.5})


def test_sealed_folder_is_verified_and_says_what_it_holds(tmp_path):
    manifest = fill(tmp_path)
    assert verify(tmp_path) == manifest == read_manifest(tmp_path)
    assert (manifest.step, manifest.metrics) == (7, {"loss": 0.5})
    assert {name: size for name, (size, _) in manifest.files.items()} == {k: len(v) for k, v in FILES.items()}
    assert manifest.size_bytes == sum(map(len, FILES.values()))


def test_folder_without_manifest_was_never_completed(tmp_path):
    with pytest.raises(CheckpointError) as caught:
        verify(tmp_path)
    assert str(caught.value) == f"checkpoint {tmp_path} was never completed"


@pytest.mark.parametrize("name", [name for name, content in FILES.items() if content])
def test_flipped_byte_is_refused_wherever_it_lies(tmp_path, name):
    fill(tmp_path)
    for at in range(0, len(FILES[name]), 5):
        raw = bytearray(FILES[name])
        raw[at] ^= 1
        (tmp_path / name).write_bytes(raw)
        with pytest.raises(CheckpointError) as caught:
            verify(tmp_path)
        assert str(caught.value) == f"checkpoint {tmp_path}: {name} has changed since it was written"


def test_truncated_file_is_refused(tmp_path):
    fill(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    with pytest.raises(CheckpointError) as caught:
        verify(tmp_path)
    assert str(caught.value) == f"checkpoint {tmp_path}: model.safetensors has 7 bytes, not 140"


def test_missing_file_is_refused(tmp_path):
    fill(tmp_path)
    (tmp_path / "optimizer.pt").unlink()
    with pytest.raises(CheckpointError) as caught:
        verify(tmp_path)
    assert str(caught.value) == f"checkpoint {tmp_path}: optimizer.pt: No such file or directory"


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sealed")
    manifest = fill(folder)
    return folder, manifest, (folder / "manifest.json").read_bytes()


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_flipped_byte_in_the_manifest_never_passes_a_wrong_file_list(sealed, data):
    folder, manifest, content = sealed
    raw = bytearray(content)
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    (folder / "manifest.json").write_bytes(raw)
    try:
        files = verify(folder).files
    except CheckpointError:
        files = {}
    assert files in ({}, manifest.files)


@pytest.mark.parametrize(
    "change",
    [
        {"files": {"a": 5}},
        {"files": {"a": [1]}},
        {"files": {"a": [1e999, "x"]}},
        {"files": []},
        {"metrics": {"loss": None}},
        {"step": "7"},
    ],
)
def test_manifest_of_the_wrong_shape_vouches_for_nothing(tmp_path, change):
    fill(tmp_path)
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert read_manifest(tmp_path) is None


def test_nan_metric_survives(tmp_path):
    seal(tmp_path, 1, {"loss": float("nan")})
    manifest = read_manifest(tmp_path)
    assert manifest is not None
    assert manifest.metrics["loss"] != manifest.metrics["loss"]
