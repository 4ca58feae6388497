import os

import pytest


@pytest.fixture
def site(tmp_path, burnish, installed):
    """Return a function that installs a package with a sink, for the commands of this test."""
    folder = tmp_path / "site"
    burnish.environ["PYTHONPATH"] = os.pathsep.join([str(folder), burnish.environ.get("PYTHONPATH", "")]).rstrip(":")

    def install(package, source, name="mine"):
        installed(folder, package, "burnish.sinks", **{name: f"{package}_sink:Sink"})
        (folder / f"{package}_sink.py").write_text(source)

    return install


def plugins(burnish):
    return [line for line in burnish("doctor").stdout.splitlines() if "burnish.sinks" in line or "→" in line]


def test_sink_of_a_package_is_loaded_and_told(burnish, site):
    site("good", "class Sink: pass")
    assert any(line.split() == ["ok", "plugin", "burnish.sinks:", "mine", "of", "good"] for line in plugins(burnish))


def test_sink_that_cannot_be_loaded_is_a_problem_that_names_its_package(burnish, site):
    site("bad", "import nothing_of_this_name")
    told = "\n".join(plugins(burnish))
    assert "burnish.sinks: mine of bad cannot be loaded: No module named 'nothing_of_this_name'" in told
    assert "→ pip install --upgrade bad" in told


def test_two_packages_with_one_name_are_both_told(burnish, site):
    site("one", "class Sink: pass")
    site("two", "class Sink: pass")
    told = "\n".join(plugins(burnish))
    for package in ("one", "two"):
        assert f"burnish.sinks: mine of {package} has a name that another package uses too" in told
