"""Small images of two kinds in files with a table, and a checkpoint of an encoder for them."""

import numpy as np
import torch
from PIL import Image

from medjepa.checkpoint import save_checkpoint
from medjepa.data.preprocessing import Pipeline
from medjepa.models.lejepa import LeJEPA

SIZE = 16
NAME = "Jane_Doe"


def write_run(folder, *, seed=0):
    """An encoder without training."""
    torch.manual_seed(seed)
    model = LeJEPA(
        SIZE, 8, 1, embed_dim=16, encoder_depth=2, encoder_heads=2, projector_dim=8,
        projection_dim=4, num_directions=8,
    )  # fmt: skip
    model.set_pixel_statistics(torch.tensor([0.5]), torch.tensor([0.3]))
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


def write_images(folder, *, num_patients=60, num_test=24, flip_test=False, classes=("a", "b")):
    """Two images a patient; of class b are those with a bright stripe across."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    rows = ["file,patient,split,finding"]
    for patient in range(num_patients):
        label = patient % len(classes)
        part = "test" if patient < num_test else "train"
        shown = classes[1 - label] if flip_test and part == "test" else classes[label]
        for number in range(2):
            image = rng.normal(110, 25, (SIZE, SIZE))
            row = int(rng.integers(2, SIZE - 4))
            if label:
                image[row : row + 2] += 60
            name = f"{NAME}_{patient}_{number}.png"
            Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / name)
            rows.append(f"{name},{NAME}{patient},{part},{shown}")
    (folder / "labels.csv").write_text("\n".join(rows))
    return folder
