"""A checkpoint of any `method=` through every verb that takes one, by the command line."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

from medjepa.checkpoint import save_checkpoint
from medjepa.cli.main import main
from medjepa.data.preprocessing import Pipeline
from medjepa.models.methods import METHODS

SIZE, NUM_PATIENTS = 16, 12
MODEL = {
    "image_size": SIZE, "patch_size": 4, "in_channels": 1, "embed_dim": 16, "encoder_depth": 2,
    "encoder_heads": 2,
}  # fmt: skip
DECODER = {"predictor_dim": 16, "predictor_depth": 1, "predictor_heads": 2}
MORE = {
    "dino": {"num_local_views": 1, "hidden_dim": 16, "bottleneck_dim": 8, "num_prototypes": 16},
    "simclr": {"hidden_dim": 16, "output_dim": 8},
    "vicreg": {"hidden_dim": 16, "output_dim": 16},
    "supervised": {"num_classes": 2},
    "mae": DECODER,
    "ijepa": {**DECODER, "min_context": 1},
}


@pytest.fixture(autouse=True)
def _few_settings(monkeypatch):
    monkeypatch.setattr("medjepa.evaluation.label_efficiency.COARSE_GRID", (0.01, 1.0))
    monkeypatch.setattr("medjepa.evaluation.probes.C_GRID", (0.01, 1.0))
    monkeypatch.setattr("medjepa.evaluation.predict.NUM_FOLDS", 2)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Bright or dark boxes with their masks; two images of each patient, the last unlabelled."""
    folder = tmp_path_factory.mktemp("boxes")
    patch = pytest.MonkeyPatch()
    patch.setenv("MEDJEPA_CACHE", str(folder / "cache"))
    rng, rows = np.random.default_rng(0), []
    for name in ("image", "masks"):
        (folder / name).mkdir()
    for number in range(2 * NUM_PATIENTS):
        patient, mask = number // 2, np.zeros((SIZE, SIZE), np.uint8)
        top, left = rng.integers(2, 6, 2)
        mask[top : top + 7, left : left + 7] = 1
        grey = 120 + rng.normal(0, 5, mask.shape) + (80.0 if patient % 2 else -80.0) * mask
        Image.fromarray(grey.astype(np.uint8)).save(folder / "image" / f"{number:02d}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{number:02d}.png")
        part, known = "test" if patient < 6 else "train", ("dark", "bright")[patient % 2]
        rows.append([f"{number:02d}.png", f"p{patient}", part, known, known if patient < 8 else ""])
    with (folder / "image" / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "patient", "split", "finding", "some"], *rows])
    yield folder / "image"
    patch.undo()


@pytest.fixture(params=sorted(METHODS))
def run(request, tmp_path):
    torch.manual_seed(0)
    model = METHODS[request.param](**MODEL, **MORE[request.param])
    if (teacher := getattr(model, "teacher", None)) is not None:
        with torch.no_grad():  # elsewhere than the student, as after training
            for weight in teacher.encoder.parameters():
                weight.mul_(1.1)
    payload = {
        "model_state_dict": model.state_dict(), "model_config": model.config,
        "model_type": type(model).__name__, "seed": 0, "config": {"seed": 0},
        "pipeline": Pipeline(size=(SIZE, SIZE), channels=1).to_dict(),
    }  # fmt: skip
    save_checkpoint(tmp_path / "run" / "checkpoints" / "best_model.pt", payload)
    return tmp_path / "run"


def numbers(out):
    return json.loads((out / "results.json").read_text(encoding="utf-8"))


def started(verb, run, images, out, *more):
    asked = [f"checkpoint={run}", f"data={images}", f"out={out}", "data.num_workers=0"]
    if verb != "embed":
        asked += ["evaluation.num_bootstrap=20"]
    assert main([verb, *asked, *more]) == 0


def used_encoder(run):
    """What is used of a checkpoint: the teacher's weights where there is one."""
    payload = torch.load(run / "checkpoints" / "best_model.pt", weights_only=True)
    weights = payload["model_state_dict"]
    first = "teacher.encoder." if payload["model_type"] in ("DINO", "IJEPA") else "encoder."
    return {
        name.removeprefix(first): weight
        for name, weight in weights.items()
        if name.startswith(first)
    }


def test_embed(run, images, tmp_path):
    started("embed", run, images, tmp_path / "out")
    features = np.load(tmp_path / "out" / "embeddings.npz")["embeddings"]
    assert features.shape == (2 * NUM_PATIENTS, MODEL["embed_dim"])
    assert features.std(0).max() > 1e-3


def test_evaluate(run, images, tmp_path):
    started("evaluate", run, images, tmp_path / "out", "label=finding")
    rows = {row["key"]: row for row in numbers(tmp_path / "out")["methods"]}
    assert {"pretrained", "untrained", "pixels"} <= set(rows)
    assert rows["pretrained"]["probe"]["auc"]["low"] is not None


def test_predict(run, images, tmp_path):
    started("predict", run, images, tmp_path / "out", "label=some", "anyway=true")
    assert numbers(tmp_path / "out")["num_predicted"] == 8


@pytest.mark.parametrize("task", ["classify", "segment"])
def test_finetune(run, images, tmp_path, task):
    out = tmp_path / "out"
    asked = ["methods=[pretrained]", "steps=1", "group=patient", "learning_rate=1e-9"]
    if task == "classify":
        asked += ["label=finding", "batch_size=4", "fractions=[1.0]", "draws=1"]
    else:
        asked += ["labels=../masks/{name}.png"]
    started("finetune", run, images, out, f"task={task}", *asked)
    row = next(row for row in numbers(out)["rows"] if row["method"] == "pretrained")
    scores = row["scores"] if task == "classify" else row["foreground"]["scores"]
    assert scores["auc" if task == "classify" else "dice"]["low"] is not None
    # Hardly moved, the network still is the encoder that the checkpoint stands for.
    file = next(path for path in out.glob("parts/*/*.pt"))
    found = torch.load(file, weights_only=True)["model_state_dict"]
    for name, weight in used_encoder(run).items():
        torch.testing.assert_close(found[f"encoder.{name}"], weight, rtol=0, atol=1e-6)
