import fcntl
import hashlib
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from burnish.core.errors import RunError
from burnish.core.files import write_json
from burnish.core.paths import Project
from burnish.experiment.submit import follow_reference
from burnish.journal import JournalWriter, Kind
from burnish.track.artifacts import (
    Artifact,
    find_artifact,
    find_used,
    open_artifact,
    split_reference,
    store_artifact,
    verify_artifact,
)
from burnish.track.tree import Tree


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "runs" / "20260101_toy_k7f2"
    (folder / "journal").mkdir(parents=True)
    write_json(folder / "run.json", {"state": "running", "name": folder.name})
    return folder


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "report.html"
    path.write_bytes(b"<p>fine</p>")
    return path


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "model"
    (root / "deep" / "er").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "weights.bin").write_bytes(b"w" * 1000)
    (root / "deep" / "same.bin").write_bytes(b"w" * 1000)
    (root / "deep" / "er" / "ünï cödé\n.txt").write_text("x")
    (root / os.fsdecode(b"\xff.bin")).write_bytes(b"")
    return root


def objects(run):
    return [p for p in (run / "artifacts" / "objects").rglob("*") if p.is_file()]


def record(run, *artifacts, role="made"):
    writer = JournalWriter(run / "journal", 0, dict)
    for artifact in artifacts:
        writer.record(Kind.ARTIFACT, artifact.name, artifact.payload(role))
    writer.close()


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_file_is_found_by_name_and_by_hash(run, file):
    artifact = store_artifact(run, file, name="report", kind="html", metadata={"rows": 3})
    digest = hashlib.sha256(b"<p>fine</p>").hexdigest()
    path = f"artifacts/by-name/report/{digest[:12]}/report.html"
    assert artifact == Artifact("report", "html", digest, 11, 1, path, {"rows": 3})
    file.unlink()
    assert open_artifact(run, artifact).read_bytes() == b"<p>fine</p>"
    assert objects(run) == [run / "artifacts" / "objects" / digest[:2] / digest]
    assert objects(run)[0].stat().st_mode & 0o777 == 0o444
    verify_artifact(run, artifact)


def test_equal_content_is_stored_once(run, file, folder):
    store_artifact(run, file, name="a")
    store_artifact(run, file, name="b")
    store_artifact(run, folder, name="c")
    assert len(objects(run)) == 4


def test_a_folder_comes_back_as_it_was(run, folder):
    before = contents(folder)
    artifact = store_artifact(run, folder, name="model")
    assert (artifact.files, artifact.bytes) == (4, 2001)
    shutil.rmtree(folder)
    back = open_artifact(run, artifact)
    assert back.name == "model"
    assert contents(back) == before
    assert (back / "empty").is_dir()
    verify_artifact(run, artifact)


def test_a_folders_hash_depends_on_its_content_alone(run, folder, tmp_path):
    other = shutil.copytree(folder, tmp_path / "elsewhere" / "x")
    assert store_artifact(run, folder, name="a").sha256 == store_artifact(run, other, name="b", copy=False).sha256
    (other / "empty").rmdir()
    assert store_artifact(run, folder, name="a").sha256 != store_artifact(run, other, name="b").sha256


def test_an_empty_folder_is_an_artifact(run, tmp_path):
    (tmp_path / "nothing").mkdir()
    artifact = store_artifact(run, tmp_path / "nothing", name="nothing")
    assert (artifact.files, artifact.bytes) == (0, 0)
    assert list(open_artifact(run, artifact).iterdir()) == []
    verify_artifact(run, artifact)


def test_links_are_recorded_and_never_followed(run, folder, tmp_path, caplog):
    (tmp_path / "secret").write_text("not yours")
    (folder / "out").symlink_to(tmp_path / "secret")
    (folder / "up").symlink_to("../secret")
    (folder / "sly").symlink_to("deep/er/../../../secret")
    (folder / "in").symlink_to("deep/er/../same.bin")
    (folder / "round").symlink_to(".")
    artifact = store_artifact(run, folder, name="model")
    assert caplog.messages == [f"{folder}: 5 links are recorded, not followed"]
    back = open_artifact(run, artifact)
    assert sorted(p.name for p in back.iterdir() if p.name in ("out", "up", "sly", "in", "round")) == ["in", "round"]
    assert (back / "in").read_bytes() == b"w" * 1000
    assert not any(b"not yours" in p.read_bytes() for p in objects(run))


