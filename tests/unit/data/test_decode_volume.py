import gzip
import tracemalloc

import numpy as np
import pytest
from image_files import write_nifti

from medjepa.data import read
from medjepa.errors import InputError, InputWarning

VOLUME = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)


def test_a_volume_comes_as_z_y_x_in_canonical_orientation(tmp_path):
    straight = read(write_nifti(tmp_path / "a.nii.gz", VOLUME, np.diag([1.0, 2, 3, 1])))
    assert (straight.axes, straight.spacing) == ("zyx", (3.0, 2.0, 1.0))
    np.testing.assert_array_equal(straight.array[0], VOLUME.transpose(2, 1, 0))
    # The same patient, stored from left to right instead: canonical gives the same array.
    mirrored = np.diag([-1.0, 2, 3, 1])
    mirrored[0, 3] = 1.0
    image = read(write_nifti(tmp_path / "b.nii", VOLUME[::-1].copy(), mirrored))
    np.testing.assert_array_equal(image.array, straight.array)


def test_scaling_is_applied_and_a_slope_of_zero_means_none(tmp_path):
    path = write_nifti(tmp_path / "a.nii", VOLUME, np.eye(4))
    raw = bytearray(path.read_bytes())
    raw[112:120] = np.array([2.0, 5.0], "<f4").tobytes()
    path.write_bytes(raw)
    np.testing.assert_allclose(read(path).array[0], VOLUME.transpose(2, 1, 0) * 2.0 + 5)
    raw[112:116] = np.array([0.0], "<f4").tobytes()
    path.write_bytes(raw)
    np.testing.assert_array_equal(read(path).array[0], VOLUME.transpose(2, 1, 0))


@pytest.mark.parametrize(
    ("offset", "value", "word"),
    [
        (40, np.array([9], "<i2"), "dim"),
        (42, np.array([0], "<i2"), "zero"),
        (42, np.array([30000, 30000, 30000], "<i2"), "large"),
        (70, np.array([32], "<i2"), "complex"),
        (70, np.array([999], "<i2"), "datatype"),
        (0, np.array([999], "<i4"), "header"),
    ],
)
def test_headers_that_cannot_be_are_refused(tmp_path, offset, value, word):
    path = write_nifti(tmp_path / "a.nii", VOLUME, np.eye(4))
    raw = bytearray(path.read_bytes())
    raw[offset : offset + value.nbytes] = value.tobytes()
    path.write_bytes(raw)
    with pytest.raises(InputError, match=word):
        read(path)


def test_truncated_and_nan_are_refused(tmp_path):
    path = write_nifti(tmp_path / "a.nii.gz", VOLUME, np.eye(4))
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(InputError, match=r"truncated|gzip"):
        read(path)
    with_nan = VOLUME.astype(np.float32)
    with_nan[0, 0, 0] = np.nan
    with pytest.raises(InputError, match="NaN"):
        read(write_nifti(tmp_path / "b.nii", with_nan, np.eye(4)))


def test_a_gzip_bomb_is_inflated_only_as_far_as_its_header_asks(tmp_path):
    path = write_nifti(tmp_path / "a.nii", VOLUME, np.eye(4))
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(path.read_bytes() + bytes(50 << 20), 1))
    tracemalloc.start()
    with pytest.warns(InputWarning, match="follows"):
        assert read(tmp_path / "b.nii.gz").array.shape == (1, 4, 3, 2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 << 20


def test_unknown_orientation_is_said(tmp_path):
    path = write_nifti(tmp_path / "a.nii", VOLUME, np.eye(4))
    raw = bytearray(path.read_bytes())
    raw[252:256] = bytes(4)
    path.write_bytes(raw)
    with pytest.warns(InputWarning, match="orientation"):
        read(path)


def test_arrays_without_pickle(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(16, dtype=">i2").reshape(4, 4))
    image = read(tmp_path / "a.npy")
    assert image.array.dtype == np.dtype(np.int16)
    assert image.array.max() == 15
    np.save(tmp_path / "b.npy", np.zeros((4, 5, 3), np.uint8))
    assert read(tmp_path / "b.npy").array.shape == (3, 4, 5)
    np.save(tmp_path / "c.npy", np.zeros((6, 5, 7), np.uint8))
    assert read(tmp_path / "c.npy").axes == "zyx"
    np.save(tmp_path / "d.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(InputError, match="pickle"):
        read(tmp_path / "d.npy")
    np.save(tmp_path / "e.npy", np.zeros((2, 2), np.complex64))
    with pytest.raises(InputError, match="dtype"):
        read(tmp_path / "e.npy")
