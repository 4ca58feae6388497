"""What is written, laid over the defaults that it overrides in part; old names; elements addressed in lists."""

from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import Field

from burnish.config import ComponentConfig, Config, component


class ScheduleConfig(Config):
    kind: str = "constant"
    warmup: int = 0
    decay: float = 0.1


class AdamConfig(ComponentConfig):
    renamed: ClassVar[dict[str, str]] = {"b2": "beta2"}
    beta1: float = 0.9
    beta2: float = 0.999


class SgdConfig(ComponentConfig):
    renamed: ClassVar[dict[str, str]] = {"mom": "momentum"}
    momentum: float = 0.0


class SourceConfig(Config):
    name: str
    weight: float = 1.0


class OptimizerSection(Config):
    renamed: ClassVar[dict[str, str]] = {"lr_schedule.warm": "schedule.warmup", "rate": "learning_rate"}
    learning_rate: float = 1e-3
    schedule: ScheduleConfig = ScheduleConfig(kind="cosine", warmup=10)


class MineConfig(Config):
    renamed: ClassVar[dict[str, str]] = {"max_lr": "training.learning_rate", "old_name": "name", "datasets": "sources"}
    experiment: str
    name: str = ""
    steps: int = Field(0, deprecated="use training.learning_rate")
    training: OptimizerSection = OptimizerSection()
    optimizer: component("optimizers") = AdamConfig(name="adam", beta1=0.8)
    rewards: list[component("rewards")] = [SgdConfig(name="exact", momentum=0.5), SgdConfig(name="format")]
    sources: list[SourceConfig] = [SourceConfig(name="web"), SourceConfig(name="books", weight=3.0)]
    extra: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def mine(register):
    register("experiments", "demo", MineConfig)
    register("optimizers", "adam", AdamConfig)
    register("optimizers", "sgd", SgdConfig)
    register("rewards", "exact", SgdConfig)
    register("rewards", "format", SgdConfig)


def line_of(text):
    lines = Path(__file__).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


# --- defaults that are overridden in part


def test_section_set_in_part_keeps_the_rest_of_the_default_that_its_field_declares(compose):
    schedule = compose("training: {schedule: {decay: 0.5}}").values["training"]["schedule"]
    assert schedule == {"kind": "cosine", "warmup": 10, "decay": 0.5}


def test_kept_part_of_a_default_section_has_the_line_that_declares_it(compose):
    origins = compose("training: {schedule: {decay: 0.5}}").origins
    assert origins["training.schedule.warmup"].kind == "default"
    assert origins["training.schedule.warmup"].line == line_of("schedule: ScheduleConfig = ScheduleConfig(")


def test_default_that_a_section_overrides_is_in_its_history(compose):
    history = compose("training: {schedule: {warmup: 3}}").history("training.schedule.warmup")
    assert [(value, origin.kind) for value, origin in history][:2] == [(3, "file"), (10, "default")]


def test_component_replaced_whole_drops_what_its_default_states(compose):
    assert compose("optimizer!: {name: adam, beta2: 0.5}").values["optimizer"] == {
        "name": "adam",
        "beta1": 0.9,
        "beta2": 0.5,
    }


def test_section_replaced_whole_over_another_file_drops_the_default_too(compose, folder):
    (folder / "base.yaml").write_text("training: {schedule: {warmup: 3}}\n")
    resolved = compose(
        "extends: base.yaml\ntraining: {schedule!: {decay: 0.5}}", flags=["--training.schedule.decay=0.6"]
    )
    assert resolved.values["training"]["schedule"] == {"kind": "constant", "warmup": 0, "decay": 0.6}


def test_list_that_a_higher_layer_writes_drops_what_a_lower_one_says_of_the_defaults_elements(compose):
    resolved = compose("sources[books].weight: 9", flags=["--sources=[{name: b}]"])
    assert resolved.values["sources"] == [{"name": "b", "weight": 1.0}]


def test_section_replaced_whole_drops_the_default_that_its_field_declares(compose):
    schedule = compose("training: {schedule!: {decay: 0.5}}").values["training"]["schedule"]
    assert schedule == {"kind": "constant", "warmup": 0, "decay": 0.5}


def test_field_of_the_default_component_is_set_without_naming_it(compose):
    assert compose("", flags=["--optimizer.beta2", "0.95"]).values["optimizer"] == {
        "name": "adam",
        "beta1": 0.8,
        "beta2": 0.95,
    }


