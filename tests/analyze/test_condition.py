import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.analyze.condition import parse, parse_condition, refuse_no_condition
from burnish.analyze.names import ConfigValue, Field, MetricValue
from burnish.core.errors import UsageError


def meets(text, **values):
    """Return whether a run with these fields meets a condition; what is left out, it does not have."""
    columns = {Field(name): {1: value} for name, value in values.items()}
    expression = parse_condition(text)
    return expression.column([1], {name: columns.get(name, {}) for name in expression.names}).get(1) is True


def value(text, **values):
    columns = {Field(name): {1: given} for name, given in values.items()}
    expression = parse(text)
    return expression.column([1], {name: columns.get(name, {}) for name in expression.names}).get(1, "none")


@pytest.mark.parametrize(
    "text",
    [
        "step < 4",
        "2 < step <= 3 < 10",
        "step == 3.0",
        "step != 4",
        "state == 'running'",
        "state > 'aa'",
        "'unn' in state",
        "'ppo' not in state",
        "state in ['running', 'finished']",
        "step in (1, 3)",
        "step not in [1, 2]",
        "'fast' in tags",
        "'slow' not in tags",
        "pinned",
        "pinned == true",
        "not debug",
        "reason == None",
        "reason == null",
        "state != null",
        "step + 1 == 4 and step - 1 == 2 and step * 2 == 6 and step / 2 == 1.5 and -step < 0",
        "step // 2 == 1 and step % 2 == 1 and step ** 2 == 9",
        "step > 100 or state == 'running'",
        "step < inf",
    ],
)
def test_condition_is_met(text):
    assert meets(text, step=3, state="running", tags=("fast", "a"), pinned=True, debug=False, reason=None)


@pytest.mark.parametrize(
    "text",
    [
        "step < 3",
        "2 < step < 3",
        "state == 3",
        "state != 3",
        "step == '3'",
        "step != '3'",
        "state < 3",
        "pinned == 1",
        "pinned != 0",
        "pinned > 0",
        "step == True",
        "'a' in step",
        "'a' not in step",
        "3 in state",
        "3 not in state",
        "step in 'running'",
        "tags < 3",
        "state",
        "step",
        "step and pinned",
        "reason",
        "reason < 3",
        "state + 1 > 0",
        "step / 0 > 0",
        "step % 0 >= 0",
        "-state < 3",
        "10.0 ** 400 ** 2 > 1",
        "(-step) ** 0.5 != 0",
    ],
)
def test_condition_is_not_met(text):
    assert not meets(text, step=3, state="running", tags=("fast", "a"), pinned=True, reason=None)


@pytest.mark.parametrize("op", ["<", "<=", "==", "!=", ">", ">="])
def test_what_a_run_does_not_have_meets_no_comparison(op):
    assert not meets(f"step {op} 1")
    assert not meets(f"1 {op} step")
    assert not meets(f"step + 1 {op} 1")
    assert not meets(f"step {op} null")
    assert meets(f"not step {op} 1")


def test_what_a_run_does_not_have_is_in_nothing_and_holds_nothing():
    for text in ("step in [1]", "step not in [1]", "'a' in tags", "'a' not in tags"):
        assert not meets(text)


@pytest.mark.parametrize("op", ["<", "<=", "==", "!=", ">", ">="])
def test_nan_meets_no_comparison(op):
    assert not meets(f"step {op} 1", step=math.nan)
    assert not meets(f"step {op} step", step=math.nan)
    assert not meets(f"step {op} nan", step=1)


def test_nan_is_neither_in_a_list_nor_not():
    assert not meets("step in [1, 2]", step=math.nan)
    assert not meets("step not in [1, 2]", step=math.nan)


def test_whole_numbers_cannot_grow_without_end():
    assert value("9 ** 9 ** 9 ** 9") == "none"
    assert value("10 ** 20") == 1e20


