import functools

import pytest

from burnish.config.layer import empty, find, plain
from burnish.config.merge import merge
from burnish.config.origin import Origin
from burnish.config.sources.flags import flag_layers


def flags(*words):
    return functools.reduce(merge, (layer.tree for layer in flag_layers(words)), empty(Origin("flag", "")))


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["--a.b", "v"], {"a": {"b": "v"}}),
        (["--a.b=v"], {"a": {"b": "v"}}),
        (["a.b=v"], {"a": {"b": "v"}}),
        (["--flag"], {"flag": True}),
        (["--flag", "--other", "1"], {"flag": True, "other": 1}),
        (["--no-flag"], {"flag": False}),
        (["--no-a.flag", "--x"], {"a": {"flag": False}, "x": True}),
        (["--no-flag", "a.b=1"], {"flag": False, "a": {"b": 1}}),
        (["--a", "-1"], {"a": -1}),
        (["--a=-1e-5"], {"a": -1e-5}),
        (["--a", "[1, x, 2.5]"], {"a": [1, "x", 2.5]}),
        (['--a={"b": {"c": [true, null]}}'], {"a": {"b": {"c": [True, None]}}}),
        (["--a={b: 1}", "--a.c=2"], {"a": {"b": 1, "c": 2}}),
        (["--url", "https://host:8080/a?b=c#d"], {"url": "https://host:8080/a?b=c#d"}),
        (["--a=1", "--a=2", "a=3"], {"a": 3}),
        (["--a=b=c"], {"a": "b=c"}),
        (["--a="], {"a": ""}),
        (["--a", "no"], {"a": "no"}),
        (["--a", "'1'"], {"a": "1"}),
        (["--a", "key: value"], {"a": "key: value"}),
        (["--a", "*.txt"], {"a": "*.txt"}),
        (["--a", "# note"], {"a": "# note"}),
        (["--a", "run #3"], {"a": "run #3"}),
        (["--a", "two\nlines"], {"a": "two\nlines"}),
        (["--a", "!!python/object:os.system x"], {"a": "!!python/object:os.system x"}),
        (["--tags+=[x]", "--tags+=[y]"], {"tags": ["x", "y"]}),
        (["--a=1", "a=~delete"], {}),
        ([], {}),
    ],
)
def test_words_set_values(words, value):
    assert plain(flags(*words)) == value


def test_a_value_comes_from_its_flag_as_it_was_typed():
    tree = flags("--a.b", "1", "c=2")
    assert [str(find(tree, path).origin) for path in ("a.b", "c")] == ["flag --a.b", "flag c"]


def test_items_of_a_list_come_from_the_flag_too():
    assert str(find(flags("--a=[1, 2]"), "a.1").origin) == "flag --a"


def test_the_last_of_two_flags_remembers_the_first():
    node = find(flags("--a=1", "a=2"), "a")
    assert [(n.value, str(n.origin)) for n in (node, *node.beaten)] == [(2, "flag a"), (1, "flag --a")]


def test_bad_words_are_told_together(told):
    words = ["stray", "-x", "--a..b=1", "=3", "--", "x", "--z=[1", "--ok=1"]
    assert told(lambda: flag_layers(words)) == [
        ("unexpected argument 'stray'", "", "--KEY stray or KEY=stray"),
        ("unknown flag -x", "", "write --SECTION.KEY VALUE"),
        ("'--a..b' names no key", "flag --a..b", ""),
        ("'' names no key", "flag ", ""),
        ("'--' names no key", "flag --", ""),
        ("not YAML: did not find expected ',' or ']'", "flag --z", ""),
    ]


def test_word_after_a_negated_flag_is_not_its_value(told):
    assert told(lambda: flag_layers(["--no-flag", "3"])) == [("unexpected argument '3'", "", "--KEY 3 or KEY=3")]
