"""`medjepa evaluate` on findings, grades, numbers and survival, from files to the page."""

import json
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from medjepa.checkpoint import save_checkpoint
from medjepa.cli.evaluate import label_columns
from medjepa.cli.main import main
from medjepa.models.lejepa import LeJEPA
from medjepa.models.registry import ENCODERS

NUM = 120


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """120 images of 60 patients whose brightness follows a hidden number, and its table."""
    folder = tmp_path_factory.mktemp("targets")
    rng = np.random.default_rng(0)
    hidden = np.repeat(rng.normal(size=NUM // 2), 2)
    seen = hidden + rng.normal(size=NUM)  # brightness tells it, but not for certain
    rows = ["image,patient,a,b,findings,grade,age,months,died,split"]
    for number, value in enumerate(hidden):
        grey = np.clip(120 + 20 * seen[number] + rng.normal(size=(20, 20)) * 20, 0, 255)
        Image.fromarray(grey.astype(np.uint8)).save(folder / f"{number:03d}.png")
        a, b = int(value > 0.2), int(value < -0.4)
        found = "|".join(["Edema"] * a + ["Mass"] * b) or "No Finding"
        grade = ("mild", "some", "bad")[int(np.digitize(value, (-0.4, 0.4)))]
        rows.append(
            f"{number:03d}.png,p{number // 2},{'' if number % 7 == 0 else a},"
            f"{'' if number in (0, 3) else b},{found},{grade},{50 + 10 * value:.1f},"
            f"{rng.exponential(np.exp(-value)):.3f},{number % 4 and 1},"
            f"{'train' if number < NUM // 2 else 'test'}"
        )
    (folder / "table.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    model = LeJEPA(**ENCODERS["vit_test"], in_channels=1, seed=0)
    model.set_pixel_statistics(torch.full((1,), 0.5), torch.full((1,), 0.25))
    size = ENCODERS["vit_test"]["image_size"]
    save_checkpoint(
        folder / "checkpoints" / "last.pt",
        {
            "model_state_dict": model.state_dict(),
            "model_config": model.config,
            "pipeline": {"size": (size, size), "channels": 1, "fit": "stretch"},
            "seed": 0,
            "config": {"seed": 0},
        },
    )
    return folder


@pytest.fixture
def evaluated(images, run, tmp_path, monkeypatch, tmp_path_factory):
    monkeypatch.setenv("MEDJEPA_CACHE", str(tmp_path_factory.getbasetemp() / "targets_cache"))
    monkeypatch.setattr("medjepa.evaluation.target_fits.COARSE_GRID", (0.01, 1.0))
    monkeypatch.setattr("medjepa.evaluation.probes.C_GRID", (0.01, 1.0))

    def call(*more):
        given = [
            f"checkpoint={run}",
            f"data={images}",
            f"out={tmp_path}",
            "evaluation.num_bootstrap=50",
        ]
        status = main(["evaluate", *given, *more])
        if status:
            return status, {}
        assert "pre-training" in (tmp_path / "index.html").read_text(encoding="utf-8").lower()
        return status, json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))

    return call


def section(numbers, key="target"):
    return next(one for one in numbers["sections"] if one["key"] == key)


def test_several_columns_are_findings_and_missing_entries_count_for_the_others(evaluated, images):
    _, numbers = evaluated("label=a,b")
    table = [row.split(",") for row in (images / "table.csv").read_text().splitlines()[1:]]
    tested = [row for row in table if row[-1] == "test"]
    for column, row in zip((2, 3), section(numbers, "target_parts")["rows"], strict=True):
        said = [one[column] for one in tested if one[column]]
        assert row[1:3] == [len(said), said.count("1")]
    assert numbers["num_test"] == len([one for one in tested if one[2] or one[3]])
    assert numbers["num_train"] == NUM // 2 - 1  # image 0 says nothing of either
    assert any("taken as findings" in text for text in numbers["warnings"])
    assert section(numbers)["rows"][0][1]["value"] > 0.6  # brightness tells


@pytest.mark.parametrize(
    ("arguments", "first"),
    [
        (["label=findings", "target=multilabel"], "macro AUC"),
        (["label=grade", "target=ordinal", "levels=[mild,some,bad]"], "quadratic kappa"),
        (["label=age", "target=regression"], "R2"),
        (["label=[months,died]", "target=survival"], "concordance"),
    ],
)
def test_each_kind_of_target_has_its_metric_and_its_baselines(evaluated, arguments, first):
    status, numbers = evaluated(*arguments)
    assert status == 0
    table = section(numbers)
    assert table["columns"][1] == first
    assert len(table["rows"]) == 5
    low, high = (table["rows"][0][1][end] for end in ("low", "high"))
    assert low < high
    # The run *is* an untrained encoder: no difference at all.
    assert table["rows"][1][-2]["value"] == 0
    assert numbers["verdict"]["outcome"] != "helped"


def test_what_cannot_be_asked_is_told(evaluated, capsys):
    assert evaluated("label=grade", "target=ordinal")[0] == 2
    assert "evaluation.levels" in capsys.readouterr().err
    assert evaluated("label=age", "target=survival")[0] == 2
    assert "label=[time,event]" in capsys.readouterr().err
    assert evaluated("label=age", "target=regression", "num_splits=3")[0] == 2
    assert "for classes" in capsys.readouterr().err


def test_four_blocks_few_shots_and_balanced_classes(evaluated, monkeypatch):
    monkeypatch.setattr("medjepa.evaluation.few_shot_section.SHOTS", (1, 2))
    monkeypatch.setattr("medjepa.evaluation.few_shot_section.NUM_EPISODES", 20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, numbers = evaluated(
            "label=a", "features=last4", "few_shot=true", "class_weight=balanced"
        )
    width = ENCODERS["vit_test"]["embed_dim"] * min(4, ENCODERS["vit_test"]["encoder_depth"])
    assert numbers["methods"][0]["num_features"] == width
    rows = section(numbers, "few_shot")["rows"]
    assert {row[0] for row in rows} == {1, 2}
    assert section(numbers, "comparisons")["rows"][1][0] == "Same encoder, untrained"
    assert numbers["intervals"]["estimator"] == "percentile bootstrap over patients"


def test_columns_of_a_label():
    assert label_columns("dx") == "dx"
    assert label_columns("a,b") == label_columns("[a, b]") == ("a", "b")
