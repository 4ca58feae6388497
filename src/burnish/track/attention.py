"""Attention maps as one figure: layers downwards, heads across, one colour scale for all.

Drawn with matplotlib's objects alone, so that the user's `pyplot` state and backend stay as they are.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from burnish.track.foreign import comes_from, type_name
from burnish.track.image import Image, encode_figure

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

MOST_CELLS: Final = 12
"""How many layers and heads are shown unless they are named: the first and last, and evenly between."""

MOST_LABELS: Final = 32
"""How many tokens are written along a side; of more every second one, third one, and so on."""

_SCALE_TO: Final = 99  # percentile of the weights: a few large ones, as of the first token, would leave the rest white
_TEXT_WIDTH: Final = 14  # characters of a token beside its row or column
_MARKS: Final = str.maketrans("Ġ▁ Ċ\n", "␣␣␣↵↵")
_SHAPES: Final = "[layers, heads, query, key], [heads, query, key] or [query, key]"
_CELL_PIXELS: Final = 128  # the most weights a side that a cell can show
_GAP: Final = 0.14  # inches between cells
_INK: Final = "#333333"
_FAINT: Final = "#777777"
_COLOURS: Final = (
    "#eef3fa",
    "#9ecae1",
    "#4292c6",
    "#08519c",
    "#051d40",
)  # zero is a tint: only what is masked is white


@dataclass(frozen=True, slots=True)
class _Given:
    """Weights as they came, still on their device.

    Attributes:
        layers: Arrays or tensors [heads, query, key].
        numbers: The number that each layer has in the model.
        shape: Heads, queries and keys of each layer.
        names: How many of "layer" and "head" mean something for what was given.
        notes: What has been left out.
    """

    layers: list[np.ndarray]
    numbers: list[int]
    shape: tuple[int, int, int]
    names: int = 2
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Maps:
    """Weights to draw.

    Attributes:
        values: Of shape [layers, heads, query, key] or coarser; NaN where a query cannot look.
        rows: What stands beside each row.
        columns: What stands above each column.
        notes: What the picture leaves out.
        block: How many queries and keys one value stands for, a side.
    """

    values: np.ndarray
    rows: list[str]
    columns: list[str]
    notes: list[str]
    block: int = 1


def draw_attention(
    attentions: object,
    *,
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
    tokens: Sequence[str] | None = None,
    title: str = "",
) -> Image:
    """Return attention weights as a picture: a row a layer, a column a head.

    Args:
        attentions: What a transformers model returns with `output_attentions=True`: a tuple of tensors
            [batch, heads, query, key], one a layer (None where a layer gave none), of which the first of the batch
            is drawn; or an array or tensor [layers, heads, query, key], [heads, query, key] or [query, key].
        layers: Which to draw, by number; negative ones count from the end. By default all, or a dozen of them.
        heads: The same for heads.
        tokens: The text of each key, of which at most 32 are shown. With fewer queries than keys (generation with
            a cache), the queries are the last tokens.
        title: What stands above.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: These are no attention weights.
        ValueError: A layer or head is not there, or the tokens are not as many as the keys.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("drawing attention needs matplotlib: pip install matplotlib") from error
    given = _opened(attentions)
    if tokens is not None and len(tokens) != given.shape[2]:
        raise ValueError(f"there are {len(tokens)} tokens for {given.shape[2]} keys")
    maps = _chosen(given, layers, heads)
    named = list(tokens or ())
    below, beside = _Labels.of(named, maps.block), _Labels.of(named[-given.shape[1] :], maps.block)
    if below.every > 1:
        maps.notes.append(f"1 of {below.every} tokens named")
    figure = Figure(facecolor="white")
    figure.set_layout_engine("none")  # whatever the user's settings say
    FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)  # of tokens; it is drawn as a box
        _draw(figure, maps, (below, beside), title)
        return encode_figure(figure)


