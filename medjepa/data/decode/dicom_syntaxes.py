"""Transfer syntaxes that pydicom's permissively licensed decoders leave out."""

import re
import struct
import warnings
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from medjepa.data.decode.dicom_library import pydicom
from medjepa.errors import InputError, InputWarning

if TYPE_CHECKING:
    from medjepa.data.decode.dicom_header import Header

_JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
# Main and high profiles of MPEG-2, MPEG-4 AVC/H.264 and HEVC/H.265, and their fragmentable forms.
_VIDEO = re.compile(r"1\.2\.840\.10008\.1\.2\.4\.10[0-8](\.1)?")
_RLE = "1.2.840.10008.1.2.5"
_DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"


def own_decoder(header: "Header", syntax: str) -> Callable[["Header"], np.ndarray] | None:
    """A function from a header to stored values (frames, Y, X), one frame (Y, X); None if not ours.

    JPEG Extended with 12 bits, grey: the only other free decoder is under the GPL. Of a video the
    stored values are RGB, and as many frames as it really has.
    """
    if _VIDEO.fullmatch(syntax):
        return _video
    if syntax == _JPEG_EXTENDED and header.bits_stored > 8 and header.samples == 1:
        return _jpeg_extended
    if syntax == _DEFLATED_FRAMES and header.samples == 1:
        return _deflated_frames
    if syntax == _RLE and header.bits_allocated == 1:
        return _rle_bits
    return None


def jpeg_ls_again(header: "Header") -> np.ndarray:
    """Grey JPEG-LS through a second build of the same library, which reads what the first may not.

    Raises:
        InputError: the frames do not fit the header.
        RuntimeError: it cannot decode it either.
    """
    import imagecodecs

    stored = _stacked(header, lambda frame: np.asarray(imagecodecs.jpegls_decode(frame)))
    return stored.view(f"i{stored.dtype.itemsize}") if header.signed else stored


def _rle_bits(header: "Header") -> np.ndarray:
    """PS3.5 annex G with one bit per pixel: a single segment of packed bits."""
    import imagecodecs

    num_values = header.rows * header.columns
    num_bytes = -(-num_values // 8)

    def unpack(frame: bytes) -> np.ndarray:
        num_segments, begin = struct.unpack("<2I", frame[:8])
        content = imagecodecs.packbits_decode(frame[begin:], out=num_bytes + 1)
        if num_segments != 1 or len(content) < num_bytes:
            raise InputError(
                header.path, f"an RLE frame of {num_segments} segments holds {len(content)} of "
                f"{num_bytes} bytes: truncated", format="DICOM",
            )  # fmt: skip
        bits = np.unpackbits(np.frombuffer(content, np.uint8), bitorder="little")
        return bits[:num_values].reshape(header.rows, header.columns)

    return _stacked(header, unpack)


def _video(header: "Header") -> np.ndarray:
    """All fragments are one stream of MPEG-2, H.264 or HEVC, bare or in a container; PS3.5 8.2."""
    from medjepa.data.decode.video import collect

    parts = pydicom().encaps.generate_frames(header.dataset.PixelData, number_of_frames=1)
    collector, _, _ = collect(header.path, "DICOM", b"".join(parts))
    array = np.moveaxis(collector.stacked(), 0, -1)
    if array.shape[1:3] != (header.rows, header.columns):
        raise InputError(
            header.path,
            f"size mismatch: the video is {array.shape[1]} x {array.shape[2]}, the header says "
            f"{header.rows} x {header.columns}",
            format="DICOM",
        )
    if len(array) != header.frames:
        warnings.warn(
            f"{header.path}: NumberOfFrames is {header.frames}, the video has {len(array)} frames",
            InputWarning,
            stacklevel=6,
        )
    array = np.repeat(array, header.samples // array.shape[-1] or 1, axis=-1)
    array = array[..., 0] if header.samples == 1 else array
    return array if len(array) > 1 else array[0]


def _jpeg_extended(header: "Header") -> np.ndarray:
    import imagecodecs

    # It raises a class of its own, which has ValueError or RuntimeError as its base.
    return _stacked(header, lambda frame: np.asarray(imagecodecs.jpeg8_decode(frame)))


def _deflated_frames(header: "Header") -> np.ndarray:
    """PS3.5 section 8.2.16: every frame is a raw deflate stream of its native bytes."""
    num_values = header.rows * header.columns
    num_bytes = -(-num_values * header.bits_allocated // 8)

    def inflate(frame: bytes) -> np.ndarray:
        content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(frame, num_bytes)
        if len(content) < num_bytes:
            raise InputError(
                header.path, f"truncated: a frame holds {len(content)} of {num_bytes} bytes",
                format="DICOM",
            )  # fmt: skip
        if header.bits_allocated == 1:
            bits = np.unpackbits(np.frombuffer(content, np.uint8), bitorder="little")
            return bits[:num_values].reshape(header.rows, header.columns)
        kind = f"<{'i' if header.signed else 'u'}{header.bits_allocated // 8}"
        return np.frombuffer(content, kind).reshape(header.rows, header.columns)

    return _stacked(header, inflate)


def _stacked(header: "Header", decode: Callable[[bytes], np.ndarray]) -> np.ndarray:
    frames = pydicom().encaps.generate_frames(
        header.dataset.PixelData, number_of_frames=header.frames
    )
    decoded = [decode(frame) for frame in frames]
    expected = (header.rows, header.columns)
    if len(decoded) != header.frames or any(frame.shape != expected for frame in decoded):
        found = {frame.shape for frame in decoded}
        raise InputError(
            header.path,
            f"size mismatch: {len(decoded)} frames of {found}, the header says {header.frames} of "
            f"{expected}",
            format="DICOM",
        )
    return np.stack(decoded) if header.frames > 1 else decoded[0]
