"""`burnish config` as a user meets it: results on stdout, the rest on stderr, exit codes, JSON, and no credential."""

import json
import re

import pytest

from burnish.project.migrate import KINDS

SECRET = "planted-secret-value"

JSONSCHEMA = "https://json-schema.org/draft/2020-12/schema"


@pytest.fixture
def project(burnish):
    """A parent, an experiment and a sweep."""
    burnish.toy()
    burnish.write("experiments/base.yaml", "max_steps: 10\nseed: 1\n")
    burnish.write("experiments/toy.yaml", "extends: base.yaml\nexperiment: toy:Toy\nmax_steps: 20\n")
    return burnish


def everything(done):
    return done.stdout + done.stderr


class TestCheck:
    def test_good_files_are_a_line_each(self, project):
        project.write("experiments/default.yaml", "name: x\n")
        project.write(
            "experiments/swept.yaml", "extends: base.yaml\nexperiment: toy:Toy\nsweep: {grid: {seed: [1, 2]}}\n"
        )
        done = project("config", "check")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines() == [
            "experiments/base.yaml: read, 2 values; extended by 2 files, and names no experiment itself",
            "experiments/default.yaml: read, 1 value below every experiment",
            "experiments/swept.yaml: fine, 21 parameters, 2 runs",
            "experiments/toy.yaml: fine, 21 parameters",
        ]

    def test_every_mistake_of_every_file_is_in_one_report(self, project):
        project.write("experiments/bad.yaml", "extends: toy.yaml\nmax_stpes: 3\nseed: x\n")
        project.write("experiments/broken.yaml", "tags: [\n")
        project.write("experiments/swept.yaml", "experiment: toy:Toy\nsweep: {grid: {max_steps: [1, 0, -1]}}\n")
        done = project("config", "check")
        assert done.returncode == 2
        assert done.stderr.splitlines() == [
            "error: seed: should be a valid integer, unable to parse string as an integer, not 'x' "
            "(experiments/bad.yaml:3:7)",
            "error: unknown key 'max_stpes' (experiments/bad.yaml:2:1)",
            "hint: did you mean max_steps?",
            "error: not YAML: did not find expected node content (experiments/broken.yaml:2:1)",
            "error: max_steps: should be greater than or equal to 1, not 0 (experiments/swept.yaml:2:31)",
            "error: max_steps: should be greater than or equal to 1, not -1 (experiments/swept.yaml:2:34)",
            "5 mistakes in 3 of 5 files",
        ]
        assert "experiments/toy.yaml: fine, 21 parameters" in done.stdout

    def test_json_is_one_object_by_file(self, project):
        project.write("experiments/bad.yaml", "extends: toy.yaml\nmax_stpes: 3\n")
        done = project("config", "check", "--json")
        assert (done.returncode, done.stderr) == (2, "")
        files = json.loads(done.stdout)["files"]
        assert files["experiments/bad.yaml"]["problems"] == [
            {
                "message": "unknown key 'max_stpes'",
                "origin": "experiments/bad.yaml:2:1",
                "hint": "did you mean max_steps?",
            }
        ]
        assert files["experiments/toy.yaml"] == {
            "role": "experiment",
            "problems": [],
            "warnings": [],
            "parameters": 21,
            "runs": None,
        }

    def test_flags_count_for_every_named_file(self, project):
        done = project("config", "check", "--seed", "-1", "experiments/toy.yaml", "experiments/base.yaml")
        assert done.returncode == 2
        assert done.stdout.splitlines() == [
            "experiments/base.yaml: read, 2 values; extended by 1 file, and names no experiment itself"
        ]
        assert done.stderr.splitlines()[0] == "error: seed: should be greater than or equal to 0, not -1 (flag --seed)"

    def test_a_named_file_that_nothing_extends_must_name_its_experiment(self, project):
        project.write("other.yaml", "seed: 1\n")
        done = project("config", "check", "other.yaml")
        assert done.returncode == 2
        assert done.stderr.startswith("error: missing key 'experiment' (other.yaml)\n")

    def test_a_run_that_is_still_to_come_is_a_warning_and_for_a_named_file_an_error(self, project):
        project.write("experiments/later.yaml", "extends: toy.yaml\nname: '${run:sft@best}'\n")
        why = f"no run and no finished experiment is called 'sft' in {project.runs}"
        done = project("config", "check")
        assert done.returncode == 0
        assert done.stderr == f"warning: experiments/later.yaml: ${{run:sft@best}} is still to come: {why}\n"
        done = project("config", "check", "experiments/later.yaml")
        assert done.returncode == 2
        assert done.stderr.startswith(f"error: {why} (experiments/later.yaml:2:7)\nhint: run it first: ")

    def test_what_belongs_to_the_rest_is_still_checked_where_a_run_is_to_come(self, project):
        project.write("experiments/later.yaml", "extends: toy.yaml\nname: '${run:sft@best}'\nseed: -1\n")
        done = project("config", "check")
        assert done.returncode == 2
        assert "seed: should be greater than or equal to 0, not -1 (experiments/later.yaml:3:7)" in done.stderr

    def test_warnings_of_a_config_go_to_stderr(self, project):
        project.environ["LLM_SEED"] = "3"
        done = project("config", "check", "experiments/toy.yaml")
        assert done.returncode == 0
        assert done.stderr == (
            "warning: experiments/toy.yaml: LLM_SEED sets nothing; a top-level key is set by LLM__SEED\n"
        )

    def test_a_project_without_files_says_what_to_type(self, burnish):
        done = burnish("config", "check")
        assert done.returncode == 2
        assert done.stderr == (
            f"error: no config files in {burnish.root / 'experiments'}\nhint: name one: burnish config check FILE\n"
        )


