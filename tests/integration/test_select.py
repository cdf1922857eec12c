"""`medjepa select`: from runs and images without labels to a page, and labels that check it."""

import json

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image

from medjepa.checkpoint import save_checkpoint
from medjepa.cli.main import main
from medjepa.data.phantoms import generate
from medjepa.data.volume_pipeline import VolumePipeline
from medjepa.evaluation.label_free import SCORES
from medjepa.models.image_model import ImageModel
from medjepa.models.lejepa import LeJEPA
from medjepa.models.registry import ENCODERS
from medjepa.models.vjepa import VJEPA

KEYS = [score.key for score in SCORES]


@pytest.fixture(autouse=True)
def _few_settings(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("MEDJEPA_CACHE", str(tmp_path_factory.getbasetemp() / "select-cache"))
    monkeypatch.setattr("medjepa.evaluation.probes.C_GRID", (0.01, 1.0))


def write_run(folder, *, seed=0, steps=(4,), scale=1.0, collapsed=False, **changed):
    """A run that was not trained: its checkpoints differ by seed, and have losses."""
    arguments = {**ENCODERS["vit_test"], "in_channels": 1, **changed}
    lines = []
    for step in steps:
        torch.manual_seed(1000 * seed + step)
        model = LeJEPA(**arguments, seed=seed, full_scale=(0.3, scale))
        if collapsed:
            torch.nn.init.zeros_(model.encoder.patch_embedding.projection.weight)
        size, channels = arguments["image_size"], arguments["in_channels"]
        payload = {
            "model_state_dict": model.state_dict(),
            "model_config": model.config,
            "pipeline": {"size": (size, size), "channels": channels, "fit": "stretch"},
            "seed": seed,
            "step": step,
            "config": {"seed": seed},
        }
        name = "last.pt" if step == steps[-1] else f"checkpoint_epoch_{step}.pt"
        save_checkpoint(folder / "checkpoints" / name, payload)
        lines.append(json.dumps({"step": step, "epoch": 1, "total_loss": seed + 1 / step}))
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantoms") / "images"
    generate(folder, num_patients=60, images_per_patient=1, size=32)
    return folder


def select(runs, images, out, *more):
    listed = ",".join(map(str, runs))
    arguments = [f"runs=[{listed}]", f"data={images}", f"out={out}", "num_views=3"]
    arguments += ["evaluation.num_bootstrap=40", "hardware.device=cpu", "data.num_workers=0"]
    return main(["select", *arguments, *more])


def numbers_of(out):
    return json.loads((out / "select.json").read_text(encoding="utf-8"))


def test_two_runs_are_scored_on_the_same_views_and_the_same_again(images, tmp_path, capsys):
    runs = [write_run(tmp_path / name, seed=seed) for seed, name in enumerate("ab")]
    assert select(runs, images, tmp_path / "out") == 0
    told = capsys.readouterr().out
    found = numbers_of(tmp_path / "out")
    assert [row["name"] for row in found["rows"]] == ["a", "b"]
    assert found["num_views"] == 3 and found["num_patients"] >= 20 and found["seed"] == 0
    for row in [*found["rows"], found["untrained"]]:
        assert list(row["scores"]) == KEYS
        for key in KEYS[1:]:
            score = row["scores"][key]
            assert score["low"] < score["value"] < score["high"]
    assert [row["scores"]["training_loss"]["value"] for row in found["rows"]] == [0.25, 1.25]
    assert found["headline"].partition(":")[0] in told
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "RankMe" in page and str(tmp_path) not in page and "<svg" in page
    # No label was read: nothing says one.
    assert found["correlations"] == found["baselines"] == [] and found["label"] is None
    assert select(runs, images, tmp_path / "again") == 0
    again = numbers_of(tmp_path / "again")
    assert again["rows"] == found["rows"]
    swapped = tmp_path / "swapped"
    assert select(runs[::-1], images, swapped) == 0
    assert numbers_of(swapped)["rows"] == found["rows"][::-1]  # a model does not see the other


def test_every_checkpoint_sees_the_same_views(images, tmp_path, monkeypatch):
    runs = [write_run(tmp_path / name, seed=seed) for seed, name in enumerate("ab")]
    monkeypatch.setenv("MEDJEPA_CACHE", str(tmp_path / "cache"))  # nothing is kept there
    seen, encode = [], ImageModel.encode

    def watched(self, pixels):
        seen.append(pixels.clone())
        return encode(self, pixels)

    monkeypatch.setattr(ImageModel, "encode", watched)
    assert select(runs, images, tmp_path / "out") == 0
    share = len(seen) // 3  # two checkpoints, and the first one untrained
    first, second, untrained = (torch.cat(seen[n * share : (n + 1) * share]) for n in range(3))
    assert torch.equal(first, second) and torch.equal(first, untrained)
    whole, *views = seen[:4]
    assert all(not torch.equal(whole, view) for view in views)
    assert not torch.equal(views[0], views[1])


def test_scores_are_those_of_the_embeddings(images, tmp_path):
    """RankMe by numpy from what `medjepa embed` writes of the same images."""
    runs = [write_run(tmp_path / name, seed=seed) for seed, name in enumerate("ab")]
    assert select(runs, images, tmp_path / "out", "data.use_all=true") == 0
    arguments = [f"checkpoint={runs[1]}", f"data={images}", f"out={tmp_path / 'rows'}"]
    assert main(["embed", *arguments, "hardware.device=cpu", "data.num_workers=0"]) == 0
    rows = np.load(tmp_path / "rows" / "embeddings.npz")["embeddings"].astype(np.float64)
    found = numbers_of(tmp_path / "out")
    assert found["num_images"] == len(rows)
    values = np.linalg.svd(rows, compute_uv=False)
    share = values / values.sum() + 1e-7
    expected = np.exp(-(share * np.log(share)).sum())
    assert found["rows"][1]["scores"]["rankme"]["value"] == pytest.approx(expected, rel=1e-4)


def test_labels_check_the_scores(images, tmp_path, capsys):
    runs = [write_run(tmp_path / f"r{seed}", seed=seed) for seed in range(5)]
    assert select(runs, images, tmp_path / "out", "label=label") == 0
    found = numbers_of(tmp_path / "out")
    assert [one["key"] for one in found["correlations"]] == KEYS
    for one in found["correlations"]:
        assert one["num"] == 5 and -1 <= one["spearman"]["value"] <= 1
        assert one["p"] <= one["p_holm"]
    auc = [row["probe"]["auc"]["value"] for row in found["rows"]]
    assert all(0 <= value <= 1 for value in auc)
    kinds = [row["key"] for row in found["baselines"]]
    assert kinds == ["untrained", "pixels", "gradients", "majority"]
    assert found["checks"] and "test images" in found["test"]
    # The loss is made up to rise with the seed; less is better, so it is turned round.
    order = [-row["scores"]["training_loss"]["value"] for row in found["rows"]]
    ranks = np.argsort(np.argsort(order)), np.argsort(np.argsort(auc))
    if len(set(auc)) == 5:
        expected = np.corrcoef(*ranks)[0, 1]
        assert found["correlations"][0]["spearman"]["value"] == pytest.approx(expected)
    assert "look" in capsys.readouterr().out
    assert (runs[0] / "test_looks.json").is_file()


def test_nothing_is_scored_on_that_is_tested(images, tmp_path):
    """Where the split is made here, its test part is left out of the scores."""
    runs = [write_run(tmp_path / f"r{seed}", seed=seed) for seed in range(2)]
    assert select(runs, images, tmp_path / "free", "split=auto") == 0
    assert select(runs, images, tmp_path / "out", "split=auto", "label=label") == 0
    free, found = numbers_of(tmp_path / "free"), numbers_of(tmp_path / "out")
    assert free["images_from"] == "all images"
    num_tested = int(found["test"].split()[0])
    assert num_tested > 0 and found["num_images"] == free["num_images"] - num_tested


def test_few_checkpoints_say_nothing_of_a_correlation(images, tmp_path):
    runs = [write_run(tmp_path / f"r{seed}", seed=seed) for seed in range(2)]
    assert select(runs, images, tmp_path / "out", "label=label") == 0
    for one in numbers_of(tmp_path / "out")["correlations"]:
        assert one["spearman"] is None and one["verdict"].startswith("cannot tell: 2 checkpoints")


def test_a_collapsed_checkpoint_is_named_and_preferred_by_nothing(images, tmp_path):
    good = write_run(tmp_path / "good")
    bad = write_run(tmp_path / "bad", seed=1, collapsed=True)
    assert select([good, bad], images, tmp_path / "out") == 0
    found = numbers_of(tmp_path / "out")
    assert found["rows"][1]["collapsed"] and not found["rows"][0]["collapsed"]
    aligned = [row["scores"]["alignment"]["value"] for row in found["rows"]]
    assert aligned[1] < aligned[0]  # which is why it is told apart
    assert {one["prefers"] for one in found["preferences"]} == {"good"}
    assert any(text.startswith("Collapsed") for text in found["warnings"])


def test_every_kept_checkpoint_of_a_real_run_is_scored(tiny_run, image_folder, tmp_path):
    run = tmp_path / "run"
    assert main(["pretrain", *tiny_run(run)]) == 0
    assert select([run], image_folder, tmp_path / "out") == 0
    found = numbers_of(tmp_path / "out")
    assert [row["step"] for row in found["rows"]] == [8, 16]  # of epochs 2 and 4
    assert found["num_images"] == 32 and found["num_patients"] == 16  # 8 images are for testing
    assert all(row["scores"]["rankme"]["low"] is None for row in found["rows"])
    ends = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = {row["step"]: row["train_loss"] for row in ends if "train_loss" in row}
    for row in found["rows"]:
        assert row["scores"]["training_loss"]["value"] == losses[row["step"]]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"image_size": 16}, "images of 32 x 32, 1 channel, fit stretch, and images of 16 x 16"),
        ({"in_channels": 3}, "3 channels"),
        ({"scale": 0.5}, "views.full_scale=[LOW,HIGH]"),
    ],
)
def test_what_cannot_be_compared_is_refused(change, told, images, tmp_path, capsys):
    runs = [write_run(tmp_path / "a"), write_run(tmp_path / "b", seed=1, **change)]
    assert select(runs, images, tmp_path / "out") == 2
    assert told in capsys.readouterr().err
    if "scale" in change:
        more = ["views.full_scale=[0.4,1.0]"]
        assert select(runs, images, tmp_path / "out", *more) == 0
        found = numbers_of(tmp_path / "out")
        assert found["scale"] == [0.4, 1.0]
        # Their losses are of different views, so nobody compares them.
        assert found["preferences"][0]["prefers"] is None


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["imagse=100"], "did you mean images?"),
        (["num_vews=2"], "did you mean num_views?"),
        (["num_views=1"], "num_views: 2 or more"),
        (["images=7"], "images: 20 to 5,000, got 7"),
        (["checkpoints=some"], "checkpoints: one of all, last, best"),
        (["checkpoints=best"], "no best_model.pt"),
    ],
)
def test_keys_that_make_no_sense_are_told(arguments, told, images, tmp_path, capsys):
    runs = [write_run(tmp_path / name) for name in "ab"]
    assert select(runs, images, tmp_path / "out", *arguments) == 2
    assert told in capsys.readouterr().err


