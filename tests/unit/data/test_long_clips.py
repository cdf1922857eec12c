"""A clip that does not fit into memory comes out as one that does."""

import numpy as np
import pytest
from clip_files import frame, write_clip

from medjepa.data import open_volumes, prepare, read
from medjepa.data.long_clips import is_long
from medjepa.data.modality import IntensityPlan
from medjepa.data.volume_dataset import VolumeDataset
from medjepa.data.volume_items import VolumeSteps


def steps(**options):
    return VolumeSteps(intensity=IntensityPlan.named("auto", "ultrasound"), **options)


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("fit", ["stretch", "pad"])
def test_frames_made_small_one_by_one_are_those_made_small_together(
    tmp_path, monkeypatch, colour, fit
):
    # A black border, to be cropped: 16 of 64 columns.
    path = write_clip(tmp_path / "a.mp4", 9, colour=colour)
    taken = steps(frame_size=(20, 24), fit=fit)
    whole = taken.read(str(path))
    assert not is_long(str(path))
    monkeypatch.setattr("medjepa.data.decode.limits.MAX_DECODED_BYTES", 3 * 9 * 48 * 64 - 1)
    assert is_long(str(path))
    small = taken.read(str(path))
    assert (whole.array.shape[2:], small.array.shape[2:]) == ((48, 64), (20, 24))
    together, one_by_one = taken(whole), taken(small)
    np.testing.assert_array_equal(together.pixels, one_by_one.pixels)
    assert together.window == one_by_one.window
    assert together.spacing == one_by_one.spacing == (0.04, None, None)
    assert together.pixels.shape[0] == (3 if colour else 1)


def test_only_videos_are_read_so(tmp_path, monkeypatch):
    monkeypatch.setattr("medjepa.data.decode.limits.MAX_DECODED_BYTES", 1)
    np.save(tmp_path / "a.npy", np.zeros((2, 3, 4)))
    assert not is_long(str(tmp_path / "a.npy"))
    assert not is_long(str(tmp_path))
    path = write_clip(tmp_path / "a.mp4", 3)
    monkeypatch.undo()
    assert steps().read(str(path)).array.shape == read(path).array.shape


def test_a_clip_of_many_frames_is_stored_small_and_read_in_part(tmp_path, monkeypatch):
    count = 600
    (tmp_path / "in").mkdir()
    write_clip(tmp_path / "in" / "long.mp4", count)
    monkeypatch.setattr("medjepa.data.decode.limits.MAX_DECODED_BYTES", 1 << 20)
    report = prepare(tmp_path / "in", tmp_path / "s", dimensions=3, num_workers=0, frame_size=16)
    store = open_volumes(report.out)
    assert store.items[0].shape == (1, count, 16, 16)
    dataset = VolumeDataset(store, crop=(4, 16, 16), kind="clip", frame_step=150)
    assert dataset.place(0).frames == (74, 224, 374, 524)
    bars = dataset[0].image[0, :, -1].numpy()
    for row, number in zip(bars, dataset.place(0).frames, strict=True):
        expected = frame(number)[-1, ::4, 0] / 255
        np.testing.assert_allclose(row, expected, atol=0.2)
