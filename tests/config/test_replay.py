"""Running the config of a run again: the same values, open ones open again, flags over it, the run as origin."""

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import SecretStr

from burnish.config import Config, Smart, resolve
from burnish.config.interpolate import RunReference
from burnish.config.snapshot import layer_of_run, read_snapshot, take_snapshot, write_snapshot
from burnish.core.hardware import Gpu, Machine
from burnish.core.paths import Project, RunPaths
from burnish.experiment.submit import resolve_experiment

CPU = Machine((), 4, "no NVIDIA driver")
AMPERE = Machine((Gpu(0, "A100", "u", 80 << 30, (8, 0), "1"),), 4)
SECRET = "hf_abcdefghijk"


class ReplayTraining(Config):
    device: Annotated[Literal["auto", "cpu", "cuda"], Smart("device")] = "auto"
    batch_size: Annotated[int, Smart("batch")] = 8
    accumulation: Annotated[int, Smart("accumulation")] = 1
    gradient_checkpointing: bool = False
    steps: int = 100


class ReplayConfig(Config):
    experiment: str
    name: str = ""
    version: str = ""
    seed: int = 0
    tags: list[str] = []
    pin: SecretStr | None = None
    training: ReplayTraining = ReplayTraining()
    labels: dict[str, str] = {}
    extra: dict[str, Any] = {}


@pytest.fixture
def keep(register, compose, folder):
    """Resolve a config, write it into a run directory, return both."""
    register("experiments", "demo", ReplayConfig)

    def call(text="", machine=None, name="20260101_demo_k7f2", **words):
        resolved = compose(text, **words)
        resolved = resolved.on_machine(machine) if machine else resolved
        paths = RunPaths(folder / "runs" / name)
        paths.root.mkdir(parents=True, exist_ok=True)
        write_snapshot(resolved, paths)
        return resolved, paths

    return call


@pytest.fixture
def replay(lookup, folder):
    def call(paths, flags=(), environ=None, find_run=None):
        project = Project(folder, folder / ".burnish", folder / "runs")
        layer = layer_of_run(paths, flags)
        return resolve(layer, lookup=lookup, project=project, flags=flags, environ=environ or {}, find_run=find_run)

    return call


# --- the same values

TRICKY = r"""
name: "two\nlines"
version: 1.10
tags: [no, "1e-5", "~", "null", "0x1F", "+1", "- a", "a: b", "# c", "", " ", "é", "\u0085", "\u2028", "\ufeff"]
labels: {"1": one, a.b: dotted, "no": "yes", "": empty, "c++": plus, "x!": bang, "e[f]": brackets, ~: tilde}
extra:
  numbers: [1, 1.0, -0.0, 1e300, .inf, -.inf, .nan, 123456789012345678901234567890]
  words: [true, false, null, "true", "null", ".nan"]
  empty: [[], {}, [[]], [{}], ""]
  deep: {a: [{b: {c: [1, {d.e: 2}]}}]}
  dollars: ["$${name}", "$5", "$${", "a$${b}c"]
  plus: {c+: 1, d!: {e: 2}}
  literal: "~ delete"
"""


def test_replay_has_the_same_values_and_hashes(keep, replay):
    resolved, paths = keep(TRICKY)
    again = replay(paths)
    assert repr(again.values) == repr(resolved.values)
    assert (again.hash, again.group) == (resolved.hash, resolved.group)


def test_replay_of_a_replay_is_the_same_too(keep, replay, folder):
    resolved, paths = keep(TRICKY)
    second = RunPaths(folder / "runs/20260101_demo_b2c3")
    second.root.mkdir()
    write_snapshot(replay(paths), second)
    assert (second.config.read_bytes(), replay(second).hash) == (paths.config.read_bytes(), resolved.hash)


@pytest.mark.parametrize(
    "text",
    [
        "name: $${seed}",
        "labels: {a.b: c, d.e.f: g}",
        "extra: {a.b: {c.d: [1, {e.f: 2}]}}",
        "labels: {c++: a, 'x!': b}",
        "extra: {'tags+': [1]}",
        "extra: {a: [1, 2], 'a[1]': 3}",
        "extra: {a: {'0': x, '1': y}}",
        "tags: []\nlabels: {}\nextra: {a: [], b: {}}",
    ],
)
def test_value_that_could_be_read_as_a_form_is_kept(keep, replay, text):
    resolved, paths = keep(text)
    assert replay(paths).values == resolved.values


def test_value_of_a_variable_that_looks_like_a_reference_is_not_followed_in_a_replay(keep, replay):
    resolved, paths = keep("name: ${env:TEXT}", environ={"TEXT": "${seed}~${nope}"})
    assert replay(paths).values["name"] == resolved.values["name"] == "${seed}~${nope}"


def test_value_that_deletes_in_a_layer_is_text_in_a_replay(keep, replay):
    resolved, paths = keep("name: ${env:TEXT}\nextra: {a: '${env:TEXT}'}", environ={"TEXT": "~delete"})
    assert resolved.values["name"] == "~delete"
    assert replay(paths).values == resolved.values


