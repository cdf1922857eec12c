"""Several contrasts as channels: one item a case, each with its own grey scale, on one grid."""

import json

import numpy as np
import pytest
from image_files import write_dicom, write_nifti

from medjepa.data import labelled, open_volumes, prepare
from medjepa.data.contrast_files import words_of
from medjepa.data.contrasts import read_contrasts
from medjepa.data.label_maps import BRATS_REGIONS, open_label_maps
from medjepa.data.removal import forget
from medjepa.data.volume_dataset import VolumeDataset
from medjepa.data.volume_pipeline import VolumePipeline
from medjepa.errors import DataError, InputError

CONTRASTS = ("flair", "t1", "t1ce", "t2")
SHAPE = (9, 11, 7)  # x, y, z in the files


def write_case(folder, name, seed, contrasts=CONTRASTS):
    """A case whose contrasts differ in scale and dtype; the truth by contrast, (z, y, x)."""
    truth = {}
    for place, contrast in enumerate(contrasts):
        rng = np.random.default_rng([seed, place])
        values = rng.integers(0, 100, SHAPE) * 10**place
        dtype = (np.int16, np.float32, np.uint16, np.int32)[place]
        write_nifti(folder / name / f"{name}_{contrast}.nii.gz", values.astype(dtype), np.eye(4))
        truth[contrast] = values.transpose(2, 1, 0)
    labels = np.random.default_rng(seed).choice([0, 1, 2, 4], SHAPE).astype(np.uint8)
    write_nifti(folder / name / f"{name}_seg.nii.gz", labels, np.eye(4))
    return truth


@pytest.fixture
def cases(tmp_path):
    folder = tmp_path / "in"
    return folder, {name: write_case(folder, name, n) for n, name in enumerate(("B_1", "B_2"))}


def test_a_case_is_one_item_of_four_channels(cases, tmp_path):
    folder, truth = cases
    report = prepare(folder, tmp_path / "s", dimensions=3, num_workers=0, contrasts=CONTRASTS)
    assert (report.good, report.skipped, report.failed, report.num_images) == (8, 2, 0, 2)
    store = open_volumes(report.out)
    dataset = VolumeDataset(store, crop=(7, 11, 9))
    assert dataset.channels == 4
    for index, case in enumerate(truth.values()):
        image = dataset[index].image.numpy()
        for channel, values in zip(image, case.values(), strict=True):
            # Each by its own percentiles: the scales of the files differ by powers of ten.
            low, high = np.percentile(values, (0.5, 99.5))
            expected = np.clip((values - low) / (high - low), 0, 1)
            np.testing.assert_allclose(channel, expected, atol=1e-4)
    # Their label maps lie on them, and overlap.
    maps = open_label_maps(store, regions=BRATS_REGIONS)
    assert maps.indices == [0, 1]
    assert maps.read(1).shape == (3, 7, 11, 9)
    again = prepare(folder, tmp_path / "s", dimensions=3, num_workers=0, contrasts=CONTRASTS)
    assert (again.num_known, again.num_decoded, again.num_images) == (8, 0, 2)


def test_the_pipeline_of_the_files_is_the_item(cases, tmp_path):
    folder, _ = cases
    report = prepare(
        folder, tmp_path / "s", dimensions=3, num_workers=0, contrasts=CONTRASTS, spacing=(2, 1, 1),
        modality="mri",
    )  # fmt: skip
    dataset = VolumeDataset(open_volumes(report.out), crop=(4, 4, 4))
    pipeline = VolumePipeline.from_dict(json.loads(json.dumps(dataset.pipeline.to_dict())))
    assert pipeline == dataset.pipeline
    values, spacing = pipeline(
        pipeline.read([folder / "B_2" / f"B_2_{name}.nii.gz" for name in CONTRASTS])
    )
    whole, its_spacing = dataset.whole(1)
    np.testing.assert_array_equal(values, whole)
    np.testing.assert_array_equal(spacing, its_spacing)
    with pytest.raises(InputError, match="4 files are needed"):
        pipeline.read(folder / "B_2" / "B_2_t1.nii.gz")


