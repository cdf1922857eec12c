import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from medjepa.evaluation.dice import Structure, masks, overlap, structures_of

SHAPES = st.sampled_from([(7,), (5, 6), (4, 5, 3), (2, 3, 2, 3)])
PAIRS = SHAPES.flatmap(
    lambda shape: st.tuples(arrays.arrays(bool, shape), arrays.arrays(bool, shape))
)


@given(PAIRS)
def test_overlap_equals_counting_voxel_by_voxel_on_any_number_of_axes(pair):
    truth, prediction = pair
    both = total = either = 0
    for t, p in zip(truth.ravel().tolist(), prediction.ravel().tolist(), strict=True):
        both, total, either = both + (t and p), total + t + p, either + (t or p)
    found = overlap(truth, prediction)
    if not total:
        assert math.isnan(found.dice)
        assert math.isnan(found.iou)
    else:
        assert found.dice == pytest.approx(2 * both / total, abs=1e-6)
        assert found.iou == pytest.approx(both / either, abs=1e-6)
        assert found.dice == pytest.approx(2 * found.iou / (1 + found.iou), abs=1e-6)
        back = overlap(prediction, truth)
        assert (back.dice, back.num_truth) == (found.dice, found.num_predicted)


def test_nothing_found_or_nothing_there_is_0_and_neither_is_not_counted():
    nothing, something = np.zeros((4, 4, 4), bool), np.zeros((4, 4, 4), bool)
    something[1, 2, 3] = True
    assert overlap(nothing, something).dice == overlap(something, nothing).dice == 0
    assert overlap(something, something).dice == overlap(something, something).iou == 1
    assert math.isnan(overlap(nothing, nothing).dice)


def test_a_large_background_changes_nothing():
    truth, prediction = np.zeros((3, 8, 8), bool), np.zeros((3, 8, 8), bool)
    truth[1, 2:5, 2:5], prediction[1, 3:6, 2:5] = True, True
    wide = [np.pad(mask, 20) for mask in (truth, prediction)]
    assert overlap(*wide) == overlap(truth, prediction)


def test_masks_on_different_grids_are_refused():
    with pytest.raises(ValueError, match="not on one grid"):
        overlap(np.zeros((3, 4), bool), np.zeros((4, 3), bool))


def test_regions_overlap_and_a_label_map_gives_the_same_masks_as_its_regions():
    labels = np.random.default_rng(0).integers(0, 4, (3, 5, 4)).astype(np.uint8)
    tumour = (Structure("WT", (1, 2, 3)), Structure("TC", (1, 3)), Structure("ET", (3,)))
    from_map = list(masks(labels, tumour, 3))
    regions = np.stack([labels > 0, (labels == 1) | (labels == 3), labels == 3])
    for one, region, again in zip(from_map, regions, masks(regions, tumour, 3), strict=True):
        assert np.array_equal(one, region)
        assert np.array_equal(again, region)
    assert (from_map[0] & from_map[2]).sum() == from_map[2].sum() > 0


def test_labels_of_another_kind_and_the_background_as_a_structure_are_refused():
    with pytest.raises(ValueError, match="neither a map"):
        list(masks(np.zeros((2, 3, 4, 5)), structures_of(["a", "b", "c"]), 3))
    with pytest.raises(ValueError, match="background"):
        Structure("everything", (0, 1))