class TestDiff:
    def test_files_and_runs_are_compared(self, project):
        assert project("run", "experiments/toy.yaml", "--max_steps", "2").returncode == 0
        (run,) = project.json("ls")["runs"]
        done = project("config", "diff", "experiments/toy.yaml", run["id"])
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines() == [
            "a  experiments/toy.yaml",
            f"b  run {run['name']}",
            "",
            "max_steps: 20 → 2",
            "  a  experiments/toy.yaml:3:12",
            "  b  flag --max_steps  ← made the difference",
            "",
            "1 difference; different groups",
        ]

    def test_json_holds_values_origins_and_the_layer(self, project):
        project.write("experiments/b.yaml", "extends: toy.yaml\nseed: 2\n")
        shown = project.json("config", "diff", "experiments/toy.yaml", "experiments/b.yaml")
        assert (shown["same_hash"], shown["same_group"]) == (False, True)
        assert shown["differences"] == [
            {
                "key": "seed",
                "a": {"value": 1, "origin": "experiments/base.yaml:2:7"},
                "b": {"value": 2, "origin": "experiments/b.yaml:2:7"},
                "made_by": {"b": "experiments/b.yaml:2:7"},
            }
        ]
        assert shown["a"]["name"] == "experiments/toy.yaml"
        assert re.fullmatch(r"[0-9a-f]{16}", shown["b"]["hash"])

    def test_credentials_are_said_not_to_be_compared(self, project):
        project.environ["LLM__GROUP"] = project.environ["MY_TOKEN"] = SECRET
        done = project("config", "diff", "experiments/toy.yaml", "experiments/toy.yaml")
        assert done.stderr == "credentials are not kept, so these are not compared: group\n"

    def test_exit_code_says_whether_they_differ_where_that_is_asked(self, project):
        project.write("experiments/b.yaml", "extends: toy.yaml\nseed: 2\n")
        files = ("experiments/toy.yaml", "experiments/b.yaml")
        assert project("config", "diff", *files).returncode == 0
        assert project("config", "diff", *files, "--exit-code").returncode == 1
        same = project("config", "diff", files[0], files[0], "--exit-code")
        assert (same.returncode, same.stdout.splitlines()[-1]) == (0, "no differences, the same hash")

    def test_what_is_neither_file_nor_run_is_exit_2(self, project):
        done = project("config", "diff", "experiments/toy.yaml", "nope")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == "error: 'nope' is neither a config file nor a run\nhint: list the runs: burnish ls\n"


