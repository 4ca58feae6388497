import hashlib
import subprocess
import sys
import threading

import pytest

from burnish.track.blobs import Blob, store_blob


def test_a_blob_is_named_after_its_content(tmp_path):
    blob = store_blob(tmp_path, b"abc", "png")
    sha256 = hashlib.sha256(b"abc").hexdigest()
    assert blob == Blob(sha256, 3, f"media/{sha256}.png")
    assert (tmp_path / blob.file).read_bytes() == b"abc"


def test_the_same_content_is_written_once(tmp_path):
    blob = store_blob(tmp_path, b"abc", "png")
    before = (tmp_path / blob.file).stat()
    assert store_blob(tmp_path, b"abc", "png") == blob
    after = (tmp_path / blob.file).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_file_that_a_power_cut_left_empty_is_written_again(tmp_path):
    blob = store_blob(tmp_path, b"abc", "png")
    (tmp_path / blob.file).write_bytes(b"")
    store_blob(tmp_path, b"abc", "png")
    assert (tmp_path / blob.file).read_bytes() == b"abc"


def test_another_folder_can_be_named(tmp_path):
    assert store_blob(tmp_path, b"", "json", folder="tables/large").file.startswith("tables/large/e3b0c442")


@pytest.mark.parametrize("suffix", ["", ".png", "../x", "PNG", "a/b"])
def test_a_suffix_that_could_lead_elsewhere_is_refused(tmp_path, suffix):
    with pytest.raises(ValueError) as error:
        store_blob(tmp_path, b"", suffix)
    assert str(error.value) == f"a suffix must be small letters and digits, not {suffix!r}"
    assert not list(tmp_path.iterdir())


def test_what_fails_leaves_no_draft(tmp_path):
    (tmp_path / "media").mkdir()
    taken = tmp_path / "media" / f"{hashlib.sha256(b'abc').hexdigest()}.png"
    taken.mkdir()
    with pytest.raises(OSError):
        store_blob(tmp_path, b"abc", "png")
    assert list((tmp_path / "media").iterdir()) == [taken]


def test_threads_and_processes_never_show_half_a_file(tmp_path):
    contents = [bytes([number]) * 300_000 for number in range(8)]
    names = [f"{hashlib.sha256(content).hexdigest()}.bin" for content in contents]
    program = (
        "import sys; from pathlib import Path; from burnish.track.blobs import store_blob\n"
        "for number in range(8): store_blob(Path(sys.argv[1]), bytes([number]) * 300_000, 'bin')"
    )
    others = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path)]) for _ in range(2)]
    threads = [
        threading.Thread(target=lambda: [store_blob(tmp_path, content, "bin") for content in contents])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    media, halves = tmp_path / "media", []
    while any(thread.is_alive() for thread in threads) or any(other.poll() is None for other in others):
        for name in names:
            path = media / name
            if path.exists() and path.stat().st_size != 300_000:
                halves.append(name)
    for thread in threads:
        thread.join()
    assert [other.wait() for other in others] == [0, 0]
    assert not halves
    assert sorted(path.name for path in media.iterdir()) == sorted(names)
    assert all((media / name).read_bytes() == content for name, content in zip(names, contents, strict=True))
