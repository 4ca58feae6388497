"""Pictures of any library as the bytes of a file: PNG, or the JPEG that it was.

The user's figure or array is never altered, and nothing is imported that the value does not come with.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from burnish.track.foreign import comes_from, type_name

if TYPE_CHECKING:
    import numpy as np
    import torch
    from matplotlib.figure import Figure
    from PIL import Image as PillowImage

MAX_SIDE: Final = 4096

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES: Final = {1: 0, 3: 2, 4: 6}  # channels: gray, RGB, RGBA (PNG specification, section 11.2.1)
_PNG_MODES: Final = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})
_ACCEPTED: Final = "a PIL image, a matplotlib figure, an array, a tensor, a path or the bytes of a PNG or JPEG file"


@dataclass(frozen=True, slots=True)
class Image:
    """A picture as the content of a file.

    Attributes:
        content: The bytes.
        suffix: What they are, and what the file's name ends with.
        width: In pixels.
        height: In pixels.
    """

    content: bytes
    suffix: Literal["png", "jpg"]
    width: int
    height: int


def encode_image(image: object, *, max_side: int = MAX_SIDE) -> Image:
    """Return a picture as the bytes of a file.

    Args:
        image: One of
            - an array or tensor of shape (H, W), (H, W, 1 or 3 or 4) or (1 or 3 or 4, H, W): gray, RGB, RGBA. Where
              first and last axis could both be the channels, an array has them last and a tensor first, as their
              libraries do. Booleans are black and white; integers in 0..255 and floats in 0..1 are brightness as
              they are; an array that goes beyond is stretched from its smallest to its largest finite value.
              NaN is black;
            - a PIL image, turned as its EXIF orientation says;
            - a matplotlib figure, axes or anything drawn on one, `pyplot` itself (the current figure), or an object
              with a `figure`, such as seaborn's grids;
            - the path or the bytes of a PNG or JPEG file, which are kept as they are.
        max_side: Larger arrays and PIL images are scaled down to at most this many pixels a side.

    Raises:
        TypeError: It is no picture.
        ValueError: It has no pixels, or the file is no PNG or JPEG.
        OSError: The path cannot be read.
    """
    if isinstance(image, bytes | bytearray | memoryview):
        return _of_file(bytes(image), "these bytes")
    if isinstance(image, str | Path):
        return _of_file(Path(image).read_bytes(), str(image))
    if comes_from(image, "PIL") and hasattr(image, "getbands"):
        return _of_pillow(image, max_side)  # type: ignore[arg-type]
    figure = _figure_of(image)
    if figure is not None:
        return encode_figure(figure)
    if comes_from(image, "torch") and hasattr(image, "detach"):
        return _of_tensor(image, max_side)
    if comes_from(image, "numpy") or hasattr(image, "__array__"):
        import numpy as np

        return _of_array(np.asarray(image), max_side, first=False)
    raise TypeError(f"an image must be {_ACCEPTED}, not {type_name(image)}")


def encode_figure(figure: Figure) -> Image:
    """Return a matplotlib figure as PNG; equal figures give equal bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return _of_file(buffer.getvalue(), "the figure")