class TestSchema:
    def test_a_file_is_written_and_the_line_for_the_editor_is_said(self, project):
        done = project("config", "schema", "experiments/toy.yaml", "-o", ".burnish/schema/toy.json")
        assert (done.returncode, done.stdout) == (0, "")
        assert done.stderr.splitlines()[0].startswith("error") is False
        assert done.stderr.splitlines() == [
            "wrote .burnish/schema/toy.json; put this line on top of experiments/toy.yaml:",
            "# yaml-language-server: $schema=../.burnish/schema/toy.json",
        ]
        schema = json.loads((project.root / ".burnish/schema/toy.json").read_text())
        assert (schema["$schema"], schema["title"]) == (JSONSCHEMA, "Burnish experiment toy:Toy")
        assert schema["properties"]["keep_state"]["default"] is False

    def test_the_line_is_relative_to_the_file_wherever_that_lies(self, project):
        project.write("deep/er/x.yaml", "experiment: toy:Toy\n")
        done = project("config", "schema", "deep/er/x.yaml", "-o", "schema.json")
        assert done.stderr.endswith("# yaml-language-server: $schema=../../schema.json\n")

    def test_without_an_experiment_all_registered_ones_are_in_it(self, burnish):
        done = burnish("config", "schema")
        assert done.returncode == 0
        assert {"experiment sft", "experiment dpo", "experiment grpo"} <= json.loads(done.stdout)["$defs"].keys()
        assert done.stderr == ("to use it in an editor: burnish config schema -o .burnish/schema/experiment.json\n")

    def test_an_unknown_name_is_exit_2_with_the_nearest(self, burnish):
        done = burnish("config", "schema", "sfx", "--json")
        assert done.returncode == 2
        assert json.loads(done.stdout)["error"]["message"] == "no experiments component is called 'sfx'"
        assert json.loads(done.stdout)["error"]["hint"] == "did you mean sft?"


class TestStats:
    def test_a_table_and_findings_with_what_to_do(self, project):
        project.write("experiments/again.yaml", "extends: toy.yaml\nseed: 1\nmax_steps: 30\n")
        done = project("config", "stats")
        assert (done.returncode, done.stderr) == (0, "")
        lines = [line.rstrip() for line in done.stdout.splitlines()]
        assert [line.split() for line in lines[:3]] == [
            ["file", "parameters", "depth", "complexity", "extends"],
            ["experiments/again.yaml", "3", "1", "1.58", "experiments/toy.yaml,", "experiments/base.yaml"],
            ["experiments/toy.yaml", "3", "1", "1.58", "experiments/base.yaml"],
        ]
        assert lines[3:] == [
            "",
            "experiments/again.yaml:2:7: seed repeats 1",
            "  experiments/base.yaml:2:7 gives it already: remove it",
            "",
            "experiments/again.yaml:3:12: max_steps is overridden 2 times in experiments/again.yaml",
            "  30  (experiments/again.yaml:3:12)",
            "  20  (experiments/toy.yaml:3:12)",
            "  10  (experiments/base.yaml:1:12)",
            "  only the first counts here: remove those below it that no other file needs",
        ]

    def test_json_has_files_repeats_overridden_and_close(self, project):
        project.write("experiments/x.yaml", "experiment: toy:Toy\nmax_steps: 20\nseed: 2\n")
        shown = project.json("config", "stats")
        assert shown["files"]["experiments/x.yaml"] == {
            "parameters": 3,
            "depth": 1,
            "complexity": 1.58,
            "parents": [],
        }
        assert (shown["repeats"], shown["overridden"]) == ([], [])
        assert shown["close"] == [
            {
                "files": ["experiments/toy.yaml", "experiments/x.yaml"],
                "differences": 1,
                "keys": ["seed"],
                "shared": 2,
            }
        ]

    def test_a_file_that_cannot_be_read_is_exit_2(self, project):
        project.write("experiments/broken.yaml", "a: [\n")
        done = project("config", "stats")
        assert done.returncode == 2
        assert done.stderr == "error: not YAML: did not find expected node content (experiments/broken.yaml:2:1)\n"

    def test_credentials_are_masked(self, project):
        project.write("experiments/base.yaml", f"api_key: {SECRET}\n")
        project.write("experiments/toy.yaml", f"extends: base.yaml\nexperiment: toy:Toy\napi_key: {SECRET}\n")
        for words in ((), ("--json",)):
            done = project("config", "stats", *words)
            assert "api_key" in done.stdout
            assert SECRET not in everything(done)


