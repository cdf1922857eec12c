"""Shares and scales that the settings refuse are refused by the models themselves, in words."""

import pytest

from medjepa.models.lejepa import LeJEPA
from medjepa.models.methods.mae import MAE
from medjepa.models.registry import ENCODERS
from medjepa.models.vjepa import VJEPA

VOLUME = {
    "volume_size": (8, 16, 12), "patch_size": (4, 4, 4), "embed_dim": 24, "depth": 1,
    "num_heads": 2, "predictor_dim": 16, "predictor_depth": 1, "predictor_heads": 2,
    "num_directions": 8, "projector_dim": 16,
}  # fmt: skip
MODELS = {
    LeJEPA: {**ENCODERS["vit_test"], "in_channels": 1, "projector_dim": 32},
    VJEPA: VOLUME,
    MAE: {**ENCODERS["vit_test"], "in_channels": 1},
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("ratio", [0.0, 1.0, -0.5, 1.5, float("nan")])
def test_a_mask_ratio_outside_0_and_1_is_refused(model, ratio):
    with pytest.raises(ValueError, match="mask_ratio: must be between 0 and 1, got"):
        model(**MODELS[model], mask_ratio=ratio)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (model, name)
        for model in MODELS
        for name in ("full_scale", "hidden_scale")
        if (model, name) != (MAE, "hidden_scale")
    ],
)
@pytest.mark.parametrize("scale", [(0.0, 1.0), (0.3, 1.1), (0.8, 0.3), (0.5,), (0.1, 0.2, 0.3)])
def test_a_scale_that_is_no_range_of_shares_is_refused(model, name, scale):
    with pytest.raises(ValueError, match=f"{name}: must be .low, high. with 0 < low"):
        model(**MODELS[model], **{name: scale})


@pytest.mark.parametrize("model", MODELS)
def test_what_lies_just_inside_is_taken(model):
    built = model(**MODELS[model], mask_ratio=0.01, full_scale=[1.0, 1.0])
    assert built.full_scale == (1.0, 1.0)
