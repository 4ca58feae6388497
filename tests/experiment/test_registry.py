from __future__ import annotations

import pytest

from burnish.core.errors import ComponentError
from burnish.experiment import registry


def test_built_ins_are_found_by_name_with_their_config():
    assert registry.config_of("experiments", "sft").__name__ == "SftConfig"
    assert registry.categories() == ["datasets", "evaluators", "experiments", "models", "optimizers", "rewards"]


def test_an_unknown_name_is_told_with_the_nearest_one():
    with pytest.raises(ComponentError) as caught:
        registry.find("models", "tiny-lama")
    assert str(caught.value) == "no models component is called 'tiny-lama'"
    assert caught.value.hint == "did you mean tiny-llama?"


def test_an_unknown_name_that_is_near_nothing_is_told_with_the_list():
    with pytest.raises(ComponentError) as caught:
        registry.find("rewards", "zzz")
    assert caught.value.hint == "there are character-match, exact-match; or name one as module:object"


def test_the_same_name_twice_names_both_places():
    @registry.register("rewards", "twice-test")
    def first():
        return 1

    def second():
        return 2

    with pytest.raises(ComponentError, match="two rewards are called 'twice-test': .*first and .*second"):
        registry.register("rewards", "twice-test")(second)
    assert registry.load("rewards", "twice-test") is first


def test_a_component_can_be_named_as_module_and_object():
    assert registry.load("rewards", "math:sqrt")(9) == 3


def test_a_module_without_the_object_is_told():
    with pytest.raises(ComponentError, match="module math has no 'squareroot'"):
        registry.load("rewards", "math:squareroot")


def test_a_plain_reward_function_takes_a_weight():
    assert registry.config_of("rewards", "math:sqrt")(name="math:sqrt", weight=0.5).weight == 0.5


def test_an_experiment_must_be_a_subclass():
    with pytest.raises(ComponentError, match="experiments component 'math:sqrt' is no subclass of burnish.Experiment"):
        registry.find("experiments", "math:sqrt")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x = undefined\n", "NameError: name 'undefined' is not defined, at {name}.py:1"),
        ("a = 1\nb = (\n", "SyntaxError: '(' was never closed ({name}.py, line 2), at {name}.py:2"),
        ("import no_such_module_here\n", "No module named 'no_such_module_here'"),
    ],
)
def test_a_module_that_cannot_be_imported_is_told_with_its_line(tmp_path, monkeypatch, request, text, reason):
    name = f"broken_{abs(hash(request.node.name)) % 10**6}"
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", list(__import__("sys").path))
    with pytest.raises(ComponentError) as caught:
        registry.find("models", f"{name}:X")
    assert str(caught.value) == f"models component '{name}:X' cannot be imported: " + reason.format(name=name)