def test_variable_sets_a_field_of_the_default_component(compose):
    assert compose("", environ={"LLM_OPTIMIZER__BETA1": "0.7"}).values["optimizer"]["beta1"] == 0.7


def test_naming_the_default_component_keeps_what_the_default_states(compose):
    assert compose("optimizer: {name: adam, beta2: 0.9}").values["optimizer"]["beta1"] == 0.8


def test_the_bare_name_of_the_default_component_is_the_default(compose):
    assert compose("optimizer: adam").values["optimizer"] == {"name": "adam", "beta1": 0.8, "beta2": 0.999}


def test_naming_another_component_drops_what_the_default_states(compose):
    assert compose("optimizer: {name: sgd, momentum: 0.9}").values["optimizer"] == {"name": "sgd", "momentum": 0.9}


def test_flag_sets_a_field_of_a_component_that_a_file_names_by_a_word_alone(compose, folder):
    resolved = compose("optimizer: sgd", flags=["--optimizer.momentum=0.3"])
    assert resolved.values["optimizer"] == {"name": "sgd", "momentum": 0.3}
    assert [str(resolved.origins[f"optimizer.{key}"]) for key in ("name", "momentum")] == [
        "demo.yaml:1:12",
        "flag --optimizer.momentum",
    ]


def test_file_sets_a_field_of_a_component_that_its_parent_names_by_a_word_alone(compose, folder):
    (folder / "base.yaml").write_text("optimizer: sgd\n")
    resolved = compose("extends: base.yaml\noptimizer: {momentum: 0.3}")
    assert resolved.values["optimizer"] == {"name": "sgd", "momentum": 0.3}
    assert str(resolved.origins["optimizer.name"]) == "base.yaml:1:12"


def test_three_layers_over_a_bare_name_keep_it(compose, folder):
    (folder / "base.yaml").write_text("optimizer: adam\n")
    resolved = compose(
        "extends: base.yaml\noptimizer: {beta1: 0.3}",
        flags=["--optimizer.beta2=0.5"],
        environ={"LLM_OPTIMIZER__BETA1": "0.4"},
    )
    assert resolved.values["optimizer"] == {"name": "adam", "beta1": 0.4, "beta2": 0.5}


def test_bare_name_over_a_section_of_another_component_leaves_nothing_of_it(compose, folder):
    (folder / "base.yaml").write_text("optimizer: {name: adam, beta1: 0.3}\n")
    assert compose("extends: base.yaml\noptimizer: sgd").values["optimizer"] == {"name": "sgd", "momentum": 0.0}


def test_field_of_the_default_component_under_another_one_is_told(problems_in):
    ((message, origin, _),) = problems_in("optimizer: {name: sgd, beta1: 0.5}")
    assert (message, origin) == ("unknown key 'optimizer.beta1'", "demo.yaml:1:24")


def test_misspelt_field_of_the_default_component_is_told_with_the_nearest(problems_in):
    assert problems_in("", flags=["--optimizer.bta1=1"]) == [
        ("unknown key 'optimizer.bta1'", "flag --optimizer.bta1", "did you mean --optimizer.beta1?")
    ]


def test_default_stays_as_it_was_for_the_next_config(compose):
    compose("training: {schedule: {warmup: 99}}")
    assert compose("").values["training"]["schedule"]["warmup"] == 10


class OuterSection(Config):
    optimizer: component("optimizers") = AdamConfig(name="adam")
    labels: dict[str, int] = {}
    other: int = 1


class OuterConfig(Config):
    experiment: str
    outer: OuterSection = OuterSection(optimizer=AdamConfig(name="adam", beta1=0.3), other=5)


@pytest.fixture
def outer(register, compose):
    register("experiments", "demo", OuterConfig)
    return lambda text: compose(text).values["outer"]


def test_component_inside_a_default_section_is_replaced_by_another(outer):
    found = outer("outer: {optimizer: {name: sgd, momentum: 0.5}}")
    assert (found["optimizer"], found["other"]) == ({"name": "sgd", "momentum": 0.5}, 5)


@pytest.mark.parametrize("text", ["adam", "{name: adam}", "{}"])
def test_component_inside_a_default_section_is_continued_however_it_is_named(outer, text):
    assert outer(f"outer: {{optimizer: {text}}}")["optimizer"]["beta1"] == 0.3


def test_key_that_ends_like_a_form_is_read_as_one_only_once(outer):
    assert outer("outer: {labels: {c+++: 1, d!!: 2}}")["labels"] == {"c++": 1, "d!": 2}


# --- old names


