"""Folders of slices and files with several frames: one volume, or an error that names the slice."""

import warnings

import numpy as np
import pytest

from medjepa.data import read, read_all_series, read_series
from medjepa.data.decode.dicom_library import pydicom
from medjepa.data.decode.series import group_series, read_slices
from medjepa.data.placement import Placement
from medjepa.errors import InputError, InputWarning

CT, ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1"
AXIAL = [1, 0, 0, 0, 1, 0]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def dataset(pixels, sop=CT, **more):
    library = pydicom()
    data = library.Dataset()
    data.file_meta = library.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = library.uid.ExplicitVRLittleEndian
    data.SOPClassUID, data.SOPInstanceUID = sop, library.uid.generate_uid()
    data.SeriesInstanceUID, data.StudyInstanceUID = "1.2.3", "1.2"
    data.PatientID, data.Modality = "one", "CT"
    data.Rows, data.Columns = pixels.shape[-2:]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit, data.PixelRepresentation = 15, 0
    data.PixelData = pixels.astype("<u2").tobytes()
    for name, value in more.items():
        if value is not None:
            setattr(data, name, value)
    return data


def save(data, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return path


def write_series(folder, rng, num_slices=5, step=2.5, changes=None, leave_out=()):
    """Slices named against their order in space; returns (slices, Y, X) in that order."""
    volume = rng.integers(0, 4000, (num_slices, 6, 8))
    for number in range(num_slices):
        if number in leave_out:
            continue
        values = {
            "InstanceNumber": number + 1,
            "ImagePositionPatient": [10, 20, -50 + step * number],
            "ImageOrientationPatient": AXIAL,
            "PixelSpacing": [0.5, 0.75],
            "RescaleSlope": 1 + number,
            "RescaleIntercept": -1024,
        }
        values |= (changes or {}).get(number, {})
        save(dataset(volume[number], **values), folder / f"s{9 - number}.dcm")
    return volume


def test_slices_become_a_volume_along_their_normal(tmp_path, rng):
    volume = write_series(tmp_path, rng)
    image = read_series(tmp_path)
    assert image.axes == "zyx"
    assert image.spacing == (2.5, 0.5, 0.75)
    assert image.position == (10, 20, -50)
    assert image.directions == ((0, 0, 1), (0, 1, 0), (1, 0, 0))
    slopes = 1 + np.arange(5)[:, None, None]
    np.testing.assert_allclose(image.array[0], volume * slopes - 1024)
    np.testing.assert_array_equal(read(tmp_path).array, image.array)


def test_a_volume_along_another_axis(tmp_path, rng):
    sagittal = [0, 1, 0, 0, 0, -1]
    changes = {
        n: {"ImageOrientationPatient": sagittal, "ImagePositionPatient": [-3.0 * n, 0, 0],
            "RescaleSlope": 1, "RescaleIntercept": 0} for n in range(5)
    }  # fmt: skip
    volume = write_series(tmp_path, rng, changes=changes)
    image = read_series(tmp_path)
    assert image.directions == ((-1, 0, 0), (0, 0, -1), (0, 1, 0))
    np.testing.assert_array_equal(image.array[0], volume)


@pytest.mark.parametrize(
    ("changes", "leave_out", "word"),
    [
        ({}, (2,), "missing slice"),
        ({3: {"ImagePositionPatient": [10, 20, -45]}}, (), "duplicate position"),
        ({3: {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}}, (), "orientation"),
        ({3: {"PixelSpacing": [0.6, 0.75]}}, (), "spacing"),
        ({3: {"PatientID": "two"}}, (), "patients"),
        ({3: {"Rows": 8, "Columns": 6}}, (), "size"),
        ({3: {"FrameOfReferenceUID": "1.5"}}, (), "frames of reference"),
        ({3: {"PixelData": b"\0" * 10}}, (), "truncated"),
        ({3: {"ImagePositionPatient": [10, 20, -42.0]}}, (), "uneven"),
    ],
)
def test_what_makes_no_volume_is_named(tmp_path, rng, changes, leave_out, word):
    write_series(tmp_path, rng, changes=changes, leave_out=leave_out)
    with pytest.raises(InputError, match=word) as caught:
        read_series(tmp_path)
    assert str(caught.value).startswith(str(tmp_path))
    assert "s" in str(caught.value)


def test_two_series_are_two_volumes(tmp_path, rng):
    write_series(tmp_path / "a", rng)
    other = write_series(
        tmp_path / "b", rng, 3, changes={n: {"SeriesInstanceUID": "1.9"} for n in range(3)}
    )
    with pytest.raises(InputError, match="2 series"):
        read_series(tmp_path)
    assert [v.array.shape[1] for v in read_all_series(tmp_path)] == [5, 3]
    groups = group_series(sorted((tmp_path / "b").iterdir()))
    assert len(groups) == 1
    assert not groups[0].problems
    image = read_slices(groups[0].paths)
    np.testing.assert_array_equal(image.array[0, 0], other[0] - 1024)


def test_without_positions_the_numbers_count_and_it_is_said(tmp_path, rng):
    changes = {n: {"ImagePositionPatient": None, "RescaleSlope": 1} for n in range(4)}
    volume = write_series(tmp_path, rng, 4, changes=changes)
    with pytest.warns(InputWarning, match="position"):
        image = read_series(tmp_path)
    np.testing.assert_array_equal(image.array[0], volume - 1024)


def test_a_tilted_gantry_is_said(tmp_path, rng):
    changes = {n: {"ImagePositionPatient": [10, 20 + n, -50 + 2.5 * n]} for n in range(5)}
    write_series(tmp_path, rng, changes=changes)
    with pytest.warns(InputWarning, match="gantry tilt"):
        image = read_series(tmp_path)
    assert image.spacing[0] == pytest.approx((2.5**2 + 1) ** 0.5)
    assert image.directions[0][1] > 0.3
    # The last slice lies where its header says.
    affine = Placement.of(image).affine
    assert affine is not None
    np.testing.assert_allclose(affine @ [4, 0, 0, 1], [10, 24, -40], atol=1e-4)


def test_moments_at_one_place_are_told_apart_by_their_time(tmp_path, rng):
    volume = rng.integers(0, 4000, (3, 4, 6, 8))  # moments, places
    for t in range(3):
        for z in range(4):
            data = dataset(
                volume[t, z], InstanceNumber=t * 4 + z, TriggerTime=40.0 * t,
                ImagePositionPatient=[0, 0, 5.0 * z], ImageOrientationPatient=AXIAL,
                PixelSpacing=[1, 1],
            )  # fmt: skip
            save(data, tmp_path / f"{z}-{2 - t}")
    image = read_series(tmp_path)
    assert image.axes == "tzyx"
    assert image.times == pytest.approx((0, 0.04, 0.08))
    assert image.spacing == pytest.approx((0.04, 5, 1, 1))
    np.testing.assert_array_equal(image.array[0], volume)


def test_frames_of_one_place_without_times_go_by_their_number(tmp_path, rng):
    clip = rng.integers(0, 4000, (4, 6, 8))
    for t in range(4):
        data = dataset(
            clip[t], InstanceNumber=30 + t, TriggerTime=5.0, ImagePositionPatient=[0, 0, 5],
            ImageOrientationPatient=AXIAL, PixelSpacing=[1, 1],
        )  # fmt: skip
        save(data, tmp_path / f"{9 - t}")
    with pytest.warns(InputWarning, match="4 images of one place without times"):
        image = read_series(tmp_path)
    assert image.times is None
    assert image.axes in ("tyx", "tzyx")
    np.testing.assert_array_equal(image.array.reshape(clip.shape), clip)
    for name in ("6", "7"):  # two images of one place may be one slice that is there twice
        (tmp_path / name).unlink()
    with pytest.raises(InputError, match="duplicate position"):
        read_series(tmp_path)


def test_a_single_slice_has_the_thickness_of_its_header(tmp_path, rng):
    write_series(tmp_path, rng, 1, changes={0: {"SliceThickness": 7}})
    image = read_series(tmp_path)
    assert image.array.shape == (1, 1, 6, 8)
    assert image.spacing == (7, 0.5, 0.75)


def test_a_folder_without_dicom_or_with_a_broken_file_is_named(tmp_path, rng):
    with pytest.raises(InputError, match="without DICOM"):
        read_series(tmp_path)
    write_series(tmp_path, rng)
    (tmp_path / "notes.txt").write_text("notes")
    with pytest.warns(InputWarning, match="1 files that are not DICOM"):
        read_series(tmp_path)
    (tmp_path / "s0.dcm").write_text("no DICOM at all")
    with pytest.raises(InputError, match=r"s0\.dcm"):
        read_series(tmp_path)


def item(**values):
    data = pydicom().Dataset()
    for name, value in values.items():
        setattr(data, name, value)
    return data


def enhanced(rng, order, step=3.0, slopes=None):
    volume = rng.integers(0, 4000, (max(order) + 1, 6, 8))
    frames = []
    for place in order:
        frame = item(
            PlanePositionSequence=[item(ImagePositionPatient=[1, 2, step * place])],
            PixelValueTransformationSequence=[
                item(RescaleSlope=slopes[place] if slopes else 1, RescaleIntercept=0)
            ],
        )
        frames.append(frame)
    shared = item(
        PixelMeasuresSequence=[item(PixelSpacing=[0.5, 0.6], SliceThickness=9)],
        PlaneOrientationSequence=[item(ImageOrientationPatient=AXIAL)],
    )
    return volume, dataset(
        volume[list(order)], ENHANCED_CT, NumberOfFrames=len(order),
        PerFrameFunctionalGroupsSequence=frames, SharedFunctionalGroupsSequence=[shared],
    )  # fmt: skip


def test_frames_of_an_enhanced_volume_are_sorted_and_scaled_each(tmp_path, rng):
    volume, data = enhanced(rng, (2, 0, 3, 1), slopes=(1, 2, 3, 4))
    image = read(save(data, tmp_path / "e.dcm"))
    assert image.axes == "zyx"
    assert image.spacing == (3, 0.5, 0.6)
    assert image.position == (1, 2, 0)
    wanted = np.stack([volume[place] * (place + 1) for place in range(4)])
    np.testing.assert_allclose(image.array[0], wanted)


def test_a_missing_frame_is_named(tmp_path, rng):
    _, data = enhanced(rng, (2, 0, 3))
    path = save(data, tmp_path / "e.dcm")
    with pytest.raises(InputError, match="missing frame"):
        read(path)


@pytest.mark.parametrize(
    ("timing", "times"),
    [
        ({"FrameTime": 40}, (0, 0.04, 0.08)),
        ({"FrameTimeVector": [0, 30, 50]}, (0, 0.03, 0.08)),
        ({"CineRate": 25}, (0, 0.04, 0.08)),
        ({}, None),
    ],
)
def test_frames_without_places_are_a_clip(tmp_path, rng, timing, times):
    clip = rng.integers(0, 4000, (3, 6, 8))
    image = read(save(dataset(clip, NumberOfFrames=3, **timing), tmp_path / "c.dcm"))
    assert image.axes == "tyx"
    assert image.times == (None if times is None else pytest.approx(times))
    assert image.spacing[0] == (None if times is None else pytest.approx(0.04))
    np.testing.assert_array_equal(image.array[0], clip)


def test_frames_that_are_not_there_are_not_made_up(tmp_path, rng):
    clip = rng.integers(0, 4000, (3, 6, 8))
    path = save(dataset(clip, NumberOfFrames=4), tmp_path / "c.dcm")
    with pytest.raises(InputError, match="shorter than the expected"):
        read(path)


def test_facts_hold_known_terms_only(tmp_path, rng):
    data = dataset(
        rng.integers(0, 9, (6, 8)), BodyPartExamined="MUELLER", ViewPosition="PA", Modality="DX",
        ImageType=["DERIVED", "PRIMARY", "MUELLER"],
    )  # fmt: skip
    facts = read(save(data, tmp_path / "f.dcm")).facts
    assert facts["body_part"] == "other"
    assert facts["view"] == "PA"
    assert "MUELLER" not in str(facts)


@pytest.mark.parametrize("name", ["brain_mri_dicom_pgbm", "cardiac_cine_dicom"])
def test_real_series_read(real_data, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        volumes = read_all_series(real_data(name))
    if name == "cardiac_cine_dicom":
        assert [v.array.shape for v in volumes] == [(1, 32, 1, 256, 256)] * 5
    else:
        shapes = sorted(v.array.shape for v in volumes)
        assert shapes.count((1, 22, 320, 280)) == 4
        assert len(shapes) == 7
