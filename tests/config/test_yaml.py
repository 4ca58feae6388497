import math
import re

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from burnish.config import load_static
from burnish.config.layer import Mapping, find, plain
from burnish.config.snapshot import dump_yaml
from burnish.config.sources.yaml import parse_yaml, resolve_plain
from burnish.core.errors import ConfigError

EVERY_KIND = """\
plain: 1
quoted: "two"
block: |
  three
  lines
flow: {a: 1, b: [x, 'y']}
list:
  - first
  -   deep: 1e-5
empty:
anchor: &base
  x: 1
alias: *base
merged:
  <<: *base
  y: 2
"""


@pytest.fixture(scope="module")
def every_kind():
    return parse_yaml(EVERY_KIND, "f.yaml")


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("plain", "1:8"),
        ("quoted", "2:9"),
        ("block", "3:8"),
        ("flow", "6:7"),
        ("flow.a", "6:11"),
        ("flow.b", "6:17"),
        ("flow.b.1", "6:21"),
        ("list", "8:3"),
        ("list.0", "8:5"),
        ("list.1.deep", "9:13"),
        ("empty", "10:7"),
        ("anchor.x", "12:6"),
        ("alias.x", "12:6"),
        ("merged.x", "12:6"),
        ("merged.y", "16:6"),
    ],
)
def test_each_node_knows_its_line_and_column(every_kind, path, place):
    assert str(find(every_kind, path).origin) == f"f.yaml:{place}"


def test_each_key_knows_its_line_and_column(every_kind):
    assert isinstance(every_kind, Mapping)
    places = {key: str(origin) for key, origin in every_kind.keys.items()}
    assert (places["plain"], places["list"], places["merged"]) == ("f.yaml:1:1", "f.yaml:7:1", "f.yaml:14:1")


def test_windows_line_ends_do_not_move_origins():
    root = parse_yaml(b"a: 1\r\nb:\r\n  c: 2\r\n", "f.yaml")
    assert str(find(root, "b.c").origin) == "f.yaml:3:6"


def test_byte_order_mark_does_not_move_origins():
    root = parse_yaml(b"\xef\xbb\xbfa: 1\n", "f.yaml")
    assert (plain(root), str(find(root, "a").origin)) == ({"a": 1}, "f.yaml:1:4")


def test_columns_count_characters_not_bytes():
    assert str(find(parse_yaml("äöü: 1", "f.yaml"), "äöü").origin) == "f.yaml:1:6"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("y", "y"),
        ("true", True),
        ("FALSE", False),
        ("tRue", "tRue"),
        ("1e-5", 1e-5),
        ("2E3", 2000.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("-1.5e+3", -1500.0),
        ("012", 12),
        ("0o17", 15),
        ("0x1F", 31),
        ("0b11", "0b11"),
        ("-0x1", "-0x1"),
        ("1_000", 1000),
        ("+7", 7),
        ("-3", -3),
        ("22:22", "22:22"),
        ("2001-01-01", "2001-01-01"),
        ("2001-12-14 21:59:43", "2001-12-14 21:59:43"),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("inf", "inf"),
        ("~", None),
        ("null", None),
        ("nUll", "nUll"),
        ("", None),
        ("1e", "1e"),
        (".", "."),
        ("1.2.3", "1.2.3"),
        ("'1'", "1"),
        ('"no"', "no"),
        ("!!str 1", "1"),
        ("! 1", "1"),
        ("!!float 3", 3.0),
        ("!!int 0x10", 16),
    ],
)
def test_scalar_reads_as_in_yaml_1_2(text, value):
    got = find(parse_yaml(f"a: {text}\n", "f.yaml"), "a").value
    assert (got, type(got)) == (value, type(value))


@pytest.mark.parametrize("text", [".nan", ".NaN", ".NAN"])
def test_nan_reads_as_not_a_number(text):
    assert math.isnan(resolve_plain(text))


def test_a_leaf_keeps_its_text_as_written():
    assert find(parse_yaml("a: 1.10", "f.yaml"), "a").raw == "1.10"


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n...\n"])
def test_empty_document_is_null_or_an_empty_section(text):
    assert plain(parse_yaml(text, "f.yaml")) in ({}, None)


def test_keys_are_the_text_that_was_written():
    assert plain(parse_yaml("1: a\nnull: b\ntrue: c\n1.50: d\n'': e\n", "f")) == {
        "1": "a",
        "null": "b",
        "true": "c",
        "1.50": "d",
        "": "e",
    }


