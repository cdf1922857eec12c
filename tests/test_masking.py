"""Masks: exact ratios, nothing lost, every patch reachable, the same from the same seed."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medjepa.data.masking import PatchMasker2D, PatchMasker3D, TemporalMasker
from medjepa.objectives.masks import (
    TUBE_RANGES,
    draw_masks,
    draw_tubes,
    foreground_first,
    num_hidden_patches,
    random_blocks,
    split_kept,
)
from medjepa.objectives.randomness import generator
from medjepa.types import PatchGrid

grids = (
    st.lists(st.integers(1, 6), min_size=1, max_size=3)
    .map(tuple)
    .filter(lambda s: math.prod(s) > 1)
)


@settings(deadline=None, max_examples=60)
@given(
    shape=grids,
    ratio=st.floats(0.01, 0.99),
    kind=st.sampled_from(["random", "block"]),
    blocks=st.integers(1, 6),
)
def test_masks_are_disjoint_complete_sorted_and_of_the_exact_ratio(shape, ratio, kind, blocks):
    grid = PatchGrid(shape)
    rng = generator(0, 0, "mask")
    visible, hidden = draw_masks(
        5, grid, mask_ratio=ratio, mask_type=kind, num_blocks=blocks, rng=rng
    )
    assert hidden.shape == (5, num_hidden_patches(len(grid), ratio))
    assert hidden.shape[1] > 0 < visible.shape[1]
    together = torch.cat([visible, hidden], 1)
    assert (together.sort(1).values == torch.arange(len(grid))).all()
    assert (visible.diff(dim=1) > 0).all() and (hidden.diff(dim=1) > 0).all()


@settings(deadline=None, max_examples=25)
@given(shape=grids, kind=st.sampled_from(["random", "block"]))
def test_every_patch_is_sometimes_hidden_and_sometimes_visible(shape, kind):
    grid = PatchGrid(shape)
    rng = generator(1, 0, "mask")
    visible, hidden = draw_masks(600, grid, mask_ratio=0.5, mask_type=kind, num_blocks=2, rng=rng)
    assert len(hidden.unique()) == len(visible.unique()) == len(grid)


def test_blocks_are_whole_and_reach_the_last_row_and_column():
    """I-JEPA's published masks never hide the last row: its upper bound is exclusive."""
    grid = PatchGrid((7, 9))
    blocks = random_blocks(500, 1, grid, area=0.2, aspect=(0.5, 2.0), rng=generator(0, 0, "b"))
    pictures = blocks.view(500, 7, 9)
    rows, columns = pictures.any(2), pictures.any(1)
    assert (pictures == rows[:, :, None] & columns[:, None]).all()  # a product of two intervals
    for side in (rows, columns):
        assert ((side[:, 1:].int() - side[:, :-1].int()).abs().sum(1) <= 2).all()  # no gap
        assert side[:, 0].any() and side[:, -1].any()
    sizes = {(int(r.sum()), int(c.sum())) for r, c in zip(rows, columns, strict=True)}
    assert len(sizes) > 4


def test_block_masks_hide_neighbours_and_random_masks_do_not():
    grid = PatchGrid((14, 14))

    def share_of_hidden_neighbours(kind: str) -> float:
        rng = generator(0, 0, kind)
        _, hidden = draw_masks(200, grid, mask_ratio=0.5, mask_type=kind, num_blocks=4, rng=rng)
        picture = torch.zeros(200, 196).scatter_(1, hidden, 1.0).view(200, 14, 14)
        return (picture[:, 1:] * picture[:, :-1]).mean().item() / picture.mean().item()

    assert share_of_hidden_neighbours("block") > 0.75
    assert share_of_hidden_neighbours("random") < 0.55


def test_the_guides_masker():
    masker = PatchMasker2D(
        image_size=224, patch_size=16, mask_ratio=0.75, num_target_blocks=4, seed=0
    )
    assert (masker.grid_size, masker.num_patches) == (14, 196)
    for draw in (masker.generate_mask, masker.generate_block_mask):
        context, target = draw()
        assert (len(context), len(target)) == (49, 147)
        picture = masker.visualize_mask(context, target)
        assert picture.shape == (14, 14) and picture.sum() == 147
    again = PatchMasker2D(seed=0)
    first, second = again.generate_mask(), again.generate_mask()
    assert (first[0] == PatchMasker2D(seed=0).generate_mask()[0]).all()
    assert (first[0] != second[0]).any()


def test_volumes_and_clips():
    volume = PatchMasker3D(seed=0)
    assert volume.num_patches == 8 * 8 * 8
    for context, target in (volume.generate_mask(), volume.generate_block_mask()):
        assert len(target) == 384 and len(context) == 128
    clip = TemporalMasker(num_frames=16, seed=0).generate_mask()
    assert len(clip["visible_frames"]) == len(clip["hidden_frames"]) == 8
    assert len(clip["visible_patches"]) == 49


