"""A strategy for DICOM images that are whole, in every way that the standard offers, or nearly so.

Unlike blind damage these get past the parser: sizes, bits, tables, functional groups and encodings
fit each other, until a few elements are replaced by values of another type or number.
"""

import io
import math
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import reject
from hypothesis import strategies as st

from medjepa.data.decode.dicom_library import errors, pydicom

IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED = (
    "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99",
)  # fmt: skip
_RLE, _JPEG_LS, _JPEG_2000, _JPEG = (
    "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.50",
)  # fmt: skip
_NATIVE = (EXPLICIT, EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED)
# Asked for once: what checks its type in tests draws from `random`, which no strategy may do.
_REFUSED = errors()
_SAMPLES = {"MONOCHROME1": 1, "MONOCHROME2": 1, "PALETTE COLOR": 1, "RGB": 3, "YBR_FULL": 3}
_ODD_TAGS = (
    "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "SamplesPerPixel",
    "PhotometricInterpretation", "NumberOfFrames", "PixelRepresentation", "PlanarConfiguration",
    "RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth", "VOILUTFunction",
    "VOILUTSequence", "ModalityLUTSequence", "PixelSpacing", "ImageOrientationPatient",
    "ImagePositionPatient", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
    "FrameTime", "FrameTimeVector", "GridFrameOffsetVector", "PixelPaddingValue", "ImageType",
    "RedPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableData", "Modality",
    "PatientID", "SpecificCharacterSet", "FrameIncrementPointer", "SOPClassUID", "PixelData",
    "SequenceOfUltrasoundRegions", "PixelAspectRatio", "LossyImageCompression", "CineRate",
    "DoseGridScaling", "PixelPaddingRangeLimit", "PatientIdentityRemoved",
)  # fmt: skip
_numbers = st.one_of(
    st.floats(-3000, 3000, width=32),
    st.sampled_from([0.0, 1.0, -1.0, 1e-12, 1e30, -1e308, math.inf, math.nan]),
)
_decimals = _numbers.map(lambda x: f"{x:.8g}")


@dataclass(frozen=True)
class DrawnDicom:
    """A file, and what its image must be if it is read.

    Attributes:
        content: of the file.
        shape: (frames, Y, X, samples) of the pixels.
        num_odd: elements that are of another type or number than they should be.
    """

    content: bytes
    shape: tuple[int, int, int, int]
    num_odd: int


