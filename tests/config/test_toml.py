import math
import random
import re
import time
import tomllib
from datetime import date
from datetime import time as clock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from burnish.config.layer import Mapping, Scalar, Sequence, find, leaves, plain
from burnish.config.sources import toml, yaml
from burnish.config.sources.toml import parse_toml
from burnish.core.errors import ConfigError

EVERY_KIND = """\
# a comment with "quotes" and [brackets
plain = 1
basic = "two \\"#\\" \\u00e9"
literal = 'C:\\no'   # a comment
long = \"\"\"
first ]}#
  second ""\"\"\"
raw = '''
'it' = "[x]" '''
"quoted key" . b.'c' = -1_000
list = [ 1, # one
  "]", [ 2.5 ],
  {x = 1, y.z = [true]},
]
section = { a = 1, b.c = 'd', e = {} }
when = 1979-05-27 07:32:00Z
day = [1979-05-27, 07:32:00.5]

[later.inner]
x = 0xFF
[[runs]]
  lr = 1e-5
  [runs.opt]
  name = "adamw"
[[runs]]
[later]
y = inf
  [ dotted . "key" ]  # the end
  last = false"""


@pytest.fixture(scope="module")
def every_kind():
    return parse_toml(EVERY_KIND, "f.toml")


def as_json(value):
    """Return what tomllib read, dates as ISO strings."""
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    return value.isoformat() if isinstance(value, (date, clock)) else value


def test_values_are_those_of_tomllib(every_kind):
    assert repr(plain(every_kind)) == repr(as_json(tomllib.loads(EVERY_KIND)))


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("plain", "2:9"),
        ("basic", "3:9"),
        ("literal", "4:11"),
        ("long", "5:8"),
        ("raw", "8:7"),
        ("quoted key", "10:1"),
        ("quoted key.b", "10:16"),
        ("quoted key.b.c", "10:24"),
        ("list", "11:8"),
        ("list.0", "11:10"),
        ("list.1", "12:3"),
        ("list.2", "12:8"),
        ("list.2.0", "12:10"),
        ("list.3", "13:3"),
        ("list.3.x", "13:8"),
        ("list.3.y", "13:11"),
        ("list.3.y.z", "13:17"),
        ("list.3.y.z.0", "13:18"),
        ("section", "15:11"),
        ("section.b.c", "15:26"),
        ("section.e", "15:35"),
        ("when", "16:8"),
        ("day.1", "17:20"),
        ("later", "26:2"),
        ("later.inner", "19:8"),
        ("later.inner.x", "20:5"),
        ("runs", "21:3"),
        ("runs.0", "21:3"),
        ("runs.0.lr", "22:8"),
        ("runs.0.opt", "23:9"),
        ("runs.0.opt.name", "24:10"),
        ("runs.1", "25:3"),
        ("later.y", "27:5"),
        ("dotted", "28:5"),
        ("dotted.key", "28:14"),
        ("dotted.key.last", "29:10"),
    ],
)
def test_each_node_knows_its_line_and_column(every_kind, path, place):
    assert str(find(every_kind, path).origin) == f"f.toml:{place}"


@pytest.mark.parametrize(
    ("path", "places"),
    [
        ("quoted key", {"b": "10:16"}),
        ("quoted key.b", {"c": "10:18"}),
        ("section", {"a": "15:13", "b": "15:20", "e": "15:31"}),
        ("section.b", {"c": "15:22"}),
        ("later", {"inner": "19:8", "y": "27:1"}),
        ("runs.0", {"lr": "22:3", "opt": "23:9"}),
        ("dotted.key", {"last": "29:3"}),
    ],
)
def test_each_key_knows_its_line_and_column(every_kind, path, places):
    keys = find(every_kind, path).keys
    assert {key: str(origin) for key, origin in keys.items()} == {k: f"f.toml:{p}" for k, p in places.items()}