def test_old_name_of_a_key_sets_the_new_one_and_warns_with_its_place(compose):
    resolved = compose("max_lr: 0.5")
    assert resolved.values["training"]["learning_rate"] == 0.5
    assert resolved.warnings == ("max_lr is now training.learning_rate (demo.yaml:1:9)",)


@pytest.mark.parametrize(
    ("flags", "environ", "place"),
    [
        (["--training.rate=0.5"], {}, "flag --training.rate"),
        ([], {"LLM_TRAINING__RATE": "0.5"}, "env LLM_TRAINING__RATE"),
    ],
)
def test_old_name_of_a_nested_key_works_in_every_layer(compose, flags, environ, place):
    resolved = compose("", flags=flags, environ=environ)
    assert (resolved.values["training"]["learning_rate"], resolved.warnings) == (
        0.5,
        (f"training.rate is now training.learning_rate ({place})",),
    )
    assert str(resolved.origins["training.learning_rate"]) == place


def test_old_name_in_a_higher_layer_beats_the_new_one_below(compose):
    resolved = compose("training: {learning_rate: 0.1}", flags=["--max_lr=0.2"])
    assert [value for value, _ in resolved.history("training.learning_rate")][:2] == [0.2, 0.1]


def test_old_name_in_a_lower_layer_loses_to_the_new_one_above(compose):
    resolved = compose("max_lr: 0.1", flags=["--training.learning_rate=0.2"])
    assert [value for value, _ in resolved.history("training.learning_rate")][:2] == [0.2, 0.1]


def test_new_name_wins_where_one_file_writes_both(compose):
    resolved = compose("max_lr: 0.1\ntraining: {learning_rate: 0.2}")
    assert resolved.values["training"]["learning_rate"] == 0.2
    assert resolved.warnings == ("max_lr is now training.learning_rate (demo.yaml:1:9)",)


def test_each_layer_that_uses_an_old_name_is_told(compose):
    assert compose("old_name: a", flags=["--old_name=b"]).warnings == (
        "old_name is now name (demo.yaml:1:11)",
        "old_name is now name (flag --old_name)",
    )


def test_old_name_inside_a_component_moves_within_it(compose):
    resolved = compose("optimizer: {name: adam, b2: 0.5}")
    assert (resolved.values["optimizer"]["beta2"], resolved.warnings) == (
        0.5,
        ("optimizer.b2 is now optimizer.beta2 (demo.yaml:1:29)",),
    )


def test_old_name_inside_the_default_component_works_without_naming_it(compose):
    assert compose("optimizer: {b2: 0.5}").values["optimizer"]["beta2"] == 0.5


def test_old_name_inside_an_element_of_a_list_moves_within_it(compose):
    resolved = compose("rewards: [{name: exact, mom: 0.5}]", flags=["--rewards[exact].momentum=0.6"])
    assert resolved.values["rewards"] == [{"name": "exact", "momentum": 0.6}]
    assert resolved.warnings == ("rewards.0.mom is now rewards.0.momentum (demo.yaml:1:30)",)


def test_old_name_of_a_list_may_append(compose, folder):
    (folder / "base.yaml").write_text("sources: [{name: a}]\n")
    resolved = compose("extends: base.yaml\ndatasets+: [{name: b}]")
    assert [source["name"] for source in resolved.values["sources"]] == ["a", "b"]
    assert resolved.warnings == ("datasets is now sources (demo.yaml:2:12)",)


def test_old_path_of_two_levels_leaves_no_empty_section_behind(compose):
    resolved = compose("training: {lr_schedule: {warm: 4}}")
    assert resolved.values["training"]["schedule"] == {"kind": "cosine", "warmup": 4, "decay": 0.1}


def test_wrong_value_under_an_old_name_is_told_under_the_new_one(problems_in):
    assert problems_in("max_lr: fast") == [
        (
            "training.learning_rate: should be a valid number, unable to parse string as a number, not 'fast'",
            "demo.yaml:1:9",
            "",
        )
    ]


def test_deprecated_field_still_works_and_warns_with_its_own_words(compose):
    resolved = compose("steps: 3")
    assert (resolved.values["steps"], resolved.warnings) == (
        3,
        ("steps is deprecated: use training.learning_rate (demo.yaml:1:8)",),
    )


def test_deprecated_field_that_nobody_sets_is_not_mentioned(compose):
    assert compose("").warnings == ()


# --- elements of lists