class TestEnv:
    def test_variables_are_told_by_tier_with_what_they_do(self, project):
        project.environ = {
            name: value for name, value in project.environ.items() if name.startswith(("PATH", "HOME", "XDG", "LANG"))
        }
        project.environ |= {
            "LLM_EXPERIMENT_NAME": "night",
            "LLM__SEED": "3",
            "LLM_RETRY__BACKOFF_S": "2",
            "LLM_EXPERIMENT_NAM": "x",
            "LLM_DATA_ROOT": str(project.root),
            "HF_TOKEN": SECRET,
            "WANDB_BASE_URL": f"https://me:{SECRET}@wandb.local",
            "NCCL_DEBUG": "INFO",
        }
        done = project("config", "env")
        assert done.returncode == 0
        rows = [re.split(r"\s{2,}", line.rstrip()) for line in done.stdout.splitlines()]
        assert rows == [
            ["tier", "variable", "value", "what it does"],
            ["experiment", "LLM_EXPERIMENT_NAM", "x", "sets nothing; did you mean LLM_EXPERIMENT_NAME?"],
            ["experiment", "LLM_EXPERIMENT_NAME", "night", "names the run and its group"],
            ["experiment", "LLM_RETRY__BACKOFF_S", "2", "sets retry.backoff_s"],
            ["experiment", "LLM__SEED", "3", "sets seed"],
            ["project", "HF_TOKEN", "***", "credential of Hugging Face, never config"],
            ["project", "LLM_DATA_ROOT", str(project.root), "path: data root"],
            ["project", "WANDB_BASE_URL", "https://me:***@wandb.local", "setting of W&B, never config"],
            ["system", "NCCL_DEBUG", "INFO", "recorded, never config"],
            [""],
            ["prefix", "LLM_", "(default)"],
            ["data root", str(project.root), "(env LLM_DATA_ROOT)"],
        ]
        assert done.stderr == (
            "names are checked when an experiment is given: burnish config env experiments/sft.yaml\n"
        )

    def test_with_an_experiment_unknown_names_are_errors_with_the_nearest(self, project):
        project.environ |= {"LLM_RETRI__BACKOFF": "2", "LLM__SEDE": "3"}
        done = project("config", "env", "experiments/toy.yaml")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.splitlines() == [
            "error: unknown key 'retri.backoff' (env LLM_RETRI__BACKOFF)",
            "hint: did you mean LLM_RETRY__BACKOFF_S?",
            "error: unknown key 'sede' (env LLM__SEDE)",
            "hint: did you mean LLM__SEED?",
        ]

    def test_other_mistakes_of_the_experiment_are_left_to_check(self, project):
        project.write("experiments/bad.yaml", "extends: toy.yaml\nseed: x\n")
        done = project("config", "env", "experiments/bad.yaml")
        assert done.returncode == 0
        assert done.stderr == (
            "experiments/bad.yaml has mistakes that no variable makes: burnish config check experiments/bad.yaml\n"
        )

    def test_names_cannot_be_checked_against_a_file_that_names_no_experiment(self, project):
        project.environ["LLM_TRAINNG__LR"] = "1"
        done = project("config", "env", "experiments/base.yaml")
        assert done.returncode == 2
        assert done.stderr.startswith("error: missing key 'experiment' (experiments/base.yaml)\n")

    def test_where_there_is_no_data_root_every_place_that_was_tried_is_told(self, project):
        project.environ["HOME"] = str(project.root)
        shown = project.json("config", "env")
        assert shown["data_root"]["path"] is None
        places = f"{project.root}/data (no such folder), {project.root}/data (no such folder)"
        assert shown["data_root"]["error"]["message"] == (
            f"no data root; tried LLM_DATA_ROOT (not set), data_root in burnish.toml (not set), {places}"
        )

    def test_the_prefix_is_that_of_the_project_file(self, project):
        file = project.write("burnish.toml", 'env_prefix = "ACME_"\n')
        project.environ |= {"ACME__SEED": "3", "LLM__SEED": "4"}
        shown = project.json("config", "env")
        assert shown["prefix"] == {"value": "ACME_", "origin": f"env_prefix in {file}"}
        ours = [variable for variable in shown["variables"] if variable["tier"] == "experiment"]
        assert ours == [
            {"name": "ACME__SEED", "tier": "experiment", "value": "3", "effect": "sets seed", "sets": "seed"}
        ]

    def test_a_planted_secret_is_nowhere_in_the_output(self, project):
        project.environ |= {
            "MY_API_KEY": SECRET,
            "LLM_TRACKING__API_KEY": "another-secret-value",
            "LLM__EXTRA": "{password: third-secret-value, note: x}",
            "LLM__BROKEN": '{api_key: "fourth-secret-value"',
            "LLM_NOTE": f"was {SECRET}",
        }
        for words in ((), ("--json",), ("experiments/toy.yaml",), ("experiments/toy.yaml", "--json")):
            done = project("config", "env", *words)
            assert "LLM__EXTRA" in everything(done)
            assert "secret-value" not in everything(done)


