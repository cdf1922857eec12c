"""The store of volumes: what goes in comes out, whole or in part, and a part costs only a part."""

import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_files import grey, write_nifti, write_png

from medjepa.data import open_store, open_volumes, prepare, read
from medjepa.data.ingest import IngestSettings, IngestTask, ingest
from medjepa.data.planes import chosen_frames
from medjepa.data.shard_files import TensorFile, write_tensors
from medjepa.data.volume_items import stored_volume
from medjepa.errors import ConfigError, DataError, InputError
from medjepa.types import MedicalImage

AFFINE = np.array([[-1.0, 0, 0, 3], [0, 2, 0, 4], [0, 0, 3, 5], [0, 0, 0, 1]])


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    """A folder with volumes of several shapes and kinds, and its store."""
    root = tmp_path_factory.mktemp("volumes")
    rng = np.random.default_rng(0)
    write_nifti(root / "in" / "a.nii.gz", rng.integers(-999, 999, (9, 8, 7), np.int16), AFFINE)
    write_nifti(root / "in" / "b.nii", rng.normal(size=(5, 6, 4)).astype(np.float32), AFFINE)
    np.save(root / "in" / "c.npy", rng.integers(0, 255, (4, 30, 20), np.uint8))
    write_png(root / "in" / "flat.png", grey(0))
    report = prepare(root / "in", root / "out", dimensions=3, num_workers=0)
    return root / "in", report


def test_every_volume_is_one_item_at_its_own_resolution(volumes):
    folder, report = volumes
    assert (report.found, report.good, report.skipped, report.failed) == (4, 3, 1, 0)
    store = open_volumes(report.out)
    assert len(store) == 3
    for index, name in enumerate(["a.nii.gz", "b.nii", "c.npy"]):
        image, item, stored = read(folder / name), store.items[index], store.read(index)
        assert (item.axes, item.shape, item.spacing) == ("zyx", image.array.shape, image.spacing)
        assert (item.directions, item.position) == (image.directions, image.position)
        assert stored.dtype == image.array.dtype
        np.testing.assert_array_equal(stored, image.array)
        shown = store.show(index, stored)
        low, high = item.window
        expected = np.clip((image.array.astype(np.float64) - low) / (high - low), 0, 1)
        np.testing.assert_allclose(shown, expected, atol=1e-6)
        assert shown.dtype == np.float32


@given(st.data())
def test_a_crop_is_that_part_of_the_volume(volumes, data):
    store = open_volumes(volumes[1].out)
    index = data.draw(st.integers(0, len(store) - 1))
    start, shape = [], []
    for length in store.items[index].shape[1:]:
        start.append(data.draw(st.integers(0, length - 1)))
        shape.append(data.draw(st.integers(1, length - start[-1])))
    crop = store.read_crop(index, start, shape)
    box = tuple(slice(s, s + n) for s, n in zip(start, shape, strict=True))
    np.testing.assert_array_equal(crop, store.read(index)[(slice(None), *box)])
    assert crop.flags.c_contiguous
    assert crop.flags.writeable


@pytest.mark.parametrize(
    ("start", "shape"),
    [((0, 0, -1), (1, 1, 1)), ((0, 0, 0), (1, 0, 1)), ((0, 0, 0), (8, 1, 1)), ((0, 0), (1, 1))],
)
def test_a_crop_outside_is_refused(volumes, start, shape):
    with pytest.raises(DataError, match="not inside item 0, whose zyx are"):
        open_volumes(volumes[1].out).read_crop(0, start, shape)


def test_a_store_travels_to_other_processes(volumes):
    store = open_volumes(volumes[1].out)
    store.read(0)
    copy = pickle.loads(pickle.dumps(store))
    np.testing.assert_array_equal(copy.read(2), store.read(2))


