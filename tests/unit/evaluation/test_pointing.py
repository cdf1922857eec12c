"""Heat maps from frozen tokens, and the pointing game with its baselines."""

import numpy as np
import pytest
import torch

from medjepa.evaluation.lesion_maps import (
    NormalPatches,
    grid_of,
    patch_tokens,
    received_attention,
)
from medjepa.evaluation.pointing import CENTRE, RANDOM, covered, point_of, pointing_game
from medjepa.models.encoder import ViTEncoder, rotate


def play(num=40, *, hot="box", seed=0):
    """Images of 40 x 60 with a box each, and maps that are hot in it, or anywhere."""
    rng = np.random.default_rng(seed)
    maps, boxes = [], []
    for _ in range(num):
        row, column = (int(n) for n in (rng.integers(0, 8), rng.integers(0, 12)))
        boxes.append(np.asarray([[column * 5, row * 5, column * 5 + 5, row * 5 + 5]], float))
        heat = rng.uniform(0, 1, (8, 12))
        if hot == "box":
            heat[row, column] = 2.0
        maps.append(heat)
    return maps, boxes, [(40, 60)] * num


def test_a_map_that_is_hot_in_the_box_always_hits_and_beats_both_baselines():
    maps, boxes, sizes = play()
    result = pointing_game({"map": maps}, boxes, sizes)
    assert result.maps["map"].hits.value == 1.0
    assert result.maps["map"].over_random.low > 0
    assert result.maps["map"].over_centre.low > 0
    assert result.maps[RANDOM].hits.value == pytest.approx(25 / 2400)
    assert result.num_images == 40


def test_chance_hits_as_often_as_boxes_cover_the_image():
    maps, _, sizes = play(num=3000, hot="anywhere")
    boxes = [np.asarray([[0.0, 0.0, 30.0, 20.0]])] * 3000
    result = pointing_game({"map": maps}, boxes, sizes, num_resamples=200)
    assert result.maps[RANDOM].hits.value == pytest.approx(0.25)
    found = result.maps["map"]
    assert found.hits.value == pytest.approx(0.25, abs=0.03)
    assert found.over_random.low < 0 < found.over_random.high


