"""Images and boxes in files, a checkpoint of images, and what `task=detect` makes of them."""

import json

import numpy as np
import pytest
from PIL import Image

from medjepa.cli.main import main
from medjepa.errors import ConfigError
from tests.integration.test_finetune_images import NAME, SIZE, write_run


def write_task(folder, *, num=8, form="corners", beyond=False):
    """Images of two sizes with a bright and a dark box each; the last one holds nothing."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    header = {
        "corners": "image,label,xmin,ymin,xmax,ymax,patient,split",
        "sides": "Image Index,Finding Label,Bbox [x,y,w,h],,,",
    }
    rows, table = [header[form]], ["file,patient,split"]
    for number in range(num):
        height, width = (32, 40) if number % 2 else (24, 24)
        grey = 100 + rng.normal(0, 4, (height, width))
        name = f"{NAME}_{number}.png"
        table.append(f"{name},p{number // 2},{'test' if number % 4 < 2 else 'train'}")
        for value, label in ((240, "bright"), (10, "dark")):
            x, y = (int(n) for n in rng.integers(0, 14, 2))
            w, h = (int(n) for n in rng.integers(6, 10, 2))
            if number == num - 1:
                continue
            grey[y : y + h, x : x + w] = value
            if beyond:
                x += 100
            if form == "corners":
                rows.append(f"{name},{label},{x},{y},{x + w},{y + h},,")
            else:
                rows.append(f"{name},{label},{x},{y},{w},{h},,,")
        if number == num - 1:
            rows.append(f"{name},,,,,,," if form == "corners" else f"{name},,,,,,,,")
        Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(folder / "images" / name)
    (folder / "boxes.csv").write_text("\n".join(rows))
    (folder / "table.csv").write_text("\n".join(table))
    return folder


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    folder = tmp_path_factory.mktemp("boxes")
    patch = pytest.MonkeyPatch()
    patch.setenv("MEDJEPA_CACHE", str(folder / "cache"))
    task = write_task(folder / "task")
    yield [
        "finetune", "task=detect", f"checkpoint={write_run(folder / 'run')}",
        f"data={task / 'images'}", f"boxes={task / 'boxes.csv'}", f"table={task / 'table.csv'}",
        "group=patient", "data.num_workers=0", "steps=2", "evaluation.num_bootstrap=50",
    ]  # fmt: skip
    patch.undo()


def test_boxes_are_learnt_found_and_reported_and_going_on_trains_nothing(
    given, tmp_path, monkeypatch, capsys
):
    from medjepa.evaluation import detection_task

    out = tmp_path / "out"
    command = [*given, f"out={out}"]
    assert main(command) == 0
    report = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert report["class_names"] == ["bright", "dark"]
    assert (report["num_cases"], report["num_patients"]) == (4, 2)
    assert [(row["fraction"], row["method"]) for row in report["rows"]] == [
        (1.0, method) for method in ("pretrained", "scratch", "frozen")
    ]
    assert [one["num_truth"] for one in report["rows"][0]["classes"]] == [4, 4]
    assert len(report["rows"][0]["sensitivities"]) == len(report["rates"]) == 7
    frozen, tuned = (
        next(row for row in report["rows"] if row["method"] == name)
        for name in ("frozen", "pretrained")
    )
    assert frozen["num_parameters"] < tuned["num_parameters"]
    page = (out / "index.html").read_text(encoding="utf-8")
    assert NAME not in page + (out / "results.json").read_text(encoding="utf-8")
    assert page.count('class="box-truth"') == 8
    before = (out / "results.json").read_bytes()
    monkeypatch.setattr(detection_task, "finetune_detector", None)
    assert main(command) == 0
    assert (out / "results.json").read_bytes() == before
    capsys.readouterr()
    assert main([*command, "batch_size=2"]) == 2
    assert "batch_size was 4, now 2" in capsys.readouterr().err


def test_an_image_without_a_box_is_tested_and_one_without_a_row_is_left_out(given, tmp_path):
    task = write_task(tmp_path / "task", form="sides")
    lines = (task / "boxes.csv").read_text().splitlines()
    kept = [line for line in lines if f"{NAME}_2.png" not in line]
    (task / "boxes.csv").write_text("\n".join(kept))
    table = (task / "table.csv").read_text().replace("_7.png,p3,train", "_7.png,p0,test")
    (task / "table.csv").write_text(table)
    paths = [
        f"data={task / 'images'}",
        f"boxes={task / 'boxes.csv'}",
        f"table={task / 'table.csv'}",
    ]
    out = tmp_path / "out"
    assert main([*given, *paths, "methods=[scratch]", f"out={out}"]) == 0
    report = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert report["layout"] == "table of x, y, width, height"
    assert (report["num_cases"], report["num_without_boxes"]) == (5, 1)
    assert "1 images have no row in the boxes and were left out." in report["warnings"]


def test_boxes_outside_of_their_image_are_refused_by_name(given, tmp_path, capsys):
    task = write_task(tmp_path / "task", beyond=True)
    paths = [f"data={task / 'images'}", f"boxes={task / 'boxes.csv'}"]
    assert main([*given, *paths, f"out={tmp_path / 'out'}"]) == 2
    err = capsys.readouterr().err
    assert f"{NAME}_0.png" in err
    assert "not in its image" in err
    assert not (tmp_path / "out").exists()


def test_networks_of_another_task_and_models_of_volumes_are_refused(given, tmp_path, capsys):
    assert main([*given, "methods=[unet]", f"out={tmp_path / 'out'}"]) == 2
    assert "unet is unknown to task=detect" in capsys.readouterr().err
    assert SIZE == 16
    from medjepa.config.finetune import FinetuneConfig
    from medjepa.evaluation.detection_task import methods_of

    assert methods_of(FinetuneConfig(task="detect")) == ("pretrained", "scratch", "frozen")
    with pytest.raises(ConfigError, match="frozen_light is unknown"):
        methods_of(FinetuneConfig(task="detect", methods=("pretrained", "frozen_light")))


def test_maps_of_what_is_unusual_are_played_against_their_baselines(given, tmp_path, capsys):
    normals = tmp_path / "normals"
    normals.mkdir()
    rng = np.random.default_rng(1)
    for number in range(3):
        grey = 100 + rng.normal(0, 4, (28, 30))
        Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(normals / f"{number}.png")
    out = tmp_path / "out"
    command = [*given, "task=point", f"normals={normals}", "longer_side=48", f"out={out}"]
    assert main(command) == 0
    report = json.loads((out / "results.json").read_text(encoding="utf-8"))
    result = report["result"]
    assert (result["num_images"], result["num_patients"]) == (7, 4)  # one holds no box
    assert report["num_normals"] == 3
    assert len(result["maps"]) == 6  # two maps of two encoders, and two baselines
    random = result["maps"]["random point"]
    assert 0.05 < random["hits"]["value"] < 0.5
    assert random["over_random"]["value"] == 0
    unusual = result["maps"]["untrained, distance to normal patches"]
    assert unusual["hits"]["value"] >= 0.7  # squares on noise are seen by any encoder
    assert NAME not in (out / "results.json").read_text(encoding="utf-8")
    capsys.readouterr()
    assert main([*given, "task=point", f"out={tmp_path / 'other'}"]) == 2
    assert "finetune.normals" in capsys.readouterr().err
    images = next(piece for piece in given if piece.startswith("data="))[5:]
    assert main([*given, "task=point", f"normals={images}", f"out={tmp_path / 'other'}"]) == 2
    assert "have a row in the boxes, too" in capsys.readouterr().err