def _opened(attentions: object) -> _Given:
    """Return the layers of any accepted shape; nothing is copied yet.

    Raises:
        TypeError: It is no attention.
    """
    if not isinstance(attentions, list | tuple):
        whole: np.ndarray = attentions  # type: ignore[assignment]
        shape = _shape(whole)
        if not 2 <= len(shape) <= 4 or 0 in shape:
            raise TypeError(f"attentions must be {_SHAPES}, not {shape}")
        whole = whole.reshape((1,) * (4 - len(shape)) + shape)
        names = len(shape) - 2
        return _Given(list(whole), list(range(len(whole))), tuple(whole.shape[1:]), names)
    if not attentions:
        raise TypeError("attentions must not be empty: does the model use attn_implementation='eager'?")
    numbers = [number for number, layer in enumerate(attentions) if layer is not None]
    if not numbers:
        raise TypeError("attentions hold None only: load the model with attn_implementation='eager'")
    layers = [attentions[number] for number in numbers]
    shapes = sorted({_shape(layer) for layer in layers})
    told = ", ".join(map(str, shapes))
    if any(len(shape) not in (3, 4) or 0 in shape for shape in shapes):
        raise TypeError(f"attentions must be [batch, heads, query, key] for each layer, not {told}")
    if len(shapes) > 1:
        raise TypeError(f"attentions must be of one shape in all layers, not {told}")
    shape = shapes[0]
    if len(shape) == 3:
        return _Given(layers, numbers, shape)
    notes = (f"first of {shape[0]} sequences",) if shape[0] > 1 else ()
    return _Given([layer[0] for layer in layers], numbers, shape[1:], notes=notes)  # type: ignore[arg-type]


def _shape(values: object) -> tuple[int, ...]:
    if hasattr(values, "shape") and hasattr(values, "reshape"):
        return tuple(values.shape)
    raise TypeError(f"attentions must be arrays or tensors, not {type_name(values)}")


def _chosen(given: _Given, layers: Sequence[int] | None, heads: Sequence[int] | None) -> _Maps:
    """Bring what shall be drawn to the CPU, as fine as can be seen."""
    import numpy as np

    heads_in_all, queries, keys = given.shape
    shown_layers = _picked("layer", layers, given.numbers)
    shown_heads = _picked("head", heads, list(range(heads_in_all)))
    notes = list(given.notes)
    if layers is None and len(shown_layers) < len(given.numbers):
        notes.append(f"{len(shown_layers)} of {len(given.numbers)} layers")
    if heads is None and len(shown_heads) < heads_in_all:
        notes.append(f"{len(shown_heads)} of {heads_in_all} heads")
    later = np.triu(np.ones((queries, keys), dtype=bool), k=1 + keys - queries)
    block = -(-max(queries, keys) // _CELL_PIXELS)
    causal = 1 < queries <= keys
    cells = []
    for layer in shown_layers:
        values = _array(given.layers[given.numbers.index(layer)][shown_heads])
        causal = causal and not np.any(values.any(axis=0), where=later)
        cells.append(_by_block(np.fmax, values, block))
    drawn = np.stack(cells)
    if causal:  # then zeros where no query can look mean nothing
        drawn[:, :, _by_block(np.logical_and, later, block)] = np.nan
        notes.append("causal")
    if block > 1:
        notes.append(f"each pixel the largest of {block} × {block}")
    rows = [f"layer {layer}" if given.names > 1 else "" for layer in shown_layers]
    columns = [f"head {head}" if given.names > 0 else "" for head in shown_heads]
    return _Maps(drawn, rows, columns, notes, block)


def _array(values: object) -> np.ndarray:
    import numpy as np

    if comes_from(values, "torch") and hasattr(values, "detach"):
        values = values.detach().float().cpu().numpy()  # NumPy knows no bfloat16
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"attentions must be real numbers, not {array.dtype}")
    return array.astype(np.float32, copy=False)