def test_a_missing_contrast_is_named_and_the_rest_is_done(cases, tmp_path):
    folder, _ = cases
    (folder / "B_1" / "B_1_t1ce.nii.gz").unlink()
    write_nifti(folder / "B_2" / "B_2_t1_t2.nii.gz", np.ones(SHAPE, np.int16), np.eye(4))
    report = prepare(folder, tmp_path / "s", dimensions=3, num_workers=0, contrasts=CONTRASTS)
    assert report.num_images == 1
    assert {reason for _, reason in report.failures} == {"no file of contrast t1ce"}
    assert len(report.failures) == 3
    assert report.skips["several contrasts of data.contrasts in its name"] == 1


def test_contrasts_are_words_not_letters():
    assert words_of("BraTS2021_00000_T1ce.nii.gz") == ["brats2021", "00000", "t1ce"]
    assert words_of("a/sub-01.T2-w.nii") == ["sub", "01", "t2", "w"]


def test_contrasts_on_different_grids_are_refused_by_name(cases, tmp_path):
    folder, _ = cases
    paths = [folder / "B_1" / f"B_1_{name}.nii.gz" for name in CONTRASTS]
    for affine, shape, message in (
        (np.eye(4), (9, 11, 8), r"t1ce has the shape \(8, 11, 9\), flair has \(7, 11, 9\)"),
        (np.diag([1.0, 1.0, 2.0, 1.0]), SHAPE, r"t1ce lies 6\.0 mm from flair"),
    ):
        write_nifti(
            paths[2], np.ones(shape, np.int16) * np.arange(shape[2], dtype=np.int16), affine
        )
        with pytest.raises(InputError, match=message) as refused:
            read_contrasts(paths, CONTRASTS)
        assert refused.value.path == str(paths[2])


def test_the_volumes_of_a_4d_file_are_contrasts_where_asked(tmp_path):
    values = np.random.default_rng(0).integers(0, 100, (*SHAPE, 4)) * 10 ** np.arange(4)
    write_nifti(tmp_path / "in" / "imagesTr" / "a.nii.gz", values.astype(np.float32), np.eye(4))
    labels = np.random.default_rng(0).integers(0, 4, SHAPE).astype(np.uint8)
    write_nifti(tmp_path / "in" / "labelsTr" / "a.nii.gz", labels, np.eye(4))
    report = prepare(
        tmp_path / "in", tmp_path / "s", dimensions=3, num_workers=0, fourth_axis="contrasts"
    )
    store = open_volumes(report.out)
    dataset = VolumeDataset(store, crop=(7, 11, 9))
    image = dataset[0].image.numpy()
    for channel, volume in zip(image, values.transpose(3, 2, 1, 0), strict=True):
        low, high = np.percentile(volume, (0.5, 99.5))
        np.testing.assert_allclose(channel, np.clip((volume - low) / (high - low), 0, 1), atol=1e-4)
    np.testing.assert_array_equal(open_label_maps(store).read(0), labels.transpose(2, 1, 0))
    pipeline = dataset.pipeline
    path = tmp_path / "in" / "imagesTr" / "a.nii.gz"
    np.testing.assert_array_equal(pipeline(pipeline.read(path))[0], dataset.whole(0)[0])
    # As moments in time it is no volume at all.
    timed = prepare(tmp_path / "in", tmp_path / "t", dimensions=3, num_workers=0)
    with pytest.raises(DataError, match="1 clips and no volumes"):
        VolumeDataset(open_volumes(timed.out), crop=(2, 2, 2))
    assert len(VolumeDataset(open_volumes(timed.out), crop=(2, 2, 2), kind="clip")) == SHAPE[2]


