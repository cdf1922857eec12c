"""A small folder of images on which runs are tried."""

import sys
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from torch import nn


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory):
    """40 grey images of 20 patients; the last 8 are marked for testing."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    rows = ["image_id,patient_id,split"]
    for number in range(40):
        coarse = Image.fromarray(rng.integers(0, 255, (6, 6), dtype=np.uint8))
        coarse.resize((40, 40), Image.Resampling.BILINEAR).save(folder / f"{number:02d}.png")
        rows.append(f"{number:02d},p{number // 2},{'train' if number < 32 else 'test'}")
    (folder / "table.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture
def tiny_run(image_folder, tmp_path_factory):
    """Return the key=value arguments of a run of 4 epochs of 4 steps."""

    def arguments(out, *more):
        cache = tmp_path_factory.getbasetemp() / "cache"
        return [
            f"data={image_folder}", f"out={out}", "model=vit_test", "model.in_channels=1",
            "model.dropout=0.1", "training.batch_size=8", "training.num_epochs=4",
            "training.warmup_epochs=1", "data.num_workers=0", f"data.cache_dir={cache}",
            "logging.log_every=1", "logging.save_every=2", "hardware.device=cpu", *more,
        ]  # fmt: skip

    return arguments


@pytest.fixture
def stand_in_timm(monkeypatch):
    """Stands for timm: an encoder of 8 x 8 colours."""
    timm, data = ModuleType("timm"), ModuleType("timm.data")
    timm.create_model = lambda name, **how: nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
    data.resolve_model_data_config = lambda network: {
        "input_size": (3, 8, 8), "mean": (0.5,) * 3, "std": (0.25,) * 3,
    }  # fmt: skip
    monkeypatch.setitem(sys.modules, "timm", timm)
    monkeypatch.setitem(sys.modules, "timm.data", data)
