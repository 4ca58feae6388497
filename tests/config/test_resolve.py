from pathlib import Path

import pytest
from pydantic import ValidationError

from burnish.config import load_static, resolve_flags
from burnish.config.interpolate import RunReference
from burnish.config.layer import plain
from burnish.core.hardware import Gpu, Machine

CPU = Machine((), 4, "no NVIDIA driver")
AMPERE = Machine((Gpu(0, "A100", "u", 80 << 30, (8, 0), "1"),), 4)
TURING = Machine((Gpu(0, "T4", "u", 16 << 30, (7, 5), "1"),), 4)


@pytest.fixture
def six_layers(compose, folder):
    (folder / "experiments").mkdir()
    (folder / "experiments/default.yaml").write_text("training: {max_steps: 2}\n")
    (folder / "user/burnish").mkdir(parents=True)
    (folder / "user/burnish/user.yaml").write_text("training: {max_steps: 3}\n")
    (folder / "base.yaml").write_text("training: {max_steps: 4}\n")
    return compose(
        "extends: base.yaml\ntraining:\n  max_steps: 5\n",
        environ={"LLM_TRAINING__MAX_STEPS": "6"},
        flags=["--training.max_steps", "7"],
    )


def test_history_lists_every_layer_from_flags_down_to_the_default(six_layers):
    *written, default = [(value, str(origin)) for value, origin in six_layers.history("training.max_steps")]
    assert written == [
        (7, "flag --training.max_steps"),
        (6, "env LLM_TRAINING__MAX_STEPS"),
        (5, "demo.yaml:3:14"),
        (4, "base.yaml:1:23"),
        (3, "user/burnish/user.yaml:1:23"),
        (2, "experiments/default.yaml:1:23"),
    ]
    assert default[0] == 100
    assert "conftest.py:" in default[1]


def test_the_flag_wins(six_layers):
    assert six_layers.config.training.max_steps == 7


def test_default_points_at_the_line_of_the_field_in_its_class(compose, schema):
    origin = compose("").origins["training.max_steps"]
    source = Path(__file__).with_name("conftest.py").read_text().splitlines()
    assert origin.kind == "default"
    assert source[origin.line - 1].strip().startswith("max_steps: int")


def test_default_of_a_component_in_a_list_points_at_its_own_class(compose):
    origin = compose("judges: [exact]").origins["judges.0.weight"]
    source = Path(__file__).with_name("conftest.py").read_text().splitlines()
    assert source[origin.line - 1].strip() == "weight: float = 1.0"


def test_every_leaf_has_an_origin(compose):
    resolved = compose("tags: [a, b]\nextra: {a: {b: [1, {c: 2}]}}\nmodel: gpt\njudges: [exact]\n")
    assert {"tags.1", "extra.a.b.1.c", "model.heads", "judges.0.weight", "weights"} <= resolved.origins.keys()


def test_nearer_parent_beats_a_further_one_and_later_names_beat_earlier(compose, folder):
    (folder / "far.yaml").write_text("name: far\nversion: far\nseed: 1\n")
    (folder / "sub").mkdir()
    (folder / "sub/near.yaml").write_text("extends: ../far.yaml\nname: near\nversion: near\n")
    (folder / "other.yaml").write_text("name: other\n")
    values = compose("extends: [sub/near.yaml, other.yaml]\n").values
    assert (values["name"], values["version"], values["seed"]) == ("other", "near", 1)


def test_files_append_to_what_they_extend(compose, folder):
    (folder / "base.yaml").write_text("tags+: [a]\n")
    assert compose("extends: base.yaml\ntags+: [b]\n", flags=["tags+=[c]"]).values["tags"] == ["a", "b", "c"]


def test_delete_brings_the_default_back(compose, folder):
    (folder / "base.yaml").write_text("training: {max_steps: 4}\n")
    assert compose("extends: base.yaml\ntraining: {max_steps: ~delete}\n").values["training"]["max_steps"] == 100


