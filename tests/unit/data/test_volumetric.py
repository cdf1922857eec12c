"""Volumes on a fixed grid: axes, proportions, 4-D."""

import nibabel
import numpy as np
import pytest

from medjepa.data.preprocessing import VolumetricPreprocessor
from medjepa.data.volumetric import canonical
from medjepa.errors import ConfigError, InputError
from medjepa.types import MedicalImage


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def save(path, array, affine):
    image = nibabel.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm", "sec")
    nibabel.save(image, path)
    return path


def corner_volume():
    """Bright at the patient's right, front and head."""
    volume = np.zeros((20, 24, 16), np.float32)
    volume[12:, 14:, 10:] = 100.0
    volume[0, 0, 0] = 1.0
    return volume


def test_axes_are_right_front_head_however_the_file_lies(tmp_path):
    wanted = None
    for number, codes in enumerate(("RAS", "LPS", "ASR", "IPL")):
        volume = corner_volume()
        image = nibabel.Nifti1Image(volume, np.diag([1.0, 1.0, 1.0, 1.0]))
        orientation = nibabel.orientations.axcodes2ornt(codes)
        turned = image.as_reoriented(
            nibabel.orientations.ornt_transform(
                nibabel.orientations.axcodes2ornt("RAS"), orientation
            )
        )
        path = tmp_path / f"{number}.nii.gz"
        nibabel.save(turned, path)
        seen = VolumetricPreprocessor((20, 24, 16)).preprocess(path)
        assert seen.shape == (20, 24, 16)
        assert seen[15, 20, 12] > 0.5 > seen[3, 3, 3]
        wanted = seen if wanted is None else wanted
        np.testing.assert_array_equal(seen, wanted)


def ball(shape, spacing, radius):
    axes = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, spacing, strict=True)]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    return ((x**2 + y**2 + z**2) < radius**2).astype(np.float32) * 100


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.5, 0.5, 5.0), (2.0, 1.0, 1.0)])
def test_a_ball_stays_a_ball(tmp_path, spacing):
    shape = tuple(round(60 / s) for s in spacing)
    path = save(tmp_path / "ball.nii", ball(shape, spacing, 20), np.diag([*spacing, 1.0]))
    seen = VolumetricPreprocessor((48, 40, 64), intensity="as_stored").preprocess(path) > 0.5
    extents = [np.flatnonzero(seen.any(axis=other)).size for other in ((1, 2), (0, 2), (0, 1))]
    coarse = max(1.0, max(spacing) * 40 / 60)
    assert max(extents) - min(extents) <= 2 * coarse
    assert extents[0] == pytest.approx(40 / 60 * 40, abs=2 * coarse)


def test_stretch_fills_the_grid(tmp_path):
    path = save(tmp_path / "a.nii", np.ones((10, 20, 5), np.float32) + np.arange(5), np.eye(4))
    seen = VolumetricPreprocessor((8, 8, 8), fit="stretch").preprocess(path)
    assert (seen[:, :, -1] > seen[:, :, 0]).all()


def test_asked_spacing_crops_and_pads_around_the_centre(tmp_path):
    path = save(tmp_path / "b.nii", ball((40, 40, 20), (1, 1, 2), 10), np.diag([1.0, 1, 2, 1]))
    one = VolumetricPreprocessor((24, 64, 40), spacing=(1.0, 1.0, 1.0), intensity="as_stored")
    seen = one.preprocess(path) > 0.5
    extents = [np.flatnonzero(seen.any(axis=other)).size for other in ((1, 2), (0, 2), (0, 1))]
    assert all(abs(extent - 20) <= 2 for extent in extents)
    assert not seen[:, :12].any()


def test_constant_gives_zeros_and_nan_is_refused(rng):
    grid = VolumetricPreprocessor((4, 4, 4))
    assert grid.normalize_volume(np.full((3, 3, 3), 9.0)).max() == 0
    with pytest.raises(InputError, match="NaN"):
        grid.normalize_volume(np.full((3, 3, 3), np.nan))
    scaled = grid.normalize_volume(rng.normal(size=(9, 9, 9)))
    assert scaled.dtype == np.float32
    assert (scaled.min(), scaled.max()) == (0.0, 1.0)


def test_resize_averages_what_it_shrinks():
    checker = np.indices((16, 16, 16)).sum(axis=0) % 2
    seen = VolumetricPreprocessor((8, 4, 2)).resize_volume(checker)
    assert seen.shape == (8, 4, 2)
    np.testing.assert_allclose(seen, 0.5, atol=1e-6)
    with pytest.raises(InputError, match="3 axes"):
        VolumetricPreprocessor((8, 4, 2)).resize_volume(checker[0])


def test_loading_keeps_the_units(tmp_path):
    path = save(tmp_path / "c.nii", corner_volume(), np.diag([-1.0, 1.0, 1.0, 1.0]))
    volume = VolumetricPreprocessor().load_nifti_volume(path)
    assert volume.dtype == np.float32
    np.testing.assert_array_equal(volume, corner_volume()[::-1])


def test_four_dimensions_are_chosen_from_never_cut(tmp_path):
    stack = np.stack([corner_volume(), corner_volume()[::-1]], axis=3)
    path = save(tmp_path / "d.nii", stack, np.eye(4))
    with pytest.raises(InputError, match="volume=0 to 1"):
        VolumetricPreprocessor((8, 8, 8)).preprocess(path)
    with pytest.raises(InputError, match="volume=0 to 1"):
        VolumetricPreprocessor((8, 8, 8), volume=2).preprocess(path)
    first, last = (VolumetricPreprocessor((20, 24, 16), volume=v).preprocess(path) for v in (0, 1))
    assert first[15, 20, 12] > 0.5 > last[15, 20, 12]


def test_wrong_settings_are_named():
    with pytest.raises(ConfigError, match="target_size"):
        VolumetricPreprocessor((0, 8, 8))
    with pytest.raises(ConfigError, match="spacing"):
        VolumetricPreprocessor(spacing=(0.0, 1.0, 1.0))


def test_canonical_moves_the_position_with_the_flip():
    image = MedicalImage(
        array=np.arange(24).reshape(1, 2, 3, 4), axes="zyx", spacing=(5.0, 2.0, 1.0), source="a",
        directions=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)), position=(0.0, 0.0, 0.0),
    )  # fmt: skip
    seen = canonical(image)
    np.testing.assert_array_equal(seen.array, image.array[:, :, ::-1, ::-1])
    assert seen.position == (3.0, 4.0, 0.0)
    assert seen.directions == ((0.0, 0.0, 1.0), (0.0, -1.0, 0.0), (-1.0, 0.0, 0.0))
    again = canonical(seen)
    assert again.position == seen.position
