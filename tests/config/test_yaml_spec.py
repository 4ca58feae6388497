"""YAML against its specification, against another reader, and against damage.

The examples are those of https://yaml.org/spec/1.2.2/ by their numbers, all 132 of them.
"""

import math
import random
import re
from collections import Counter

import pytest
from ruamel.yaml import YAML

from burnish.config.layer import find, plain
from burnish.config.sources.yaml import parse_yaml
from burnish.core.errors import ConfigError

# Keys are the text that was written (7.16, 10.4) and dates are strings, as the core schema has no dates (2.22). The
# values of 10.8 are those of the core schema: the example itself is about JSON's.
READ: list[tuple[str, str, object]] = [
    ("2.1", "- Mark McGwire\n- Sammy Sosa\n- Ken Griffey\n", ["Mark McGwire", "Sammy Sosa", "Ken Griffey"]),
    (
        "2.2",
        "hr:  65    # Home runs\navg: 0.278 # Batting average\nrbi: 147   # Runs Batted In\n",
        {"hr": 65, "avg": 0.278, "rbi": 147},
    ),
    (
        "2.3",
        """\
american:
- Boston Red Sox
- Detroit Tigers
- New York Yankees
national:
- New York Mets
- Chicago Cubs
- Atlanta Braves
""",
        {
            "american": ["Boston Red Sox", "Detroit Tigers", "New York Yankees"],
            "national": ["New York Mets", "Chicago Cubs", "Atlanta Braves"],
        },
    ),
    (
        "2.4",
        """\
-
  name: Mark McGwire
  hr:   65
  avg:  0.278
-
  name: Sammy Sosa
  hr:   63
  avg:  0.288
""",
        [{"name": "Mark McGwire", "hr": 65, "avg": 0.278}, {"name": "Sammy Sosa", "hr": 63, "avg": 0.288}],
    ),
    (
        "2.5",
        "- [name        , hr, avg  ]\n- [Mark McGwire, 65, 0.278]\n- [Sammy Sosa  , 63, 0.288]\n",
        [["name", "hr", "avg"], ["Mark McGwire", 65, 0.278], ["Sammy Sosa", 63, 0.288]],
    ),
    (
        "2.6",
        "Mark McGwire: {hr: 65, avg: 0.278}\nSammy Sosa: {\n    hr: 63,\n    avg: 0.288,\n }\n",
        {"Mark McGwire": {"hr": 65, "avg": 0.278}, "Sammy Sosa": {"hr": 63, "avg": 0.288}},
    ),
    (
        "2.9",
        """\
---
hr: # 1998 hr ranking
- Mark McGwire
- Sammy Sosa
# 1998 rbi ranking
rbi:
- Sammy Sosa
- Ken Griffey
""",
        {"hr": ["Mark McGwire", "Sammy Sosa"], "rbi": ["Sammy Sosa", "Ken Griffey"]},
    ),
    (
        "2.10",
        """\
---
hr:
- Mark McGwire
# Following node labeled SS
- &SS Sammy Sosa
rbi:
- *SS # Subsequent occurrence
- Ken Griffey
""",
        {"hr": ["Mark McGwire", "Sammy Sosa"], "rbi": ["Sammy Sosa", "Ken Griffey"]},
    ),
    (
        "2.12",
        """\
---
# Products purchased
- item    : Super Hoop
  quantity: 1
- item    : Basketball
  quantity: 4
- item    : Big Shoes
  quantity: 1
""",
        [
            {"item": "Super Hoop", "quantity": 1},
            {"item": "Basketball", "quantity": 4},
            {"item": "Big Shoes", "quantity": 1},
        ],
    ),
    ("2.13", "# ASCII Art\n--- |\n  \\//||\\/||\n  // ||  ||__\n", "\\//||\\/||\n// ||  ||__\n"),
    (
        "2.14",
        "--- >\n  Mark McGwire's\n  year was crippled\n  by a knee injury.\n",
        "Mark McGwire's year was crippled by a knee injury.\n",
    ),
    (
        "2.15",
        """\
--- >
 Sammy Sosa completed another
 fine season with great stats.

   63 Home Runs
   0.288 Batting Average

 What a year!
""",
        (
            "Sammy Sosa completed another fine season with great stats.\n"
            "\n"
            "  63 Home Runs\n"
            "  0.288 Batting Average\n"
            "\n"
            "What a year!\n"
        ),
    ),
    (
        "2.16",
        """\
name: Mark McGwire
accomplishment: >
  Mark set a major league
  home run record in 1998.
stats: |
  65 Home Runs
  0.278 Batting Average
""",
        {
            "name": "Mark McGwire",
            "accomplishment": "Mark set a major league home run record in 1998.\n",
            "stats": "65 Home Runs\n0.278 Batting Average\n",
        },
    ),
    (
        "2.17",
        (
            'unicode: "Sosa did fine.\\u263A"\n'
            'control: "\\b1998\\t1999\\t2000\\n"\n'
            'hex esc: "\\x0d\\x0a is \\r\\n"\n'
            "\n"
            "single: '\"Howdy!\" he cried.'\n"
            "quoted: ' # Not a ''comment''.'\n"
            "tie-fighter: '|\\-*-/|'\n"
        ),
        {
            "unicode": "Sosa did fine.☺",
            "control": "\x081998\t1999\t2000\n",
            "hex esc": "\r\n is \r\n",
            "single": '"Howdy!" he cried.',
            "quoted": " # Not a 'comment'.",
            "tie-fighter": "|\\-*-/|",
        },
    ),
    (
        "2.18",
        ('plain:\n  This unquoted scalar\n  spans many lines.\n\nquoted: "So does this\n  quoted scalar.\\n"\n'),
        {"plain": "This unquoted scalar spans many lines.", "quoted": "So does this quoted scalar.\n"},
    ),
    (
        "2.19",
        "canonical: 12345\ndecimal: +12345\noctal: 0o14\nhexadecimal: 0xC\n",
        {"canonical": 12345, "decimal": 12345, "octal": 12, "hexadecimal": 12},
    ),
    (
        "2.20",
        """\
canonical: 1.23015e+3
exponential: 12.3015e+02
fixed: 1230.15
negative infinity: -.inf
not a number: .nan
""",
        {
            "canonical": 1230.15,
            "exponential": 1230.15,
            "fixed": 1230.15,
            "negative infinity": -math.inf,
            "not a number": math.nan,
        },
    ),
    (
        "2.21",
        "null:\nbooleans: [ true, false ]\nstring: '012345'\n",
        {"null": None, "booleans": [True, False], "string": "012345"},
    ),
    (
        "2.22",
        """\
canonical: 2001-12-15T02:59:43.1Z
iso8601: 2001-12-14t21:59:43.10-05:00
spaced: 2001-12-14 21:59:43.10 -5
date: 2002-12-14
""",
        {
            "canonical": "2001-12-15T02:59:43.1Z",
            "iso8601": "2001-12-14t21:59:43.10-05:00",
            "spaced": "2001-12-14 21:59:43.10 -5",
            "date": "2002-12-14",
        },
    ),
    ("5.1", "\ufeff# Comment only.\n\n", {}),
    (
        "5.3",
        "sequence:\n- one\n- two\nmapping:\n  ? sky\n  : blue\n  sea : green\n",
        {"sequence": ["one", "two"], "mapping": {"sky": "blue", "sea": "green"}},
    ),
    (
        "5.4",
        "sequence: [ one, two, ]\nmapping: { sky: blue, sea: green }\n",
        {"sequence": ["one", "two"], "mapping": {"sky": "blue", "sea": "green"}},
    ),
    ("5.5", "# Comment only.\n\n", {}),
    (
        "5.7",
        "literal: |\n  some\n  text\nfolded: >\n  some\n  text\n",
        {"literal": "some\ntext\n", "folded": "some text\n"},
    ),
    ("5.8", "single: 'text'\ndouble: \"text\"\n", {"single": "text", "double": "text"}),
    ("5.9", "%YAML 1.2\n--- text\n", "text"),
    ("5.11", "|\n  Line break (no glyph)\n  Line break (glyphed)\n", "Line break (no glyph)\nLine break (glyphed)\n"),
    (
        "5.12",
        ('# Tabs and spaces\nquoted: "Quoted \t"\nblock:\t|\n  void main() {\n  \tprintf("Hello, world!\\n");\n  }\n'),
        {"quoted": "Quoted \t", "block": 'void main() {\n\tprintf("Hello, world!\\n");\n}\n'},
    ),
    (
        "5.13",
        (
            '- "Fun with \\\\"\n'
            '- "\\" \\a \\b \\e \\f"\n'
            '- "\\n \\r \\t \\v \\0"\n'
            '- "\\  \\_ \\N \\L \\P \\\n'
            '  \\x41 \\u0041 \\U00000041"\n'
        ),
        ["Fun with \\", '" \x07 \x08 \x1b \x0c', "\n \r \t \x0b \x00", "  \xa0 \x85 \u2028 \u2029 A A A"],
    ),
    (
        "6.1",
        (
            "  # Leading comment line spaces are\n"
            "   # neither content nor indentation.\n"
            "    \n"
            "Not indented:\n"
            " By one space: |\n"
            "    By four\n"
            "      spaces\n"
            " Flow style: [    # Leading spaces\n"
            "   By two,        # in flow style\n"
            "  Also by two,    # are neither\n"
            "  \tStill by two   # content nor\n"
            "    ]             # indentation.\n"
        ),
        {
            "Not indented": {
                "By one space": "By four\n  spaces\n",
                "Flow style": ["By two", "Also by two", "Still by two"],
            }
        },
    ),
    (
        "6.4",
        'plain: text\n  lines\nquoted: "text\n  \tlines"\nblock: |\n  text\n   \tlines\n',
        {"plain": "text lines", "quoted": "text lines", "block": "text\n \tlines\n"},
    ),
    (
        "6.5",
        'Folding:\n  "Empty line\n   \t\n  as a line feed"\nChomping: |\n  Clipped empty lines\n \n',
        {"Folding": "Empty line\nas a line feed", "Chomping": "Clipped empty lines\n"},
    ),
    ("6.6", ">-\n  trimmed\n  \n \n\n  as\n  space\n", "trimmed\n\n\nas space"),
    ("6.7", ">\n  foo \n \n  \t bar\n\n  baz\n", "foo \n\n\t bar\n\nbaz\n"),
    ("6.8", '"\n  foo \n \n  \t bar\n\n  baz "\n', " foo\nbar\nbaz "),
    ("6.9", "key:    # Comment\n  value", {"key": "value"}),
    ("6.10", "  # Comment\n   \n\n", {}),
    ("6.11", "key:    # Comment\n        # lines\n  value\n\n", {"key": "value"}),
    ("6.16", '%TAG !yaml! tag:yaml.org,2002:\n---\n!yaml!str "foo"\n', "foo"),
    ("6.23", '!!str &a1 "foo":\n  !!str bar\n&a2 baz : *a1\n', {"foo": "bar", "baz": "foo"}),
    ("6.28", '# Assuming conventional resolution:\n- "12"\n- 12\n- ! 12\n', ["12", 12, "12"]),
    (
        "6.29",
        "First occurrence: &anchor Value\nSecond occurrence: *anchor\n",
        {"First occurrence": "Value", "Second occurrence": "Value"},
    ),
    (
        "7.1",
        """\
First occurrence: &anchor Foo
Second occurrence: *anchor
Override anchor: &anchor Bar
Reuse anchor: *anchor
""",
        {"First occurrence": "Foo", "Second occurrence": "Foo", "Override anchor": "Bar", "Reuse anchor": "Bar"},
    ),
    ("7.2", "{\n  foo : !!str,\n  !!str : bar,\n}\n", {"foo": "", "": "bar"}),
    (
        "7.4",
        '"implicit block key" : [\n  "implicit flow key" : value,\n ]\n',
        {"implicit block key": [{"implicit flow key": "value"}]},
    ),
    (
        "7.5",
        '"folded \nto a space,\t\n \nto a line feed, or \t\\\n \\ \tnon-content"\n',
        "folded to a space,\nto a line feed, or \t \tnon-content",
    ),
    ("7.6", '" 1st non-empty\n\n 2nd non-empty \n\t3rd non-empty "\n', " 1st non-empty\n2nd non-empty 3rd non-empty "),
    ("7.7", "'here''s to \"quotes\"'\n", 'here\'s to "quotes"'),
    (
        "7.8",
        "'implicit block key' : [\n  'implicit flow key' : value,\n ]\n",
        {"implicit block key": [{"implicit flow key": "value"}]},
    ),
    ("7.9", "' 1st non-empty\n\n 2nd non-empty \n\t3rd non-empty '\n", " 1st non-empty\n2nd non-empty 3rd non-empty "),
    (
        "7.11",
        "implicit block key : [\n  implicit flow key : value,\n ]\n",
        {"implicit block key": [{"implicit flow key": "value"}]},
    ),
    ("7.12", "1st non-empty\n\n 2nd non-empty \n\t3rd non-empty\n", "1st non-empty\n2nd non-empty 3rd non-empty"),
    ("7.13", "- [ one, two, ]\n- [three ,four]\n", [["one", "two"], ["three", "four"]]),
    (
        "7.14",
        """\
[
"double
 quoted", 'single
           quoted',
plain
 text, [ nested ],
single: pair,
]
""",
        ["double quoted", "single quoted", "plain text", ["nested"], {"single": "pair"}],
    ),
    (
        "7.15",
        "- { one : two , three: four , }\n- {five: six,seven : eight}\n",
        [{"one": "two", "three": "four"}, {"five": "six", "seven": "eight"}],
    ),
    ("7.16", "{\n? explicit: entry,\nimplicit: entry,\n?\n}\n", {"explicit": "entry", "implicit": "entry", "": None}),
    (
        "7.18",
        '{\n"adjacent":value,\n"readable": value,\n"empty":\n}\n',
        {"adjacent": "value", "readable": "value", "empty": None},
    ),
    ("7.19", "[\nfoo: bar\n]\n", [{"foo": "bar"}]),
    ("7.20", "[\n? foo\n bar : baz\n]\n", [{"foo bar": "baz"}]),
    ("7.23", "- [ a, b ]\n- { a: b }\n- \"a\"\n- 'b'\n- c\n", [["a", "b"], {"a": "b"}, "a", "b", "c"]),
    ("7.24", '- !!str "a"\n- \'b\'\n- &anchor "c"\n- *anchor\n- !!str\n', ["a", "b", "c", "c", ""]),
    (
        "8.1",
        """\
- | # Empty header
 literal
- >1 # Indentation indicator
  folded
- |+ # Chomping indicator
 keep

- >1- # Both indicators
  strip
""",
        ["literal\n", " folded\n", "keep\n\n", " strip"],
    ),
    (
        "8.4",
        "strip: |-\n  text\nclip: |\n  text\nkeep: |+\n  text\n",
        {"strip": "text", "clip": "text\n", "keep": "text\n"},
    ),
    (
        "8.5",
        (
            "# Strip\n"
            "  # Comments:\n"
            "strip: |-\n"
            "  # text\n"
            "  \n"
            " # Clip\n"
            "  # comments:\n"
            "\n"
            "clip: |\n"
            "  # text\n"
            " \n"
            " # Keep\n"
            "  # comments:\n"
            "\n"
            "keep: |+\n"
            "  # text\n"
            "\n"
            " # Trail\n"
            "  # comments.\n"
        ),
        {"strip": "# text", "clip": "# text\n", "keep": "# text\n\n"},
    ),
    ("8.6", "strip: >-\n\nclip: >\n\nkeep: |+\n\n", {"strip": "", "clip": "", "keep": "\n"}),
    ("8.7", "|\n literal\n \ttext\n\n", "literal\n\ttext\n"),
    ("8.8", "|\n \n  \n  literal\n   \n  \n  text\n\n # Comment\n", "\n\nliteral\n \n\ntext\n"),
    ("8.9", ">\n folded\n text\n\n", "folded text\n"),
    (
        "8.10",
        """\
>

 folded
 line

 next
 line
   * bullet

   * list
   * lines

 last
 line

# Comment
""",
        "\nfolded line\nnext line\n  * bullet\n\n  * list\n  * lines\n\nlast line\n",
    ),
    (
        "8.11",
        """\
>

 folded
 line

 next
 line
   * bullet

   * list
   * lines

 last
 line

# Comment
""",
        "\nfolded line\nnext line\n  * bullet\n\n  * list\n  * lines\n\nlast line\n",
    ),
    (
        "8.12",
        """\
>

 folded
 line

 next
 line
   * bullet

   * list
   * lines

 last
 line

# Comment
""",
        "\nfolded line\nnext line\n  * bullet\n\n  * list\n  * lines\n\nlast line\n",
    ),
    (
        "8.13",
        """\
>

 folded
 line

 next
 line
   * bullet

   * list
   * lines

 last
 line

# Comment
""",
        "\nfolded line\nnext line\n  * bullet\n\n  * list\n  * lines\n\nlast line\n",
    ),
    ("8.14", "block sequence:\n  - one\n  - two : three\n", {"block sequence": ["one", {"two": "three"}]}),
    (
        "8.15",
        "- # Empty\n- |\n block node\n- - one # Compact\n  - two # sequence\n- one: two # Compact mapping\n",
        [None, "block node\n", ["one", "two"], {"one": "two"}],
    ),
    ("8.16", "block mapping:\n key: value\n", {"block mapping": {"key": "value"}}),
    (
        "8.17",
        """\
? explicit key # Empty value
? |
  block key
: - one # Explicit compact
  - two # block value
""",
        {"explicit key": None, "block key\n": ["one", "two"]},
    ),
    (
        "8.20",
        '-\n  "flow in block"\n- >\n Block scalar\n- !!map # Block collection\n  foo : bar\n',
        ["flow in block", "Block scalar\n", {"foo": "bar"}],
    ),
    (
        "8.22",
        "sequence: !!seq\n- entry\n- !!seq\n - nested\nmapping: !!map\n foo: bar\n",
        {"sequence": ["entry", ["nested"]], "mapping": {"foo": "bar"}},
    ),
    ("9.1", "\ufeff# Comment\n# lines\nDocument\n", "Document"),
    ("9.2", "%YAML 1.2\n---\nDocument\n... # Suffix\n", "Document"),
    (
        "10.1",
        """\
Block style: !!map
  Clark : Evans
  Ingy  : döt Net
  Oren  : Ben-Kiki

Flow style: !!map { Clark: Evans, Ingy: döt Net, Oren: Ben-Kiki }
""",
        {
            "Block style": {"Clark": "Evans", "Ingy": "döt Net", "Oren": "Ben-Kiki"},
            "Flow style": {"Clark": "Evans", "Ingy": "döt Net", "Oren": "Ben-Kiki"},
        },
    ),
    (
        "10.2",
        """\
Block style: !!seq
- Clark Evans
- Ingy döt Net
- Oren Ben-Kiki

Flow style: !!seq [ Clark Evans, Ingy döt Net, Oren Ben-Kiki ]
""",
        {
            "Block style": ["Clark Evans", "Ingy döt Net", "Oren Ben-Kiki"],
            "Flow style": ["Clark Evans", "Ingy döt Net", "Oren Ben-Kiki"],
        },
    ),
    (
        "10.3",
        'Block style: !!str |-\n  String: just a theory.\n\nFlow style: !!str "String: just a theory."\n',
        {"Block style": "String: just a theory.", "Flow style": "String: just a theory."},
    ),
    (
        "10.4",
        "!!null null: value for null key\nkey with null value: !!null null\n",
        {"null": "value for null key", "key with null value": None},
    ),
    (
        "10.5",
        "YAML is a superset of JSON: !!bool true\nPluto is a planet: !!bool false\n",
        {"YAML is a superset of JSON": True, "Pluto is a planet": False},
    ),
    ("10.6", "negative: !!int -12\nzero: !!int 0\npositive: !!int 34\n", {"negative": -12, "zero": 0, "positive": 34}),
    (
        "10.7",
        """\
negative: !!float -1
zero: !!float 0
positive: !!float 2.3e4
infinity: !!float .inf
not a number: !!float .nan
""",
        {"negative": -1.0, "zero": 0.0, "positive": 23000.0, "infinity": math.inf, "not a number": math.nan},
    ),
    (
        "10.8",
        """\
A null: null
Booleans: [ true, false ]
Integers: [ 0, -0, 3, -19 ]
Floats: [ 0., -0.0, 12e03, -2E+05 ]
Invalid: [ True, Null,
  0o7, 0x3A, +12.3 ]
""",
        {
            "A null": None,
            "Booleans": [True, False],
            "Integers": [0, 0, 3, -19],
            "Floats": [0.0, -0.0, 12000.0, -200000.0],
            "Invalid": [True, None, 7, 58, 12.3],
        },
    ),
    (
        "10.9",
        """\
A null: null
Also a null: # Empty
Not a null: ""
Booleans: [ true, True, false, FALSE ]
Integers: [ 0, 0o7, 0x3A, -19 ]
Floats: [
  0., -0.0, .5, +12e03, -2E+05 ]
Also floats: [
  .inf, -.Inf, +.INF, .NAN ]
""",
        {
            "A null": None,
            "Also a null": None,
            "Not a null": "",
            "Booleans": [True, True, False, False],
            "Integers": [0, 7, 58, -19],
            "Floats": [0.0, -0.0, 0.5, 12000.0, -200000.0],
            "Also floats": [math.inf, -math.inf, math.inf, math.nan],
        },
    ),
]

