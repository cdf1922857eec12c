"""Hypothesis strategies for files whose headers are well formed and say anything."""

import struct
import zlib

from hypothesis import strategies as st

from fuzz.damage import LENGTHS
from fuzz.dicom_headers import structured_dicom
from fuzz.nifti_headers import structured_nifti

Files = st.SearchStrategy[tuple[str, bytes]]
_small = st.integers(1, 40)
_any_size = st.one_of(_small, st.sampled_from(LENGTHS))
_bytes = st.binary(max_size=600)
_doubles = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, -1.0, 1.0, 1e-30, 1e30, float("nan"), float("inf")]),
)


def files() -> Files:
    """(name, content) of a file of any of the formats."""
    return st.one_of(
        structured_dicom().map(lambda drawn: ("s.dcm", drawn.content)),
        structured_nifti().map(lambda drawn: (drawn.name, drawn.content)),
        dicom(),
        nifti(),
        png(),
        tiff(),
        avi(),
        npy(),
        gif(),
    )


# DICOM: explicit VR little endian, each element's VR, value and length of its own.
_IMAGE_TAGS = {
    0x00280002: "US", 0x00280004: "CS", 0x00280006: "US", 0x00280008: "IS", 0x00280010: "US",
    0x00280011: "US", 0x00280030: "DS", 0x00280100: "US", 0x00280101: "US", 0x00280102: "US",
    0x00280103: "US", 0x00280120: "US", 0x00281050: "DS", 0x00281051: "DS", 0x00281052: "DS",
    0x00281053: "DS", 0x00281101: "US", 0x00281201: "OW", 0x00283010: "SQ", 0x00080005: "CS",
    0x00080008: "CS", 0x00080060: "CS", 0x00181063: "DS", 0x00200032: "DS", 0x00200037: "DS",
    0x00189073: "FD", 0x52009229: "SQ", 0x52009230: "SQ", 0x00186011: "SQ", 0x00283000: "SQ",
}  # fmt: skip
_LONG = {"OB", "OW", "SQ", "UN", "UT", "OF"}
_SYNTAXES = (
    "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.201",
    "1.2.840.10008.1.2.5", "1.2.3.4.5", "",
)  # fmt: skip
_texts = st.one_of(
    st.sampled_from(
        ["MONOCHROME1", "MONOCHROME2", "RGB", "PALETTE COLOR", "YBR_FULL", "YBR_FULL_422",
         "YBR_RCT", "1", "0", "-1", "1e400", "NaN", "inf", "1\\1", "1\\0\\0\\0\\1\\0", "ISO_IR 192",
         "\\", "0.5\\0.5", "0\\0", "CT", "MR", "US", "99999999999999999999", "ORIGINAL\\PRIMARY"]
    ),
    st.text(max_size=20),
)  # fmt: skip


def _value(vr: str) -> st.SearchStrategy[bytes]:
    numbers = {
        "US": st.one_of(_small, st.sampled_from([0, 8, 16, 32, 65535])).map(
            lambda n: struct.pack("<H", n)
        ),
        "FD": _doubles.map(lambda x: struct.pack("<d", x)),
    }
    if vr in numbers:
        return st.one_of(numbers[vr], numbers[vr].map(lambda b: b * 3), st.just(b""))
    return _bytes if vr in _LONG else _texts.map(lambda s: s.encode("utf-8", "replace"))


@st.composite
def _element(draw: st.DrawFn, tag: int) -> bytes:
    vr = _IMAGE_TAGS[tag] if draw(st.integers(0, 9)) else draw(st.sampled_from(["UN", "LO", "SQ"]))
    value = draw(_value(vr))
    value += b" " * (len(value) % 2)
    return _packed(tag, vr, value, len(value) if draw(st.integers(0, 19)) else draw(_any_size))


def _packed(tag: int, vr: str, value: bytes, length: int) -> bytes:
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    if vr in _LONG:
        return head + struct.pack("<HI", 0, length % 2**32) + value
    return head + struct.pack("<H", length % 2**16) + value


