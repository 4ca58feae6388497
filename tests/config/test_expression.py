import ast
import math
import operator
from types import SimpleNamespace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from burnish.config.expression import ExpressionError, evaluate, names

VALUES = {
    "batch": 16,
    "training.lr": 2e-5,
    "sizes.0": 7,
    "models.tiny-llama.size": 5,
    "tiny-llama": 1,
    "loss.lambda": 0.5,
    "device": "cuda",
    "text": "2e-5",
    "debug": True,
    "null_value": None,
    "huge": 10**400,
    "endless": math.inf,
    "größe": 3,
}


def value(text):
    return evaluate(text, VALUES.__getitem__)


def error(text):
    with pytest.raises(ExpressionError) as caught:
        value(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("100 * 2", 200),
        ("batch * 4", 64),
        ("batch / 4", 4.0),
        ("batch // 3 + batch % 3", 6),
        ("-batch + +1", -15),
        ("2 ** 10", 1024),
        ("2.0 ** -1", 0.5),
        ("training.lr * 10", 2e-4),
        ("sizes[0] + sizes.0", 14),
        ("models['tiny-llama'].size", 5),
        ("""models["tiny-llama"].size - 1""", 4),
        ("['tiny-llama'] + 1", 2),
        ("loss.lambda * 2", 1.0),
        ("größe + 1", 4),
        ("batch - min(batch, 2)", 14),
        ("batch-min(batch, 2)", 14),
        ("batch-1e-1", 15.9),
        ("1_000 + 0xff", 1255),
        ("batch\n  + 1", 17),
        ("1 < 2 < 3", True),
        ("1 < 3 < 2", False),
        ("device == 'cuda'", True),
        ("null_value == 'cuda'", False),
        ("null_value != null", False),
        ("debug == true and not false", True),
        ("debug and batch > 100 or batch == 16", True),
        ("'bf16' if device == 'cuda' else 'fp32'", "bf16"),
        ("'größer'", "größer"),
        ("8 if debug else 64", 8),
        ("device", "cuda"),
        ("null_value", None),
        ("endless", math.inf),
        ("min(endless, 3)", 3),
        ("max(1, 2, 3.5)", 3.5),
        ("ceil(10 / 3) + floor(10 / 3)", 7),
        ("round(2.675) + int(2.9)", 5),
        ("round(1.2345, 2)", 1.23),
        ("sqrt(16) + log2(8) + abs(-1)", 8.0),
        ("float(3)", 3.0),
        ("2 ** 62", 2**62),
        ("x".replace("x", "(" * 40 + "1" + ")" * 40), 1),
    ],
)
def test_expression_has_the_value_and_type_of_its_arithmetic(text, expected):
    found = value(text)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("9**9**9", "9**9**9 is too large"),
        ("10**400", "10**400 is too large"),
        ("10.0**400", "10.0**400 is too large"),
        ("1e999", "1e999 is too large"),
        ("9223372036854775807 + 1", "9223372036854775807 + 1 is too large"),
        ("huge", "huge is too large"),
        ("0x" + "f" * 900, "0x" + "f" * 57 + "… is too large"),
        ("floor(1e300)", "floor(1e300) is too large"),
        ("endless + 1", "endless + 1 is too large"),
        ("int(endless)", "int(endless) is too large"),
        ("endless - endless", "endless - endless is not a number"),
        ("2**-1", "2**-1 is a fraction of whole numbers: write the base with a point, such as 2.0"),
        ("1/0", "1/0 divides by zero"),
        ("1 % 0.0", "1 % 0.0 divides by zero"),
        ("0**-1", "0**-1 divides by zero"),
        ("(-1)**0.5", "(-1)**0.5 is not a number"),
        ("sqrt(-1)", "sqrt(-1) is not a number"),
        ("round(5, -10**9)", "-10**9 is not a number of digits: a whole number up to 100"),
        ("debug + 1", "debug is true or false, not a number"),
        ("-true", "true is true or false, not a number"),
        ("min(debug, 1)", "debug is true or false, not a number"),
        ("text * 2", "text is text, not a number"),
        ("'a' + 'b'", "'a' is text, not a number"),
        ("'a' < 'b'", "'a' is text, not a number"),
        ("null_value * 2", "null_value is null, not a number"),
        ("text == 2e-5", "text is text and 2e-5 is a number: they cannot be compared"),
        ("debug == 1", "debug is true or false and 1 is a number: they cannot be compared"),
        ("1 if batch else 2", "batch is a number, not true or false"),
        ("not device", "device is text, not true or false"),
        ("batch or 5", "batch is a number, not true or false"),
        ("1 << 2", "1 << 2 is not arithmetic: bits and matrices have no place here"),
        ("~1", "~1 is not arithmetic: bits have no place here"),
        ("1 in batch", "1 in batch is not arithmetic: compare by == != < <= > >="),
        (
            "open('x')",
            "unknown function 'open'; there are abs, ceil, float, floor, int, log2, max, min, round, sqrt",
        ),
        ("device.upper()", "device.upper() is not arithmetic: calls of attributes are not allowed"),
        ("(1)(2)", "(1)(2) is not arithmetic: calls of values are not allowed"),
        ("(1).real", "(1).real is not arithmetic: attributes of values are not allowed"),
        ("sizes[-1]", "sizes[-1] is not arithmetic: only a name takes an index, and only a plain one"),
        ("sizes[batch]", "sizes[batch] is not arithmetic: only a name takes an index, and only a plain one"),
        ("[1, 2]", "[1, 2] is not arithmetic: lists are not allowed"),
        ("1, 2", "1, 2 is not arithmetic: lists are not allowed"),
        ("(a := 1)", "a := 1 is not arithmetic: assignments are not allowed"),
        ("min(*batch, 2)", "*batch is not arithmetic: unpacking is not allowed"),
        ("min(1, 2, key=3)", "min(1, 2, key=3) is not arithmetic: arguments have no names"),
        ("...", "... is not arithmetic: it is no number"),
        ("min(1)", "min takes two values or more, not 1"),
        ("sqrt()", "sqrt takes one value, not 0"),
        ("round(1, 2, 3)", "round takes a value and a number of digits, not 3"),
        ("lambda: 1", "lambda: 1 is not an expression"),
        ("f'{batch}'", "f'{batch}' is not an expression"),
        ("1 +", "1 + is not an expression"),
        ("012", "012 is not an expression"),
        ("1 if 2", "1 if 2 is not an expression"),
        ("1if 2 else 3", "unexpected '1' in 1if 2 else 3"),
        ("1j", "unexpected '1' in 1j"),
        ("batch # note", "unexpected '#' in batch # note"),
        ("'a' 'b'", "unexpected \"'\" in 'a' 'b'"),
        ("'a", "unexpected \"'\" in 'a"),
        (r"'\n'", r"""unexpected "'" in '\n'"""),
        ("'''a'''", "unexpected \"'\" in '''a'''"),
        ("", "an empty expression"),
        (" \n", "an empty expression"),
        ("1" * 1001, "an expression longer than 1,000 characters"),
        ("1" + "+1" * 150, "an expression of more than 200 parts"),
        ("(" * 70 + "1" + ")" * 70, None),
        ("1" + "+1" * 60, "1" + "+1" * 29 + "… is nested deeper than 50 levels"),
        ("(" * 300 + "1" + ")" * 300, "(" * 59 + "… is nested deeper than 50 levels"),
        ("-" * 900 + "1", "an expression of more than 200 parts"),
        (
            "models.tiny-llama.size",
            "models.tiny-llama can be read in two ways: write models.tiny - llama to subtract, "
            "or models['tiny-llama'] for a key with a hyphen",
        ),
        (
            "qwen-7b * 2",
            "qwen-7b can be read in two ways: write qwen - 7b to subtract, or ['qwen-7b'] for a key with a hyphen",
        ),
    ],
)
def test_what_is_not_arithmetic_is_refused_in_words(text, message):
    if message is None:
        assert value(text) == 1  # parentheses alone nest nothing
    else:
        assert error(text) == message