# What burnish has no use for: example, what is refused, text, errors and their places.
REFUSED = [
    (
        "2.7",
        "several documents",
        """\
# Ranking of 1998 home runs
---
- Mark McGwire
- Sammy Sosa
- Ken Griffey

# Team ranking
---
- Chicago Cubs
- St Louis Cardinals
""",
        [("a second document; a config file holds one", "8:1")],
    ),
    (
        "2.8",
        "several documents",
        """\
---
time: 20:03:20
player: Sammy Sosa
action: strike (miss)
...
---
time: 20:03:47
player: Sammy Sosa
action: grand slam
...
""",
        [("a second document; a config file holds one", "6:1")],
    ),
    (
        "2.11",
        "a key that is a list or a section",
        """\
? - Detroit Tigers
  - Chicago cubs
: - 2001-07-23

? [ New York Yankees,
    Atlanta Braves ]
: [ 2001-07-02, 2001-08-12,
    2001-08-14 ]
""",
        [
            ("a key must be a plain word, not a list or a section", "1:3"),
            ("a key must be a plain word, not a list or a section", "5:3"),
        ],
    ),
    (
        "2.23",
        "a tag",
        """\
---
not-date: !!str 2002-04-28

picture: !!binary |
 R0lGODlhDAAMAIQAAP//9/X
 17unp5WZmZgAAAOfn515eXv
 Pz7Y6OjuDg4J+fn5OTk6enp
 56enmleECcgggoBADs=

application specific tag: !something |
 The semantics of the tag
 above may be different for
 different documents.
""",
        [("tag tag:yaml.org,2002:binary is not supported", "4:10"), ("tag !something is not supported", "10:27")],
    ),
    (
        "2.24",
        "a tag",
        """\
%TAG ! tag:clarkevans.com,2002:
--- !shape
  # Use the ! handle for presenting
  # tag:clarkevans.com,2002:circle
- !circle
  center: &ORIGIN {x: 73, y: 129}
  radius: 7
- !line
  start: *ORIGIN
  finish: { x: 89, y: 102 }
- !label
  start: *ORIGIN
  color: 0xFFEEBB
  text: Pretty vector drawing.
""",
        [
            ("tag tag:clarkevans.com,2002:shape is not supported", "2:5"),
            ("tag tag:clarkevans.com,2002:circle is not supported", "5:3"),
            ("tag tag:clarkevans.com,2002:line is not supported", "8:3"),
            ("tag tag:clarkevans.com,2002:label is not supported", "11:3"),
        ],
    ),
    (
        "2.25",
        "a tag",
        """\
# Sets are represented as a
# Mapping where each key is
# associated with a null value
--- !!set
? Mark McGwire
? Sammy Sosa
? Ken Griffey
""",
        [("tag tag:yaml.org,2002:set is not supported", "4:5")],
    ),
    (
        "2.26",
        "a tag",
        """\
# Ordered maps are represented as
# A sequence of mappings, with
# each mapping having one key
--- !!omap
- Mark McGwire: 65
- Sammy Sosa: 63
- Ken Griffey: 58
""",
        [("tag tag:yaml.org,2002:omap is not supported", "4:5")],
    ),
    (
        "2.27",
        "a tag",
        """\
--- !<tag:clarkevans.com,2002:invoice>
invoice: 34843
date   : 2001-01-23
bill-to: &id001
  given  : Chris
  family : Dumars
  address:
    lines: |
      458 Walkman Dr.
      Suite #292
    city    : Royal Oak
    state   : MI
    postal  : 48046
ship-to: *id001
product:
- sku         : BL394D
  quantity    : 4
  description : Basketball
  price       : 450.00
- sku         : BL4438H
  quantity    : 1
  description : Super Hoop
  price       : 2392.00
tax  : 251.42
total: 4443.52
comments:
  Late afternoon is best.
  Backup contact is Nancy
  Billsmer @ 338-4338.
""",
        [("tag tag:clarkevans.com,2002:invoice is not supported", "1:5")],
    ),
    (
        "2.28",
        "several documents",
        (
            "---\n"
            "Time: 2001-11-23 15:01:42 -5\n"
            "User: ed\n"
            "Warning:\n"
            "  This is an error message\n"
            "  for the log file\n"
            "---\n"
            "Time: 2001-11-23 15:02:31 -5\n"
            "User: ed\n"
            "Warning:\n"
            "  A slightly different error\n"
            "  message.\n"
            "---\n"
            "Date: 2001-11-23 15:03:17 -5\n"
            "User: ed\n"
            "Fatal:\n"
            '  Unknown variable "bar"\n'
            "Stack:\n"
            "- file: TopClass.py\n"
            "  line: 23\n"
            "  code: |\n"
            '    x = MoreObject("345\\n")\n'
            "- file: MoreClass.py\n"
            "  line: 58\n"
            "  code: |-\n"
            "    foo = bar\n"
        ),
        [("a second document; a config file holds one", "7:1")],
    ),
    ("5.6", "a tag", "anchored: !local &anchor value\nalias: *anchor\n", [("tag !local is not supported", "1:11")]),
    (
        "6.12",
        "a key that is a list or a section",
        """\
{ first: Sammy, last: Sosa }:
# Statistics:
  hr:  # Home runs
     65
  avg: # Average
   0.278
""",
        [("a key must be a plain word, not a list or a section", "1:1")],
    ),
    (
        "6.18",
        "a tag",
        '# Private\n!foo "bar"\n...\n# Global\n%TAG ! tag:example.com,2000:app/\n---\n!foo "bar"\n',
        [
            ("tag !foo is not supported", "2:1"),
            ("a second document; a config file holds one", "5:1"),
            ("tag tag:example.com,2000:app/foo is not supported", "7:1"),
        ],
    ),
    (
        "6.19",
        "a tag",
        "%TAG !! tag:example.com,2000:app/\n---\n!!int 1 - 3 # Interval, not integer\n",
        [("tag tag:example.com,2000:app/int is not supported", "3:1")],
    ),
    (
        "6.20",
        "a tag",
        '%TAG !e! tag:example.com,2000:app/\n---\n!e!foo "bar"\n',
        [("tag tag:example.com,2000:app/foo is not supported", "3:1")],
    ),
    (
        "6.21",
        "a tag",
        """\
%TAG !m! !my-
--- # Bulb here
!m!light fluorescent
...
%TAG !m! !my-
--- # Color here
!m!light green
""",
        [
            ("tag !my-light is not supported", "3:1"),
            ("a second document; a config file holds one", "5:1"),
            ("tag !my-light is not supported", "7:1"),
        ],
    ),
    (
        "6.22",
        "a tag",
        '%TAG !e! tag:example.com,2000:app/\n---\n- !e!foo "bar"\n',
        [("tag tag:example.com,2000:app/foo is not supported", "3:3")],
    ),
    ("6.24", "a tag", "!<tag:yaml.org,2002:str> foo :\n  !<!bar> baz\n", [("tag !bar is not supported", "2:3")]),
    (
        "6.26",
        "a tag",
        "%TAG !e! tag:example.com,2000:app/\n---\n- !local foo\n- !!str bar\n- !e!tag%21 baz\n",
        [("tag !local is not supported", "3:3"), ("tag tag:example.com,2000:app/tag! is not supported", "5:3")],
    ),
    (
        "8.19",
        "a key that is a list or a section",
        "- sun: yellow\n- ? earth: blue\n  : moon: white\n",
        [("a key must be a plain word, not a list or a section", "2:5")],
    ),
    ("8.21", "a tag", "literal: |2\n  value\nfolded:\n   !foo\n  >1\n value\n", [("tag !foo is not supported", "4:4")]),
    (
        "9.6",
        "several documents",
        "Document\n---\n# Empty\n...\n%YAML 1.2\n---\nmatches %: 20\n",
        [("a second document; a config file holds one", "2:1")],
    ),
]

