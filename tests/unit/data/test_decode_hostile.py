"""Files that once crashed, hung or silenced a decoder, made small."""

import io
import struct
import subprocess
import sys
import zlib

import imagecodecs
import numpy as np
import pytest
from image_files import grey, write_dicom

from medjepa.data import read, slide_info
from medjepa.data.decode.dicom_codestreams import jpeg_2000_size, jpeg_size
from medjepa.data.decode.dicom_header import read_dataset
from medjepa.data.decode.dicom_library import pydicom
from medjepa.data.privacy import identifies
from medjepa.data.selection import header_facts
from medjepa.errors import InputError, InputWarning

DEFLATED = "1.2.840.10008.1.2.1.99"
JPEG_LS = "1.2.840.10008.1.2.4.80"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
RLE = "1.2.840.10008.1.2.5"
RAMP = np.arange(64 * 48, dtype=np.uint16).reshape(64, 48)


def write_encapsulated(path, frames, syntax, shape=RAMP.shape, **tags):
    """Write compressed frames of 16 bits as they are given."""
    library = pydicom()
    dataset = library.dcmread(write_dicom(path, np.zeros(shape, np.uint16), **tags))
    dataset.file_meta.TransferSyntaxUID = syntax
    if len(frames) > 1:
        dataset.NumberOfFrames = len(frames)
    dataset.PixelData = library.encaps.encapsulate(frames)
    dataset["PixelData"].VR = "OB"
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_deflated(path, content, behind=b"", meta_length=None):
    """Write a deflated file; `content` are its elements."""
    uid = DEFLATED.encode()
    meta = struct.pack("<HH2sH", 2, 0x10, b"UI", len(uid)) + uid
    length = len(meta) if meta_length is None else meta_length
    group = struct.pack("<HH2sHI", 2, 0, b"UL", 4, length)
    compressor = zlib.compressobj(9, wbits=-15)
    packed = compressor.compress(content) + compressor.flush()
    path.write_bytes(b"\0" * 128 + b"DICM" + group + meta + packed + behind)
    return path


def elements_of(path):
    """Return the bytes behind the file meta information of an explicit little endian file."""
    library = pydicom()
    dataset = library.dcmread(path)
    buffer = io.BytesIO()
    library.dcmwrite(buffer, library.Dataset(dataset), implicit_vr=False, little_endian=True)
    return buffer.getvalue()


@pytest.mark.parametrize("behind", [b"", b"\0", b"something behind the stream" * 9999])
@pytest.mark.parametrize("meta_length", [None, 0, 2**31])
def test_deflated_files_end_where_their_stream_ends(tmp_path, behind, meta_length):
    plain = write_dicom(tmp_path / "a.dcm", RAMP)
    path = write_deflated(tmp_path / "b.dcm", elements_of(plain), behind, meta_length)
    np.testing.assert_array_equal(read(path).array[0], RAMP)
    assert "PixelData" not in read_dataset(str(path), header_only=True)


def test_a_deflated_bomb_is_refused_wherever_a_header_is_read(tmp_path):
    bomb = struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OB", 0, 64 << 20) + bytes(64 << 20)
    for name, behind, meta_length in (("a", b"", None), ("b", b"\0" * 50, 2**31), ("c", b"", 0)):
        path = write_deflated(tmp_path / f"{name}.dcm", bomb, behind, meta_length)
        for reader in (read, header_facts):
            with pytest.raises(InputError, match="too large: it inflates over the limit"):
                reader(str(path))
        assert identifies(str(path)) == []


def test_a_deflated_file_cut_short_is_refused(tmp_path):
    path = write_deflated(tmp_path / "a.dcm", elements_of(write_dicom(tmp_path / "p.dcm", RAMP)))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="no end"):
        read(path)


def jpeg_2000():
    return imagecodecs.jpeg2k_encode(RAMP, codecformat="j2k", level=0, reversible=True)


def test_damaged_jpeg_2000_does_not_end_the_process(tmp_path):
    # Another decoder that was tried next called std::terminate.
    whole = jpeg_2000()
    damaged = [whole[:40] + bytes(60) + whole[100:], whole[:6] + b"\x23\xf3\x22" + whole[9:]]
    for number, frame in enumerate(damaged):
        write_encapsulated(tmp_path / f"{number}.dcm", [frame], JPEG_2000)
    code = (
        "import sys\n"
        "from medjepa.data import read\n"
        "from medjepa.errors import InputError\n"
        "for path in sys.argv[1:]:\n"
        "    try:\n"
        "        read(path)\n"
        "    except InputError as error:\n"
        "        print(error)\n"
    )
    paths = [str(path) for path in sorted(tmp_path.glob("*.dcm"))]
    done = subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(paths)