class TestImport:
    RECIPE = f"base_model: a/b\nmicro_batch_size: 2\nlearning_rate: 1e-4\nfp8: true\nhub_token: {SECRET}\n"

    def test_the_experiment_goes_to_stdout_and_what_was_left_to_stderr(self, burnish):
        burnish.write("ax.yaml", self.RECIPE)
        done = burnish("config", "import", "ax.yaml")
        assert done.returncode == 0
        assert "experiment: sft\nmodel:\n  name: pretrained\n  path: a/b\n" in done.stdout
        told = done.stderr.splitlines()
        assert "not carried over: hub_token = '***' (ax.yaml:5:12): Burnish uploads nothing to a hub" in told
        assert any(line.startswith("not carried over: fp8 = true (ax.yaml:4:6): ") for line in told)
        assert told[-1] == "axolotl: 4 values carried over, 2 not"
        assert SECRET not in everything(done)

    def test_a_file_is_never_overwritten_unless_forced(self, burnish):
        burnish.write("ax.yaml", self.RECIPE)
        target = burnish.write("experiments/e.yaml", "mine\n")
        words = ("config", "import", "ax.yaml", "-o", "experiments/e.yaml")
        done = burnish(*words)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == ("error: experiments/e.yaml exists\nhint: another -o FILE, or --force to replace it\n")
        assert target.read_text() == "mine\n"
        done = burnish(*words, "--force")
        assert (done.returncode, done.stdout) == (0, "")
        assert done.stderr.splitlines()[-1] == "check it: burnish config check experiments/e.yaml"
        assert "experiment: sft" in target.read_text()
        assert SECRET not in target.read_text()

    def test_a_credential_that_would_be_carried_over_becomes_a_variable(self, burnish):
        burnish.write("t.yaml", f"model_name_or_path: a/b\nlr_scheduler_kwargs: {{api_key: {SECRET}}}\n")
        shown = burnish.json("config", "import", "t.yaml", "--kind", "trl")
        assert shown["experiment"]["training"]["trl"]["lr_scheduler_kwargs"] == {"api_key": "${env:API_KEY}"}
        assert any("export API_KEY" in note for note in shown["notes"])
        assert SECRET not in json.dumps(shown)

    def test_json_holds_the_experiment_and_both_lists(self, burnish):
        burnish.write("ax.yaml", self.RECIPE)
        shown = burnish.json("config", "import", "ax.yaml")
        assert shown["kind"] == "axolotl"
        assert {"path": "learning_rate", "origin": "ax.yaml:3:16", "to": "training.learning_rate"} in shown["carried"]
        assert [left["path"] for left in shown["left"]] == ["fp8", "hub_token"]

    def test_a_source_that_is_not_there_is_exit_2(self, burnish):
        done = burnish("config", "import", "nope.yaml")
        assert (done.returncode, done.stderr) == (2, "error: no such file: nope.yaml\n")

    def test_every_kind_that_there_is_can_be_chosen(self, burnish):
        assert "[" + "|".join(KINDS) + "]" in burnish("config", "import", "--help").stdout