@pytest.mark.parametrize(
    ("text", "value", "raw"),
    [
        ("1", 1, "1"),
        ("-1_000", -1000, "-1_000"),
        ("0xFF  # x", 255, "0xFF"),
        ("0o17", 15, "0o17"),
        ("0b11\t", 3, "0b11"),
        ("1.10", 1.1, "1.10"),
        ("1e-5", 1e-5, "1e-5"),
        ("+inf", math.inf, "+inf"),
        ("-inf", -math.inf, "-inf"),
        ("true", True, "true"),
        ('"1e-5"', "1e-5", "1e-5"),
        ("'a\\n'", "a\\n", "a\\n"),
        ('"a\\n"', "a\n", "a\n"),
        ('""', "", ""),
        ("''''''", "", ""),
        ('"""a\\\n   b"""', "ab", "ab"),
        ("1979-05-27", "1979-05-27", "1979-05-27"),
        ("07:32:00", "07:32:00", "07:32:00"),
        ("1979-05-27 07:32:00 # x", "1979-05-27T07:32:00", "1979-05-27 07:32:00"),
        ("1979-05-27t07:32:00.5z", "1979-05-27T07:32:00.500000+00:00", "1979-05-27t07:32:00.5z"),
        ("1979-05-27T07:32:00-07:00", "1979-05-27T07:32:00-07:00", "1979-05-27T07:32:00-07:00"),
    ],
)
@pytest.mark.parametrize("form", ["a = {}\n", "a = [{}\n]", "a=[1,{}\n]"], ids=["alone", "in a list", "after another"])
def test_scalar_keeps_its_value_type_and_text(form, text, value, raw):
    node = parse_toml(form.format(text), "f.toml").items["a"]
    leaf = node.items[-1] if isinstance(node, Sequence) else node
    assert isinstance(leaf, Scalar)
    assert (leaf.value, type(leaf.value), leaf.raw) == (value, type(value), raw)


def test_nan_reads_as_a_float_that_is_not_a_number():
    assert math.isnan(find(parse_toml("a = -nan", "f"), "a").value)


@pytest.mark.parametrize("content", ["", "\n\n", b"", "# only a comment", b"\xef\xbb\xbf", "\r\n"])
def test_empty_document_is_an_empty_section(content):
    root = parse_toml(content, "f.toml")
    assert (plain(root), str(root.origin)) == ({}, "f.toml:1:1")


def test_windows_line_ends_do_not_move_origins():
    root = parse_toml(b'a = """x\r\ny"""\r\n[b] # c\r\n  c = 2\r\n', "f.toml")
    assert (plain(root), str(find(root, "b.c").origin)) == ({"a": "x\ny", "b": {"c": 2}}, "f.toml:4:7")


@pytest.mark.parametrize("content", [b"\xef\xbb\xbfa = 1\n", "\ufeffa = 1\n"])
def test_byte_order_mark_does_not_move_origins(content):
    root = parse_toml(content, "f.toml")
    assert (plain(root), str(find(root, "a").origin)) == ({"a": 1}, "f.toml:1:5")


def test_columns_count_characters_not_bytes():
    assert str(find(parse_toml('"äöü" = 1', "f.toml"), "äöü").origin) == "f.toml:1:9"


def test_escapes_in_keys_are_read_as_in_values():
    root = parse_toml('"a\\tb\\u00e9" = 1\n[ "x\\\\" . \'y\\\' ]\n', "f.toml")
    assert plain(root) == {"a\tb\xe9": 1, "x\\": {"y\\": {}}}


def test_super_table_that_comes_later_is_where_its_section_stands():
    root = parse_toml("[a.b.c]\nx = 1\n[a]\ny = 2\n[a.b]\nz = 3\n", "f.toml")
    assert plain(root) == {"a": {"b": {"c": {"x": 1}, "z": 3}, "y": 2}}
    assert [str(find(root, path).origin) for path in ("a", "a.b", "a.b.c")] == [
        "f.toml:3:2",
        "f.toml:5:4",
        "f.toml:1:6",
    ]


