"""Volumes and clips in files, and what `medjepa finetune task=classify` makes of them."""

import csv
import json

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image

from medjepa.checkpoint import save_checkpoint
from medjepa.cli.main import main
from medjepa.data.volume_pipeline import VolumePipeline
from medjepa.models.vjepa import VJEPA

SIZE = (8, 8, 8)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDJEPA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("medjepa.evaluation.probes.C_GRID", (0.01, 1.0))


def write_run(folder, kind, **settings):
    torch.manual_seed(0)
    model = VJEPA(SIZE, (4, 4, 4), embed_dim=12, depth=2, num_heads=2, kind=kind, **settings)
    model.set_pixel_statistics(torch.tensor([0.4]), torch.tensor([0.25]))
    frames = None if kind == "volume" else SIZE[1:]
    payload = {
        "model_state_dict": model.state_dict(),
        "model_config": model.config,
        "model_type": "VJEPA",
        "pipeline": VolumePipeline(crop=SIZE, kind=kind, frame_size=frames).to_dict(),
        "seed": 0,
        "config": {"seed": 0},
    }
    save_checkpoint(folder / "checkpoints" / "best_model.pt", payload)
    return folder


def write_items(folder, kind):
    """24 patients, half to test; class b is bright at the end of the first axis."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    rows = [["file", "patient", "split", "finding"]]
    for patient in range(24):
        shape = (11 + patient % 3, 9, 10)
        values = rng.normal(90, 10, shape)
        values[7:] += 110 * (patient % 2)
        name = f"Jane_Doe_{patient}" + (".nii.gz" if kind == "volume" else ".gif")
        if kind == "volume":
            image = nibabel.Nifti1Image(values.astype(np.int16).T, np.diag([1, 1, 2, 1]))
            nibabel.save(image, folder / name)
        else:
            frames = [Image.fromarray(f.clip(0, 255).astype(np.uint8)) for f in values]
            frames[0].save(folder / name, save_all=True, append_images=frames[1:], duration=40)
        rows.append([name, f"p{patient}", ["train", "test"][patient % 4 // 2], "ab"[patient % 2]])
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder


@pytest.mark.parametrize(
    ("kind", "settings"),
    [("volume", {"drop_background": True}), ("volume", {"positions": "rotary"}), ("clip", {})],
)
def test_volumes_and_clips_are_classified(tmp_path, kind, settings):
    run, items = write_run(tmp_path / "run", kind, **settings), write_items(tmp_path / "d", kind)
    out = tmp_path / "out"
    assert main([
        "finetune", "task=classify", f"checkpoint={run}", f"data={items}", "label=finding",
        "data.num_workers=0", "group=patient", "evaluation.num_bootstrap=50", "batch_size=4",
        "fractions=[1.0]", "draws=1", "steps=3", "methods=[pretrained,lora]", "rank=2",
        f"out={out}",
    ]) == 0  # fmt: skip
    report = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert [row["method"] for row in report["rows"]] == [
        "pretrained", "lora", "frozen", "majority"
    ]  # fmt: skip
    assert (report["num_train_patients"], report["num_test_patients"]) == (12, 12)
    assert report["run"]["kind"] == kind
    assert report["rows"][0]["num_validation"][0] > 0
    assert not report["verdicts"]  # nothing from scratch to compare with
    assert any("from scratch" in warning for warning in report["warnings"])
