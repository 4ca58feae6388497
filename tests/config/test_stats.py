"""What is counted in config files, and what they say again."""

import math
from pathlib import Path

import pytest

from burnish.config.report import FileReport
from burnish.config.stats import Size, stats
from burnish.config.survey import survey
from burnish.core.errors import ConfigError


@pytest.fixture
def write(folder):
    """Write files of `experiments/`."""

    def call(**files):
        for name, text in files.items():
            path = Path("experiments") / (name.replace("_dot_", ".") if "_dot_" in name else f"{name}.yaml")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return survey(Path("experiments"))

    return call


def of(found, name):
    return next(one for one in found if one.path.stem == name)


def counted(found):
    default = next((one for one in found if one.role == "default"), None)
    return stats([one for one in found if one.role == "experiment"], default)


def test_roles_are_told_by_the_key_experiment_after_extends(write):
    found = write(
        default="seed: 1\n",
        base="tags: [a]\n",
        family="extends: base.yaml\nexperiment: demo\n",
        child="extends: family.yaml\n",
        orphan="seed: 2\n",
    )
    assert {one.path.stem: (one.role, one.children) for one in found} == {
        "base": ("parent", 2),
        "child": ("experiment", 0),
        "default": ("default", 0),
        "family": ("experiment", 1),
        "orphan": ("parent", 0),
    }


def test_where_the_default_layer_names_the_experiment_whatever_nothing_extends_is_one(write):
    found = write(default="experiment: demo\n", base="seed: 1\n", a="extends: base.yaml\n")
    assert [(one.path.stem, one.role) for one in found] == [
        ("a", "experiment"),
        ("base", "parent"),
        ("default", "default"),
    ]


def test_the_code_of_an_experiment_is_no_config_and_a_python_layer_is(write):
    found = write(
        toy_dot_py="class Toy: pass\n", big_dot_py="extends = 'a.yaml'\ndef configure(config): return {}\n", a="seed: 1"
    )
    assert [(one.path.name, one.role) for one in found] == [("a.yaml", "parent"), ("big.py", "experiment")]


def test_a_broken_file_is_there_with_its_problem(write):
    (one,) = write(a="a: [\n")
    assert one.sources == ()
    assert [problem.origin for problem in one.problems] == ["experiments/a.yaml:2:1"]


def test_complexity_is_the_logarithm_of_the_parameters_times_the_depth(write):
    (size,) = counted(write(a="experiment: demo\ntraining: {sizes: [1, 2], max_steps: 3}\nseed: 1\n")).sizes
    assert (size.parameters, size.depth) == (5, 3)
    assert size.complexity == round(math.log2(5) * 3, 2) == 6.97


@pytest.mark.parametrize(("parameters", "complexity"), [(0, 0.0), (1, 0.0), (2, 1.0)])
def test_complexity_of_next_to_nothing(parameters, complexity):
    assert Size("a.yaml", parameters, 1).complexity == complexity


def test_what_a_file_extends_counts_and_is_named_nearest_first(write):
    found = counted(write(a="seed: 1\n", b="extends: a.yaml\nname: x\n", c="extends: b.yaml\nexperiment: demo\n"))
    (size,) = found.sizes
    assert (size.parameters, size.parents) == (3, ("experiments/b.yaml", "experiments/a.yaml"))


def test_values_that_repeat_a_parent_are_found_once_with_both_origins(write):
    found = counted(
        write(
            default="name: x\n",
            base="tags: [1, 2]\ntraining: {warmup: 1.0}\n",
            a="extends: base.yaml\nexperiment: demo\nname: x\ntags: [1, 2]\ntraining: {warmup: 1}\n",
            b="extends: a.yaml\nseed: 1\n",
        )
    )
    assert [(again.key, again.origin, again.given_by) for again in found.repeats] == [
        ("name", "experiments/a.yaml:3:7", "experiments/default.yaml:1:7"),
        ("tags", "experiments/a.yaml:4:7", "experiments/base.yaml:1:7"),
        ("training.warmup", "experiments/a.yaml:5:20", "experiments/base.yaml:2:20"),
    ]


def test_a_boolean_repeats_no_number(write):
    found = counted(write(base="seed: 1\n", a="extends: base.yaml\nexperiment: demo\nseed: true\n"))
    assert found.repeats == ()


def test_keys_overridden_more_than_once_are_told_with_every_value(write):
    found = counted(
        write(
            base="seed: 1\nname: x\n",
            mid="extends: base.yaml\nseed: 2\nname: y\n",
            a="extends: mid.yaml\nexperiment: demo\nseed: 3\n",
        )
    )
    assert [(many.file, many.key, many.history) for many in found.overridden] == [
        (
            "experiments/a.yaml",
            "seed",
            ((3, "experiments/a.yaml:3:7"), (2, "experiments/mid.yaml:2:7"), (1, "experiments/base.yaml:1:7")),
        )
    ]


def body(**values):
    fields = {"experiment": "demo", "name": "x", "seed": 1, "version": "v", **values}
    return "".join(f"{key}: {value}\n" for key, value in fields.items())


def test_files_that_differ_in_fewer_than_five_values_and_share_no_parent_are_told(write):
    (pair,) = counted(write(a=body(seed=1), b=body(seed=2, extra="{a: 1, b: 2}"))).close
    assert pair.files == ("experiments/a.yaml", "experiments/b.yaml")
    assert (pair.keys, pair.shared) == (("extra.a", "extra.b", "seed"), 3)


@pytest.mark.parametrize(
    "files",
    [
        {"a": body(), "b": body(extra="{a: 1, b: 2, c: 3, d: 4, e: 5}")},
        {"base": "seed: 1\n", "a": f"extends: base.yaml\n{body()}", "b": f"extends: base.yaml\n{body(seed=2)}"},
        {"a": body(), "b": "extends: a.yaml\nseed: 2\n"},
        {"a": "experiment: demo\nseed: 1\n", "b": "experiment: other\nseed: 2\n"},
    ],
    ids=["five values", "a parent in common", "one extends the other", "nothing in common"],
)
def test_no_pair_is_told_where(write, files):
    assert counted(write(**files)).close == ()


def test_a_pair_that_shares_only_the_default_layer_is_told(write):
    assert len(counted(write(default="tags: [x]\n", a=body(), b=body(seed=2))).close) == 1


def test_every_file_that_cannot_be_read_is_told(write):
    found = write(a="a: [\n", b="b: {\n")
    with pytest.raises(ConfigError) as caught:
        stats(found)
    assert [problem.origin for problem in caught.value.problems] == ["experiments/a.yaml:2:1", "experiments/b.yaml:2:1"]


def test_a_report_of_a_file_as_json_is_stable():
    assert FileReport("a.yaml", "experiment", parameters=3).to_json() == {
        "role": "experiment",
        "problems": [],
        "warnings": [],
        "parameters": 3,
        "runs": None,
    }
