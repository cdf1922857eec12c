"""A few labels, and chances for everything else."""

import csv
import json
import shutil
import stat

import pytest
import torch

from medjepa.checkpoint import save_checkpoint
from medjepa.cli.main import main
from medjepa.data.phantoms import generate
from medjepa.evaluation import predict_files
from medjepa.models.lejepa import LeJEPA
from medjepa.models.registry import ENCODERS


def lines(path):
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


@pytest.fixture(autouse=True)
def _few_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDJEPA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("medjepa.evaluation.label_efficiency.COARSE_GRID", (0.01, 1.0))


@pytest.fixture
def run(tmp_path):
    torch.manual_seed(0)
    model = LeJEPA(**ENCODERS["vit_test"], in_channels=1)
    size = ENCODERS["vit_test"]["image_size"]
    save_checkpoint(
        tmp_path / "run" / "checkpoints" / "best_model.pt",
        {
            "model_state_dict": model.state_dict(),
            "model_config": model.config,
            "pipeline": {"size": (size, size), "channels": 1, "fit": "stretch"},
            "seed": 0,
            "config": {"seed": 0},
        },
    )
    return tmp_path / "run"


@pytest.fixture
def images(tmp_path):
    """Every other patient of the labelled half keeps the label; some lose their row."""
    folder = tmp_path / "images"
    generate(folder, num_patients=36, images_per_patient=1, size=32)
    table = next(folder.glob("*.csv"))
    rows = lines(table)
    patient = next(name for name in rows[0] if "patient" in name)
    order = sorted({row[patient] for row in rows})
    kept = []
    for row in rows:
        number = order.index(row[patient])
        if number % 4 in (2, 3):
            row = {**row, "label": ""}
        if number % 8 != 7:  # in no row at all
            kept.append(row)
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, kept[0])
        writer.writeheader()
        writer.writerows(kept)
    return folder


def test_images_without_a_label_are_predicted(run, images, tmp_path, capsys):
    out = tmp_path / "out"
    table = next(images.glob("*.csv"))
    rows = lines(table)
    patient = next(name for name in rows[0] if "patient" in name)
    # One without a label is of a patient who has another image with one.
    unknown = next(row for row in rows if not row["label"])
    unknown[patient] = next(row[patient] for row in rows if row["label"])
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    arguments = [f"checkpoint={run}", f"data={images}", "label=label", f"out={out}"]
    assert main(["predict", *arguments, "anyway=true"]) == 0
    numbers = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert any(one.startswith("1 predicted images are of") for one in numbers["warnings"])
    known = [row for row in lines(table) if row["label"]]
    assert numbers["num_labelled"] == len(known)
    assert numbers["num_labelled_patients"] == len({row[patient] for row in known})
    rows = lines(out / "predictions.csv")
    assert len(rows) == numbers["num_predicted"] > len(known)
    chances = [name for name in rows[0] if name.startswith("p_")]
    assert chances == [f"p_{name}" for name in numbers["class_names"]]
    for row in rows:
        assert sum(float(row[name]) for name in chances) == pytest.approx(1, abs=1e-5)
    titles = [one["title"] for one in numbers["performance"]]
    assert titles[0] == "Pre-trained encoder"
    assert len(titles) == 5
    for one in numbers["performance"]:
        assert one["values"]["auc"]["low"] is not None
    # By study: the mean over the images of a patient.
    studies = lines(out / "study_predictions.csv")
    with_study = [row for row in rows if row["study"]]
    assert len(studies) == len({row["study"] for row in with_study}) > 0
    first = studies[0]
    own = [float(r[chances[0]]) for r in rows if r["study"] == first["study"]]
    assert float(first[chances[0]]) == pytest.approx(sum(own) / len(own), abs=1e-5)
    # Names stay private.
    for name in ("predictions.csv", "study_predictions.csv"):
        assert stat.S_IMODE((out / name).stat().st_mode) == 0o600
    names = [path.stem for path in images.rglob("*.png")]
    page = (out / "index.html").read_text(encoding="utf-8")
    public = page + json.dumps(numbers) + (out / "predictions.csv").read_text(encoding="utf-8")
    assert not any(name in public for name in names)
    assert str(tmp_path) not in public
    files = lines(out / "private" / "files.csv")
    assert {row["row"] for row in files} == {row["row"] for row in rows}
    assert "seed 0" in page
    told = capsys.readouterr().out
    assert "cross-validated AUC" in told
    who = f"({len(known)} labelled images of {numbers['num_labelled_patients']} patients)"
    assert who in told and who in page


def test_a_worthless_predictor_is_not_handed_out(run, images, tmp_path, capsys):
    table = next(images.glob("*.csv"))
    rows = lines(table)
    patient = next(name for name in rows[0] if "patient" in name)
    order = sorted({row[patient] for row in rows})
    for row in rows:  # a label that has nothing to do with the image
        if row["label"]:
            row["label"] = "ab"[order.index(row[patient]) // 5 % 2]
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    out = tmp_path / "out"
    arguments = [f"checkpoint={run}", f"data={images}", "label=label", f"out={out}"]
    assert main(["predict", *arguments]) == 2
    assert "not shown to be better than chance" in capsys.readouterr().err
    assert not out.exists()


def test_a_mark_for_not_known_is_no_class_and_an_empty_cell_is_what_is_meant(run, images, capsys):
    table = next(images.glob("*.csv"))
    rows = lines(table)
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({**row, "label": row["label"] or "?"} for row in rows)
    out = images.parent / "out"
    assert (
        main(["predict", f"checkpoint={run}", f"data={images}", "label=label", f"out={out}"]) == 2
    )
    assert "'?'" in (told := capsys.readouterr().err) and "empty the cell" in told
    assert not out.exists()


def test_where_one_labelled_image_has_no_patient_none_is_taken_for_known(
    run, images, tmp_path, monkeypatch
):
    """Images without a patient would else all be one patient's."""
    joined = predict_files.joined

    def without_one(*given):
        labels, groups, studies = joined(*given)
        groups[next(place for place, label in enumerate(labels) if label)] = ""
        return labels, groups, studies

    monkeypatch.setattr(predict_files, "joined", without_one)
    out = tmp_path / "out"
    arguments = [f"checkpoint={run}", f"data={images}", "label=label", f"out={out}"]
    assert main(["predict", *arguments, "anyway=true", "evaluation.num_bootstrap=20"]) == 0
    numbers = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert numbers["num_labelled_patients"] is None
    assert any(one.startswith("No patients are known") for one in numbers["warnings"])


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("label=no_such_column", "no label column 'no_such_column'"),
        ("label=empty", "has a value for 'empty'"),
        ("label=label", "every image has one"),
    ],
)
def test_what_labels_alone_can_tell_is_told_before_anything_is_embedded(
    run, images, tmp_path, monkeypatch, capsys, asked, message
):
    def not_yet(*given, **more):
        raise AssertionError("embedded")

    monkeypatch.setattr("medjepa.evaluation.embed_files.embed", not_yet)
    shutil.rmtree(images)
    generate(images, num_patients=8, images_per_patient=1, size=32)
    shutil.rmtree(images / "annotations")  # pictures that are in no row
    table = next(images.glob("*.csv"))
    rows = lines(table)
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*rows[0], "empty"])
        writer.writeheader()
        writer.writerows({**row, "label": row["label"] or "a", "empty": ""} for row in rows)
    out = tmp_path / "out"
    assert main(["predict", f"checkpoint={run}", f"data={images}", asked,
                            f"out={out}"]) == 2  # fmt: skip
    assert message in capsys.readouterr().err
    assert not out.exists()