def test_element_of_a_list_of_a_parent_is_addressed_by_name_and_by_number(compose, folder):
    (folder / "base.yaml").write_text("sources: [{name: a}, {name: b, weight: 2}]\n")
    resolved = compose("extends: base.yaml\nsources[a].weight: 5\nsources.1.weight: 6")
    assert resolved.values["sources"] == [{"name": "a", "weight": 5.0}, {"name": "b", "weight": 6.0}]
    assert [str(resolved.origins[f"sources.{n}.weight"]) for n in (0, 1)] == ["demo.yaml:2:20", "demo.yaml:3:19"]


@pytest.mark.parametrize("path", ["sources[books].weight", "sources.1.weight"])
@pytest.mark.parametrize("channel", ["file", "flag", "variable"])
def test_element_of_a_default_list_is_addressed_from_every_layer(compose, path, channel):
    flags = [f"--{path}=9"] if channel == "flag" else []
    environ = {f"LLM_{path.upper().replace('.', '__')}": "9"} if channel == "variable" else {}
    if channel == "variable" and "[" in path:
        environ = {"LLM_SOURCES[books]__WEIGHT": "9"}
    resolved = compose(f"{path}: 9" if channel == "file" else "", flags=flags, environ=environ)
    assert resolved.values["sources"] == [{"name": "web", "weight": 1.0}, {"name": "books", "weight": 9.0}]


def test_element_of_a_nested_section_is_addressed_in_a_section_too(compose):
    assert compose("sources: {'1': {weight: 4}}").values["sources"][1] == {"name": "books", "weight": 4.0}


def test_component_of_a_default_list_keeps_its_other_fields(compose):
    rewards = compose("rewards[exact].momentum: 0.7", flags=["--rewards.1.momentum=0.2"]).values["rewards"]
    assert rewards == [{"name": "exact", "momentum": 0.7}, {"name": "format", "momentum": 0.2}]


def test_element_written_as_a_bare_name_is_addressed(compose, folder):
    (folder / "base.yaml").write_text("rewards: [format, exact]\n")
    resolved = compose("extends: base.yaml", flags=["--rewards[exact].momentum=0.2"])
    assert resolved.values["rewards"] == [{"name": "format", "momentum": 0.0}, {"name": "exact", "momentum": 0.2}]


def test_element_remembers_what_it_displaced(compose, folder):
    (folder / "base.yaml").write_text("sources: [{name: a, weight: 2}]\n")
    resolved = compose("extends: base.yaml\nsources[a].weight: 5", flags=["--sources.0.weight=6"])
    assert [value for value, _ in resolved.history("sources.0.weight")][:3] == [6, 5, 2]


def test_element_of_the_list_that_the_same_file_writes_is_addressed(compose):
    assert compose("sources: [{name: a}]\nsources[a].weight: 2").values["sources"] == [{"name": "a", "weight": 2.0}]


def test_element_after_an_appended_one_is_addressed(compose, folder):
    (folder / "base.yaml").write_text("sources: [{name: a}]\n")
    resolved = compose("extends: base.yaml\nsources+: [{name: b}]", flags=["--sources[b].weight=7"])
    assert resolved.values["sources"][1] == {"name": "b", "weight": 7.0}


def test_element_is_deleted_by_name_and_by_number(compose, folder):
    (folder / "base.yaml").write_text("sources: [{name: a}, {name: b}, {name: c}]\n")
    resolved = compose("extends: base.yaml\nsources[b]: ~delete", flags=["--sources.0=~delete"])
    assert [source["name"] for source in resolved.values["sources"]] == ["c"]


def test_element_of_a_default_list_is_deleted(compose):
    assert [r["name"] for r in compose("rewards[exact]: ~delete").values["rewards"]] == ["format"]


@pytest.mark.parametrize(
    ("text", "message", "origin", "hint"),
    [
        ("sources.5.weight: 1", "sources has no element 5; its last element is 1", "demo.yaml:2:19", ""),
        ("sources[c].weight: 1", "sources has no element called 'c'", "demo.yaml:2:20", "there are alpha, beta"),
        (
            "sources[alhpa].weight: 1",
            "sources has no element called 'alhpa'",
            "demo.yaml:2:24",
            "did you mean sources[alpha]?",
        ),
        (
            "sources[alpha]: ~delete\nsources[gamma]: ~delete",
            "sources has no element called 'gamma'",
            "demo.yaml:3:1",
            "there are beta",
        ),
    ],
)
def test_element_that_is_not_there_is_told(problems_in, folder, text, message, origin, hint):
    (folder / "base.yaml").write_text("sources: [{name: alpha}, {name: beta}]\n")
    assert problems_in(f"extends: base.yaml\n{text}") == [(message, origin, hint)]