def test_each_name_is_read_once_and_in_order():
    text = "summary['eval/loss'].min < 2 and config.lr < 1 and config.lr > 0 and state == config.data.sources[0].name"
    assert parse(text).names == (
        MetricValue("eval/loss", "min"),
        ConfigValue("lr"),
        Field("state"),
        ConfigValue("data.sources.0.name"),
    )


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (
            "1 +",
            "not an expression: '1 +'",
            "such as config.training.learning_rate < 1e-4 and state == 'finished'",
        ),
        (
            "config.model.lora-rank > 8",
            "unknown name 'rank'",
            "a key with a hyphen goes in brackets: config['model.lora-rank']",
        ),
        (
            "config.loss.lambda > 8",
            "not an expression: 'config.loss.lambda > 8'",
            "a key that Python reserves goes in brackets: config['loss.lambda']",
        ),
        (
            "len(tags) > 1",
            "'len(tags)' is a call: nothing is called in a query",
            "there are names, numbers, texts, lists, + - * / // % **, comparisons, in, and, or, not",
        ),
        (
            "step if debug else 1",
            "'step if debug else 1' is a choice: use and, or",
            "there are names, numbers, texts, lists, + - * / // % **, comparisons, in, and, or, not",
        ),
        (
            "step is None",
            "'step is None' is not part of what a query may say",
            "there are names, numbers, texts, lists, + - * / // % **, comparisons, in, and, or, not",
        ),
        ("stat == 'a'", "unknown name 'stat'", "did you mean state?"),
        ("config.lr = 0.01", "not an expression: 'config.lr = 0.01'", "'=' is written '=='"),
        ("pinned && debug", "not an expression: 'pinned && debug'", "'&&' is written 'and'"),
        (
            "summary[eval/loss] < 5",
            "'summary[eval / loss]' is not part of what a query may say",
            "quotes are missing: summary['eval/loss']",
        ),
        ("name.upper == 1", "'name.upper' cannot be asked for: only config and summary have parts", ""),
        ("config < 1", "'config' alone has no value", "such as config.training.learning_rate"),
        ("summary < 1", "'summary' takes the name of a metric", "such as summary['eval/loss'].min"),
        (
            "summary['a'].mean < 1",
            "unknown statistic 'mean' of a metric",
            "there are last, min, max, best, first, count, nonfinite, last_step, best_step",
        ),
        ("step + 1", "'step + 1' is neither true nor false", "compare it with something"),
        ("pinned and 1", "'1' is neither true nor false", "compare it with something"),
        ("-" * 60 + "1 < 1", "nested deeper than 50 levels", ""),
    ],
)
def test_what_is_no_condition_is_refused_with_what_to_type(text, message, hint):
    with pytest.raises(UsageError) as caught:
        parse_condition(text)
    assert (caught.value.message, caught.value.hint) == (message, hint)


@pytest.mark.parametrize(
    ("text", "name", "values", "kind", "example"),
    [
        ("step", "step", {1: 3}, "a number", "step > 3"),
        ("not state", "state", {1: None, 2: "failed"}, "a text", "state == 'failed'"),
        ("pinned or tags", "tags", {1: ("fast", "a")}, "a list", "'fast' in tags"),
        ("debug == true and tags", "tags", {1: ()}, "a list", "'x' in tags"),
    ],
)
def test_name_alone_that_is_neither_true_nor_false_is_refused_with_a_condition_of_it(text, name, values, kind, example):
    expression = parse_condition(text)
    with pytest.raises(UsageError) as caught:
        refuse_no_condition(expression, {n: values if str(n) == name else {1: True} for n in expression.names})
    assert caught.value.message == f"a condition is true or false, and {name!r} is {kind}"
    assert caught.value.hint == f'compare it, in quotes, or the shell takes the ">" away: "{example}"'


@pytest.mark.parametrize("values", [{}, {1: None}, {1: True}, {1: 3, 2: False}])
def test_name_alone_that_is_true_or_false_in_any_run_or_known_of_none_is_a_condition(values):
    refuse_no_condition(parse_condition("pinned and not pinned"), {Field("pinned"): values})


def doubts(text, **values):
    """Return what is odd about a condition; the values of each name are those of runs 0, 1, …"""
    columns = {Field(name): dict(enumerate(column)) for name, column in values.items()}
    found: list[str] = []
    parse_condition(text).column(range(max(map(len, values.values()))), columns, found)
    return found


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("step < 'a'", "step is a number in 2 of 3 runs"),
        ("3 == state", "state is a text in 3 of 3 runs"),
        ("step == state", "step is a number in 2 of 3 runs, state is a text in 3 of 3 runs"),
        ("pinned == 1", "pinned is true or false in 3 of 3 runs"),
        ("tags < 'a'", "tags is a list in 2 of 3 runs"),
        ("tags < ['a']", "tags is a list in 2 of 3 runs"),
        ("3 in tags", "tags is a list in 2 of 3 runs"),
        ("step in 'abc'", "step is a number in 2 of 3 runs"),
        ("step in ['a', 'b']", "step is a number in 2 of 3 runs"),
        ("'a' in step", "step is a number in 2 of 3 runs"),
        ("-step < 'a'", "-step is a number in 2 of 3 runs"),
        ("host == true", "host is a text in 2 and a number in 1 of 3 runs"),
    ],
)
def test_comparison_that_no_run_can_ever_meet_is_doubted(text, why):
    values = {
        "step": [1, 2, None],
        "state": ["a", "b", "c"],
        "pinned": [True, False, False],
        "tags": [("a",), ("b",), None],
        "host": ["a", 3, "b"],
    }
    assert doubts(text, **values) == [f"{text} is never true: {why}"]
    assert doubts(f"state == 'a' or not {text}", **values) == [f"{text} is never true: {why}"]


