"""A dataset that draws crops is told the step; any other one is asked as before."""

import torch

from medjepa.data.batching import Samples
from medjepa.data.sampling import BatchPlan
from medjepa.training.batches import PlannedSteps
from medjepa.training.feed import Feed


class Recorder:
    """Says which items it was asked for: number and draw stand in the image."""

    def __init__(self, draws_crops):
        self.draws_crops = draws_crops

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return self.__getitems__([index])[0]

    def __getitems__(self, indices):
        pairs = [i if isinstance(i, tuple) else (i, -1) for i in indices]
        images = torch.tensor(pairs, dtype=torch.float32).reshape(-1, 1, 1, 2)
        return Samples(images, torch.zeros(len(pairs), dtype=torch.int64))


def asked(feed, steps):
    return [[tuple(map(int, i.flatten())) for i in feed.batch(s, 20).images] for s in steps]


def test_the_draw_of_an_item_is_the_step_whenever_it_is_read():
    plan = BatchPlan(8, 4, seed=1)
    expected = [[(index, step) for index in plan.batch(step)] for step in range(6)]
    for workers in (0, 1):
        feed = Feed(Recorder(draws_crops=True), plan, num_workers=workers, pin=False)
        assert asked(feed, range(6)) == expected
    # Continued from step 4, and gone back to 2.
    again = Feed(Recorder(draws_crops=True), plan, num_workers=0, pin=False)
    assert asked(again, [4, 5, 2]) == [expected[step] for step in (4, 5, 2)]


def test_images_are_asked_for_by_their_number_alone():
    plan = BatchPlan(8, 4, seed=1)
    feed = Feed(Recorder(draws_crops=False), plan, num_workers=0, pin=False)
    assert asked(feed, [0]) == [[(index, -1) for index in plan.batch(0)]]
    assert list(PlannedSteps(plan, 3, 4)) == [plan.batch(3)]
    assert list(PlannedSteps(plan, 3, 4, with_step=True)) == [[(i, 3) for i in plan.batch(3)]]
