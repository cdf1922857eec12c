"""Volumes and label maps in files, a checkpoint, and what `medjepa finetune` makes of them."""

import csv
import json
import stat
import sys
import types

import nibabel
import numpy as np
import pytest
import torch

from medjepa.checkpoint import save_checkpoint
from medjepa.cli.finetune import for_the_record, parse
from medjepa.cli.main import main
from medjepa.data.label_maps import LabelMaps
from medjepa.data.volume_pipeline import VolumePipeline
from medjepa.errors import ConfigError
from medjepa.evaluation import segmentation_networks
from medjepa.models.lejepa import LeJEPA
from medjepa.models.registry import ENCODERS
from medjepa.models.vjepa import VJEPA

NAME = "Jane_Doe"
SIZE = (8, 8, 8)


def write_run(folder):
    torch.manual_seed(0)
    model = VJEPA(SIZE, (4, 4, 4), embed_dim=24, depth=3, num_heads=2)
    model.set_pixel_statistics(torch.tensor([0.3]), torch.tensor([0.25]))
    payload = {
        "model_state_dict": model.state_dict(),
        "model_config": model.config,
        "model_type": "VJEPA",
        "pipeline": VolumePipeline(crop=SIZE).to_dict(),
        "seed": 0,
        "config": {"seed": 0},
    }
    save_checkpoint(folder / "checkpoints" / "best_model.pt", payload)
    return folder


