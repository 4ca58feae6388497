import io
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis.extra import numpy as hnp
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image as Pillow

from burnish.track.image import encode_image, encode_png

ACCEPTED = "a PIL image, a matplotlib figure, an array, a tensor, a path or the bytes of a PNG or JPEG file"


@pytest.fixture
def figure():
    figure = Figure(figsize=(2, 1), dpi=100)
    FigureCanvasAgg(figure)
    figure.subplots().plot([1, 2, 3])
    return figure


def pixels(image):
    """Return what another library reads, and check the size that was told."""
    picture = Pillow.open(io.BytesIO(image.content))
    picture.load()
    assert picture.size == (image.width, image.height)
    assert picture.format == {"png": "PNG", "jpg": "JPEG"}[image.suffix]
    return np.asarray(picture)


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9)))
def test_pillow_reads_the_same_gray_pixels(array):
    assert np.array_equal(pixels(encode_image(array)), array)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pillow_reads_the_same_pixels(channels):
    array = np.random.default_rng(0).integers(0, 256, (37, 53, channels), dtype=np.uint8)
    assert np.array_equal(np.asarray(Pillow.open(io.BytesIO(encode_png(array)))), array.squeeze())
    for other in (array, np.moveaxis(array, 2, 0), torch.from_numpy(array), torch.from_numpy(array).permute(2, 0, 1)):
        assert np.array_equal(pixels(encode_image(other)), array.squeeze())


def test_a_smooth_picture_is_small():
    ramp = np.linspace(0, 255, 512 * 512).reshape(512, 512).astype(np.uint8)
    assert len(encode_image(ramp).content) < 10_000


def test_where_both_ends_could_be_channels_arrays_have_them_last_and_tensors_first():
    array = np.arange(3 * 5 * 4, dtype=np.uint8).reshape(3, 5, 4)
    assert np.array_equal(pixels(encode_image(array)), array)
    assert np.array_equal(pixels(encode_image(torch.from_numpy(array))), np.moveaxis(array, 0, -1))


@pytest.mark.parametrize(
    ("array", "shown"),
    [
        ([[False, True]], [[0, 255]]),
        (np.array([[0.0, 0.5, 1.0]]), [[0, 128, 255]]),
        (np.array([[0.2, np.nan, np.inf, -np.inf]], dtype=np.float16), [[51, 0, 255, 0]]),
        (np.array([[0, 7, 255]], dtype=np.int64), [[0, 7, 255]]),
        (np.array([[1000, 2000, 3000]], dtype=np.uint16), [[0, 128, 255]]),
        (np.array([[-1.0, 0.0, 1.0, np.nan]]), [[0, 128, 255, 0]]),
        (np.array([[-1.7e308, 0.0, 1.7e308]]), [[0, 128, 255]]),
        (np.array([[7.0, 7.0]]), [[0, 0]]),
        (torch.tensor([[0.0, 1.0]], dtype=torch.bfloat16, requires_grad=True), [[0, 255]]),
        (torch.tensor([[True, False]]), [[255, 0]]),
    ],
)
def test_values_become_brightness(array, shown):
    array = np.array(array) if isinstance(array, list) else array
    assert pixels(encode_image(array)).tolist() == shown


def test_a_large_array_is_scaled_down_by_means():
    array = np.zeros((5, 10), dtype=np.uint8)
    array[::2] = 100
    image = encode_image(array, max_side=5)
    assert (image.width, image.height) == (5, 3)
    assert pixels(image).tolist() == [[50] * 5, [50] * 5, [100] * 5]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "I", "F", "I;16"])
@pytest.mark.parametrize("max_side", [4096, 10])
def test_pillow_images_of_every_mode_are_kept(mode, max_side):
    picture = Pillow.new(mode, (40, 20))
    image = encode_image(picture, max_side=max_side)
    pixels(image)
    assert (image.width, image.height) == ((40, 20) if max_side > 40 else (10, 5))
    assert (picture.size, picture.mode) == ((40, 20), mode)


