"""Label maps: found beside the images, on exactly their grid, refused where they do not fit."""

import json
import shutil

import nibabel
import numpy as np
import pytest
from image_files import write_dicom, write_nifti

from medjepa.data import open_volumes, prepare
from medjepa.data.label_files import label_of
from medjepa.data.label_maps import BRATS_REGIONS, open_label_maps
from medjepa.errors import DataError, InputError

SHAPE = (10, 14, 6)  # x, y, z in the file
AFFINE = np.array([[-1.0, 0, 0, 3], [0, 2, 0, 4], [0, 0, 3, 5], [0, 0, 0, 1]])


def write_pair(image, label, seed, affine=AFFINE, shape=SHAPE, values=4):
    """A label map of random blocks, and an image whose value is 50 times its label."""
    labels = np.random.default_rng(seed).integers(0, values, shape).astype(np.uint8)
    write_nifti(image, labels.astype(np.int16) * 50, affine)
    write_nifti(label, labels, affine)
    return labels


def stored(folder, out, **options):
    return open_volumes(prepare(folder, out, dimensions=3, num_workers=0, **options).out)


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("images/a.nii.gz", "labels/a.nii.gz"),
        ("imagesTr/a.nii.gz", "labelsTr/a.nii.gz"),
        ("imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz"),
        ("Task01/imagesTr/a.nii.gz", "Task01/labelsTr/a.nii.gz"),
        ("A/A_t1.nii.gz", "A/A_seg.nii.gz"),
        ("A/A.nii", "A/A_mask.nii.gz"),
        ("A-001.nii.gz", "A-001-seg.nii.gz"),
    ],
)
def test_a_label_map_is_found_left_out_as_an_image_and_lies_on_it(tmp_path, image, label):
    write_pair(tmp_path / "in" / image, tmp_path / "in" / label, 0)
    store = stored(tmp_path / "in", tmp_path / "s")
    assert len(store) == 1
    maps = open_label_maps(store)
    assert (len(maps), maps.indices, 0 in maps, 1 in maps) == (1, [0], True, False)
    assert maps.read(0).dtype == np.uint8
    np.testing.assert_array_equal(maps.read(0) * 50, store.read(0)[0])
    assert maps.find_values() == [1, 2, 3]
    part = maps.read_crop(0, (-2, 3, 8), (5, 6, 7))
    padded = np.pad(maps.read(0), 9)
    np.testing.assert_array_equal(part, padded[7:12, 12:18, 17:24])


def test_names_that_are_no_pair_are_none():
    files = {"images/a.nii", "labels/b.nii", "c_001.nii", "c_seg.nii", "d.nii"}
    assert label_of("images/a.nii", files) is None
    assert label_of("c_001.nii", files) is None
    assert label_of("d.nii", files) is None
    with pytest.raises(ValueError, match="several"):
        label_of("e.nii", {"e_seg.nii", "e_mask.nii.gz"})


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, -1)])
@pytest.mark.parametrize("spacing", [None, (1.5, 1.0, 2.0), (4.0, 3.1, 1.0)])
def test_however_both_are_stored_they_come_out_the_same(tmp_path, order, signs, spacing):
    whole = {}
    for name, turn in (("plain", ((0, 1, 2), (1, 1, 1))), ("turned", (order, signs))):
        folder = tmp_path / name
        write_pair(folder / "images" / "a.nii.gz", folder / "labels" / "a.nii.gz", 0)
        for path in (folder / "images" / "a.nii.gz", folder / "labels" / "a.nii.gz"):
            file = nibabel.load(path)
            axes = np.array(list(zip(turn[0], turn[1], strict=True)))
            nibabel.save(file.as_reoriented(axes), path)
        store = stored(folder, tmp_path / f"{name}-store", spacing=spacing)
        whole[name] = (store.read(0), store.items[0], open_label_maps(store).read(0))
    image, item, labels = whole["plain"]
    other_image, other_item, other_labels = whole["turned"]
    np.testing.assert_array_equal(image, other_image)
    np.testing.assert_array_equal(labels, other_labels)
    np.testing.assert_allclose(item.spacing, other_item.spacing)
    np.testing.assert_allclose(item.position, other_item.position, atol=1e-5)
    assert labels.shape == item.shape[1:]


