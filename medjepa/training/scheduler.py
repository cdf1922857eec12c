"""The learning rate as a pure function of the step."""

import math
from dataclasses import dataclass

from medjepa.utils.logging import get_logger

_logger = get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class WarmupCosine:
    """Linear rise to `peak` over `warmup_steps`, then a cosine down to `final` at the last step.

    Source: the recipe of LeJEPA (arXiv 2511.08544): linear warm-up, cosine to a thousandth.
    """

    peak: float
    final: float
    warmup_steps: int
    total_steps: int

    def __call__(self, step: int) -> float:
        """Return the learning rate of step 0, 1, ..., total_steps - 1."""
        if step < self.warmup_steps:
            # step + 1: a first step at rate 0 would be a step that does nothing
            return self.peak * (step + 1) / self.warmup_steps
        falling = max(self.total_steps - 1 - self.warmup_steps, 1)
        share = min((step - self.warmup_steps) / falling, 1.0)
        return self.final + (self.peak - self.final) * 0.5 * (1 + math.cos(math.pi * share))


def fit_warmup(wished: int, total_steps: int) -> int:
    """Return the warm-up's steps: a tenth of the run where they would fill half of it or more."""
    if 2 * wished < total_steps:
        return wished
    shortened = total_steps // 10
    if wished:
        _logger.info(
            "warm-up of %d steps is too long for a run of %d: shortened to %d",
            wished, total_steps, shortened,
        )  # fmt: skip
    return shortened