def test_a_link_to_a_file_is_followed_when_it_is_what_was_asked_for(run, file, tmp_path):
    (tmp_path / "latest").symlink_to(file)
    artifact = store_artifact(run, tmp_path / "latest", name="latest")
    assert open_artifact(run, artifact).read_bytes() == b"<p>fine</p>"


def test_a_pipe_inside_a_folder_is_passed_over_without_waiting_for_it(run, folder, caplog):
    os.mkfifo(folder / "pipe")
    assert store_artifact(run, folder, name="model").files == 4
    assert caplog.messages == [f"{folder}: passed over what is no file: pipe"]


def test_a_pipe_is_no_artifact(run, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        store_artifact(run, tmp_path / "pipe", name="pipe")


def test_the_runs_own_directory_is_left_out(run, tmp_path):
    (tmp_path / "code.py").write_text("x")
    artifact = store_artifact(run, tmp_path, name="all")
    assert artifact.files == 1


def test_without_a_copy_only_hash_and_place_are_kept(run, file, folder):
    for source in (file, folder):
        artifact = store_artifact(run, source, name="data", copy=False)
        assert artifact.path == str(source)
        assert open_artifact(run, artifact) == source
        verify_artifact(run, artifact)
    assert not (run / "artifacts").exists()


def test_what_lies_in_the_run_is_named_relative_to_it(run):
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "x.bin").write_bytes(b"1")
    artifact = store_artifact(run, run / "checkpoints" / "x.bin", name="x", copy=False)
    assert artifact.path == "checkpoints/x.bin"
    verify_artifact(run, artifact)


def test_a_file_that_grows_while_it_is_read_is_told(run, tmp_path, caplog):
    path = tmp_path / "growing.log"
    path.write_bytes(b"x" * (64 << 20))
    stop = threading.Event()

    def grow():
        with path.open("ab", buffering=0) as handle:
            while not stop.is_set():
                handle.write(b"more")

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        artifact = store_artifact(run, path, name="log")
    finally:
        stop.set()
        thread.join()
    assert caplog.messages == [f"{path} changed while it was read; the artifact holds what was read"]
    assert artifact.metadata == {"changed_while_read": True}
    verify_artifact(run, artifact)


def test_metadata_is_masked_and_in_terms_of_json(run, file):
    told = store_artifact(
        run, file, name="x", metadata={"api_key": "s3cret", "path": Path("a"), "n": [1, None]}
    ).metadata
    assert told == {"api_key": "***", "path": "a", "n": [1, None]}
    json.dumps(told)


@pytest.mark.parametrize("name", ["a/b", "../../up", ".hidden", "x" * 300, "ü" * 200, "a\0b", "", "..", "a\nb"])
def test_odd_names_stay_inside_the_store(run, file, name):
    artifact = store_artifact(run, file, name=name)
    path = open_artifact(run, artifact)
    assert path.is_file()
    assert path.parent.parent.parent == run / "artifacts" / "by-name"


def test_names_that_look_alike_do_not_meet(run, file):
    assert store_artifact(run, file, name="a/b").path != store_artifact(run, file, name="a-b").path


def test_a_run_that_is_moved_or_copied_keeps_its_artifacts(run, file, folder, tmp_path):
    kept = [store_artifact(run, source, name="x") for source in (file, folder)]
    copied = tmp_path / "copied"
    subprocess.run(["cp", "-r", str(run), str(copied)], check=True)
    moved = run.rename(tmp_path / "moved_k7f2")
    for root in (copied, moved):
        for artifact in kept:
            assert open_artifact(root, artifact).exists()
            verify_artifact(root, artifact)


def test_links_that_a_copy_lost_are_mended(run, file, folder):
    kept = [store_artifact(run, source, name="x") for source in (file, folder)]
    shutil.rmtree(run / "artifacts" / "by-name")
    assert open_artifact(run, kept[0]).read_bytes() == b"<p>fine</p>"
    assert contents(open_artifact(run, kept[1])) == contents(folder)


