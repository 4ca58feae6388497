"""Arithmetic inside values, `${= training.batch_size * 4}`: a whitelist over Python's syntax tree.

Nothing is compiled or executed: Python's parser sees operators, numbers and blanks in place of names and texts,
and the tree it returns is walked here. Size, depth and every whole number on the way are bounded.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NoReturn, TypeAlias

Value: TypeAlias = "None | bool | int | float | str"
"""What an expression reads and returns."""

_MAX_CHARACTERS = 1_000
_MAX_PARTS = 200
_MAX_DEPTH = 50
_MAX_INT = 2**63 - 1
_MAX_DIGITS = 100  # round(1, -10**9) would compute a power with as many digits
_SHOWN = 60

_NUMBER = r"(?:0[xX][\da-fA-F_]+|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][-+]?\d+)?)(?![\w.])"
_WORD = r"(?:and|or|not|if|else|in|is)\b"
_QUOTED = r"(?:'[^'\\]*'|\"[^\"\\]*\")"
_TOKEN = re.compile(
    rf"""(?P<name>(?:(?!{_WORD})[^\W\d]\w*|\[{_QUOTED}\])(?:\.\w+|\[(?:\d+|{_QUOTED})\])*)
    |(?P<text>{_QUOTED}(?!\s*['"]))
    |(?P<space>\s)
    |(?P<kept>{_WORD}|{_NUMBER}|[-+*/%()<>=!,.\[\]&|^~@:])""",
    re.VERBOSE,
)
_HYPHENATED = re.compile(rf"(?:-(?!{_NUMBER})\w+)+(?!\w)(?!\s*\()")
_STEP = re.compile(rf"\[({_QUOTED}|\d+)\]|([^.\[]+)")


class ExpressionError(Exception):
    """An expression that is no arithmetic, or whose value is none."""


def evaluate(text: str, read: Callable[[str], Value]) -> Value:
    """Return the value of an expression.

    It may hold numbers, texts in quotes, `true`, `false` and `null`, `+ - * / // % **`, comparisons, `and`, `or`,
    `not`, `x if c else y`, and calls of `abs`, `ceil`, `float`, `floor`, `int`, `log2`, `max`, `min`, `round` and
    `sqrt`. Any other name is read. A condition must be true or false, and only like is compared with like: neither a
    number nor a text is ever taken for a yes.

    >>> evaluate("training.batch_size * sizes[1]", {"training.batch_size": 100, "sizes.1": 2}.__getitem__)
    200

    Args:
        text: What stands between `${=` and `}`.
        read: Returns the value of a dotted path (`sizes[0]` and `sizes.0` both ask for `sizes.0`). Every name is
            read once, in the order of the text and before anything is computed, so one that a condition leaves
            aside must exist too. What it raises passes through.

    Raises:
        ExpressionError: It is not such an expression, its values do not fit it, or the result is out of bounds.
    """
    expression = _parse(text)
    return _Evaluation(expression, {name: read(name) for name in expression.reads}).value(expression.root)


def names(text: str) -> tuple[str, ...]:
    """Return the dotted paths that an expression reads, each once, in the order of the text.

    Raises:
        ExpressionError: It is not an expression.
    """
    return _parse(text).reads


@dataclass(frozen=True, slots=True)
class _Expression:
    """A checked tree; `names` and `texts` hold by column what the parser saw only blanks for."""

    text: str
    root: ast.expr
    names: dict[int, str]
    texts: dict[int, str]
    reads: tuple[str, ...] = ()

    def show(self, node: ast.expr) -> str:
        return _short(self.text[node.col_offset : node.end_col_offset])


def _parse(text: str) -> _Expression:
    text = text.strip()
    if not text:
        raise ExpressionError("an empty expression")
    if len(text) > _MAX_CHARACTERS:
        raise ExpressionError(f"an expression longer than {_MAX_CHARACTERS:,} characters")
    masked, paths, texts = _mask(text)
    too_deep = f"{_short(text)} is nested deeper than {_MAX_DEPTH} levels"
    try:
        root = ast.parse(masked, mode="eval").body
    except (RecursionError, MemoryError) as error:
        raise ExpressionError(too_deep) from error
    except SyntaxError as error:
        deep = "too many nested" in error.msg
        raise ExpressionError(too_deep if deep else f"{_short(text)} is not an expression") from error
    if _depth(root) > _MAX_DEPTH:
        raise ExpressionError(too_deep)
    expression = _Expression(text, root, paths, texts)
    return _Expression(text, root, paths, texts, _reads(expression))


def _mask(text: str) -> tuple[str, dict[int, str], dict[int, str]]:
    """Return the text with names and texts blanked out, column for column, and both by their column."""
    masked: list[str] = []
    paths: dict[int, str] = {}
    texts: dict[int, str] = {}
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise ExpressionError(f"unexpected {text[at]!r} in {_short(text)}")
        part, kind = token[0], token.lastgroup
        if kind == "name":
            _refuse_hyphen(text, token)
            paths[at] = ".".join((step[1] or step[2]).strip("'\"") for step in _STEP.finditer(part))
            part = "_" * len(part)
        elif kind == "text":
            texts[at] = part[1:-1]
            part = f"'{'_' * (len(part) - 2)}'"
        masked.append(" " if kind == "space" else part)
        at = token.end()
    return "".join(masked), paths, texts


def _refuse_hyphen(text: str, name: re.Match[str]) -> None:
    rest = _HYPHENATED.match(text, name.end())
    if rest is None or name[0].endswith("]"):
        return
    section, _, last = name[0].rpartition(".")
    key = f"{section}['{last}{rest[0]}']"
    spaced = name[0] + rest[0].replace("-", " - ")
    raise ExpressionError(
        f"{_short(name[0] + rest[0])} can be read in two ways: write {_short(spaced)} to subtract, "
        f"or {_short(key)} for a key with a hyphen"
    )


def _depth(root: ast.expr) -> int:
    """Return how many levels a tree has, without recursion: this is what makes recursion safe."""
    depth, parts, level = 0, 0, [root]
    while level:
        depth, parts = depth + 1, parts + len(level)
        if parts > _MAX_PARTS:
            raise ExpressionError(f"an expression of more than {_MAX_PARTS} parts")
        level = [child for node in level for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
    return depth


def _reads(expression: _Expression) -> tuple[str, ...]:
    """Check that a tree holds nothing but arithmetic, and return the paths that it reads."""
    called: set[int] = set()
    for node in ast.walk(expression.root):
        if reason := _refusal(node):
            assert isinstance(node, ast.expr)
            raise ExpressionError(f"{expression.show(node)} is not arithmetic: {reason}")
        if isinstance(node, ast.Call):
            _check_call(expression, node)
            called.add(node.func.col_offset)
    read = (path for at, path in sorted(expression.names.items()) if at not in called and path not in _CONSTANTS)
    return tuple(dict.fromkeys(read))


def _refusal(node: ast.AST) -> str:
    """Return why a node is not arithmetic, empty when it is."""
    if isinstance(node, ast.BinOp):
        return "" if type(node.op) in _BINARY else "bits and matrices have no place here"
    if isinstance(node, ast.UnaryOp):
        return "" if type(node.op) in _UNARY else "bits have no place here"
    if isinstance(node, ast.Compare):
        return "" if all(type(op) in _COMPARISONS for op in node.ops) else "compare by == != < <= > >="
    if isinstance(node, ast.Call):
        if not isinstance(node.func, ast.Name):
            return "calls of values are not allowed"
        return "arguments have no names" if node.keywords else ""
    if isinstance(node, ast.Constant):
        return "" if isinstance(node.value, int | float | str) else "it is no number"
    if isinstance(node, ast.expr) and not isinstance(node, ast.Name | ast.BoolOp | ast.IfExp):
        return _REFUSED.get(type(node), "it is none of what is allowed")
    return ""


def _check_call(expression: _Expression, node: ast.Call) -> None:
    name = expression.names[node.func.col_offset]
    if not name.isidentifier():
        raise ExpressionError(f"{expression.show(node)} is not arithmetic: calls of attributes are not allowed")
    if name not in _FUNCTIONS:
        raise ExpressionError(f"unknown function {name!r}; there are {', '.join(_FUNCTIONS)}")
    least, most = _FUNCTIONS[name][1:]
    if not least <= len(node.args) <= most:
        wanted = "one value" if most == 1 else "two values or more" if least == 2 else "a value and a number of digits"
        raise ExpressionError(f"{name} takes {wanted}, not {len(node.args)}")


@dataclass(frozen=True, slots=True)
class _Evaluation:
    """One walk over a checked tree, at most `_MAX_DEPTH` levels deep."""

    expression: _Expression
    read: dict[str, Value]

    def value(self, node: ast.expr) -> Value:
        if isinstance(node, ast.Constant):
            return self.constant(node)
        if isinstance(node, ast.Name):
            return self.name(node)
        if isinstance(node, ast.BinOp):
            return self.binary(node)
        if isinstance(node, ast.UnaryOp):
            return not self.truth(node.operand) if isinstance(node.op, ast.Not) else self.signed(node)
        if isinstance(node, ast.Compare):
            return self.compare(node)
        if isinstance(node, ast.BoolOp):
            decide = all if isinstance(node.op, ast.And) else any
            return decide(self.truth(part) for part in node.values)
        if isinstance(node, ast.IfExp):
            return self.value(node.body if self.truth(node.test) else node.orelse)
        assert isinstance(node, ast.Call)
        return self.call(node)

    def constant(self, node: ast.Constant) -> Value:
        if isinstance(node.value, str):
            return self.expression.texts[node.col_offset]
        assert isinstance(node.value, int | float)
        return self.bounded(node.value, node)

    def name(self, node: ast.Name) -> Value:
        path = self.expression.names[node.col_offset]
        value = _CONSTANTS[path] if path in _CONSTANTS else self.read[path]
        return self.bounded(value, node) if type(value) is int else value

    def binary(self, node: ast.BinOp) -> Value:
        left, right = self.number(node.left), self.number(node.right)
        if isinstance(node.op, ast.Pow):
            self.check_power(left, right, node)
        return self.computed(_BINARY[type(node.op)], (left, right), node)

    def check_power(self, base: int | float, exponent: int | float, node: ast.BinOp) -> None:
        if not isinstance(base, int) or not isinstance(exponent, int):
            return
        if exponent < 0 and base:
            self.fail(node, "is a fraction of whole numbers: write the base with a point, such as 2.0")
        if exponent * (abs(base).bit_length() - 1) > _MAX_INT.bit_length():
            self.fail(node, "is too large")

    def signed(self, node: ast.UnaryOp) -> Value:
        return self.computed(_UNARY[type(node.op)], (self.number(node.operand),), node)

    def call(self, node: ast.Call) -> Value:
        name = self.expression.names[node.func.col_offset]
        values = tuple(self.number(part) for part in node.args)
        if name == "round" and len(values) == 2 and not (isinstance(values[1], int) and abs(values[1]) <= _MAX_DIGITS):
            self.fail(node.args[1], f"is not a number of digits: a whole number up to {_MAX_DIGITS}")
        return self.computed(_FUNCTIONS[name][0], values, node)

    def compare(self, node: ast.Compare) -> bool:
        left = node.left
        for op, right in zip(node.ops, node.comparators, strict=True):
            if not self.compared(left, op, right):
                return False
            left = right
        return True

    def compared(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> bool:
        if not isinstance(op, ast.Eq | ast.NotEq):
            return bool(_COMPARISONS[type(op)](self.number(left), self.number(right)))
        first, second = self.value(left), self.value(right)
        if first is not None and second is not None and _kind(first) != _kind(second):
            kinds = f"{_kind(first)} and {self.expression.show(right)} is {_kind(second)}: they cannot be compared"
            self.fail(left, f"is {kinds}")
        return bool(_COMPARISONS[type(op)](first, second))

    def computed(self, function: _Function, values: tuple[int | float, ...], node: ast.expr) -> Value:
        try:
            return self.bounded(function(*values), node)
        except ZeroDivisionError:
            self.fail(node, "divides by zero")
        except OverflowError:
            self.fail(node, "is too large")
        except ValueError:  # of a square root, logarithm or whole number that does not exist
            self.fail(node, "is not a number")

    def bounded(self, value: int | float | complex, node: ast.expr) -> int | float:
        if isinstance(value, complex) or value != value:
            self.fail(node, "is not a number")
        if abs(value) > _MAX_INT if isinstance(value, int) else math.isinf(value):
            self.fail(node, "is too large")
        return value

    def number(self, node: ast.expr) -> int | float:
        value = self.value(node)
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.fail(node, f"is {_kind(value)}, not a number")
        return value

    def truth(self, node: ast.expr) -> bool:
        value = self.value(node)
        if not isinstance(value, bool):
            self.fail(node, f"is {_kind(value)}, not true or false")
        return value

    def fail(self, node: ast.expr, what: str) -> NoReturn:
        raise ExpressionError(f"{self.expression.show(node)} {what}")


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _kind(value: object) -> str:
    return "null" if value is None else _KINDS.get(type(value), "a list or section")


_Function: TypeAlias = Callable[..., "int | float | complex"]

_CONSTANTS: Final[dict[str, Value]] = {
    "true": True,  # as YAML writes them
    "false": False,
    "null": None,
    "True": True,
    "False": False,
    "None": None,
}
_BINARY: Final[dict[type[ast.operator], _Function]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_UNARY: Final[dict[type[ast.unaryop], _Function]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Not: operator.not_,
}
_COMPARISONS: Final[dict[type[ast.cmpop], Callable[..., bool]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_FUNCTIONS: Final[dict[str, tuple[_Function, int, int]]] = {  # with the least and most arguments
    "abs": (abs, 1, 1),
    "ceil": (math.ceil, 1, 1),
    "float": (float, 1, 1),
    "floor": (math.floor, 1, 1),
    "int": (int, 1, 1),
    "log2": (math.log2, 1, 1),
    "max": (max, 2, _MAX_PARTS),
    "min": (min, 2, _MAX_PARTS),
    "round": (round, 1, 2),
    "sqrt": (math.sqrt, 1, 1),
}
_KINDS: Final[dict[type, str]] = {bool: "true or false", int: "a number", float: "a number", str: "text"}
_REFUSED: Final[dict[type[ast.expr], str]] = {
    ast.Attribute: "attributes of values are not allowed",
    ast.Subscript: "only a name takes an index, and only a plain one",
    ast.List: "lists are not allowed",
    ast.Tuple: "lists are not allowed",
    ast.NamedExpr: "assignments are not allowed",
    ast.Starred: "unpacking is not allowed",
    ast.Slice: "slices are not allowed",
}
