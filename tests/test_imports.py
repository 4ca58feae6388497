"""What each way into Burnish loads: a start that is slow is slow for a module by name. No test here reads a clock."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import burnish

# msgspec looks for it, and pydantic has installed it; it brings nothing else along.
MSGSPEC = {"msgspec", "typing_extensions"}
STANDARD = {*sys.stdlib_module_names, "__main__", "sitecustomize", "typing.io", "typing.re"}


@pytest.fixture
def loaded_by(tmp_path):
    """Return the modules that a fresh interpreter has loaded at the end of a piece of code, by full name."""

    def run(code, *words, exit_code=0, **environ):
        report = tmp_path / "modules.txt"
        # At exit, so that it is written however the code leaves; the interpreter's own start is taken off.
        watched = (
            "import atexit, sys\n"
            "before = set(sys.modules)\n"
            "report = sys.argv.pop(1)\n"
            "atexit.register(lambda: open(report, 'w').write('\\n'.join(set(sys.modules) - before)))\n"
        )
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("BURNISH_", "COVERAGE_"))}
        done = subprocess.run(
            [sys.executable, "-c", watched + code, report, *words],
            cwd=tmp_path,
            env=kept | {"BURNISH_HOME": str(tmp_path / "home")} | environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == exit_code, done.stderr
        return set(report.read_text().split())

    return run


def packages(modules):
    """Return the distributions' top names among modules, without the standard library."""
    return {name.partition(".")[0] for name in modules} - STANDARD


def prepared_run(folder: Path) -> Path:
    (folder / "run" / "journal").mkdir(parents=True)
    return folder / "run"


def test_import_burnish_loads_no_other_module_of_its_own_and_not_even_typing(loaded_by):
    modules = loaded_by("import burnish")
    assert {name for name in modules if name.startswith("burnish")} == {"burnish"}
    assert packages(modules) == {"burnish"}
    assert "typing" not in modules


def test_joining_a_run_loads_only_msgspec_beyond_the_standard_library(loaded_by, tmp_path):
    modules = loaded_by("import burnish; burnish.start_run()", BURNISH_RUN_DIR=str(prepared_run(tmp_path)))
    assert packages(modules) - MSGSPEC == {"burnish"}
    assert {"msgspec", "burnish.track.run"} <= modules


def test_joining_a_run_loads_nothing_of_the_config_the_command_line_or_the_launcher(loaded_by, tmp_path):
    modules = loaded_by("import burnish; burnish.start_run()", BURNISH_RUN_DIR=str(prepared_run(tmp_path)))
    parts = {name.split(".")[1] for name in modules if name.startswith("burnish.")}
    assert parts == {"core", "journal", "track"}


def test_logging_loads_nothing_more_than_joining(loaded_by, tmp_path):
    code = "import burnish; burnish.start_run(); joined = set(sys.modules); burnish.log({'loss': 1.0})\n"
    code += "assert set(sys.modules) == joined, set(sys.modules) - joined"
    loaded_by(code, BURNISH_RUN_DIR=str(prepared_run(tmp_path)))


def test_help_loads_only_click(loaded_by):
    modules = loaded_by("from burnish.cli.main import main; main()", "--help")
    assert packages(modules) == {"burnish", "click"}


def test_help_loads_no_command(loaded_by):
    modules = loaded_by("from burnish.cli.main import main; main()", "--help")
    ours = {name for name in modules if name.startswith("burnish")}
    assert ours == {"burnish", "burnish.cli", "burnish.cli._lazy", "burnish.cli.main"}


def test_version_loads_only_click(loaded_by):
    modules = loaded_by("from burnish.cli.main import main; main()", "--version")
    assert packages(modules) == {"burnish", "click"}


def test_misspelt_key_is_told_before_torch_or_a_trainer_is_loaded(loaded_by, tmp_path):
    file = tmp_path / "sft.yaml"
    file.write_text("experiment: sft\nmodel: {name: tiny-llama}\ndata: {name: reasoning-gym}\n")
    words = ("run", str(file), "--trainng.lr", "1")
    modules = loaded_by("from burnish.cli.main import main; main()", *words, exit_code=2)
    assert "burnish.experiment.submit" in modules
    unwanted = {"accelerate", "datasets", "peft", "reasoning_gym", "tensorboard", "torch", "transformers", "trl"}
    assert not packages(modules) & unwanted
    assert not packages(modules) & {"numpy", "pandas", "pyarrow", "rich"}


def test_all_is_sorted_and_at_most_twelve_names():
    assert burnish.__all__ == sorted(burnish.__all__)
    assert len(burnish.__all__) <= 12


def test_all_is_exactly_what_the_package_exports():
    exported = {name for name in dir(burnish) if not name.startswith("_")} | {"__version__"}
    imported_to_do_so = {"TYPE_CHECKING", "import_module"}
    submodules = {path.stem for path in Path(burnish.__file__).parent.iterdir()}
    assert exported - imported_to_do_so - submodules == set(burnish.__all__)


@pytest.mark.parametrize("name", burnish.__all__)
def test_every_exported_name_resolves_and_says_the_name_it_has(name):
    assert getattr(burnish, name, None) is not None
    assert getattr(getattr(burnish, name), "__name__", name) == name


def test_what_type_checkers_see_is_what_the_package_exports():
    tree = ast.parse(Path(burnish.__file__).read_text())
    checked = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name for node in checked.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen | {"__version__"} == set(burnish.__all__)


def test_unknown_name_raises_attribute_error():
    with pytest.raises(AttributeError, match=r"^module 'burnish' has no attribute 'trainer'$"):
        burnish.trainer  # noqa: B018
