"""`predict` on volumes, clips and stacks through time, by the command line."""

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

PATIENTS = 16


@pytest.fixture(autouse=True)
def _few_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDJEPA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("medjepa.evaluation.label_efficiency.COARSE_GRID", (0.01, 1.0))
    monkeypatch.setattr("medjepa.evaluation.predict.NUM_FOLDS", 2)


def write_run(folder, kind):
    torch.manual_seed(0)
    size = (8, 16, 16)
    model = VJEPA(size, (4, 8, 8), embed_dim=24, depth=1, num_heads=2, kind=kind)
    pipeline = VolumePipeline(
        crop=size, kind=kind, frame_size=None if kind == "volume" else size[1:]
    )
    payload = {
        "model_state_dict": model.state_dict(), "model_config": model.config,
        "model_type": "VJEPA", "pipeline": pipeline.to_dict(), "seed": 0, "config": {"seed": 0},
    }  # fmt: skip
    save_checkpoint(folder / "checkpoints" / "best_model.pt", payload)
    return folder


def a_block(rng, label, shape):
    """Noise with a plate across the first axis where the label is 1, else the last."""
    values = rng.normal(100, 10, shape)
    values[(slice(3, 6), ...) if label else (..., slice(3, 6))] += 150
    return values


def write_volume(path, rng, label, number):
    values = a_block(rng, label, (9, 15, 17)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(values.T, np.diag([1, 1, 2, 1])), path)


def write_stack(path, rng, label, number):
    """Two slices through time: (t, z, y, x), the plate in time or in space."""
    slices = [a_block(rng, label, (8, 16, 16)) for _ in range(2)]
    image = nibabel.Nifti1Image(np.stack(slices, 1).T.astype(np.int16), np.eye(4))
    image.header.set_xyzt_units("mm", "sec")
    nibabel.save(image, path)


def write_clip(path, rng, label, number):
    block = np.clip(a_block(rng, label, (8, 16, 16)), 0, 255).astype(np.uint8)
    frames = [Image.fromarray(frame) for frame in block]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=40 + number)


KINDS = {
    "volume": ("volume", "nii.gz", write_volume, 1, False),
    "clip": ("clip", "gif", write_clip, 1, True),
    "stack": ("clip", "nii", write_stack, 2, True),
}


def lines(path):
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


@pytest.mark.parametrize("name", KINDS)
def test_what_has_no_label_is_predicted_by_item_and_by_study(name, tmp_path):
    kind, suffix, write, num_parts, by_visit = KINDS[name]
    rng, rows = np.random.default_rng(0), []
    for patient in range(PATIENTS):
        for number in range(2):  # of the last patients no label is known
            file = f"Meier{patient}_{number}.{suffix}"
            (tmp_path / "in").mkdir(exist_ok=True)
            write(tmp_path / "in" / file, rng, patient % 2, number)
            known = "" if patient >= PATIENTS - 4 else ("healthy", "ill")[patient % 2]
            rows.append([file, known, f"Meier{patient}", f"visit {patient}-{number}"])
    with (tmp_path / "in" / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "diagnosis", "patient", "visit"], *rows])
    run, out = write_run(tmp_path / "run", kind), tmp_path / "out"
    asked = [f"checkpoint={run}", f"data={tmp_path / 'in'}", "label=diagnosis", f"out={out}"]
    asked += ["anyway=true", "data.num_workers=0", "evaluation.num_bootstrap=50"]
    asked += ["study=visit"] if by_visit else []
    assert main(["predict", *asked]) == 0
    numbers = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert numbers["num_labelled"] == (PATIENTS - 4) * 2 * num_parts
    assert numbers["num_labelled_patients"] == PATIENTS - 4
    assert [one["key"] for one in numbers["performance"]] == [
        "pretrained", "untrained", "pixels", "gradients", "majority",
    ]  # fmt: skip
    # What the plates are is easy to see, and the chances say so for patients never labelled.
    assert max(one["values"]["auc"]["value"] for one in numbers["performance"]) > 0.9
    predicted = lines(out / "predictions.csv")
    files = {row["row"]: row["file"] for row in lines(out / "private" / "files.csv")}
    assert len(predicted) == 4 * 2 * num_parts
    assert {row["part"] for row in predicted} == {str(part) for part in range(num_parts)}
    assert sorted(files[row["row"]] for row in predicted) == sorted(
        [row[0] for row in rows if not row[1]] * num_parts
    )
    # A study is a patient of two files, or by the column a file; its chance the mean of its rows.
    studies = lines(out / "study_predictions.csv")
    assert len(studies) == numbers["num_studies"] == (8 if by_visit else 4)
    for study in studies:
        own = [float(row["p_ill"]) for row in predicted if row["study"] == study["study"]]
        assert len(own) == int(study["n_images"]) == num_parts * (1 if by_visit else 2)
        assert float(study["p_ill"]) == pytest.approx(np.mean(own), abs=1e-5)
    public = "".join((out / n).read_text() for n in ("results.json", "index.html"))
    assert "Meier" not in public + (out / "predictions.csv").read_text()