@st.composite
def dicom(draw: st.DrawFn) -> tuple[str, bytes]:
    """An image that decodes, but for the elements that were drawn anew."""
    rows, columns, bits = draw(_small), draw(_small), draw(st.sampled_from([8, 16]))
    samples = draw(st.sampled_from([1, 1, 3]))
    fixed = {
        0x00280002: struct.pack("<H", samples),
        0x00280004: b"MONOCHROME2 " if samples == 1 else b"RGB ",
        0x00280006: struct.pack("<H", 0),
        0x00280010: struct.pack("<H", rows),
        0x00280011: struct.pack("<H", columns),
        0x00280100: struct.pack("<H", bits),
        0x00280101: struct.pack("<H", bits),
        0x00280102: struct.pack("<H", bits - 1),
        0x00280103: struct.pack("<H", 0),
    }
    if draw(st.booleans()):
        fixed[0x00281052], fixed[0x00281053] = b"-1024 ", b"1 "
    elements = {t: _packed(t, _IMAGE_TAGS[t], v, len(v)) for t, v in fixed.items()}
    for tag in draw(st.lists(st.sampled_from(sorted(_IMAGE_TAGS)), max_size=5)):
        elements[tag] = draw(_element(tag))
    num_bytes = rows * columns * samples * bits // 8
    pixels = bytes(i * 37 % 251 for i in range(num_bytes + num_bytes % 2))
    if not draw(st.integers(0, 5)):
        pixels = draw(_bytes)
    length = len(pixels) if draw(st.integers(0, 9)) else draw(_any_size)
    syntax = draw(st.sampled_from((*_SYNTAXES[:1] * 8, *_SYNTAXES))).encode()
    syntax += b"\0" * (len(syntax) % 2)
    meta = _packed(0x00020010, "UI", syntax, len(syntax))
    body = b"".join(elements[tag] for tag in sorted(elements))
    body += _packed(0x7FE00010, "OW", pixels, length)
    group = _packed(0x00020000, "UL", struct.pack("<I", len(meta)), 4)
    return "a.dcm", b"\0" * 128 + b"DICM" + group + meta + body


