"""What makes two resolved configs differ."""

from dataclasses import replace

import pytest

from burnish.config.diff import diff, same
from burnish.config.interpolate import RunReference
from burnish.config.snapshot import Snapshot, take_snapshot


@pytest.fixture
def taken(compose):
    """Return the snapshot of the text of `demo.yaml`, its origins said to be of another file."""

    def take(text, name="demo.yaml", **words):
        snapshot = take_snapshot(compose(text, **words))
        rename = lambda origin: origin.replace("demo.yaml", name)  # noqa: E731
        return replace(
            snapshot,
            origins={path: rename(origin) for path, origin in snapshot.origins.items()},
            history={
                path: [(value, rename(origin)) for value, origin in given] for path, given in snapshot.history.items()
            },
        )

    return take


def changes(a, b):
    return [change.to_json() for change in diff(a, b).changes]


def test_equal_configs_have_no_differences_and_the_same_hash(taken):
    found = diff(taken("seed: 3\n"), taken("seed: 3\n"))
    assert (found.changes, found.computed, found.same_hash, found.same_group) == ((), (), True, True)


def test_a_difference_tells_both_values_both_origins_and_the_layer_that_made_it(taken):
    below, flagged = taken("training: {warmup: 5}\n"), taken("training: {warmup: 5}\n", flags=["--training.warmup=7"])
    assert changes(below, flagged) == [
        {
            "key": "training.warmup",
            "a": {"value": 5, "origin": "demo.yaml:1:20"},
            "b": {"value": 7, "origin": "flag --training.warmup"},
            "made_by": {"b": "flag"},
        }
    ]


def test_whoever_lacks_a_layer_did_not_make_the_difference(taken):
    a, b = taken("seed: 3\n", environ={"LLM__SEED": "4"}), taken("seed: 3\n")
    (change,) = changes(a, b)
    assert change["made_by"] == {"a": "env LLM__SEED"}


def test_against_a_default_the_file_made_the_difference(taken):
    (change,) = changes(taken(""), taken("seed: 3\n"))
    assert change["made_by"] == {"b": "demo.yaml:1:7"}
    assert change["a"]["origin"].startswith("default ")


def test_two_files_that_set_one_value_both_made_the_difference(taken):
    (change,) = changes(taken("seed: 3\n", "a.yaml"), taken("seed: 4\n", "b.yaml"))
    assert change["made_by"] == {"a": "a.yaml:1:7", "b": "b.yaml:1:7"}


def test_one_place_that_said_something_else_then_and_now_made_the_difference_in_both(taken):
    (change,) = changes(taken("seed: 3\n"), taken("seed: 4\n"))
    assert change["made_by"] == {"a": "demo.yaml:1:7", "b": "demo.yaml:1:7"}


def test_a_value_that_only_one_component_has_is_there_because_of_who_named_it(taken):
    found = {change["key"]: change for change in changes(taken(""), taken("model: gpt\n"))}
    assert found.keys() == {"model.name", "model.layers", "model.heads"}
    assert (found["model.layers"]["b"], found["model.heads"]["a"]) == (None, None)
    assert found["model.heads"]["b"]["value"] == 8
    assert found["model.heads"]["made_by"] == {"b": "demo.yaml:1:8"}


def test_lists_of_one_length_are_compared_by_element(taken):
    a, b = taken("tags: [x, y]\n"), taken("tags: [x, z]\n")
    assert [(change["key"], change["a"]["value"], change["b"]["value"]) for change in changes(a, b)] == [
        ("tags.1", "y", "z")
    ]


def test_lists_of_different_length_are_compared_as_a_whole_with_every_place(taken):
    (change,) = changes(taken("tags: [x, y]\n", "a.yaml"), taken("tags: []\n", "b.yaml"))
    assert change["key"] == "tags"
    assert change["a"] == {"value": ["x", "y"], "origin": "a.yaml:1:8, a.yaml:1:11"}
    assert change["b"] == {"value": [], "origin": "b.yaml:1:7"}
    assert change["made_by"] == {"a": "a.yaml:1:8, a.yaml:1:11", "b": "b.yaml:1:7"}


def test_a_section_against_a_value_is_told_by_leaf():
    a = Snapshot({"lora": None}, {"lora": "default x.py:1"})
    b = Snapshot({"lora": {"rank": 8}}, {"lora.rank": "b.yaml:2:9"})
    assert changes(a, b) == [
        {
            "key": "lora",
            "a": {"value": None, "origin": "default x.py:1"},
            "b": None,
            "made_by": {"a": "default"},
        },
        {"key": "lora.rank", "a": None, "b": {"value": 8, "origin": "b.yaml:2:9"}, "made_by": {"b": "b.yaml:2:9"}},
    ]


def test_a_key_with_dots_is_found():
    a, b = (Snapshot({"weights": {"v1.5": n}}, {"weights.v1.5": f"{n}.yaml"}) for n in (1, 2))
    assert [(change["key"], change["a"]["value"]) for change in changes(a, b)] == [("weights.v1.5", 1)]


@pytest.mark.parametrize(
    ("a", "b", "is_same"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (float("nan"), float("nan"), True),
        (float("nan"), 0.0, False),
        ("1", 1, False),
        (None, "", False),
        ([1, {"a": float("nan")}], [1.0, {"a": float("nan")}], True),
        ([1], [True], False),
        ([1], [1, 1], False),
        ({"a": 1}, {"a": 1, "b": 2}, False),
    ],
)
def test_values_are_the_same_as_a_config_means_them(a, b, is_same):
    assert same(a, b) is is_same
    assert same(b, a) is is_same


def test_a_run_that_ran_another_again_has_its_origins():
    a = Snapshot({"seed": 1, "n": 1}, {"seed": "a.yaml:1:7", "n": "a.yaml:2:4"})
    again = [(2, "flag --seed"), (1, "run k7f2 (a.yaml:1:7)")]
    b = Snapshot({"seed": 2, "n": 1}, {"seed": "flag --seed", "n": "run k7f2 (a.yaml:2:4)"}, {"seed": again})
    (change,) = changes(a, b)
    assert change["made_by"] == {"b": "flag"}


def test_references_to_runs_are_compared_as_written_too(taken):
    reference = lambda text: RunReference("/runs/x/checkpoints/7", "x", 7, "abc")  # noqa: E731
    a, b = (taken(f"name: ${{run:{text}}}\n", find_run=reference) for text in ("sft@best", "x@7"))
    (change,) = changes(a, b)
    assert [change[side]["written"] for side in "ab"] == ["${run:sft@best}", "${run:x@7}"]
    assert change["a"]["value"] == change["b"]["value"] == "/runs/x/checkpoints/7"


def test_runs_that_differ_in_the_seed_only_are_of_one_group(taken):
    found = diff(taken("seed: 1\n"), taken("seed: 2\n"))
    assert (found.same_hash, found.same_group) == (False, True)


def test_what_is_computed_is_told_apart_from_what_was_written():
    a, b = (
        Snapshot({"n": n}, {"n": "a.yaml:1:4"}, computed={"total": (n * 2, "computed from n"), "k": (1, "")})
        for n in (1, 2)
    )
    found = diff(a, b)
    assert [change.path for change in found.changes] == ["n"]
    assert [(change.path, change.a.value, change.b.value) for change in found.computed] == [("total", 2, 4)]


def test_credentials_are_not_compared_and_that_is_said(taken):
    a, b = (taken(f"extra: {{api_key: {secret}}}\n") for secret in ("abcdefgh", "ijklmnop"))
    found = diff(a, b)
    assert (found.changes, found.hidden) == ((), ("extra.api_key",))
