"""What the variables of each tier do: names and ids of runs, debug mode, prefix, data root, checkpoint folder."""

import subprocess
import sys
from pathlib import Path

import pytest

from burnish.core.environment import checkpoint_root, data_root, find_data, is_debug, tier_of, wanted_run_id
from burnish.core.errors import UsageError
from burnish.core.paths import Project, find_project


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder that is empty, and where we work a folder beside it."""
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


@pytest.fixture
def project(home):
    """A project of which the project file says what is given."""

    def make(**settings):
        root = Path.cwd()
        file = root / "burnish.toml"
        return Project(root, root / ".burnish", root / ".burnish/runs", file, settings)

    return make


def usage(call):
    with pytest.raises(UsageError) as caught:
        call()
    return caught.value.message, caught.value.origin, caught.value.hint


@pytest.mark.parametrize(
    ("name", "tier"),
    [
        ("CUDA_VISIBLE_DEVICES", "system"),
        ("OMP_NUM_THREADS", "system"),
        ("NCCL_DEBUG", "system"),
        ("WORLD_SIZE", "system"),
        ("LLM_DATA_ROOT", "project"),
        ("LLM_CHECKPOINT_DIR", "project"),
        ("WANDB_API_KEY", "project"),
        ("HF_TOKEN", "project"),
        ("MLFLOW_TRACKING_URI", "project"),
        ("LLM_EXPERIMENT_NAME", "experiment"),
        ("LLM_RUN_ID", "experiment"),
        ("LLM_DEBUG_MODE", "experiment"),
        ("LLM_TRAINING__LEARNING_RATE", "experiment"),
        ("LLM__SEED", "experiment"),
        ("PATH", None),
        ("RANKING", None),
    ],
)
def test_every_variable_has_one_tier(name, tier):
    assert tier_of(name, "LLM_") == tier


# --- LLM_EXPERIMENT_NAME


@pytest.fixture
def named(register, compose):
    from burnish.experiment.config import ExperimentConfig

    register("experiments", "demo", ExperimentConfig)
    return compose


def test_experiment_name_sets_name_and_group(named):
    resolved = named("", environ={"LLM_EXPERIMENT_NAME": " ablation "})
    assert (resolved.values["name"], resolved.values["group"]) == ("ablation", "ablation")
    assert str(resolved.origins["group"]) == "env LLM_EXPERIMENT_NAME"


def test_experiment_name_beats_the_file(named):
    assert named("name: x\ngroup: y", environ={"LLM_EXPERIMENT_NAME": "z"}).values["group"] == "z"


def test_flag_beats_the_experiment_name(named):
    values = named("", environ={"LLM_EXPERIMENT_NAME": "z"}, flags=["--group=g"]).values
    assert (values["name"], values["group"]) == ("z", "g")


def test_variable_of_the_key_itself_beats_the_experiment_name(named):
    assert named("", environ={"LLM_EXPERIMENT_NAME": "z", "LLM__NAME": "n"}).values["name"] == "n"


def test_empty_experiment_name_says_nothing(named):
    assert named("name: x", environ={"LLM_EXPERIMENT_NAME": "  "}).values["name"] == "x"


def test_experiment_name_that_looks_like_a_number_stays_text(named):
    assert named("", environ={"LLM_EXPERIMENT_NAME": "007"}).values["name"] == "007"


def test_experiment_name_that_is_no_text_is_told(named, told):
    assert told(lambda: named("", environ={"LLM_EXPERIMENT_NAME": "a\udcff"})) == [
        ("a byte that is not UTF-8", "env LLM_EXPERIMENT_NAME", "")
    ]


def test_experiment_name_sets_only_what_the_experiment_has(compose):
    assert compose("", environ={"LLM_EXPERIMENT_NAME": "z"}).values["name"] == "z"  # it has no group


def test_experiment_name_is_in_the_runs_name_and_record(burnish):
    burnish.environ["LLM_EXPERIMENT_NAME"] = "Ablation 1"
    burnish("run", burnish.toy(max_steps=1), "--quiet")
    (record,) = burnish.records()
    assert (record["experiment"], record["group"]) == ("Ablation 1", "Ablation 1")
    assert "_ablation-1_" in record["name"]


def test_experiment_name_names_plain_commands_too(burnish):
    burnish.environ["LLM_EXPERIMENT_NAME"] = "probe"
    burnish("run", "--quiet", "--", "true")
    (record,) = burnish.records()
    assert (record["experiment"], record["group"]) == ("probe", "probe")


# --- values of top-level keys


def test_top_level_key_has_an_empty_section(compose):
    resolved = compose("", environ={"LLM__SEED": "4"})
    assert (resolved.values["seed"], str(resolved.origins["seed"])) == (4, "env LLM__SEED")


def test_variable_that_looks_like_a_top_level_key_is_warned_of(compose):
    resolved = compose("", environ={"LLM_SEED": "4"})
    assert resolved.values["seed"] == 0
    assert resolved.warnings == ("LLM_SEED sets nothing; a top-level key is set by LLM__SEED",)


def test_variable_of_another_tool_is_not_warned_of(compose):
    assert compose("", environ={"LLM_API_BASE": "x", "SEED": "3", "LLM_RUN_ID": "k7f2"}).warnings == ()


def test_unknown_variable_is_told_with_the_nearest(problems_in):
    assert problems_in("", environ={"LLM__SEDE": "4"}) == [
        ("unknown key 'sede'", "env LLM__SEDE", "did you mean LLM__SEED?")
    ]


# --- LLM_RUN_ID


def test_run_id_is_the_last_part_of_the_runs_name(burnish):
    burnish.environ["LLM_RUN_ID"] = "abc-1.5"
    burnish("run", burnish.toy(max_steps=1), "--quiet")
    (record,) = burnish.records()
    assert record["id"] == "abc-1.5"
    assert record["name"].endswith("_abc-1.5")


def test_run_id_of_a_plain_script_is_the_last_part_too(burnish):
    burnish.environ["LLM_RUN_ID"] = "mine"
    burnish.write("s.py", "import burnish\nburnish.log({'x': 1.0})\n")
    subprocess.run([sys.executable, "s.py"], cwd=burnish.root, env=burnish.environ, check=True)
    assert [record["id"] for record in burnish.records()] == ["mine"]


def test_second_use_of_the_id_of_a_finished_run_is_refused(burnish):
    burnish.environ["LLM_RUN_ID"] = "abc"
    toy = burnish.toy(max_steps=1)
    burnish("run", toy, "--quiet")
    done = burnish("run", toy, "--quiet")
    assert (done.returncode, done.stderr) == (
        1,
        "error: run abc exists already and is finished (env LLM_RUN_ID)\nhint: set another LLM_RUN_ID, or unset it\n",
    )


def test_second_use_of_the_id_of_a_failed_run_is_told_to_resume_it(burnish):
    burnish.environ["LLM_RUN_ID"] = "abc"
    toy = burnish.toy(max_steps=3, fail_in="train", fail_at=1)
    burnish("run", toy, "--quiet")
    assert burnish("run", toy, "--quiet").stderr == (
        "error: run abc exists already and is failed (env LLM_RUN_ID)\n"
        "hint: go on with it: burnish run --resume abc; or set another LLM_RUN_ID\n"
    )


def test_second_live_use_of_an_id_is_refused(burnish, eventually):
    burnish.environ["LLM_RUN_ID"] = "abc"
    toy = burnish.toy(max_steps=1000, step_s=0.05)
    first = burnish.start("run", toy, "--quiet")
    try:
        eventually(lambda: any(r["state"] == "running" for r in burnish.records()), "the first run to run")
        done = burnish("run", toy, "--quiet")
        assert (done.returncode, done.stderr) == (
            1,
            "error: run abc exists already and is running (env LLM_RUN_ID)\n"
            "hint: set another LLM_RUN_ID, or unset it\n",
        )
    finally:
        first.terminate()
        first.communicate(timeout=30)
    assert len(burnish.records()) == 1


CLAIM = """
import sys, time
from pathlib import Path
from burnish.core.errors import RunError
from burnish.core.paths import Project
from burnish.track.start import create_run_directory
root = Path(sys.argv[1])
Path(sys.argv[2]).touch()
while not (root / "go").exists():
    pass
