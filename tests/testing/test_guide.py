"""What the guide to writing a sink shows, done as it says, with its package installed."""

import importlib.util
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def docs():
    """The module that runs the blocks of pages."""
    spec = importlib.util.spec_from_file_location("pages_that_run", ROOT / "tests" / "docs" / "test_docs.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(importlib.import_module("sys").modules, spec.name, module)
        spec.loader.exec_module(module)
        yield module


def install(root):
    """Do what pip does with an editable package: its entry points, as the page's `pyproject.toml` has them."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    info = root / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = [
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in entries.items())
        for group, entries in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("".join(groups))


def test_the_sink_of_the_guide_is_used_and_passes_its_tests_as_the_guide_shows(docs, tmp_path):
    page = docs.Page(ROOT / "docs" / "guides" / "writing-a-sink.md")
    folder = docs.Folder.make(tmp_path)
    blocks = page.blocks()
    for block in blocks:
        if block.language != "text":
            folder.run(block)
    install(folder.root)
    folder.environ |= {"PYTHONPATH": str(folder.root), "PYTEST_ADDOPTS": "-p no:cacheprovider"}
    sessions = [block for block in blocks if block.language == "text" and block.body.startswith("$ ")]
    assert len(sessions) == 3
    for session in sessions:
        folder.console(session)