def test_a_pillow_image_is_lossless_and_turned_as_the_camera_was_held():
    array = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    picture = Pillow.fromarray(array)
    assert np.array_equal(pixels(encode_image(picture)), array)
    picture.getexif()[0x0112] = 6
    assert np.array_equal(pixels(encode_image(picture)), np.rot90(array, -1))


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_files_are_kept_as_they_are(tmp_path, kind):
    buffer = io.BytesIO()
    Pillow.new("RGB", (17, 9)).save(buffer, format=kind, **({"progressive": True} if kind == "JPEG" else {}))
    content = buffer.getvalue()
    path = tmp_path / "picture"
    path.write_bytes(content)
    for source in (content, bytearray(content), path, str(path)):
        image = encode_image(source)
        pixels(image)
        assert (image.content, image.width, image.height) == (content, 17, 9)


@pytest.mark.parametrize(
    "content", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0\x00\x10", b"\xff\xd8\xff\xff"]
)
def test_bytes_of_something_else_are_refused(content, tmp_path):
    with pytest.raises(ValueError) as error:
        encode_image(content)
    assert str(error.value) == "these bytes must be a whole PNG or JPEG file"
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(ValueError) as error:
        encode_image(path)
    assert str(error.value) == f"{path} must be a whole PNG or JPEG file"


def test_a_figure_is_drawn_and_left_as_it_was(figure):
    canvas, size = figure.canvas, figure.get_size_inches().tolist()
    image = encode_image(figure)
    assert (image.width, image.height) == (200, 100)
    assert len(np.unique(pixels(image))) > 10
    assert (figure.canvas, figure.dpi, figure.get_size_inches().tolist()) == (canvas, 100, size)
    assert encode_image(figure).content == image.content


def test_what_lies_on_a_figure_stands_for_it(figure):
    axes = figure.axes[0]
    part = figure.subfigures()
    for piece in (axes, axes.lines[0], part, part.subplots()):
        assert encode_image(piece).width == 200

    class Grid:
        def __init__(self):
            self.figure = figure

        def savefig(self):
            raise AssertionError

    assert encode_image(Grid()).width == 200


def test_pyplot_stands_for_its_current_figure():
    mpl.use("Agg")
    from matplotlib import pyplot

    with pytest.raises(ValueError) as error:
        encode_image(pyplot)
    assert str(error.value) == "pyplot has no current figure"
    figure = pyplot.figure(figsize=(3, 2), dpi=50)
    try:
        assert encode_image(pyplot).width == 150
        assert pyplot.get_fignums() == [figure.number]
    finally:
        pyplot.close(figure)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (3, f"an image must be {ACCEPTED}, not int"),
        ([[1]], f"an image must be {ACCEPTED}, not list"),
        (None, f"an image must be {ACCEPTED}, not NoneType"),
        (torch.nn.ReLU(), f"an image must be {ACCEPTED}, not torch.ReLU"),
        (np.array([["a"]]), f"an image must be {ACCEPTED}, not an array of <U1"),
        (np.array([[1j]]), f"an image must be {ACCEPTED}, not an array of complex128"),
        (torch.tensor([[1j]]), f"an image must be {ACCEPTED}, not complex numbers"),
        (np.zeros((2, 5, 2)), "an image must have the shape (H, W), (H, W, 1|3|4) or (1|3|4, H, W), not (2, 5, 2)"),
        (np.zeros(3), "an image must have the shape (H, W), (H, W, 1|3|4) or (1|3|4, H, W), not (3,)"),
        (
            torch.zeros(8, 3, 2, 2),
            "an image must have the shape (H, W), (H, W, 1|3|4) or (1|3|4, H, W), not (8, 3, 2, 2);"
            " pass one image of the batch",
        ),
    ],
)
def test_what_is_no_picture_is_refused(image, message):
    with pytest.raises(TypeError) as error:
        encode_image(image)
    assert str(error.value) == message


def test_an_array_without_pixels_is_refused():
    with pytest.raises(ValueError) as error:
        encode_image(np.zeros((0, 4)))
    assert str(error.value) == "an image must have pixels, not the shape (0, 4)"


def test_an_array_needs_neither_pillow_nor_matplotlib():
    program = (
        "import sys, numpy; from burnish.track.image import encode_image; encode_image(numpy.zeros((2, 2)))\n"
        "print([name for name in ('PIL', 'matplotlib', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
