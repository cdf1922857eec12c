"""Files that lie about what they hold, each as small as it can be: refused, or read with a word."""

import io
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
from image_files import grey, write_dicom
from PIL import Image, PngImagePlugin

from medjepa.data import read, read_series
from medjepa.data.decode.dicom_library import pydicom
from medjepa.data.decode.jpeg_scan import MAX_SCANS, has_too_many_scans
from medjepa.errors import InputError, InputWarning

JPEG_LS, LOSSLESS = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.70"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
NOISE = np.random.default_rng(0).integers(0, 4096, (16, 24), dtype=np.uint16)


def encapsulated(path, fragments, syntax, offsets=b"", **tags):
    """Write fragments and an offset table as they are given."""
    dataset = pydicom().dcmread(write_dicom(path, NOISE, **tags))
    dataset.file_meta.TransferSyntaxUID = syntax
    items = [offsets, *(f + b"\0" * (len(f) % 2) for f in fragments)]
    item = b"\xfe\xff\x00\xe0"
    dataset.PixelData = b"".join(item + struct.pack("<I", len(part)) + part for part in items)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path, enforce_file_format=True)
    return path


def jpeg(array, **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def chunk(name, content):
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )


def png(*chunks, colour=0):
    head = struct.pack(">2I5B", 4, 4, 8, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(chunks) + chunk(b"IEND", b"")


def test_an_offset_table_that_leads_outside_is_refused(tmp_path):
    frames = [imagecodecs.jpegls_encode(NOISE + number) for number in range(3)]
    path = tmp_path / "a.dcm"
    encapsulated(path, frames, JPEG_LS, NumberOfFrames=3)
    assert read(path).array.shape == (1, 3, 16, 24)
    for offsets in ((0, 5, 99999), (0, 0, 0), (0, 2**32 - 1, 4)):
        table = struct.pack("<3I", *offsets)
        encapsulated(path, frames, JPEG_LS, offsets=table, NumberOfFrames=3)
        with pytest.raises(InputError, match=r"^\S+a\.dcm"):
            read(path)


@pytest.mark.parametrize("is_native", [True, False])
def test_more_frames_than_are_announced_are_told(tmp_path, is_native):
    path = tmp_path / "a.dcm"
    if is_native:
        dataset = pydicom().dcmread(write_dicom(path, NOISE))
        dataset.PixelData = dataset.PixelData * 3
        dataset.save_as(path)
    else:
        encapsulated(path, [imagecodecs.jpegls_encode(NOISE)] * 3, JPEG_LS)
    with pytest.warns(InputWarning, match="announces"):
        assert (read(path).array[0] == NOISE).all()


def test_tiles_that_are_missing_are_not_painted_black(tmp_path):
    stream = imagecodecs.jpeg2k_encode(NOISE, codecformat="j2k", level=0, resolutions=1)
    path = encapsulated(tmp_path / "a.dcm", [stream], JPEG_2000)
    assert (read(path).array[0] == NOISE).all()
    size = stream.index(b"\xff\x51")
    lie = stream[: size + 22] + struct.pack(">2I", 8, 8) + stream[size + 30 :]
    with pytest.raises(InputError, match="1 of 6 tiles"):
        read(encapsulated(path, [lie], JPEG_2000))


@pytest.mark.parametrize("keep", [0.4, 0.95])
def test_a_lossless_jpeg_that_is_cut_is_refused_though_it_has_an_end(tmp_path, keep):
    stream = imagecodecs.ljpeg_encode(NOISE, bitspersample=12)
    path = encapsulated(tmp_path / "a.dcm", [stream], LOSSLESS)
    assert (read(path).array[0] == NOISE).all()
    cut = stream[: int(len(stream) * keep)] + b"\xff\xd9"
    with pytest.raises(InputError, match="truncated"):
        read(encapsulated(path, [cut], LOSSLESS))


def test_scans_without_end_are_refused_before_they_are_decoded(tmp_path):
    whole = jpeg(grey(0, (64, 64)), progressive=True)
    scans = whole.split(b"\xff\xda")
    many = b"\xff\xda".join([scans[0], *[scans[1]] * (MAX_SCANS + 1)]) + b"\xff\xd9"
    assert not has_too_many_scans(whole)
    # In a comment the marker is no scan.
    comment = b"\xff\xfe" + struct.pack(">H", 402) + b"\xff\xda" * 200
    assert not has_too_many_scans(whole[:2] + comment + whole[2:])
    (tmp_path / "a.jpg").write_bytes(many)
    with pytest.raises(InputError, match="scans"):
        read(tmp_path / "a.jpg")
    array = grey(0, (64, 64))
    dataset = pydicom().dcmread(write_dicom(tmp_path / "a.dcm", array, Modality="US"))
    dataset.file_meta.TransferSyntaxUID = pydicom().uid.JPEGBaseline8Bit
    dataset.PixelData = pydicom().encaps.encapsulate([many])
    dataset["PixelData"].VR = "OB"
    dataset.save_as(tmp_path / "a.dcm")
    with pytest.raises(InputError, match="scans"):
        read(tmp_path / "a.dcm")


def test_a_length_over_the_memory_is_refused(tmp_path, monkeypatch):
    content = png(chunk(b"IDAT", zlib.compress(b"\0\1\2\3\4" * 4)))

    def out_of_memory(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load_read", out_of_memory)
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InputError, match="larger than the memory"):
        read(tmp_path / "a.png")


def test_colours_that_the_palette_does_not_have_are_refused(tmp_path):
    rows = chunk(b"IDAT", zlib.compress(b"\0\0\1\0\1" * 3 + b"\0\0\1\2\1"))
    good = png(chunk(b"PLTE", b"abcdefghi"), rows, colour=3)
    bad = png(chunk(b"PLTE", b"abcdef"), rows, colour=3)
    (tmp_path / "a.png").write_bytes(good)
    assert read(tmp_path / "a.png").array.max() == ord("i")
    (tmp_path / "a.png").write_bytes(bad)
    with pytest.raises(InputError, match="colour 2, the palette has 2"):
        read(tmp_path / "a.png")


def test_an_array_whose_header_would_fill_the_memory_is_refused(tmp_path):
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\2\0" + struct.pack("<I", 2**32 - 1) + b"{")
    with pytest.raises(InputError, match="4,294,967,295 bytes"):
        read(tmp_path / "a.npy")


def test_long_doubles_become_doubles(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[1.5, 2]], np.longdouble))
    array = read(tmp_path / "a.npy").array
    assert array.dtype == np.float64
    assert array.tolist() == [[[1.5, 2]]]


