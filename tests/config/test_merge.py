import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.config.layer import empty, find, plain
from burnish.config.merge import merge
from burnish.config.origin import Origin
from burnish.config.sources.yaml import parse_yaml
from burnish.core.errors import ConfigError


def tree(text, name="f"):
    return parse_yaml(text, name)


def merged(*texts):
    result = tree("{}", "empty")
    for number, text in enumerate(texts):
        result = merge(result, tree(text, f"layer{number}"))
    return result


def trees():
    """Trees in which a key of capitals always holds a section and any other never does."""
    leaf = st.one_of(st.integers(0, 9), st.sampled_from(["x", "y"]), st.lists(st.integers(0, 3), max_size=2))
    leaves = st.dictionaries(st.sampled_from("abc"), leaf, max_size=3)

    def section(inner):
        return st.tuples(leaves, st.dictionaries(st.sampled_from("AB"), inner, max_size=2)).map(
            lambda parts: {**parts[0], **parts[1]}
        )

    return st.recursive(leaves, section, max_leaves=4).map(lambda value: tree(str(value)))


@settings(max_examples=60, deadline=None)
@given(trees())
def test_merging_with_an_empty_layer_changes_nothing(layer):
    nothing = tree("{}", "f")
    for result in (merge(layer, nothing), merge(nothing, layer)):
        assert (result.items, result.keys) == (layer.items, layer.keys)


@settings(max_examples=100, deadline=None)
@given(trees(), trees(), trees())
def test_merging_is_associative_for_plain_sections_histories_included(low, middle, high):
    left = merge(merge(low, middle), high)
    right = merge(low, merge(middle, high))
    assert left.items == right.items


def test_sections_merge_and_lists_and_values_are_replaced():
    result = merged("a: {x: 1, y: [1, 2]}\nb: 1", "a: {y: [3], z: 4}\nb: 2")
    assert plain(result) == {"a": {"x": 1, "y": [3], "z": 4}, "b": 2}


def test_winner_remembers_every_loser_newest_first():
    node = find(merged("a: 1", "a: 2", "a: 3"), "a")
    assert [(n.value, str(n.origin)) for n in (node, *node.beaten)] == [
        (3, "layer2:1:4"),
        (2, "layer1:1:4"),
        (1, "layer0:1:4"),
    ]


def test_a_loser_holds_no_history_of_its_own():
    node = find(merged("a: 1", "a: 2", "a: 3"), "a")
    assert [loser.beaten for loser in node.beaten] == [(), ()]


def test_value_over_a_section_and_back_leaves_nothing_of_the_first_section():
    assert plain(merged("a: {x: 1}", "a: 5", "a: {y: 2}")) == {"a": {"y": 2}}


@pytest.mark.parametrize(
    ("layers", "value"),
    [
        (["a: [1]", "a+: [2, 3]"], {"a": [1, 2, 3]}),
        (["a: [1]", "a+: [2]", "a+: [3]"], {"a": [1, 2, 3]}),
        (["b: 1", "a+: [2]"], {"b": 1, "a": [2]}),
        (["a+: [2]"], {"a": [2]}),
        (["a: {x: 1, y: 2}", "a!: {z: 3}"], {"a": {"z": 3}}),
        (["a!: {z: 3}"], {"a": {"z": 3}}),
        (["a: {x: [1]}", "a!: {x+: [2]}"], {"a": {"x": [2]}}),
        (["b: {x+: [1]}"], {"b": {"x": [1]}}),
        (["a: 1\nb: 2", "a: ~delete"], {"b": 2}),
        (["a: {x: 1, y: 2}", "a: {x: ~delete}"], {"a": {"y": 2}}),
        (["a: ~delete"], {}),
        (["a: {x: ~delete, y: 1}"], {"a": {"y": 1}}),
        (["a: 1", "a: ~delete", "a: 3"], {"a": 3}),
        (["+: 1\n'!': 2"], {"+": 1, "!": 2}),
    ],
)
def test_key_forms_append_replace_and_delete(layers, value):
    assert plain(merged(*layers)) == value


def test_appended_items_keep_their_own_origins():
    result = find(merged("a: [1]", "a+: [2]"), "a")
    assert [str(item.origin) for item in result.items] == ["layer0:1:5", "layer1:1:6"]


def test_key_form_is_reported_at_the_place_of_the_key():
    assert str(merged("b: 1", "\n  a+: [1]").keys["a"]) == "layer1:2:3"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tags: [a]\ntags+: [b]", "tags is given as 'tags' and 'tags+'"),
        ("a: {b+: [1], b!: [2]}", "a.b is given as 'b+' and 'b!'"),
    ],
)
def test_one_key_in_two_forms_in_one_layer_is_refused(text, message):
    with pytest.raises(ConfigError) as caught:
        merge(empty(Origin("default", "")), parse_yaml(text, "f.yaml"))
    assert caught.value.message == message


def test_appending_to_what_is_no_list_is_refused():
    with pytest.raises(ConfigError) as caught:
        merge(parse_yaml("seed: 1", "low.yaml"), parse_yaml("seed+: 3", "high.yaml"))
    assert str(caught.value) == "'seed+' appends a list to a list (high.yaml:1:8)\n  hint: write 'seed' to replace"
