"""How many steps fit into a time: measured by a short trial that leaves no trace."""

import copy
import time
from collections.abc import Callable

from torch import nn

TRIAL_STEPS, TRIAL_SECONDS, UNCOUNTED_STEPS = 20, 10.0, 2
USED_SHARE = 0.95


def steps_within(seconds: float, model: nn.Module, trial_step: Callable[[int], None]) -> int:
    """Return how many steps take `seconds`, at least 1.

    `trial_step(step)` is a forward and backward pass; the model's state is put back afterwards.
    The first steps allocate memory and are not counted.
    """
    before = copy.deepcopy(model.state_dict())
    begin = counted = time.perf_counter()
    done = 0
    while done < TRIAL_STEPS and (time.perf_counter() - begin < TRIAL_SECONDS or done < 4):
        if done == UNCOUNTED_STEPS:
            counted = time.perf_counter()
        trial_step(done)
        done += 1
    per_step = (time.perf_counter() - counted) / (done - UNCOUNTED_STEPS)
    model.load_state_dict(before)
    model.zero_grad(set_to_none=True)
    return max(int(USED_SHARE * seconds / per_step), 1)