# What the specification allows and libyaml does not read: example, what is in the way, text, errors.
REFUSED_BY_LIBYAML = [
    (
        "6.2",
        "a tab after an indicator",
        "? a\n: -\tb\n  -  -\tc\n     - d\n",
        [("not YAML: found character that cannot start any token", "2:4")],
    ),
    (
        "6.3",
        "a tab after an indicator",
        "- foo:\t bar\n- - baz\n  -\tbaz\n",
        [("not YAML: found character that cannot start any token", "3:4")],
    ),
    (
        "6.13",
        "an unknown directive, where the specification asks for a warning",
        '%FOO  bar baz # Should be ignored\n               # with a warning.\n--- "foo"\n',
        [("not YAML: found unknown directive name", "1:5")],
    ),
    (
        "6.14",
        "a directive for YAML 1.3, where the specification asks for a warning",
        '%YAML 1.3 # Attempt parsing\n           # with a warning\n---\n"foo"\n',
        [("not YAML: found incompatible YAML document", "1:1")],
    ),
    (
        "7.3",
        "an empty key in a flow section",
        "{\n  ? foo :,\n  : bar,\n}\n",
        [("not YAML: found unexpected ':'", "2:9")],
    ),
    (
        "7.10",
        "a plain scalar that begins with '::' in a flow list",
        """\
# Outside flow collection:
- ::vector
- ": - ()"
- Up, up, and away!
- -123
- https://example.com/foo#bar
# Inside flow collection:
- [ ::vector,
  ": - ()",
  "Up, up and away!",
  -123,
  https://example.com/foo#bar ]
""",
        [("not YAML: did not find expected node content", "8:5")],
    ),
    (
        "7.17",
        "an empty key in a flow section",
        '{\nunquoted : "separate",\nhttps://foo.com,\nomitted value:,\n: omitted key,\n}\n',
        [("not YAML: found unexpected ':'", "4:14")],
    ),
    (
        "7.21",
        "an empty key in a flow list",
        "- [ YAML : separate ]\n- [ : empty key entry ]\n- [ {JSON: like}:adjacent ]\n",
        [("not YAML: did not find expected node content", "2:5")],
    ),
    (
        "8.2",
        "a tab on the first, empty line of a block scalar",
        "- |\n detected\n- >\n \n  \n  # detected\n- |1\n  explicit\n- >\n \t\n detected\n",
        [("not YAML: found a tab character where an indentation space is expected", "10:2")],
    ),
    (
        "8.18",
        "an empty key",
        'plain key: in-line value\n: # Both empty\n"quoted key":\n- entry\n',
        [("not YAML: did not find expected key", "2:1")],
    ),
    (
        "9.3",
        "several documents; a bare one after '...'",
        "Bare\ndocument\n...\n# No document\n...\n|\n%!PS-Adobe-2.0 # Not the first line\n",
        [("not YAML: did not find expected <document start>", "6:1")],
    ),
    (
        "9.4",
        "several documents; a '%' at the beginning of a line",
        "---\n{ matches\n% : 20 }\n...\n---\n# Empty\n...\n",
        [("not YAML: did not find expected ',' or '}'", "3:3")],
    ),
    (
        "9.5",
        "several documents; a block scalar whose text begins with '%'",
        "%YAML 1.2\n--- |\n%!PS-Adobe-2.0\n...\n%YAML 1.2\n---\n# Empty\n...\n",
        [("not YAML: could not find expected directive name", "3:2")],
    ),
]

