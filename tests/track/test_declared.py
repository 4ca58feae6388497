import os

import pytest

from burnish.core.secrets import Masker
from burnish.track.declared import declared_packages, locked_packages


def names(root):
    return [(one.name, one.specifier, one.file, one.extra) for one in declared_packages(root, Masker())]


def test_dependencies_of_a_project_are_told_with_their_groups(tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        '[project]\ndependencies = ["torch>=2.8", "trl[vllm] ~= 1.0 ; python_version > \'3.11\'", 3, "!!"]\n'
        '[project.optional-dependencies]\ndev = ["pytest"]\n'
        '[dependency-groups]\nlint = ["ruff==0.1", {include-group = "dev"}]\n'
        '[tool.poetry.dependencies]\npython = "^3.11"\nnumpy = "^2"\nlocal = {path = "../x"}\n'
        '[tool.poetry.group.docs.dependencies]\nsphinx = {version = "*"}\n'
    )
    file = "pyproject.toml"
    assert names(tmp_path) == [
        ("torch", ">=2.8", file, ""),
        ("trl", "[vllm]~= 1.0 ; python_version > '3.11'", file, ""),
        ("pytest", "", file, "dev"),
        ("ruff", "==0.1", file, "lint"),
        ("numpy", "^2", file, ""),
        ("local", "", file, ""),
        ("sphinx", "*", file, "docs"),
    ]


def test_requirements_are_told_with_what_they_include(tmp_path):
    (tmp_path / "requirements.txt").write_text(
        "# all\n--index-url https://me:planted@host/simple\n-r sub/more.txt\n-r requirements.txt\n-r gone.txt\n"
        "torch==2.8 \\\n  --hash=sha256:00\nnumpy  # fast\n-e .\n"
        "-e git+https://me:planted@host/r.git#egg=mine\n./wheel.whl\nsub/dir\nroot:x:0:0\n"
    )
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "more.txt").write_text("corp @ https://me:planted@host/corp.whl\n")
    (tmp_path / "requirements-dev.txt").write_text("pytest\n")
    assert names(tmp_path) == [
        ("pytest", "", "requirements-dev.txt", ""),
        ("torch", "==2.8", "requirements.txt", ""),
        ("numpy", "", "requirements.txt", ""),
        ("mine", "git+https://me:***@host/r.git#egg=mine", "requirements.txt", ""),
        ("corp", "@ https://me:***@host/corp.whl", "sub/more.txt", ""),
    ]


def test_lock_files_are_told_by_name_and_version(tmp_path):
    (tmp_path / "uv.lock").write_text(
        'version = 1\n\n[[package]]\nname = "torch"\nversion = "2.8.0"\nsource = { registry = "x" }\n\n'
        '[[package]]\nname = "numpy"\nversion = "2.4"\n'
    )
    (tmp_path / "poetry.lock").write_text('[[package]]\nname = "trl"\nversion = "1.16"\n')
    assert locked_packages(tmp_path) == {"uv.lock": {"torch": "2.8.0", "numpy": "2.4"}, "poetry.lock": {"trl": "1.16"}}


def test_files_that_cannot_be_read_declare_nothing(tmp_path):
    (tmp_path / "pyproject.toml").write_bytes(b"\xff\x00[project")
    os.mkfifo(tmp_path / "requirements.txt")
    (tmp_path / "requirements-self.txt").symlink_to("requirements-self.txt")
    (tmp_path / "uv.lock").mkdir()
    with (tmp_path / "requirements-huge.txt").open("wb") as file:
        file.truncate(1 << 33)
    assert names(tmp_path) == []
    assert locked_packages(tmp_path) == {}


@pytest.mark.parametrize("text", ["project = 3", "[project]\ndependencies = 'torch'", "[tool]\npoetry = 1", ""])
def test_project_file_of_another_shape_declares_nothing(tmp_path, text):
    (tmp_path / "pyproject.toml").write_text(text)
    assert names(tmp_path) == []
