import math
import subprocess
import sys
import warnings

import numpy as np
import pytest
from image_files import grey, write_dicom, write_png

from medjepa.data import read
from medjepa.data.decode.dicom_library import pydicom
from medjepa.data.dicom_utils import extract_pixel_data, get_dicom_info
from medjepa.errors import InputError, InputWarning

RAMP = np.arange(48, dtype=np.uint16).reshape(6, 8)


def test_rescale_gives_hounsfield_units_and_keeps_whole_numbers(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", RAMP, RescaleSlope=1, RescaleIntercept=-1024)
    image = read(path)
    assert image.array.dtype == np.int16
    np.testing.assert_array_equal(image.array[0], RAMP.astype(np.int16) - 1024)
    assert (image.modality, image.spacing, image.group) == ("ct", (0.5, 0.75), "SECRET-77")
    assert "SECRET" not in repr(image)


def test_a_window_is_shown_and_clips_nothing(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", RAMP, WindowCenter=20, WindowWidth=11)
    image = read(path)
    np.testing.assert_array_equal(image.array[0], RAMP)
    assert image.display_range == (14.5, 24.5)  # PS3.3 C.11.2.1.2.1: c - 0.5 -+ (w - 1) / 2


def test_a_window_that_cannot_be_is_ignored_with_a_word(tmp_path):
    for tags in ({"WindowCenter": 20, "WindowWidth": 0}, {"WindowCenter": 9000, "WindowWidth": 9}):
        with pytest.warns(InputWarning, match="window"):
            assert read(write_dicom(tmp_path / "a.dcm", RAMP, **tags)).display_range is None


def test_monochrome1_is_inverted_with_its_window(tmp_path):
    tags = {"WindowCenter": 20, "WindowWidth": 11, "BitsStored": 12, "HighBit": 11}
    plain = read(write_dicom(tmp_path / "a.dcm", RAMP, **tags))
    path = write_dicom(tmp_path / "b.dcm", RAMP, PhotometricInterpretation="MONOCHROME1", **tags)
    turned = read(path)
    np.testing.assert_array_equal(turned.array[0], 4095 - RAMP.astype(int))
    low, high = plain.display_range
    assert turned.display_range == (4095 - high, 4095 - low)


def test_signed_values_and_bits_above_the_stored_ones(tmp_path):
    signed = np.array([[-5, 3], [7, -2048]], np.int16)
    dirty = (signed.view(np.uint16) & 0x0FFF | 0xA000).view(np.int16)  # an old overlay up there
    path = write_dicom(tmp_path / "a.dcm", dirty, BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(read(path).array[0], signed)


def test_padding_is_kept_and_does_not_decide_what_is_shown(tmp_path):
    stored = np.array([[-2000, 5], [9, -2000]], np.int16)
    path = write_dicom(tmp_path / "a.dcm", stored, PixelPaddingValue=-2000, RescaleIntercept=10,
                       RescaleSlope=1)  # fmt: skip
    image = read(path)
    np.testing.assert_array_equal(image.array[0], [[-1990, 15], [19, -1990]])
    assert 15 <= image.display_range[0] < image.display_range[1] <= 19


def test_padding_of_an_inverted_image_is_dark(tmp_path):
    stored = np.array([[0, 5], [9, 0]], np.uint16)
    path = write_dicom(tmp_path / "a.dcm", stored, PixelPaddingValue=0, BitsStored=12, HighBit=11,
                       PhotometricInterpretation="MONOCHROME1")  # fmt: skip
    np.testing.assert_array_equal(read(path).array[0], [[4086, 4090], [4086, 4086]])


def test_colour_and_palette(tmp_path):
    rgb = grey(0, (6, 8, 3))
    path = write_dicom(tmp_path / "a.dcm", rgb, SamplesPerPixel=3, PlanarConfiguration=0,
                       PhotometricInterpretation="RGB", Modality="US")  # fmt: skip
    image = read(path)
    np.testing.assert_array_equal(image.array, np.moveaxis(rgb, 2, 0))
    assert image.modality == "ultrasound"
    table = np.arange(256, dtype=np.uint8)
    tags = {}
    for name, colours in (("Red", table), ("Green", table[::-1]), ("Blue", table // 2)):
        tags[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 8]
        tags[f"{name}PaletteColorLookupTableData"] = colours.tobytes()
    stored = grey(1, (6, 8))
    path = write_dicom(
        tmp_path / "b.dcm", stored, PhotometricInterpretation="PALETTE COLOR", **tags
    )
    np.testing.assert_array_equal(read(path).array, [stored, 255 - stored, stored // 2])


@pytest.mark.parametrize(
    ("tags", "word"),
    [
        ({"RescaleSlope": 0, "RescaleIntercept": 0}, "Slope"),
        ({"PixelSpacing": [0, 0]}, "spacing"),
        ({"NumberOfFrames": 3}, "shorter than the expected"),
        ({"Rows": 0}, "size"),
        ({"Rows": 60}, "shorter"),
        ({"BitsAllocated": 12}, "BitsAllocated"),
        ({"PhotometricInterpretation": None}, "Photometric"),
        ({"PhotometricInterpretation": "RGB"}, "samples"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 1, 0]}, "orientation"),
    ],
)
def test_headers_that_cannot_be_are_refused_by_name(tmp_path, tags, word):
    path = write_dicom(tmp_path / "a.dcm", RAMP, **tags)
    with pytest.raises(InputError, match=word) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path} (DICOM)")
    assert "SECRET" not in str(caught.value)


def test_the_helpers_give_hounsfield_units_and_plain_facts(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", RAMP, RescaleSlope=2, RescaleIntercept=-1000.5,
                       SliceThickness=3)  # fmt: skip
    pixels = extract_pixel_data(path)
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels, RAMP * 2 - 1000.5)
    assert get_dicom_info(path) == {
        "rows": 6, "columns": 8, "modality": "CT", "bits_stored": 16,
        "pixel_spacing": (0.5, 0.75), "slice_thickness": 3.0,
    }  # fmt: skip
    with pytest.raises(InputError, match="not a DICOM"):
        get_dicom_info(write_png(tmp_path / "a.png", grey(0)))


def test_a_folder_called_dl_does_not_break_the_reader(tmp_path):
    # gdcm imports a module of that name, and any folder on the path is taken for it.
    (tmp_path / "dl").mkdir()
    path = write_dicom(tmp_path / "a.dcm", RAMP)
    code = f"from medjepa.data import read; print(read({str(path)!r}).array.max())"
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True,
                            text=True, env={"PYTHONPATH": ":".join([".", *sys.path])})  # fmt: skip
    assert result.stdout.strip() == "47", result.stderr


def test_every_file_of_a_real_collection_is_read_or_refused_by_name(real_data):

    num_read = num_equal = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        for path in sorted(real_data("dicom_zoo").iterdir()):
            try:
                image = read(path)
            except InputError:
                continue
            num_read += 1
            assert np.isfinite(image.array).all()
            header = pydicom().dcmread(path, force=True)
            assert image.array.shape[-2:] == (header.Rows, header.Columns)
            assert math.prod(image.array.shape[1:-2]) == int(header.get("NumberOfFrames") or 1)
            num_equal += has_the_library_s_values(image, header)
    assert num_read >= 109
    assert num_equal >= 95


def has_the_library_s_values(image, header):
    """The same numbers as pydicom's own decoders give; false where those cannot say."""
    if "TransferSyntaxUID" not in header.file_meta:
        header.file_meta.TransferSyntaxUID = pydicom().uid.ImplicitVRLittleEndian
    try:
        stored = header.pixel_array
    except (RuntimeError, NotImplementedError, AttributeError, ValueError):
        return False
    if header.PhotometricInterpretation in ("MONOCHROME1", "PALETTE COLOR"):
        return False
    if header.SamplesPerPixel > 1:
        wanted = np.moveaxis(stored, -1, 0)
    else:
        slope = header.get("RescaleSlope", header.get("DoseGridScaling", 1))
        wanted = stored[None] * float(slope) + float(header.get("RescaleIntercept", 0))
    np.testing.assert_allclose(image.array, wanted, rtol=1e-5, atol=1e-3)
    return True
