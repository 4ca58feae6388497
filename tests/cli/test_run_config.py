"""What `burnish run` does with a config: layers, sweeps, replays, variables; and what `config show` then tells."""

import inspect
import json

import pytest

from burnish.experiment import base


def test_show_names_winner_and_losers_of_a_run_with_four_layers(burnish):
    burnish.toy(extends="base.yaml", max_steps=3)
    burnish.write("experiments/base.yaml", "max_steps: 5\n")
    burnish.environ["LLM__MAX_STEPS"] = "4"
    assert burnish("run", "experiments/toy.yaml", "--max_steps", "2").returncode == 0
    del burnish.environ["LLM__MAX_STEPS"]  # the run keeps what it was started with
    (run,) = burnish.records()
    told = [
        "flag --max_steps",
        "env LLM__MAX_STEPS",
        "experiments/toy.yaml:2:12",
        "experiments/base.yaml:1:12",
        f"default burnish/experiment/base.py:{LINE_OF_MAX_STEPS}",
    ]
    expected = [f"{'max_steps':<38} = 2  ({told[0]})"]
    expected += [f"{'':<38}   beat {v}  ({o})" for v, o in zip((4, 3, 5, 100), told[1:], strict=True)]
    for words in (["max_steps"], [str(run["id"]), "max_steps"]):
        done = burnish("config", "show", *words, "--origins")
        assert done.stdout.splitlines() == expected


def test_a_sweep_says_how_many_runs_there_are_and_runs_them_all(burnish):
    file = burnish.toy(max_steps=1)
    done = burnish("run", file, "--sweep", "seed=0,1", "--zip", "save_every,evaluate_every=1:2,3:4", "--quiet")
    assert done.returncode == 0
    assert "4 runs\n  1  seed=0  save_every=1  evaluate_every=2\n  2  seed=0  save_every=3" in done.stderr
    assert done.stderr.rstrip().endswith("4 of 4 runs finished")
    records = burnish.records()
    assert [r["sweep"]["number"] for r in records] == [1, 2, 3, 4]
    assert len({r["sweep"]["id"] for r in records}) == 1
    assert records[3]["sweep"]["values"] == {"seed": 1, "save_every": 3, "evaluate_every": 4}
    shown = burnish.json("config", "show", records[3]["id"], "seed")
    assert (shown["values"], shown["origins"]) == ({"seed": 1}, {"seed": "flag --sweep seed"})


def test_repeats_of_a_sweep_over_seeds_are_one_group(burnish):
    file = burnish.toy(max_steps=1)
    burnish("run", file, "--sweep", "seed=0,1", "--quiet")
    burnish("run", file, "--max_steps", "2", "--quiet")
    first = burnish.records()[0]
    alike = burnish.json("ls", "--like", str(first["id"]))["runs"]
    assert sorted(r["sweep"]["number"] for r in alike) == [1, 2]
    assert len({r["config"]["hash"] for r in alike}) == 2


def test_every_variant_is_checked_before_the_first_one_starts(burnish):
    done = burnish("run", burnish.toy(), "--sweep", "max_steps=1,0", "--sweep", "sed=1,2")
    assert done.returncode == 2
    assert "error: max_steps: should be greater than or equal to 1, not 0 (flag --sweep max_steps)" in done.stderr
    assert "error: unknown key 'sed' (flag --sweep sed)\nhint: did you mean --seed?" in done.stderr
    assert burnish.records() == []


def test_a_sweep_above_the_limit_starts_only_when_confirmed(burnish):
    file = burnish.toy(max_steps=1)
    burnish.write("burnish.toml", "sweep_limit = 2\n")
    done = burnish("run", file, "--sweep", "seed=0,1,2")
    assert done.returncode == 2
    assert "error: the sweep has 3 runs, more than 2\nhint: --yes starts them" in done.stderr
    assert burnish.records() == []
    assert burnish("run", file, "--sweep", "seed=0,1,2", "--yes", "--quiet").returncode == 0
    assert len(burnish.records()) == 3


def test_a_dry_run_lists_the_runs_of_a_file_and_starts_none(burnish):
    burnish.write("toy.toml", 'experiment = "toy:Toy"\n[[run]]\nseed = 3\n[[run]]\nseed = 4\nmax_steps = 2\n')
    burnish.toy()
    listed = burnish.json("run", "toy.toml", "--dry-run")
    assert listed["runs"] == [{"seed": 3}, {"seed": 4, "max_steps": 2}]
    assert burnish.records() == []


def test_a_failing_run_does_not_end_its_sweep_and_its_exit_code_is_told(burnish):
    file = burnish.toy(max_steps=2, fail_in="step")
    done = burnish("run", file, "--sweep", "fail_at=0,-1", "--quiet")
    assert done.returncode == 1
    assert [r["state"] for r in burnish.records()] == ["failed", "finished"]
    assert "1 of 2 runs finished" in done.stderr