def test_what_has_changed_or_gone_is_told(run, file, folder):
    one, many = store_artifact(run, file, name="one"), store_artifact(run, folder, name="many")
    path = run / "artifacts" / "objects" / one.sha256[:2] / one.sha256
    path.chmod(0o644)
    path.write_bytes(b"<p>fake</p>")
    with pytest.raises(RunError, match=r"^artifact 'one' has changed since it was recorded: report\.html$"):
        verify_artifact(run, one)
    path.unlink()
    with pytest.raises(RunError, match=r"^artifact 'one' cannot be read: .*: No such file or directory$"):
        verify_artifact(run, one)
    with pytest.raises(RunError, match=r"^artifact 'one' is not there: "):
        open_artifact(run, one)
    manifest = run / "artifacts" / "manifests" / f"{many.sha256}.json"
    manifest.write_bytes(manifest.read_bytes().replace(b"weights", b"heights"))
    with pytest.raises(RunError, match=r"^artifact 'many' has changed since it was recorded: its manifest$"):
        verify_artifact(run, many)


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil"])
def test_a_manifest_that_leaves_its_folder_is_none(name):
    assert Tree.parse(Tree({name: (1, "0" * 64)}).manifest()) is None
    assert Tree.parse(Tree(empty=[name]).manifest()) is None
    assert Tree.parse(Tree(links={name: "x"}).manifest()) is None


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"files": 3}', b'{"files": {"a": 1}, "links": {}, "empty_folders": []}'])
def test_what_is_no_manifest_is_none(raw):
    assert Tree.parse(raw) is None


@pytest.mark.parametrize(
    ("source", "name", "metadata", "message"),
    [
        (3, "x", None, "an artifact's source must be a path, not int"),
        ("f", None, None, "an artifact's name must be a string, not None"),
        ("f", "x", [1], "an artifact's metadata must be a mapping, not list"),
    ],
)
def test_wrong_types_are_told(run, source, name, metadata, message):
    with pytest.raises(TypeError) as error:
        store_artifact(run, source, name=name, metadata=metadata)
    assert str(error.value) == message


def test_a_missing_source_is_told(run, tmp_path):
    with pytest.raises(FileNotFoundError):
        store_artifact(run, tmp_path / "nowhere", name="x")


def test_a_file_system_that_shares_blocks_gives_the_same_object(run, file, monkeypatch):
    def clone(target, request, source):  # no such file system here: what it does, done by copying
        assert request == 0x40049409
        os.copy_file_range(source, target, 1 << 20, 0, 0)

    monkeypatch.setattr(fcntl, "ioctl", clone)
    artifact = store_artifact(run, file, name="x")
    assert artifact.sha256 == hashlib.sha256(b"<p>fine</p>").hexdigest()
    verify_artifact(run, artifact)


def test_many_writers_of_one_content_leave_it_whole(run, file):
    code = "import sys; from pathlib import Path; from burnish.track.artifacts import store_artifact as s\n"
    code += "for n in range(20): s(Path(sys.argv[1]), Path(sys.argv[2]), name='x')"
    writers = [subprocess.Popen([sys.executable, "-c", code, str(run), str(file)]) for _ in range(4)]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    assert len(objects(run)) == 1


KILLED = """
import sys
from pathlib import Path
from burnish.track.artifacts import store_artifact
print("go", flush=True)
for n in range(1000):
    Path(sys.argv[2], "a.bin").write_bytes(str(n).encode() + bytes(3_000_000))
    print(store_artifact(Path(sys.argv[1]), Path(sys.argv[2]), name="x").sha256, flush=True)
"""


def test_a_kill_in_the_middle_leaves_nothing_half_under_its_hash(run, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "b.bin").write_bytes(bytes(5_000_000))
    generator = random.Random(0)
    for _ in range(8):
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(run), str(source)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout.readline() == "go\n"
        time.sleep(generator.uniform(0.01, 0.15))  # a random moment is what is tested
        child.send_signal(signal.SIGKILL)
        acknowledged = child.communicate()[0].split()
        for digest in acknowledged[: -1 if acknowledged and len(acknowledged[-1]) < 64 else None]:
            manifest = run / "artifacts" / "manifests" / f"{digest}.json"
            assert hashlib.sha256(manifest.read_bytes()).hexdigest() == digest
    whole = [path for path in objects(run) if not path.name.startswith(".tmp-")]
    assert all(hashlib.sha256(path.read_bytes()).hexdigest() == path.name for path in whole)
    assert whole


def test_what_a_killed_process_left_is_swept_later_and_a_live_draft_is_not(run, file):
    store = run / "artifacts" / "objects"
    store.mkdir(parents=True)
    for name, age_s in ((".tmp-1-old", 3600), (".tmp-1-new", 0)):
        (store / name).write_bytes(b"half")
        os.utime(store / name, (time.time() - age_s,) * 2)
    store_artifact(run, file, name="x")
    assert [p.name for p in store.glob(".tmp-*")] == [".tmp-1-new"]


