"""NIfTI through time, in patient coordinates, and headers that contradict themselves."""

import gzip
import struct

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medjepa.data import read
from medjepa.errors import InputError, InputWarning

SHAPE = (4, 5, 6)


def save(path, array, affine, *, units=("mm", "sec"), zoom=None, slope=None):
    image = nibabel.Nifti1Image(array, affine)
    image.header.set_xyzt_units(*units)
    if zoom is not None:
        image.header.set_zooms((*image.header.get_zooms()[:3], zoom))
    if slope is not None:
        image.header.set_slope_inter(*slope)
    nibabel.save(image, path)
    return path


def numbered(shape=SHAPE, dtype=np.int16):
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def patch(path, offset, content):
    raw = bytearray(path.read_bytes())
    raw[offset : offset + len(content)] = content
    path.write_bytes(raw)
    return path


@settings(max_examples=40, deadline=None)
@given(
    turn=st.permutations([0, 1, 2]),
    signs=st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3),
    tilt=st.floats(-0.3, 0.3),
    frames=st.sampled_from([0, 3]),
)
def test_every_voxel_stays_at_its_place_in_the_patient(tmp_path_factory, turn, signs, tilt, frames):
    matrix = np.zeros((3, 3))
    for axis, (place, sign) in enumerate(zip(turn, signs, strict=True)):
        matrix[place, axis] = sign * (axis + 1)
    rotation = np.array(
        [[np.cos(tilt), -np.sin(tilt), 0], [np.sin(tilt), np.cos(tilt), 0], [0, 0, 1]]
    )
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = rotation @ matrix, (-20, 7, 3)
    array = numbered((*SHAPE, frames) if frames else SHAPE)
    image = read(save(tmp_path_factory.mktemp("n") / "a.nii", array, affine))
    assert image.axes == ("tzyx" if frames else "zyx")
    volume = image.array[0] if not frames else image.array[0, 1]
    stored = array[..., 1] if frames else array
    for voxel in [(0, 0, 0), (3, 0, 2), (1, 4, 5)]:
        (found,) = np.argwhere(volume == stored[voxel])
        place = np.array(image.position)
        for number, step, direction in zip(
            found, image.spacing[-3:], image.directions, strict=True
        ):
            place = place + number * step * np.array(direction)
        in_ras = affine @ [*voxel, 1]
        np.testing.assert_allclose(place * [-1, -1, 1], in_ras[:3], atol=1e-3)
    # Each axis grows towards head, front and right: z, -y and -x in DICOM's coordinates.
    z, y, x = image.directions
    assert z[2] > 0.5
    assert y[1] < -0.5
    assert x[0] < -0.5


def test_time_comes_from_the_header_in_its_unit(tmp_path):
    stack = numbered((3, 4, 5, 6))
    for unit, step, seconds in (("sec", 2.5, 2.5), ("msec", 2500, 2.5), ("usec", 40.0, 4e-5)):
        image = read(save(tmp_path / "a.nii.gz", stack, np.eye(4), units=("mm", unit), zoom=step))
        assert (image.axes, image.array.shape) == ("tzyx", (1, 6, 5, 4, 3))
        assert image.spacing[0] == pytest.approx(seconds)
        np.testing.assert_allclose(image.times, np.arange(6) * seconds)
    np.testing.assert_array_equal(image.array[0, 4], stack[..., 4].transpose(2, 1, 0))
    unknown = read(save(tmp_path / "b.nii", stack, np.eye(4), units=("mm", "unknown"), zoom=2.5))
    assert unknown.spacing[0] is None
    assert unknown.times is None


def test_one_volume_of_four_dimensions_is_a_volume(tmp_path):
    path = save(tmp_path / "a.nii", numbered((*SHAPE, 1)), np.eye(4))
    image = read(path)
    assert (image.axes, image.array.shape, image.times) == ("zyx", (1, 6, 5, 4), None)


def test_values_for_each_voxel_are_refused(tmp_path):
    path = save(tmp_path / "a.nii", numbered((2, 3, 4, 1, 3)), np.eye(4))
    with pytest.raises(InputError, match="vector"):
        read(path)


def test_lengths_in_micrometres_come_in_mm(tmp_path):
    path = save(tmp_path / "a.nii", numbered(), np.diag([25, 50, 100, 1]), units=("micron", "sec"))
    assert read(path).spacing == pytest.approx((0.1, 0.05, 0.025))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_scaled_values_are_those_of_a_second_reader(tmp_path, dtype):
    path = save(tmp_path / "a.nii.gz", numbered(dtype=dtype), np.eye(4))
    raw = bytearray(gzip.decompress(path.read_bytes()))
    raw[112:120] = struct.pack("<2f", 0.37, -1024.5)
    path.write_bytes(gzip.compress(raw))
    image = read(path)
    expected = nibabel.load(path).get_fdata().transpose(2, 1, 0)
    np.testing.assert_allclose(image.array[0], expected, rtol=1e-6)
    assert image.array.dtype.itemsize >= 4