def test_text_that_was_written_as_a_number_stays_text(keep, replay):
    _, paths = keep("version: 1.10\ntags: [1e-5, 012]")
    assert (replay(paths).values["version"], replay(paths).values["tags"]) == ("1.10", ["1e-5", "012"])


def test_variables_of_this_shell_do_not_enter_a_replay(keep, replay):
    resolved, paths = keep("seed: 3", environ={"LLM__VERSION": "v"})
    again = replay(paths, environ={"LLM__SEED": "9", "LLM_EXPERIMENT_NAME": "other", "LLM__NOPE": "1"})
    assert (again.values, again.hash) == (resolved.values, resolved.hash)


def test_user_and_project_files_do_not_enter_a_replay(keep, replay, folder):
    resolved, paths = keep("seed: 3")
    (folder / "experiments").mkdir()
    (folder / "experiments/default.yaml").write_text("version: new\n")
    assert replay(paths).values == resolved.values


# --- flags over it


def test_flags_go_over_the_config_of_the_run(keep, replay):
    resolved, paths = keep("seed: 3\nlabels: {a: b}\ntags: [x]")
    again = replay(paths, ["--seed=4", "--labels.c=d", "--tags+=[y]", "--training.steps", "5"])
    assert (again.values["seed"], again.values["labels"]) == (4, {"a": "b", "c": "d"})
    assert (again.values["tags"], again.values["training"]["steps"]) == (["x", "y"], 5)
    assert again.hash != resolved.hash


def test_flag_that_changes_only_the_seed_keeps_the_group(keep, replay):
    resolved, paths = keep("seed: 3")
    assert replay(paths, ["--seed=4"]).group == resolved.group


def test_misspelt_flag_of_a_replay_is_told(keep, replay, told):
    _, paths = keep("seed: 3")
    assert told(lambda: replay(paths, ["--sead=4"])) == [("unknown key 'sead'", "flag --sead", "did you mean --seed?")]


# --- origins


def test_origin_names_the_run_and_where_the_value_came_from_there(keep, replay):
    _, paths = keep("seed: 3", environ={"LLM__VERSION": "v"})
    origins = replay(paths).origins
    assert str(origins["seed"]) == "run k7f2 (demo.yaml:1:7)"
    assert str(origins["version"]) == "run k7f2 (env LLM__VERSION)"
    assert str(origins["training.steps"]).startswith("run k7f2 (default ")


def test_history_of_a_flag_over_a_run_names_both(keep, replay):
    _, paths = keep("seed: 3")
    history = [(value, str(origin)) for value, origin in replay(paths, ["--seed=4"]).history("seed")]
    assert history[:2] == [(4, "flag --seed"), (3, "run k7f2 (demo.yaml:1:7)")]


def test_origin_of_an_element_names_its_place_too(keep, replay):
    _, paths = keep("tags: [a, b]\nextra: {a: [{b: 1}]}")
    origins = replay(paths).origins
    assert str(origins["tags.1"]) == "run k7f2 (demo.yaml:1:11)"
    assert str(origins["extra.a.0.b"]) == "run k7f2 (demo.yaml:2:17)"


def test_run_without_origins_is_replayed_all_the_same(keep, replay):
    resolved, paths = keep("seed: 3")
    paths.origins.unlink()
    again = replay(paths)
    assert (again.hash, str(again.origins["seed"])) == (resolved.hash, f"run k7f2 ({paths.config}:4:7)")


# --- what the machine chose


def test_what_the_machine_chose_is_open_again(keep, replay):
    resolved, paths = keep("", machine=AMPERE)
    assert resolved.values["training"]["device"] == "cuda"
    again = replay(paths)
    assert (again.values["training"]["device"], again.is_undecided) == ("auto", True)
    assert again.on_machine(CPU).values["training"]["device"] == "cpu"


def test_on_the_same_machine_the_hash_is_the_same(keep, replay):
    resolved, paths = keep("training: {gradient_checkpointing: true}", machine=AMPERE)
    assert replay(paths).on_machine(AMPERE).hash == resolved.hash


def test_batch_that_was_lowered_is_lowered_again(keep, replay):
    _, paths = keep("training: {gradient_checkpointing: true}", machine=CPU)
    training = replay(paths).on_machine(CPU).values["training"]
    assert (training["batch_size"], training["accumulation"]) == (4, 2)


def test_batch_that_was_lowered_is_not_where_a_flag_sets_it(keep, replay):
    _, paths = keep("training: {gradient_checkpointing: true}", machine=CPU)
    training = replay(paths, ["--training.batch_size=6"]).on_machine(CPU).values["training"]
    assert (training["batch_size"], training["accumulation"]) == (6, 1)


def test_what_somebody_chose_is_not_open(keep, replay):
    _, paths = keep("training: {device: cpu}", machine=AMPERE)
    assert replay(paths).on_machine(AMPERE).values["training"]["device"] == "cpu"


# --- credentials