def test_element_of_a_default_list_that_is_not_there_is_told(problems_in):
    assert problems_in("", flags=["--sources.2.weight=1", "--rewards[exat].momentum=1"]) == [
        ("sources has no element 2; its last element is 1", "flag --sources.2.weight", ""),
        (
            "rewards has no element called 'exat'",
            "flag --rewards[exat].momentum",
            "did you mean rewards[exact]?",
        ),
    ]


def test_element_of_an_empty_list_is_told(problems_in):
    assert problems_in("sources: []", flags=["--sources.0.weight=1"]) == [
        ("sources has no element 0; it is empty", "flag --sources.0.weight", "")
    ]


def test_name_that_two_elements_have_is_told_to_be_ambiguous(problems_in, folder):
    (folder / "base.yaml").write_text("sources: [{name: a}, {name: a}]\n")
    assert problems_in("extends: base.yaml", environ={"LLM_SOURCES[a]__WEIGHT": "1"}) == [
        ("sources has 2 elements called 'a'", "env LLM_SOURCES[a]__WEIGHT", "address it by number")
    ]


def test_unknown_key_of_an_addressed_element_is_told(problems_in):
    assert problems_in("sources[web].wieght: 2") == [
        ("unknown key 'sources.0.wieght'", "demo.yaml:1:22", "did you mean sources.0.weight?")
    ]


def test_element_of_what_is_no_list_is_told(problems_in):
    assert problems_in("training[a].learning_rate: 2") == [
        ("unknown key 'training[a]'", "demo.yaml:1:28", "did you mean training?")
    ]


def test_several_elements_that_are_not_there_are_told_together(problems_in):
    found = problems_in("sources[x].weight: 1\nsources[y].weight: 2\nsources.7.weight: 3")
    assert [origin for _, origin, _ in found] == ["demo.yaml:1:20", "demo.yaml:2:20", "demo.yaml:3:19"]


# --- dotted keys


def test_dotted_key_at_the_top_of_a_file_is_a_path(compose):
    assert compose("training.schedule.warmup: 5").values["training"]["schedule"]["warmup"] == 5


def test_dotted_key_joins_the_section_that_the_file_writes(compose):
    training = compose("training: {learning_rate: 0.5}\ntraining.schedule.warmup: 5").values["training"]
    assert (training["learning_rate"], training["schedule"]["warmup"]) == (0.5, 5)


def test_dotted_key_of_toml_is_a_path_too(resolve_file, folder):
    (folder / "e.toml").write_text('experiment = "demo"\n"sources[web].weight" = 4\ntraining.schedule.warmup = 2\n')
    values = resolve_file("e.toml").values
    assert (values["sources"][0]["weight"], values["training"]["schedule"]["warmup"]) == (4.0, 2)


def test_dotted_key_inside_a_section_is_a_key_with_a_dot(compose):
    assert compose("extra: {a.b: 1}").values["extra"] == {"a.b": 1}


@pytest.mark.parametrize(
    ("text", "message", "origin"),
    [
        (
            "training: {learning_rate: 0.5}\ntraining.learning_rate: 0.6",
            "training.learning_rate is given twice in one file; it stands at line 1 already",
            "demo.yaml:2:1",
        ),
        (
            "training.learning_rate: 0.6\ntraining: {learning_rate: 0.5}",
            "training.learning_rate is given twice in one file; it stands at line 2 already",
            "demo.yaml:1:1",
        ),
        (
            "training.schedule.warmup: 1\ntraining.schedule: {warmup: 2}",
            "training.schedule is given twice in one file; it stands at line 1 already",
            "demo.yaml:2:1",
        ),
    ],
)
def test_value_that_one_file_gives_twice_is_told(problems_in, text, message, origin):
    assert problems_in(text) == [(message, origin, "")]


def test_dotted_key_appends_to_the_list_of_a_parent(compose, folder):
    (folder / "base.yaml").write_text("extra: {tags: [a]}\n")
    assert compose("extends: base.yaml\nextra.tags+: [b]").values["extra"] == {"tags": ["a", "b"]}


def test_dotted_key_deletes_what_a_parent_sets(compose, folder):
    (folder / "base.yaml").write_text("training: {learning_rate: 0.5}\n")
    assert compose("extends: base.yaml\ntraining.learning_rate: ~delete").values["training"]["learning_rate"] == 1e-3
