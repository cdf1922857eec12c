"""One door for every format: `read(path)` looks at the content and returns a `MedicalImage`."""

import os
from collections.abc import Callable
from importlib import import_module

from medjepa.data.decode.sniff import sniff
from medjepa.errors import InputError
from medjepa.types import MedicalImage

_READERS = {
    "PNG": "raster",
    "JPEG": "raster",
    "TIFF": "tiff",
    "DICOM": "dicom",
    "NIfTI": "nifti",
    "NPY": "npy",
}

READABLE = frozenset(_READERS)
"""Names of the formats that `read` takes, as `sniff` gives them."""


def read(path: str | os.PathLike[str], *, page: int | None = None) -> MedicalImage:
    """Read one image file, whatever its name ends in: PNG, JPEG, TIFF, DICOM, NIfTI or .npy.

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
    if page is None:
        return decode(name, kind)
    if kind != "TIFF":
        raise InputError(name, "page= chooses one of a TIFF; this is none", format=kind)
    return decode(name, kind, page)


__all__ = ["READABLE", "read"]
