"""SIGReg against golden values, the direct formula, and an independent closed form."""

import math

import pytest
import torch
from scipy.stats import norm
from torch import Tensor

from medjepa.objectives.jepa_loss import PUBLISHED_WEIGHT
from medjepa.objectives.randomness import generator
from medjepa.objectives.sigreg import null_mean, sigreg_per_view, unit_directions
from medjepa.training.losses import SIGRegLoss, epps_pulley, sigreg

GOLDEN = {
    (0.0,): 0.402047579732,
    (1.0,): 1.186005805519,
    (-1.0, 1.0): 0.205659231926,
    (-1.0, 0.0, 1.0): 0.032946500337,
    (0.5, -1.5, 2.0, 0.25): 0.469045268236,
    tuple(torch.linspace(-2, 2, 9, dtype=torch.float64).tolist()): 1.034785465417,
    tuple(norm.ppf((torch.arange(64).double() + 0.5) / 64).tolist()): 0.000834246502,
}


def direct(x: Tensor, num_knots: int = 17, t_max: float = 3.0) -> Tensor:
    """The definition, written as it is read: all knots at once."""
    knots = torch.linspace(0, t_max, num_knots, dtype=x.dtype)
    gauss = torch.exp(-0.5 * knots**2)
    angle = x[:, :, None] * knots
    error = (angle.cos().mean(0) - gauss) ** 2 + angle.sin().mean(0) ** 2
    return 2 * len(x) * torch.trapezoid(error * gauss, knots, dim=-1)


def closed_form(x: Tensor) -> Tensor:
    """The statistic integrated over the whole line (Baringhaus-Henze form), one sample (N,)."""
    pairs = torch.exp(-0.5 * (x[:, None] - x[None]) ** 2).mean()
    single = torch.exp(-0.25 * x**2).mean()
    value = math.sqrt(2 * math.pi) * pairs - 2 * math.sqrt(math.pi) * single
    return len(x) * (value + math.sqrt(2 * math.pi / 3))


@pytest.mark.parametrize(("sample", "value"), GOLDEN.items(), ids=lambda v: str(v)[:20])
def test_golden_values(sample, value):
    x = torch.tensor(sample, dtype=torch.float64)[:, None]
    assert epps_pulley(x).item() == pytest.approx(value, abs=1e-11)


@pytest.mark.parametrize(("num_knots", "t_max"), [(17, 3.0), (2, 1.0), (5, 0.5), (41, 5.0)])
def test_value_and_gradient_of_the_direct_formula(num_knots, t_max):
    x = 3 * torch.randn(50, 7, dtype=torch.float64, generator=generator(0, 0, "x"))
    x.requires_grad_()
    weights = torch.arange(1.0, 8.0, dtype=torch.float64)
    ours = epps_pulley(x, num_knots=num_knots, t_max=t_max)
    theirs = direct(x, num_knots, t_max)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    (our_slope,) = torch.autograd.grad((ours * weights).sum(), x)
    (their_slope,) = torch.autograd.grad((theirs * weights).sum(), x)
    torch.testing.assert_close(our_slope, their_slope, rtol=1e-9, atol=1e-10)


def test_the_closed_form_with_fine_knots():
    for sample in ([1.0], [0.5, -1.5, 2.0, 0.25], torch.linspace(-3, 4, 30).tolist()):
        x = torch.tensor(sample, dtype=torch.float64)
        ours = epps_pulley(x[:, None], num_knots=401, t_max=10.0).item()
        assert ours == pytest.approx(closed_form(x).item(), abs=1e-10)


def test_mean_under_the_null_is_the_same_for_every_number_of_samples():
    assert null_mean() == pytest.approx(1.052464154799, abs=1e-11)
    for num in (2, 64):
        x = torch.randn(num, 20_000, dtype=torch.float64, generator=generator(1, num, "null"))
        values = epps_pulley(x)
        error = values.std().item() / math.sqrt(len(values))
        assert abs(values.mean().item() - null_mean()) < 4 * error


def test_a_shift_and_a_collapse_cost_more_than_the_null():
    x = torch.randn(256, 64, generator=generator(0, 0, "x"))
    at_rest = epps_pulley(x).mean()
    assert epps_pulley(x + 0.5).mean() > 5 * at_rest
    assert epps_pulley(x + 1).mean() > epps_pulley(x + 0.5).mean()
    assert epps_pulley(x * 0.01).mean() > 5 * at_rest