def test_value_that_is_no_scalar_is_refused():
    with pytest.raises(ExpressionError, match="^sizes is a list or section, not a number$"):
        evaluate("sizes + 1", lambda name: [1])


def test_error_never_shows_what_was_read():
    with pytest.raises(ExpressionError) as caught:
        evaluate("token * 2", lambda name: "hunter2")
    assert "hunter2" not in str(caught.value)


def test_names_are_told_once_in_order_and_without_functions_or_constants():
    text = "max(b.c, a) + sizes[0] + a + sizes.0 + max if true else x['y-z'].w"
    assert names(text) == ("b.c", "a", "sizes.0", "max", "x.y-z.w")


def test_every_name_is_read_once_even_when_a_condition_leaves_it_aside():
    asked = []

    def read(name):
        asked.append(name)
        return 1

    assert evaluate("a + a if 1 < 2 else b", read) == 2
    assert asked == ["a", "b"]


def test_error_of_the_reader_passes_through_as_it_is():
    mistake = LookupError("no such key")

    def read(name):
        raise mistake

    with pytest.raises(LookupError) as caught:
        evaluate("a + 1", read)
    assert caught.value is mistake


def test_names_of_what_is_no_expression_is_an_error():
    with pytest.raises(ExpressionError, match="^a b is not an expression$"):
        names("a b")