def test_a_run_is_run_again_from_its_own_record(burnish):
    file = burnish.toy(max_steps=2)
    burnish("run", file, "--seed", "7", "--quiet")
    (first,) = burnish.records()
    (burnish.root / file).unlink()
    assert burnish("run", "--from", str(first["id"]), "--quiet").returncode == 0
    assert burnish("run", "--from", str(first["id"]), "--max_steps", "3", "--quiet").returncode == 0
    _, same, other = burnish.records()
    assert (same["replays"], same["config"]) == (first["name"], first["config"])
    assert other["config"]["hash"] != first["config"]["hash"]
    shown = burnish.json("config", "show", str(other["id"]))
    assert shown["origins"]["seed"] == f"run {first['id']} (flag --seed)"
    assert shown["origins"]["max_steps"] == "flag --max_steps"


def test_from_and_a_file_together_are_refused(burnish):
    done = burnish("run", "--from", "k7f2", "experiments/toy.yaml")
    assert done.returncode == 2
    assert "--from takes the config of a run" in done.stderr


def test_variables_name_the_run_its_group_and_its_id(burnish):
    file = burnish.toy(max_steps=1)
    burnish.environ |= {"LLM_EXPERIMENT_NAME": "ablation", "LLM_RUN_ID": "job-17"}
    assert burnish("run", file, "--quiet").returncode == 0
    (record,) = burnish.records()
    assert (record["experiment"], record["group"], record["id"]) == ("ablation", "ablation", "job-17")
    done = burnish("run", file, "--quiet")
    assert done.returncode == 1
    assert done.stderr.startswith(
        "error: run job-17 exists already and is finished (env LLM_RUN_ID)\nhint: set another"
    )


def test_debug_mode_by_variable_is_the_flag(burnish):
    file = burnish.toy(max_steps=9)
    burnish.environ["LLM_DEBUG_MODE"] = "yes"
    assert "debug: one step" in burnish("run", file).stderr
    assert burnish.records()[0]["debug"] is True
    burnish.environ["LLM_DEBUG_MODE"] = "maybe"
    done = burnish("run", file)
    assert done.returncode == 2
    assert done.stderr == (
        "error: 'maybe' is neither yes nor no (env LLM_DEBUG_MODE)\nhint: 1, true or yes; 0, false or no\n"
    )


def test_checkpoints_can_live_elsewhere(burnish, tmp_path):
    burnish.environ["LLM_CHECKPOINT_DIR"] = str(tmp_path / "big-disk")
    assert burnish("run", burnish.toy(max_steps=2, keep_state=True), "--quiet").returncode == 0
    (record,) = burnish.records()
    kept = list((tmp_path / "big-disk" / str(record["name"])).glob("*/manifest.json"))
    assert kept
    assert (burnish.runs / str(record["name"]) / "checkpoints").is_symlink()


def test_help_lists_what_an_experiment_can_be_told_by_section(burnish):
    shown = burnish("run", burnish.toy(), "--help").stdout
    assert "Top level:" in shown
    assert "retry:" in shown
    top, retry = shown.split("Top level:")[1].split("retry:")
    assert top.split()[0:2] == ["--experiment", "TEXT"]  # required ones come first
    assert "env LLM__MAX_STEPS" in " ".join(top.split())
    assert "[default 1.0 s; ≥ 0; env LLM_RETRY__BACKOFF_S]" in " ".join(retry.split())


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("--retry.m", ["--retry.max_attempts"]), ("--sw", ["--sweep"]), ("--max", ["--max_steps"])],
)
def test_completion_offers_options_and_config_flags(burnish, typed, offered):
    file = burnish.toy()
    burnish.environ |= {
        "_BURNISH_COMPLETE": "bash_complete",
        "COMP_WORDS": f"burnish run {file} {typed}",
        "COMP_CWORD": "3",
    }
    done = burnish()
    assert [line.split(",", 1)[1] for line in done.stdout.splitlines()] == offered


def test_flag_of_a_field_itself_sets_it(burnish):
    burnish.write("experiments/sft.yaml", json.dumps({"experiment": "sft", "model": "tiny-llama", "data": DATA}))
    shown = burnish.json(
        "config", "show", "experiments/sft.yaml", "training", "-b", "4", "-lr", "1e-3", "--max-steps=7"
    )
    assert [shown["values"][f"training.{key}"] for key in ("batch_size", "learning_rate", "max_steps")] == [4, 1e-3, 7]
    assert shown["origins"]["training.learning_rate"] == "flag -lr"


LINE_OF_MAX_STEPS = (
    inspect.getsource(base)
    .splitlines()
    .index(next(line for line in inspect.getsource(base).splitlines() if line.startswith("    max_steps: int")))
    + 1
)
DATA = {"name": "reasoning-gym", "family": "spell_backward"}


def test_a_flag_on_a_swept_key_is_refused(burnish):
    done = burnish("run", burnish.toy(), "--seed", "3", "--sweep", "seed=0,1")
    assert done.returncode == 2
    assert "error: seed is swept, and set by a flag too (flag --seed)\nhint: --sweep seed=3" in done.stderr


