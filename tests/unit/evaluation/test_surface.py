import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from medjepa.evaluation.surface import outline, surface_distances

SHAPES = st.sampled_from([(9,), (5, 6), (4, 5, 3)])
STEPS = st.sampled_from([0.5, 1.0, 2.5, 5.0])
CASES = SHAPES.flatmap(
    lambda shape: st.tuples(
        arrays.arrays(bool, shape),
        arrays.arrays(bool, shape),
        st.tuples(*[STEPS] * len(shape)),
    )
)


def surface_points(mask):
    """Outermost voxels one by one: a direct neighbour is missing from the mask or the image."""
    found = []
    for place in map(tuple, np.argwhere(mask)):
        for axis in range(mask.ndim):
            for step in (-1, 1):
                other = list(place)
                other[axis] += step
                inside = 0 <= other[axis] < mask.shape[axis]
                if not inside or not mask[tuple(other)]:
                    found.append(place)
    return sorted(set(found))


def quantile(values, share):
    values = sorted(values)
    place = share * (len(values) - 1)
    low = math.floor(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (place - low) * (values[high] - values[low])


def brute_force(truth, prediction, spacing):
    first, second = surface_points(truth), surface_points(prediction)

    def nearest(points, others):
        return [
            min(
                math.sqrt(sum(((a - b) * s) ** 2 for a, b, s in zip(p, q, spacing, strict=True)))
                for q in others
            )
            for p in points
        ]

    there, back = nearest(first, second), nearest(second, first)
    mean = (sum(there) + sum(back)) / (len(there) + len(back))
    return max(quantile(there, 0.95), quantile(back, 0.95)), mean


@given(CASES)
@settings(deadline=None)
def test_distances_equal_brute_force_over_all_pairs_of_surface_voxels(case):
    truth, prediction, spacing = case
    found = surface_distances(truth, prediction, spacing)
    if not truth.any() and not prediction.any():
        assert math.isnan(found.hd95)
        assert math.isnan(found.mean)
    elif truth.any() and prediction.any():
        expected = brute_force(truth, prediction, spacing)
        assert (found.hd95, found.mean) == pytest.approx(expected, abs=1e-6)
    assert np.array_equal(
        np.argwhere(outline(truth)), np.array(surface_points(truth)).reshape(-1, truth.ndim)
    )


def test_surfaces_in_many_pieces_give_the_same_distances(monkeypatch):
    rng = np.random.default_rng(0)
    truth, prediction = rng.random((9, 10, 11)) < 0.1, rng.random((9, 10, 11)) < 0.2
    whole = surface_distances(truth, prediction, (2.0, 1.0, 0.5))
    monkeypatch.setattr("medjepa.evaluation.surface.POINTS_AT_ONCE", 7)
    assert surface_distances(truth, prediction, (2.0, 1.0, 0.5)) == whole
    assert (whole.hd95, whole.mean) == pytest.approx(
        brute_force(truth, prediction, (2.0, 1.0, 0.5)), abs=1e-6
    )


def test_a_shifted_box_is_as_far_as_it_was_shifted_in_mm():
    truth, prediction = np.zeros((20, 20, 20), bool), np.zeros((20, 20, 20), bool)
    truth[5:9, 5:9, 5:9], prediction[8:12, 5:9, 5:9] = True, True
    assert surface_distances(truth, prediction, (2.0, 1.0, 1.0)).hd95 == pytest.approx(6.0)
    assert surface_distances(truth, truth, (2.0, 1.0, 1.0)).hd95 == 0
    half = surface_distances(truth, prediction, (1.0, 0.5, 0.5))
    whole = surface_distances(truth, prediction, (2.0, 1.0, 1.0))
    assert whole.mean == pytest.approx(2 * half.mean)


def test_what_is_not_found_at_all_is_the_diagonal_away_and_never_left_out():
    truth = np.zeros((30, 40), bool)
    truth[3, 4] = True
    for pair in ((truth, ~truth & False), (truth & False, truth)):
        found = surface_distances(*pair, (1.0, 1.0))
        assert found.hd95 == found.mean == pytest.approx(50.0)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (1.0, 0.0, 1.0), (1.0, math.nan, 1.0)])
def test_a_spacing_that_cannot_be_is_refused(spacing):
    with pytest.raises(ValueError, match="spacing"):
        surface_distances(np.ones((2, 2, 2), bool), np.ones((2, 2, 2), bool), spacing)
