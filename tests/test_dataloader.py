"""The guide's data set in a data loader: shapes, labels, and a step of training from it."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from medjepa.data.datasets import MedicalImageDataset
from medjepa.models.lejepa import LeJEPA
from medjepa.models.registry import ENCODERS

NUM_IMAGES = 6


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image_id", "dx"])
        for i in range(NUM_IMAGES):
            pixels = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"image_{i}.jpg")
            table.writerow([f"image_{i}", ["nv", "mel"][i % 2]])
    return tmp_path


def labelled(folder):
    return MedicalImageDataset(
        folder, metadata_csv=folder / "labels.csv", label_column="dx", target_size=(32, 32)
    )


def test_batches_of_images_and_class_indices(folder):
    dataset = labelled(folder)
    assert len(dataset) == NUM_IMAGES
    assert sorted(dataset.class_names) == ["mel", "nv"]
    images, labels = next(iter(DataLoader(dataset, batch_size=4)))
    assert images.shape == (4, 3, 32, 32)
    assert images.dtype == torch.float32
    assert 0 <= images.min() < images.max() <= 1
    assert [dataset.class_names[int(i)] for i in labels] == ["nv", "mel", "nv", "mel"]


def test_worker_processes_give_what_one_process_gives(folder):
    alone = torch.cat([images for images, _ in DataLoader(labelled(folder), batch_size=2)])
    helped = torch.cat(
        [images for images, _ in DataLoader(labelled(folder), batch_size=2, num_workers=1)]
    )
    assert torch.equal(alone, helped)


def test_a_transform_is_applied_and_labels_are_optional(folder):
    dataset = MedicalImageDataset(folder, target_size=(32, 32), transform=lambda image: 1 - image)
    plain = MedicalImageDataset(folder, target_size=(32, 32))
    assert len(dataset) == NUM_IMAGES
    torch.testing.assert_close(dataset[0], 1 - plain[0])


def test_a_batch_is_what_the_model_trains_on(folder):
    torch.manual_seed(0)
    model = LeJEPA(**ENCODERS["vit_test"], num_directions=8, projector_dim=16)
    images, _ = next(iter(DataLoader(labelled(folder), batch_size=NUM_IMAGES)))
    losses = model(images)
    losses["total_loss"].backward()
    assert losses["total_loss"].isfinite()
    assert model.encode(images).shape == (NUM_IMAGES, 32)