@st.composite
def nifti(draw: st.DrawFn) -> tuple[str, bytes]:
    """The 348 bytes of a NIfTI-1 header with fields drawn anew, and some data."""
    header = bytearray(348)
    shape = [draw(_small) for _ in range(draw(st.integers(1, 4)))]
    code, bits = draw(st.sampled_from([(2, 8), (4, 16), (8, 32), (16, 32), (64, 64), (512, 16)]))
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, len(shape), *[*shape, *[1] * 7][:7])
    struct.pack_into("<hh", header, 70, code, bits)
    struct.pack_into("<8f", header, 76, *[1.0] * 8)
    struct.pack_into("<f", header, 108, 352.0)
    struct.pack_into("<hh", header, 252, 0, 1)
    for row in range(3):
        struct.pack_into("<4f", header, 280 + 16 * row, *(float(row == i) for i in range(4)))
    header[344:348] = b"n+1\0"
    for _ in range(draw(st.integers(0, 3))):
        at, kind = draw(
            st.sampled_from(
                [(0, "i"), (40, "h"), (42, "h"), (44, "h"), (46, "h"), (48, "h"), (70, "h"),
                 (72, "h"), (76, "f"), (80, "f"), (84, "f"), (108, "f"), (112, "f"), (116, "f"),
                 (252, "h"), (254, "h"), (256, "f"), (268, "f"), (280, "f"), (300, "f"),
                 (320, "f"), (123, "B"), (344, "i")]
            )
        )  # fmt: skip
        if kind == "f":
            value = draw(_doubles)
            finite = value if abs(value) < 3e38 else float("inf")
            struct.pack_into("<f", header, at, finite)
        else:
            size = 8 * struct.calcsize(kind)
            number = draw(st.one_of(st.integers(-4, 40), st.sampled_from(LENGTHS))) % 2**size
            struct.pack_into("<" + kind.upper(), header, at, number)
    num_values = 1
    for n in shape:
        num_values = min(num_values * n, 20_000)
    data = bytes(i * 31 % 127 for i in range(num_values * bits // 8))
    content = bytes(header) + b"\0" * 4 + data[: draw(st.sampled_from([len(data)] * 4 + [7]))]
    if draw(st.integers(0, 4)):
        return "a.nii", content
    return "a.nii.gz", zlib.compress(content, wbits=31)


@st.composite
def png(draw: st.DrawFn) -> tuple[str, bytes]:
    """Chunks with right checksums: IHDR of any fields, others, IDAT that may not fit."""
    width, height = draw(_any_size), draw(_any_size)
    depth = draw(st.sampled_from([8, 8, 8, 16, 1, 2, 4, 3, 0, 255]))
    colour = draw(st.sampled_from([0, 0, 2, 3, 4, 6, 5]))
    fields = (draw(st.sampled_from([0, 0, 0, 9])) for _ in range(3))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, *fields)
    row = 1 + (min(width, 100) * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 1) * depth + 7) // 8
    raw = bytes(i % row and i * 29 % 256 for i in range(row * min(height, 100)))
    names = st.sampled_from(
        [b"PLTE", b"tRNS", b"gAMA", b"iCCP", b"zTXt", b"acTL", b"fdAT", b"eXIf"]
    )
    chunks = [(b"IHDR", header), *draw(st.lists(st.tuples(names, _bytes), max_size=3))]
    chunks += [(b"IDAT", zlib.compress(raw) if draw(st.integers(0, 9)) else draw(_bytes))]
    chunks += [(b"IEND", b"")]
    return "a.png", b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(v) if draw(st.integers(0, 30)) else draw(_any_size) % 2**32)
        + k + v + struct.pack(">I", zlib.crc32(k + v))
        for k, v in chunks
    )  # fmt: skip


