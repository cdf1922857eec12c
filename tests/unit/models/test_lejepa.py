"""LeJEPA: the guide's call, gradients that reach everything, and draws that a restart repeats."""

import pytest
import torch

from medjepa.models.jepa import Views
from medjepa.models.lejepa import LeJEPA
from medjepa.models.registry import ENCODERS
from medjepa.objectives.randomness import generator

OBJECTIVES = ("views", "patches", "both")


def tiny(**changes) -> LeJEPA:
    torch.manual_seed(0)
    settings = {**ENCODERS["vit_test"], "in_channels": 1, "num_directions": 16, "projector_dim": 32}
    return LeJEPA(**{**settings, **changes})


def images(num: int = 6, channels: int = 1, size: int = 32) -> torch.Tensor:
    return torch.rand(num, channels, size, size, generator=generator(0, 0, "images"))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_parts_add_up_and_every_weight_gets_a_gradient(objective):
    model = tiny(objective=objective, lambda_reg=0.5)
    losses = model(images())
    total = losses["prediction_loss"] + 0.5 * losses["regularization_loss"]
    torch.testing.assert_close(losses["total_loss"], total)
    losses["total_loss"].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_config_rebuilds_the_model_strictly(objective):
    model = tiny(objective=objective)
    model(images())
    again = LeJEPA(**model.config)
    again.load_state_dict(model.state_dict(), strict=True)
    assert again.config == model.config
    torch.testing.assert_close(again(images())["total_loss"], model(images())["total_loss"])


def test_no_predictor_is_built_where_none_is_used():
    assert not any(k.startswith("predictor") for k in tiny(objective="views").state_dict())
    assert any(k.startswith("predictor") for k in tiny(objective="patches").state_dict())


def test_draws_are_fresh_each_step_the_same_from_the_same_seed_and_fixed_in_evaluation():
    model, same, other = tiny(seed=1), tiny(seed=1), tiny(seed=2)
    first, second = (model(images())["total_loss"].item() for _ in range(2))
    assert first != second
    assert [same(images())["total_loss"].item() for _ in range(2)] == [first, second]
    assert other(images())["total_loss"].item() != first
    model.eval()
    assert model(images())["total_loss"] == model(images())["total_loss"]


def test_global_random_state_is_neither_used_nor_changed():
    model, same = tiny(), tiny()
    torch.manual_seed(7)
    before = torch.get_rng_state()
    value = model(images())["total_loss"]
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(8)
    assert same(images())["total_loss"] == value


def test_encode_is_the_mean_patch_embedding_of_standardised_images():
    model = tiny().eval()
    x = images()
    model.set_pixel_statistics(torch.tensor([0.5]), torch.tensor([0.25]))
    expected = model.encoder((x - 0.5) / 0.25).mean(1)
    torch.testing.assert_close(model.encode(x), expected)
    assert model.encode(images(size=64)).shape == (6, 32)
    model.set_pixel_statistics(torch.tensor([0.5]), torch.tensor([0.0]))  # a constant channel
    assert model.encode(x).isfinite().all()


def test_in_patches_the_prediction_never_sees_a_target_pixel(monkeypatch):
    """Its pixels may change, the prediction stays: it depends on the target's place only."""
    monkeypatch.setattr(LeJEPA, "_view", lambda self, images, *_: Views(images))
    model = tiny(objective="patches").eval()
    seen = []
    model.predictor.register_forward_hook(lambda _, args, out: seen.append((args[2], out)))
    x = images()
    model(x)
    (target, before), losses = seen[0], model(x)
    hidden = torch.zeros(6, 16).scatter_(1, target, 1.0).view(6, 1, 4, 4)
    mask = hidden.repeat_interleave(8, 2).repeat_interleave(8, 3)
    changed = model(torch.where(mask > 0, 1 - x, x))
    torch.testing.assert_close(seen[-1][1], before, rtol=0, atol=0)
    assert changed["prediction_loss"] != losses["prediction_loss"]  # what is wanted did change


def test_hidden_views_compute_on_the_visible_patches_only():
    model = tiny(mask_ratio=0.75, num_full_views=2, num_hidden_views=3)
    sizes = []
    model.encoder.blocks[0].register_forward_hook(lambda _, args, out: sizes.append(out.shape[:2]))
    model(images())
    assert sizes == [(12, 16), (18, 4)]


def test_training_lowers_the_loss_and_does_not_collapse():
    model = tiny(lambda_reg=1.0, num_hidden_views=1)
    coarse = torch.rand(32, 1, 4, 4, generator=generator(0, 0, "coarse"))
    x = torch.nn.functional.interpolate(coarse, (32, 32), mode="bilinear")
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    values = []
    for _ in range(40):
        losses = model(x)
        optimizer.zero_grad()
        losses["total_loss"].backward()
        optimizer.step()
        values.append(losses["total_loss"].item())
    assert sum(values[-5:]) < 0.8 * sum(values[:5])
    assert model.eval().encode(x).std(0).mean() > 0.01


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="objective"):
        tiny(objective="pixels")
    with pytest.raises(ValueError, match="full view"):
        tiny(num_full_views=0)
    with pytest.raises(ValueError, match="multiple"):
        tiny(image_size=30)
