"""Every block of every page does what the page says; links lead somewhere; the reference is up to date.

CONTRIBUTING.md says what each kind of block means.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from burnish.config.sources.yaml import parse_yaml

ROOT = Path(__file__).parents[2]
ANY = "…"
_FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```[ ]*$", re.MULTILINE | re.DOTALL)
_TRAIN = "<!-- test: train -->"
_COMMAND_TIMEOUT_S = 300


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, the words after it, its text, and where it stands."""

    page: str
    line: int
    language: str
    words: tuple[str, ...]
    body: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str:
        return next((word for word in self.words if "=" not in word), "")

    @property
    def exit_code(self) -> int:
        return int(next((word.removeprefix("exit=") for word in self.words if word.startswith("exit=")), "0"))


@dataclass(frozen=True)
class Page:
    path: Path

    @property
    def name(self) -> str:
        """What a test of this page is called."""
        return self.path.relative_to(ROOT).with_suffix("").as_posix().removeprefix("docs/")

    @property
    def text(self) -> str:
        return self.path.read_text()

    @property
    def trains(self) -> bool:
        return self.text.startswith(_TRAIN)

    def blocks(self) -> list[Block]:
        found = []
        for match in _FENCE.finditer(self.text):
            language, *words = match["info"].split() or [""]
            line = self.text.count("\n", 0, match.start()) + 1
            shown = self.path.relative_to(ROOT).as_posix()
            found.append(Block(shown, line, language, tuple(words), match["body"]))
        return found


def pages() -> list[Page]:
    """Return README, CONTRIBUTING, CHANGELOG and every page under docs."""
    return [Page(ROOT / name) for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + [
        Page(path) for path in sorted((ROOT / "docs").rglob("*.md"))
    ]


@dataclass
class Folder:
    """The temporary project of a page."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, tmp_path: Path) -> Folder:
        """Make a git repository with one empty commit, and an environment in which nothing of the user's is seen."""
        root = tmp_path / "project"
        root.mkdir()
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("LLM_", "BURNISH_"))}
        environ |= {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "XDG_CONFIG_HOME": str(tmp_path / "config"),
            "GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig"),
            "HF_HUB_OFFLINE": "1",
            "NO_COLOR": "1",
            "OMP_NUM_THREADS": "1",
        }
        (tmp_path / "gitconfig").write_text("[user]\n name = reader\n email = reader@example.invalid\n")
        folder = cls(root, environ)
        folder.shell("git init -q && git commit -q --allow-empty -m empty")
        return folder

    def run(self, block: Block) -> None:
        """Do what a block says, and fail where it does not hold."""
        action = getattr(self, f"_{block.language}", None)
        assert action is not None, f"{block.place}: a block of unknown kind {block.language!r}"
        action(block)

    def shell(self, command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", command],
            cwd=cwd or self.root,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_COMMAND_TIMEOUT_S,
            check=False,
        )

    def console(self, block: Block, cwd: Path | None = None) -> None:
        """Run each command of a block and compare what it prints."""
        for command, expected in commands(block.body):
            done = self.shell(command, cwd)
            said = f"{block.place}: $ {command}\n--- page\n{expected}\n--- printed\n{done.stdout}"
            assert done.returncode == block.exit_code, f"{said}\nexit status {done.returncode}, not {block.exit_code}"
            assert matches(expected, done.stdout), said

    def _console(self, block: Block) -> None:
        self.console(block)

    def _python(self, block: Block) -> None:
        if block.file:
            self._write(block)
            compile(block.body, block.file, "exec")
        else:
            (self.root / ".block.py").write_text(block.body)
            done = self.shell("python .block.py")
            assert done.returncode == 0, f"{block.place}:\n{done.stdout}"

    def _yaml(self, block: Block) -> None:
        parse_yaml(block.body, block.place)
        self._write(block)

    def _toml(self, block: Block) -> None:
        tomllib.loads(block.body)
        self._write(block)

    def _diff(self, block: Block) -> None:
        assert (self.root / block.file).is_file(), f"{block.place}: no file {block.file!r} before it on the page"
        head = f"--- a/{block.file}\n+++ b/{block.file}\n"
        (self.root / ".block.diff").write_text(head + block.body)
        done = self.shell("git apply .block.diff && rm .block.diff")
        assert done.returncode == 0, f"{block.place}:\n{done.stdout}"

    def _text(self, block: Block) -> None:
        """File trees and formats: for people only."""

    def _write(self, block: Block) -> None:
        if block.file:
            path = self.root / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.body)