# What the specification refuses too.
INVALID = [
    (
        "5.10",
        "commercial-at: @text\ngrave-accent: `text\n",
        [("not YAML: found character that cannot start any token", "1:16")],
    ),
    ("5.14", 'Bad escapes:\n  "\\c\n  \\xq-"\n', [("not YAML: found unknown escape character", "2:4")]),
    ("6.15", "%YAML 1.2\n%YAML 1.1\nfoo\n", [("not YAML: found duplicate %YAML directive", "2:1")]),
    ("6.17", "%TAG ! !foo\n%TAG ! !foo\nbar\n", [("not YAML: found duplicate %TAG directive", "2:1")]),
    ("6.25", "- !<!> foo\n- !<$:?> bar\n", [("tag $:? is not supported", "2:3")]),
    (
        "6.27",
        "%TAG !e! tag:example,2000:app/\n---\n- !e! foo\n- !h!bar baz\n",
        [("not YAML: did not find expected tag URI", "3:6")],
    ),
    (
        "7.22",
        '[ foo\n bar: invalid,\n "foo_...>1K characters..._bar": invalid ]\n',
        [("not YAML: did not find expected ',' or ']'", "2:5")],
    ),
    (
        "8.3",
        "- |\n  \n text\n- >\n  text\n text\n- |2\n text\n",
        [("not YAML: did not find expected '-' indicator", "3:2")],
    ),
]