def test_a_resampled_label_map_stays_on_its_structure(tmp_path):
    labels = np.zeros((24, 30, 20), np.uint8)
    labels[6:18, 9:21, 4:16] = 1
    for spacing in ((2.0, 2.0, 2.0), (0.6, 1.4, 1.0), (1.0, 1.0, 5.0)):
        folder = tmp_path / str(spacing)
        write_nifti(folder / "images" / "a.nii", labels.astype(np.int16) * 50, np.eye(4))
        write_nifti(folder / "labels" / "a.nii", labels, np.eye(4))
        store = stored(folder, folder / "s", spacing=spacing)
        found = open_label_maps(store).read(0)
        # Half of the value or more: the voxel is more inside than outside.
        inside = store.read(0)[0]
        assert (found[inside > 37] == 1).all()
        assert (found[inside < 13] == 0).all()


def test_regions_overlap_and_names_come_from_the_list(tmp_path):
    folder = tmp_path / "in"
    for name in ("B1", "B2"):
        labels = np.random.default_rng(1).choice([0, 1, 2, 4], SHAPE).astype(np.float32)
        write_nifti(folder / name / f"{name}_flair.nii.gz", labels * 7, AFFINE)
        write_nifti(folder / name / f"{name}_seg.nii.gz", labels, AFFINE)
        (folder / name / f"{name}_seg.nii.gz").touch()
    store = stored(folder, tmp_path / "s")
    maps = open_label_maps(store, regions=BRATS_REGIONS)
    assert maps.names == ["WT", "TC", "ET"]
    masks, labels = maps.read(0), open_label_maps(store).read(0)
    assert (masks.shape, masks.dtype) == ((3, *labels.shape), np.uint8)
    for mask, values in zip(masks, BRATS_REGIONS.values(), strict=True):
        np.testing.assert_array_equal(mask, np.isin(labels, values))
    assert (masks[0] >= masks[1]).all()
    assert (masks[1] >= masks[2]).all()
    np.testing.assert_array_equal(maps.read_crop(0, (1, 2, 3), (2, 2, 2)), masks[:, 1:3, 2:4, 3:5])


@pytest.mark.parametrize(
    "written",
    [{"0": "background", "2": "b", "1": "a"}, {"background": 0, "a": 1, "b": [2], "c": 2}],
)
def test_names_of_the_decathlon_and_of_nnunet(tmp_path, written):
    write_pair(tmp_path / "imagesTr" / "a.nii", tmp_path / "labelsTr" / "a.nii", 0)
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": written}))
    maps = open_label_maps(stored(tmp_path, tmp_path / "s"))
    assert (maps.names, maps.values) == (["a", "b" if "0" in written else "c"], [1, 2])


def test_a_table_or_a_folder_names_them(tmp_path):
    labels = [write_pair(tmp_path / "in" / f"v{n}.nii", tmp_path / "far" / f"v{n}.nii", n)
              for n in range(2)]  # fmt: skip
    store = stored(tmp_path / "in", tmp_path / "s")
    for maps in (
        open_label_maps(store, tmp_path / "far"),
        open_label_maps(store, "mask", table=_table(tmp_path)),
    ):
        assert maps.indices == [0, 1]
        for index in range(2):
            np.testing.assert_array_equal(maps.read(index) * 50, store.read(index)[0])
    assert len(labels) == 2
    with pytest.raises(DataError, match="no label map was found beside"):
        open_label_maps(store)
    (tmp_path / "far" / "v1.nii").unlink()
    assert open_label_maps(store, tmp_path / "far").indices == [0]
    with pytest.raises(DataError, match="item 1 has no label map"):
        open_label_maps(store, tmp_path / "far").read(1)
    with pytest.raises(DataError, match=r"far/v1\.nii: named in column 'mask'"):
        open_label_maps(store, "mask", table=_table(tmp_path))