@pytest.mark.parametrize(
    "text", ["step < 0", "step > 'a' or host == 3", "step == null", "'x' in tags", "host == 'x'", "step in [1.5, 'a']"]
)
def test_comparison_that_a_run_could_meet_is_not_doubted(text):
    said = doubts(text, step=[1, None], host=["a", 3], tags=[(), None])
    assert said == (["step > 'a' is never true: step is a number in 1 of 2 runs"] if "or" in text else [])


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "().__class__.__bases__",
        "config.__class__() == 1",
        "[x for x in tags] == 1",
        "(lambda: 1)() == 1",
        "(step := 1) == 1",
        "f'{step}' == '1'",
        "b'a' == state",
        "1j == 1",
        "... == 1",
        "{1: 2} == 1",
        "tags[0:1] == 1",
        "step @ step == 1",
        "~step == 1",
        "step << 100000 > 1",
        "[step] == 1",
        "await step",
        "step; step",
        "(" * 5000,
        "1 < 2 " + "or 1 < 2 " * 1000,
        "\0",
    ],
)
def test_nothing_else_that_python_can_say_is_accepted(text):
    with pytest.raises(UsageError):
        parse_condition(text)


class Missing:
    """What a run does not have, in Python's own evaluation: every comparison is false, arithmetic gives it again."""

    def no(self, _):
        return False

    def itself(self, *_):
        return self

    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = no
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __neg__ = itself
    __hash__ = None


class Number(float):
    """A number that Python calculates with, but for one thing: NaN meets no condition, be it the one of `!=`."""

    def __add__(self, other):
        return known(other if isinstance(other, Missing) else float(self) + float(other))

    def __mul__(self, other):
        return known(other if isinstance(other, Missing) else float(self) * float(other))

    def __neg__(self):
        return Number(-float(self))

    def __sub__(self, other):
        return self + -other

    def __rsub__(self, other):
        return -self + other

    __radd__, __rmul__ = __add__, __mul__


def known(value):
    return value if isinstance(value, Missing) else Missing() if math.isnan(value) else Number(value)


NUMBERS = ("step", "total_steps", "attempts")
TEXTS = ("state", "host")
numbers = st.recursive(
    st.sampled_from(NUMBERS) | st.integers(-3, 3).map(str) | st.sampled_from(["0.5", "1e-4"]),
    lambda part: st.builds("({} {} {})".format, part, st.sampled_from("+-*"), part) | part.map("(-{})".format),
    max_leaves=4,
)
texts = st.sampled_from(TEXTS) | st.sampled_from(["a", "ab", ""]).map(repr)
orders = st.sampled_from(["<", "<=", "==", "!=", ">", ">="])
compared = st.one_of(
    st.builds("({} {} {})".format, numbers, orders, numbers),
    st.builds("({} {} {} {} {})".format, numbers, orders, numbers, orders, numbers),
    st.builds("({} {} {})".format, texts, orders, texts),
    st.builds("({} {} {})".format, texts, orders, texts),
)
conditions = st.recursive(
    compared,
    lambda part: (
        st.builds("({} {} {})".format, part, st.sampled_from(["and", "or"]), part) | part.map("(not {})".format)
    ),
    max_leaves=6,
)
runs = st.lists(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(NUMBERS, st.integers(-3, 3) | st.sampled_from([0.5, 1e-4, math.inf]))
        | dict.fromkeys(TEXTS, st.sampled_from(["", "a", "b", "abc"])),
    ),
    max_size=5,
)


@given(conditions, runs)
@settings(max_examples=400, deadline=None)
def test_conditions_mean_what_they_mean_in_python(text, rows):
    expression = parse_condition(text)
    columns = {
        name: {run: row[str(name)] for run, row in enumerate(rows) if str(name) in row} for name in expression.names
    }
    found = expression.column(range(len(rows)), columns)
    missing = dict.fromkeys((*NUMBERS, *TEXTS), Missing())
    for run, row in enumerate(rows):
        held = {name: value if isinstance(value, str) else Number(value) for name, value in row.items()}
        assert found[run] is bool(eval(text, {"__builtins__": {}}, missing | held)), (text, row)
