import importlib
import os
import sys
from importlib.metadata import MetadataPathFinder

import pytest

from burnish.track.packages import imported_packages, installed_packages


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Return a function that installs a package into a folder of its own, which is first on the path."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))

    def install(name, metadata=None, **files):
        info = folder / f"{name}.dist-info"
        info.mkdir()
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n" if metadata is None else metadata
        for file, content in {"METADATA": text, **files}.items():
            (info / file).write_bytes(content if isinstance(content, bytes) else content.encode())
        # What is installed is known by the folder's time, which two installs of one moment share.
        MetadataPathFinder().invalidate_caches()
        importlib.invalidate_caches()

    install.folder = folder
    return install


def told(*modules, **versions):
    return {"imported": list(modules), "versions": versions, "executable": sys.executable}


def test_module_is_told_by_its_distribution():
    packages, own = imported_packages(told("yaml", "msgspec"), sys.executable)
    assert set(packages) == {"PyYAML", "msgspec"}
    assert own == []


def test_editable_install_is_found_by_its_name():
    assert list(imported_packages(told("burnish"), sys.executable)[0]) == ["burnish"]


def test_module_of_no_distribution_is_own_code_unless_it_has_a_version():
    packages, own = imported_packages(told("helpers", "vendored", "_hook", vendored="2.0"), sys.executable)
    assert (packages, own) == ({"vendored": "2.0"}, ["helpers"])


def test_distributions_that_share_a_name_are_told_apart_by_the_part_that_was_imported(site):
    for file in ("one/__init__.py", "two.py"):  # some readers of what is installed leave out what is not there
        path = site.folder / "space" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    site("space-one", RECORD="space/one/__init__.py,,\n")
    site("space-two", RECORD="space/two.py,,\n")
    assert imported_packages(told("space.two"), sys.executable)[0] == {"space-two": "1.0"}


def test_other_name_of_the_same_interpreter_is_the_same_environment(tmp_path):
    for name in ("python", "python3"):
        (tmp_path / name).symlink_to(os.path.realpath(sys.executable))
    reported = {**told("yaml"), "executable": str(tmp_path / "python")}
    assert list(imported_packages(reported, str(tmp_path / "python3"))[0]) == ["PyYAML"]


def test_another_environment_is_told_by_what_its_process_said(tmp_path):
    reported = {**told("yaml", "torch", "_hook", torch="2.8"), "executable": str(tmp_path / "bin" / "python")}
    assert imported_packages(reported, sys.executable) == ({"torch": "2.8", "yaml": "?"}, [])


def test_process_that_told_nothing_imported_nothing():
    assert imported_packages({}, sys.executable) == ({}, [])


HOSTILE = {
    "binary": {"metadata": b"\xff\xfe\x00\x01" * 100},
    "empty": {"metadata": ""},
    "nameless": {"metadata": "Metadata-Version: 2.1\nVersion: 1\n"},
    "odd-name": {"metadata": "Name: ../../etc/passwd\nVersion: 1\n"},
    "long-version": {"metadata": f"Name: long-version\nVersion: {'9' * 10_000}\n"},
    "no-version": {"metadata": "Name: no-version\n"},
    "markup": {"metadata": "Name: markup\nVersion: 1|<b>\n"},
    "binary-tops": {"top_level.txt": b"\xff\xfe"},
    "binary-record": {"RECORD": b'"\xff\x00'},
    "open-record": {"RECORD": '"wanted/__init__.py,,\n'},
    "odd-record": {"RECORD": ",,\n/,,\n\n,,,,,,\n"},
}


def test_hostile_metadata_stops_nothing(site):
    for name, files in HOSTILE.items():
        site(name, **files)
    (site.folder / "file.dist-info").write_text("no folder")
    site("wanted", RECORD="wanted/__init__.py,,\n")
    found = installed_packages()
    assert found["wanted"] == "1.0"
    assert found["msgspec"]
    assert "../../etc/passwd" not in found
    assert len(found["long-version"]) == 100
    assert found["no-version"] == "?"
    packages, own = imported_packages(told("wanted", "yaml", "helpers"), sys.executable)
    assert (packages["wanted"], "PyYAML" in packages, own) == ("1.0", True, ["helpers"])
