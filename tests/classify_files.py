"""Small images of two kinds in files with a table, and checkpoints of encoders for them."""

import numpy as np
import torch
from PIL import Image

from medjepa.checkpoint import save_checkpoint
from medjepa.data.batching import Batch
from medjepa.data.preprocessing import Pipeline
from medjepa.models.classifier import Classifier
from medjepa.models.lejepa import LeJEPA
from medjepa.training.finetune_classify import ClassifySettings, finetune_classifier

SIZE = 16
NAME = "Jane_Doe"


def draw_image(label, rng):
    """A bright bar, lying or upright, somewhere on noise; (SIZE, SIZE) in [0, 1]."""
    image = rng.normal(0.4, 0.08, (SIZE, SIZE))
    at, along = rng.integers(1, SIZE - 3), rng.integers(0, SIZE - 9)
    image[at : at + 2, along : along + 9] += 0.3
    return (image.T if label else image).clip(0, 1)


def write_run(folder, *, folds=None):
    """A checkpoint; with `folds`, of an encoder that has learnt the answer on other images."""
    torch.manual_seed(0)
    model = LeJEPA(
        SIZE, 4, 1, embed_dim=24, encoder_depth=2, encoder_heads=2, projector_dim=8,
        projection_dim=4, num_directions=8,
    )  # fmt: skip
    model.set_pixel_statistics(torch.tensor([0.45]), torch.tensor([0.15]))
    if folds is not None:
        finetune_classifier(
            Classifier(model.encoder, 2, mean=model.pixel_mean, std=model.pixel_std),
            Endless(), np.array([0, 1]), folder=folds,
            settings=ClassifySettings(
                steps=200, learning_rate=3e-3, encoder_rate=1, layer_decay=1, strength=0
            ),
            seed=0, device=torch.device("cpu"),
        )  # fmt: skip
    payload = {
        "model_state_dict": model.state_dict(),
        "model_config": model.config,
        "model_type": "LeJEPA",
        "pipeline": Pipeline(size=(SIZE, SIZE), channels=1).to_dict(),
        "seed": 0,
        "config": {"seed": 0},
    }
    save_checkpoint(folder / "checkpoints" / "best_model.pt", payload)
    return folder


class Endless:
    """A new image at each draw."""

    def __len__(self):
        return 2

    def draw(self, pairs):
        images = [draw_image(index, np.random.default_rng([7, draw])) for index, draw in pairs]
        pixels = torch.tensor(np.stack(images), dtype=torch.float32)[:, None]
        return Batch(pixels, torch.zeros(len(pairs), dtype=torch.long))


def write_images(folder, *, num_patients=80, num_test=40, turn_test=False, classes=("a", "b")):
    """Two images a patient, as PNG with a table; `turn_test` exchanges test labels at random."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    rows = ["file,patient,split,finding"]
    for patient in range(num_patients):
        label = patient % len(classes)
        part = "test" if patient < num_test else "train"
        other = turn_test and part == "test" and patient % 3 < 2
        for number in range(2):
            name = f"{NAME}_{patient}_{number}.png"
            image = (255 * draw_image(label, rng)).astype(np.uint8)
            Image.fromarray(image).save(folder / name)
            rows.append(f"{name},{NAME}{patient},{part},{classes[label ^ int(other)]}")
    (folder / "labels.csv").write_text("\n".join(rows))
    return folder