def commands(body: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a console block and what the page says that it prints."""
    parts = re.split(r"^\$ ", body, flags=re.MULTILINE)
    assert not parts[0].strip(), f"a console block begins with '$ ', not {parts[0]!r}"
    for part in parts[1:]:
        command, _, expected = part.partition("\n")
        yield command, expected


def matches(expected: str, printed: str) -> bool:
    """Return whether a page's text stands for what was printed.

    `…` stands for any text within a line, a line `…` for any lines; runs of spaces count as one.
    """
    pattern = ""
    for line in _lines(expected):
        any_text = "[^\n]*".join(re.escape(part) for part in line.split(ANY))
        pattern += "(?:[^\n]*\n)*?" if line == ANY else f"{any_text}\n"
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in _lines(printed))) is not None


def _lines(text: str) -> list[str]:
    return [re.sub(r"\s+", " ", line).strip() for line in text.strip("\n").splitlines()]


PAGES = pages()
BY_NAME = {page.name: page for page in PAGES}
MAKE = "make "


def marked(page: Page) -> object:
    return pytest.param(page, id=page.name, marks=[pytest.mark.train, pytest.mark.timeout(600)] if page.trains else [])


@pytest.fixture
def folder(tmp_path):
    return Folder.make(tmp_path)


@pytest.mark.parametrize("page", [marked(page) for page in PAGES])
def test_page_does_what_it_says(page, folder):
    for block in page.blocks():
        if not is_make(block):
            folder.run(block)


def is_make(block: Block) -> bool:
    """Return whether a block runs make in a checkout of Burnish itself."""
    return block.language == "console" and all(command.startswith(MAKE) for command, _ in commands(block.body))


MAKE_BLOCKS = [block for page in PAGES for block in page.blocks() if is_make(block)]


def test_every_make_target_that_a_page_names_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {command.removeprefix(MAKE).split()[0] for block in MAKE_BLOCKS for command, _ in commands(block.body)} | {
        target for page in PAGES for target in re.findall(r"`make ([a-z-]+)`", page.text)
    }
    assert named
    assert named <= targets


@pytest.mark.train
@pytest.mark.timeout(900)
def test_the_demo_prints_what_the_readme_shows(folder, tmp_path):
    (block,) = [b for b in MAKE_BLOCKS if b.body.startswith("$ make demo\n")]
    ((command, expected),) = commands(block.body)
    folder.environ["BURNISH_HOME"] = str(tmp_path / "home")  # the demo deletes earlier runs of its own
    # Ids, times and steps differ from run to run, and the last digits of the rest from machine to machine.
    ids = re.findall(r"^(?:sft|dpo|grpo) +(\w{4}) ", expected, re.MULTILINE)
    expected = re.sub(rf"{'|'.join(ids)}|\d+m\d+s|-?\d[\d.]*(?:e-\d+)?", ANY, expected)
    done = folder.shell(command, ROOT)
    printed = done.stdout.replace(str(tmp_path / "home"), ".burnish")
    assert done.returncode == 0, done.stdout
    assert matches(expected, printed), printed


@pytest.mark.parametrize("name", ["generate_cli", "generate_python"])
def test_the_reference_equals_what_its_generator_writes(name, monkeypatch):
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, script)  # where `dataclass` looks up the names of annotations
    spec.loader.exec_module(script)
    assert script.PAGE.read_text() == script.render(), f"run: python docs/{name}.py"


@pytest.mark.parametrize("page", [pytest.param(page, id=page.name) for page in PAGES])
def test_relative_links_lead_to_files_and_headings(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page.text)):
        if "://" in target:
            continue
        name, _, heading = target.partition("#")
        path = (page.path.parent / name).resolve() if name else page.path
        assert path.exists(), f"{page.name}: {target}"
        if heading:
            assert heading in headings(path.read_text()), f"{page.name}: {target}"


def headings(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", without_code(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", [pytest.param(page, id=page.name) for page in PAGES])
def test_page_names_no_folder_of_one_machine_and_no_server(page):
    for folder in (str(ROOT), str(Path.home()), tempfile.gettempdir()):
        assert f"{folder}/" not in page.text
    assert re.findall(r"https?://(?!127\.0\.0\.1\b)[\w.-]+", page.text) == []


def test_every_page_is_linked_from_another():
    linked = {
        (page.path.parent / target.partition("#")[0]).resolve()
        for page in PAGES
        for target in re.findall(r"\]\(([^)\s]+)\)", page.text)
        if "://" not in target
    }
    assert {page.path for page in PAGES if page.name != "README"} <= linked


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("a …  c\n", "a b b c\n", True),
        ("a\n…\nd", "a\nb\nc\nd\n", True),
        ("a\n…\nd", "a\nd\n", True),
        ("a\n…", "b\na\n", False),
        ("a", "a\nb\n", False),
        ("", "a\n", False),
        ("x     y", "x y  \n", True),
    ],
)
def test_dots_stand_for_any_text_in_a_line_or_any_lines(expected, printed, same):
    assert matches(expected, printed) is same
