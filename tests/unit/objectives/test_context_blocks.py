"""I-JEPA's masks: what the paper says of sizes, and that a context never holds a target."""

import pytest
import torch

from medjepa.objectives.context_blocks import draw_context_and_targets
from medjepa.types import PatchGrid


def draws(grid, num=4, **more):
    for seed in range(30):
        rng = torch.Generator().manual_seed(seed)
        yield draw_context_and_targets(num, grid, rng=rng, **more)


@pytest.mark.parametrize("shape", [(14, 14), (8, 8), (4, 4), (7, 12)])
def test_a_context_never_holds_a_target_and_targets_are_blocks(shape):
    grid = PatchGrid(shape)
    for context, targets in draws(grid):
        assert targets.shape[1] == 4 and context.shape[1] >= min(10, len(grid) // 4)
        for kept, blocks in zip(context, targets, strict=True):
            assert len(kept.unique()) == len(kept)
            assert not set(kept.tolist()) & set(blocks.flatten().tolist())
            for block in blocks:
                rows, columns = block // shape[1], block % shape[1]
                height, width = (int(x.max() - x.min()) + 1 for x in (rows, columns))
                assert height * width == len(block) == len(block.unique())


def test_areas_and_aspects_lie_in_the_published_ranges():
    grid = PatchGrid((28, 28))
    shapes = set()
    for context, targets in draws(grid, num=1):
        rows, columns = targets[0, 0] // 28, targets[0, 0] % 28
        height, width = (int(x.max() - x.min()) + 1 for x in (rows, columns))
        # A side is rounded to whole patches: half a patch of 8 to 15.
        assert 0.15 * 0.9 <= height * width / len(grid) <= 0.2 * 1.1
        assert 0.75 * 0.9 <= height / width <= 1.5 * 1.1
        assert len(context[0]) <= len(grid) - height * width
        shapes.add((height, width))
    assert len(shapes) > 10


def test_without_targets_inside_the_context_is_a_block_of_its_scale():
    grid = PatchGrid((20, 20))
    for context, targets in draws(grid, num=1, num_targets=1, target_scale=(0.01, 0.01)):
        assert 0.85 * 0.95 - 0.02 <= len(context[0]) / 400 <= 1.0
        assert targets.shape[2] == 4


def test_every_patch_is_a_target_and_a_context_at_times():
    grid = PatchGrid((8, 8))
    seen, hidden = torch.zeros(64), torch.zeros(64)
    for context, targets in draws(grid, num=8):
        seen[context.unique()] += 1
        hidden[targets.unique()] += 1
    assert bool((seen > 0).all()) and bool((hidden > 0).all())


def test_targets_that_leave_nothing_are_refused():
    with pytest.raises(ValueError, match="leave no context"):
        draw_context_and_targets(
            1, PatchGrid((4, 4)), target_scale=(1.0, 1.0), rng=torch.Generator()
        )