def test_a_missing_run_and_a_lonely_one_are_told(images, tmp_path, capsys):
    write_run(tmp_path / "chest")
    assert select([tmp_path / "chets", tmp_path / "chest"], images, tmp_path / "out") == 2
    assert f"did you mean {tmp_path / 'chest'}?" in capsys.readouterr().err
    assert select([tmp_path / "chest"], images, tmp_path / "out") == 2
    assert "nothing to choose" in capsys.readouterr().err
    assert main(["select", f"data={images}"]) == 2
    assert "runs= missing" in capsys.readouterr().err


def test_too_few_images_are_told(tmp_path, capsys):
    generate(tmp_path / "few", num_patients=8, images_per_patient=1, size=32)
    runs = [write_run(tmp_path / name) for name in "ab"]
    assert select(runs, tmp_path / "few", tmp_path / "out", "data.use_all=true") == 2
    assert "20 are needed" in capsys.readouterr().err


def write_volume_run(folder, kind, seed):
    torch.manual_seed(seed)
    size = (16, 16, 16) if kind == "volume" else (4, 16, 16)
    patch = (8, 8, 8) if kind == "volume" else (2, 8, 8)
    model = VJEPA(size, patch, embed_dim=24, depth=1, num_heads=2, kind=kind, seed=seed)
    frame_size = None if kind == "volume" else (16, 16)
    pipeline = VolumePipeline(crop=size, kind=kind, frame_size=frame_size)
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


@pytest.mark.parametrize("kind", ["volume", "clip"])
def test_volumes_and_clips_are_scored_like_images(kind, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(22):
        values = rng.integers(0, 255, (6, 3, 3)).repeat(3, 0).repeat(7, 1).repeat(7, 2)
        if kind == "volume":
            image = nibabel.Nifti1Image(values.astype(np.int16), np.eye(4))
            nibabel.save(image, folder / f"{number:02d}.nii.gz")
            continue
        frames = [Image.fromarray(frame.astype(np.uint8)) for frame in values]
        frames[0].save(folder / f"{number:02d}.gif", save_all=True, append_images=frames[1:])
    runs = [write_volume_run(tmp_path / f"r{seed}", kind, seed) for seed in range(2)]
    assert select(runs, folder, tmp_path / "out", "data.modality=mri") == 0
    found = numbers_of(tmp_path / "out")
    assert found["num_images"] == 22 and found["images_from"] == f"all {kind}s"
    assert found["preferences"][0]["why_not"] == "r0 has no recorded loss"
    for row in found["rows"]:
        for key in KEYS[1:]:
            assert np.isfinite(row["scores"][key]["value"])
        assert row["scores"]["alignment"]["value"] > 1e-6  # views differ