# Inside a document; libyaml skips it.
ACCEPTED_THOUGH_INVALID = [("5.2", "- Invalid use of BOM\n\ufeff\n- Inside a document.\n")]


@pytest.mark.parametrize(("number", "text", "value"), READ, ids=[number for number, _, _ in READ])
def test_example_of_the_specification_reads_as_it_says(number, text, value):
    assert repr(plain(parse_yaml(text, "spec.yaml"))) == repr(value)


def refused(text, told):
    return [
        (message, origin.removeprefix("spec.yaml:"))
        for message, origin, _ in told(lambda: parse_yaml(text, "spec.yaml"))
    ]


REASONS = {
    "several documents": "a second document; a config file holds one",
    "a key that is a list or a section": "a key must be a plain word, not a list or a section",
    "a tag": "is not supported",
}


@pytest.mark.parametrize(("number", "what", "text", "errors"), REFUSED, ids=[example[0] for example in REFUSED])
def test_example_that_no_config_needs_is_refused_by_name(told, number, what, text, errors):
    assert refused(text, told) == errors
    assert any(message.endswith(REASONS[what]) for message, _ in errors)


@pytest.mark.parametrize(
    ("number", "what", "text", "errors"), REFUSED_BY_LIBYAML, ids=[example[0] for example in REFUSED_BY_LIBYAML]
)
def test_example_that_libyaml_cannot_read_is_refused_with_its_place(told, number, what, text, errors):
    assert refused(text, told) == errors


