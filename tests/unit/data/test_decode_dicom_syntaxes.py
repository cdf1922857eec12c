"""Transfer syntaxes that pydicom's decoders leave out."""

import struct

import imagecodecs
import numpy as np
import pytest
from image_files import write_dicom

from medjepa.data import read
from medjepa.data.decode.dicom_library import pydicom
from medjepa.errors import InputError, InputWarning


def write_frames(path, frames, syntax, shape, **tags):
    library = pydicom()
    dataset = library.dcmread(write_dicom(path, np.zeros(shape, np.uint16), **tags))
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.NumberOfFrames = len(frames)
    dataset.PixelData = library.encaps.encapsulate(frames)
    dataset["PixelData"].VR = "OB"
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_run_lengths_of_single_bits(tmp_path):
    masks = np.random.default_rng(0).random((3, 20, 30)) > 0.7
    frames = [
        struct.pack("<16I", 1, 64, *[0] * 14)
        + imagecodecs.packbits_encode(np.packbits(mask, bitorder="little").tobytes())
        for mask in masks
    ]
    bits = {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0, "Modality": "SEG"}
    path = write_frames(tmp_path / "a.dcm", frames, "1.2.840.10008.1.2.5", (20, 30), **bits)
    np.testing.assert_array_equal(read(path).array[0], masks)
    frames[1] = frames[1][:70]
    path = write_frames(tmp_path / "b.dcm", frames, "1.2.840.10008.1.2.5", (20, 30), **bits)
    with pytest.raises(InputError, match="RLE"):
        read(path)


@pytest.mark.parametrize("signed", [False, True])
def test_jpeg_ls_that_the_first_decoder_refuses(tmp_path, monkeypatch, signed):
    values = np.arange(600, dtype=np.int32).reshape(20, 30) - 300 * signed
    frame = imagecodecs.jpegls_encode(values.astype(np.uint16))
    path = write_frames(
        tmp_path / "a.dcm", [frame], "1.2.840.10008.1.2.4.80", (20, 30),
        PixelRepresentation=int(signed),
    )  # fmt: skip
    expected = read(path).array
    np.testing.assert_array_equal(expected[0], values)

    def refuse(*_, **__):
        raise RuntimeError("refused")

    import jpeg_ls

    monkeypatch.setattr(jpeg_ls, "decode_pixel_data", refuse)
    import pydicom.pixels.decoders.pyjpegls as plugin

    monkeypatch.setattr(plugin, "_decode_frame", refuse)
    np.testing.assert_array_equal(read(path).array, expected)


def test_more_functional_groups_than_frames_give_a_warning(tmp_path):
    library = pydicom()
    dataset = library.dcmread(write_dicom(tmp_path / "a.dcm", np.eye(8, dtype=np.uint16)))
    dataset.NumberOfFrames = 1
    dataset.PerFrameFunctionalGroupsSequence = [library.Dataset() for _ in range(3)]
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    with pytest.warns(InputWarning, match="3 functional groups for 1 frames"):
        assert read(tmp_path / "a.dcm").array.shape == (1, 8, 8)