def test_own_keys_beat_merged_ones_and_earlier_sources_beat_later_ones():
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc:\n  <<: [*a, *b]\n  x: 3\n"
    assert plain(find(parse_yaml(text, "f"), "c")) == {"x": 3, "y": 1, "z": 2}


def test_quoted_merge_sign_is_a_key_like_any_other():
    assert plain(parse_yaml("'<<': 1\n", "f")) == {"<<": 1}


MISTAKES = [
    ("a: 1\nb: 2\na: 3\n", "key 'a' is given twice; it stands at line 1 already", "f.yaml:3:1"),
    ("s:\n  a: 1\n  'a': 2\n", "key 'a' is given twice; it stands at line 2 already", "f.yaml:3:3"),
    ("a: *nowhere\n", "alias *nowhere has no anchor before it", "f.yaml:1:4"),
    ("a: &a [1, *a]\n", "alias *a has no anchor before it", "f.yaml:1:11"),
    ("a: 1\n<<: 3\n", "'<<' takes a section or a list of sections", "f.yaml:2:1"),
    ("a: 1\n---\nb: 2\n---\nc: 3\n", "a second document; a config file holds one", "f.yaml:2:1"),
    ("a:\n\tb: 1\n", "not YAML: found character that cannot start any token", "f.yaml:2:1"),
    ("a: [1, 2\n", "not YAML: did not find expected ',' or ']'", "f.yaml:2:1"),
    ("a: 'x\n", "not YAML: found unexpected end of stream", "f.yaml:2:1"),
    ("a: b: c\n", "not YAML: mapping values are not allowed in this context", "f.yaml:1:5"),
    ("? [x]\n: 1\n", "a key must be a plain word, not a list or a section", "f.yaml:1:3"),
    ("{a: 1}: 1\n", "a key must be a plain word, not a list or a section", "f.yaml:1:1"),
    ("a: !foo 1\n", "tag !foo is not supported", "f.yaml:1:4"),
    ("a: !foo [1]\n", "tag !foo is not supported", "f.yaml:1:4"),
    ("a: !foo {b: 1}\n", "tag !foo is not supported", "f.yaml:1:4"),
    ("a: !!python/object:os.system x", "tag tag:yaml.org,2002:python/object:os.system is not supported", "f.yaml:1:4"),
    ("a: !!binary aGk=\n", "tag tag:yaml.org,2002:binary is not supported", "f.yaml:1:4"),
    ("a: !!int x\n", "'x' is not of type int", "f.yaml:1:4"),
    ("a: " + "9" * 5000, "a number with 5,000 digits", "f.yaml:1:4"),
    ("a: 0x" + "f" * 4998, "a number with 5,000 digits", "f.yaml:1:4"),
    ("a: 1\nb: x\x01\n", "not YAML: control characters are not allowed", "f.yaml:2:5"),
    (b"a: 1\nb: \xff\n", "not YAML: invalid leading UTF-8 octet", "f.yaml:2:4"),
    ("ä: \ud800", "not YAML: a character that UTF-8 cannot hold", "f.yaml:1:4"),
    ("a: " + "[" * 900, "nested deeper than 100 levels", "f.yaml:1:103"),
    ("".join(f"{' ' * n}a:\n" for n in range(1000)), "nested deeper than 100 levels", "f.yaml:101:101"),
]


@pytest.mark.parametrize(("content", "message", "origin"), MISTAKES, ids=[str(n) for n in range(len(MISTAKES))])
def test_mistake_is_told_once_with_its_place(told, content, message, origin):
    assert [(m, o) for m, o, _ in told(lambda: parse_yaml(content, "f.yaml"))] == [(message, origin)]


@pytest.mark.parametrize("unit", ["[", "- ", "? ", "{a: ", "&a ["])
def test_nesting_beyond_what_the_parser_itself_takes_is_told_alike(told, unit):
    ((message, origin, _),) = told(lambda: parse_yaml(unit * 10_000, "f.yaml"))
    assert message == "nested deeper than 100 levels"
    assert origin.startswith("f.yaml:1:")


def test_unsupported_tag_comes_with_a_hint(told):
    (problem,) = told(lambda: parse_yaml("a: !foo 1\n", "f.yaml"))
    assert problem[2] == "config files are data: remove the tag"


def test_alias_bomb_is_refused_before_it_grows(told):
    lines = ["a0: &a0 [" + ", ".join(["x"] * 10) + "]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 10) + "]" for n in range(1, 12)]
    ((message, origin, _),) = told(lambda: parse_yaml("\n".join(lines), "f.yaml"))
    assert message == "more than 200,000 values once aliases are followed"
    assert re.fullmatch(r"f\.yaml:\d+:\d+", origin)


