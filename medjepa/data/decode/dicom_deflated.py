"""Deflated DICOM files, inflated with a limit: pydicom itself would take whatever comes."""

import io
import zlib
from typing import TYPE_CHECKING, BinaryIO

from medjepa.data.decode.dicom_library import pydicom
from medjepa.errors import InputError

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
else:  # pydicom is imported guarded, on first use
    Dataset = FileMetaDataset = object

DEFLATED = "1.2.840.10008.1.2.1.99"
_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_MAX_RATIO, _MAX_FREE_INFLATE, _MAX_INFLATED = 100, 16 << 20, 1 << 30


def read_deflated(
    path: str, file: BinaryIO, *, header_only: bool, tags: list[str] | None
) -> Dataset | None:
    """Parse a deflated file; None if it is not one, then the file's position is undefined.

    The elements are parsed from what was inflated here. To measure first and let the library
    inflate again would need both to agree where the stream begins, which a hostile file decides.

    Raises:
        InputError: it inflates over the limit, or its stream has no end.
    """
    library = pydicom()
    preamble = library.filereader.read_preamble(file, force=True)
    meta = _file_meta(file)
    if str(meta.get("TransferSyntaxUID", "")) != DEFLATED:
        return None
    content = io.BytesIO(_inflated(path, file.read()))

    def is_pixels(tag: int, vr: str | None, length: int) -> bool:
        return tag in _PIXELS

    elements = library.filereader.read_dataset(
        content,
        is_implicit_VR=False,
        is_little_endian=True,
        stop_when=is_pixels if header_only else None,
        specific_tags=None if tags is None else [library.tag.Tag(name) for name in tags],
    )
    dataset: Dataset = library.dataset.FileDataset(
        path, elements, preamble, meta, is_implicit_VR=False, is_little_endian=True
    )
    return dataset


def _file_meta(file: BinaryIO) -> FileMetaDataset:
    """The elements of group 2; some writers make them implicit against the standard."""
    library = pydicom()

    def is_behind(tag: int, vr: str | None, length: int) -> bool:
        return tag >> 16 != 2

    start = file.tell()
    for implicit in (False, True):
        file.seek(start)
        meta: FileMetaDataset = library.dataset.FileMetaDataset(
            library.filereader.read_dataset(
                file, is_implicit_VR=implicit, is_little_endian=True, stop_when=is_behind
            )
        )
        try:
            for tag in list(meta.keys())[:1]:
                meta[tag]
        except NotImplementedError:
            continue
        break
    return meta


def _inflated(path: str, packed: bytes) -> bytes:
    """PS3.5 section A.5: a raw deflate stream, perhaps with a padding byte behind it."""
    limit = min(max(_MAX_FREE_INFLATE, len(packed) * _MAX_RATIO), _MAX_INFLATED)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    content = inflater.decompress(packed, limit)
    if inflater.eof:
        return content
    if inflater.unconsumed_tail or len(content) >= limit:
        raise InputError(
            path,
            f"too large: it inflates over the limit (ratio {_MAX_RATIO}, {limit >> 20} MiB)",
            format="DICOM",
        )
    raise InputError(path, "truncated: the deflated stream has no end", format="DICOM")