def test_each_kind_of_store_is_opened_by_its_own_name(volumes, tmp_path):
    with pytest.raises(DataError, match="open_volumes"):
        open_store(volumes[1].out)
    write_png(tmp_path / "in" / "a.png", grey(0))
    prepare(tmp_path / "in", tmp_path / "out", size=8, num_workers=0)
    with pytest.raises(DataError, match="open_store"):
        open_volumes(tmp_path / "out")
    with pytest.raises(DataError, match="dimensions = 3, not 2"):
        prepare(volumes[0], volumes[1].out, size=8, num_workers=0)


def test_nothing_private_is_in_the_index(volumes):
    public = b"".join(p.read_bytes() for p in volumes[1].out.iterdir() if p.is_file()).decode(
        "latin-1"
    )
    for secret in (str(volumes[0]), "a.nii", "c.npy"):
        assert secret not in public


def test_the_same_again_decodes_nothing(volumes):
    report = prepare(volumes[0], volumes[1].out, dimensions=3, num_workers=0)
    assert (report.good, report.num_known, report.num_images) == (3, 3, 3)


def test_shards_are_safetensors_that_any_reader_opens(tmp_path):
    from safetensors.numpy import load_file

    rng = np.random.default_rng(0)
    arrays = {
        "0": rng.integers(0, 9, (3, 4, 5), np.uint8).transpose(2, 0, 1),
        "1": rng.normal(size=(2, 2)).astype(np.float32),
        "2": rng.integers(-9, 9, (7,), np.int16),
        "3": rng.integers(0, 9, (1, 3), np.uint16),
    }
    write_tensors(tmp_path / "a.safetensors", arrays)
    for loaded in (
        load_file(tmp_path / "a.safetensors"),
        TensorFile(tmp_path / "a.safetensors").tensors,
    ):
        assert loaded.keys() == arrays.keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(loaded[name], array)
            assert loaded[name].dtype == array.dtype
    content = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "a.safetensors").write_bytes(content[:-5])
    with pytest.raises(DataError, match="damaged"):
        TensorFile(tmp_path / "a.safetensors")


def image_of(array, axes="zyx", spacing=(3.0, 1.0, 2.0)):
    directions = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
    return MedicalImage(
        array=array, axes=axes, spacing=spacing, source="a", position=(0.0, 0.0, 0.0),
        directions=directions,
    )  # fmt: skip


def test_resampling_keeps_the_extent_the_values_and_the_place():
    z, y, x = np.meshgrid(*(np.arange(n) for n in (10, 24, 12)), indexing="ij")
    ramp = (3.0 * z + 1.0 * y + 2.0 * x).astype(np.float32)  # the place in mm
    stored = stored_volume(image_of(ramp[None]), "auto", (1.5, 2.0, 2.0))
    assert stored.pixels.shape == (1, 20, 12, 12)
    assert stored.spacing == (1.5, 2.0, 2.0)
    # The first voxel's centre moves with the step: half a voxel of the old to half of the new.
    assert stored.position == (0.0, 0.5, -0.75)
    inner = stored.pixels[0, 4:-4, 2:-2, 2:-2]
    z, y, x = np.meshgrid(*(np.arange(n) for n in (20, 12, 12)), indexing="ij")
    expected = (-0.75 + 1.5 * z) + (0.5 + 2.0 * y) + 2.0 * x
    np.testing.assert_allclose(inner, expected[4:-4, 2:-2, 2:-2], atol=1e-3)
    whole = np.random.default_rng(0).integers(0, 4096, (1, 16, 16, 16), np.int16)
    small = stored_volume(image_of(whole, spacing=(1.0, 1.0, 1.0)), "auto", (4.0, 4.0, 4.0)).pixels
    blocks = whole[0].reshape(4, 4, 4, 4, 4, 4).mean((1, 3, 5))
    assert small.dtype == np.int16
    np.testing.assert_allclose(small[0], blocks, atol=1.1)


