"""Volumes and clips in files, a checkpoint of either, and what `medjepa evaluate` makes of them."""

import csv
import json
import stat

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from medjepa.checkpoint import load_encoder, save_checkpoint
from medjepa.cli.main import main
from medjepa.data.volume_cache import ensure_volumes
from medjepa.data.volume_pipeline import VolumePipeline
from medjepa.errors import InputError
from medjepa.evaluation.material_volumes import Volumes
from medjepa.evaluation.run import evaluate
from medjepa.models.lejepa import LeJEPA
from medjepa.models.registry import ENCODERS
from medjepa.models.vjepa import VJEPA

FEW = {"fractions": (), "num_resamples": 50, "num_workers": 0}


@pytest.fixture(autouse=True)
def _few_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDJEPA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("medjepa.evaluation.label_efficiency.COARSE_GRID", (0.01, 1.0))
    monkeypatch.setattr("medjepa.evaluation.shortcut.COARSE_GRID", (0.01, 1.0))
    monkeypatch.setattr("medjepa.evaluation.probes.C_GRID", (0.01, 1.0))
    monkeypatch.setattr("medjepa.evaluation.attentive.NUM_EPOCHS", 1)
    monkeypatch.setattr("medjepa.evaluation.attentive.LEARNING_RATES", (1e-3,))
    monkeypatch.setattr("medjepa.evaluation.attentive.WEIGHT_DECAYS", (0.1,))


def write_run(folder, *, kind="volume", seed=0, size=(16, 16, 16)):
    torch.manual_seed(seed)
    model = VJEPA(size, (8, 8, 8), embed_dim=24, depth=1, num_heads=2, kind=kind, seed=seed)
    model.set_pixel_statistics(torch.tensor([0.5]), torch.tensor([0.25]))
    pipeline = VolumePipeline(
        crop=size, kind=kind, frame_size=None if kind == "volume" else size[1:]
    )
    payload = {
        "model_state_dict": model.state_dict(),
        "model_config": model.config,
        "model_type": "VJEPA",
        "pipeline": pipeline.to_dict(),
        "seed": seed,
        "config": {"seed": seed},
    }
    save_checkpoint(folder / "checkpoints" / "best_model.pt", payload)
    return folder


def write_images_run(folder):
    torch.manual_seed(0)
    model = LeJEPA(**{**ENCODERS["vit_test"], "embed_dim": 24, "encoder_depth": 1}, in_channels=1)
    payload = {"model_state_dict": model.state_dict(), "model_config": model.config, "seed": 0}
    save_checkpoint(folder / "checkpoints" / "best_model.pt", payload)
    return folder


def a_volume(rng, label, shape):
    """Noise with a bright plate: along z where the label is 1, along x where it is 0."""
    values = rng.normal(100, 10, shape)
    place = tuple(
        slice(n // 3, n // 3 + 3) if i == (0 if label else 2) else slice(None)
        for i, n in enumerate(shape)
    )
    values[place] += 150
    return values.astype(np.int16)


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    """24 patients, two volumes each of odd sizes; each site has one class alone."""
    folder = tmp_path_factory.mktemp("volumes")
    rng = np.random.default_rng(0)
    rows = []
    for patient in range(24):
        for number in range(2):
            shape = (18 + patient % 3, 17, 13 + number)
            name = f"Meier{patient}_{number}.nii.gz"
            image = nibabel.Nifti1Image(a_volume(rng, patient % 2, shape).T, np.diag([1, 1, 2, 1]))
            nibabel.save(image, folder / name)
            rows.append(
                [
                    name,
                    ["regular", "covid", "regular", "viral"][patient % 4],
                    f"Meier{patient}",
                    f"site {patient % 2}",
                ]
            )
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "diagnosis", "patient", "site"], *rows])
    return folder


def test_the_verb_on_volumes(volumes, tmp_path, capsys, stand_in_timm):
    run, images = write_run(tmp_path / "run"), write_images_run(tmp_path / "images")
    asked = [f"checkpoint={run}", f"data={volumes}", "label=diagnosis", "positive=regular"]
    asked += ["num_splits=2", f"slices={images}", "attentive=true", "evaluation.num_bootstrap=50"]
    asked += ["timm=resnet.tag"]
    assert main(["evaluate", *asked]) == 0
    numbers = json.loads((run / "report" / "results.json").read_text(encoding="utf-8"))
    page = (run / "report" / "index.html").read_text(encoding="utf-8")
    assert numbers["class_names"] == ["not regular", "regular"]
    rows = {row["key"]: row for row in numbers["methods"]}
    assert list(rows) == [
        "pretrained", "untrained", "slices", "slices_untrained", "timm", "pixels", "gradients",
        "majority",
    ]  # fmt: skip
    assert rows["timm"]["num_features"] == 5 and "resnet.tag of timm sees planes" in page
    assert rows["pixels"]["probe"]["auc"]["value"] > 0.9  # the plate is easy to see
    assert rows["pretrained"]["attentive"]["auc"]["value"] is not None
    # Both volumes of a patient are his study.
    assert rows["pretrained"]["study"]["auc"]["value"] is not None
    # Each site has one class: found by the column's name, without being asked.
    assert numbers["verdict"]["outcome"] == "cannot tell"
    assert "cannot be separated from site" in numbers["verdict"]["sentence"]
    assert "not separable" in page
    table = run / "report" / "study_predictions.csv"
    assert stat.S_IMODE(table.stat().st_mode) == 0o600
    studies = list(csv.DictReader(table.read_text().splitlines()))
    assert len(studies) == numbers["num_test_patients"]
    assert {row["label"] for row in studies} == {"regular", "not regular"}
    assert all(int(row["n_clips"]) >= 2 for row in studies)
    everything = json.dumps(numbers) + page + table.read_text()
    assert "Meier" not in everything
    assert str(tmp_path) not in everything
    out = capsys.readouterr().out
    assert "the label cannot be separated from it" in " ".join(out.split())