def test_nested_arrays_of_tables_grow_where_they_were_left():
    root = parse_toml("[[a]]\n[[a.b]]\nx=1\n[[a.b]]\nx=2\n[[a]]\n[[a.b]]\nx=3\n[a.c]\ny=4\n", "f.toml")
    assert plain(root) == {"a": [{"b": [{"x": 1}, {"x": 2}]}, {"b": [{"x": 3}], "c": {"y": 4}}]}
    assert [str(node.origin) for _, node in leaves(root)] == [f"f.toml:{n}:3" for n in (3, 5, 8, 10)]


MISTAKES = [
    ("a = 1\nb = 2\na = 3\n", "key 'a' is given twice; it stands at line 1 already", "f.toml:3:1"),
    ("[s]\na = 1\n  'a' = 2\n", "key 'a' is given twice; it stands at line 2 already", "f.toml:3:3"),
    ("[s]\na = 1\n[t]\n\n  [s] # x\n", "key 's' is given twice; it stands at line 1 already", "f.toml:5:4"),
    ("[[s]]\na = 1\n[s]\n", "key 's' is given twice; it stands at line 1 already", "f.toml:3:2"),
    ("[[s]]\na = 1\n[[s]]\nb.c = 1\nb.c = 2", "key 'c' is given twice; it stands at line 4 already", "f.toml:5:3"),
    ("a = 1\n[a.b]\n", "key 'a' is given twice; it stands at line 1 already", "f.toml:2:2"),
    ("a = 1\na.b = 1", "key 'a' is given twice; it stands at line 1 already", "f.toml:2:1"),
    ("a = {x = 1}\n[a]\n", "key 'a' is given twice; it stands at line 1 already", "f.toml:2:2"),
    ("a = []\n[[a]]\n", "not TOML: cannot mutate immutable namespace 'a'", "f.toml:2:4"),
    ("a = {x = 1}\na.y = 2\n", "not TOML: cannot mutate immutable namespace 'a'", "f.toml:2:8"),
    ("a = 1\na = [\n1]\n", "not TOML: cannot overwrite a value", "f.toml:3:3"),
    ("a = {b = 1, b = 2}", "not TOML: duplicate inline table key 'b'", "f.toml:1:18"),
    ("[a.b]\n[a]\nb.c = 1\n", "not TOML: cannot redefine namespace 'a.b'", "f.toml:3:8"),
    ("a\n", "not TOML: expected '=' after a key in a key/value pair", "f.toml:1:2"),
    ("a: 1\n", "not TOML: expected '=' after a key in a key/value pair", "f.toml:1:2"),
    ("\na = \n", "not TOML: invalid value", "f.toml:2:5"),
    ("a = ", "not TOML: invalid value", "f.toml:1:5"),
    ("a = yes\n", "not TOML: invalid value", "f.toml:1:5"),
    ("a = 012\n", "not TOML: expected newline or end of document after a statement", "f.toml:1:6"),
    ("a = 1 b = 2\n", "not TOML: expected newline or end of document after a statement", "f.toml:1:7"),
    ("a = 2001-02-30\n", "not TOML: invalid date or datetime", "f.toml:1:5"),
    ("a = [1, 2\n", "not TOML: unclosed array", "f.toml:2:1"),
    ("a = [1\nb = 2\n", "not TOML: unclosed array", "f.toml:2:1"),
    ("a = {b = 1\n", "not TOML: unclosed inline table", "f.toml:1:11"),
    ("[a\n", "not TOML: expected ']' at the end of a table declaration", "f.toml:1:3"),
    ("[[a]\n", "not TOML: expected ']]' at the end of an array declaration", "f.toml:1:4"),
    ("é = 1\n", "not TOML: invalid statement", "f.toml:1:1"),
    ("a = 'x\n", 'not TOML: expected "\'"', "f.toml:2:1"),
    ("a = 'x\nb = 'y'\n", "not TOML: found invalid character '\\n'", "f.toml:1:7"),
    ('a = "x', "not TOML: unterminated string", "f.toml:1:7"),
    ('a = """x\n\n', "not TOML: unterminated string", "f.toml:3:1"),
    ("a = '''x\n", "not TOML: expected \"'''\"", "f.toml:2:1"),
    ('a = "\\ud800"', "not TOML: escaped character is not a Unicode scalar value", "f.toml:1:12"),
    ('a = "C:\\no\\x"', "not TOML: unescaped '\\' in a string", "f.toml:1:13"),
    ("a = 1\nb = \x00", "not TOML: invalid value", "f.toml:2:5"),
    ('a = 1\nb = "\x00"', "not TOML: illegal character '\\x00'", "f.toml:2:6"),
    ("a = 1\x00", "not TOML: expected newline or end of document after a statement", "f.toml:1:6"),
    ("a = 1\rb = 2", "not TOML: expected newline or end of document after a statement", "f.toml:1:6"),
    ("a = 1\n\ufeffb = 2", "not TOML: invalid statement", "f.toml:2:1"),
    (b"a = 1\nb = '\xc3\xa9\xff'\n", "not TOML: a byte that is not UTF-8", "f.toml:2:7"),
    (b"\xef\xbb\xbf\xff", "not TOML: a byte that is not UTF-8", "f.toml:1:1"),
    ("a = 1\n".encode("utf-16"), "not TOML: a byte that is not UTF-8", "f.toml:1:1"),
    ("ä = '\ud800'", "not TOML: a character that UTF-8 cannot hold", "f.toml:1:6"),
    ("a = " + "9" * 5000, "a number with 5,000 digits", "f.toml:1:5"),
    ("a = 1\nb = [1, -" + "9" * 5000 + "]", "a number with 5,001 digits", "f.toml:2:9"),
    ("a = {b = 0x" + "f" * 4998 + "}", "a number with 5,000 digits", "f.toml:1:10"),
    ("a = " + "[" * 10_000, "nested deeper than 100 levels", "f.toml:1:104"),
    ("a = " + "[" * 100 + "]" * 100, "nested deeper than 100 levels", "f.toml:1:104"),
    ("a = " + "{a=" * 10_000, "nested deeper than 100 levels", "f.toml:1:302"),
    ("[x]\na = " + "[" * 99 + "]" * 99, "nested deeper than 100 levels", "f.toml:2:103"),
    ("[x]\na.b = " + "{a=" * 98 + "1" + "}" * 98, "nested deeper than 100 levels", "f.toml:2:298"),
    ("x." * 10_000 + "x = 1", "nested deeper than 100 levels", "f.toml:1:199"),
    ("x." * 100 + "x = 1", "nested deeper than 100 levels", "f.toml:1:199"),
    ("[" + "x." * 99 + "x]", "nested deeper than 100 levels", "f.toml:1:200"),
    ("[[" + "x." * 98 + "x]]", "nested deeper than 100 levels", "f.toml:1:199"),
    ("a = [" + "1, " * 200_000 + "]", "more than 200,000 values", "f.toml:1:600001"),
]


