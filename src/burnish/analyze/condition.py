"""`config.training.lr < 1e-4 and summary['eval/loss'] < 2`: Python's syntax, none of its execution.

The tree is checked against a whitelist and then computed column by column, for all runs at once. What a run does not
have makes a comparison false, and so does comparing unlike things; NaN meets no condition. Nothing is an error any more
once an expression is accepted.
"""

from __future__ import annotations

import ast
import math
import operator
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from burnish.analyze.mistakes import hint_of_text
from burnish.analyze.names import Name, name_of, spelled
from burnish.analyze.values import COMPARISONS, NOUNS, could_hold, kind_of
from burnish.core.errors import UsageError
from burnish.journal.facts import Value
from burnish.journal.index_view import Column

_MAX_CHARACTERS = 2_000
_MAX_DEPTH = 50
_CONSTANTS: Final[dict[str, Value]] = {"true": True, "false": False, "null": None, "nan": math.nan, "inf": math.inf}


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked expression.

    Attributes:
        names: What it reads, each once, in the order of the text.
    """

    text: str
    root: ast.expr
    names: tuple[Name, ...]

    def column(self, runs: Sequence[int], columns: Mapping[Name, Column], doubts: list[str] | None = None) -> Column:
        """Return its value for each of these runs; a run for which it has none is not in the result.

        Args:
            runs: For which it is computed.
            columns: Each of `names`, for these runs at least.
            doubts: Where to say which comparisons are of unlike things in every run, so that they never hold.
        """
        return _Evaluation(runs, columns, doubts).column(self.root)


def parse(text: str) -> Expression:
    """Read an expression.

    It may hold the names of a query, numbers, texts and lists, `true`, `false` and `null`, `+ - * / // % **`,
    comparisons, `in`, `and`, `or` and `not`.

    Raises:
        UsageError: It is none.
    """
    shown = text if len(text) <= 80 else f"{text[:80]}…"
    if len(text) > _MAX_CHARACTERS:
        raise UsageError(f"an expression longer than {_MAX_CHARACTERS:,} characters: {shown!r}")
    names: dict[Name, None] = {}
    try:
        root = ast.parse(text.strip(), mode="eval").body
        _check(root, names, 0)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        hint = hint_of_text(text) or "such as config.training.learning_rate < 1e-4 and state == 'finished'"
        raise UsageError(f"not an expression: {shown!r}", hint=hint) from error
    except UsageError as error:
        error.hint = hint_of_text(text) or error.hint
        raise
    return Expression(text, root, tuple(names))


def parse_condition(text: str) -> Expression:
    """Read an expression that is true or false of a run.

    Raises:
        UsageError: It is none.
    """
    expression = parse(text)
    _check_condition(expression.root)
    return expression


def refuse_no_condition(expression: Expression, columns: Mapping[Name, Column]) -> None:
    """Refuse names that stand where something true or false should, and are neither in any run.

    Raises:
        UsageError: There is one.
    """
    for name in _bare_names(expression.root):
        values = [value for value in columns[name].values() if value is not None]
        if values and not any(isinstance(value, bool) for value in values):
            what = NOUNS[kind_of(values[0])]
            raise UsageError(
                f"a condition is true or false, and {str(name)!r} is {what}",
                hint=f'compare it, in quotes, or the shell takes the ">" away: {_compared(name, values[0])}',
            )


def _bare_names(node: ast.expr) -> Iterator[Name]:
    if isinstance(node, ast.BoolOp):
        for part in node.values:
            yield from _bare_names(part)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield from _bare_names(node.operand)
    elif not (isinstance(node, ast.Name) and node.id in _CONSTANTS) and (name := name_of(node)) is not None:
        yield name


def _compared(name: Name, value: Value) -> str:
    """Return a condition of a name, for an example, as a shell takes it."""
    if isinstance(value, tuple):
        return f'"{value[0] if value else "x"!r} in {spelled(name)}"'
    return f'"{spelled(name)} {"==" if isinstance(value, str) else ">"} {value!r}"'


def _check(node: ast.expr, names: dict[Name, None], depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise UsageError(f"nested deeper than {_MAX_DEPTH} levels")
    if isinstance(node, ast.Constant):
        if node.value is not None and not isinstance(node.value, bool | int | float | str):
            raise _refused(node)
        return
    if isinstance(node, ast.Name) and node.id in _CONSTANTS:
        return
    name = name_of(node)
    if name is not None:
        names[name] = None
        return
    for part in _parts(node):
        _check(part, names, depth + 1)


def _parts(node: ast.expr) -> Sequence[ast.expr]:
    """Return what a node is made of.

    Raises:
        UsageError: It is nothing that an expression may hold.
    """
    if isinstance(node, ast.BoolOp):
        return node.values
    if isinstance(node, ast.UnaryOp) and type(node.op) in _UNARY:
        return [node.operand]
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        return [node.left, node.right]
    if isinstance(node, ast.Compare) and all(type(op) in COMPARISONS for op in node.ops):
        return [node.left, *node.comparators]
    if isinstance(node, ast.List | ast.Tuple) and all(isinstance(item, ast.Constant) for item in node.elts):
        return node.elts
    raise _refused(node)


def _refused(node: ast.expr) -> UsageError:
    what = _REFUSED.get(type(node), "is not part of what a query may say")
    hint = "there are names, numbers, texts, lists, + - * / // % **, comparisons, in, and, or, not"
    return UsageError(f"{ast.unparse(node)!r} {what}", hint=hint)


def _check_condition(node: ast.expr) -> None:
    if isinstance(node, ast.BoolOp):
        for part in node.values:
            _check_condition(part)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        _check_condition(node.operand)
    elif isinstance(node, ast.BinOp | ast.UnaryOp | ast.List | ast.Tuple) or (
        isinstance(node, ast.Constant) and not isinstance(node.value, bool)
    ):
        raise UsageError(f"{ast.unparse(node)!r} is neither true nor false", hint="compare it with something")


@dataclass(frozen=True, slots=True)
class _Evaluation:
    """One walk over a checked tree; every part of it becomes a column."""

    runs: Sequence[int]
    columns: Mapping[Name, Column]
    doubts: list[str] | None = None

    def column(self, node: ast.expr) -> Column:
        if isinstance(node, ast.Constant):
            assert node.value is None or isinstance(node.value, bool | int | float | str), "checked when it was read"
            return dict.fromkeys(self.runs, node.value)
        if isinstance(node, ast.Name) and node.id in _CONSTANTS:
            return dict.fromkeys(self.runs, _CONSTANTS[node.id])
        if isinstance(node, ast.List | ast.Tuple):
            items = tuple(item.value for item in node.elts if isinstance(item, ast.Constant))
            return dict.fromkeys(self.runs, items)  # type: ignore[arg-type]  # checked when it was parsed
        if isinstance(node, ast.BoolOp):
            return self.joined(node)
        if isinstance(node, ast.UnaryOp):
            operand = self.column(node.operand)
            if isinstance(node.op, ast.Not):
                return {run: operand.get(run) is not True for run in self.runs}
            return _computed(_UNARY[type(node.op)], operand, operand)
        if isinstance(node, ast.BinOp):
            return _computed(_BINARY[type(node.op)], self.column(node.left), self.column(node.right))
        if isinstance(node, ast.Compare):
            return self.compare(node)
        name = name_of(node)
        assert name is not None, "everything else was refused"
        return self.columns[name]

    def joined(self, node: ast.BoolOp) -> Column:
        met = [{run for run, value in self.column(part).items() if value is True} for part in node.values]
        together = set.intersection(*met) if isinstance(node.op, ast.And) else set.union(*met)
        return {run: run in together for run in self.runs}

    def compare(self, node: ast.Compare) -> Column:
        sides = [(side, self.column(side)) for side in (node.left, *node.comparators)]
        met = set(self.runs)
        for op, (_, left), (_, right) in zip(node.ops, sides, sides[1:], strict=False):
            compared = COMPARISONS[type(op)]
            met = {run for run in met if run in left and run in right and compared(left[run], right[run])}
        if self.doubts is not None and not met:
            self.doubt(node, sides)
        return {run: run in met for run in self.runs}

    def doubt(self, node: ast.Compare, sides: Sequence[tuple[ast.expr, Column]]) -> None:
        """Say it when a comparison that no run meets is one of unlike things in all of them."""
        assert self.doubts is not None
        for op, left, right in zip(node.ops, sides, sides[1:], strict=False):
            both = [(left[1].get(run), right[1].get(run)) for run in self.runs]
            known = [(one, other) for one, other in both if one is not None and other is not None]
            if known and not any(could_hold(op, one, other) for one, other in known):
                told = [self.kinds(*side) for side in (left, right) if _is_asked(side[0])]
                self.doubts.append(f"{ast.unparse(node)} is never true: {', '.join(told)}")
                return

    def kinds(self, node: ast.expr, column: Column) -> str:
        found = Counter(kind_of(column[run]) for run in self.runs if column.get(run) is not None)
        counted = " and ".join(f"{NOUNS[kind]} in {count:,}" for kind, count in found.most_common())
        return f"{ast.unparse(node)} is {counted} of {len(self.runs):,} run{'' if len(self.runs) == 1 else 's'}"


def _is_asked(node: ast.expr) -> bool:
    """Return whether a piece of an expression reads anything of a run."""
    return any(isinstance(part, ast.Name) and part.id not in _CONSTANTS for part in ast.walk(node))


def _computed(compute: Callable[[float, float], object], left: Column, right: Column) -> Column:
    """Return what comes out where both are numbers and the result is one."""
    found: Column = {}
    for run, value in left.items():
        other = right.get(run)
        if kind_of(value) == kind_of(other) == "number":
            try:
                result = compute(value, other)  # type: ignore[arg-type]
            except ArithmeticError:
                continue
            if isinstance(result, int | float):
                found[run] = result
    return found


def _power(base: float, exponent: float) -> object:
    return float(base) ** float(exponent)  # of whole numbers it could have more digits than there is memory


_BINARY: Final[dict[type[ast.operator], Callable[[float, float], object]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
_UNARY: Final[dict[type[ast.unaryop], Callable[[float, float], object]]] = {
    ast.UAdd: lambda value, _: value,
    ast.USub: lambda value, _: -value,
    ast.Not: lambda value, _: not value,
}
_REFUSED: Final[dict[type[ast.expr], str]] = {
    ast.Call: "is a call: nothing is called in a query",
    ast.Lambda: "is a function: nothing is called in a query",
    ast.IfExp: "is a choice: use and, or",
    ast.NamedExpr: "is an assignment",
    ast.List: "is a list of more than plain values",
    ast.Tuple: "is a list of more than plain values",
    ast.JoinedStr: "is a text with parts to compute",
}
