"""How many steps fit into a time: measured by a short trial that leaves no trace."""

import copy
import time
from collections.abc import Callable

import torch
from torch import nn

from medjepa.training.distributed import any_process, mean_over_processes

TRIAL_STEPS, TRIAL_SECONDS, UNCOUNTED_STEPS = 20, 10.0, 2
TRIAL_SHARE = 0.1
"""Of the time that is asked for: a trial of a short run is short."""
USED_SHARE = 0.95


def steps_within(seconds: float, model: nn.Module, trial_step: Callable[[int], None]) -> int:
    """Return how many steps take `seconds`, at least 1.

    `trial_step(step)` is a forward and backward pass; the model's state is put back afterwards.
    The first steps allocate memory and are not counted.
    """
    before = copy.deepcopy(model.state_dict())
    most = min(TRIAL_SECONDS, TRIAL_SHARE * seconds)
    begin = counted = time.perf_counter()
    done = 0
    # Processes work in step: they must agree on one more, or one would wait for ever.
    while done < TRIAL_STEPS and any_process(
        done < 2 * UNCOUNTED_STEPS or time.perf_counter() - begin < most
    ):
        if done == UNCOUNTED_STEPS:
            counted = time.perf_counter()
        trial_step(done)
        done += 1
    measured = torch.tensor((time.perf_counter() - counted) / (done - UNCOUNTED_STEPS))
    per_step = float(mean_over_processes(measured.to(next(model.parameters()).device)))
    model.load_state_dict(before)
    model.zero_grad(set_to_none=True)
    return max(int(USED_SHARE * seconds / per_step), 1)