@pytest.mark.parametrize(("content", "message", "origin"), MISTAKES, ids=[str(n) for n in range(len(MISTAKES))])
def test_mistake_is_told_once_with_its_place(told, content, message, origin):
    assert told(lambda: parse_toml(content, "f.toml")) == [(message, origin, "")]


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 99 + "]" * 99,
        "[" + "x." * 98 + "x]",
        "[[" + "x." * 97 + "x]]",
        "x." * 99 + "x = 1",
        "a = '" + "[" * 1000 + "'",
        "a = '''" + "9" * 5000 + "'''",
        "#" + "[" * 1000 + "9" * 5000 + '"',
        "9" * 5000 + " = 1",
        "[" + "9" * 5000 + "]",
        "a = 0." + "9" * 5000,
        "a = " + "9" * 5000 + ".0",
        "a = " + "9" * 1000,
        "a = " + "[1.5, 2.5],\n".join(["["] + [""] * 200) + "]",
    ],
    ids=range(13),
)
def test_what_only_looks_out_of_bounds_is_read(text):
    assert repr(plain(parse_toml(text, "f"))) == repr(tomllib.loads(text))


def test_bounds_are_those_of_yaml():
    names = ("_MAX_DEPTH", "_MAX_NODES", "_MAX_BYTES", "_MAX_DIGITS")
    assert [getattr(toml, name) for name in names] == [getattr(yaml, name) for name in names]