def test_bits_that_do_not_begin_at_bit_0_are_not_cut_off(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", NOISE << 4, BitsStored=12, HighBit=15)
    with pytest.raises(InputError, match="HighBit is 15"):
        read(path)
    path = write_dicom(tmp_path / "b.dcm", NOISE, BitsStored=12, HighBit=7)
    with pytest.warns(InputWarning, match="HighBit is 7"):
        assert (read(path).array[0] == NOISE).all()


def test_an_extension_where_the_voxels_are_is_told(tmp_path):
    import nibabel

    content = bytearray(nibabel.Nifti1Image(NOISE[..., None], np.eye(4)).to_bytes())
    content[348] = 1
    (tmp_path / "a.nii").write_bytes(content)
    with pytest.warns(InputWarning, match="announces an extension"):
        read(tmp_path / "a.nii")


def test_two_modalities_are_no_volume(tmp_path):
    for number, modality in enumerate(("CT", "PT", "CT")):
        write_dicom(
            tmp_path / f"{number}.dcm", NOISE, Modality=modality, SeriesInstanceUID="1.2",
            ImagePositionPatient=[0, 0, number], ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            InstanceNumber=number,
        )  # fmt: skip
    with pytest.raises(InputError, match="mixed modalities"):
        read_series(tmp_path)


def test_a_file_that_is_cut_or_goes_away_while_it_is_read_is_refused(tmp_path, monkeypatch):
    import nibabel

    path = tmp_path / "a.nii"
    whole = nibabel.Nifti1Image(NOISE[..., None], np.eye(4)).to_bytes()
    path.write_bytes(whole)
    from_file = np.fromfile

    def after_it_was_cut(*arguments, **options):
        path.write_bytes(whole[:360])
        return from_file(*arguments, **options)

    monkeypatch.setattr(np, "fromfile", after_it_was_cut)
    with pytest.raises(InputError, match=r"a\.nii.*truncated: 8 of 768 bytes"):
        read(path)

    def gone(*arguments):
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr("medjepa.data.decode.nifti.head_bytes", gone)
    with pytest.raises(InputError, match=r"a\.nii.*changed meanwhile: No such file"):
        read(path)


def test_a_folder_that_cannot_be_opened_is_not_an_empty_one(tmp_path, monkeypatch):
    import os

    for number in range(3):
        write_dicom(
            tmp_path / f"{number}.dcm", NOISE, SeriesInstanceUID="1.2",
            ImagePositionPatient=[0, 0, number], ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        )  # fmt: skip
    (tmp_path / "shut").mkdir()
    scandir = os.scandir

    def without_permission(folder):
        if str(folder).endswith("shut"):
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    assert read_series(tmp_path).array.shape[1] == 3
    monkeypatch.setattr(os, "scandir", without_permission)
    with pytest.raises(InputError, match="shut: a folder"):
        read_series(tmp_path)