def test_credential_must_be_given_anew(keep, replay, told):
    _, paths = keep("extra: {api_key: planted-key}\nname: x")
    assert told(lambda: replay(paths)) == [
        (
            "extra.api_key was a credential, which is not kept on disk",
            "run k7f2",
            "give it anew: --extra.api_key '${env:NAME}'",
        )
    ]


def test_every_credential_that_is_missing_is_told(keep, replay, told):
    _, paths = keep("extra: {api_key: planted-key, token: other-key}\npin: secret-pin")
    found = told(lambda: replay(paths))
    assert [message.partition(" ")[0] for message, _, _ in found] == ["extra.api_key", "extra.token", "pin"]


@pytest.mark.parametrize(
    "flags",
    [
        ["--extra.api_key", "${env:KEY}"],
        ["extra.api_key=planted-key"],
        ["--extra", '{"api_key": "planted-key"}'],
    ],
)
def test_credential_that_is_given_anew_gives_the_same_hash(keep, replay, flags):
    resolved, paths = keep("extra: {api_key: planted-key}")
    again = replay(paths, flags, environ={"KEY": "planted-key"})
    assert (again.values["extra"]["api_key"], again.hash) == ("planted-key", resolved.hash)


def test_url_that_held_a_password_must_be_given_anew(keep, replay, told):
    _, paths = keep("name: https://me:planted@host/x")
    assert [hint for _, _, hint in told(lambda: replay(paths))] == ["give it anew: --name '${env:NAME}'"]


# --- lineage

REFERENCE = RunReference("/runs/x/checkpoints/7", "x", 7, "abc", "${run:sft@best}")


def test_lineage_is_kept(keep, replay):
    resolved, paths = keep("name: ${run:sft@best}", find_run=lambda text: REFERENCE)
    again = replay(paths)
    assert again.lineage == resolved.lineage == {"name": REFERENCE}
    assert (again.hash, again.group) == (resolved.hash, resolved.group)


def test_lineage_of_a_value_that_a_flag_replaces_is_gone(keep, replay):
    _, paths = keep("extra: {from: '${run:sft@best}'}", find_run=lambda text: REFERENCE)
    assert replay(paths, ["--extra.from=other"]).lineage == {}


# --- snapshots


def test_snapshot_reads_back_as_it_was_taken(keep):
    resolved, paths = keep(
        "seed: 3\nname: n${seed}\nextra: {api_key: planted-key}\nversion: ${run:sft@best}",
        machine=CPU,
        flags=["--seed=4"],
        find_run=lambda text: REFERENCE,
    )
    assert read_snapshot(paths) == take_snapshot(resolved)


def test_run_without_a_config_is_told(folder, told):
    paths = RunPaths(folder / "20260101_demo_k7f2")
    paths.root.mkdir()
    ((message, _, _),) = told(lambda: read_snapshot(paths))
    assert message == f"no such file: {paths.config}"


@pytest.mark.parametrize("content", [b"\xff", b"a: [", b"- 1\n", b"", b"a: 1\na: 2\n"])
def test_broken_config_of_a_run_is_one_clear_error(folder, told, content):
    paths = RunPaths(folder / "20260101_demo_k7f2")
    paths.root.mkdir()
    paths.config.write_bytes(content)
    paths.origins.write_text("{")
    if content == b"":
        assert read_snapshot(paths).values == {}
    else:
        assert len(told(lambda: read_snapshot(paths))) == 1


def test_run_of_a_built_in_experiment_is_resolved_again(folder):
    text = "experiment: sft\nmodel: tiny-llama\ndata: {name: reasoning-gym, family: chain_sum}\nseed: 5\n"
    (folder / "e.yaml").write_text(text)
    project = Project(folder, folder / ".burnish", folder / "runs")
    resolved = resolve_experiment(Path("e.yaml"), ["--training.max_steps=7"], project, {}).on_machine(CPU)
    paths = RunPaths(folder / "runs/20260101_sft_k7f2")
    paths.root.mkdir(parents=True)
    write_snapshot(resolved, paths)
    again = resolve_experiment(paths, ["--seed=6"], project, {"LLM__SEED": "9"}).on_machine(CPU)
    assert (again.values["seed"], again.values["training"]) == (6, resolved.values["training"])
    assert again.group == resolved.group
    assert str(again.origins["training.max_steps"]) == "run k7f2 (flag --training.max_steps)"


def test_run_is_started_again_by_the_command_line(burnish):
    burnish("run", burnish.toy(max_steps=2), "--quiet", "--seed=5")
    (first,) = burnish.records()
    done = burnish("run", "--from", first["id"], "--quiet", "--max_steps=3")
    assert done.returncode == 0, done.stderr
    second = next(record for record in burnish.records() if record["id"] != first["id"])
    assert (second["replays"], second["state"]) == (first["name"], "finished")
    shown = burnish.json("config", "show", second["id"])
    assert (shown["values"]["seed"], shown["values"]["max_steps"]) == (5, 3)
    assert shown["origins"]["seed"] == f"run {first['id']} (flag --seed)"
