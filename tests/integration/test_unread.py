"""Files that could not be read: what computes numbers says how many are missing, without names."""

import csv
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image

from medjepa.checkpoint import save_checkpoint
from medjepa.cli.main import main
from medjepa.data.phantoms import generate
from medjepa.models.lejepa import LeJEPA
from medjepa.models.registry import ENCODERS

WORKERS = "data.num_workers=0"
NUM_VOLUMES = 14
MODEL = (
    "model.type=vjepa", "model.kind=volume", "model.image_size=[8,16,16]",
    "model.patch_size=[4,8,8]", "model.in_channels=4", "model.embed_dim=24",
    "model.encoder_depth=1", "model.encoder_heads=2", "model.predictor_dim=24",
    "model.predictor_depth=1", "model.predictor_heads=2", "model.projector_dim=16",
    "model.num_directions=16", "training.batch_size=4", "training.max_steps=1",
    "data.contrasts=[t1,t1ce,t2,flair]", "hardware.device=cpu",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _few_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDJEPA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("medjepa.evaluation.label_efficiency.COARSE_GRID", (0.01, 1.0))
    monkeypatch.setattr("medjepa.evaluation.shortcut.COARSE_GRID", (0.01, 1.0))
    monkeypatch.setattr("medjepa.evaluation.probes.C_GRID", (0.01, 1.0))


def write_run(folder, *, seed=0):
    torch.manual_seed(seed)
    model = LeJEPA(**ENCODERS["vit_test"], in_channels=1, seed=seed)
    payload = {
        "model_state_dict": model.state_dict(),
        "model_config": model.config,
        "pipeline": {"size": (32, 32), "channels": 1, "fit": "stretch"},
        "seed": seed,
        "config": {"seed": seed},
    }
    save_checkpoint(folder / "checkpoints" / "best_model.pt", payload)
    return folder


def truncate(path):
    path.write_bytes(path.read_bytes()[:60])
    return path.name


@pytest.fixture
def images(tmp_path):
    """Phantoms, of which one labelled PNG is cut off, and one more that no row names."""
    folder = tmp_path / "images"
    generate(folder, num_patients=30, images_per_patient=1, size=32)
    pictures = sorted((folder / "images").glob("*.png"))
    (pictures[1].parent / "without_row_secret.png").write_bytes(pictures[1].read_bytes()[:50])
    return folder, truncate(pictures[3])


def told(warnings):
    return [text for text in warnings if "could not be read" in text]


def test_a_truncated_labelled_image_is_missing_aloud_also_from_the_cache(
    images, tmp_path, capsys, caplog
):
    data, name = images
    run = write_run(tmp_path / "run")
    for _ in ("prepared here", "from the cache"):
        asked = [f"checkpoint={run}", f"data={data}", "label=label", WORKERS]
        assert main(["evaluate", *asked, "evaluation.num_bootstrap=20"]) == 0
        text = (run / "report" / "results.json").read_text(encoding="utf-8")
        page = (run / "report" / "index.html").read_text(encoding="utf-8")
        notes = told(json.loads(text)["warnings"])
        assert len(notes) == 1
        assert notes[0].startswith("2 files could not be read and were left out: ")
        assert notes[0].endswith("1 labelled case is missing from the numbers for that reason.")
        assert "2 files could not be read" in page
        assert "2 files could not be read" in " ".join(capsys.readouterr().out.split())
        lines = [line for line in caplog.messages if "failures.json" in line]
        caplog.clear()
        assert len(lines) == 1
        listed = json.loads(Path(lines[0].rpartition(": ")[2]).read_bytes())
        assert {entry["path"].rpartition("/")[2] for entry in listed} == {
            name, "without_row_secret.png",
        }  # fmt: skip
        for shown in (text, page):
            assert name not in shown and "secret" not in shown and str(tmp_path) not in shown


def test_every_other_verb_of_images_says_so_too(images, tmp_path, capsys, caplog):
    data, name = images
    run = write_run(tmp_path / "run")
    asked = [f"checkpoint={run}", f"data={data}", WORKERS]
    assert main(["embed", *asked, f"out={tmp_path / 'rows'}"]) == 0
    assert "2 files could not be read" in capsys.readouterr().out
    table = next(data.glob("*.csv"))
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    for row in rows[-4:]:
        row["label"] = ""
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    out = tmp_path / "predicted"
    more = ["label=label", "anyway=true", "evaluation.num_bootstrap=20", f"out={out}"]
    assert main(["predict", *asked, *more]) == 0
    notes = told(json.loads((out / "results.json").read_text(encoding="utf-8"))["warnings"])
    assert len(notes) == 1 and "1 labelled case is missing" in notes[0] and name not in notes[0]
    assert "2 files could not be read" in capsys.readouterr().out
    out = tmp_path / "chosen"
    runs = f"runs=[{run},{write_run(tmp_path / 'other', seed=1)}]"
    asked = [runs, f"data={data}", WORKERS, f"out={out}", "images=20", "num_views=2"]
    assert main(["select", *asked, "label=label", "evaluation.num_bootstrap=20"]) == 0
    notes = told(json.loads((out / "select.json").read_text(encoding="utf-8"))["warnings"])
    assert len(notes) == 1 and "1 labelled case is missing" in notes[0] and name not in notes[0]
    assert "2 files could not be read" in " ".join(capsys.readouterr().out.split())
    assert sum("failures.json" in line for line in caplog.messages) == 3  # once for each verb


def test_where_everything_could_be_read_nothing_is_said(tmp_path, capsys):
    data = tmp_path / "images"
    generate(data, num_patients=8, images_per_patient=1, size=32)
    run = write_run(tmp_path / "run")
    asked = [f"checkpoint={run}", f"data={data}", f"out={tmp_path / 'rows'}", WORKERS]
    assert main(["embed", *asked]) == 0
    printed = capsys.readouterr()
    assert "could not be read" not in printed.out + printed.err


def test_where_nothing_can_be_read_there_are_no_numbers(tmp_path, capsys):
    data = tmp_path / "images"
    generate(data, num_patients=8, images_per_patient=1, size=32)
    for path in [*data.rglob("*.png"), *data.rglob("*.dcm")]:
        truncate(path)
    asked = [f"checkpoint={write_run(tmp_path / 'run')}", f"data={data}", "label=label", WORKERS]
    for _ in ("prepared here", "from the cache"):
        assert main(["evaluate", *asked]) != 0
        assert "no readable image" in capsys.readouterr().err
    assert not (tmp_path / "run" / "report" / "results.json").exists()


def write_cases(folder):
    """Cases of four contrasts; the 2nd lacks one, one contrast of the 5th is on another grid."""
    rows = []
    for case in range(NUM_VOLUMES):
        own = folder / f"Meier_{case:02d}"
        own.mkdir(parents=True)
        for place, contrast in enumerate(("t1", "t1ce", "t2", "flair")):
            if (case, contrast) == (1, "t2"):
                continue
            shape = (16, 16, 9) if (case, contrast) == (4, "flair") else (16, 16, 8)
            values = np.random.default_rng((case, place)).normal(100, 10, shape)
            values[: 8 * (case % 2) + 4] += 60
            nibabel.save(
                nibabel.Nifti1Image(values.astype(np.int16), np.eye(4)),
                own / f"scan_{contrast}.nii.gz",
            )
        rows.append([own.name, case % 2, case])
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["case", "label", "patient"], *rows])
    return folder