def test_whole_compressed_frames_are_read(tmp_path):
    for syntax, frame in ((JPEG_2000, jpeg_2000()), (JPEG_LS, imagecodecs.jpegls_encode(RAMP))):
        for padding in (b"", b"\0" * 7, b"\xff"):
            path = write_encapsulated(tmp_path / "a.dcm", [frame + padding], syntax)
            np.testing.assert_array_equal(read(path).array[0], RAMP)


def test_a_cut_jpeg_ls_frame_is_refused_before_it_is_decoded(tmp_path):
    # Without an end marker the decoder ran for seconds on a quarter of a megapixel.
    frame = imagecodecs.jpegls_encode(RAMP)
    path = write_encapsulated(tmp_path / "a.dcm", [frame[: len(frame) // 2]], JPEG_LS)
    with pytest.raises(InputError, match="truncated: the compressed frame has no end"):
        read(path)


def test_a_cut_jpeg_2000_frame_is_refused(tmp_path):
    frame = jpeg_2000()
    for length in (len(frame) // 2, len(frame) - 10, len(frame) - 2, 60):
        path = write_encapsulated(tmp_path / "a.dcm", [frame[:length]], JPEG_2000)
        with pytest.raises(InputError, match="JPEG 2000"):
            read(path)


def test_the_frame_asks_for_what_the_header_says(tmp_path):
    frames = [jpeg_2000(), imagecodecs.jpeg2k_encode(RAMP[:, :40], codecformat="j2k", level=0)]
    path = write_encapsulated(tmp_path / "a.dcm", frames, JPEG_2000)
    with pytest.raises(InputError, match=r"frame 2: size mismatch.*64 x 40 of 1"):
        read(path)
    huge = bytearray(jpeg_2000())
    huge[8:16] = struct.pack(">2I", 2**31, 2**31)
    path = write_encapsulated(tmp_path / "a.dcm", [bytes(huge)], JPEG_2000)
    with pytest.raises(InputError, match="size"):
        read(path)
    path = write_encapsulated(
        tmp_path / "a.dcm", [jpeg_2000()], JPEG_2000, BitsAllocated=8, BitsStored=8, HighBit=7
    )
    with pytest.raises(InputError, match="16 bits"):
        read(path)


def test_sizes_of_streams():
    colour = grey(0, (20, 24, 3))
    for encoded in (imagecodecs.jpeg8_encode(colour), imagecodecs.jpegls_encode(colour)):
        size = jpeg_size(encoded)
        assert (size.rows, size.columns, size.components, size.bits) == (20, 24, 3, 8)
        assert jpeg_size(b"\0" + encoded) == size
        assert jpeg_size(encoded[:8]) is None
    for kind in ("j2k", "jp2"):
        size = jpeg_2000_size(imagecodecs.jpeg2k_encode(colour, codecformat=kind))
        assert (size.rows, size.columns, size.components, size.bits) == (20, 24, 3, 8)
    assert jpeg_2000_size(b"\xff\x4f\xff\x51" + bytes(60)) is None


def test_run_lengths_that_overflow_are_refused(tmp_path):
    # The decoder panics, with an exception that is no Exception.
    literal = bytes([99]) + bytes(range(100))
    # One segment for each byte of a value; a last run of 101 goes beyond the 3072 values.
    segment = 30 * literal + bytes([156, 5])
    header = struct.pack("<16I", 2, 64, 64 + len(segment), *[0] * 13)
    path = write_encapsulated(tmp_path / "a.dcm", [header + 2 * segment], RLE)
    with pytest.raises(InputError, match=r"RLE Lossless.*out of bounds"):
        read(path)


def test_an_image_that_shows_nothing_is_read_with_a_word(tmp_path):
    with pytest.warns(InputWarning, match="every value is 7: the image shows nothing"):
        read(write_dicom(tmp_path / "a.dcm", np.full((6, 8), 7, np.uint16)))


def test_a_tiff_whose_only_page_follows_itself_ends(tmp_path):
    # One with an entry for pages below it was searched for the levels of a slide, for ever.
    pixels = bytes(range(48))
    entries = {256: 8, 257: 6, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 6, 279: 48, 330: 56}
    content = b"II*\0" + struct.pack("<I", 56) + pixels + struct.pack("<H", len(entries))
    for tag, value in entries.items():
        content += struct.pack("<HHII", tag, 4, 1, value)
    path = tmp_path / "a.tif"
    path.write_bytes(content + struct.pack("<I", 56))
    with pytest.warns(InputWarning, match="circle"):
        assert read(path).array.tobytes() == pixels
    with pytest.warns(InputWarning), pytest.raises(InputError, match="circle"):
        slide_info(path)


def test_pixel_data_of_another_type_is_refused(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", grey(0))
    dataset = pydicom().dcmread(path)
    del dataset.PixelData
    dataset.add_new("PixelData", "US", 7)
    dataset.save_as(path)
    with pytest.raises(InputError, match=r"a\.dcm.*the header is damaged"):
        read(path)
