"""The prepared store: what goes in comes out, and nothing of it tells who the patient is."""

import json
import os
import pickle
import stat

import numpy as np
import pytest
import torch
from image_files import grey, write_dicom, write_nifti, write_png
from torch.utils.data import DataLoader

from medjepa.data import (
    BatchPlan,
    MedicalImagePreprocessor,
    Pipeline,
    StoreDataset,
    collate,
    ensure_store,
    open_store,
    prepare,
    read,
)
from medjepa.data.intensity import to_stored
from medjepa.data.resize import fit_to, resize
from medjepa.errors import DataError, InputWarning
from medjepa.types import MODALITIES


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A folder with one file of each kind, and its store at 16 x 20."""
    root = tmp_path_factory.mktemp("mixed")
    images = root / "JaneDoe"
    write_png(images / "a_grey.png", grey(0, (40, 50)))
    write_png(images / "b_colour.png", grey(1, (40, 50, 3)))
    write_png(images / "c_deep.png", grey(2, (40, 50), np.uint16))
    write_dicom(images / "d_ct.dcm", grey(3, (40, 50), np.int16), WindowCenter=40, WindowWidth=400)
    volume = np.random.default_rng(4).normal(size=(50, 40, 3)).astype(np.float32)
    volume[:, :, 1] = 5.0
    write_nifti(images / "e_mr.nii.gz", volume, np.eye(4))
    report = prepare(images, root / "store", size=(16, 20), num_workers=0)
    return images, report


def test_a_store_gives_what_the_pipeline_gives_for_the_file(mixed):
    images, report = mixed
    dataset = StoreDataset(open_store(report.out), channels=3)
    assert (dataset.pipeline.size, dataset.pipeline.channels) == ((16, 20), 3)
    for number, name in enumerate(["a_grey.png", "b_colour.png", "c_deep.png", "d_ct.dcm"]):
        replayed = Pipeline.from_dict(dataset.pipeline.to_dict())(read(images / name))
        np.testing.assert_allclose(dataset[number].image.numpy(), replayed, atol=1e-6)
    at_once = StoreDataset(open_store(report.out), channels=1, image_size=8)
    replayed = at_once.pipeline(read(images / "c_deep.png"))
    np.testing.assert_allclose(at_once[2].image.numpy(), replayed, atol=1e-6)


def test_each_content_keeps_its_dtype(mixed):
    store = open_store(mixed[1].out)
    kinds = [(store.shards[i.shard].dtype, store.shards[i.shard].channels) for i in store.items]
    assert kinds == [("uint8", 1), ("uint8", 3), ("uint16", 1), ("int16", 1), ("float32", 1),
                     ("float32", 1)]  # fmt: skip
    assert store.items[0].window == (0, 255)
    assert store.items[3].window == (-1000.0, 1000.0)  # HU, whatever the file's own window
    assert [i.modality for i in store.items][3:5] == ["ct", "generic"]
    assert store.items[3].spacing == (0.5, 0.75)
    assert (store.items[0].height, store.items[0].width) == (40, 50)


def test_slices_of_a_volume_share_key_group_and_window_and_constant_ones_are_counted(mixed):
    store, report = open_store(mixed[1].out), mixed[1]
    first, last = store.items[4:6]
    assert (first.part, last.part, report.num_constant_slices) == (0, 2, 1)
    assert first.key == last.key
    assert first.group == last.group != ""
    assert first.window == last.window


def test_a_slice_is_shown_as_a_viewer_shows_it(tmp_path):
    volume = np.zeros((8, 8, 1), np.float32)
    volume[:4, 4:, 0] = 1.0  # the patient's left (x small in RAS) and front (y large)
    write_nifti(tmp_path / "in" / "a.nii", volume, np.eye(4))
    store = open_store(prepare(tmp_path / "in", tmp_path / "out", size=8, num_workers=0).out)
    shown = store.gather(np.array([0]), 1)[0, 0]
    assert shown[:4, 4:].min() == 1.0  # top right
    assert shown.sum() == 16.0


def test_16_bits_make_the_round_trip(tmp_path):
    array = grey(0, (12, 12), np.uint16)
    write_png(tmp_path / "in" / "a.png", array)
    store = open_store(prepare(tmp_path / "in", tmp_path / "out", size=12, num_workers=0).out)
    np.testing.assert_array_equal(store.stored(0)[0], array)
    low, high = store.items[0].window
    expected = np.clip((array.astype(np.float64) - low) / (high - low), 0, 1)
    np.testing.assert_allclose(store.gather(np.array([0]), 1)[0, 0], expected, atol=1e-6)


def test_no_name_path_or_patient_leaves_the_private_folder(mixed):
    images, report = mixed
    public = [p for p in report.out.iterdir() if p.is_file()]
    assert {p.name for p in report.out.iterdir() if p.is_dir()} == {"private"}
    assert {p.suffix for p in public} == {".json", ".safetensors"}
    told = json.dumps(report.failures) + "".join(p.read_bytes().decode("latin-1") for p in public)
    for secret in ("SECRET-77", "Doe", "JaneDoe", "d_ct", "a_grey", str(images), ".png"):
        assert secret not in told
    records = {r.path: r for r in open_store(report.out).private_map().files}
    assert records["d_ct.dcm"].patient == "SECRET-77"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no permission bits")
def test_only_the_owner_can_read_the_private_folder(mixed):
    private = mixed[1].out / "private"
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    for path in private.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


def test_hashes_of_groups_differ_between_stores(mixed, tmp_path):
    again = open_store(prepare(mixed[0], tmp_path / "s", size=(16, 20), num_workers=0).out)
    assert again.keys == open_store(mixed[1].out).keys
    assert again.groups[3] != open_store(mixed[1].out).groups[3]


def test_batches_and_single_images_are_the_same_and_workers_can_read(mixed):
    dataset = StoreDataset(open_store(mixed[1].out), channels=1, image_size=16, modality="mri")
    batch = collate(dataset.__getitems__([5, 0, 3]))
    assert batch.images.shape == (3, 1, 16, 16)
    assert batch.images.dtype == torch.float32
    assert batch.modality.tolist() == [MODALITIES.index("mri")] * 3
    for row, number in enumerate([5, 0, 3]):
        torch.testing.assert_close(batch.images[row], dataset[number].image)
    samples = dataset.__getitems__([5, 0, 3])
    assert collate(samples).images.data_ptr() == samples[0].image.data_ptr()  # no copy is made
    torch.testing.assert_close(collate(list(samples)).images, batch.images)
    assert [len(part) for part in (samples[1:], list(samples))] == [2, 3]
    copy = pickle.loads(pickle.dumps(dataset))
    torch.testing.assert_close(copy[3].image, dataset[3].image)
    loader = DataLoader(
        dataset, batch_sampler=BatchPlan(6, 3, 0), collate_fn=collate, num_workers=1
    )
    assert sum(len(b.images) for b in loader) == 6


def test_several_stores_count_in_turn(mixed, tmp_path):
    write_png(tmp_path / "in" / "x.png", grey(9))
    other = open_store(prepare(tmp_path / "in", tmp_path / "out", size=8, num_workers=0).out)
    stores = [open_store(mixed[1].out), other]
    dataset = StoreDataset(stores, channels=3, image_size=12, modality=[None, "skin"])
    assert dataset.source_counts == [6, 1]
    assert dataset[6].image.shape == (3, 12, 12)
    assert dataset[6].modality == MODALITIES.index("skin")
    assert dataset[3].modality == MODALITIES.index("ct")
    alone = StoreDataset(other, channels=3, image_size=12)[0].image
    torch.testing.assert_close(dataset[6].image, alone)


def test_a_folder_is_prepared_into_the_cache_once(tmp_path):
    write_png(tmp_path / "in" / "a.png", grey(0))
    reports = []
    for _ in range(2):
        (store,) = ensure_store(
            tmp_path / "in", size=8, cache_dir=tmp_path / "c", num_workers=0, reports=reports
        )
    assert [r.num_known for r in reports] == [0, 1]
    (same,) = ensure_store(store.path, size=8)
    assert same.path == store.path
    with pytest.raises(DataError, match="no such"):
        ensure_store(tmp_path / "nothing", size=8)


def test_a_store_that_is_none_or_damaged_says_so(tmp_path, mixed):
    with pytest.raises(DataError, match="not a prepared store"):
        open_store(tmp_path)
    (tmp_path / "index.json").write_text("{")
    with pytest.raises(DataError, match="damaged"):
        open_store(tmp_path)
    index = (mixed[1].out / "index.json").read_bytes()
    (tmp_path / "index.json").write_bytes(index)
    with pytest.raises(DataError, match="shards are missing"):
        open_store(tmp_path)


def test_resizing_uses_every_pixel_and_keeps_the_mean():
    array = grey(0, (1, 48, 64), np.uint16)
    small = resize(array, (6, 8))
    blocks = array.reshape(1, 6, 8, 8, 8).mean((2, 4))
    assert small.dtype == np.uint16
    np.testing.assert_allclose(small, blocks, atol=0.51)


def test_padding_keeps_the_physical_aspect():
    array = np.full((1, 10, 20), 9, np.int16)
    padded = fit_to(array, (16, 16), fit="pad", fill=-3)
    assert (padded[0, 4:12] == 9).all()
    assert (padded[0, :4] == -3).all()
    assert (padded[0, 12:] == -3).all()
    # Rows twice as far apart as columns: the same field of view is square.
    assert (fit_to(array, (16, 16), fit="pad", spacing=(2.0, 1.0), fill=-3) == 9).all()


@pytest.mark.parametrize(
    ("values", "dtype", "offset"),
    [
        (np.array([0, 70000 - 1], np.int32) - 35000, "float32", 0),
        (np.array([100000, 100900], np.int32), "uint16", 100000),
        (np.array([-7, 900], np.int64), "int16", 0),
        (np.array([True, False]), "uint8", 0),
    ],
)
def test_the_smallest_dtype_that_keeps_the_values(values, dtype, offset):
    stored = to_stored(values)
    assert (stored.pixels.dtype.name, stored.offset) == (dtype, offset)
    np.testing.assert_array_equal(stored.pixels * stored.scale + stored.offset, values)


def test_a_constant_image_gives_zeros(tmp_path):
    path = write_png(tmp_path / "a.png", np.full((9, 9), 77, np.uint8))
    with pytest.warns(InputWarning, match="shows nothing"):
        image = MedicalImagePreprocessor(target_size=(6, 5)).preprocess(path)
    assert image.shape == (6, 5, 3)
    assert not image.any()