def _table(folder):
    path = folder / "table.csv"
    path.write_text("image,mask\nv0.nii,far/v0.nii\nv1.nii,far/v1.nii\n")
    return path


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda a, m: (a.transpose(1, 0, 2), m), "axes are swapped"),
        (lambda a, m: (a[:-1], m), "has the shape"),
        (lambda a, m: (a, m @ np.diag([-1, 1, 1, 1])), "mm from its image"),
        (lambda a, m: (a, m @ np.diag([1, 1, 1.5, 1])), "mm from its image"),
        (lambda a, m: (a, m + np.array([[0, 0, 0, 9]] + [[0] * 4] * 3)), "mm from its image"),
        (lambda a, m: (a.astype(np.float32) + 0.5, m), "fractions"),
        (lambda a, m: (a.astype(np.int16) + 300, m), "0 to 255"),
        (lambda a, m: (a.astype(np.int16) - 1, m), "0 to 255"),
        (lambda a, m: (np.stack([a, a], -1), m), "tzyx"),
    ],
)
def test_what_does_not_fit_the_image_is_refused_by_name(tmp_path, spoil, message):
    label = tmp_path / "labels" / "a.nii"
    labels = write_pair(tmp_path / "images" / "a.nii", label, 0)
    store = stored(tmp_path, tmp_path / "s")
    write_nifti(label, *spoil(labels, AFFINE))
    with pytest.raises(InputError, match=message) as refused:
        open_label_maps(store).read(0)
    assert refused.value.path.endswith("labels/a.nii")


def test_few_are_kept_in_memory_and_a_file_is_read_once(tmp_path):
    for n in range(3):
        write_pair(tmp_path / "images" / f"{n}.nii", tmp_path / "labels" / f"{n}.nii", n)
    store = stored(tmp_path, tmp_path / "s")
    one = int(np.prod(SHAPE))
    maps = open_label_maps(store, most_bytes=2 * one)
    first = maps.read(0).copy()
    with pytest.raises(ValueError, match="read-only"):
        maps.read(0)[0] = 1  # what is kept cannot be spoiled
    shutil.rmtree(tmp_path / "labels")
    np.testing.assert_array_equal(maps.read(0), first)
    with pytest.raises(InputError):
        maps.read(1)


def test_real_label_maps_lie_on_their_images(real_data, tmp_path):
    source = real_data("hippocampus_msd")
    store = stored(source, tmp_path / "s", pattern="images/hippocampus_0[0-3]*", modality="mri")
    maps = open_label_maps(store, source / "labels")
    assert maps.indices == list(range(len(store)))
    darker = 0
    for index in maps.indices:
        labels = maps.read(index)
        assert labels.shape == store.items[index].shape[1:]
        assert set(np.unique(labels)) == {0, 1, 2}
        front, back = (np.argwhere(labels == value).mean(0) for value in (1, 2))
        assert front[1] > back[1]  # the anterior part lies to the front: y grows that way
        image = store.show(index, store.read(index))[0]
        darker += np.median(image[labels > 0]) > np.percentile(image, 10)
    assert darker == len(store)


def test_the_label_map_of_a_dicom_series_is_named_as_its_folder(tmp_path):
    labels = np.random.default_rng(0).integers(0, 3, (5, 7, 6)).astype(np.uint8)  # z, y, x
    for z, plane in enumerate(labels):
        write_dicom(
            tmp_path / "images" / "case" / f"{z}.dcm", plane.astype(np.int16) * 50,
            PixelSpacing=[2.0, 1.0], ImagePositionPatient=[4, 5, 3.0 * z], SliceThickness=3,
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0], SeriesInstanceUID="1.2.3",
            InstanceNumber=z + 1,
        )  # fmt: skip
    # x to the left and y to the back in DICOM: the affine of NIfTI has them negative.
    affine = np.array([[-1.0, 0, 0, -4], [0, -2, 0, -5], [0, 0, 3, 0], [0, 0, 0, 1]])
    write_nifti(tmp_path / "labels" / "case.nii.gz", labels.transpose(2, 1, 0), affine)
    store = stored(tmp_path, tmp_path / "s")
    for maps in (open_label_maps(store), open_label_maps(store, tmp_path / "labels")):
        np.testing.assert_array_equal(maps.read(0) * 50, store.read(0)[0])
    affine[0, 0] = 1
    write_nifti(tmp_path / "labels" / "case.nii.gz", labels.transpose(2, 1, 0), affine)
    with pytest.raises(InputError, match="mm from its image"):
        open_label_maps(store).read(0)
