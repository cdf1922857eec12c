"""Losses of the methods to compare with, against formulas written out in numpy."""

import numpy as np
import pytest
import torch

from medjepa.objectives.context_blocks import block_prediction_loss
from medjepa.objectives.contrastive import nt_xent
from medjepa.objectives.distillation import distillation_loss, next_centre, warmed_temperature
from medjepa.objectives.momentum import cosine_momentum, linear_momentum
from medjepa.objectives.pixels import masked_pixel_loss
from medjepa.objectives.vicreg import vicreg_parts


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def tensors(*arrays):
    return [torch.from_numpy(array) for array in arrays]


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_masked_pixels_are_each_patch_in_its_own_units():
    painted, patches = numbers(2, 3, 8), 5 + 3 * numbers(2, 3, 8, seed=1)
    total = 0.0
    for own, there in zip(painted.reshape(-1, 8), patches.reshape(-1, 8), strict=True):
        wanted = (there - there.mean()) / np.sqrt(there.var(ddof=1) + 1e-6)
        total += ((own - wanted) ** 2).mean() / 6
    loss = masked_pixel_loss(*tensors(painted, patches), normalise=True)
    assert float(loss) == pytest.approx(total, rel=1e-9)
    plain = masked_pixel_loss(*tensors(painted, patches), normalise=False)
    assert float(plain) == pytest.approx(((painted - patches) ** 2).mean(), rel=1e-9)


def test_nt_xent_is_equation_1_over_all_2n_views():
    first, second, temperature = numbers(4, 5), numbers(4, 5, seed=1), 0.3
    views = np.concatenate([first, second])
    views /= np.linalg.norm(views, axis=1, keepdims=True)
    total = 0.0
    for i in range(8):
        j = (i + 4) % 8
        others = [np.exp(views[i] @ views[k] / temperature) for k in range(8) if k != i]
        total -= np.log(np.exp(views[i] @ views[j] / temperature) / sum(others)) / 8
    loss = nt_xent(*tensors(first, second), temperature=temperature)
    assert float(loss) == pytest.approx(total, rel=1e-9)


def test_vicreg_is_algorithm_1():
    first, second = numbers(6, 4), 0.2 * numbers(6, 4, seed=1)
    hinge = covariance = 0.0
    for view in (first, second):
        hinge += np.maximum(0, 1 - np.sqrt(view.var(0, ddof=1) + 1e-4)).mean()
        matrix = np.cov(view.T)
        covariance += sum(matrix[i, j] ** 2 for i in range(4) for j in range(4) if i != j) / 4
    parts = [float(part) for part in vicreg_parts(*tensors(first, second))]
    assert parts == pytest.approx([((first - second) ** 2).mean(), hinge, covariance], rel=1e-9)


def test_distillation_crosses_every_view_but_with_itself():
    student, teacher, centre = numbers(4, 3, 5), numbers(2, 3, 5, seed=1), numbers(5, seed=2)
    total, pairs = 0.0, 0
    for t in range(2):
        for s in range(4):
            if s != t:
                wanted = softmax((teacher[t] - centre) / 0.05)
                total -= (wanted * np.log(softmax(student[s] / 0.1))).sum(-1).mean()
                pairs += 1
    loss = distillation_loss(
        *tensors(student, teacher, centre), student_temperature=0.1, teacher_temperature=0.05
    )
    assert pairs == 6 and float(loss) == pytest.approx(total / pairs, rel=1e-9)


def test_the_centre_follows_the_mean_score():
    centre, teacher = numbers(5), numbers(2, 3, 5, seed=1)
    moved = next_centre(*tensors(centre, teacher), momentum=0.9)
    expected = 0.9 * centre + 0.1 * teacher.reshape(-1, 5).mean(0)
    assert moved.numpy() == pytest.approx(expected)


def test_blocks_are_compared_under_smooth_l1_with_normed_targets():
    predicted, wanted = 2 * numbers(2, 2, 3, 6), numbers(2, 2, 3, 6, seed=1)
    mean, variance = wanted.mean(-1, keepdims=True), wanted.var(-1, keepdims=True)
    gap = np.abs(predicted - (wanted - mean) / np.sqrt(variance + 1e-5))
    expected = np.where(gap < 1, 0.5 * gap**2, gap - 0.5).mean()
    assert float(block_prediction_loss(*tensors(predicted, wanted))) == pytest.approx(expected)


def test_no_gradient_reaches_a_teacher():
    for loss in (
        lambda x, y: block_prediction_loss(x[None], y[None]),
        lambda x, y: distillation_loss(
            x, y, torch.zeros(4).double(), student_temperature=0.1, teacher_temperature=0.04
        ),
    ):
        student, teacher = (t.requires_grad_() for t in tensors(numbers(2, 3, 4), numbers(2, 3, 4)))
        loss(student, teacher).backward()
        assert teacher.grad is None and bool(student.grad.abs().sum() > 0)


def test_schedules_begin_and_end_where_they_should():
    assert cosine_momentum(0.996, share=0.0) == pytest.approx(0.996)
    assert cosine_momentum(0.996, share=0.5) == pytest.approx(0.998)
    assert linear_momentum(0.996, share=0.25) == pytest.approx(0.997)
    assert cosine_momentum(0.996, share=1.0) == linear_momentum(0.996, share=1.0) == 1.0
    rise = [warmed_temperature(0.04, 0.07, share=s, warmup_share=0.3) for s in (0, 0.15, 0.3, 1)]
    assert rise == pytest.approx([0.04, 0.055, 0.07, 0.07])
