"""Images and masks in files, a checkpoint of images, and what `medjepa finetune` makes of them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from medjepa.checkpoint import save_checkpoint
from medjepa.cli.main import main
from medjepa.data.preprocessing import Pipeline
from medjepa.models.lejepa import LeJEPA

SIZE = 16
NAME = "Jane_Doe"


def write_run(folder, *, channels=1):
    torch.manual_seed(0)
    model = LeJEPA(
        SIZE, 4, channels, embed_dim=24, encoder_depth=3, encoder_heads=2, projector_dim=8,
        projection_dim=4, num_directions=8,
    )  # fmt: skip
    payload = {
        "model_state_dict": model.state_dict(),
        "model_config": model.config,
        "model_type": "LeJEPA",
        "pipeline": Pipeline(size=(SIZE, SIZE), channels=channels).to_dict(),
        "seed": 0,
        "config": {"seed": 0},
    }
    save_checkpoint(folder / "checkpoints" / "best_model.pt", payload)
    return folder


def write_images(folder, *, num=8, wrong_size=False):
    """Images of several sizes with a bright box and a dark one, whose mask is 0, 1 and 2."""
    rng = np.random.default_rng(0)
    for name in ("image", "masks"):
        (folder / name).mkdir(parents=True)
    rows = ["file,patient,split"]
    for number in range(num):
        height, width = rng.integers(20, 40, 2)
        mask = np.zeros((height, width), np.uint8)
        mask[3:11, 4:13], mask[12:18, 10:17] = 1, 2
        grey = 100 + rng.normal(0, 5, mask.shape) + 120 * (mask == 1) - 80 * (mask == 2)
        name = f"{NAME}_{number}"
        Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(folder / "image" / f"{name}.png")
        drawn = mask[:-1] if wrong_size and number == num - 1 else mask
        Image.fromarray(drawn).save(folder / "masks" / f"{name}_mask.png")
        rows.append(f"{name}.png,p{number // 2},{'test' if number % 4 < 2 else 'train'}")
    (folder / "table.csv").write_text("\n".join(rows))
    return folder


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finetune2d")
    patch = pytest.MonkeyPatch()
    patch.setenv("MEDJEPA_CACHE", str(folder / "cache"))
    task = write_images(folder / "task")
    yield [
        "finetune", f"checkpoint={write_run(folder / 'run')}", f"data={task / 'image'}",
        f"table={task / 'table.csv'}", "labels=../masks/{name}_mask.png", "data.num_workers=0",
        "steps=2", "group=patient", "evaluation.num_bootstrap=50",
    ]  # fmt: skip
    patch.undo()


def test_masks_of_images_are_learnt_and_scored_on_every_pixel(given, tmp_path):
    out = tmp_path / "out"
    methods = "methods=[pretrained,pretrained_linear,frozen_light,frozen_linear,scratch]"
    assert main([*given, methods, "names=[bright,dark]", f"out={out}"]) == 0
    report = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert (report["num_cases"], report["num_patients"]) == (4, 2)
    assert report["structures"] == ["bright", "dark"]
    assert report["distance_unit"] == "pixels"
    assert {row["method"] for row in report["rows"]} == set(methods[9:-1].split(","))
    for part in report["parts"]:
        for case in part["cases"]:
            assert [s["num_truth"] for s in case["structures"]] == [8 * 9, 6 * 7]
    compared = {(c["against"], c["metric"]) for c in report["comparisons"]}
    assert ("scratch", "hd95") in compared
    assert any("longer_side=" in warning for warning in report["warnings"])
    page = (out / "index.html").read_text(encoding="utf-8")
    assert NAME not in page
    assert "Surface distance, pixels" in page


def test_what_is_frozen_keeps_the_weights_of_pre_training(given, tmp_path):
    out = tmp_path / "out"
    assert main([*given, "methods=[frozen_light,pretrained_linear]", f"out={out}"]) == 0
    found = {
        path.parent.name.split("-")[2]: torch.load(path, weights_only=True)["model_state_dict"]
        for path in out.glob("parts/*/finetune.pt")
    }
    run = next(piece for piece in given if piece.startswith("checkpoint=")).partition("=")[2]
    file = Path(run) / "checkpoints" / "best_model.pt"
    before = torch.load(file, weights_only=True)["model_state_dict"]
    names = [name for name in before if name.startswith("encoder.blocks.")]
    assert all(torch.equal(before[name], found["frozen_light"][name]) for name in names)
    assert not all(torch.equal(before[name], found["pretrained_linear"][name]) for name in names)


def test_training_learns_bright_from_dark(given, tmp_path):
    out = tmp_path / "out"
    command = [*given, "steps=60", "methods=[scratch]", "strength=0.3", f"out={out}"]
    assert main(command) == 0
    report = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert report["rows"][0]["foreground"]["scores"]["dice"]["value"] > 0.6


def test_a_smaller_working_size_scales_masks_and_counts_their_pixels(given, tmp_path):
    out = tmp_path / "out"
    command = [*given, "methods=[frozen_linear]", "longer_side=20", f"out={out}"]
    assert main(command) == 0
    report = json.loads((out / "results.json").read_text(encoding="utf-8"))
    sizes = [s["num_truth"] for c in report["parts"][0]["cases"] for s in c["structures"]]
    assert all(8 < size < 72 for size in sizes)


def test_a_background_that_is_not_zero_changes_places_with_it(given, tmp_path):
    out = tmp_path / "out"
    assert main([*given, "methods=[scratch]", "background=1", f"out={out}"]) == 0
    report = json.loads((out / "results.json").read_text(encoding="utf-8"))
    first = report["parts"][0]["cases"][0]["structures"]
    assert report["values"] == [[1], [2]]
    assert first[0]["num_truth"] > 8 * 9  # what was 0
    assert first[1]["num_truth"] == 6 * 7


def test_a_mask_of_another_size_is_refused_by_name_before_training(given, tmp_path, capsys):
    task = write_images(tmp_path / "wrong", wrong_size=True)
    command = [*given, f"data={task / 'image'}", f"table={task / 'table.csv'}"]
    assert main([*command, f"out={tmp_path / 'out'}"]) == 2
    err = capsys.readouterr().err
    assert f"{NAME}_7_mask.png" in err
    assert "save both at one size" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("kind", "message"), [("colour", "a coloured mask"), ("picture", "different values")]
)
def test_pictures_are_no_masks(given, tmp_path, capsys, kind, message):
    task = write_images(tmp_path / "task")
    rng = np.random.default_rng(0)
    path = task / "masks" / f"{NAME}_0_mask.png"
    height, width = np.asarray(Image.open(path)).shape
    shape = (height, width, 3) if kind == "colour" else (height, width)
    Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(path)
    command = [*given, f"data={task / 'image'}", f"table={task / 'table.csv'}"]
    assert main([*command, f"out={tmp_path / 'out'}"]) == 2
    assert message in capsys.readouterr().err


def test_again_trains_nothing(given, tmp_path, monkeypatch):
    from medjepa.evaluation import segmentation_networks

    command = [*given, "methods=[scratch]", f"out={tmp_path / 'out'}"]
    assert main(command) == 0
    before = (tmp_path / "out" / "results.json").read_bytes()
    monkeypatch.setattr(segmentation_networks, "finetune_segmenter", None)
    assert main(command) == 0
    assert (tmp_path / "out" / "results.json").read_bytes() == before
