"""Spoilt images and another folder, from a checkpoint to the tables."""

import pytest
import torch

from medjepa.checkpoint import save_checkpoint
from medjepa.config.evaluation import EvaluationConfig
from medjepa.data.phantoms import generate
from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.corruptions import CORRUPTIONS
from medjepa.evaluation.results import PRETRAINED, TITLES
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
    outliers = report.section("outliers")
    rows = [row for row in outliers.rows if row[0] == TITLES[PRETRAINED]]
    assert len(rows) == len(CORRUPTIONS) + 1
    noise = next(row for row in rows if row[1].startswith("noise"))
    assert noise[-1].low > 0.5  # a quarter of the range is seen even by an untrained encoder
    assert str(tmp_path) not in repr(report.sections)