def _by_block(operation: np.ufunc, values: np.ndarray, block: int) -> np.ndarray:
    """Reduce the last two axes in square blocks; of weights the largest: a mean would hide the few that matter."""
    for axis in (-1, -2):
        values = operation.reduceat(values, range(0, values.shape[axis], block), axis=axis)
    return values


def _picked(what: str, named: Sequence[int] | None, numbers: list[int]) -> list[int]:
    """Return the numbers to draw, as named or, of too many, evenly from the first to the last."""
    if named is None:
        last = len(numbers) - 1
        if last < MOST_CELLS:
            return numbers
        return [numbers[round(place * last / (MOST_CELLS - 1))] for place in range(MOST_CELLS)]
    if not named:
        raise ValueError(f"no {what} to draw")
    found = [number + numbers[-1] + 1 if number < 0 else number for number in named]
    for number, given in zip(found, named, strict=True):
        if number not in numbers:
            raise ValueError(f"there is no {what} {given}, only {numbers[0]} to {numbers[-1]}")
    return found


@dataclass(frozen=True, slots=True)
class _Labels:
    """Tokens along one side, every n-th of them where they are many.

    Attributes:
        places: Where they stand, in cells of the map.
        texts: What they are.
        every: Of how many tokens one is named.
    """

    places: list[float]
    texts: list[str]
    every: int = 1

    @classmethod
    def of(cls, tokens: Sequence[str], block: int) -> _Labels:
        """Choose those to name; a value of the map stands for `block` tokens."""
        every = max(1, -(-len(tokens) // MOST_LABELS))
        chosen = range(0, len(tokens), every)
        return cls([(place + 0.5) / block - 0.5 for place in chosen], [_shown(tokens[at]) for at in chosen], every)


def _shown(token: str) -> str:
    """Return a token on one line; a tokenizer's marks for space and newline become visible ones."""
    text = token.translate(_MARKS)
    text = "".join(character if character.isprintable() else "·" for character in text)
    text = text if len(text) <= _TEXT_WIDTH else text[: _TEXT_WIDTH - 1] + "…"
    return text.replace("$", r"\$")  # no formula


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where things stand, in inches from the lower left: cells of one size, and no text that meets another."""

    side: float
    high: float
    left: float
    below: float
    width: float
    height: float
    rows: int
    gap: float = _GAP

    def cell(self, row: int, column: int) -> tuple[float, float, float, float]:
        """Return a cell in fractions of the figure, as matplotlib wants them."""
        x = self.left + column * (self.side + self.gap)
        y = self.below + (self.rows - 1 - row) * (self.high + self.gap)
        return self.box(x, y, self.side, self.high)

    def box(self, x: float, y: float, wide: float, tall: float) -> tuple[float, float, float, float]:
        """Return a rectangle in fractions of the figure."""
        return x / self.width, y / self.height, wide / self.width, tall / self.height


def _laid_out(maps: _Maps, labels: tuple[_Labels, _Labels], title: str) -> _Layout:
    rows, columns, queries, keys = maps.values.shape
    below, beside = labels
    longest = max(map(len, below.texts + beside.texts), default=0)
    side = max(1.0, 0.15 * len(below.texts)) if longest else max(0.9, min(2.6, 9.0 / max(rows, columns)))
    high = max(side * min(max(queries / keys, 0.12), 4.0), 0.15 * len(beside.texts))
    gap = _GAP
    left = 0.2 + (0.3 if maps.rows[0] else 0.0) + 0.072 * longest
    under = 0.36 + 0.072 * longest
    above = 0.14 + (0.32 if title else 0.0) + (0.24 if maps.notes else 0.0) + (0.24 if maps.columns[0] else 0.1)
    right = 0.72
    words = 0.118 * len(title), 0.078 * len(" · ".join(maps.notes))
    width = max(left + columns * (side + gap) + right, left + max(words) + 0.2)
    height = max(above + rows * (high + gap) - gap + under, above + under + 0.8)
    return _Layout(side, high, left, height - above - rows * (high + gap) + gap, width, height, rows)


def _draw(figure: Figure, maps: _Maps, labels: tuple[_Labels, _Labels], title: str) -> None:
    import numpy as np
    from matplotlib.colors import LinearSegmentedColormap

    place = _laid_out(maps, labels, title)
    figure.set_size_inches(place.width, place.height)
    figure.set_dpi(100)
    rows, columns = maps.values.shape[:2]
    top, is_all = _scale_of(maps.values)
    colours = LinearSegmentedColormap.from_list("attention", _COLOURS).with_extremes(bad="white")
    for row, column in np.ndindex(rows, columns):
        axes = figure.add_axes(place.cell(row, column))
        picture = axes.imshow(
            maps.values[row, column], cmap=colours, vmin=0, vmax=top, aspect="auto", interpolation="nearest"
        )
        below, beside = labels
        _dress(axes, below if row == rows - 1 else None, beside if column == 0 else None)
        if row == 0:
            axes.set_title(maps.columns[column], fontsize=9, color=_INK, pad=4)
        if column == 0:
            y = place.cell(row, column)[1] + place.high / place.height / 2
            figure.text(0.2 / place.width, y, maps.rows[row], rotation=90, va="center", fontsize=9, color=_INK)
    _draw_scale(figure, place, picture, columns, top, is_all=is_all)
    _write(figure, place, maps.notes, title)


def _scale_of(values: np.ndarray) -> tuple[float, bool]:
    """Return the weight that is the darkest, and whether there is none above it."""
    import numpy as np

    known = values[np.isfinite(values)]
    most = float(known.max(initial=0.0))
    # "higher" is a weight that there is: of up to a hundred the largest. Zero where almost all are: then the largest.
    top = float(np.percentile(known, _SCALE_TO, method="higher")) if known.size else 0.0
    return (top, top == most) if top > 0 else (most or 1.0, True)


def _draw_scale(figure: Figure, place: _Layout, picture: AxesImage, columns: int, top: float, *, is_all: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    x = place.left + columns * (place.side + place.gap)
    whole = place.rows * (place.high + place.gap) - place.gap
    tall = min(max(whole, 0.8), 2.4)
    axes = figure.add_axes(place.box(x, place.below + whole - tall, 0.12, tall))
    bar = figure.colorbar(picture, cax=axes)
    bar.outline.set_visible(False)
    # What is darker still looks the same, and the scale says so.
    inner = [float(tick) for tick in MaxNLocator(4).tick_values(0, top) if 0 <= tick < 0.85 * top]
    names = [f"{tick:.3g}" for tick in inner]
    bar.set_ticks([*inner, top], labels=[*names, f"{top:.2g}" if is_all else f"≥ {top:.2g}"])
    axes.tick_params(labelsize=8, length=2, color=_FAINT, labelcolor=_INK)


def _write(figure: Figure, place: _Layout, notes: list[str], title: str) -> None:
    start, y = place.left / place.width, place.height - 0.14
    if title:
        figure.text(start, y / place.height, title, fontsize=12, weight="bold", color=_INK, va="top", parse_math=False)
        y -= 0.28
    figure.text(start, y / place.height, " · ".join(notes), fontsize=9, color=_FAINT, va="top")
    figure.text(start, 0.08 / place.height, "key →   query ↓", fontsize=8, color=_FAINT, va="bottom")


def _dress(axes: Axes, below: _Labels | None, beside: _Labels | None) -> None:
    """Take the frame away, and write tokens where there are any."""
    nothing = _Labels([], [])
    below, beside = below or nothing, beside or nothing
    axes.set_xticks(below.places, below.texts, rotation=90, fontsize=7, color=_INK)
    axes.set_yticks(beside.places, beside.texts, fontsize=7, color=_INK)
    axes.tick_params(length=0, pad=2)
    for spine in axes.spines.values():
        spine.set_visible(False)