def test_embeddings_are_the_same_by_store_and_by_file_whatever_the_batch(volumes, tmp_path):
    run = write_run(tmp_path / "run")
    encoder = load_encoder(run, device="cpu")
    paths = sorted(volumes.glob("*.nii.gz"))[:3]
    by_file = encoder.embed(paths)
    assert by_file.shape == (3, 24)
    assert encoder.embed(paths, batch_size=1) == pytest.approx(by_file, abs=1e-5)
    store = ensure_volumes(volumes, num_workers=0, cache_dir=tmp_path)[0]
    place = Volumes([store], encoder.pipeline, clips=4, overlap=0.25)
    records = {record.key: record.path for record in store.private_map().files}
    from medjepa.evaluation.volume_encoders import Encoder3D

    three = {"m": Encoder3D(encoder.model, torch.device("cpu"))}
    for path, row in zip(paths, by_file, strict=True):
        item = next(i for i, key in enumerate(store.keys) if records[key] == path.name)
        assert place.embed(item, three, 64)[0]["m"] == pytest.approx(row, abs=1e-4)


def test_a_volume_of_one_window_is_what_the_model_says(tmp_path):
    encoder = load_encoder(write_run(tmp_path / "run"), device="cpu")
    values = np.random.default_rng(0).uniform(0.1, 1, (2, 1, 16, 16, 16)).astype(np.float32)
    with torch.inference_mode():
        expected = encoder.model.encode(torch.from_numpy(values)).numpy()
    assert encoder.embed(values) == pytest.approx(expected, abs=1e-5)
    # Air beside it has no weight: the windows that hold nothing do not count.
    wide = np.zeros((1, 1, 16, 16, 64), np.float32)
    wide[..., :16] = values[:1]
    alone = encoder.embed(wide, overlap=0)
    assert alone == pytest.approx(expected[:1], abs=1e-5)
    with pytest.raises(InputError, match=r"\(n, C, z, y, x\)"):
        encoder.embed(values[0])
    assert encoder.embed([values[0, 0] * 1000, values[0, 0, :1]]).shape == (2, 24)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """20 patients with animations of 3 to 40 frames; the square of label 1 moves faster."""
    folder = tmp_path_factory.mktemp("clips")
    rows = []
    for patient in range(20):
        frames = []
        for time in range((3, 12, 40)[patient % 3]):
            frame = np.full((20, 24), 30, np.uint8)
            place = (time * (1 + 3 * (patient % 2))) % 16
            frame[place : place + 4, 4 + patient % 7 : 12] = 220
            frames.append(Image.fromarray(frame))
        name = f"clip{patient}.gif"
        frames[0].save(folder / name, save_all=True, append_images=frames[1:], duration=40)
        rows.append([name, patient % 2, patient])
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "label", "patient"], *rows])
    return folder


def test_clips_of_any_length(clips, tmp_path):
    run = write_run(tmp_path / "run", kind="clip")
    report = evaluate(run, clips, "label", num_splits=2, **FEW)
    assert report.num_splits == 2
    assert {row.num_features for row in report.methods if row.key == "pretrained"} == {24}
    # 40 frames give four clips of 16, shorter ones a single one that holds its last frame.
    assert {one.num_clips for one in report.studies} == {1, 4}
    assert not report.shortcuts


@pytest.mark.parametrize("kind", ["npz", "csv", "safetensors"])
def test_embed_writes_features_and_keeps_names_private(volumes, tmp_path, capsys, kind):
    run, out = write_run(tmp_path / "run"), tmp_path / "out"
    asked = [f"checkpoint={run}", f"data={volumes}", f"out={out}", f"format={kind}"]
    assert main(["embed", *asked, "data.num_workers=0"]) == 0
    items = list(csv.DictReader((out / "items.csv").read_text().splitlines()))
    files = list(csv.DictReader((out / "private" / "files.csv").read_text().splitlines()))
    assert len(items) == len(files) == 48
    assert stat.S_IMODE((out / "private").stat().st_mode) == 0o700
    public = (out / "items.csv").read_text() + capsys.readouterr().out
    assert "Meier" not in public.replace(str(tmp_path), "")
    if kind == "npz":
        features = np.load(out / "embeddings.npz")["embeddings"]
    elif kind == "csv":
        table = np.loadtxt(out / "embeddings.csv", delimiter=",", skiprows=1)
        features = table[:, 1:].astype(np.float32)
    else:
        features = load_file(out / "embeddings.safetensors")["embeddings"]
    expected = load_encoder(run, device="cpu").embed([volumes / row["file"] for row in files[:2]])
    assert features[:2] == pytest.approx(expected, abs=1e-4)
    (out / "mine.txt").write_text("x")
    assert main(["embed", *asked]) == 2
    assert "holds other things" in capsys.readouterr().err