PLANTED = f"experiment: toy:Toy\nseed: {{token: {SECRET}}}\napi_key: {SECRET}\nretry: {{backoff_s: {SECRET}}}\n"


@pytest.mark.parametrize("words", [("check",), ("check", "experiments/toy.yaml"), ("check", "--json")])
def test_a_secret_in_a_mistake_is_in_no_byte_of_the_report(project, words):
    project.write("experiments/toy.yaml", PLANTED)
    project.environ["MY_TOKEN"] = SECRET
    done = project("config", *words)
    assert done.returncode == 2
    assert "api_key" in everything(done)
    assert SECRET not in everything(done)


def test_a_secret_is_in_no_byte_of_a_diff(project):
    project.write(
        "toy.py", (project.root / "toy.py").read_text().replace("step_s: float", "api_key: str = ''\n    step_s: float")
    )
    project.write("experiments/a.yaml", f"experiment: toy:Toy\napi_key: {SECRET}\nname: x {SECRET}\n")
    project.environ |= {"MY_TOKEN": SECRET, "LLM__GROUP": SECRET}
    for words in ((), ("--json",)):
        done = project("config", "diff", "experiments/toy.yaml", "experiments/a.yaml", *words)
        assert done.returncode == 0
        assert "api_key" in everything(done)
        assert "x ***" in done.stdout
        assert SECRET not in everything(done)


HOSTILE = {
    "empty document with a tab": b"a:\n\t- b\n",
    "not closed": b"a: [1, {b: 2\n",
    "invalid UTF-8": b"a: \xff\xfe\n",
    "zeros": b"\0" * 100,
    "random bytes": bytes(range(256)),
    "two documents": b"a: 1\n---\nb: 2\n",
    "a list": b"- 1\n- 2\n",
    "a word": b"word\n",
    "duplicate keys": b"a: 1\nb: 2\na: 3\n",
    "a tag": b"a: !!python/object/apply:os.system [id]\n",
    "an unknown alias": b"a: *nope\n",
    "an alias of itself": b"a: &a [*a]\n",
    "an alias bomb": b"a: &a [x,x,x,x,x,x,x,x,x]\n"
    + b"".join(b"%c: &%c [%s]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 9)) for c in range(98, 110)),
    "10,000 levels": b"[" * 10_000,
    "10,000 levels of keys": b"{a: " * 10_000,
    "a key that is a list": b"? [1, 2]\n: 3\n",
    "extends itself": b"extends: hostile.yaml\n",
    "extends a number": b"extends: 3\n",
    "extends nothing that is there": b"extends: ../../nope/nope.yaml\n",
    "extends a zero byte": b'extends: "a\\0b"\n',
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_file_is_one_clear_error(burnish, content):
    (burnish.root / "hostile.yaml").write_bytes(content)
    done = burnish("config", "show", "hostile.yaml", "--static", "--json")
    assert (done.returncode, done.stderr) == (2, "")
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "config"
    assert re.match(r"hostile\.yaml(:\d+(:\d+)?)?$", error["origin"])


@pytest.mark.parametrize("command", ["check", "stats"])
def test_hostile_files_are_each_told_in_one_report(burnish, command):
    for number, content in enumerate(HOSTILE.values()):
        (burnish.root / f"{number}.yaml").write_bytes(content)
    files = [f"{number}.yaml" for number in range(len(HOSTILE))]
    done = burnish("config", command, *files, "--json")
    assert (done.returncode, done.stderr) == (2, "")
    shown = json.loads(done.stdout)
    if command == "check":
        assert [file for file in files if not shown["files"][file]["problems"]] == []
    else:
        origins = [problem["origin"].partition(":")[0] for problem in shown["error"]["problems"]]
        assert set(files) == set(origins)
