"""Spoilt images and another folder, from a checkpoint to the tables."""

import pytest
import torch

from medjepa.checkpoint import save_checkpoint
from medjepa.config.evaluation import EvaluationConfig
from medjepa.data.phantoms import generate
from medjepa.evaluation.baselines import fit_components
from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.corruptions import CORRUPTIONS, corrupt
from medjepa.evaluation.outliers import SCORES, MahalanobisScore
from medjepa.evaluation.results import GRADIENTS, PRETRAINED, TITLES
from medjepa.evaluation.run import evaluate
from medjepa.models.lejepa import LeJEPA
from medjepa.models.registry import ENCODERS


def test_the_tables_hold_every_corruption_with_its_paired_drop(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDJEPA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("medjepa.evaluation.label_efficiency.COARSE_GRID", (0.01, 1.0))
    monkeypatch.setattr("medjepa.evaluation.probes.C_GRID", (0.01, 1.0))
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
    generate(tmp_path / "images", num_patients=36, images_per_patient=1, size=32)
    generate(tmp_path / "other", num_patients=8, images_per_patient=1, size=32, seed=5)
    drawn, fitted = [], set()

    def spoil(image, name, severity, *, seed):
        drawn.append((name, severity, seed))
        return corrupt(image, name, severity, seed=seed)

    class Watched(MahalanobisScore):
        def fit(self, x):
            fitted.add(len(x))
            return super().fit(x)

    def components(x):
        fitted.add(len(x))
        return fit_components(x)

    monkeypatch.setattr("medjepa.evaluation.robustness_sections.corrupt", spoil)
    monkeypatch.setattr("medjepa.evaluation.robustness_sections.fit_components", components)
    monkeypatch.setitem(SCORES, "Mahalanobis", Watched)
    report = evaluate(
        tmp_path / "run",
        tmp_path / "images",
        "label",
        fractions=(),
        num_resamples=50,
        num_workers=0,
        settings=EvaluationConfig(corruptions=True, ood=str(tmp_path / "other")),
    )
    assert "first time" in report.checks[0].text
    table = report.section("corruptions")
    ours = {row[1]: row for row in table.rows if row[0] == TITLES[PRETRAINED]}
    assert list(ours) == ["none", *CORRUPTIONS]
    for name in CORRUPTIONS:
        worst, last = ours[name][2], ours[name][-1]
        assert isinstance(last, Estimate)
        assert last.value == pytest.approx(worst.value - ours["none"][2].value)
    # Paired: what hardly changes is known far better than two numbers by themselves would be.
    least = min(ours[name][3].standard_error for name in CORRUPTIONS)
    assert least < 0.5 * ours["none"][2].standard_error
    outliers = report.section("outliers")
    rows = [row for row in outliers.rows if row[0] == TITLES[PRETRAINED]]
    assert len(rows) == len(CORRUPTIONS) + 1
    for area in (cell for row in outliers.rows for cell in row[-2:]):
        assert area.low is None or area.low <= area.value <= area.high
    # A quarter of the range is seen: by an untrained encoder in nearly every pair of two images
    # (of 144; its nearest neighbours alone are less sure), by gradients in every one.
    noise = {row[0]: row for row in outliers.rows if row[1].startswith("noise")}
    assert noise[TITLES[PRETRAINED]][-2].value >= 1 - 3 / 144
    assert [area.value for area in noise[TITLES[GRADIENTS]][-2:]] == [1, 1]
    # Every image has noise, field and place of its own, the same at all severities.
    for name in CORRUPTIONS:
        seeds = [seed for kind, _, seed in drawn if kind == name]
        assert len(seeds) == 5 * report.num_test and len(set(seeds)) == report.num_test
    assert fitted == {report.num_train}  # what is usual is learnt from training images alone
    assert str(tmp_path) not in repr(report.sections)


def test_a_folder_that_holds_the_evaluations_own_images_is_told_of(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDJEPA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("medjepa.evaluation.probes.C_GRID", (0.01, 1.0))
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
    images = tmp_path / "images"
    generate(images, num_patients=24, images_per_patient=1, size=32)
    report = evaluate(
        tmp_path / "run",
        images,
        "label",
        fractions=(),
        num_resamples=20,
        num_workers=0,
        settings=EvaluationConfig(ood=str(images)),
    )
    parts = f"{report.num_test} (test part) and {report.num_train} (training part)"
    assert parts in report.section("outliers").note
    assert any(parts in warning for warning in report.warnings)
    assert all("warnings" not in row for row in report.to_dict()["sections"])
