import pytest

from burnish.core.errors import StorageError, UsageError
from burnish.core.paths import RunPaths, find_project


@pytest.fixture(autouse=True)
def no_overrides(monkeypatch):
    monkeypatch.delenv("BURNISH_HOME", raising=False)
    monkeypatch.delenv("BURNISH_RUNS", raising=False)


@pytest.fixture
def inner(tmp_path):
    folder = tmp_path / "project/a/b"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize(("name", "text"), [("burnish.toml", ""), ("pyproject.toml", "[tool.burnish]\n")])
def test_project_is_the_nearest_folder_above_with_a_project_file(tmp_path, inner, name, text):
    (tmp_path / "project" / name).write_text(text)
    project = find_project(inner)
    assert (project.root, project.runs) == (tmp_path / "project", tmp_path / "project/.burnish/runs")


@pytest.mark.parametrize("text", ["[tool.other]\n", "not toml ["])
def test_another_pyproject_makes_no_project(tmp_path, inner, text):
    (tmp_path / "project/pyproject.toml").write_text(text)
    assert find_project(inner).root == inner


def test_folder_without_a_project_file_is_its_own_project(inner, monkeypatch):
    monkeypatch.chdir(inner)
    assert find_project().root == inner


def test_two_project_files_in_one_folder_are_an_error(inner):
    (inner / "burnish.toml").touch()
    (inner / "pyproject.toml").write_text("[tool.burnish]\n")
    with pytest.raises(UsageError) as caught:
        find_project(inner)
    message = f"two project files: {inner}/burnish.toml and [tool.burnish] in {inner}/pyproject.toml"
    assert (str(caught.value), caught.value.hint) == (message, "keep one of them")


def test_variables_move_home_and_runs(tmp_path, inner, monkeypatch):
    monkeypatch.setenv("BURNISH_HOME", str(tmp_path / "home"))
    assert find_project(inner).runs == tmp_path / "home/runs"
    monkeypatch.setenv("BURNISH_RUNS", str(tmp_path / "runs"))
    assert (find_project(inner).home, find_project(inner).runs) == (tmp_path / "home", tmp_path / "runs")


def test_relative_runs_folder_is_made_absolute(inner, monkeypatch):
    monkeypatch.chdir(inner)
    monkeypatch.setenv("BURNISH_RUNS", "here")
    assert find_project().runs == inner / "here"


def test_made_project_is_hidden_from_git(inner):
    project = find_project(inner).make()
    assert project.runs.is_dir()
    assert (project.home / ".gitignore").read_text() == "*\n"


def test_runs_folder_that_cannot_be_made_names_the_way_out(inner, monkeypatch):
    (inner / "file").touch()
    monkeypatch.setenv("BURNISH_RUNS", str(inner / "file/runs"))
    with pytest.raises(StorageError, match="cannot create folder") as caught:
        find_project(inner).make()
    assert caught.value.hint == "choose another folder: BURNISH_RUNS=/path/to/runs"


def test_files_of_a_run_lie_inside_its_folder(tmp_path):
    paths = RunPaths(tmp_path / "x_k7f2")
    inside = [getattr(paths, name) for name in vars(RunPaths) if isinstance(vars(RunPaths)[name], property)]
    assert (paths.name, paths.id) == ("x_k7f2", "k7f2")
    assert {path.parent for path in inside if path not in (paths.name, paths.id)} == {paths.root}