def test_component_named_by_a_word_alone_has_defaults_as_defaults(compose):
    origins = compose("model: gpt\n").origins
    assert (str(origins["model.name"]), origins["model.heads"].kind) == ("demo.yaml:1:8", "default")


def test_flag_deletes_what_a_file_sets(compose):
    assert compose("seed: 4\n", flags=["--seed=~delete"]).values["seed"] == 0


def test_reference_to_text_that_looks_like_a_number_fills_a_text_field_as_written(compose):
    assert compose("extra: {v: 1.10}\nversion: ${extra.v}\n").values["version"] == "1.10"


def test_static_look_reads_parents_and_follows_no_reference(folder):
    (folder / "base.yaml").write_text("a: 1\nb: ${env:NOPE}\n")
    (folder / "e.yaml").write_text("extends: base.yaml\nunknown: ${run:x@best}\n")
    assert plain(load_static(Path("e.yaml"))) == {"a": 1, "b": "${env:NOPE}", "unknown": "${run:x@best}"}


def test_text_field_keeps_what_was_written(compose):
    values = compose(
        "version: 1.10\nname: 012\ntags: [1e-5, true, 0x1F]\nlabels: {a.b: 1.10, c: 2.0}\nmodel: {name: gpt}\n"
    ).values
    assert (values["version"], values["name"]) == ("1.10", "012")
    assert (values["tags"], values["labels"]) == (["1e-5", "true", "0x1F"], {"a.b": "1.10", "c": "2.0"})


def test_config_cannot_be_changed(compose):
    resolved = compose("")
    with pytest.raises(ValidationError, match="frozen"):
        resolved.config.seed = 1
    with pytest.raises(ValidationError, match="frozen"):
        resolved.config.training.max_steps = 1
    with pytest.raises(AttributeError):
        resolved.values = {}


def test_hash_and_group_ignore_order_comments_and_spelling(compose):
    one = compose("seed: 1\ntraining: {max_steps: 5, learning_rate: 1e-4}\n")
    other = compose("# note\ntraining:\n  learning_rate: 0.0001  # same\n  max_steps: 0x5\nseed: 1\n")
    assert (one.hash, one.group) == (other.hash, other.group)


def test_group_ignores_seeds_names_and_tags_and_the_hash_does_not(compose):
    one = compose("seed: 1\nname: a\nextra: {data: {seed: 1}}\n")
    other = compose("seed: 2\nname: b\ntags: [x]\nextra: {data: {seed: 2}}\n")
    assert one.group == other.group
    assert one.hash != other.hash


def test_group_tells_other_settings_apart(compose):
    assert compose("training: {max_steps: 5}").group != compose("training: {max_steps: 6}").group


def test_hash_takes_not_a_number_and_infinity(compose):
    assert compose("extra: {a: .nan}").hash != compose("extra: {a: .inf}").hash


@pytest.mark.parametrize(
    ("machine", "text", "device", "bf16"),
    [
        (CPU, "", "cpu", False),
        (AMPERE, "", "cuda", True),
        (TURING, "", "cuda", False),
        (AMPERE, "training: {device: cpu}", "cpu", False),
        (CPU, "training: {bf16: true}", "cpu", True),
    ],
)
def test_auto_is_resolved_for_the_machine(compose, machine, text, device, bf16):
    training = compose(text).on_machine(machine).values["training"]
    assert (training["device"], training["bf16"]) == (device, bf16)


def test_what_the_machine_decided_has_it_as_origin_and_auto_in_its_history(compose):
    resolved = compose("training: {device: auto}").on_machine(CPU)
    assert str(resolved.origins["training.device"]) == "machine: 4 CPUs, no GPU (no NVIDIA driver)"
    assert [value for value, _ in resolved.history("training.device")] == ["cpu", "auto", "auto"]


def test_resolving_for_a_machine_leaves_the_config_as_it_was(compose):
    before = compose("")
    before.on_machine(AMPERE)
    assert before.values["training"]["device"] == "auto"