def encode_png(pixels: np.ndarray) -> bytes:
    """Return pixels as a PNG file (W3C PNG specification, third edition), without any imaging library.

    Args:
        pixels: uint8 of shape (height, width, channels): 1 gray, 3 RGB or 4 RGBA.
    """
    import numpy as np

    height, width, channels = pixels.shape
    head = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    rows = pixels.reshape(height, width * channels)
    lines = np.empty((height, 1 + width * channels), dtype=np.uint8)
    lines[:, 0] = 2  # filter "up": each byte less the one above, which deflates smooth pictures well
    lines[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=lines[1:, 1:])
    data = zlib.compress(lines.tobytes(), 6)
    return _PNG + _chunk(b"IHDR", head) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _of_file(content: bytes, what: str) -> Image:
    """Keep a file as it is; read only how large its picture is."""
    if content[:8] == _PNG and content[12:16] == b"IHDR" and len(content) >= 24:
        width, height = struct.unpack(">II", content[16:24])
        return Image(content, "png", width, height)
    size = _jpeg_size(content)
    if size is None:
        raise ValueError(f"{what} must be a whole PNG or JPEG file")
    return Image(content, "jpg", *size)


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
    """Return width and height from the frame header (ITU-T T.81, B.2.2), None where there is none."""
    if content[:2] != b"\xff\xd8":
        return None
    place = 2
    while place + 9 <= len(content) and content[place] == 0xFF:
        marker = content[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", content[place + 5 : place + 9])
            return width, height
        else:
            place += 2 + int.from_bytes(content[place + 2 : place + 4])
    return None


def _of_pillow(image: PillowImage.Image, max_side: int) -> Image:
    from PIL import ImageOps

    if image.mode in ("I", "F"):  # 32-bit integers and floats: PNG has neither
        import numpy as np

        return _of_array(np.asarray(image), max_side, first=False)
    upright = ImageOps.exif_transpose(image)
    if upright.mode not in _PNG_MODES:
        upright = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
    if max(upright.size) > max_side:
        upright = upright.convert("RGBA" if upright.mode == "P" else "L" if upright.mode == "1" else upright.mode)
        upright.thumbnail((max_side, max_side), reducing_gap=None)
    if not min(upright.size):
        raise ValueError(f"an image must have pixels, not the size {upright.width} x {upright.height}")
    buffer = io.BytesIO()
    upright.save(buffer, format="PNG")
    return Image(buffer.getvalue(), "png", *upright.size)


def _figure_of(image: object) -> Figure | None:
    """Return the matplotlib figure that something is, lies on, or keeps."""
    if getattr(image, "__name__", "") == "matplotlib.pyplot":
        if not image.get_fignums():  # type: ignore[attr-defined]
            raise ValueError("pyplot has no current figure")
        figure: object = image.gcf()  # type: ignore[attr-defined]
    else:
        figure = image if hasattr(image, "savefig") else None
        own = getattr(image, "figure", None)
        figure = own if own is not None and comes_from(own, "matplotlib") else figure
    while figure is not None and not hasattr(figure, "savefig"):
        above = getattr(figure, "figure", None)  # a part of a figure can lie on another part
        figure = None if above is figure else above
    return figure if comes_from(figure, "matplotlib") else None  # type: ignore[return-value]


def _of_tensor(tensor: torch.Tensor, max_side: int) -> Image:
    whole = tensor.detach().cpu()
    if whole.is_complex():
        raise TypeError(f"an image must be {_ACCEPTED}, not complex numbers")
    if whole.is_floating_point():
        whole = whole.float()  # NumPy knows no bfloat16
    return _of_array(whole.numpy(), max_side, first=True)


def _of_array(array: np.ndarray, max_side: int, *, first: bool) -> Image:
    pixels = _shrunk(_channels_last(_bytes(array), first=first), max_side)
    height, width, _ = pixels.shape
    return Image(encode_png(pixels), "png", width, height)


def _bytes(array: np.ndarray) -> np.ndarray:
    """Return brightness in 0..255."""
    import numpy as np

    if array.dtype.kind not in "biuf":
        raise TypeError(f"an image must be {_ACCEPTED}, not an array of {array.dtype}")
    if not array.size:
        raise ValueError(f"an image must have pixels, not the shape {array.shape}")
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind == "b":
        return array.astype(np.uint8) * 255
    values = array.astype(np.float64)
    finite = np.isfinite(values)
    low = values.min(where=finite, initial=np.inf)
    high = values.max(where=finite, initial=-np.inf)
    most = 1.0 if array.dtype.kind == "f" else 255.0
    if low < 0 or high > most:
        values = (values / 2 - low / 2) / max(high / 2 - low / 2, np.finfo(np.float64).tiny)
        most = 1.0
    values = np.nan_to_num(values / most, nan=0.0, posinf=1.0, neginf=0.0)
    shown: np.ndarray = np.rint(values.clip(0, 1) * 255).astype(np.uint8)
    return shown


def _channels_last(pixels: np.ndarray, *, first: bool) -> np.ndarray:
    """Return pixels as (height, width, channels).

    Args:
        pixels: Of any accepted shape.
        first: Where both ends could be the channels, take the first axis, not the last.
    """
    import numpy as np

    if pixels.ndim == 2:
        return pixels[:, :, np.newaxis]
    if pixels.ndim == 3:
        at_front, at_back = pixels.shape[0] in _COLOUR_TYPES, pixels.shape[2] in _COLOUR_TYPES
        if at_front and (first or not at_back):
            return np.moveaxis(pixels, 0, -1)
        if at_back:
            return pixels
    hint = "; pass one image of the batch" if pixels.ndim == 4 else ""
    raise TypeError(f"an image must have the shape (H, W), (H, W, 1|3|4) or (1|3|4, H, W), not {pixels.shape}{hint}")


def _shrunk(pixels: np.ndarray, max_side: int) -> np.ndarray:
    """Return the means of square blocks, as large as it takes to stay within `max_side`."""
    import numpy as np

    height, width, channels = pixels.shape
    side = -(-max(height, width) // max_side)
    if side == 1:
        return pixels
    padded = np.pad(pixels, ((0, -height % side), (0, -width % side), (0, 0)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // side, side, padded.shape[1] // side, side, channels)
    means: np.ndarray = np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8)
    return means