def test_precision_is_raised_to_float32_and_float64_stays():
    x = torch.randn(32, 3, generator=generator(0, 0, "x"))
    assert epps_pulley(x.double()).dtype == torch.float64
    assert epps_pulley(x.bfloat16()).dtype == torch.float32
    torch.testing.assert_close(
        epps_pulley(x), epps_pulley(x.double()).float(), rtol=1e-4, atol=1e-5
    )


def test_order_of_samples_and_of_columns_does_not_matter():
    x = torch.randn(40, 6, dtype=torch.float64, generator=generator(0, 0, "x"))
    torch.testing.assert_close(epps_pulley(x.flip(0)), epps_pulley(x))
    torch.testing.assert_close(epps_pulley(x.flip(1)), epps_pulley(x).flip(0))


def test_a_column_that_is_not_a_number_says_so():
    x = torch.zeros(4, 2)
    x[1, 0] = torch.nan
    values = epps_pulley(x)
    assert values[0].isnan() and values[1].isfinite()


def test_wrong_knots_are_refused():
    with pytest.raises(ValueError, match="num_knots"):
        epps_pulley(torch.zeros(3, 1), num_knots=1)
    with pytest.raises(ValueError, match="t_max"):
        epps_pulley(torch.zeros(3, 1), t_max=0.0)


def test_directions_are_of_length_one_and_sigreg_is_their_mean():
    directions = unit_directions(5, 11, rng=generator(0, 0, "directions"))
    torch.testing.assert_close(directions.norm(dim=0), torch.ones(11))
    z = torch.randn(30, 5, generator=generator(0, 0, "z"))
    torch.testing.assert_close(sigreg(z, directions), direct(z @ directions).mean())


def test_views_are_tested_each_for_itself():
    """Views that agree exactly are right, and pooled they would look like too few samples."""
    z = torch.randn(64, 1, 8, generator=generator(0, 0, "z")).expand(64, 6, 8)
    directions = unit_directions(8, 64, rng=generator(0, 0, "directions"))
    torch.testing.assert_close(sigreg_per_view(z, directions), sigreg(z[:, 0], directions))
    assert sigreg(z.flatten(0, 1), directions) > 3 * sigreg_per_view(z, directions)


def test_the_loss_is_prediction_plus_weighted_regularization():
    loss = SIGRegLoss(lambda_reg=2.0, num_directions=32, seed=3)
    z = torch.randn(16, 4, 8, generator=generator(0, 0, "z"))
    target = torch.randn(16, 4, 8, generator=generator(0, 1, "z"))
    directions = unit_directions(8, 32, rng=generator(3, 0, "directions"))
    parts = loss(z, target, z)
    torch.testing.assert_close(parts["prediction_loss"], ((z - target) ** 2).mean())
    expected = PUBLISHED_WEIGHT * sigreg_per_view(z, directions)
    torch.testing.assert_close(parts["regularization_loss"], expected)
    total = parts["prediction_loss"] + 2.0 * parts["regularization_loss"]
    torch.testing.assert_close(parts["total_loss"], total)


def test_directions_are_fresh_each_step_and_a_restored_counter_repeats_them():
    z = torch.randn(16, 1, 8, generator=generator(0, 0, "z"))

    def values(loss: SIGRegLoss, steps: int) -> list[float]:
        return [loss(z, z, z)["regularization_loss"].item() for _ in range(steps)]

    straight = values(SIGRegLoss(num_directions=16, seed=1), 4)
    assert len(set(straight)) == 4
    first = SIGRegLoss(num_directions=16, seed=1)
    values(first, 2)
    second = SIGRegLoss(num_directions=16, seed=1)
    second.load_state_dict(first.state_dict())
    assert values(second, 2) == straight[2:]
    assert values(SIGRegLoss(num_directions=16, seed=2), 4) != straight
    evaluated = values(second.eval(), 2)
    assert evaluated[0] == evaluated[1] == straight[0]


def test_autocast_does_not_lower_the_precision():
    z = torch.randn(16, 1, 8, generator=generator(0, 0, "z"))
    loss = SIGRegLoss(num_directions=16).eval()
    plain = loss(z, z, z)["total_loss"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert loss(z, z, z)["total_loss"] == plain