def write_task(folder, *, num=10, swapped=False):
    """Volumes of odd sizes and steps with two boxes, whose labels are 1 and 3; two folds."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    rows = [["file", "patient", "fold"]]
    for number in range(num):
        shape = (9, 10, 12) if swapped else tuple(rng.integers(9, 13, 3))
        labels = np.zeros(shape, np.uint8)
        labels[2:6, 2:7, 1:5], labels[5:8, 5:8, 4:8] = 1, 3
        image = (rng.normal(100, 10, shape) + 200 * (labels == 1) + 90 * (labels == 3)).T
        name = f"{NAME}_{number}.nii.gz"
        affine = np.diag([1.0, 1.0, 2.5, 1.0])
        nibabel.save(nibabel.Nifti1Image(image.astype(np.int16), affine), folder / "images" / name)
        drawn = labels if swapped and number == num - 1 else labels.T
        nibabel.save(nibabel.Nifti1Image(drawn, affine), folder / "labels" / name)
        rows.append([f"images/{name}", f"p{number // 2}", str(number // 2 % 2)])
    with (folder / "folds.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finetune")
    patch = pytest.MonkeyPatch()
    patch.setenv("MEDJEPA_CACHE", str(folder / "cache"))
    task = write_task(folder / "task")
    yield [
        "finetune", f"checkpoint={write_run(folder / 'run')}", f"data={task / 'images'}",
        f"table={task / 'folds.csv'}", "split=fold", "data.num_workers=0", "steps=2",
        "data.group_column=patient", "evaluation.num_bootstrap=50", "overlap=0",
    ]  # fmt: skip
    patch.undo()


@pytest.fixture(scope="module")
def finished(given, tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "out"
    assert main([*given, "fold=all", "fractions=[0.4,1.0]", "names=[a,b]", f"out={out}"]) == 0
    return out


def test_every_network_patient_and_structure_is_in_the_numbers(finished):
    report = json.loads((finished / "results.json").read_text(encoding="utf-8"))
    assert report["folds"] == ["0", "1"]
    assert (report["num_cases"], report["num_patients"]) == (10, 5)
    assert report["structures"] == ["a", "b"]
    assert report["values"] == [[1], [3]]
    assert [(row["method"], row["fraction"]) for row in report["rows"]] == [
        (method, fraction)
        for fraction in (1.0, 0.4)
        for method in ("pretrained", "scratch", "frozen_linear")
    ]
    assert report["verdict"]["outcome"] == "cannot tell"  # five patients decide nothing
    assert "5 patients" in report["verdict"]["sentence"]
    assert {len(part["cases"]) for part in report["parts"]} == {6, 4}
    assert report["budget"] == "2 steps"
    assert all(row["num_steps"] == [2, 2] for row in report["rows"])
    assert (finished / "cases.csv").read_text(encoding="utf-8").count("\n") == 1 + 6 * 10 * 2


def test_what_others_may_see_names_nobody_and_the_owner_s_list_does(finished):
    for name in ("index.html", "results.json", "cases.csv"):
        text = (finished / name).read_text(encoding="utf-8")
        assert NAME not in text
        assert str(finished.parent) not in text
    private = finished / "private" / "cases.csv"
    assert private.read_text(encoding="utf-8").count(NAME) == 10
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert len(list(finished.glob("parts/*/planes/*.npz"))) == 60
    for planes in finished.glob("parts/*/planes/*.npz"):
        assert stat.S_IMODE(planes.stat().st_mode) == 0o600


def test_leaks_are_the_first_thing_that_is_said(finished):
    checks = json.loads((finished / "results.json").read_text(encoding="utf-8"))["checks"]
    assert "No patient is on both sides" in checks[0]["text"]
    assert checks[1]["passed"] is None  # this run holds no record of its images


def test_again_trains_nothing_and_writes_the_same(given, finished, monkeypatch, capsys):
    before = {p.name: p.read_bytes() for p in finished.iterdir() if p.is_file()}
    monkeypatch.setattr(segmentation_networks, "finetune_segmenter", None)
    monkeypatch.setattr(LabelMaps, "read", None)
    again = [*given, "fold=all", "fractions=[0.4,1.0]", "names=[a,b]", f"out={finished}"]
    assert main(again) == 0
    assert {p.name: p.read_bytes() for p in finished.iterdir() if p.is_file()} == before
    out = capsys.readouterr().out
    assert "Cannot tell whether pre-training helped" in out
    assert "The page:" in out


def test_other_settings_in_the_same_folder_are_refused(given, finished, capsys):
    other = [*given, "fold=all", "names=[a,b]", f"out={finished}", "batch_size=2"]
    assert main(other) == 2
    assert "batch_size was 4, now 2" in capsys.readouterr().err


def test_stopped_says_how_to_go_on(given, tmp_path, monkeypatch, capsys):
    def stop(*arguments, **named):
        raise KeyboardInterrupt

    monkeypatch.setattr(segmentation_networks, "finetune_segmenter", stop)
    command = [*given, "fold=0", "methods=[scratch]", f"out={tmp_path / 'out'}"]
    assert main(command) == 130
    assert "fold=0" in capsys.readouterr().err
    monkeypatch.undo()


def test_regions_that_overlap_are_trained_and_scored_as_regions(given, tmp_path):
    out = tmp_path / "out"
    regions = ["regions=[whole:1+3,core:3]", "fold=0", "methods=[pretrained]", f"out={out}"]
    assert main([*given, *regions]) == 0
    report = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert report["structures"] == ["whole", "core"]
    scores = report["parts"][0]["cases"][0]["structures"]
    assert scores[0]["num_truth"] == 4 * 5 * 4 + 3 * 3 * 4 - 2  # the boxes share 1 x 2 x 1 voxels
    assert scores[1]["num_truth"] == 3 * 3 * 4


def test_the_peer_is_trained_alike_where_monai_is_and_told_where_it_is_not(
    given, tmp_path, monkeypatch, capsys
):
    command = [*given, "fold=0", "methods=[scratch,unet]", f"out={tmp_path / 'out'}"]
    monkeypatch.setitem(sys.modules, "monai.networks.nets", None)
    assert main(command) == 2
    assert "pip install 'medjepa[monai]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()  # nothing was trained before it was told
    nets = types.SimpleNamespace(
        UNet=lambda *, in_channels, out_channels, **_: torch.nn.Conv3d(in_channels, out_channels, 1)
    )
    monkeypatch.setitem(sys.modules, "monai.networks.nets", nets)
    assert main(command) == 0
    report = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert [row["method"] for row in report["rows"]] == ["scratch", "unet"]
    assert report["rows"][1]["num_parameters"] == 6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["fold=7"], "the split column holds 0, 1"),
        (["methods=[sratch]"], "sratch is unknown"),
        (["regions=[WT]"], "not NAME:VALUE+VALUE"),
        (["names=[one]"], "1 names for the label values 1, 3"),
        (["minutes=1"], "give one of the two"),
        (["checkpoint=[a,b]", "seeds=[0]"], "1 seeds for 2 checkpoints"),
        (["split=patient"], "no case is in this part"),
    ],
)
def test_mistakes_are_told_before_anything_is_trained(given, tmp_path, capsys, changes, message):
    assert main([*given, "fold=0", f"out={tmp_path / 'out'}", *changes]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_with_other_things_is_left_alone(given, tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("work")
    assert main([*given, "fold=0", f"out={tmp_path}"]) == 2
    assert "holds other files" in capsys.readouterr().err


def test_a_model_of_images_is_refused(given, tmp_path, capsys):
    model = LeJEPA(**ENCODERS["vit_test"], in_channels=1)
    payload = {"model_state_dict": model.state_dict(), "model_config": model.config, "seed": 0}
    save_checkpoint(tmp_path / "images.pt", payload)
    command = [*given, f"checkpoint={tmp_path / 'images.pt'}", f"out={tmp_path / 'out'}"]
    assert main(command) == 2
    assert "not a model of volumes" in capsys.readouterr().err


def test_label_maps_with_swapped_axes_are_refused_by_name(given, tmp_path, capsys):
    task = write_task(tmp_path / "swapped", num=4, swapped=True)
    other = [f"data={task / 'images'}", f"table={task / 'folds.csv'}", "names=[a,b]"]
    assert main([*given, *other, "fold=0", f"out={tmp_path / 'out'}"]) == 2
    err = capsys.readouterr().err
    assert f"{NAME}_3.nii.gz" in err
    assert "the label map has the shape" in err
    assert not (tmp_path / "out").exists()  # nothing was trained before it was told


def test_odd_shapes_one_slice_thick_slices_and_empty_label_maps_go_through(given, tmp_path):
    folder = tmp_path / "odd"
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    rows = ["file,patient,fold"]
    shapes = [(1, 20, 17), (31, 9, 24), (5, 5, 5), (2, 40, 3), (1, 20, 17), (9, 9, 9)]
    for number, shape in enumerate(shapes):
        labels = np.zeros(shape, np.uint8)
        if number != 3:
            labels[:, 1:4, 1:3] = 1
        affine = np.diag([0.5, 0.5, 5.0, 1.0])
        values = np.random.default_rng(number).normal(50, 10, shape) + 100 * labels
        for kind, array in (("images", values.astype(np.int16)), ("labels", labels)):
            nibabel.save(nibabel.Nifti1Image(array.T, affine), folder / kind / f"{number}.nii")
        rows.append(f"images/{number}.nii,p{number},{number % 2}")
    (folder / "folds.csv").write_text("\n".join(rows))
    other = [
        f"data={folder / 'images'}",
        f"table={folder / 'folds.csv'}",
        f"out={tmp_path / 'out'}",
    ]
    assert main([*given, *other, "fold=all", "methods=[pretrained,scratch]"]) == 0
    report = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    cases = [case for part in report["parts"] for case in part["cases"]]
    empty = [case["structures"][0] for case in cases if case["structures"][0]["num_truth"] == 0]
    assert len(cases) == 12
    assert len(empty) == 2  # the one without a structure, under both methods
    assert all((score["dice"] is None) == (score["num_predicted"] == 0) for score in empty)


def test_the_recorded_command_names_no_folder():
    shown = for_the_record(
        [
            "checkpoint=/home/jane/runs/a",
            "data=/mnt/st_marys",
            "labels=/mnt/st_marys/l",
            "fold=[0,1]",
        ]
    )
    assert shown == "medjepa finetune checkpoint=a data=... labels=... 'fold=[0,1]'"


def test_short_names_reach_their_section_and_missing_ones_are_named():
    config = parse(["checkpoint=a", "data=b", "out=c", "group=who", "fold=[0,1]", "steps=5"])
    assert (config.data.group_column, config.finetune.folds) == ("who", ("0", "1"))
    assert config.finetune.steps == 5
    with pytest.raises(ConfigError, match="checkpoint= and out= missing"):
        parse(["data=b"])