try:
    print(create_run_directory(Project(root, root, root / "runs"), ["x"], time.time(), {"LLM_RUN_ID": "abc"}).id)
except RunError as error:
    print(error)
"""


def test_of_two_processes_that_want_an_id_at_one_moment_one_gets_it(tmp_path, eventually):
    (tmp_path / "runs").mkdir()
    ready = [tmp_path / f"ready{n}" for n in range(2)]
    both = [
        subprocess.Popen([sys.executable, "-c", CLAIM, tmp_path, file], stdout=subprocess.PIPE, text=True)
        for file in ready
    ]
    eventually(lambda: all(file.exists() for file in ready), "both to be ready")
    (tmp_path / "go").touch()
    said = sorted(process.communicate(timeout=30)[0].strip() for process in both)
    assert said == ["abc", "run abc exists already and is created (env LLM_RUN_ID)"]
    assert len([path for path in (tmp_path / "runs").iterdir() if path.is_dir()]) == 1


@pytest.mark.parametrize("text", ["a/b", "..", "a_b", "-x", ".x", "a b", "x" * 41, "é", "a\nb", "$x"])
def test_id_that_no_folder_can_end_in_is_refused(text):
    assert usage(lambda: wanted_run_id({"LLM_RUN_ID": text}, "LLM_")) == (
        f"{text!r} cannot be the id of a run",
        "env LLM_RUN_ID",
        "up to 40 letters, digits, dots and hyphens",
    )


@pytest.mark.parametrize(("text", "found"), [("k7f2", "k7f2"), (" A-1.b ", "A-1.b"), ("", ""), ("x" * 40, "x" * 40)])
def test_id_is_taken_as_written(text, found):
    assert wanted_run_id({"LLM_RUN_ID": text}, "LLM_") == found


def test_bad_id_is_told_before_anything_is_made(burnish):
    burnish.environ["LLM_RUN_ID"] = "a/b"
    done = burnish("run", burnish.toy(max_steps=1))
    assert (done.returncode, done.stderr) == (
        2,
        "error: 'a/b' cannot be the id of a run (env LLM_RUN_ID)\nhint: up to 40 letters, digits, dots and hyphens\n",
    )
    assert burnish.records() == []


# --- LLM_DEBUG_MODE


@pytest.mark.parametrize(
    ("text", "found"),
    [("1", True), ("true", True), ("YES", True), (" True ", True), ("", False), ("0", False), ("No", False)],
)
def test_debug_mode_is_yes_or_no(text, found):
    assert is_debug({"LLM_DEBUG_MODE": text}, "LLM_") is found


def test_debug_mode_that_is_not_set_is_no():
    assert is_debug({}, "LLM_") is False


def test_debug_mode_that_is_neither_is_told():
    assert usage(lambda: is_debug({"LLM_DEBUG_MODE": "on"}, "LLM_")) == (
        "'on' is neither yes nor no",
        "env LLM_DEBUG_MODE",
        "1, true or yes; 0, false or no",
    )


def test_debug_mode_runs_one_step_like_the_flag(burnish):
    burnish.environ["LLM_DEBUG_MODE"] = "yes"
    done = burnish("run", burnish.toy(max_steps=20))
    assert "(debug: one step, in the foreground)" in done.stderr
    (record,) = burnish.records()
    assert (record["debug"], record["state"]) == (True, "finished")


# --- the project file


@pytest.mark.parametrize(
    ("name", "text"),
    [("burnish.toml", 'env_prefix = "ACME_"\n'), ("pyproject.toml", '[tool.burnish]\nenv_prefix = "ACME_"\n')],
)
def test_prefix_is_that_of_the_project_file(home, name, text):
    Path(name).write_text(text)
    assert find_project().env_prefix == "ACME_"


def test_other_prefix_is_that_of_every_variable_of_ours(burnish):
    burnish.write("burnish.toml", 'env_prefix = "ACME_"\n')
    burnish.environ |= {
        "ACME_EXPERIMENT_NAME": "renamed",
        "ACME_RUN_ID": "xyz",
        "ACME__MAX_STEPS": "2",
        "LLM_MAX_STEPS": "9",
        "LLM__NO_SUCH_KEY": "1",
    }
    burnish("run", burnish.toy(), "--quiet")
    (record,) = burnish.records()
    assert (record["id"], record["experiment"]) == ("xyz", "renamed")
    shown = burnish.json("config", "show", "xyz", "max_steps")
    assert (shown["values"], shown["origins"]) == ({"max_steps": 2}, {"max_steps": "env ACME__MAX_STEPS"})


def test_hint_names_the_variable_with_the_projects_prefix(resolve_file, folder, told):
    (folder / "e.yaml").write_text("experiment: demo\n")
    found = told(lambda: resolve_file("e.yaml", environ={"ACME__SEDE": "1"}, settings={"env_prefix": "ACME_"}))
    assert found == [("unknown key 'sede'", "env ACME__SEDE", "did you mean ACME__SEED?")]


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("env_prefx = 'A_'", "unknown key 'env_prefx' in the project file", "did you mean env_prefix?"),
        ("zzz = 1", "unknown key 'zzz' in the project file", "there are data_root, env_prefix, sweep_limit"),
        ("data_root = 3", "data_root: should be str, not 3", ""),
        ("sweep_limit = true", "sweep_limit: should be int, not True", ""),
        ("env_prefix = 'acme'", "env_prefix: 'acme' is no prefix", 'such as env_prefix = "ACME_"'),
    ],
)
@pytest.mark.parametrize("name", ["burnish.toml", "pyproject.toml"])
def test_mistake_in_the_project_file_is_told(home, name, text, message, hint):
    file = Path.cwd() / name
    file.write_text(text if name == "burnish.toml" else f"[tool.burnish]\n{text}\n")
    assert usage(find_project) == (message, str(file), hint)


def test_two_project_files_are_an_error(home):
    Path("burnish.toml").write_text("")
    Path("pyproject.toml").write_text("[tool.burnish]\n")
    here = Path.cwd()
    assert usage(find_project) == (
        f"two project files: {here / 'burnish.toml'} and [tool.burnish] in {here / 'pyproject.toml'}",
        "",
        "keep one of them",
    )


@pytest.mark.parametrize("content", [b"a = [", b"\xff\xfe", b"a = 1\na = 2\n"])
def test_broken_project_file_is_one_clear_error(home, content):
    Path("burnish.toml").write_bytes(content)
    message, origin, _ = usage(find_project)
    assert message.startswith("cannot read the project file: ")
    assert origin == str(Path.cwd() / "burnish.toml")


# --- the data root


def test_data_root_of_the_variable_comes_first(project):
    Path("data").mkdir()
    Path("stated").mkdir()
    assert data_root({"LLM_DATA_ROOT": "stated"}, project(data_root="data")) == (
        Path.cwd() / "stated",
        "env LLM_DATA_ROOT",
    )


def test_data_root_of_the_project_file_comes_second(project):
    Path("data").mkdir()
    Path("stated").mkdir()
    assert data_root({}, project(data_root="stated")) == (
        Path.cwd() / "stated",
        f"data_root in {Path.cwd() / 'burnish.toml'}",
    )


def test_data_folder_of_the_project_comes_third_and_that_of_the_home_last(project, home):
    (home / "data").mkdir()
    assert data_root({}, project())[0] == home / "data"
    Path("data").mkdir()
    assert data_root({}, project())[0] == Path.cwd() / "data"


def test_data_root_may_begin_at_the_home(project, home):
    (home / "big").mkdir()
    assert data_root({"LLM_DATA_ROOT": "~/big"}, project())[0] == home / "big"


def test_stated_data_root_that_is_no_folder_is_told_and_no_other_taken(project):
    Path("data").mkdir()
    assert usage(lambda: data_root({"LLM_DATA_ROOT": "/no/such"}, project())) == (
        "the data root /no/such is no folder",
        "env LLM_DATA_ROOT",
        "mkdir -p /no/such",
    )


def test_every_place_that_was_tried_is_named(project, home):
    here = Path.cwd()
    assert usage(lambda: data_root({}, project())) == (
        f"no data root; tried LLM_DATA_ROOT (not set), data_root in {here}/burnish.toml (not set), "
        f"{here}/data (no such folder), {home}/data (no such folder)",
        "",
        "export LLM_DATA_ROOT=/path/to/data",
    )


def test_places_that_were_tried_have_the_projects_prefix(project):
    assert usage(lambda: data_root({}, project(env_prefix="ACME_")))[2] == "export ACME_DATA_ROOT=/path/to/data"


def test_data_reference_is_a_path_below_the_data_root(compose, folder):
    (folder / "data/sets").mkdir(parents=True)
    (folder / "data/sets/a.jsonl").touch()
    resolved = compose("name: ${data:sets/a.jsonl}\nversion: <${data:sets}>")
    assert resolved.values["name"] == str(folder / "data/sets/a.jsonl")
    assert resolved.values["version"] == f"<{folder / 'data/sets'}>"
    assert str(resolved.origins["name"]) == "demo.yaml:1:7 via ${data:sets/a.jsonl}"


def test_data_that_is_not_there_is_told_at_the_place_of_the_reference(problems_in, folder):
    (folder / "data").mkdir()
    assert problems_in("name: ${data:a.jsonl}") == [
        (
            f"no a.jsonl in the data root {folder / 'data'} (there is such a folder)",
            "demo.yaml:1:7",
            "put it there, or set LLM_DATA_ROOT",
        )
    ]


def test_reference_without_any_data_root_names_every_place(problems_in, folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    ((message, origin, hint),) = problems_in("name: ${data:a.jsonl}")
    assert message.startswith("no data root; tried LLM_DATA_ROOT (not set), data_root in burnish.toml (not set), ")
    assert (origin, hint) == ("demo.yaml:1:7", "export LLM_DATA_ROOT=/path/to/data")


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "", "a/../../b"])
def test_data_outside_the_data_root_cannot_be_asked_for(project, name):
    Path("data").mkdir()
    message, _, hint = usage(lambda: find_data(name, {}, project()))
    assert (message, hint) == (f"${{data:{name}}} is no path below the data root", "${data:folder/file.jsonl}")


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "~no-such-user/x"])
def test_data_that_no_disk_could_hold_is_not_there(project, name):
    Path("data").mkdir()
    assert usage(lambda: find_data(name, {}, project()))[0].startswith(f"no {name} in the data root ")


@pytest.mark.parametrize("text", ["x" * 5000, "~no-such-user/data", "a\0b"])
def test_data_root_that_no_disk_could_hold_is_no_folder(project, text):
    assert usage(lambda: data_root({"LLM_DATA_ROOT": text}, project()))[0].endswith(" is no folder")


# --- the checkpoint folder


@pytest.mark.parametrize(
    ("text", "found"), [("", None), ("  ", None), ("/a/b", Path("/a/b")), (" ckpt ", Path("WORK/ckpt"))]
)
def test_checkpoint_folder_is_a_path_from_here(home, text, found):
    wanted = Path(str(found).replace("WORK", str(Path.cwd()))) if found else None
    assert checkpoint_root({"LLM_CHECKPOINT_DIR": text}, "LLM_") == wanted


def test_checkpoint_folder_may_begin_at_the_home(home):
    assert checkpoint_root({"LLM_CHECKPOINT_DIR": "~/ckpt"}, "LLM_") == home / "ckpt"


def test_checkpoints_land_in_the_checkpoint_folder_and_the_run_links_to_it(burnish, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    burnish.environ["LLM_CHECKPOINT_DIR"] = str(elsewhere)
    done = burnish("run", burnish.toy(max_steps=2, keep_state=True), "--quiet")
    assert done.returncode == 0, done.stderr
    (record,) = burnish.records()
    link = burnish.runs / record["name"] / "checkpoints"
    assert link.is_symlink()
    assert link.resolve() == elsewhere / record["name"]
    assert [path.name for path in sorted((elsewhere / record["name"]).glob("*/manifest.json"))] == ["manifest.json"]


def test_checkpoint_folder_that_cannot_be_made_is_told(burnish):
    burnish.write("file", "")
    burnish.environ["LLM_CHECKPOINT_DIR"] = str(burnish.root / "file/below")
    done = burnish("run", burnish.toy(max_steps=1), "--quiet")
    assert done.returncode == 1
    assert "hint: it is LLM_CHECKPOINT_DIR\n" in done.stderr