def test_a_pair_reads_like_one_file_and_needs_both(tmp_path):
    nibabel.save(nibabel.Nifti1Pair(numbered(), np.eye(4)), tmp_path / "a.hdr")
    image = read(tmp_path / "a.hdr")
    np.testing.assert_array_equal(image.array[0], numbered().transpose(2, 1, 0))
    content = (tmp_path / "a.img").read_bytes()
    (tmp_path / "a.img").write_bytes(content[:-1])
    with pytest.raises(InputError, match=r"a\.hdr.*truncated"):
        read(tmp_path / "a.hdr")
    (tmp_path / "a.img").unlink()
    with pytest.raises(InputError, match="missing"):
        read(tmp_path / "a.hdr")


@pytest.mark.parametrize(
    ("offset", "content", "word"),
    [
        (42, struct.pack("<h", -4), "negative"),
        (108, struct.pack("<f", np.nan), "vox_offset"),
        (108, struct.pack("<f", 10.0), "vox_offset"),
        (108, struct.pack("<f", 1e30), "vox_offset"),
        (280, struct.pack("<f", np.nan), "NaN"),
        (280, struct.pack("<4f", 0, 0, 0, 0), "singular"),
        (116, struct.pack("<f", np.inf), "damaged"),
        (252, struct.pack("<2h4f", 1, 0, 2, 2, 2, 0), "damaged"),
        (344, b"ab1\0", "magic"),
        (344, b"\0\0\0\0", "magic"),
    ],
)
def test_headers_that_contradict_themselves_are_refused(tmp_path, offset, content, word):
    path = patch(save(tmp_path / "a.nii", numbered(), np.eye(4), slope=(2, 1)), offset, content)
    with pytest.raises(InputError, match=word) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))
    assert caught.value.format == "NIfTI"


def test_forms_that_disagree_are_said_and_the_sform_is_used(tmp_path):
    image = nibabel.Nifti1Image(numbered(), np.eye(4))
    image.set_sform(np.diag([-1.0, 1, 1, 1]), code=1)
    image.set_qform(np.eye(4), code=1)
    nibabel.save(image, tmp_path / "a.nii")
    with pytest.warns(InputWarning, match="sform and qform disagree"):
        found = read(tmp_path / "a.nii")
    np.testing.assert_array_equal(found.array[0], numbered().transpose(2, 1, 0)[..., ::-1])
    path = patch(save(tmp_path / "b.nii", numbered(), np.eye(4)), 80, struct.pack("<f", 3.0))
    with pytest.warns(InputWarning, match="spacing"):
        assert read(path).spacing == (1.0, 1.0, 1.0)
    path = patch(save(tmp_path / "c.nii", numbered(), np.eye(4)), 80, struct.pack("<f", -1.0))
    with pytest.warns(InputWarning, match="no spacing"):
        assert read(path).spacing == (1.0, 1.0, 1.0)
    path = patch(save(tmp_path / "d.nii", numbered(), np.eye(4)), 112, struct.pack("<f", np.inf))
    with pytest.warns(InputWarning, match="scl_slope"):
        np.testing.assert_array_equal(read(path).array[0], numbered().transpose(2, 1, 0))


def test_a_gzip_is_checked_to_its_end(tmp_path):
    content = save(tmp_path / "a.nii.gz", numbered((30, 30, 30)), np.eye(4)).read_bytes()
    path = tmp_path / "b.nii.gz"
    for damaged, word in (
        (content[:-8], "truncated"),
        (content[:-8] + b"12345678", "CRC"),
        (content[:40], "truncated"),
        (content[: len(content) // 2], "truncated"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=word):
            read(path)
    # Blocks of gzip one after the other, as bgzip writes them, are one stream.
    raw = gzip.decompress(content)
    path.write_bytes(gzip.compress(raw[:5000]) + gzip.compress(raw[5000:]))
    np.testing.assert_array_equal(read(path).array, read(tmp_path / "a.nii.gz").array)
    path.write_bytes(content + b"something else")
    with pytest.raises(InputError, match="corrupt"):
        read(path)


def test_a_header_that_asks_for_more_than_its_gzip_can_hold_takes_no_memory(tmp_path):
    path = patch(
        save(tmp_path / "a.nii", numbered(), np.eye(4)), 42, struct.pack("<3h", 1000, 1000, 500)
    )
    path.with_suffix(".nii.gz").write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(InputError, match="cannot hold"):
        read(path.with_suffix(".nii.gz"))


@pytest.mark.parametrize("slope", [(1e-30, 1e9), (-1e-20, 5e7)])
def test_a_scale_that_leaves_nothing_of_the_image_is_refused(tmp_path, slope):
    """In float32 every voxel would be the intercept: a blank image that was none."""
    path = save(tmp_path / "a.nii", numbered(), np.eye(4), slope=slope)
    with pytest.raises(InputError, match="make all of its different values equal"):
        read(path)
    plain = save(tmp_path / "b.nii", np.full(SHAPE, 7, np.int16), np.eye(4), slope=slope)
    array = read(plain).array
    assert array.min() == array.max()  # an image of one value stays one