def test_volumes_without_a_contrast_or_on_another_grid_are_missing_aloud(tmp_path, capsys):
    data, run = write_cases(tmp_path / "data"), tmp_path / "run"
    assert main(["pretrain", f"data={data}", f"out={run}", WORKERS, *MODEL]) == 0
    capsys.readouterr()
    asked = [f"checkpoint={run}", f"data={data}", "label=label", "evaluation.num_bootstrap=20"]
    assert main(["evaluate", *asked, WORKERS]) == 0
    text = (run / "report" / "results.json").read_text(encoding="utf-8")
    numbers = json.loads(text)
    assert numbers["num_train"] + numbers["num_test"] == NUM_VOLUMES - 2
    notes = told(numbers["warnings"])
    assert len(notes) == 1
    assert notes[0].startswith("7 files could not be read and were left out: ")
    assert "no file of contrast" in notes[0]
    assert notes[0].endswith("2 labelled cases are missing from the numbers for that reason.")
    assert "7 files could not be read" in " ".join(capsys.readouterr().out.split())
    assert "Meier" not in text


def test_a_segmentation_says_so_too(tmp_path, capsys):
    data = tmp_path / "task"
    for name in ("image", "masks"):
        (data / name).mkdir(parents=True)
    rng, rows = np.random.default_rng(0), ["file,patient,split"]
    for number in range(6):
        mask = np.zeros((24, 24), np.uint8)
        mask[3:11, 4:13] = 1
        grey = (100 + rng.normal(0, 5, mask.shape) + 120 * mask).clip(0, 255).astype(np.uint8)
        Image.fromarray(grey).save(data / "image" / f"Meier_{number}.png")
        Image.fromarray(mask).save(data / "masks" / f"Meier_{number}_mask.png")
        rows.append(f"Meier_{number}.png,p{number},{'test' if number % 2 else 'train'}")
    (data / "table.csv").write_text("\n".join(rows))
    truncate(data / "image" / "Meier_5.png")
    out = tmp_path / "out"
    asked = [
        "finetune", f"checkpoint={write_run(tmp_path / 'run')}", f"data={data / 'image'}",
        f"table={data / 'table.csv'}", "labels=../masks/{name}_mask.png", f"out={out}", WORKERS,
        "steps=1", "group=patient", "evaluation.num_bootstrap=20", "methods=[frozen_linear]",
    ]  # fmt: skip
    assert main(asked) == 0
    text = (out / "results.json").read_text(encoding="utf-8")
    notes = told(json.loads(text)["warnings"])
    assert len(notes) == 1 and notes[0].startswith("1 file could not be read and was left out: ")
    assert "Meier" not in text
    printed = capsys.readouterr()
    assert "failures.json" in printed.err