def test_a_full_disk_or_a_read_only_run_raises_and_leaves_nothing(run, file, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda fd: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        store_artifact(run, file, name="x")
    assert objects(run) == []


def test_the_newest_artifact_of_a_name_is_found_in_a_live_run(run, file):
    first = store_artifact(run, file, name="report", metadata={"n": 1})
    file.write_text("two")
    second = store_artifact(run, file, name="report", metadata={"n": 2})
    record(run, first, second)
    record(run, store_artifact(run, file, name="borrowed"), role="used")
    found = find_artifact(run, "report")
    assert (found.sha256, found.metadata, found.run) == (second.sha256, {"n": 2}, run.name)
    with pytest.raises(RunError) as error:
        find_artifact(run, "reprot")
    assert str(error.value) == f"run {run.name} made no artifact 'reprot'"
    assert error.value.hint == "did you mean report?"


def test_an_artifact_of_a_finished_run_is_found_in_its_record(run, file):
    artifact = store_artifact(run, file, name="report")
    entry = {"name": "report", **artifact.payload("made")}
    write_json(run / "run.json", {"state": "finished", "artifacts": [entry, {"role": "made", "name": "report"}, 3]})
    assert find_artifact(run, "report").sha256 == artifact.sha256


def test_an_artifact_is_used_by_run_and_name(run, folder):
    record(run, artifact := store_artifact(run, folder, name="models/best"))
    found, path = find_used(run.parent, "k7f2/models/best")
    assert contents(path) == contents(folder)
    used = found.payload("used")
    assert (used["run"], used["sha256"], used["path"], used["role"]) == (run.name, artifact.sha256, str(path), "used")


def test_a_path_is_used_and_its_run_is_known(run, file, tmp_path):
    artifact = store_artifact(run, file, name="report")
    found, path = find_used(run.parent, open_artifact(run, artifact))
    assert (found.sha256, found.run, path) == (artifact.sha256, run.name, run / artifact.path)
    found, _ = find_used(run.parent, str(file))
    assert (found.sha256, found.run) == (artifact.sha256, "")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("zzzz/report", "no run 'zzzz' in {runs}"),
        ("k7f2", "no artifact of run 20260101_toy_k7f2 is named in 'k7f2'"),
        ("k7f2/report", "run 20260101_toy_k7f2 made no artifact 'report'"),
    ],
)
def test_what_cannot_be_used_is_told(run, reference, message):
    with pytest.raises(RunError) as error:
        find_used(run.parent, reference)
    assert str(error.value) == message.format(runs=run.parent)


def test_run_and_name_are_told_apart_though_both_hold_slashes(run):
    assert split_reference(run.parent, f"{run}/a/b")[1] == "a/b"
    assert split_reference(run.parent, "k7f2/a@b")[1] == "a@b"
    assert split_reference(run.parent, f"{run}@best") is None


def test_a_reference_in_a_config_resolves_to_the_verified_artifact(run, folder, tmp_path):
    project = Project(tmp_path, tmp_path, run.parent)
    record(run, artifact := store_artifact(run, folder, name="best model"))
    found = follow_reference("k7f2/best model", project)
    assert (found.run, found.manifest_sha256, found.step) == (run.name, artifact.sha256, None)
    assert contents(Path(found.path)) == contents(folder)
    path = run / "artifacts" / "objects"
    victim = next(p for p in path.rglob("*") if p.is_file() and p.stat().st_size)
    victim.chmod(0o644)
    victim.write_bytes(b"other")
    with pytest.raises(RunError, match="has changed since it was recorded"):
        follow_reference("k7f2/best model", project)


def test_an_artifact_that_is_called_like_a_folder_of_the_run_is_the_artifact(run, file, tmp_path):
    record(run, artifact := store_artifact(run, file, name="journal"))
    found = follow_reference(f"{run}/journal", Project(tmp_path, tmp_path, run.parent))
    assert found.manifest_sha256 == artifact.sha256
    assert find_used(run.parent, f"{run}/journal")[0].sha256 == artifact.sha256


def test_a_reference_to_no_run_says_so(run, tmp_path, caplog):
    caplog.set_level(logging.ERROR)
    with pytest.raises(RunError, match=r"^no run and no finished experiment is called 'sft' in "):
        follow_reference("sft/model", Project(tmp_path, tmp_path, run.parent))
