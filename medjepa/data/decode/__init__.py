"""One door for every format: `read(path)` looks at the content and returns a `MedicalImage`."""

import os
from collections.abc import Callable
from importlib import import_module

from medjepa.data.decode.limits import warn_if_blank
from medjepa.data.decode.sniff import sniff
from medjepa.errors import InputError
from medjepa.types import MedicalImage

_READERS = {
    "PNG": "raster",
    "JPEG": "raster",
    "GIF": "raster",
    "WebP": "raster",
    "BMP": "raster",
    "TIFF": "tiff",
    "DICOM": "dicom",
    "NIfTI": "nifti",
    "NPY": "npy",
    "video": "video",
}

_MASKS = ("NIfTI", "NPY")  # segmentations, which are often empty

READABLE = frozenset(_READERS)
"""Names of the formats that `read` takes, as `sniff` gives them."""


def read(path: str | os.PathLike[str], *, page: int | None = None) -> MedicalImage:
    """Read one image file, whatever its name ends in.

    PNG, JPEG, GIF, WebP, BMP, TIFF, DICOM, NIfTI, .npy, and video with the extra of that name.
    Returns (C, *spatial) in stored units, the spatial axes named by `axes`: y, x of an image,
    z, y, x of a volume, t, y, x of a clip. A folder is read as one DICOM series; `page` chooses
    one page of a TIFF. The whole file is checked before memory is taken: a header that asks for
    more than the limit is refused.

    Raises:
        InputError: the file is not an image that is read here, is damaged, or does not add up; the
            text begins with the path as it was given.
    """
    name = os.fspath(path)
    if os.path.isdir(name):  # noqa: PTH112 - the path must stay as it was given
        from medjepa.data.decode.series import read_series

        return read_series(name)
    kind = sniff(name)
    module = _READERS.get(kind)
    if module is None:
        raise InputError(name, "this format is not read", format=kind)
    decode: Callable[..., MedicalImage] = import_module(f"medjepa.data.decode.{module}").decode
    if page is not None and kind != "TIFF":
        raise InputError(name, "page= chooses one of a TIFF; this is none", format=kind)
    try:
        image = decode(name, kind) if page is None else decode(name, kind, page)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            name, f"cannot be read, or was changed meanwhile: {reason}", format=kind
        ) from error
    if kind not in _MASKS:
        warn_if_blank(name, image.array)
    return image


def read_at_least(
    path: str | os.PathLike[str], size: tuple[int, int]
) -> tuple[MedicalImage, tuple[int, int]]:
    """Read as `read` does, and tell the whole (Y, X); a large JPEG may come smaller than that.

    It is scaled while it is decoded, never below `size` (Y, X), for callers that resize anyway.

    Raises:
        InputError: as `read`.
    """
    name = os.fspath(path)
    if os.path.isdir(name) or sniff(name) != "JPEG":  # noqa: PTH112
        image = read(name)
        return image, (image.array.shape[-2], image.array.shape[-1])
    from medjepa.data.decode.raster import decode_scaled

    image, whole = decode_scaled(name, "JPEG", size)
    warn_if_blank(name, image.array)
    return image, whole


__all__ = ["READABLE", "read", "read_at_least"]
