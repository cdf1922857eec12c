import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medjepa.models.sliding_window import infer, score_slabs, segment
from medjepa.models.windows import importance, windows

CASES = st.integers(1, 3).flatmap(
    lambda axes: st.tuples(
        st.tuples(*[st.integers(1, 13)] * axes),
        st.tuples(*[st.integers(1, 6)] * axes),
        st.sampled_from([0.0, 0.25, 0.5, 0.75]),
    )
)


def pointwise(batch):
    """Two scores of a voxel that know nothing of its neighbours."""
    return torch.cat([batch.sum(1, keepdim=True), 3 - 2 * batch[:, :1]], dim=1)


def image_of(shape, channels=1):
    return torch.rand(channels, *shape, generator=torch.Generator().manual_seed(0))


@given(CASES)
@settings(deadline=None)
def test_where_neighbours_do_not_matter_windows_change_nothing(case):
    shape, window, overlap = case
    image = image_of(shape)
    found = infer(pointwise, image, window, overlap=overlap, batch_size=2)
    torch.testing.assert_close(found, pointwise(image[None])[0])


@given(CASES)
@settings(deadline=None)
def test_a_constant_network_gives_its_constant_everywhere(case):
    shape, window, overlap = case

    def constant(batch):
        return torch.full((len(batch), 3, *window), 0.3)

    found = infer(constant, image_of(shape), window, overlap=overlap)
    torch.testing.assert_close(found, torch.full((3, *shape), 0.3))


def test_one_window_is_the_plain_forward_to_the_bit():
    network = torch.nn.Conv3d(2, 4, 3, padding=1)
    image = image_of((6, 8, 7), channels=2)
    with torch.no_grad():
        assert torch.equal(infer(network, image, (6, 8, 7)), network(image[None])[0])


def test_a_smaller_image_stands_in_the_middle_of_zeros_and_is_cut_out():
    place = torch.arange(8.0 * 8 * 8).reshape(8, 8, 8)  # a network that knows where it looks

    def network(batch):
        return batch * 2 + place

    image = image_of((3, 8, 5))
    padded = torch.nn.functional.pad(image, (1, 2, 0, 0, 2, 3))  # x, y, z: 8, 8, 8
    expected = network(padded[None])[0][:, 2:5, :, 1:6]
    assert torch.equal(infer(network, image, (8, 8, 8)), expected)


def test_overlapping_windows_are_averaged_by_their_importance():
    """Against sums over the whole image at once, in float64.

    The network's own float32 sums of 25 products, each below 1/5, may be added in another order for
    several windows than for one: at most 25 roundings of 2^-24 each, of a sum below 5.
    """
    torch.manual_seed(0)
    network = torch.nn.Conv2d(1, 3, 5, padding=2)
    image, window = image_of((17, 12)), (8, 6)
    sums, weights = torch.zeros(3, 17, 12, dtype=torch.float64), torch.zeros(17, 12)
    with torch.no_grad():
        for y, x in windows((17, 12), window, overlap=0.5):
            box = (slice(y, y + 8), slice(x, x + 6))
            score = network(image[(slice(None), *box)][None])[0]
            sums[(slice(None), *box)] += (score * importance(window)).double()
            weights[box] += importance(window)
    found = infer(network, image, window).double()
    torch.testing.assert_close(found, sums / weights, rtol=0, atol=25 * 5 * 2**-24)


def test_memory_is_that_of_one_window_s_rows_and_every_row_comes_once():
    rows, largest = [], 0

    def read(start, shape):
        nonlocal largest
        largest = max(largest, int(np.prod(shape)))
        return torch.ones(1, *shape)

    for first, scores in score_slabs(pointwise, read, (100, 9, 9), (8, 4, 4), overlap=0.5):
        assert scores.untyped_storage().nbytes() <= 2 * 8 * 9 * 9 * 4
        rows += range(first, first + scores.shape[1])
    assert rows == list(range(100))
    assert largest == 8 * 4 * 4


def test_segment_gives_the_best_class_and_regions_that_overlap():
    image = image_of((9, 7, 6), channels=3)

    def read(start, shape):
        return image[(slice(None), *(slice(s, s + n) for s, n in zip(start, shape, strict=True)))]

    labels = segment(lambda batch: batch, read, (9, 7, 6), (4, 4, 4))
    assert np.array_equal(labels, image.argmax(0).numpy())
    regions = segment(lambda batch: batch, read, (9, 7, 6), (4, 4, 4), regions=True)
    assert np.array_equal(regions, (image > 0.5).numpy())
    assert regions.sum(0).max() == 3


def test_a_window_that_the_network_does_not_keep_is_an_error():
    with pytest.raises(RuntimeError):
        infer(lambda batch: batch[..., 1:], image_of((9, 9)), (4, 4))
