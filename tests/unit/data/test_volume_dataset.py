"""Crops of volumes and clips: where they lie, that they repeat, and that only they are read."""

import pickle

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import write_nifti

from medjepa.data import open_volumes, prepare, read
from medjepa.data.crop_places import (
    Crop,
    centred_start,
    drawn_start,
    fill_box,
    frame_numbers,
    start_around,
)
from medjepa.data.foreground import BLOCK, find_foreground
from medjepa.data.shard_files import TensorFile
from medjepa.data.volume_dataset import VolumeDataset
from medjepa.data.volume_pipeline import VolumePipeline
from medjepa.errors import ConfigError, DataError, InputError

SHAPES = {"odd": (31, 47, 24), "thin": (1, 20, 33), "tiny": (3, 4, 5), "large": (40, 50, 60)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Volumes of odd shapes, one of them through time; x, y, z in the files."""
    root = tmp_path_factory.mktemp("volumes")
    for seed, (name, shape) in enumerate(SHAPES.items()):
        rng = np.random.default_rng(seed)
        array = rng.integers(0, 4096, shape[::-1], np.int16)
        write_nifti(root / "in" / f"{name}.nii.gz", array, np.diag([0.5, 0.5, 5.0, 1]))
    cine = np.random.default_rng(9).integers(0, 999, (20, 24, 3, 7), np.int16)
    write_nifti(root / "in" / "cine.nii.gz", cine, np.diag([1.0, 2.0, 8.0, 1]))
    return root


def write_cine(path, array, step_seconds):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(array, np.eye(4))
    image.header["pixdim"][4] = step_seconds
    image.header.set_xyzt_units("mm", "sec")
    nibabel.save(image, path)


@pytest.fixture(scope="module")
def store(folder):
    return open_volumes(prepare(folder / "in", folder / "store", dimensions=3, num_workers=0).out)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 9), st.integers(0, 39))
def test_a_box_lies_inside_or_around(length, size, seed, centre):
    starts = [
        centred_start(length, size),
        drawn_start(length, size, np.random.default_rng(seed)),
        start_around(min(centre, length - 1), length, size),
    ]
    for start in starts:
        if length >= size:
            assert 0 <= start <= length - size
        else:  # around its middle, to half a voxel
            assert 0 <= -start <= size - length
            assert abs((-start) - (size - length + start)) <= 1
    middle = min(centre, length - 1)
    assert length < size or starts[2] <= middle < starts[2] + size


def test_drawn_boxes_reach_every_voxel_of_an_axis():
    rng = np.random.default_rng(0)
    starts = {drawn_start(10, 4, rng) for _ in range(300)}
    assert starts == set(range(7))


@given(st.integers(1, 50), st.integers(1, 20), st.floats(0.2, 9), st.none() | st.integers(0, 5))
def test_frames_are_evenly_apart_and_the_last_is_held(length, count, stride, seed):
    rng = None if seed is None else np.random.default_rng(seed)
    frames = frame_numbers(length, count, stride, rng)
    assert len(frames) == count
    assert list(frames) == sorted(frames)
    assert 0 <= frames[0] <= frames[-1] < length
    inside = [f for f in frames if f < length - 1]
    steps = np.diff(inside)
    assert (np.abs(steps - stride) <= 1).all()
    if (count - 1) * stride <= length - 1:  # it fits: nothing is held
        assert abs(frames[-1] - frames[0] - (count - 1) * stride) <= 1


def test_three_frames_and_four_thousand():
    assert frame_numbers(3, 8, 1, None) == (0, 1, 2, 2, 2, 2, 2, 2)
    assert frame_numbers(4000, 4, 100, None) == (1849, 1949, 2049, 2149)
    firsts = {frame_numbers(4000, 4, 100, np.random.default_rng(n))[0] for n in range(200)}
    assert min(firsts) < 200 < 3500 < max(firsts) <= 3699


@settings(max_examples=60)
@given(
    st.tuples(*[st.integers(1, 7)] * 3),
    st.tuples(*[st.integers(-9, 9)] * 3),
    st.tuples(*[st.integers(1, 9)] * 3),
)
def test_a_filled_box_is_the_padded_volume(shape, start, size):
    volume = np.random.default_rng(0).random((2, *shape), np.float32) + 1
    out = np.zeros((2, *size), np.float32)
    fill_box(
        out,
        lambda first, n: volume[
            (slice(None), *(slice(a, a + b) for a, b in zip(first, n, strict=True)))
        ],
        shape,
        start,
    )
    padded = np.pad(volume, [(0, 0), *[(20, 20)] * 3])
    box = tuple(slice(20 + s, 20 + s + n) for s, n in zip(start, size, strict=True))
    np.testing.assert_array_equal(out, padded[(slice(None), *box)])


@pytest.mark.parametrize("crop", [(16, 16, 16), (64, 64, 64), (1, 8, 8)])
def test_a_crop_is_the_part_of_the_whole(store, crop):
    dataset = VolumeDataset(store, crop=crop)
    assert len(dataset) == len(SHAPES)
    for index in range(len(dataset)):
        whole, spacing = dataset.whole(index)
        np.testing.assert_array_equal(spacing, np.float32([5, 0.5, 0.5]))
        padded = np.pad(whole, [(0, 0), *[(64, 64)] * 3])
        for draw in (None, 0, 7):
            place = dataset.place(index, draw)
            box = tuple(slice(64 + s, 64 + s + n) for s, n in zip(place.start, crop, strict=True))
            sample = dataset[index if draw is None else (index, draw)]
            np.testing.assert_array_equal(sample.image.numpy(), padded[(slice(None), *box)])
            assert sample.spacing.tolist() == [5.0, 0.5, 0.5]


def test_a_draw_is_a_function_of_seed_draw_and_item(store):
    options = {"crop": (8, 8, 8), "foreground": 0.5}
    first, again = (VolumeDataset(store, seed=3, **options) for _ in range(2))
    other = VolumeDataset(store, seed=4, **options)
    asked = [(index, draw) for draw in range(30) for index in (1, 0)]
    places = [first.place(*entry) for entry in asked]
    # In another order, and after a journey to a worker process.
    travelled = pickle.loads(pickle.dumps(again))
    assert [travelled.place(*entry) for entry in asked[::-1]][::-1] == places
    assert places != [other.place(*entry) for entry in asked]
    assert len({place.start for place in places}) > 50
    part = VolumeDataset(store, seed=3, indices=[1], **options)
    assert part.place(0, 5) == first.place(1, 5)
    # The same volume twice is two items, with draws of their own.
    twice = VolumeDataset([store, store], seed=3, **options)
    assert [twice.place(1, n) for n in range(5)] == [first.place(1, n) for n in range(5)]
    starts = [[twice.place(item, n).start for n in range(5)] for item in (1, 1 + len(first))]
    assert starts[0] != starts[1]
    batch = first.__getitems__(asked).batch
    for row, entry in enumerate(asked):
        np.testing.assert_array_equal(batch.images[row], again[entry].image)


def test_only_the_crop_is_read(store, monkeypatch):
    taken = []
    read_part = TensorFile.read

    def count(self, name, box):
        array = read_part(self, name, box)
        taken.append(array.size)
        return array

    monkeypatch.setattr(TensorFile, "read", count)
    VolumeDataset(store, crop=(4, 5, 6))[1]
    assert taken == [4 * 5 * 6]
    taken.clear()
    VolumeDataset(store, crop=(4, 5, 6), kind="clip", frame_step=2)[0]
    assert sum(taken) == 4 * 5 * 6


def test_a_cine_stack_is_one_clip_for_each_slice(store, folder):
    dataset = VolumeDataset(store, crop=(4, 24, 20), kind="clip", frame_step=2)
    assert len(dataset) == 3
    array = read(folder / "in" / "cine.nii.gz").array
    whole = store.show(dataset.items[0].index, array)
    for plane in range(3):
        sample = dataset[plane]
        assert dataset.place(plane).frames == (0, 2, 4, 6)
        np.testing.assert_array_equal(sample.image.numpy(), whole[:, 0:7:2, plane])
        assert np.isnan(sample.spacing[0].item())
        assert sample.spacing[1:].tolist() == [2.0, 1.0]
    short = VolumeDataset(store, crop=(12, 8, 8), kind="clip")
    image = short[1].image
    assert (image[:, 7:] == image[:, 6:7]).all()
    assert not (image[:, 6] == image[:, 5]).all()


def test_frames_are_apart_in_seconds(tmp_path):
    for name, rate in (("slow", 0.1), ("fast", 0.02)):
        array = np.random.default_rng(0).integers(0, 99, (6, 5, 1, 100), np.int16)
        write_cine(tmp_path / "in" / f"{name}.nii", array, rate)
    store = open_volumes(prepare(tmp_path / "in", tmp_path / "s", dimensions=3, num_workers=0).out)
    dataset = VolumeDataset(store, crop=(5, 4, 4), kind="clip", frame_seconds=0.2)
    steps = {round(item.spacing[0], 3): index for index, item in enumerate(dataset.items)}
    assert np.diff(dataset.place(steps[0.1]).frames).tolist() == [2] * 4
    assert np.diff(dataset.place(steps[0.02], 1).frames).tolist() == [10] * 4
    assert dataset[0].spacing[0] == pytest.approx(0.2)
    every = VolumeDataset(store, crop=(5, 4, 4), kind="clip", frame_step=3)
    assert every[steps[0.1]].spacing[0] == pytest.approx(0.3)


def test_the_pipeline_of_a_file_is_the_item_of_the_store(store, folder):
    for kind, crop in (("volume", (8, 8, 8)), ("clip", (4, 8, 8))):
        dataset = VolumeDataset(store, crop=crop, kind=kind)
        pipeline = VolumePipeline.from_dict(dataset.pipeline.to_dict())
        assert dataset.pipeline.to_dict()["dimensions"] == 3
        names = [*SHAPES] if kind == "volume" else ["cine"]
        found = []
        for name in names:
            found += pipeline.all(pipeline.read(folder / "in" / f"{name}.nii.gz"))
        wholes = [dataset.whole(index) for index in range(len(dataset))]
        for values, spacing in found:
            same = [w for w in wholes if w[0].shape == values.shape and (w[0] == values).all()]
            assert len(same) == 1
            np.testing.assert_array_equal(same[0][1], spacing)
    with pytest.raises(InputError, match="3 slices through time"):
        pipeline(pipeline.read(folder / "in" / "cine.nii.gz"))


def test_drawn_crops_lie_on_the_foreground_as_often_as_asked(tmp_path):
    array = np.zeros((64, 64, 64), np.int16)
    array[40:56, 8:16, 48:64] = 1000  # x, y, z in the file; canonical already
    write_nifti(tmp_path / "in" / "a.nii", array, np.eye(4))
    store = open_volumes(prepare(tmp_path / "in", tmp_path / "s", dimensions=3, num_workers=0).out)
    found = find_foreground(store, 0)
    blocks = np.zeros(found.grid, bool)
    blocks.flat[found.blocks] = True
    expected = np.zeros((8, 8, 8), bool)
    expected[6:8, 1:2, 5:7] = True
    assert BLOCK == 8
    np.testing.assert_array_equal(blocks, expected)
    for share in (0.0, 0.5, 1.0):
        dataset = VolumeDataset(store, crop=(1, 1, 1), foreground=share)
        lit = [bool(dataset[(0, draw)].image.item()) for draw in range(200)]
        assert abs(np.mean(lit) - share) < 0.1


def test_what_makes_no_sense_is_refused_by_name(store, folder, tmp_path):
    for options, message in (
        ({"crop": (8, 8)}, "data.crop"),
        ({"crop": (0, 8, 8)}, "data.crop"),
        ({"foreground": 1.5}, "data.foreground"),
        ({"frame_step": 0}, "data.frame_step"),
        ({"frame_seconds": 0.0}, "data.frame_seconds"),
        ({"frame_seconds": 0.1, "frame_step": 2}, "one of the two"),
    ):
        with pytest.raises(ConfigError, match=message):
            VolumeDataset(store, **{"crop": (8, 8, 8), **options})
    for options, message in (
        ({"indices": [4]}, r"outside 0\.\.3"),
        ({"channels": 2}, "has 1 channels, 2 are needed"),
        ({"kind": "clip", "frame_seconds": 0.1}, "not known of 3 of 3"),
        ({"modality": "x"}, "data.modality"),
    ):
        with pytest.raises(DataError, match=message):
            VolumeDataset(store, **{"crop": (8, 8, 8), **options})
    other = prepare(folder / "in", tmp_path / "o", dimensions=3, spacing=(5, 1, 1), num_workers=0)
    with pytest.raises(DataError, match=r"data\.spacing"):
        VolumeDataset([store, open_volumes(other.out)], crop=(8, 8, 8))


def test_several_stores_are_counted_in_turn(store):
    dataset = VolumeDataset([store, store], crop=(8, 8, 8), indices=[0, 2, 5])
    assert dataset.source_counts == [2, 1]
    again = VolumeDataset(store, crop=(8, 8, 8))[1]
    np.testing.assert_array_equal(dataset[2].image, again.image)
    part = dataset.read_crop(Crop(5, (1, 2, 3), (2, 2, 2)))
    np.testing.assert_array_equal(part, dataset.whole(2)[0][:, 1:3, 2:4, 3:5])