def test_a_clip_is_resampled_in_space_alone_and_unknown_spacing_is_refused():
    clip = np.zeros((1, 5, 8, 8), np.uint8)
    stored = stored_volume(image_of(clip, "tyx", (0.04, 0.5, 0.5)), "auto", (9.0, 1.0, 1.0))
    assert (stored.pixels.shape, stored.spacing) == ((1, 5, 4, 4), (0.04, 1.0, 1.0))
    with pytest.raises(InputError, match=r"spacing along y is unknown.*data\.spacing"):
        stored_volume(image_of(clip, "tyx", (None, None, 0.5)), "auto", (1.0, 1.0, 1.0))
    with pytest.raises(InputError, match="too large"):
        stored_volume(image_of(clip, "zyx", (9.0, 9.0, 9.0)), "auto", (1e-3, 1e-3, 1e-3))
    with pytest.raises(ConfigError, match=r"data\.spacing"):
        prepare("x", "y", dimensions=3, spacing=(1.0, 0.0, 1.0))


@given(st.integers(1, 300), st.integers(1, 20))
def test_frames_are_chosen_evenly(num_frames, most):
    chosen = chosen_frames(num_frames, None, most)
    assert len(chosen) == min(num_frames, most)
    assert chosen == sorted(set(chosen))
    assert 0 <= chosen[0] <= chosen[-1] < num_frames
    if num_frames > most:
        steps = np.diff([-chosen[0] - 1, *chosen])[1:]
        assert steps.size == 0 or steps.max() - steps.min() <= 1
    assert chosen_frames(num_frames, None, 0) == list(range(num_frames))


def test_frames_are_chosen_by_time_where_it_is_known():
    slow_then_fast = (*range(10), *(10 + i / 90 for i in range(90)))
    chosen = chosen_frames(100, slow_then_fast, 10)
    assert [round(slow_then_fast[i]) for i in chosen] == sorted(
        {round(slow_then_fast[i]) for i in chosen}
    )
    assert sum(i < 10 for i in chosen) >= 8
    assert len(chosen_frames(9, (0.0,) * 9, 3)) == 3


def test_a_clip_gives_frames_of_one_group_to_a_store_of_images(monkeypatch, tmp_path):
    frames = np.random.default_rng(0).integers(0, 255, (1, 20, 12, 10), np.uint8)
    frames[0, 12] = 5
    clip = MedicalImage(array=frames, axes="tyx", spacing=(0.04, 1.0, 1.0), source="a", group="P")
    stack = MedicalImage(array=frames.reshape(1, 4, 5, 12, 10), axes="tzyx",
                         spacing=(1.0, 1.0, 1.0, 1.0), source="a")  # fmt: skip
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY")
    settings = IngestSettings((6, 5), frames_per_clip=4)
    monkeypatch.setattr("medjepa.data.ingest.read_at_least", lambda *a: (clip, (1, 1)))
    result = ingest(IngestTask((str(tmp_path / "a.npy"),)), settings, frozenset())
    assert (result.status, result.group, result.num_constant) == ("good", "P", 1)
    assert [image.part for image in result.images] == [2, 7, 17]
    monkeypatch.setattr("medjepa.data.ingest.read_at_least", lambda *a: (stack, (1, 1)))
    result = ingest(
        IngestTask((str(tmp_path / "a.npy"),)),
        IngestSettings((6, 5), frames_per_clip=2),
        frozenset(),
    )
    assert [image.part for image in result.images] == [0, 1, 2, 3, 4, 10, 11, 13, 14]
    assert len({image.window for image in result.images}) == 1


def test_processes_give_what_this_process_gives(volumes, tmp_path):
    report = prepare(volumes[0], tmp_path / "out", dimensions=3, num_workers=2)
    here, there = open_volumes(volumes[1].out), open_volumes(report.out)
    assert here.keys == there.keys
    for index in range(3):
        np.testing.assert_array_equal(here.read(index), there.read(index))
    index = json.loads((report.out / "index.json").read_text())
    settings = index["settings"]
    assert (settings["dimensions"], settings["channels"], settings["spacing"]) == (3, "auto", None)
    assert set(settings) == {
        "dimensions", "channels", "spacing", "intensity", "selection", "orientation", "frame_size",
        "contrasts", "fourth_axis",
    }  # fmt: skip
    assert report.num_decoded == 4
    assert report.files_per_second > 0
