import io
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from transformers import LlamaConfig, LlamaForCausalLM

from burnish.track.attention import _chosen, _Labels, _opened, _scale_of, draw_attention

WHITE = (255, 255, 255)
DARKEST = (5, 29, 64)
ZERO = (238, 243, 250)


@pytest.fixture(scope="module")
def attentions():
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        vocab_size=50,
        attn_implementation="eager",
    )
    model = LlamaForCausalLM(config)
    return model(torch.randint(0, 50, (2, 6)), output_attentions=True).attentions


def colours(image):
    assert image.suffix == "png"
    picture = Pillow.open(io.BytesIO(image.content)).convert("RGB")
    assert picture.size == (image.width, image.height)
    return {colour: count for count, colour in picture.getcolors(1 << 24)}


def test_what_a_model_returns_is_drawn_for_every_layer_and_head(attentions):
    maps = _chosen(_opened(attentions), None, None)
    assert maps.values.shape == (3, 2, 6, 6)
    assert (maps.rows, maps.columns) == (["layer 0", "layer 1", "layer 2"], ["head 0", "head 1"])
    assert maps.notes == ["first of 2 sequences", "causal"]
    seen = np.tril(np.ones((6, 6), dtype=bool))
    assert np.allclose(maps.values[2, 1][seen], attentions[2][0, 1].detach().numpy()[seen])
    assert np.isnan(maps.values[:, :, ~seen]).all()
    assert colours(draw_attention(attentions, tokens=list("abcdef"), title="eval"))[DARKEST] > 100


def test_what_a_query_cannot_see_is_empty_and_zero_is_not():
    values = np.zeros((4, 4))
    values[:, 0] = 1
    found = colours(draw_attention(values))
    assert found[ZERO] * 4 == pytest.approx(found[DARKEST] * 6, rel=0.2)
    full = colours(draw_attention(values + np.eye(4)[::-1]))
    assert full[WHITE] < found[WHITE]


def test_equal_weights_give_equal_bytes(attentions):
    assert draw_attention(attentions).content == draw_attention(attentions).content


@pytest.mark.parametrize(
    ("shape", "rows", "columns"),
    [
        ((3, 2, 5, 5), ["layer 0", "layer 1", "layer 2"], ["head 0", "head 1"]),
        ((2, 5, 5), [""], ["head 0", "head 1"]),
        ((5, 7), [""], [""]),
        ((1, 1), [""], [""]),
    ],
)
@pytest.mark.parametrize("make", [np.ones, lambda shape: torch.ones(shape, dtype=torch.bfloat16, requires_grad=True)])
def test_arrays_are_drawn_with_what_their_axes_mean(shape, rows, columns, make):
    maps = _chosen(_opened(make(shape)), None, None)
    assert (maps.rows, maps.columns) == (rows, columns)
    assert draw_attention(make(shape)).width >= 150


def test_layers_and_heads_can_be_named(attentions):
    maps = _chosen(_opened(attentions), [-1, 0], [1])
    assert (maps.rows, maps.columns) == (["layer 2", "layer 0"], ["head 1"])
    assert maps.notes == ["first of 2 sequences", "causal"]
    assert np.allclose(maps.values[0, 0, 5], attentions[2][0, 1, 5].detach())


def test_of_many_layers_and_heads_a_dozen_is_shown_and_said():
    maps = _chosen(_opened(np.random.default_rng(0).random((40, 16, 4, 4))), None, None)
    assert maps.values.shape == (12, 12, 4, 4)
    assert (maps.rows[0], maps.rows[-1], maps.columns[-1]) == ("layer 0", "layer 39", "head 15")
    assert maps.notes == ["12 of 40 layers", "12 of 16 heads"]


def test_a_layer_without_weights_keeps_the_numbers_of_the_others(attentions):
    maps = _chosen(_opened((None, *attentions)), None, None)
    assert maps.rows == ["layer 1", "layer 2", "layer 3"]


