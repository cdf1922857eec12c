import dataclasses
import json

import pytest
import torch
from segmentation_volumes import STRUCTURES, MemoryVolumes, PointNetwork, learner, memory_cases

from medjepa.errors import DataError
from medjepa.evaluation.segmentation_report import build_report, shown_cases
from medjepa.evaluation.segmentation_run import Plan, run_study
from medjepa.training.interrupts import StopWish
from medjepa.utils.progress import progress


def plan(**changes):
    settings = {
        "methods": ("pretrained", "scratch"),
        "fractions": (1.0,),
        "folds": ("0", "1", "2"),
        "seeds": (0,),
        "window": (6, 6, 6),
        "overlap": 0.25,
        "budget": {"steps": 150},
        "checkpoints": {0: "abc", 1: "def"},
        "settings": {"recipe": 1},
        "device": torch.device("cpu"),
    }
    return Plan(**{**settings, **changes})


def quiet(description, total):
    return progress(description, total, quiet=True)


def run(out, wanted, *, volumes=None, calls=None, steps=150, wish=None, show=quiet):
    volumes = volumes or MemoryVolumes()
    outputs = 2 if volumes.regions else 3
    return run_study(
        wanted,
        memory_cases(),
        volumes,
        lambda method, seed: PointNetwork(outputs, seed + len(method)),
        learner(volumes, calls=calls, steps=steps),
        out,
        progress=show,
        wish=StopWish() if wish is None else wish,
    )


def test_what_can_be_learnt_is_learnt_and_every_patient_is_tested_once(tmp_path):
    parts = run(tmp_path, plan())
    report = build_report(parts, STRUCTURES, split="folds", budget="150 steps", num_resamples=50)
    assert report.num_patients == report.num_cases == 12
    assert report.row("pretrained", 1.0).foreground.scores["dice"].value > 0.95
    assert report.row("pretrained", 1.0).num_labels == (8, 8, 8)
    assert [one.rank for one in shown_cases(report, tmp_path)] == ["worst", "median", "best"]
    assert all(len(one.planes) == 3 for one in shown_cases(report, tmp_path))


def test_regions_that_overlap_are_learnt_and_scored_as_regions(tmp_path):
    parts = run(tmp_path, plan(methods=("pretrained",)), volumes=MemoryVolumes(regions=True))
    case = parts[0].cases[0].structures
    assert case[0].num_truth > case[1].num_truth > 0
    assert min(score.dice for score in case) > 0.9


def test_what_is_finished_is_not_done_again_and_the_numbers_are_the_same(tmp_path):
    calls, again = [], []
    first = run(tmp_path, plan(), calls=calls)
    second = run(tmp_path, plan(), calls=again)
    assert len(calls) == 6
    assert again == []
    assert second == first
    more = run(tmp_path, plan(methods=("pretrained", "scratch", "unet")), calls=again)
    assert again == ["0-100-unet-0", "1-100-unet-0", "2-100-unet-0"]
    assert [part for part in more if part.method != "unet"] == first


def test_stopped_in_the_middle_it_goes_on_to_the_same_numbers(tmp_path):
    whole = run(tmp_path / "whole", plan(), steps=30)
    wish, tested = StopWish(), 0

    def stop_later(description, total):
        nonlocal tested
        tested += 1
        wish.wished = tested == 4
        return quiet(description, total)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", plan(), steps=30, wish=wish, show=stop_later)
    assert len(list((tmp_path / "cut").glob("parts/*/scores.json"))) == 3
    assert run(tmp_path / "cut", plan(), steps=30) == whole


def test_other_settings_in_the_same_folder_are_refused_by_name(tmp_path):
    run(tmp_path, plan(folds=("0",)), steps=1)
    with pytest.raises(DataError, match="steps was 150, now 300"):
        run(tmp_path, plan(folds=("0",), budget={"steps": 300}))
    with pytest.raises(DataError, match="checkpoint was abc, now xyz"):
        run(tmp_path, plan(folds=("0",), checkpoints={0: "xyz"}))


def test_a_seed_is_added_to_those_that_are_there(tmp_path):
    wanted = {"folds": ("0",), "methods": ("scratch",)}
    first = run(tmp_path, plan(**wanted), steps=1)
    both = run(tmp_path, plan(**wanted, seeds=(0, 1)), steps=1)
    assert both[0] == first[0]
    assert both[1].seed == 1


def test_a_damaged_part_says_which_folder_to_remove(tmp_path):
    run(tmp_path, plan(folds=("0",), methods=("scratch",)), steps=1)
    (file,) = tmp_path.glob("parts/*/scores.json")
    file.write_text(file.read_text()[:100])
    with pytest.raises(DataError, match="remove the folder"):
        run(tmp_path, plan(folds=("0",), methods=("scratch",)))


def test_the_numbers_are_json_without_nan(tmp_path):
    parts = run(tmp_path, plan(folds=("0",)), steps=1)
    report = build_report(parts, STRUCTURES, split="folds", budget="1 step", num_resamples=20)
    text = json.dumps(report.to_dict(), allow_nan=False)
    assert json.loads(text)["rows"][0]["foreground"]["structure"] == "foreground"
    assert dataclasses.asdict(report)["schema_version"] == 1