def test_one_run_id_for_a_whole_sweep_is_refused_before_the_first_run(burnish):
    burnish.environ["LLM_RUN_ID"] = "mine"
    done = burnish("run", burnish.toy(), "--sweep", "seed=0,1")
    assert done.returncode == 2
    assert "error: LLM_RUN_ID names one run, and the sweep has 2\nhint: unset LLM_RUN_ID" in done.stderr
    assert burnish.records() == []


def test_a_swept_credential_is_neither_printed_nor_recorded(burnish):
    burnish.write(
        "exp.py",
        "from toy import Toy, ToyConfig\nclass C(ToyConfig):\n    api_key: str = ''\nclass E(Toy):\n    Config = C\n",
    )
    burnish.toy()
    burnish.write("e.yaml", "experiment: exp:E\nmax_steps: 1\n")
    done = burnish("run", "e.yaml", "--sweep", "api_key=plantedsecret1,plantedsecret2", "--json")
    assert done.returncode == 0, done.stderr
    assert "plantedsecret" not in done.stdout + done.stderr
    for path in burnish.runs.rglob("*"):
        if path.is_file():
            assert b"plantedsecret" not in path.read_bytes(), path


@pytest.mark.parametrize("words", [["--sweep", "--quiet"], ["--from"]])
def test_an_option_without_its_value_takes_no_other(burnish, words):
    done = burnish("run", burnish.toy(), *words)
    assert done.returncode == 2
    assert f"error: {words[0]} wants a value" in done.stderr


def test_a_dry_run_of_a_command_starts_nothing(burnish):
    done = burnish("run", "--dry-run", "--", "touch", "started")
    assert done.returncode == 2
    assert not (burnish.root / "started").exists()


def test_an_experiment_named_without_its_folder_is_told(burnish):
    burnish.toy()
    for words in (["run", "toy"], ["config", "show", "toy"]):
        assert burnish(*words).stderr.endswith("hint: did you mean experiments/toy.yaml?\n")


def test_what_a_python_layer_prints_is_no_result(burnish):
    burnish.toy(extends="computed.py")
    burnish.write("experiments/computed.py", "def configure(config):\n    print('hello')\n    return {'seed': 3}\n")
    assert burnish.json("config", "show", "experiments/toy.yaml")["values"]["seed"] == 3


def test_a_sweep_of_a_parent_is_its_childrens_too(burnish):
    burnish.toy(extends="swept.yaml")
    burnish.write("experiments/swept.yaml", "sweep: {grid: {seed: [1, 2]}}\n")
    assert len(burnish.json("run", "experiments/toy.yaml", "--dry-run")["runs"]) == 2


def test_a_sweep_in_the_project_defaults_is_refused(burnish):
    file = burnish.toy()
    burnish.write("experiments/default.yaml", "sweep: {grid: {seed: [1, 2]}}\n")
    assert "error: a sweep stands in experiment files only (experiments/default.yaml)" in burnish("run", file).stderr


def test_a_misspelt_option_is_told_from_a_flag_of_the_config(burnish):
    done = burnish("run", burnish.toy(), "--swep", "seed=1,2")
    assert done.stderr == "error: no option --swep\nhint: did you mean --sweep?\n"
    assert burnish("run", burnish.toy(), "--dry-run=true").stderr.startswith("error: --dry-run takes no value")


def test_a_flag_that_lost_its_value_is_no_text(burnish):
    done = burnish("run", burnish.toy(), "--name", "--seed", "3")
    assert done.stderr == "error: name: should be a valid string, not true (flag --name)\n"


def test_a_negated_flag_takes_no_file(burnish):
    assert burnish("run", "--no-keep_state", burnish.toy(), "--dry-run").returncode == 0


def test_variables_are_told_where_they_set_nothing(burnish):
    file = burnish.toy(max_steps=1)
    burnish.environ |= {"LLM_EXPERIMENT_NAM": "x", "LLM_SEED": "3"}
    told = burnish("run", file, "--quiet").stderr
    assert "warning: LLM_EXPERIMENT_NAM sets nothing; did you mean LLM_EXPERIMENT_NAME?" in told
    assert "warning: LLM_SEED sets nothing; a top-level key is set by LLM__SEED" in told
    (record,) = burnish.records()
    burnish.environ["LLM__SEED"] = "77"
    again = burnish("run", "--from", str(record["id"]), "--dry-run").stderr
    assert "warning: LLM__SEED sets nothing: the config of a run is frozen; set it by a flag" in again


def test_a_credential_that_was_never_given_is_not_wanted_by_a_replay(burnish):
    burnish.toy()
    burnish.write(
        "exp.py",
        "from toy import Toy, ToyConfig\nclass C(ToyConfig):\n    api_key: str = 'none-yet'\n"
        "class E(Toy):\n    Config = C\n",
    )
    burnish.write("e.yaml", "experiment: exp:E\nmax_steps: 1\n")
    assert burnish("run", "e.yaml", "--quiet").returncode == 0
    (first,) = burnish.records()
    assert burnish("run", "--from", str(first["id"]), "--quiet").returncode == 0
    _, again = burnish.records()
    assert again["config"] == first["config"]


def test_a_selector_as_long_as_no_name_is_no_run(burnish):
    done = burnish("run", "--from", "a" * 5000)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
