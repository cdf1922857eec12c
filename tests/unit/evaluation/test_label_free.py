"""Scores without labels: closed forms, a second computation, and what they do not depend on."""

import numpy as np
import pytest
import torch
from scipy.linalg import eigh
from scipy.spatial.distance import pdist

from medjepa.errors import DataError
from medjepa.evaluation.label_free import (
    SCORES,
    alignment,
    lidar,
    rank_me,
    uniformity,
    weighted_rankme,
)


def drawn(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def rotated(rows, seed=1):
    turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(rows.shape[-1],) * 2))
    return rows @ torch.from_numpy(turn)


def views_of(num=40, num_views=5, dim=6, spread=0.3):
    centres = drawn(num, 1, dim) * torch.linspace(1, 3, dim)
    return centres + spread * drawn(num, num_views, dim, seed=2) * torch.linspace(0.2, 2, dim)


def test_rankme_is_what_the_paper_writes():
    rows = drawn(50, 7).numpy()
    values = np.linalg.svd(rows, compute_uv=False)
    share = values / values.sum() + 1e-7
    assert rank_me(torch.from_numpy(rows)) == pytest.approx(np.exp(-(share * np.log(share)).sum()))


def test_rankme_is_the_dimension_where_all_directions_are_alike_and_one_on_a_line():
    equal = torch.eye(8).repeat(5, 1)
    assert rank_me(equal) == pytest.approx(8, abs=1e-4)
    line = drawn(30, 1) * torch.arange(1.0, 9.0)
    assert rank_me(line) == pytest.approx(1, abs=1e-4)


def test_rankme_of_a_resample_is_that_of_its_rows():
    for num in (60, 5):  # more and fewer images than features
        rows, counts = drawn(num, 9), torch.arange(num) % 3
        repeated = rows.repeat_interleave(counts, 0)
        if num > 9:
            assert weighted_rankme(rows, counts.double()) == pytest.approx(
                rank_me(repeated), rel=1e-6
            )
        ones = torch.ones(num)
        assert weighted_rankme(rows, ones) == pytest.approx(rank_me(rows), rel=1e-6)


def by_hand(views, delta):
    """LiDAR by sums over every view and scipy's generalised eigenvalues."""
    num, num_views, dim = views.shape
    means = [sum(image) / num_views for image in views]
    middle = sum(means) / num
    between, within = np.zeros((dim, dim)), delta * np.eye(dim)
    for image, mean in zip(views, means, strict=True):
        between += np.outer(mean - middle, mean - middle) / num
        for view in image:
            within += np.outer(view - mean, view - mean) / (num * num_views)
    values = np.maximum(eigh(between, within, eigvals_only=True), 0)
    share = values / values.sum() + 1e-8
    return np.exp(-(share * np.log(share)).sum())


@pytest.mark.parametrize("delta", [1e-4, 1.0])
def test_lidar_agrees_with_sums_by_hand(delta):
    views = views_of()
    assert lidar(views, delta=delta) == pytest.approx(by_hand(views.numpy(), delta), rel=1e-9)


def test_lidar_is_the_number_of_directions_that_tell_images_apart():
    """Images differ along 3 of 6 directions alike; views along the other 3."""
    signs = torch.tensor([[a, b, c] for a in (-1.0, 1) for b in (-1.0, 1) for c in (-1.0, 1)])
    views = torch.zeros(8, 6, 6)
    views[:, :, :3] = signs[:, None]
    views[:, :, 3:] = torch.cat([torch.eye(3), -torch.eye(3)])
    assert lidar(views) == pytest.approx(3, abs=1e-3)
    assert rank_me(views.flatten(0, 1)) > 4  # which RankMe takes for more


def test_lidar_counts_an_image_as_often_as_it_is_drawn():
    views, counts = views_of(), torch.arange(40) % 4
    repeated = views.repeat_interleave(counts, 0)
    assert lidar(views, counts.double()) == pytest.approx(lidar(repeated), rel=1e-9)


