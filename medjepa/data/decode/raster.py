"""PNG, JPEG, GIF, WebP and BMP, through Pillow; 16 bits stay 16 bits, several frames a clip."""

import struct
import warnings

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from medjepa.data.decode.animation import clip_of, is_animated
from medjepa.data.decode.limits import check_budget
from medjepa.data.decode.png_chunks import check_chunks
from medjepa.errors import InputError, InputWarning
from medjepa.types import MedicalImage

# What the decoders raise on damaged files (SyntaxError: a broken PNG chunk; imagecodecs' own
# errors are RuntimeErrors).
_DECODER_ERRORS = (
    OSError, ValueError, SyntaxError, TypeError, struct.error, EOFError, IndexError, KeyError,
    AttributeError, RuntimeError, OverflowError, ZeroDivisionError,
)  # fmt: skip
_COLOUR_MODES = ("RGB", "P", "RGBA", "PA", "YCbCr", "RGBX")


def decode(path: str, kind: str) -> MedicalImage:
    """Decode one image to (1 or 3, Y, X), uint8 or uint16; EXIF orientation is applied.

    An animation is decoded to a clip (1 or 3, T, Y, X).
    """
    try:
        with warnings.catch_warnings():
            # Pillow's own limit stays, and is an error: a warning would be lost in a worker.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
            if kind == "PNG":
                check_chunks(path, kind)
            with Image.open(path, formats=[kind.upper()]) as image:
                check_budget(path, (image.height, image.width), 4, kind)
                if is_animated(image):
                    return clip_of(path, kind, image)
                array, history = _pixels(path, kind, image)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise InputError(path, f"too large: over the limit of pixels ({error})", format=kind) from (
            error
        )
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise InputError(path, f"not a readable {kind} image", format=kind) from error
    except _DECODER_ERRORS as error:
        raise InputError(path, f"truncated or damaged: {error}", format=kind) from error
    if max(array.shape[1:]) < 2:
        warnings.warn(
            f"{path}: very small, the size is {array.shape[2]} x {array.shape[1]} pixels",
            InputWarning,
            stacklevel=4,
        )
    return MedicalImage(
        array=array, axes="yx", spacing=(None, None), source=path, history=tuple(history)
    )


def _pixels(path: str, kind: str, image: Image.Image) -> tuple[np.ndarray, list[str]]:
    history = []
    if kind == "PNG" and _is_deep_colour(path):
        return _deep_colour(path), ["16-bit colour"]
    image.load()
    if image.getexif().get(0x0112, 1) != 1:
        image = ImageOps.exif_transpose(image)
        history.append("EXIF orientation applied")
    if image.mode in ("1", "LA"):
        history.append(f"mode {image.mode} read as grey")
        image = image.convert("L")
    elif image.mode in _COLOUR_MODES:
        if image.mode != "RGB":
            history.append(f"mode {image.mode} read as RGB")
        image = image.convert("RGB")
    if image.mode == "RGB":
        return np.moveaxis(np.asarray(image), 2, 0), history
    if image.mode == "L":
        return np.asarray(image)[None], history
    if image.mode.startswith("I"):
        return np.asarray(image).astype(np.uint16)[None], history
    raise InputError(
        path, f"{image.mode} images (four components) are not read; save it as RGB", format=kind
    )


def _is_deep_colour(path: str) -> bool:
    """True for 16 bits per channel with several channels, which Pillow would cut to 8."""
    with open(path, "rb") as file:  # noqa: PTH123
        header = file.read(26)
    return len(header) == 26 and header[24] == 16 and header[25] in (2, 4, 6)


def _deep_colour(path: str) -> np.ndarray:
    from imagecodecs import png_decode

    with open(path, "rb") as file:  # noqa: PTH123
        pixels = np.asarray(png_decode(file.read()))
    if pixels.shape[2] in (2, 4):  # the last one is transparency
        pixels = pixels[..., :-1]
    return np.ascontiguousarray(np.moveaxis(pixels, 2, 0))