def test_images_of_one_patient_are_drawn_together():
    maps, boxes, sizes = play(num=40)
    for index in range(0, 40, 4):  # every second patient is missed altogether
        if index // 4 % 2:
            for own in maps[index : index + 4]:
                own[:] = np.random.default_rng(index).uniform(0, 1, own.shape)
    patients = [index // 4 for index in range(40)]
    apart = pointing_game({"map": maps}, boxes, sizes).maps["map"].hits
    together = pointing_game({"map": maps}, boxes, sizes, patients)
    assert together.num_patients == 10
    grouped = together.maps["map"].hits
    assert grouped.high - grouped.low > 1.4 * (apart.high - apart.low)


def test_the_share_that_boxes_cover_is_that_of_their_union():
    rng = np.random.default_rng(0)
    for _ in range(20):
        low = rng.integers(0, 20, (4, 2))
        boxes = np.concatenate([low, low + rng.integers(1, 15, (4, 2))], 1).astype(float)
        there = np.zeros((30, 25), bool)
        for x0, y0, x1, y1 in boxes.astype(int):
            there[y0:y1, x0:x1] = True
        assert covered(boxes, (30, 25)) == pytest.approx(there.mean())


def test_a_map_that_says_nothing_points_to_the_middle():
    x, y = point_of(np.zeros((9, 9)), (90, 180))
    assert (x, y) == (90.0, 45.0)
    with pytest.raises(ValueError, match="NaN"):
        point_of(np.full((2, 2), np.nan), (10, 10))


def test_tolerance_lets_a_near_miss_count():
    heat = np.zeros((4, 4))
    heat[0, 0] = 1.0
    boxes = [np.asarray([[10.0, 0.0, 20.0, 10.0]])]
    assert pointing_game({"m": [heat]}, boxes, [(40, 40)]).maps["m"].hits.value == 0
    near = pointing_game({"m": [heat]}, boxes, [(40, 40)], tolerance=5.0)
    assert near.maps["m"].hits.value == 1


def test_images_without_a_box_are_not_played_and_none_is_an_error():
    maps, boxes, sizes = play(num=4)
    boxes[0] = np.zeros((0, 4))
    result = pointing_game({"m": maps}, boxes, sizes)
    assert result.num_images == 3
    assert set(result.maps) == {"m", CENTRE, RANDOM}
    with pytest.raises(ValueError, match="no image has a box"):
        pointing_game({"m": maps[:1]}, boxes[:1], sizes[:1])
    with pytest.raises(ValueError, match="one map of each kind"):
        pointing_game({"m": maps[:2]}, boxes, sizes)


def small_encoder():
    torch.manual_seed(0)
    return ViTEncoder(32, 4, 1, 24, 3, 2).eval()


def test_a_patch_that_normal_images_do_not_have_is_the_hottest():
    """Normal images are smooth; a bright square is put into one of them."""
    encoder = small_encoder()
    rng = torch.Generator().manual_seed(0)
    normal = 0.1 * torch.randn(6, 1, 32, 32, generator=rng)
    odd = 0.1 * torch.randn(1, 1, 32, 32, generator=rng)
    odd[:, :, 16:24, 8:16] = 3.0
    bank = NormalPatches.of([patch_tokens(encoder, normal)], seed=0)
    heat = bank.distance(patch_tokens(encoder, odd))[0].reshape(grid_of(encoder, odd)).numpy()
    x, y = point_of(heat, (32, 32))
    assert 6 <= x <= 18
    assert 14 <= y <= 26


def test_a_normal_patch_is_at_distance_zero_of_itself_and_seeds_choose():
    encoder = small_encoder()
    tokens = patch_tokens(encoder, torch.rand(2, 1, 32, 32))
    bank = NormalPatches.of([tokens], most=10_000)
    assert bank.distance(tokens).abs().max() < 1e-2
    few = [NormalPatches.of([tokens], most=20, seed=seed).kept for seed in (0, 0, 1)]
    assert torch.equal(few[0], few[1])
    assert not torch.equal(few[0], few[2])
    assert (bank.distance(tokens, neighbours=5) >= bank.distance(tokens)).all()


def test_attention_that_patches_receive_is_a_distribution_and_leaves_no_hook():
    encoder = small_encoder()
    found = received_attention(encoder, torch.rand(3, 1, 32, 16))
    assert found.shape == (3, 32)
    assert torch.allclose(found.sum(1), torch.ones(3), atol=1e-5)
    assert (found > 0).all()
    assert not encoder.blocks[-1].attention._forward_pre_hooks


def test_the_middle_of_a_wide_image_is_half_its_width_and_height():
    # 40 high, 200 wide: the middle is x = 100, y = 20.
    heat = np.zeros((4, 4))
    hit, miss = [[95.0, 15, 105, 25]], [[15.0, 95, 25, 105]]
    for boxes, value in ((hit, 1.0), (miss, 0.0)):
        found = pointing_game({"flat": [heat]}, [np.array(boxes)], [(40, 200)], num_resamples=2)
        assert found.maps[CENTRE].hits.value == value


def test_a_point_has_to_lie_in_one_box_in_both_directions():
    # The point (25, 25) lies in the columns of the first box and in the rows of the second.
    heat = np.zeros((4, 4))
    heat[1, 1] = 1.0
    boxes = np.array([[20.0, 60, 30, 70], [60, 20, 70, 30]])
    found = pointing_game({"one": [heat]}, [boxes], [(66, 66)], num_resamples=2)
    assert found.maps["one"].hits.value == 0.0


def test_a_map_is_compared_with_the_middle_and_with_chance_each_by_its_own():
    # The hottest cell hits, the middle misses; a random point hits a quarter of the image.
    heat = np.zeros((4, 4))
    heat[0, 0] = 1.0
    boxes = np.array([[0.0, 0, 40, 40]])
    found = pointing_game({"one": [heat]}, [boxes], [(80, 80)], num_resamples=2)
    assert found.maps["one"].over_centre.value == 1.0
    assert found.maps["one"].over_random.value == pytest.approx(0.75)


def test_tolerance_enlarges_what_a_random_point_hits():
    boxes = np.array([[10.0, 10, 20, 20]])
    assert covered(boxes, (100, 100)) == pytest.approx(0.01)
    assert covered(boxes, (100, 100), 5.0) == pytest.approx(0.04)
    # Beyond the border there is nothing to hit.
    assert covered(np.array([[0.0, 0, 10, 10]]), (100, 100), 5.0) == pytest.approx(0.0225)


def test_a_patch_receives_what_the_others_give_it_head_by_head():
    """By hand, query after query: attention goes from the asking patch to the one that is asked."""
    for positions in ("sincos", "rotary"):
        torch.manual_seed(1)
        encoder = ViTEncoder(16, 4, 1, 24, 2, 2, positions=positions).eval()
        with torch.no_grad():  # untrained attention is nearly even: make it choose
            encoder.blocks[-1].attention.qkv.weight.mul_(20)
        images = torch.rand(2, 1, 16, 16)
        given = []
        handle = encoder.blocks[-1].attention.register_forward_pre_hook(
            lambda _, inputs, kept=given: kept.append(inputs)
        )
        with torch.no_grad():
            encoder(images)
        handle.remove()
        tokens, rotation = given[0]
        attention = encoder.blocks[-1].attention
        with torch.no_grad():
            query, key, _ = attention.qkv(tokens).chunk(3, dim=-1)
        expected = torch.zeros(2, 16)
        for head in (slice(0, 12), slice(12, 24)):
            q, k = query[..., head], key[..., head]
            if rotation is not None:
                q, k = rotate(q[:, None], rotation)[:, 0], rotate(k[:, None], rotation)[:, 0]
            for image in range(2):
                for asking in range(16):
                    weight = (k[image] @ q[image, asking] / 12**0.5).exp()
                    expected[image] += weight / weight.sum() / (2 * 16)
        found = received_attention(encoder, images)
        assert torch.allclose(found, expected, atol=1e-5)
        assert found.std(1).min() > 0.005  # else any axis would do


def test_tokens_are_averaged_over_the_neighbours_that_there_are():
    """A corner has four of nine, an edge six: nothing beyond the border is counted."""
    encoder, pixels = small_encoder(), torch.rand(2, 1, 20, 28)
    found = patch_tokens(encoder, pixels, depths=(2,)).transpose(1, 2).unflatten(2, (5, 7))
    with torch.no_grad():
        own = encoder.features(pixels, (2,))[0].transpose(1, 2).unflatten(2, (5, 7))
    for row in range(5):
        for column in range(7):
            near = own[:, :, max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
            assert torch.allclose(found[:, :, row, column], near.mean((2, 3)), atol=1e-6)
