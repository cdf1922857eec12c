"""Video inside of DICOM: streams bare or in a container, times from the header."""

import numpy as np
import pytest
from clip_files import number_of, write_clip
from image_files import write_dicom

from medjepa.data import read
from medjepa.data.decode.dicom_library import pydicom
from medjepa.errors import InputError, InputWarning

COUNT = 12


def write_video(path, stream, syntax, *, fragments=1, **tags):
    library = pydicom()
    dataset = library.dcmread(
        write_dicom(
            path, np.zeros((48, 64), np.uint8),
            **{"NumberOfFrames": COUNT, "SamplesPerPixel": 3, "Modality": "ES", "CineRate": 10,
               "PhotometricInterpretation": "YBR_PARTIAL_420", "PlanarConfiguration": 0,
               "BitsAllocated": 8, "PixelSpacing": None, **tags},
        )
    )  # fmt: skip
    dataset.file_meta.TransferSyntaxUID = f"1.2.840.10008.1.2.4.{syntax}"
    dataset.PixelData = library.encaps.encapsulate([stream], fragments_per_frame=fragments)
    dataset["PixelData"].VR = "OB"
    dataset.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize(
    ("syntax", "name", "codec", "container"),
    [
        (100, "a.m2v", "mpeg2video", "mpeg2video"), (101, "a.mpg", "mpeg2video", "mpeg"),
        (102, "a.h264", "libx264", "h264"), (103, "a.mp4", "libx264", "mp4"),
        ("104.1", "a.ts", "libx264", "mpegts"), (107, "a.h265", "libx265", "hevc"),
        (108, "b.mp4", "libx265", "mp4"),
    ],
)  # fmt: skip
def test_every_video_syntax_is_read(tmp_path, syntax, name, codec, container):
    stream = write_clip(tmp_path / name, COUNT, codec=codec, container=container, colour=True)
    path = write_video(tmp_path / "a.dcm", stream.read_bytes(), syntax, fragments=3)
    image = read(path)
    assert (image.axes, image.array.shape) == ("tyx", (3, COUNT, 48, 64))
    assert [number_of(image.array[:, t]) for t in range(COUNT)] == list(range(COUNT))
    np.testing.assert_allclose(image.times, np.arange(COUNT) / 10)
    assert "YBR_PARTIAL_420 read as RGB" in image.history


def test_the_frames_that_are_there_count(tmp_path):
    stream = write_clip(tmp_path / "a.mp4", COUNT).read_bytes()
    for stated in (COUNT + 3, 1):
        path = write_video(tmp_path / "a.dcm", stream, 102, NumberOfFrames=stated)
        with pytest.warns(InputWarning, match=f"NumberOfFrames is {stated}.* {COUNT} frames"):
            assert read(path).array.shape[1:] == (COUNT, 48, 64)


def test_a_video_that_does_not_fit_its_header_or_is_none_is_refused(tmp_path):
    stream = write_clip(tmp_path / "a.mp4", COUNT).read_bytes()
    path = write_video(tmp_path / "a.dcm", stream, 102, Rows=50)
    with pytest.raises(InputError, match="size mismatch"):
        read(path)
    for junk in (b"junk" * 200, b"\0\0\0\x01" + bytes(range(256)), stream[:600]):
        with pytest.raises(InputError, match=r"video|frames") as caught:
            read(write_video(tmp_path / "b.dcm", junk, 102))
        assert caught.value.format == "DICOM"
