"""A volume that shows nothing is named and left out; a blank contrast is told."""

from dataclasses import replace

import numpy as np
import pytest
from image_files import write_nifti

from medjepa.data import open_volumes, prepare
from medjepa.data.ingest import IngestSettings, IngestTask, ingest
from medjepa.data.modality import IntensityPlan

SETTINGS = IngestSettings(size=(8, 8), dimensions=3)


@pytest.mark.parametrize("shape", [(6, 7, 8), (6, 7, 1), (6, 7, 2, 5), (1, 1, 1)])
def test_a_constant_volume_or_clip_fails_with_its_reason(tmp_path, shape):
    path = write_nifti(tmp_path / "a.nii", np.full(shape, 7, np.int16), np.eye(4))
    found = ingest(IngestTask((str(path),)), SETTINGS, frozenset())
    assert found.status == "failed"
    assert "nothing to see" in found.reason


def test_one_voxel_that_differs_is_enough(tmp_path):
    volume = np.full((6, 7, 8), 7, np.int16)
    volume[3, 2, 1] = 8
    path = write_nifti(tmp_path / "a.nii", volume, np.eye(4))
    found = ingest(IngestTask((str(path),)), SETTINGS, frozenset())
    assert (found.status, found.warnings) == ("good", ())


@pytest.mark.parametrize(("shift", "says"), [(-4000, "black"), (0, "")])
def test_a_volume_that_its_window_does_not_show_is_told(tmp_path, shift, says):
    hounsfield = np.random.default_rng(0).integers(-900, 100, (9, 10, 8)) + shift
    path = write_nifti(tmp_path / "a.nii", hounsfield.astype(np.int16), np.eye(4))
    lungs = replace(SETTINGS, intensity=IntensityPlan.named("ct_lung", "ct"))
    found = ingest(IngestTask((str(path),), "ct"), lungs, frozenset())
    assert found.status == "good"
    assert [says in text and "data.intensity" in text for text in found.warnings] == (
        [True] if says else []
    )


def test_a_blank_contrast_is_told_by_its_name(tmp_path):
    rng = np.random.default_rng(0)
    for case in "ab":
        for name in ("flair", "t1"):
            blank = (case, name) == ("b", "t1")
            volume = np.zeros((6, 7, 8)) if blank else rng.integers(0, 99, (6, 7, 8))
            write_nifti(
                tmp_path / "in" / case / f"{case}_{name}.nii", volume.astype(np.int16), np.eye(4)
            )
    report = prepare(
        tmp_path / "in", tmp_path / "out", dimensions=3, contrasts=("flair", "t1"), num_workers=0
    )
    assert len(open_volumes(tmp_path / "out")) == 2
    assert len(report.doubts) == 1
    assert "every value of t1 is the same" in report.doubts[0][1]
