"""PNG, JPEG, GIF, WebP and BMP, through Pillow; 16 bits stay 16 bits, several frames a clip."""

import struct
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from medjepa.data.decode.animation import clip_of, is_animated
from medjepa.data.decode.jpeg_scan import MAX_SCANS, ends_in_grey, has_too_many_scans, is_cut
from medjepa.data.decode.limits import check_budget
from medjepa.data.decode.png_chunks import check_chunks, check_palette, check_pixels
from medjepa.errors import InputError, InputWarning
from medjepa.types import MedicalImage

# What the decoders raise on damaged files (SyntaxError: a broken PNG chunk; imagecodecs' own
# errors are RuntimeErrors).
_DECODER_ERRORS = (
    OSError, ValueError, SyntaxError, TypeError, struct.error, EOFError, IndexError, KeyError,
    AttributeError, RuntimeError, OverflowError, ZeroDivisionError, MemoryError,
)  # fmt: skip
_ORIENTATION, _ON_ITS_SIDE = 0x0112, (5, 6, 7, 8)
_COLOUR_MODES = ("RGB", "P", "RGBA", "PA", "YCbCr", "RGBX")


def decode(path: str, kind: str) -> MedicalImage:
    """Decode one image to (1 or 3, Y, X), uint8 or uint16; EXIF orientation is applied.

    An animation is decoded to a clip (1 or 3, T, Y, X).
    """
    return _decode(path, kind, None)[0]


def decode_scaled(
    path: str, kind: str, at_least: tuple[int, int]
) -> tuple[MedicalImage, tuple[int, int]]:
    """Decode as `decode`, and tell the whole (Y, X); a JPEG comes smaller where that is enough.

    A JPEG is scaled while it is decoded, by 1/2, 1/4 or 1/8, never below `at_least` (Y, X): blocks
    of its cosine transform are averaged, which costs a fraction of decoding them.
    """
    return _decode(path, kind, at_least)


def _decode(
    path: str, kind: str, at_least: tuple[int, int] | None
) -> tuple[MedicalImage, tuple[int, int]]:
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
                    return clip_of(path, kind, image), (image.height, image.width)
                turned = image.getexif().get(_ORIENTATION, 1)
                size = (image.height, image.width)
                if at_least is not None:
                    # Where the image lies on its side, so does what is asked for.
                    image.draft(image.mode, at_least if turned in _ON_ITS_SIDE else at_least[::-1])
                array, history = _pixels(path, kind, image)
                if image.size != size[::-1]:
                    history.append(f"decoded at {image.height / size[0]:.3g} of its size")
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise InputError(path, f"too large: over the limit of pixels ({error})", format=kind) from (
            error
        )
    except InputError:
        raise
    except UnidentifiedImageError as error:
        what = "no frames, or damaged" if kind == "GIF" else "the header is damaged"
        raise InputError(path, f"not a readable {kind} image: {what}", format=kind) from error
    except _DECODER_ERRORS as error:
        reason = str(error) or "a length in it is larger than the memory"
        raise InputError(path, f"truncated or damaged: {reason}", format=kind) from error
    if max(array.shape[1:]) < 2:
        warnings.warn(
            f"{path}: very small, the size is {array.shape[2]} x {array.shape[1]} pixels",
            InputWarning,
            stacklevel=4,
        )
    image_read = MedicalImage(
        array=array, axes="yx", spacing=(None, None), source=path, history=tuple(history)
    )
    return image_read, size[::-1] if turned in _ON_ITS_SIDE else size


def _pixels(path: str, kind: str, image: Image.Image) -> tuple[np.ndarray, list[str]]:
    history = []
    if kind == "PNG" and _is_deep_colour(path):
        return _deep_colour(path), ["16-bit colour"]
    if kind == "JPEG" and has_too_many_scans(Path(path).read_bytes()):
        raise InputError(path, f"too large: over {MAX_SCANS} scans of one image", format=kind)
    image.load()
    if kind == "PNG":
        check_palette(path, kind, image)
        check_pixels(path, kind, np.asarray(image))
    if kind == "JPEG" and ends_in_grey(np.asarray(image)) and is_cut(Path(path).read_bytes()):
        raise InputError(path, "truncated: the coded data ends before the image does", format=kind)
    if image.getexif().get(_ORIENTATION, 1) != 1:
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