def test_nesting_through_aliases_counts_as_nesting(told):
    lines = ["a0: &a0 " + "[" * 60 + "]" * 60, "a1: " + "[" * 60 + "*a0" + "]" * 60]
    assert told(lambda: parse_yaml("\n".join(lines), "f.yaml")) == [
        ("nested deeper than 100 levels", "f.yaml:2:65", "")
    ]


def test_file_over_16_mib_is_refused_unread(told):
    assert told(lambda: parse_yaml(b"#" * (16 << 20) + b"\n", "f.yaml")) == [
        ("file is larger than 16 MiB", "f.yaml:1:1", "")
    ]


def test_every_mistake_of_a_file_is_told_at_once(told):
    text = "a: !x 1\nb: *b\nc: 1\nc: 2\n"
    assert [origin for _, origin, _ in told(lambda: parse_yaml(text, "f.yaml"))] == [
        "f.yaml:1:4",
        "f.yaml:2:4",
        "f.yaml:4:1",
    ]


def reads_or_tells(content):
    """Parse; anything but a tree or a ConfigError with places fails the test."""
    try:
        root = parse_yaml(content, "f.yaml")
    except ConfigError as error:
        places = [problem.origin for problem in error.problems]
    else:
        places = [str(root.origin)]
    assert places
    assert all(re.fullmatch(r"f\.yaml:\d+:\d+", place) for place in places)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_tree_or_a_config_error(content):
    reads_or_tells(content)


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=st.sampled_from("ab01&*!<>|-?:,[]{}'\"#%@ \n\t~.é\ud800\x00"), max_size=60))
def test_any_text_of_yaml_signs_gives_a_tree_or_a_config_error(content):
    reads_or_tells(content)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(EVERY_KIND) - 1), st.integers(0, 255), st.sampled_from(["put", "cut", "add"])),
        min_size=1,
        max_size=6,
    )
)
def test_damaged_yaml_gives_a_tree_or_a_config_error(changes):
    content = bytearray(EVERY_KIND.encode())
    for at, byte, what in changes:
        stop = at if what == "add" else at + 1
        content[at:stop] = b"" if what == "cut" else bytes([byte])
    reads_or_tells(bytes(content))


TRICKY = [
    "1e-5",
    "no",
    "~",
    "",
    "0o1",
    "012",
    "null",
    ".inf",
    "<<",
    "=",
    "22:22",
    "a\nb\n",
    " x ",
    "#",
    "- a",
    "é",
    "9" * 5000,
]
texts = st.one_of(st.sampled_from(TRICKY), st.text(st.characters(codec="utf-8"), max_size=20))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(allow_nan=False), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)


@settings(max_examples=250, deadline=None)
@given(st.dictionaries(texts, values, max_size=5))
@example({"a": TRICKY})
@example(dict.fromkeys(TRICKY, 1))
@example({"a": 1e16, "b": 1e-05, "c": -0.0, "d": math.inf})
def test_what_is_dumped_reads_back_the_same(value):
    back = plain(parse_yaml(dump_yaml(value), "f.yaml"))
    assert repr(back) == repr(value)  # repr: tells 1 from 1.0 and True, and -0.0 from 0.0


@pytest.mark.parametrize("text", [text for text in TRICKY if text != "<<"])
def test_dumped_strings_are_strings_to_a_yaml_1_1_reader_too(text):
    assert yaml.safe_load(dump_yaml({"a": text})) == {"a": text}


@pytest.mark.testdata
def test_real_recipes_load_or_hold_keys_given_twice(recipes):
    sizes, refusals = [], []
    for file in recipes:
        try:
            sizes.append(len(parse_yaml(file.read_bytes(), file.name).items))
        except ConfigError as error:
            refusals += [str(problem) for problem in error.problems]
    twice = r"key '.+' is given twice; it stands at line \d+ already \(.+\.yaml:\d+:\d+\)"
    assert [refusal for refusal in refusals if not re.fullmatch(twice, refusal)] == []
    assert len(sizes) > len(recipes) / 2
    assert min(sizes) > 0


@pytest.mark.testdata
def test_real_recipes_read_the_same_statically(recipes):
    compared = 0
    for file in recipes:
        try:
            root = parse_yaml(file.read_bytes(), file.name)
        except ConfigError:
            with pytest.raises(ConfigError, match="is given twice"):
                load_static(file)
            continue
        assert repr(plain(load_static(file))) == repr(plain(root))
        compared += 1
    assert compared
