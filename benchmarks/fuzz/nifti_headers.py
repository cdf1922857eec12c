"""A strategy for NIfTI files that are whole, with up to two fields that say something else."""

import gzip
import struct
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

_DTYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4",
           1024: "i8", 1280: "u8"}  # fmt: skip
# Offset and format of the fields of a NIfTI-1 header (nifti1.h).
_FIELDS = (
    (0, "i"), (40, "h"), (42, "h"), (44, "h"), (46, "h"), (48, "h"), (50, "h"), (54, "h"),
    (70, "h"), (72, "h"), (76, "f"), (80, "f"), (84, "f"), (88, "f"), (92, "f"), (108, "f"),
    (112, "f"), (116, "f"), (123, "B"), (124, "f"), (128, "f"), (252, "h"), (254, "h"),
    (256, "f"), (260, "f"), (264, "f"), (268, "f"), (280, "f"), (284, "f"), (300, "f"),
    (320, "f"), (344, "i"),
)  # fmt: skip
_EXTREMES = {
    "h": [0, -1, 1, 2, 7, 8, 32767, -32768, 128, 16, 2560],
    "i": [0, -1, 348, 540, 2**31 - 1, -(2**31)],
    "B": [0, 2, 10, 255],
    "f": [0.0, -0.0, 1.0, -1.0, 1e-30, 1e30, 3e38, float("nan"), float("inf"), 352.0, 352.5],
}
_floats = st.floats(-100, 100, width=32)


@dataclass(frozen=True)
class DrawnNifti:
    """A file, and what its image must be if it is read.

    Attributes:
        name: with or without .gz.
        content: of the file.
        shape: (x, y, z, t) of the values.
        num_odd: fields that were overwritten.
    """

    name: str
    content: bytes
    shape: tuple[int, int, int, int]
    num_odd: int


@st.composite
def structured_nifti(draw: st.DrawFn) -> DrawnNifti:
    """Draw values, their place in space, and up to two fields of anything."""
    num_axes = draw(st.sampled_from([2, 3, 3, 4]))
    shape = [draw(st.integers(1, 9)) for _ in range(num_axes)]
    code = draw(st.sampled_from(sorted(_DTYPES)))
    order = draw(st.sampled_from("<<<>"))
    dtype = np.dtype(order + _DTYPES[code])
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    values = rng.integers(0, 100, shape).astype(dtype)
    header = bytearray(348)
    struct.pack_into(order + "i", header, 0, 348)
    struct.pack_into(order + "8h", header, 40, num_axes, *[*shape, *[1] * 7][:7])
    struct.pack_into(order + "hh", header, 70, code, dtype.itemsize * 8)
    zooms = [draw(st.sampled_from([0.5, 1.0, 2.5])) for _ in range(4)]
    struct.pack_into(order + "8f", header, 76, draw(st.sampled_from([1.0, -1.0])), *zooms, *[0] * 3)
    struct.pack_into(order + "f", header, 108, 352.0)
    slope = draw(st.sampled_from([0.0, 1.0, 1.0, 2.0, -0.5]))
    struct.pack_into(order + "ff", header, 112, slope, draw(_floats) if slope else 0.0)
    header[123] = draw(st.sampled_from([0, 2, 10, 18, 3]))
    struct.pack_into(
        order + "hh", header, 252, draw(st.sampled_from([0, 1, 2])), draw(st.sampled_from([0, 1]))
    )
    struct.pack_into(order + "3f", header, 256, *[draw(st.floats(-0.5, 0.5)) for _ in range(3)])
    struct.pack_into(order + "3f", header, 268, *[draw(_floats) for _ in range(3)])
    axes = draw(st.permutations(range(3)))
    for row in range(3):
        sign = draw(st.sampled_from([1.0, -1.0]))
        numbers = [sign * zooms[axis] * (axes[row] == axis) for axis in range(3)]
        struct.pack_into(order + "4f", header, 280 + 16 * row, *numbers, draw(_floats))
    header[344:348] = b"n+1\0"
    num_odd = draw(st.sampled_from([0, 0, 1, 2]))
    for _ in range(num_odd):
        at, kind = draw(st.sampled_from(_FIELDS))
        struct.pack_into(order + kind, header, at, draw(st.sampled_from(_EXTREMES[kind])))
    content = bytes(header) + b"\0" * 4 + values.tobytes(order="F")
    whole = (*shape, *[1] * 4)[:4]
    name = "a.nii"
    if draw(st.booleans()):
        name, content = "a.nii.gz", gzip.compress(content, 1, mtime=0)
    return DrawnNifti(name, content, (whole[0], whole[1], whole[2], whole[3]), num_odd)
