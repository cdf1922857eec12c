"""JPEG: cut scans that decoders paint over, and decoding at a smaller size."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import grey, write_dicom
from PIL import Image

from medjepa.data import read
from medjepa.data.decode import read_at_least
from medjepa.data.decode.dicom_library import pydicom
from medjepa.data.decode.jpeg_scan import is_cut
from medjepa.data.resize import resize
from medjepa.errors import InputError

END = b"\xff\xd9"


def jpeg(array, **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def cut(content, part):
    """Keep a part of the first scan, and close the image as if nothing were missing."""
    scan = content.index(b"\xff\xda") + 2
    scan += int.from_bytes(content[scan : scan + 2], "big")
    stop = content.find(b"\xff\xc4", scan)
    stop = len(content) - 2 if stop < 0 else stop
    return content[: scan + int((stop - scan) * part)] + END


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(9, 90), st.integers(9, 90)),
    colour=st.booleans(),
    seed=st.integers(0, 99),
    options=st.sampled_from(
        [{}, {"quality": 98}, {"optimize": True}, {"progressive": True},
         {"restart_marker_blocks": 2}, {"quality": 20}]
    ),
    part=st.floats(0, 0.9),
)  # fmt: skip
def test_codes_are_counted_to_the_last_block(shape, colour, seed, options, part):
    content = jpeg(grey(seed, (*shape, 3) if colour else shape), **options)
    assert not is_cut(content)
    assert is_cut(cut(content, part))


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_a_jpeg_cut_in_its_scan_is_refused_though_it_has_an_end(tmp_path, options):
    content = jpeg(grey(0, (64, 64)), **options)
    (tmp_path / "a.jpg").write_bytes(content)
    assert read(tmp_path / "a.jpg").array.shape == (1, 64, 64)
    (tmp_path / "a.jpg").write_bytes(cut(content, 0.05 if options else 0.7))
    with pytest.raises(InputError, match="truncated"):
        read(tmp_path / "a.jpg")
    # A corner of that very grey is no reason to refuse a whole image.
    flat = grey(0, (64, 64))
    flat[32:, 32:] = 128
    (tmp_path / "b.jpg").write_bytes(jpeg(flat))
    assert (read(tmp_path / "b.jpg").array[0, 40:, 40:] == 128).all()


def test_a_dicom_whose_jpeg_is_cut_is_refused(tmp_path):
    library = pydicom()
    for part, good in ((1, True), (0.6, False)):
        content = jpeg(grey(0, (64, 64)))
        content = content if good else cut(content, part)
        dataset = library.dcmread(write_dicom(tmp_path / "a.dcm", grey(0, (64, 64)), Modality="US"))
        dataset.file_meta.TransferSyntaxUID = library.uid.JPEGBaseline8Bit
        dataset.NumberOfFrames = 2
        dataset.PixelData = library.encaps.encapsulate([jpeg(grey(1, (64, 64))), content])
        dataset["PixelData"].VR = "OB"
        dataset.save_as(tmp_path / "b.dcm", enforce_file_format=True)
        if good:
            assert read(tmp_path / "b.dcm").array.shape == (1, 2, 64, 64)
        else:
            with pytest.raises(InputError, match=r"frame 2: truncated"):
                read(tmp_path / "b.dcm")


@pytest.mark.parametrize(
    ("asked", "given_size"),
    [
        ((64, 64), (64, 96)),
        ((65, 60), (128, 192)),
        ((300, 10), (512, 768)),
        ((9999, 9), (512, 768)),
    ],
)
def test_a_large_jpeg_comes_no_smaller_than_asked(tmp_path, asked, given_size):
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (8, 12, 3), dtype=np.uint8))
    whole = np.asarray(coarse.resize((768, 512), Image.Resampling.BICUBIC))
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(whole, quality=95))
    image, size = read_at_least(path, asked)
    assert size == (512, 768)
    assert image.array.shape == (3, *given_size)
    assert ("decoded at" in " ".join(image.history)) == (given_size != (512, 768))
    exact = resize(read(path).array, given_size)
    assert np.abs(image.array.astype(int) - exact).mean() < 1.5


def test_a_jpeg_on_its_side_is_scaled_by_its_own_sides(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = np.zeros((512, 256), np.uint8)
    whole[:256] = 200
    Image.fromarray(whole).save(tmp_path / "a.jpg", exif=exif, quality=95)
    image, size = read_at_least(tmp_path / "a.jpg", (60, 130))
    assert size == read(tmp_path / "a.jpg").array.shape[1:] == (256, 512)
    assert image.array.shape == (1, 128, 256)
    assert image.array[0, :, 200:].mean() > 150 > 50 > image.array[0, :, :50].mean()


def test_other_formats_come_whole(tmp_path):
    np.save(tmp_path / "a.npy", grey(0))
    image, size = read_at_least(tmp_path / "a.npy", (2, 2))
    assert size == image.array.shape[1:] == (20, 24)