@st.composite
def tiff(draw: st.DrawFn) -> tuple[str, bytes]:
    """One or two directories of entries of any type, count and value."""
    order = draw(st.sampled_from("<>"))
    width, height = draw(_small), draw(_small)
    bits, samples = draw(st.sampled_from([8, 8, 16, 32])), draw(st.sampled_from([1, 1, 3]))
    pixels = bytes(i * 41 % 256 for i in range(width * height * samples * bits // 8))
    entries = {
        256: (3, 1, width), 257: (3, 1, height), 258: (3, 1, bits), 259: (3, 1, 1),
        262: (3, 1, 1 if samples == 1 else 2), 273: (4, 1, 8), 277: (3, 1, samples),
        278: (3, 1, height), 279: (4, 1, len(pixels)), 339: (3, 1, 1),
    }  # fmt: skip
    tags = st.sampled_from([*entries, 254, 284, 317, 320, 322, 323, 324, 325, 330, 338, 34665])
    for tag in draw(st.lists(tags, max_size=3)):
        kind, count = draw(st.integers(0, 18)), draw(st.one_of(st.just(1), _any_size))
        entries[tag] = (kind, count, draw(_any_size))
    codes = [1, 1, 5, 7, 8, 32773, 50000, 34712, 99]
    if not draw(st.integers(0, 2)):
        entries[259] = (3, 1, draw(st.sampled_from(codes)))
    directory = struct.pack(order + "H", len(entries))
    for tag, (kind, count, value) in sorted(entries.items()):
        packed = struct.pack(order + "I", value)
        if kind == 3 and value < 65536:
            packed = struct.pack(order + "HH", value, 0)
        directory += struct.pack(order + "HHI", tag, kind, count % 2**32) + packed
    at = 8 + len(pixels)
    following = draw(st.sampled_from([0, 0, 0, 8, at, 2**31]))
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, at)
    return "a.tif", head + pixels + directory + struct.pack(order + "I", following)


@st.composite
def avi(draw: st.DrawFn) -> tuple[str, bytes]:
    """RIFF lists with a main header, one stream of any codec, and frames that may be noise."""

    def chunk(name: bytes, content: bytes) -> bytes:
        length = len(content) if draw(st.integers(0, 19)) else draw(_any_size) % 2**32
        return name + struct.pack("<I", length) + content + b"\0" * (len(content) % 2)

    width, height = draw(_any_size) % 2**31, draw(_any_size) % 2**31
    codec = draw(st.sampled_from([b"MJPG", b"DIB ", b"\0\0\0\0", b"XVID", b"H264", b"FFV1"]))
    count, rate = draw(_any_size), draw(st.sampled_from([1, 25, 0, 2**31]))
    main = struct.pack("<14I", 40000, 0, 0, 16, count, 0, 1, 0, width, height, 0, 0, 0, 0)
    stream = b"vids" + codec + struct.pack("<10I", 0, 0, 0, 1, rate, 0, count, 0, 0, 0)
    depth = draw(st.sampled_from([24, 8, 32, 0]))
    bitmap = (
        struct.pack("<IiiHH", 40, width, height, 1, depth) + codec + struct.pack("<5I", *[0] * 5)
    )
    lists = b"strl" + chunk(b"strh", stream + b"\0" * 8) + chunk(b"strf", bitmap)
    head = chunk(b"LIST", b"hdrl" + chunk(b"avih", main) + chunk(b"LIST", lists))
    size = min(width * height * 3, 3000)
    frame = bytes(i * 17 % 256 for i in range(size))
    frames = b"".join(chunk(b"00dc", frame) for _ in range(draw(st.integers(0, 3))))
    return "a.avi", b"RIFF" + chunk(b"AVI ", head + chunk(b"LIST", b"movi" + frames))[4:8] + (
        b"AVI " + head + chunk(b"LIST", b"movi" + frames)
    )


@st.composite
def npy(draw: st.DrawFn) -> tuple[str, bytes]:
    """A header that is a dictionary of any dtype, order and shape."""
    dtype = draw(st.sampled_from(["'|u1'", "'<i2'", "'<f4'", "'>f8'", "'|O'", "'<U9'", "[]", "7"]))
    shape = draw(st.lists(st.one_of(_small, st.sampled_from(LENGTHS), st.just(-1)), max_size=5))
    order = draw(st.sampled_from(["False", "True", "None", "__import__('os')"]))
    text = f"{{'descr': {dtype}, 'fortran_order': {order}, 'shape': {tuple(shape)}, }}\n"
    length = len(text) if draw(st.integers(0, 9)) else draw(_any_size) % 65536
    size = 1
    for n in shape:
        size = max(0, min(size * n, 40_000))
    data = bytes(i * 13 % 120 for i in range(size * draw(st.sampled_from([1, 2, 4, 8]))))
    return "a.npy", b"\x93NUMPY\x01\0" + struct.pack("<H", length) + text.encode() + data


@st.composite
def gif(draw: st.DrawFn) -> tuple[str, bytes]:
    """A screen of one size, frames of others, and blocks that may be noise."""
    width, height = draw(_any_size) % 65536, draw(_any_size) % 65536
    content = b"GIF89a" + struct.pack("<HHBBB", width, height, draw(st.integers(0, 255)), 0, 0)
    content += bytes(range(24))
    for _ in range(draw(st.integers(0, 4))):
        box = [draw(_any_size) % 65536 for _ in range(4)]
        content += b"!\xf9\x04" + draw(st.binary(min_size=4, max_size=4)) + b"\0"
        content += b"," + struct.pack("<HHHHB", *box, draw(st.sampled_from([0, 0, 0x40, 0x87])))
        block = draw(st.binary(max_size=60))
        content += bytes([draw(st.integers(0, 12)), len(block)]) + block + b"\0"
    return "a.gif", content + b";"
