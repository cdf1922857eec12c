"""Schedules of a teacher's momentum, as pure functions of how much of the run is done."""

import math


def cosine_momentum(first: float, *, share: float) -> float:
    """Rise from `first` to 1 along a half cosine. Source: DINO, arXiv 2104.14294, section 3.1."""
    return 1 - (1 - first) * (math.cos(math.pi * min(share, 1.0)) + 1) / 2


def linear_momentum(first: float, *, share: float) -> float:
    """Rise linearly from `first` to 1. Source: I-JEPA, arXiv 2301.08243, appendix A.1."""
    return first + (1 - first) * min(share, 1.0)
