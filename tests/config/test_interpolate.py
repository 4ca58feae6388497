import pytest

from burnish.config.interpolate import References, RunReference, interpolate
from burnish.config.layer import find, plain
from burnish.config.sources.yaml import parse_yaml
from burnish.core.errors import ConfigError, RunError


def filled(text, environ=None, find_run=None):
    return interpolate(parse_yaml(text, "f.yaml"), References(environ or {}, find_run))


def problems(text, environ=None, find_run=None):
    return [(p.message, p.origin, p.hint) for p in filled(text, environ, find_run).problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 3\nv: ${a}", 3),
        ("a: {b: 1e-5}\nv: ${a.b}", 1e-5),
        ("a: [x, y]\nv: ${a.1}", "y"),
        ("a: [1, 2]\nv: ${a}", [1, 2]),
        ("a:\n  b: ${c}\nc: 4\nv: ${a}", {"b": 4}),
        ("a: 1.10\nv: v${a}-${a}", "v1.10-1.10"),
        ("v: ${a:-5}", 5),
        ("v: ${a:-two words}", "two words"),
        ("v: x${a:-}y", "xy"),
        ("a: 1\nv: ${a:-5}", 1),
        ("v: ${env:N}", 7),
        ("v: ${env:M:-8}", 8),
        ("v: p-${env:N}", "p-7"),
        ("v: $${a}", "${a}"),
        ("a: $${x}\nv: p-${a}", "p-${x}"),
        ("a: ${b}\nb: ${c}\nc: 9\nv: ${a}", 9),
        ("v: $5 and {x}", "$5 and {x}"),
        ("v: [x, '${env:N}']", ["x", 7]),
    ],
)
def test_reference_takes_the_value_it_names(text, value):
    result = filled(text, {"N": "7"})
    assert (plain(find(result.tree, "v")), result.problems) == (value, [])


def test_text_of_a_variable_is_not_read_as_a_reference_again():
    assert plain(filled("v: p-${env:N}", {"N": "${a}"}).tree) == {"v": "p-${a}"}


def test_origin_tells_the_reference_that_a_value_came_through():
    origins = filled("a: 1\nv: ${a}\nw: x${a}").tree
    assert [str(find(origins, key).origin) for key in "vw"] == ["f.yaml:2:4 via ${a}", "f.yaml:3:4 via x${a}"]


def test_raw_text_comes_along_with_a_referred_value():
    assert find(filled("a: 1.10\nv: ${a}").tree, "v").raw == "1.10"


@pytest.mark.parametrize(
    ("text", "message", "origin", "hint"),
    [
        ("a: ${b}\nb: ${a}", "values refer to each other in a circle: a → b → a", "f.yaml:1:4", ""),
        ("a: ${a}", "values refer to each other in a circle: a → a", "f.yaml:1:4", ""),
        ("a: {b: 'x${a.b}'}", "values refer to each other in a circle: a.b → a.b", "f.yaml:1:8", ""),
        ("a: {b: '${a}'}", "values refer to each other in a circle: a.b → a.b", "f.yaml:1:8", ""),
        ("p: ${a}\na: ${b}\nb: ${a}", "values refer to each other in a circle: a → b → a", "f.yaml:2:4", ""),
        ("model: 1\na: ${modle}", "${modle} refers to no key", "f.yaml:2:4", "did you mean ${model}?"),
        ("a: ${b}\nc: ${a}\nd: ${a}", "${b} refers to no key", "f.yaml:1:4", ""),
        ("a: ${}", "${} refers to no key", "f.yaml:1:4", ""),
        ("a: ${env:N}", "environment variable N is not set", "f.yaml:1:4", "export N=…, or ${env:N:-default}"),
        (
            "a: ${what:N}",
            "unknown reference ${what:N}",
            "f.yaml:1:4",
            "use ${key}, ${env:NAME}, ${data:FILE}, ${run:ID@best} or ${= arithmetic}",
        ),
        ("a: x${b", "unfinished reference in 'x${b'", "f.yaml:1:4", "write ${key}, or $${ for a literal ${"),
        ("a: x${b}\nb: {c: 1}", "${b} is a section or list and cannot stand inside text", "f.yaml:1:4", ""),
        ("a: ${run:k7f2@best}", "run references are not followed here", "f.yaml:1:4", ""),
    ],
)
def test_reference_that_leads_nowhere_is_told_once(text, message, origin, hint):
    found = problems(text)
    assert found == [(message, origin, hint)]


def test_run_reference_becomes_a_path_and_lineage():
    reference = RunReference("/runs/x/checkpoints/7", "x", 7, "abc", "${run:sft@best}")
    asked = []

    def find_run(text):
        asked.append(text)
        return reference

    result = filled("m: {path: '${run:sft@best}'}\nagain: ${m.path}", find_run=find_run)
    assert plain(result.tree) == {"m": {"path": reference.path}, "again": reference.path}
    assert (result.runs, asked) == ({"m.path": reference}, ["sft@best"])


def test_run_that_is_not_found_is_told_at_the_place_of_its_reference():
    def find_run(text):
        raise RunError(f"no run is called {text!r}", hint="run it first")

    assert problems("a: ${run:x}", find_run=find_run) == [("no run is called 'x'", "f.yaml:1:4", "run it first")]


def test_variable_with_thousands_of_digits_stays_text():
    digits = "9" * 5000
    assert plain(filled("v: ${env:N}", {"N": digits}).tree) == {"v": digits}


def test_references_that_multiply_are_refused():
    text = "a0: [x, x, x, x, x, x, x, x, x, x]\n"
    text += "".join(f"a{n}:\n" + f"  - ${{a{n - 1}}}\n" * 10 for n in range(1, 8))
    with pytest.raises(ConfigError, match="more than 200,000 values once references are followed"):
        filled(text)


def test_long_chain_of_references_is_refused():
    text = "".join(f"a{n}: ${{a{n + 1}}}\n" for n in range(400)) + "a400: 1\n"
    assert "more than 50 references follow each other" in str(problems(text))