@pytest.mark.parametrize("size", [(16 << 20) + 1, 50 << 20])
def test_file_over_16_mib_is_refused_unread(told, size):
    assert told(lambda: parse_toml(b"#" * size, "f.toml")) == [("file is larger than 16 MiB", "f.toml:1:1", "")]


BIG = {
    "keys": lambda n: "".join(f"key_{i:07} = '{'v' * 25}'\n" for i in range(n // 41)),
    "sections": lambda n: "".join(f"[section_{i:07}]\nx = '{'v' * 25}'\n" for i in range(n // 52)),
    "a list on one line": lambda n: "a = [" + "'0123456789abcdef', " * (n // 20) + "]",
    "a string over many lines": lambda n: 'a = """' + "some \\n text\n" * (n // 13) + '"""',
    "a string on one line": lambda n: 'a = "' + "\\n" * (n // 2) + '"',
    "comments": lambda n: "# comment\n" * (n // 10),
}


@pytest.mark.parametrize("kind", BIG)
def test_time_grows_with_the_size_and_no_faster(kind):
    seconds = []
    for size in (1 << 17, 1 << 20):
        text = BIG[kind](size)
        started = time.process_time()
        root = parse_toml(text, "f.toml")
        seconds.append(time.process_time() - started)
        assert isinstance(root, Mapping)
    assert seconds[1] < 0.5 + 30 * seconds[0]  # eight times the size; quadratic would be 64


@pytest.mark.parametrize(
    "text",
    ["x." * 4_000_000 + "x = 1", "a = " + "[" * 8_000_000, "a = " + "9" * 8_000_000, "[[a]]\n" * 1_000_000],
    ids=["dots", "brackets", "digits", "sections"],
)
def test_hostile_text_is_refused_within_seconds(text):
    started = time.process_time()
    with pytest.raises(ConfigError):
        parse_toml(text, "f.toml")
    assert time.process_time() - started < 5


class Writer:
    """Writes a random TOML document and remembers where it put every value and key."""

    def __init__(self, draw):
        self.draw = draw
        self.text = ""
        self.values = {}
        self.keys = {}

    def pick(self, *choices):
        return self.draw(st.sampled_from(choices))

    def put(self, *parts):
        self.text += "".join(parts)

    def blank(self):
        self.put(self.pick("", " ", "\t "))

    def break_(self):
        self.put(self.pick("", " ", "\n", ' # ] } \' " """\n  ', "\n\n"))

    def end(self):
        self.put(self.pick("\n", "\n", " # = [x] ''' \"\n", "\n\n \n"))

    def key(self, names):
        for number, name in enumerate(names):
            if number:
                self.blank()
                self.put(".")
                self.blank()
            place = len(self.text)
            self.put(self.word(name))
        return place

    def word(self, name):
        forms = [basic(name)]
        if re.fullmatch("[A-Za-z0-9_-]+", name):
            forms += [name] * 3
        if not re.search("['\x00-\x08\n-\x1f\x7f]", name):
            forms.append(f"'{name}'")
        return self.pick(*forms)

    def value(self, value, path):
        self.values[path] = len(self.text)
        if isinstance(value, dict):
            self.put("{")
            self.blank()
            for number, (names, inner) in enumerate(self.flat(value)):
                if number:
                    self.put(",")
                    self.blank()
                self.pair(names, inner, path)
            self.put("}")
        elif isinstance(value, list):
            self.put("[")
            for number, inner in enumerate(value):
                self.break_()
                self.value(inner, (*path, str(number)))
                self.break_()
                self.put("," if number < len(value) - 1 else self.pick("", ","))
            self.break_()
            self.put("]")
        else:
            self.put(self.string(value) if isinstance(value, str) else value[0])

    def string(self, value):
        forms = [basic(value), '"""' + self.pick("", "\n") + long_basic(value) + '"""']
        if not re.search("['\x00-\x08\n-\x1f\x7f]", value):
            forms += [f"'{value}'"]
        if not re.search("'''|[\x00-\x08\x0b-\x1f\x7f]", value):
            forms += [f"'''\n{value}'''"]
        return self.pick(*forms)

    def flat(self, section):
        """Yield pairs of a dotted key and a value; some of the sections inside are spelt out as longer keys."""
        for name, value in section.items():
            if isinstance(value, dict) and value and self.draw(st.booleans()):
                for names, inner in self.flat(value):
                    yield (name, *names), inner
            else:
                yield (name,), value

    def pair(self, names, value, path):
        where = (*path, *names)
        self.keys[where] = self.key(names)
        self.blank()
        self.put("=")
        self.blank()
        self.value(value, where)
        self.blank()

    def section(self, section, names, path, opening=None):
        """Write a section: its pairs, then its subsections, or the other way round where TOML allows it."""
        tables = {k: v for k, v in section.items() if isinstance(v, dict) and self.draw(st.booleans())}
        rows = {k: v for k, v in section.items() if is_rows(v) and self.draw(st.booleans())}
        pairs = {k: v for k, v in section.items() if k not in tables and k not in rows}
        late = opening == "[" and bool(tables) and self.draw(st.booleans())
        if late:
            self.subsections(tables, rows, names, path)
        if opening:
            self.blank()
            self.put(opening)
            self.blank()
            place = self.key(names)
            self.blank()
            self.put(opening.replace("[", "]"))
            self.keys[path] = self.keys.get(path, place)
            self.values[path] = place
            self.end()
        for keys, value in self.flat(pairs):
            self.blank()
            self.pair(keys, value, path)
            self.end()
        if not late:
            self.subsections(tables, rows, names, path)

    def subsections(self, tables, rows, names, path):
        for name, inner in tables.items():
            self.section(inner, (*names, name), (*path, name), "[")
        for name, inner in rows.items():
            for number, row in enumerate(inner):
                self.section(row, (*names, name), (*path, name, str(number)), "[[")


def is_rows(value):
    return isinstance(value, list) and value and all(isinstance(row, dict) for row in value)


def basic(text):
    return '"' + "".join(escaped(char, '"\\\n\t') for char in text) + '"'


def long_basic(text):
    return "".join(escaped(char, '"\\') for char in text).replace('\\"a', '"a')


def escaped(char, special):
    if char in special:
        return {"\n": "\\n", "\t": "\\t"}.get(char, f"\\{char}")
    return f"\\u{ord(char):04x}" if (ord(char) < 32 and char not in "\n\t") or char == "\x7f" else char


names = st.one_of(st.sampled_from(["a", "b-1", "1", "", "a.b", "é", "x\ty", '"', "'", "#", "]", "1979-05-27"]))
strings = st.one_of(
    st.text(alphabet=st.sampled_from("a\"'\\#[]{}=,\n é\t\x01\x7f𝄞"), max_size=8),
    st.sampled_from(['""', "'''", '"a" # b', "line\n\nline\n", "]\n[a]\nb = 1", "\\u0041", "\r\n".replace("\r", "")]),
)
dates = ["1979-05-27", "1979-05-27 07:32:00", "1979-05-27T00:32:00.999999-07:00", "07:32:00.5", "1979-05-27 07:32:00Z"]
numbers = ["0", "-1_000", "0xdead_beef", "1e-5", "-0.0", "6.02_2E+23", "inf", "-nan", "true", "false"]
bare = st.sampled_from([*dates, *numbers]).map(lambda text: (text,))
sections = st.recursive(
    st.dictionaries(names, st.one_of(bare, strings), max_size=4),
    lambda inner: st.dictionaries(
        names,
        st.one_of(bare, strings, inner, st.lists(inner, max_size=3), st.lists(bare | strings, max_size=3)),
        max_size=4,
    ),
    max_leaves=8,
)


@st.composite
def documents(draw):
    writer = Writer(draw)
    writer.section(draw(sections), (), ())
    return writer


def places(text, offsets):
    """Return offsets as places."""
    return {
        path: f"f.toml:{text.count(chr(10), 0, at) + 1}:{at - text.rfind(chr(10), 0, at)}"
        for path, at in offsets.items()
    }


def walk(node, path=()):
    """Yield every node with its path, the root excepted."""
    if path:
        yield path, node
    inner = node.items if isinstance(node, Mapping) else dict(enumerate(getattr(node, "items", ())))
    for key, item in inner.items():
        yield from walk(item, (*path, str(key)))


@settings(max_examples=300, deadline=None)
@given(documents(), st.booleans(), st.booleans())
def test_values_are_tomllibs_and_places_are_where_they_were_written(document, windows, marked):
    text = document.text
    content = text.replace("\n", "\r\n") if windows else text
    root = parse_toml(content.encode("utf-8-sig" if marked else "utf-8"), "f.toml")
    assert repr(plain(root)) == repr(as_json(tomllib.loads(text)))
    nodes = dict(walk(root))
    assert {path: str(nodes[path].origin) for path in document.values} == places(text, document.values)
    keys = {
        path: str((nodes.get(path[:-1]) or root).keys[path[-1]]) for path in document.keys if not rows_at(nodes, path)
    }
    assert keys == places(text, {path: document.keys[path] for path in keys})
    written = [path for path, node in nodes.items() if isinstance(node, Scalar)]
    assert set(written) <= set(document.values)


def rows_at(nodes, path):
    """Say whether a path is that of an element of a list, which has no key of its own."""
    return isinstance(nodes.get(path[:-1]), Sequence)


def reads_or_tells(content):
    """Parse; anything but what tomllib reads or a ConfigError with one place fails the test."""
    try:
        root = parse_toml(content, "f.toml")
    except ConfigError as error:
        (problem,) = error.problems
        assert re.fullmatch(r"f\.toml:\d+:\d+", problem.origin)
        assert "\n" not in problem.message
    else:
        text = content.decode("utf-8-sig") if isinstance(content, bytes) else content.removeprefix("\ufeff")
        assert repr(plain(root)) == repr(as_json(tomllib.loads(text)))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=100))
def test_any_bytes_give_a_tree_or_a_config_error(content):
    reads_or_tells(content)


PIECES = [
    "a",
    "b",
    ".",
    "=",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    ",",
    "\n",
    " ",
    '"',
    "'",
    '"""',
    "'''",
    "\\",
    "#",
    "1",
    "-",
]
PIECES += [
    "1979-05-27",
    "07:32:00",
    "\r",
    "\r\n",
    "\x00",
    "é",
    "\ud800",
    "\ufeff",
    "a=1\n",
    "[a]\n",
    "[[a]]\n",
    "a.b=",
    "true",
]


@settings(max_examples=600, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
@example('a = """""""\n')
@example("[[a]]\n[[a]]\n[a]\n")
@example("a = [{b=1,b.c=2}]")
@example("\r\r\n")
def test_any_text_of_toml_signs_gives_a_tree_or_a_config_error(content):
    reads_or_tells(content)


def test_damaged_toml_gives_a_tree_or_a_config_error():
    chance = random.Random(3)
    for _ in range(3000):
        content = bytearray(EVERY_KIND.encode())
        for _ in range(chance.randint(1, 4)):
            at, size = chance.randrange(len(content)), chance.randint(1, 12)
            piece = content[at : at + size]
            what = chance.choice(["put", "cut", "add", "double", "end"])
            stop = {"put": at + 1, "cut": at + size, "end": len(content)}.get(what, at)
            new = {
                "put": bytes([chance.randrange(256)]),
                "add": bytes([chance.choice(b"[]{}\"'=.#,\n\\")]),
                "double": piece,
            }
            content[at:stop] = new.get(what, b"")
            content = content or bytearray(b"a")
        reads_or_tells(bytes(content))
