"""DICOM images, clips and volumes in physical units, shown as the file says."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, SupportsFloat

import numpy as np

from medjepa.data.decode.dicom_codestreams import (
    JPEG_2000,
    JPEG_LS,
    LOSSLESS_JPEG,
    check_frames,
    check_not_cut,
)
from medjepa.data.decode.dicom_facts import facts_of
from medjepa.data.decode.dicom_frames import SCALING, frame_headers, place_frames, place_one
from medjepa.data.decode.dicom_header import Header, naming, read_header
from medjepa.data.decode.dicom_library import pydicom
from medjepa.data.decode.dicom_syntaxes import jpeg_ls_again, own_decoder
from medjepa.data.decode.limits import check_finite
from medjepa.data.intensity import robust_range
from medjepa.errors import InputError, InputWarning
from medjepa.types import MedicalImage

if TYPE_CHECKING:
    from pydicom import Dataset
else:  # pydicom is imported guarded, on first use
    Dataset = object


_JPEG_8_BIT = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")
_PILLOW = "pillow"
_RLE = "1.2.840.10008.1.2.5"
_IMPLICIT = "1.2.840.10008.1.2"


def decode(path: str, kind: str) -> MedicalImage:
    """Decode all frames: modality LUT or rescale, VOI, MONOCHROME1, padding (PS3.4 N.2).

    One frame is (C, Y, X); several are a clip (C, T, Y, X), a volume sorted along its normal, or
    volumes through time, as `place_frames` finds. The window becomes `display_range` and clips
    nothing; a VOI LUT of a radiograph, whose grey levels have no unit, is applied. MONOCHROME1 is
    turned so that more is brighter.
    """
    header = read_header(path)
    with naming(path, "the header is damaged"):
        stored, photometric = _stored_values(path, header)
    num_axes = 3 if header.samples > 1 else 2
    # Only a video may have other frames than the header says.
    header = replace(header, frames=len(stored) if stored.ndim > num_axes else 1)
    with naming(path, "the header is damaged"):
        headers = frame_headers(header)
        array, display, history = _shown(path, stored, photometric, header, headers)
        place = place_frames(header, headers) if header.frames > 1 else place_one(headers[0])
        facts = facts_of(header.dataset)
    check_finite(path, array, kind)
    if header.frames > 1:
        if place.order != tuple(range(header.frames)):
            array = array[:, list(place.order)]
        array = array.reshape(array.shape[0], *place.shape, *array.shape[2:])
    return MedicalImage(
        array=array,
        axes=place.axes,
        spacing=place.spacing,
        source=path,
        modality=header.modality,
        group=header.patient,
        display_range=display,
        history=tuple(history),
        directions=place.directions,
        position=place.position,
        times=place.times,
        facts=facts,
    )


def _shown(
    path: str, stored: np.ndarray, photometric: str, header: Header, headers: list[Header]
) -> tuple[np.ndarray, tuple[float, float] | None, list[str]]:
    """(C, Y, X) or (C, frames, Y, X) in physical units, display range, and what was done."""
    history: list[str] = []
    if header.photometric == "PALETTE COLOR":
        array, display = _palette(path, stored, header.dataset, history)
    elif header.samples > 1:
        if header.photometric != photometric:
            history.append(f"{header.photometric} read as RGB")
        array = np.moveaxis(stored, -1, 0)
        display = None if array.dtype == np.uint8 else (0.0, float(2**header.bits_stored - 1))
    else:
        array, display = _grey_frames(path, stored, headers, history)
    return array, display, history


def _grey_frames(
    path: str, stored: np.ndarray, headers: list[Header], history: list[str]
) -> tuple[np.ndarray, tuple[float, float] | None]:
    """All frames at once where they are scaled alike, else each by its own functional group."""
    scalings = {tuple(str(h.dataset.get(name)) for name in SCALING) for h in headers}
    if len(scalings) == 1:
        return _grey(path, stored, headers[0], history)
    frames, ranges = [], []
    for number, header in enumerate(headers):
        own: list[str] = []
        values, display = _grey(path, stored[number], header, own)
        frames.append(values)
        ranges.append(display)
    history.append("each frame rescaled by its own functional group")
    known = [r for r in ranges if r is not None]
    shown = (min(r[0] for r in known), max(r[1] for r in known)) if known else None
    return np.stack(frames, axis=1), shown if len(known) == len(ranges) else None


def _stored_values(path: str, header: Header) -> tuple[np.ndarray, str]:
    """(Y, X) or (Y, X, 3) as stored, several frames in front; and its photometric, YBR as RGB."""
    library = pydicom()
    dataset = header.dataset
    file_meta = getattr(dataset, "file_meta", None)
    syntax = str((file_meta.get("TransferSyntaxUID") if file_meta else None) or _IMPLICIT)
    uid = library.uid.UID(syntax)
    with naming(path, f"cannot decode the pixel data ({uid.name})"):
        check_frames(header, syntax)
    own = own_decoder(header, syntax)
    if own is not None:
        with naming(path, f"cannot decode the pixel data ({uid.name})"):
            return own(header), "RGB" if header.samples > 1 else header.photometric
    try:
        decoder = library.pixels.get_decoder(uid)
    except NotImplementedError:
        decoder = None
    if decoder is None or not decoder.is_available:
        raise InputError(
            path,
            f"cannot decode this image: transfer syntax {uid.name} is not read",
            format="DICOM",
        )
    if not uid.is_compressed:
        _check_native_length(path, header)
    if file_meta is None or "TransferSyntaxUID" not in file_meta:
        _give_syntax(dataset, syntax)
    plugin = _plugin(syntax, header)
    with naming(path, f"cannot decode the pixel data ({uid.name})"):
        index = 0 if header.frames == 1 else None
        try:
            array, properties = decoder.as_array(dataset, index=index, decoding_plugin=plugin)
        except RuntimeError:
            if syntax not in JPEG_LS or header.samples > 1:
                raise
            return jpeg_ls_again(header), header.photometric
        expected: tuple[int, ...] = (header.rows, header.columns)
        if header.frames > 1:
            expected = (header.frames, *expected)
        found = array.shape[: len(expected)]
        if found != expected:
            raise InputError(
                path, f"size mismatch: {found}, Rows, Columns and frames say {expected}",
                format="DICOM",
            )  # fmt: skip
    stored = np.asarray(array)
    if plugin == _PILLOW or syntax in LOSSLESS_JPEG:
        check_not_cut(header, syntax, stored)
    return stored, str(properties["photometric_interpretation"])


def _plugin(syntax: str, header: Header) -> str:
    """The decoder to ask for by name; on a damaged file no second one is tried.

    gdcm fills a truncated baseline JPEG with grey without a word, and ends the process on damaged
    JPEG 2000: it is left with lossless JPEG, which no other free decoder reads.
    """
    if syntax in JPEG_LS:
        return "pyjpegls"
    if syntax in JPEG_2000 or syntax == _RLE:
        return "pylibjpeg"
    return _PILLOW if syntax in _JPEG_8_BIT and header.bits_stored == 8 else ""


def _give_syntax(dataset: Dataset, syntax: str) -> None:
    library = pydicom()
    dataset.file_meta = getattr(dataset, "file_meta", None) or library.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = library.uid.UID(syntax)


def _check_native_length(path: str, header: Header) -> None:
    name = next(n for n in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
                if n in header.dataset)  # fmt: skip
    length = len(header.dataset[name].value or b"")
    pixels = header.frames * header.rows * header.columns
    bits = pixels * header.samples * header.bits_allocated
    if header.photometric == "YBR_FULL_422":
        bits = bits // 3 * 2  # two chrominance samples for two pixels
    if length < math.ceil(bits / 8):
        raise InputError(
            path,
            f"truncated: pixel data of length {length} is shorter than the expected {bits // 8}",
            format="DICOM",
        )
    if header.frames == 1 and length >= bits // 4:
        warnings.warn(
            f"{path}: the pixel data is {length / bits * 8:.3g} times as long as the one frame "
            "that the header announces, which is read",
            InputWarning,
            stacklevel=6,
        )


def _palette(
    path: str, stored: np.ndarray, dataset: Dataset, history: list[str]
) -> tuple[np.ndarray, tuple[float, float] | None]:
    with naming(path, "the palette cannot be applied"):
        colours = np.asarray(pydicom().pixels.apply_color_lut(stored, dataset))
    history.append("palette read as RGB")
    wide = colours.dtype != np.uint8
    return np.moveaxis(colours[..., :3], -1, 0), (0.0, 65535.0) if wide else None


def _grey(
    path: str, stored: np.ndarray, header: Header, history: list[str]
) -> tuple[np.ndarray, tuple[float, float] | None]:
    dataset = header.dataset
    padding = _padding(stored, dataset)
    values, limits = _rescaled(path, stored, header, history)
    display: tuple[float, float] | None
    if "VOILUTSequence" in dataset and header.modality in ("xray", "generic"):
        with naming(path, "the VOI LUT cannot be applied"):
            values = np.asarray(pydicom().pixels.apply_voi(values, dataset, index=0))
            bits = int(dataset.VOILUTSequence[0].LUTDescriptor[2])
        limits = display = (0.0, float(2**bits - 1))
        history.append("VOI LUT applied")
    else:
        display = _window(path, values, dataset)
    if header.photometric == "MONOCHROME1":
        # The sum of the limits is taken before subtracting in a type that holds both.
        turn = limits[0] + limits[1]
        values = _compact(
            turn - values.astype(np.float64 if values.dtype.kind == "f" else np.int64)
        )
        display = None if display is None else (turn - display[1], turn - display[0])
        history.append("MONOCHROME1 inverted")
    if padding is not None and padding.any() and not padding.all():
        measured = values[~padding]
        if header.photometric == "MONOCHROME1":
            values = np.where(padding, measured.min(), values)  # turned, it would be brightest
            history.append("pixel padding set to the least value")
        elif display is None:
            display = robust_range(measured)
            history.append("shown by percentiles without the pixel padding")
    return values[None], display


def _rescaled(
    path: str, stored: np.ndarray, header: Header, history: list[str]
) -> tuple[np.ndarray, tuple[float, float]]:
    """Values after the modality transform, and the least and greatest that could occur."""
    dataset = header.dataset
    bits = header.bits_stored
    limits = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if header.signed else (0, 2**bits - 1)
    if stored.dtype.kind == "f":
        limits = (float(np.min(stored)), float(np.max(stored)))
    if "ModalityLUTSequence" in dataset:
        with naming(path, "the modality LUT cannot be applied"):
            values = np.asarray(pydicom().pixels.apply_modality_lut(stored, dataset))
        history.append("modality LUT applied")
        return values, (float(values.min()), float(values.max()))
    scaling = "DoseGridScaling" if "DoseGridScaling" in dataset else "RescaleSlope"
    slope, intercept = (
        _number(path, dataset, scaling, 1.0),
        _number(path, dataset, "RescaleIntercept", 0.0),
    )
    if slope == 0:
        raise InputError(path, "RescaleSlope is 0: every pixel would be the same", format="DICOM")
    low, high = sorted((limits[0] * slope + intercept, limits[1] * slope + intercept))
    if slope == 1 and intercept == 0:
        return stored, (low, high)
    history.append(f"rescaled: slope {slope:g}, intercept {intercept:g}")
    if slope == 1 and intercept.is_integer() and stored.dtype.kind in "iu":
        return _compact(stored.astype(np.int64) + int(intercept)), (low, high)
    return (stored * np.float64(slope) + intercept).astype(np.float32), (low, high)


def _number(path: str, dataset: Dataset, name: str, default: float) -> float:
    value = dataset.get(name)
    if value is None or value == "":
        return default
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(path, f"{name} (slope and intercept) is no number", format="DICOM")
    return number


def _window(path: str, values: np.ndarray, dataset: Dataset) -> tuple[float, float] | None:
    """(low, high) of the first window (PS3.3 C.11.2.1.2); None if there is none that is usable."""
    center, width = (_first(dataset.get(name)) for name in ("WindowCenter", "WindowWidth"))
    if center is None or width is None:
        return None
    exact = str(dataset.get("VOILUTFunction", "") or "").upper() == "LINEAR_EXACT"
    low, high = (
        (center - width / 2, center + width / 2)
        if exact
        else (center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2)
    )
    if not (math.isfinite(low) and math.isfinite(high) and high > low):
        doubt = f"window of width {width:g} is not usable"
    elif high <= values.min() or low >= values.max():
        doubt = f"window {low:g}..{high:g} shows none of the values"
    else:
        return low, high
    warnings.warn(f"{path}: {doubt}, percentiles are used", InputWarning, stacklevel=6)
    return None


def _first(value: object) -> float | None:
    """The number, or the first of several; None for anything else."""
    if not isinstance(value, str) and isinstance(value, Sequence):
        value = value[0] if len(value) else None
    if not isinstance(value, str | SupportsFloat) or value == "":
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _padding(stored: np.ndarray, dataset: Dataset) -> np.ndarray | None:
    """True where PixelPaddingValue (to PixelPaddingRangeLimit) says that nothing was measured."""
    first = _first(dataset.get("PixelPaddingValue"))
    if first is None:
        return None
    last = _first(dataset.get("PixelPaddingRangeLimit"))
    low, high = sorted((first, first if last is None else last))
    return (stored >= low) & (stored <= high)


def _compact(values: np.ndarray) -> np.ndarray:
    """Whole numbers in the smallest of uint8, int16, uint16 and int32 that holds them."""
    if values.dtype.kind == "f":
        return values.astype(np.float32)
    low, high = int(values.min()), int(values.max())
    for dtype in (np.int16, np.uint16, np.int32):
        info = np.iinfo(dtype)
        if info.min <= low and high <= info.max:
            return values.astype(dtype)
    return values.astype(np.float32)