LEAVES = st.one_of(
    st.integers(0, 10**6).map(str),
    st.floats(0, 1e6, allow_nan=False).map(repr),
    st.sampled_from(["a", "b.c", "b.d"]),
)
READ = {"a": 3, "b.c": 0.25, "b.d": -2}
PYTHON = {
    **{name: getattr(math, name) for name in ("ceil", "floor", "sqrt", "log2")},
    "a": 3,
    "b": SimpleNamespace(c=0.25, d=-2),
}


def extend(inner):
    condition = st.builds(
        lambda left, op, right, more: f"{left} {op} {right}{more}",
        inner,
        st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
        inner,
        st.sampled_from(["", " and 1 < 2", " or not 2 > 1", " and not a == 3"]),
    )
    return st.one_of(
        st.builds(
            lambda left, op, right: f"{left} {op} {right}",
            inner,
            st.sampled_from(["+", "-", "*", "/", "//", "%"]),
            inner,
        ),
        st.builds(lambda left, op, right: f"({left}) {op} ({right})", inner, st.sampled_from("+-*/%"), inner),
        st.builds(lambda base, power: f"({base}) ** {power}", inner, st.integers(0, 3)),
        st.builds(lambda sign, part: f"{sign}({part})", st.sampled_from("+-"), inner),
        st.builds(lambda name, part: f"{name}({part})", st.sampled_from(["abs", "int", "float", "round"]), inner),
        st.builds(lambda name, part: f"{name}({part})", st.sampled_from(["ceil", "floor", "sqrt", "log2"]), inner),
        st.builds(lambda name, a, b: f"{name}({a}, {b})", st.sampled_from(["min", "max"]), inner, inner),
        st.builds(lambda then, test, other: f"({then} if {test} else {other})", inner, condition, inner),
    )


ARITHMETIC = st.recursive(LEAVES, extend, max_leaves=12)


def in_bounds(text):
    """Tell whether Python finds every part of an expression to be a number of moderate size."""
    for node in ast.walk(ast.parse(text, mode="eval")):
        if isinstance(node, ast.expr) and not isinstance(node, ast.Attribute | ast.Name):
            try:
                part = eval(compile(ast.Expression(node), "", "eval"), PYTHON)
            except (ArithmeticError, ValueError):
                return False
            if isinstance(part, complex) or not math.isfinite(part) or (type(part) is int and abs(part) >= 2**63):
                return False
    return True


@settings(deadline=None)
@given(ARITHMETIC)
def test_arithmetic_within_bounds_agrees_with_python(text):
    assume(in_bounds(text) and len(text) < 1000)
    expected = eval(text, PYTHON)
    found = evaluate(text, READ.__getitem__)
    assert (found, type(found)) == (expected, type(expected))


ANYTHING = st.one_of(
    st.text(max_size=40),
    st.text(st.sampled_from("ab.c019_eEjxif+-*/%()[]<>=!,:'\" \n#\\&|~^@not"), max_size=60),
    st.builds(
        lambda text, at, new, cut: text[: at % (len(text) + 1)] + new + text[at % (len(text) + 1) + cut :],
        ARITHMETIC,
        st.integers(0, 200),
        st.text(max_size=3),
        st.integers(0, 3),
    ),
)


@settings(deadline=None)
@given(ANYTHING)
def test_no_text_raises_anything_but_our_error(text):
    try:
        found = evaluate(text, lambda name: READ.get(name, "some text"))
    except ExpressionError:
        return
    assert found is None or isinstance(found, bool | int | float | str)


@settings(deadline=None)
@given(st.integers(), st.integers(), st.sampled_from(["+", "-", "*", "**", "//"]))
def test_whole_numbers_never_grow_beyond_64_bits(left, right, op):
    try:
        found = evaluate(f"a {op} b", {"a": left, "b": right}.__getitem__)
    except ExpressionError:
        if op in "+-*":
            exact = {"+": operator.add, "-": operator.sub, "*": operator.mul}[op](left, right)
            assert max(map(abs, (left, right, exact))) >= 2**63
    else:
        assert isinstance(found, int)
        assert abs(found) < 2**63