def test_alignment_is_the_mean_over_pairs_of_views():
    views = views_of(num=9)
    unit = (views / views.norm(dim=-1, keepdim=True)).numpy()
    pairs = [pdist(image, "sqeuclidean").mean() for image in unit]
    assert alignment(views) == pytest.approx(np.mean(pairs), rel=1e-9)
    counts = torch.arange(9.0)
    assert alignment(views, counts) == pytest.approx(np.average(pairs, weights=range(9)), rel=1e-9)
    opposite = torch.stack([drawn(5, 4), drawn(5, 4)], 1) * torch.tensor([1.0, -1.0])[:, None]
    assert alignment(opposite) == pytest.approx(4)


def test_uniformity_is_the_log_mean_over_pairs_of_images():
    views = views_of(num=12, num_views=2)
    unit = (views / views.norm(dim=-1, keepdim=True)).numpy()
    close = [np.exp(-2 * pdist(unit[:, v], "sqeuclidean")) for v in range(2)]
    assert uniformity(views) == pytest.approx(np.log(np.mean(close)), rel=1e-9)
    # A resample: pairs of different images, each pair as often as both are drawn.
    counts = np.arange(12) % 3
    weight = np.outer(counts, counts)[np.triu_indices(12, 1)]
    expected = np.log(np.average(np.mean(close, axis=0), weights=weight))
    assert uniformity(views, torch.from_numpy(counts).double()) == pytest.approx(expected, rel=1e-9)


def test_uniformity_of_a_circle_is_known():
    """exp(-2 d^2), d^2 = 2 - 2 cos: its mean over the circle is exp(-4) times Bessel's I0(4)."""
    angle = torch.arange(4000) * 2 * torch.pi / 4000
    circle = torch.stack([angle.cos(), angle.sin()], 1)[:, None]
    assert uniformity(circle) == pytest.approx(-4 + np.log(np.i0(4.0)), abs=2e-3)


def test_a_collapsed_encoder_is_perfectly_aligned_and_not_uniform():
    point = torch.full((20, 4, 8), 0.7)
    assert alignment(point) == pytest.approx(0, abs=1e-12)
    assert uniformity(point) == pytest.approx(0, abs=1e-12)
    assert rank_me(point[:, 0]) == pytest.approx(1, abs=1e-4)
    assert lidar(point) == pytest.approx(1, abs=1e-4)
    assert alignment(0 * point) == uniformity(0 * point) == 0


@pytest.mark.parametrize("score", [lambda v: rank_me(v[:, 0]), lidar, alignment, uniformity])
def test_nothing_depends_on_rotation(score):
    views = views_of()
    assert score(rotated(views)) == pytest.approx(score(views), rel=1e-6)


@pytest.mark.parametrize("factor", [0.1, 100.0])
def test_nothing_depends_on_scale_except_lidar_by_its_delta(factor):
    views = views_of()
    for score in (lambda v: rank_me(v[:, 0]), alignment, uniformity):
        assert score(factor * views) == pytest.approx(score(views), rel=1e-6)
    assert lidar(factor * views, delta=factor**2 * 1e-4) == pytest.approx(lidar(views), rel=1e-6)
    assert lidar(1e-3 * views) != pytest.approx(lidar(views), rel=1e-2)  # delta rules there


def test_too_few_images_or_views_are_refused():
    one = torch.ones(1, 3, 4)
    for score in (lambda v: rank_me(v[:, 0]), lidar, uniformity):
        with pytest.raises(DataError, match="2 or more images, got 1"):
            score(one)
    for score in (lidar, alignment):
        with pytest.raises(DataError, match="2 or more views"):
            score(torch.ones(5, 1, 4))


def test_the_better_way_of_each_score_is_declared():
    better = {score.key: score.higher_is_better for score in SCORES}
    assert better == {
        "training_loss": False, "rankme": True, "lidar": True, "alignment": False,
        "uniformity": False,
    }  # fmt: skip