def test_of_a_long_sequence_the_largest_weights_stay_visible():
    values = np.tril(np.full((1, 1000, 1000), 0.001))
    values[0, 900, 3] = 0.9
    maps = _chosen(_opened(values), None, None)
    assert maps.values.shape == (1, 1, 125, 125)
    assert maps.notes == ["causal", "each pixel the largest of 8 × 8"]
    assert maps.values[0, 0, 900 // 8, 0] == np.float32(0.9)
    assert np.isnan(maps.values[0, 0, 0, 1])
    assert draw_attention(values).width > 200


def test_with_a_cache_the_queries_are_the_last_tokens():
    values = np.zeros((1, 2, 5))
    values[0, 0, :4], values[0, 1, :5] = 0.25, 0.2
    maps = _chosen(_opened(values), None, None)
    assert np.isnan(maps.values[0, 0]).tolist() == [[False] * 4 + [True], [False] * 5]
    assert draw_attention(values, tokens=list("abcde")).height > 100


@pytest.mark.parametrize("token", ["$", "$x$", "\\frac", "日本語", "\t", "", "Ġword", "x" * 99, "\ud83d"])
def test_any_token_can_stand_beside(token):
    assert draw_attention(np.eye(2), tokens=[token, "."], title=f"{token!r}: $").height > 100


@pytest.mark.parametrize(("count", "every", "named"), [(0, 1, 0), (12, 1, 12), (32, 1, 32), (33, 2, 17), (200, 7, 29)])
def test_of_many_tokens_every_nth_is_named(count, every, named):
    labels = _Labels.of([str(number) for number in range(count)], 1)
    assert (labels.every, len(labels.texts)) == (every, named)
    assert labels.texts == [str(place) for place in range(0, count, every)]
    assert labels.places == [float(place) for place in range(0, count, every)]


def test_where_a_pixel_stands_for_several_tokens_each_is_named_at_its_own_part_of_it():
    assert _Labels.of(["a", "b", "c", "d"], 2).places == [-0.25, 0.25, 0.75, 1.25]


@pytest.mark.parametrize("count", [33, 48, 200])
def test_a_long_sequence_has_names_along_both_sides(count):
    values = np.tril(np.ones((count, count)))
    short, long = (draw_attention(values, tokens=[token] * count) for token in ("a", "a long word"))
    assert long.width > short.width > draw_attention(values).width - 100
    assert long.height > short.height
    assert long.width < 1000


def test_the_scale_ends_at_the_99th_percentile_of_the_weights_that_are_not_masked():
    values = np.full((10, 100), 0.01)
    values[:, 50:] = np.nan
    values[0, :3] = 0.9, 0.8, 0.7  # fewer than one in a hundred of five hundred
    assert _scale_of(values) == (0.01, False)
    values[1, :3] = 0.3
    assert _scale_of(values) == (0.3, False)
    found = colours(draw_attention(np.nan_to_num(values[:, :50])))
    assert found[DARKEST] > 100


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.linspace(0, 0.5, 100), (0.5, True)),  # of few weights the largest
        (np.eye(200), (1.0, True)),  # where almost all are zero as well
        (np.zeros(4), (1.0, True)),
        (np.full(4, np.nan), (1.0, True)),
        (np.array([0.25, np.inf]), (0.25, True)),
    ],
)
def test_the_scale_ends_at_the_largest_weight_where_a_percentile_says_nothing(values, expected):
    assert _scale_of(values) == expected


def test_the_scale_says_that_there_are_larger_weights(monkeypatch):
    from matplotlib.figure import Figure

    figures = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (figures.append(self), save(self, *a, **k))[1])
    spread = np.full((1, 1000), 0.125)
    spread[0, :5] = 0.9
    draw_attention(spread)
    draw_attention(np.full((1, 1000), 0.125))
    names = [[label.get_text() for label in figure.axes[-1].get_yticklabels()] for figure in figures]
    assert [found[-1] for found in names] == ["≥ 0.12", "0.12"]


def test_weights_that_are_nan_or_zero_are_drawn():
    assert ZERO in colours(draw_attention(np.zeros((2, 3, 3))))
    assert WHITE in colours(draw_attention(np.full((3, 3), np.nan)))


@pytest.mark.parametrize(
    ("attentions", "message"),
    [
        ((), "attentions must not be empty: does the model use attn_implementation='eager'?"),
        ((None, None), "attentions hold None only: load the model with attn_implementation='eager'"),
        (None, "attentions must be arrays or tensors, not NoneType"),
        ([[0.5]], "attentions must be arrays or tensors, not list"),
        (np.ones(3), "attentions must be [layers, heads, query, key], [heads, query, key] or [query, key], not (3,)"),
        (
            np.ones((0, 3)),
            "attentions must be [layers, heads, query, key], [heads, query, key] or [query, key], not (0, 3)",
        ),
        ((np.ones((2, 2)),), "attentions must be [batch, heads, query, key] for each layer, not (2, 2)"),
        (
            (np.ones((1, 2, 3, 3)), np.ones((1, 2, 4, 4))),
            "attentions must be of one shape in all layers, not (1, 2, 3, 3), (1, 2, 4, 4)",
        ),
        (np.array([["a"]]), "attentions must be real numbers, not <U1"),
    ],
)
def test_what_is_no_attention_is_refused(attentions, message):
    with pytest.raises(TypeError) as error:
        draw_attention(attentions)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": [3]}, "there is no layer 3, only 0 to 2"),
        ({"heads": [-3]}, "there is no head -3, only 0 to 1"),
        ({"heads": []}, "no head to draw"),
        ({"tokens": ["a"]}, "there are 1 tokens for 6 keys"),
    ],
)
def test_what_is_not_there_is_refused(attentions, arguments, message):
    with pytest.raises(ValueError) as error:
        draw_attention(attentions, **arguments)
    assert str(error.value) == message


def run_python(program):
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def test_pyplot_is_not_touched():
    program = (
        "import sys, numpy; from burnish.track.attention import draw_attention; draw_attention(numpy.eye(2))\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    assert run_python(program) == "False"


def test_without_matplotlib_the_message_says_what_to_install():
    program = (
        "import sys, numpy; sys.modules['matplotlib'] = None\n"
        "from burnish.track.attention import draw_attention\n"
        "try: draw_attention(numpy.eye(2))\n"
        "except ImportError as error: print(error)"
    )
    assert run_python(program) == "drawing attention needs matplotlib: pip install matplotlib"