@pytest.mark.parametrize(("number", "text", "errors"), INVALID, ids=[example[0] for example in INVALID])
def test_invalid_example_is_refused(told, number, text, errors):
    assert refused(text, told) == errors


@pytest.mark.parametrize(("number", "text"), ACCEPTED_THOUGH_INVALID)
def test_mark_inside_a_document_is_skipped(number, text):
    assert plain(parse_yaml(text, "spec.yaml")) == ["Invalid use of BOM", "Inside a document."]


def test_every_example_of_the_specification_is_in_one_group():
    groups = (READ, REFUSED, REFUSED_BY_LIBYAML, INVALID, ACCEPTED_THOUGH_INVALID)
    numbers = [example[0] for group in groups for example in group]
    counts = {"2": 28, "5": 14, "6": 29, "7": 24, "8": 22, "9": 6, "10": 9}
    assert sorted(numbers) == sorted(f"{chapter}.{n}" for chapter, count in counts.items() for n in range(1, count + 1))


def in_yaml_1_2(text):
    """Return ruamel's reading."""
    yaml = YAML(typ="safe", pure=True)
    yaml.version = (1, 2)
    return yaml.load(text)


def typed(value):
    """Return a value that equals another only where all types are the same; nan equals nan."""
    if isinstance(value, dict):
        return {(type(key), key): typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    return type(value), repr(value)


GIVEN_TWICE = {
    "tulu3_8b_preview_mix_v3.1.yaml": ("checkpointing_steps", 27, 29),
    "tulu3_8b_preview_mix_v3.2.yaml": ("checkpointing_steps", 30, 32),
}


@pytest.mark.testdata
def test_there_are_33_real_recipes(recipes):
    assert len(recipes) == 33
    assert set(GIVEN_TWICE) < {file.name for file in recipes}


@pytest.mark.testdata
def test_real_recipes_equal_another_readers_yaml_1_2_values_and_types(recipes):
    sound = [file for file in recipes if file.name not in GIVEN_TWICE]
    different = [
        file.name
        for file in sound
        if typed(plain(parse_yaml(file.read_bytes(), file.name))) != typed(in_yaml_1_2(file.read_text()))
    ]
    assert (len(sound), different) == (31, [])


@pytest.mark.testdata
def test_real_recipes_with_a_key_given_twice_are_refused_with_both_lines(recipes, told):
    for file in recipes:
        if file.name in GIVEN_TWICE:
            key, first, second = GIVEN_TWICE[file.name]
            message = f"key '{key}' is given twice; it stands at line {first} already"
            problems = told(lambda file=file: parse_yaml(file.read_bytes(), file.name))
            assert problems == [(message, f"{file.name}:{second}:1", "")]
            lines = file.read_text().splitlines()
            assert [lines[number - 1].split(":")[0] for number in (first, second)] == [key, key]


SCALARS = """
1e5 1e-5 1E5 1e+5 1.5e3 1.e3 .5 5. +.5 1e 1e+ .e1 1.2.3 0 -0 +1 0.0 -0.0 012 +012 -012 07 08 0777 0_7 0o7 0o8 0o 0x1F 0x
1_000 1__0 1_ _1 22:22 1:30:00 ~ null Null NULL nUll true True TRUE tRue false False FALSE yes Yes no NO on off y n
.inf +.INF -.Inf .nan .NaN .NAN inf nan -inf . + a-1 1a +-1 --1
"""


@pytest.mark.parametrize("text", SCALARS.split())
def test_plain_scalar_equals_another_readers(text):
    line = f"a: {text}\n"
    assert typed(plain(parse_yaml(line, "f"))) == typed(in_yaml_1_2(line))


# What ruamel reads beyond https://yaml.org/spec/1.2.2/#103-core-schema, and the one float that it misses.
RUAMEL_DIFFERS = [
    ("-.5e1", -5.0, "-.5e1"),  # [-+]? ( \. [0-9]+ | … ) ( [eE] [-+]? [0-9]+ )? is a float
    ("1_000.5", "1_000.5", 1000.5),  # no underscores in floats
    ("1.0_0", "1.0_0", 1.0),
    ("0x1_0", "0x1_0", 16),  # nor in hexadecimal integers
    ("-0o7", "-0o7", -7),  # 0o [0-7]+ and 0x [0-9a-fA-F]+ have no sign
    ("-0x1", "-0x1", -1),
    ("0b11", "0b11", 3),  # no binary integers
]


@pytest.mark.parametrize(("text", "ours", "ruamels"), RUAMEL_DIFFERS)
def test_plain_scalar_where_ruamel_leaves_the_core_schema_is_read_by_the_schema(text, ours, ruamels):
    line = f"a: {text}\n"
    assert typed(in_yaml_1_2(line)) == typed({"a": ruamels})
    assert typed(plain(parse_yaml(line, "f"))) == typed({"a": ours})


@pytest.mark.parametrize("text", ["2001-01-01", "2001-12-14T21:59:43Z", "2001-12-14 21:59:43.10 -5"])
def test_dates_are_strings_because_the_core_schema_has_none(text):
    assert plain(parse_yaml(f"a: {text}\n", "f")) == {"a": text}
    assert not isinstance(in_yaml_1_2(f"a: {text}\n")["a"], str)


@pytest.mark.parametrize("text", ["=", "- =", "a: ="])
def test_equals_sign_is_a_string_where_ruamel_gives_up(text):
    assert "=" in repr(plain(parse_yaml(text, "f")))


@pytest.mark.parametrize(("text", "value"), [("1_000", 1000), ("-1_0", -10), ("1__0", 10), ("1_", 1)])
def test_underscores_in_integers_are_the_one_thing_read_beyond_the_core_schema(text, value):
    assert typed(plain(parse_yaml(f"a: {text}\n", "f"))) == typed({"a": value})


def damaged(content, chance):
    """Return bytes with some flipped, put in, cut out or doubled, or the end cut off."""
    out = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        at, size = chance.randrange(len(out) + 1), chance.randint(1, 20)
        piece = out[at : at + size]
        what = chance.choice(["flip", "sign", "cut", "double", "end"])
        if what == "flip" and piece:
            out[at] ^= 1 << chance.randrange(8)
        elif what == "sign":
            out[at:at] = chance.choice(
                [b"\t", b"\r", b"\x00", b"\xff", b"[", b"}", b": ", b"\n- ", b"&a ", b"*a ", b"|", b'"']
            )
        elif what == "end":
            del out[len(out) - chance.randrange(len(out) // 4 + 1) :]
        else:
            out[at : at + size] = piece * 2 if what == "double" else b""
    return bytes(out)


@pytest.mark.testdata
def test_damaged_recipes_give_a_tree_or_a_config_error_with_places(recipes):
    chance = random.Random(12)
    ends = Counter()
    for file in recipes:
        content = file.read_bytes()
        for _ in range(40):
            ends[outcome(damaged(content, chance))] += 1
    assert sum(ends.values()) == 33 * 40
    assert min(ends["read"], ends["refused"]) > 100


def outcome(content):
    try:
        parse_yaml(content, "f.yaml")
    except ConfigError as error:
        problems = error.problems
    else:
        return "read"
    assert problems
    assert [p for p in problems if not re.fullmatch(r"f\.yaml:\d+:\d+", p.origin) or "\n" in p.message] == []
    return "refused"


HOSTILE = [
    (b"#" * (50 << 20), "file is larger than 16 MiB", ":1:1"),
    ("- " * 900, "nested deeper than 100 levels", ":1:201"),
    ("? " * 900, "nested deeper than 100 levels", ":1:201"),
    ("{a: " * 900, "nested deeper than 100 levels", ":1:401"),
    ("&a [" * 900, "nested deeper than 100 levels", ":1:401"),
    (b"a: \x00\n", "not YAML: control characters are not allowed", ":1:4"),
    (b"a: 1\n\xc3\x28: 2\n", "not YAML: invalid trailing UTF-8 octet", ":2:1"),
    (b"\xef\xbb\xbf\xff", "not YAML: invalid leading UTF-8 octet", ":1:1"),
    (b"\xff\xfea\x00:\x00 \x00\x00\xd8", "not YAML: incomplete UTF-16 surrogate pair", ":1:4"),
    ("a:\n- 1\n\t- 2\n", "not YAML: found a tab character that violates indentation", ":3:1"),
    ("a: |\n\tx\n", "not YAML: found a tab character where an indentation space is expected", ":2:1"),
    ("a: 1\r\nb: [\r\n", "not YAML: did not find expected node content", ":3:1"),
    ("a: 1\rb: ]\r", "not YAML: did not find expected node content", ":2:4"),
]


@pytest.mark.parametrize(("content", "message", "place"), HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_file_is_one_error(told, content, message, place):
    assert told(lambda: parse_yaml(content, "f.yaml")) == [(message, f"f.yaml{place}", "")]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "marked"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["unix", "windows", "old mac"])
def test_line_ends_and_marks_change_nothing(mark, end):
    root = parse_yaml(mark + end.join([b"a: |", b"  x", b"  y", b"b: 'p", b"  q'", b"c: 1\t# z", b""]), "f.yaml")
    assert plain(root) == {"a": "x\ny\n", "b": "p q", "c": 1}
    assert str(find(root, "c").origin) == "f.yaml:6:4"


@pytest.mark.parametrize(
    ("text", "value"), [('"x\x85y"', "x y"), ('"x\u2028 y"', "x\u2028y"), ('"x\u2029\ty"', "x\u2029y")]
)
def test_line_ends_of_yaml_1_1_alone_are_folded_by_libyaml_though_1_2_has_them_as_text(text, value):
    assert plain(parse_yaml(f"a: {text}\n", "f.yaml")) == {"a": value}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_with_a_mark_is_read(encoding):
    text = "ä: 1\nb: 'é𝄞'\n"
    content = text.encode(encoding) if encoding == "utf-16" else ("\ufeff" + text).encode(encoding)
    assert plain(parse_yaml(content, "f.yaml")) == {"ä": 1, "b": "é𝄞"}
