"""How a synthetic heart moves: the phases of its two halves, which is all that a class decides.

A half's phase says where in its cycle it stands, 0 to 1. It begins anywhere, in every class, and
independently of the other half. So the phases of one frame are uniform whatever the class, and a
single frame tells nothing: only what changes from frame to frame does.
"""

from dataclasses import dataclass

import numpy as np

from medjepa.data.phantoms.texture import FloatArray

MOTIONS = ("apical", "basal", "global", "none")
"""Where the wall stands still, in the order of the class index."""
_MOVES = {
    "apical": (False, True), "basal": (True, False), "global": (False, False), "none": (True, True),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Beat:
    """How one clip's heart beats.

    Attributes:
        moves: whether the half at the apex moves, and the one at the base.
        start: their phases in the first frame, in cycles.
        period_seconds: of a beat.
        unsteady: how much longer or shorter single beats are, as a share.
    """

    moves: tuple[bool, bool]
    start: tuple[float, float]
    period_seconds: float
    unsteady: float


def draw_beat(rng: np.random.Generator, name: str, period_seconds: float) -> Beat:
    """Draw how a clip of the class `name` begins and beats."""
    return Beat(
        moves=_MOVES[name],
        start=(rng.uniform(0, 1), rng.uniform(0, 1)),
        period_seconds=period_seconds * rng.uniform(0.85, 1.15),
        unsteady=rng.uniform(0.0, 0.15),
    )


def phases(rng: np.random.Generator, beat: Beat, seconds: FloatArray) -> FloatArray:
    """(2, T) phases of the halves at apex and base at `seconds` (T,), in cycles."""
    run = seconds / beat.period_seconds
    # A smooth wander of the rhythm, the same for both halves.
    wander = np.sin(2 * np.pi * (run / rng.uniform(2.5, 4.5) + rng.uniform(0, 1)))
    run = run + beat.unsteady * wander
    moving = np.array(beat.moves, np.float32)[:, None]
    drawn: FloatArray = np.array(beat.start, np.float32)[:, None] + moving * run
    return drawn % 1


def contraction(phase: FloatArray) -> FloatArray:
    """0 (wide) to 1 (contracted) at a phase: in quickly, out slowly."""
    systole = 0.38
    rising = np.sin(0.5 * np.pi * np.clip(phase / systole, 0, 1)) ** 2
    falling = np.cos(0.5 * np.pi * np.clip((phase - systole) / (1 - systole), 0, 1)) ** 2
    inward: FloatArray = np.where(phase < systole, rising, falling)
    return inward
