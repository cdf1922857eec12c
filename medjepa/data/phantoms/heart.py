"""A synthetic heart in an ultrasound sector: what varies between patients, and its frames.

Lengths are in half widths of the frame, x to the image's right, y downwards, the apex above.
"""

from dataclasses import dataclass

import numpy as np

from medjepa.data.phantoms.beat import Beat, contraction, phases
from medjepa.data.phantoms.texture import FloatArray, bump, edge, lattice, noise


@dataclass(frozen=True, kw_only=True)
class Heart:
    """What stays the same in every clip of one patient."""

    length: float  # of the cavity, apex to valve
    width: float  # its greatest half width
    asymmetry: float  # how much wider the septal side is
    wall: float  # thickness at rest
    swing: float  # share of the half width by which a wall moves in
    tilt: float
    period_seconds: float
    echo: float  # brightness of the walls
    right_width: float  # of the right ventricle beside it
    tissue: FloatArray


@dataclass(frozen=True, kw_only=True)
class Look:
    """What differs between two clips of one patient."""

    shift: tuple[float, float]
    turn: float
    scale: float
    gain: float
    speckle: float
    depth_loss: float
    sector: float  # half of its opening, radians


def draw_heart(rng: np.random.Generator) -> Heart:
    """Draw a patient."""
    u = rng.uniform
    return Heart(
        length=u(1.10, 1.40),
        width=u(0.36, 0.48),
        asymmetry=rng.normal(0, 0.10),
        wall=u(0.10, 0.16),
        swing=u(0.50, 0.70),
        tilt=rng.normal(0.0, 0.10),
        period_seconds=u(0.55, 0.85),
        echo=u(0.50, 0.72),
        right_width=u(0.25, 0.40),
        tissue=lattice(rng, 32),
    )


def draw_look(rng: np.random.Generator) -> Look:
    """Draw how one clip is taken."""
    u = rng.uniform
    return Look(
        shift=(rng.normal(0, 0.04), rng.normal(0, 0.04)),
        turn=rng.normal(0, 0.05),
        scale=u(0.93, 1.07),
        gain=u(0.8, 1.2),
        speckle=u(0.05, 0.10),
        depth_loss=u(0.0, 0.35),
        sector=u(0.62, 0.80),
    )


def film(
    rng: np.random.Generator,
    heart: Heart,
    look: Look,
    beat: Beat,
    *,
    num_frames: int,
    size: int,
    frame_seconds: float,
) -> FloatArray:
    """Draw a clip, (T, size, size) in [0, 1]."""
    times = np.arange(num_frames, dtype=np.float32) * frame_seconds
    inward = contraction(phases(rng, beat, times))[:, :, None, None]  # (2, T, 1, 1)
    across, down = _pixels(size)
    turn = heart.tilt + look.turn
    x = np.cos(turn) * (across - look.shift[0]) + np.sin(turn) * (down - look.shift[1])
    y = np.cos(turn) * (down - look.shift[1]) - np.sin(turn) * (across - look.shift[0])
    x, y = x / look.scale, y / look.scale
    values = _echoes(heart, x, y, inward[0], inward[1])
    # Speckle multiplies, and its grain comes anew in each frame.
    grain = rng.standard_normal(values.shape, dtype=np.float32)
    values = values * np.exp(look.speckle * (grain + 0.8 * noise(heart.tissue, 9 * x, 9 * y)))
    fade = look.gain * (1 - look.depth_loss * 0.5 * (down + 1))
    radius, angle = np.hypot(across, down + 1.15), np.arctan2(across, down + 1.15)
    inside = edge(look.sector - np.abs(angle), 0.02) * edge(2.1 - radius, 0.02)
    shown: FloatArray = np.clip(values * fade * inside, 0, 1)
    return shown


def _echoes(
    heart: Heart, x: FloatArray, y: FloatArray, apex: FloatArray, base: FloatArray
) -> FloatArray:
    """(T, H, W): bright walls, dark blood; `apex` and `base` (T, 1, 1) are contractions."""
    along = (y + 0.62) / heart.length  # 0 at the apex, 1 at the valve
    shape = np.sqrt(np.clip(along * (1.9 - 0.9 * along), 0, None))
    rest_left = heart.width * (1 + heart.asymmetry) * shape
    rest_right = heart.width * (1 - heart.asymmetry) * shape
    inward = heart.swing * (apex + (base - apex) * edge(along - 0.45, 0.08))
    left, right = rest_left * (1 - inward), rest_right * (1 - inward)
    # A wall that moves in grows thicker: its outer border moves less.
    outer_left = rest_left * (1 - 0.35 * inward) + heart.wall
    outer_right = rest_right * (1 - 0.35 * inward) + heart.wall
    within = edge(along + 0.11, 0.02) * edge(1.05 - along, 0.02)
    muscle = edge(np.minimum(x + outer_left, outer_right - x), 0.018) * within
    blood = (
        edge(np.minimum(x + left, right - x), 0.018) * edge(along, 0.02) * edge(1 - along, 0.015)
    )
    other = edge(heart.right_width - np.abs(x + heart.width + heart.wall + heart.right_width), 0.03)
    other = other * edge(0.55 - np.abs(y - 0.12), 0.04) * (1 - muscle)
    valve = 0.5 * bump(along, 1.0, 0.03) * blood
    tissue = 0.26 + 0 * muscle
    values: FloatArray = tissue * (1 - muscle) * (1 - 0.8 * other)
    values = values + heart.echo * muscle * (1 - blood) + 0.05 * blood + valve
    return values


def _pixels(size: int) -> tuple[FloatArray, FloatArray]:
    """Centres of the pixels in [-1, 1], across and down, (size, size) each."""
    centres: FloatArray = (np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1
    down, across = np.meshgrid(centres, centres, indexing="ij")
    return across, down