@pytest.mark.parametrize("ratio", [0.0, 1.0, -0.1, 1.5])
def test_a_ratio_that_leaves_one_side_empty_is_refused(ratio):
    with pytest.raises(ValueError, match="mask_ratio"):
        PatchMasker2D(mask_ratio=ratio)


def test_a_patch_that_does_not_divide_the_image_is_refused():
    with pytest.raises(ValueError, match="do not divide"):
        PatchMasker2D(image_size=224, patch_size=15)
    with pytest.raises(ValueError, match="mask_type"):
        draw_masks(
            1,
            PatchGrid((2, 2)),
            mask_ratio=0.5,
            mask_type="blocks",
            num_blocks=1,
            rng=generator(0, 0, ""),
        )


tube_grids = st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 6)).filter(
    lambda s: s[1] * s[2] > 1
)


@settings(deadline=None, max_examples=40)
@given(shape=tube_grids, tubes=st.sampled_from(TUBE_RANGES))
def test_tubes_hide_the_same_places_of_every_frame(shape, tubes):
    grid = PatchGrid(shape)
    visible, hidden = draw_tubes(7, grid, tubes=tubes, rng=generator(0, 0, "tube"))
    assert hidden.shape[1] > 0 < visible.shape[1]
    together = torch.cat([visible, hidden], 1)
    assert (together.sort(1).values == torch.arange(len(grid))).all()
    picture = torch.zeros(7, len(grid)).scatter_(1, hidden, 1.0).view(7, shape[0], -1)
    assert (picture == picture[:, :1]).all()
    num_hidden = num_hidden_patches(shape[1] * shape[2], tubes.share)
    assert (picture[:, 0].sum(1) == num_hidden).all()


def test_tubes_reach_every_place_and_a_frame_of_one_patch_is_refused():
    grid = PatchGrid((2, 2, 2))
    visible, hidden = draw_tubes(200, grid, tubes=TUBE_RANGES[0], rng=generator(0, 0, "t"))
    assert len(hidden.unique()) == len(visible.unique()) == 8
    with pytest.raises(ValueError, match="one patch"):
        draw_tubes(2, PatchGrid((8, 1, 1)), tubes=TUBE_RANGES[0], rng=generator(0, 0, "t"))


def test_long_range_tubes_hide_fewer_and_larger_areas():
    grid = PatchGrid((2, 14, 14))

    def num_edges(tubes) -> float:
        _, hidden = draw_tubes(100, grid, tubes=tubes, rng=generator(0, 0, "edges"))
        picture = torch.zeros(100, len(grid)).scatter_(1, hidden, 1.0).view(100, 2, 14, 14)[:, 0]
        return float(picture.diff(dim=1).abs().sum() + picture.diff(dim=2).abs().sum())

    assert num_edges(TUBE_RANGES[1]) < num_edges(TUBE_RANGES[0])


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_masks_of_the_foreground_lose_none_of_it_and_keep_both_sides(data):
    num_patches = data.draw(st.integers(2, 30))
    is_foreground = torch.tensor(
        [data.draw(st.lists(st.booleans(), min_size=num_patches, max_size=num_patches))
         for _ in range(4)]
    )  # fmt: skip
    kept = foreground_first(is_foreground, rng=generator(0, 0, "kept"))
    assert (kept.diff(dim=1) > 0).all()
    chosen = torch.zeros_like(is_foreground).scatter_(1, kept, True)
    assert (chosen | ~is_foreground).all()  # every foreground patch is there
    masks = draw_masks(
        4, PatchGrid((num_patches,)), mask_ratio=0.6, mask_type="random", num_blocks=2,
        rng=generator(0, 0, "mask"),
    )  # fmt: skip
    visible, hidden = split_kept(kept, *masks, rng=generator(0, 0, "split"))
    assert hidden.shape[1] > 0 < visible.shape[1]
    together = torch.cat([visible, hidden], 1).sort(1).values
    torch.testing.assert_close(together, kept)


def test_what_is_cut_off_the_foreground_is_no_corner():
    """In raster order the surplus would always be the last patches."""
    kept = torch.arange(20).expand(400, -1)
    rng = generator(0, 0, "mask")
    masks = draw_masks(
        400, PatchGrid((40,)), mask_ratio=0.5, mask_type="random", num_blocks=2, rng=rng
    )
    visible, _ = split_kept(kept, *masks, rng=rng)
    share = torch.bincount(visible.flatten(), minlength=20) / 400
    assert share.min() > 0.4 and share.max() < 0.6


def test_the_temporal_masker_draws_tubes_too():
    masker = TemporalMasker(num_frames=8, image_size=64, seed=0)
    for name, share in (("short", 0.63), ("long", 0.82)):
        context, target = masker.generate_tube_mask(name)
        assert len(context) + len(target) == 4 * 16
        assert len(target) == 4 * round(share * 16)
    with pytest.raises(ValueError, match="short or long"):
        masker.generate_tube_mask("medium")
    with pytest.raises(ValueError, match="tubelets"):
        TemporalMasker(num_frames=15, tubelet=2)