def test_the_same_anatomy_in_dicom_and_nifti_comes_out_the_same(tmp_path):
    volume = np.random.default_rng(0).integers(-1000, 1000, (6, 11, 9), np.int16)  # z, y, x RAS
    affine = np.array([[2.0, 0, 0, -7], [0, 3, 0, -5], [0, 0, 4, 11], [0, 0, 0, 1]])
    write_nifti(tmp_path / "nifti" / "a.nii.gz", volume.transpose(2, 1, 0), affine)
    # DICOM: x to the left, y to the back; the same voxels from the other ends.
    last = affine @ [8, 10, 0, 1]
    for z, plane in enumerate(volume[:, ::-1, ::-1]):
        write_dicom(
            tmp_path / "dicom" / f"{z}.dcm", np.ascontiguousarray(plane), PixelSpacing=[3.0, 2.0],
            ImagePositionPatient=[-last[0], -last[1], 11.0 + 4 * z],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0], SeriesInstanceUID="1.2.3",
            InstanceNumber=z + 1, SliceThickness=4, RescaleSlope=1, RescaleIntercept=0,
        )  # fmt: skip
    sagittal = volume.transpose(2, 0, 1)[::-1, ::-1]  # another way to scan it
    for x, plane in enumerate(sagittal):
        place = affine @ [8 - x, 0, 5, 1]
        write_dicom(
            tmp_path / "sagittal" / f"{x}.dcm", np.ascontiguousarray(plane),
            PixelSpacing=[4.0, 3.0], ImagePositionPatient=[-place[0], -place[1], place[2]],
            ImageOrientationPatient=[0, -1, 0, 0, 0, -1], SeriesInstanceUID="1.2.4",
            InstanceNumber=x + 1, SliceThickness=2, RescaleSlope=1, RescaleIntercept=0,
        )  # fmt: skip
    items = []
    for name in ("nifti", "dicom", "sagittal"):
        report = prepare(tmp_path / name, tmp_path / f"s-{name}", dimensions=3, num_workers=0,
                         modality="ct")  # fmt: skip
        store = open_volumes(report.out)
        pipeline = VolumeDataset(store, crop=(2, 2, 2)).pipeline
        source = tmp_path / name
        path = source / "a.nii.gz" if name == "nifti" else source
        items.append((store.read(0)[0], store.items[0], pipeline(pipeline.read(path))[0]))
    for stored, item, values in items:
        np.testing.assert_array_equal(stored, volume)
        np.testing.assert_allclose(item.spacing, (4.0, 3.0, 2.0))
        np.testing.assert_allclose(item.directions, items[0][1].directions)
        np.testing.assert_allclose(item.position, items[0][1].position, atol=1e-9)
        np.testing.assert_array_equal(values, items[0][2])


def test_a_row_may_name_the_folder_of_a_case(tmp_path):
    for number in range(3):
        write_case(tmp_path / "in", f"B_{number}", number)
        for z in range(4):
            plane = np.random.default_rng([number, z]).integers(0, 99, (6, 5), np.int16)
            write_dicom(
                tmp_path / "dicom" / "scans" / f"B_{number}" / f"{z}.dcm", plane, PatientID="",
                ImagePositionPatient=[0, 0, z], ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
                SeriesInstanceUID=f"1.2.{number}", InstanceNumber=z + 1, SliceThickness=1,
            )  # fmt: skip
    table = "case,patient,methylated\nB_0,p,yes\nB_1,q,no\nB_2,q,\n"
    for name, options in (("in", {"contrasts": CONTRASTS}), ("dicom", {})):
        (tmp_path / name / "table.csv").write_text(table)
        report = prepare(
            tmp_path / name, tmp_path / f"s-{name}", dimensions=3, num_workers=0, **options
        )
        assert (report.num_images, report.grouped, report.num_groups) == (3, "table", 2)
        store = open_volumes(report.out)
        assert store.groups[0] != store.groups[1] == store.groups[2]
        found = labelled(store, "methylated")
        assert (found.indices.tolist(), found.labels) == ([0, 1], ["yes", "no"])
        # A patient who leaves takes the rows of the folder along.
        forget(report.out, ["p"])
        assert len(open_volumes(report.out)) == 2
        copies = [p.read_text() for p in (report.out / "private").glob("table-*.csv")]
        assert copies
        assert not any("B_0" in text or "yes" in text for text in copies)


def test_a_folder_of_several_volumes_has_one_row_for_all(tmp_path):
    for number in range(3):
        for part in ("rest", "stress"):
            values = np.random.default_rng([number, len(part)]).integers(0, 99, SHAPE, np.int16)
            write_nifti(tmp_path / "in" / f"F{number}" / f"{part}.nii", values, np.eye(4))
    (tmp_path / "in" / "table.csv").write_text("where,ill\nF0,yes\nF1,no\nF2,no\n")
    store = open_volumes(prepare(tmp_path / "in", tmp_path / "s", dimensions=3, num_workers=0).out)
    found = labelled(store, "ill")
    assert found.labels == ["yes", "yes", "no", "no", "no", "no"]
    # What leaves takes its row along, though no column names a patient.
    forget(store.path, [], keys=store.keys[:2])
    copy = next((store.path / "private").glob("table-*.csv")).read_text()
    assert "F0" not in copy
    assert "F1" in copy