@st.composite
def structured_dicom(draw: st.DrawFn) -> DrawnDicom:
    """Draw pixels, what describes them, how they are encoded, and up to two odd elements."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library doubts what it is given to write, rightly
        return _drawn(draw)


def _drawn(draw: st.DrawFn) -> DrawnDicom:
    photometric = draw(st.sampled_from(sorted(_SAMPLES)))
    samples, frames = _SAMPLES[photometric], draw(st.sampled_from([1, 1, 1, 2, 5]))
    rows, columns = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    allocated = draw(st.sampled_from([8, 16] if samples == 1 else [8]))
    stored = draw(st.integers(1 if photometric != "PALETTE COLOR" else 4, allocated))
    signed = draw(st.integers(0, 1)) if samples == 1 and photometric[0] == "M" else 0
    low, high = (-(2 ** (stored - 1)), 2 ** (stored - 1)) if signed else (0, 2**stored)
    dtype = np.dtype(f"{'i' if signed else 'u'}{allocated // 8}")
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    shape = (frames, rows, columns, samples)
    pixels = rng.integers(low, high, shape).astype(dtype)
    dataset = pydicom().Dataset()
    dataset.update(
        {
            "SOPClassUID": draw(st.sampled_from(["1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1."
                                "4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.3.1"])),
            "SOPInstanceUID": "1.2.3", "PatientIdentityRemoved": "YES",
            "Modality": draw(st.sampled_from(["CT", "MR", "US", "CR", "RTDOSE", "PT", ""])),
            "Rows": rows, "Columns": columns, "SamplesPerPixel": samples,
            "PhotometricInterpretation": photometric, "BitsAllocated": allocated,
            "BitsStored": stored, "HighBit": stored - 1, "PixelRepresentation": signed,
        }
    )  # fmt: skip
    if samples == 3:
        dataset.PlanarConfiguration = draw(st.integers(0, 1))
    if photometric == "PALETTE COLOR":
        _palette(dataset, 2**stored, draw(st.sampled_from([8, 16])))
    if frames > 1 or draw(st.booleans()):
        dataset.NumberOfFrames = frames
    for part in draw(st.lists(st.sampled_from(_PARTS), max_size=4, unique=True)):
        part(draw, dataset, frames)
    syntax = draw(st.sampled_from(_NATIVE))
    compressed = draw(st.sampled_from(["", "", "", _RLE, _JPEG_LS, _JPEG_2000, _JPEG]))
    if compressed and stored == allocated and not signed and photometric != "YBR_FULL":
        encoded = _compressed(compressed, pixels)
        if encoded is not None:
            syntax = compressed
            dataset.PlanarConfiguration = 0
            dataset.PixelData = encoded
            dataset["PixelData"].VR = "OB"
    if "PixelData" not in dataset:
        dataset.PixelData = _native(pixels, dataset, big=syntax == BIG_ENDIAN)
        dataset["PixelData"].VR = "OB" if allocated == 8 else "OW"
    num_odd = draw(st.sampled_from([0, 0, 1, 2]))
    for name in draw(st.lists(st.sampled_from(_ODD_TAGS), min_size=num_odd, max_size=num_odd)):
        _spoil(draw, dataset, name)
    return DrawnDicom(_written(dataset, syntax), shape, num_odd)


def _native(pixels: np.ndarray, dataset: Any, *, big: bool) -> bytes:  # noqa: ANN401
    if pixels.shape[-1] == 3 and dataset.PlanarConfiguration == 1:
        pixels = np.moveaxis(pixels, -1, 1)
    content = pixels.astype(pixels.dtype.newbyteorder(">" if big else "<")).tobytes()
    return content + b"\0" * (len(content) % 2)


def _compressed(syntax: str, pixels: np.ndarray) -> bytes | None:
    import imagecodecs

    encoders: dict[str, Callable[[np.ndarray], bytes]] = {
        _RLE: _run_lengths,
        _JPEG_LS: imagecodecs.jpegls_encode,
        _JPEG_2000: lambda frame: imagecodecs.jpeg2k_encode(
            frame, codecformat="j2k", level=0, reversible=True, mct=False, resolutions=1
        ),
        _JPEG: lambda frame: imagecodecs.jpeg8_encode(frame, level=90),
    }
    if pixels.itemsize > 1 and syntax == _JPEG:
        return None
    frames = [np.ascontiguousarray(frame.squeeze(-1) if frame.shape[-1] == 1 else frame)
              for frame in pixels]  # fmt: skip
    try:
        encoded = [encoders[syntax](frame) for frame in frames]
    except (RuntimeError, ValueError):  # some take no image of one row
        return None
    content: bytes = pydicom().encaps.encapsulate(encoded, has_bot=False)
    return content


def _run_lengths(frame: np.ndarray) -> bytes:
    """PS3.5 annex G: one segment for each byte of a sample, the most significant first."""
    planes = frame.reshape(*frame.shape[:2], -1)
    segments = []
    for sample in range(planes.shape[2]):
        octets = planes[..., sample].astype(frame.dtype.newbyteorder(">"))
        split = np.ascontiguousarray(octets).view(np.uint8).reshape(-1, frame.itemsize)
        for octet in range(frame.itemsize):
            plain = split[:, octet].tobytes()
            pieces = [plain[i : i + 128] for i in range(0, len(plain), 128)]
            segment = b"".join(bytes([len(piece) - 1]) + piece for piece in pieces)
            segments.append(segment + b"\0" * (len(segment) % 2))
    starts = np.cumsum([64, *(len(segment) for segment in segments)])[:-1]
    header = np.zeros(16, "<u4")
    header[0], header[1 : 1 + len(segments)] = len(segments), starts
    return header.tobytes() + b"".join(segments)


def _palette(dataset: Any, length: int, bits: int) -> None:  # noqa: ANN401
    table = np.linspace(0, 2**bits - 1, length).astype(f"<u{bits // 8}").tobytes()
    for colour in ("Red", "Green", "Blue"):
        setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [length % 65536, 0, bits])
        setattr(dataset, f"{colour}PaletteColorLookupTableData", table + b"\0" * (len(table) % 2))


def _rescale(draw: st.DrawFn, dataset: Any, frames: int) -> None:  # noqa: ANN401
    dataset.RescaleSlope, dataset.RescaleIntercept = draw(_decimals), draw(_decimals)


def _windows(draw: st.DrawFn, dataset: Any, frames: int) -> None:  # noqa: ANN401
    count = draw(st.integers(1, 3))
    dataset.WindowCenter = draw(st.lists(_decimals, min_size=count, max_size=count))
    dataset.WindowWidth = draw(st.lists(_decimals, min_size=1, max_size=count))
    if draw(st.booleans()):
        dataset.VOILUTFunction = draw(st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID", "?"]))


def _lut(draw: st.DrawFn, dataset: Any, frames: int) -> None:  # noqa: ANN401
    item = pydicom().Dataset()
    length, bits = draw(st.sampled_from([1, 2, 256, 4096])), draw(st.sampled_from([8, 12, 16]))
    item.add_new("LUTDescriptor", "US", [length, draw(st.sampled_from([0, 0, 7, 65535])), bits])
    table = np.linspace(0, 2**bits - 1, length).astype("<u2").tobytes()
    item.add_new("LUTData", "OW", table[: draw(st.sampled_from([len(table)] * 3 + [2]))])
    name = draw(st.sampled_from(["VOILUTSequence", "ModalityLUTSequence"]))
    setattr(dataset, name, [item] * draw(st.integers(1, 2)))


def _geometry(draw: st.DrawFn, dataset: Any, frames: int) -> None:  # noqa: ANN401
    dataset.PixelSpacing = draw(st.sampled_from([["0.5", "0.7"], ["1", "1"], ["0", "1"]]))
    dataset.ImageOrientationPatient = draw(
        st.sampled_from([["1", "0", "0", "0", "1", "0"], ["1", "0", "0", "0", "0", "-1"]])
    )
    dataset.ImagePositionPatient = [draw(_decimals) for _ in range(3)]
    if draw(st.booleans()):
        step = draw(st.sampled_from([0.0, 2.5, -1.0]))
        dataset.GridFrameOffsetVector = [f"{step * number:g}" for number in range(frames)]


def _times(draw: st.DrawFn, dataset: Any, frames: int) -> None:  # noqa: ANN401
    count = draw(st.sampled_from([frames, frames, 1, 3]))
    dataset.FrameTimeVector = draw(st.lists(_decimals, min_size=count, max_size=count))
    dataset.FrameTime = draw(_decimals)


def _groups(draw: st.DrawFn, dataset: Any, frames: int) -> None:  # noqa: ANN401
    """Shared and per-frame functional groups, of as many frames as there are or not."""
    library = pydicom()

    def macro(name: str, **values: Any) -> Any:  # noqa: ANN401
        item, inner = library.Dataset(), library.Dataset()
        inner.update(values)
        setattr(item, name, [inner])
        return item

    shared = macro("PixelMeasuresSequence", PixelSpacing=["0.5", "0.5"], SliceThickness="2")
    shared.update(
        macro("PlaneOrientationSequence", ImageOrientationPatient=["1", "0", "0", "0", "1", "0"])
    )
    dataset.SharedFunctionalGroupsSequence = [shared]
    step, varied = draw(st.sampled_from([0, 2, 2, 2.5])), draw(st.booleans())
    items = []
    for number in range(draw(st.sampled_from([frames, frames, frames, frames + 1, 0]))):
        item = macro("PlanePositionSequence", ImagePositionPatient=["0", "0", f"{number * step}"])
        slope = draw(_decimals) if varied else "2"
        item.update(
            macro(
                "PixelValueTransformationSequence",
                RescaleSlope=slope, RescaleIntercept="-5", RescaleType="HU",
            )
        )  # fmt: skip
        items.append(item)
    dataset.PerFrameFunctionalGroupsSequence = items


def _padding(draw: st.DrawFn, dataset: Any, frames: int) -> None:  # noqa: ANN401
    vr = "SS" if dataset.PixelRepresentation else "US"
    dataset.add_new("PixelPaddingValue", vr, draw(st.integers(0, 255)))


_PARTS = (_rescale, _windows, _lut, _geometry, _times, _groups, _padding)


def _spoil(draw: st.DrawFn, dataset: Any, name: str) -> None:  # noqa: ANN401
    """Replace an element by one of any VR and any number of values, or leave it out."""
    vr, value = draw(
        st.one_of(
            st.tuples(st.just("US"), st.lists(st.integers(0, 65535), max_size=4)),
            st.tuples(st.just("SS"), st.integers(-32768, 32767)),
            st.tuples(st.just("UL"), st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=2)),
            st.tuples(st.just("FD"), st.lists(_numbers, max_size=7)),
            st.tuples(st.just("UN"), st.binary(max_size=40)),
            st.tuples(st.sampled_from(["LO", "CS", "LT"]), st.text(max_size=12)),
            st.tuples(st.just("LO"), st.lists(_decimals, max_size=7).map("\\".join)),
            st.tuples(st.just("SQ"), st.integers(0, 2)),
            st.tuples(st.just(""), st.none()),
        )
    )
    if vr == "":
        if name in dataset:
            del dataset[name]
    elif vr == "SQ":
        dataset.add_new(name, "SQ", [pydicom().Dataset() for _ in range(value)])
    else:
        try:
            dataset.add_new(name, vr, value)
        except _REFUSED:
            reject()  # not even the library that writes it can hold it


def _written(dataset: Any, syntax: str) -> bytes:  # noqa: ANN401
    """Part 10, whatever the elements hold; PixelData is written as it is."""
    library = pydicom()
    meta = library.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = library.uid.UID(syntax)
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840", "1.2.3"
    head, body = library.filebase.DicomBytesIO(), library.filebase.DicomBytesIO()
    library.filewriter.write_file_meta_info(head, meta, enforce_standard=True)
    body.is_implicit_VR, body.is_little_endian = syntax == IMPLICIT, syntax != BIG_ENDIAN
    try:
        library.filewriter.write_dataset(body, dataset)
    except _REFUSED:
        reject()
    content = body.getvalue()
    if syntax == DEFLATED:
        compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        content = compressor.compress(content) + compressor.flush()
    buffer = io.BytesIO()
    buffer.write(b"\0" * 128 + b"DICM" + head.getvalue() + content)
    return buffer.getvalue()