def test_resolving_twice_for_machines_keeps_the_first(compose):
    assert compose("").on_machine(CPU).on_machine(AMPERE).values["training"]["device"] == "cpu"


def test_run_reference_is_lineage(compose):
    reference = RunReference("/runs/x/checkpoints/7", "x", 7, "abc", "${run:sft@best}")
    resolved = compose("name: ${run:sft@best}", find_run=lambda text: reference)
    assert (resolved.values["name"], resolved.lineage) == (reference.path, {"name": reference})


def test_reference_takes_a_value_from_a_higher_layer(compose):
    assert compose("name: n${seed}", flags=["--seed=3"]).values["name"] == "n3"


def test_flags_alone_make_a_config(schema, lookup):
    resolved = resolve_flags(schema, ["--experiment=demo", "--seed=3"], lookup=lookup)
    assert (resolved.values["seed"], str(resolved.origins["seed"])) == (3, "flag --seed")


def test_file_that_two_parents_extend_stands_below_both(compose, folder):
    (folder / "root.yaml").write_text("seed: 1\n")
    (folder / "left.yaml").write_text("extends: root.yaml\nseed: 2\n")
    (folder / "right.yaml").write_text("extends: root.yaml\n")
    resolved = compose("extends: [left.yaml, right.yaml]\n")
    assert resolved.values["seed"] == 2


def told_history(resolved, path):
    return [(value, str(origin)) for value, origin in resolved.history(path)]


def test_history_of_an_element_names_the_list_that_was_replaced(compose, folder):
    (folder / "base.yaml").write_text("tags: [a, b]\n")
    assert told_history(compose("extends: base.yaml\ntags: [c]\n"), "tags.0") == [
        ("c", "demo.yaml:2:8"),
        ("a", "base.yaml:1:8"),
    ]


def test_history_of_a_removed_value_names_what_removed_it_and_what_it_was(compose, folder):
    (folder / "base.yaml").write_text("seed: 7\n")
    (value, origin), *lost = told_history(compose("extends: base.yaml\nseed: ~delete\n"), "seed")
    assert (value, origin.split()[0]) == (0, "default")
    assert lost[:2] == [("~delete", "demo.yaml:2:7"), (7, "base.yaml:1:7")]


def test_history_of_a_section_that_was_replaced_whole_names_what_it_held(compose, folder):
    (folder / "base.yaml").write_text("training: {max_steps: 9}\n")
    resolved = compose("extends: base.yaml\ntraining!: {warmup: 1}\n")
    assert (9, "base.yaml:1:23") in told_history(resolved, "training.max_steps")


def test_history_names_the_default_component_that_was_replaced(compose):
    given = told_history(compose("model: {name: gpt, heads: 2}"), "model.name")
    assert [value for value, _ in given] == ["gpt", "llama"]


def test_appended_elements_have_displaced_nothing(compose, folder):
    (folder / "base.yaml").write_text("tags: [a]\n")
    assert told_history(compose("extends: base.yaml\ntags+: [b]\n"), "tags.0") == [("a", "base.yaml:1:8")]


@pytest.mark.parametrize("text", ["name: dev-${training.device}", "version: ${training.bf16}"])
def test_what_is_chosen_where_the_run_starts_cannot_be_referred_to(problems_in, text):
    ((message, origin, hint),) = problems_in(text)
    assert "is not known before the run starts (default " in message
    assert origin.startswith("demo.yaml:1:")
    assert hint.startswith("set training.")


def test_mistakes_beside_a_boolean_in_a_list_are_all_told(problems_in):
    text = "judges: [{name: exact, weight: true}, {name: exact, weight: x}, nosuch]\n"
    assert [message.split(":")[0] for message, _, _ in problems_in(text)] == [
        "judges.0.weight",
        "judges.1.weight",
        "judges.2",
    ]


def test_thousands_of_unknown_keys_are_told_in_good_time(problems_in):
    found = problems_in("".join(f"key_{number}: 1\n" for number in range(5000)))
    assert len(found) == 5000
    assert found[4999][0] == "unknown key 'key_4999'"
