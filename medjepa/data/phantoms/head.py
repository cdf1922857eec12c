"""A synthetic head: skull, folded brain, ventricles; what varies between patients and visits.

Lengths are in mm from the middle of the head: x to the right, y to the front, z to the top. Arrays
are (z, y, x).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medjepa.data.phantoms.lesions import Lesion, draw_lesion, paint
from medjepa.data.phantoms.solid import cloud, cube, sheets
from medjepa.data.phantoms.texture import FloatArray, edge

FIELD_MM = 160.0
"""Height, depth and width of what is imaged."""
STRUCTURES = {1: "brain", 2: "ventricles", 3: "finding"}
"""Values of the label maps; 0 is all else."""


@dataclass(frozen=True, kw_only=True)
class Head:
    """What stays the same at every visit of one patient."""

    radii: tuple[float, float, float]  # outer, z, y, x
    egg: float  # how much wider the back is
    scalp: float
    skull: float
    fold: float  # mm from fold to fold of the cortex
    cortex: float  # mm
    ventricle: float  # half width, mm
    ventricle_length: float
    ventricle_spread: float  # distance from the middle
    grey: float
    white: float
    lesion: Lesion
    folds: FloatArray
    tissue: FloatArray


@dataclass(frozen=True, kw_only=True)
class Visit:
    """What differs between two volumes of one patient."""

    shift: tuple[float, float, float]
    scale: tuple[float, float, float]
    growth: float  # of the finding
    moved: tuple[float, float, float]  # the finding's middle, mm
    contrast: float  # of the finding
    bias: FloatArray
    gamma: float
    noise: float
    gain: float


@dataclass(frozen=True)
class Scan:
    """One rendered volume.

    Attributes:
        values: (Z, Y, X) signal, 0 in air, about 1 the brightest tissue.
        labels: (Z, Y, X) uint8, the values of `STRUCTURES`.
        spacing: of z, y, x in mm.
    """

    values: FloatArray
    labels: NDArray[np.uint8]
    spacing: tuple[float, float, float]


def draw_head(rng: np.random.Generator, name: str) -> Head:
    """Draw a patient with a finding of the class `name`."""
    u, size = rng.uniform, rng.normal(0, 0.6)
    # Heads are alike: what a short training meets first is what differs most, and that is the
    # finding.
    return Head(
        radii=(64 + size + u(-1, 1), 71 + size + u(-1, 1), 59 + size + u(-1, 1)),
        egg=0.06,
        scalp=5.0,
        skull=6.0,
        fold=15.0,
        cortex=8.0,
        ventricle=7.0,
        ventricle_length=28.0,
        ventricle_spread=8.0,
        grey=0.46,
        white=0.63,
        lesion=draw_lesion(rng, name),
        folds=cube(rng),
        tissue=cube(rng),
    )


def draw_visit(rng: np.random.Generator) -> Visit:
    """Draw how one volume is taken."""
    u = rng.uniform
    shift, moved = rng.normal(0, 3.0, 3), rng.normal(0, 2.0, 3)
    scale = 1 + rng.normal(0, 0.02, 3)
    return Visit(
        shift=(shift[0], shift[1], shift[2]),
        scale=(scale[0], scale[1], scale[2]),
        growth=u(0.9, 1.12),
        moved=(moved[0], moved[1], moved[2]),
        contrast=u(0.85, 1.15),
        bias=rng.normal(0, 0.018, (3,)).astype(np.float32),
        gamma=u(0.96, 1.05),
        noise=u(0.010, 0.022),
        gain=u(0.7, 1.3),
    )


def scan(
    rng: np.random.Generator, head: Head, visit: Visit, spacing: tuple[float, float, float]
) -> Scan:
    """Draw one volume of a patient on a grid of `spacing` (z, y, x), mm."""
    z, y, x = (
        (centres(step) - moved) / scale
        for step, moved, scale in zip(spacing, visit.shift, visit.scale, strict=True)
    )
    up, front, right = z[:, None, None], y[:, None], x[None, None, :]
    depth = _depth(head, up, front, right)  # mm below the skin
    inner = depth - head.scalp - head.skull  # mm below the brain's surface
    brain = edge(inner, 0.8)
    ventricles = _ventricles(head, up, front, right)
    folds = sheets(cloud(head.folds, z / head.fold, y / head.fold, x / head.fold), 0.35)
    white = edge(inner - head.cortex * (0.7 + 0.9 * folds), 0.8)
    mottle = 0.02 * cloud(head.tissue, z / 9, y / 9, x / 9)
    tissue = (head.grey + (head.white - head.grey) * white + mottle) * (
        1 - 0.45 * folds * (edge(head.cortex * 1.2 - inner, 1.5))
    )
    found = paint(head.lesion, (z, y, x), growth=visit.growth, moved=visit.moved)
    inside = found.weight * brain * (1 - ventricles)
    tissue = tissue + visit.contrast * inside * found.change
    tissue = tissue * (1 - ventricles) + 0.16 * ventricles
    scalp = edge(depth, 0.8) * (1 - edge(depth - head.scalp, 0.8))
    bone = edge(depth - head.scalp, 0.8) * (1 - brain)
    values = brain * tissue + 0.78 * scalp + 0.08 * bone
    labels = np.zeros(values.shape, np.uint8)
    labels[brain > 0.5] = 1
    labels[(ventricles * brain) > 0.5] = 2
    labels[inside > 0.5] = 3
    return Scan(_acquire(rng, values, visit, (z, y, x)), labels, spacing)


def centres(step: float) -> FloatArray:
    """Where the voxels of one axis lie, mm from the middle of the field."""
    num = round(FIELD_MM / step)
    places: FloatArray = (np.arange(num, dtype=np.float32) + 0.5 - num / 2) * np.float32(step)
    return places


def _depth(head: Head, up: FloatArray, front: FloatArray, right: FloatArray) -> FloatArray:
    """About how many mm a voxel lies below the skin; negative outside."""
    tall, long, wide = head.radii
    across = right / (wide * (1 - head.egg * front / long))
    radius = np.sqrt(np.square(up / tall) + np.square(front / long) + np.square(across))
    depth: FloatArray = (1 - radius) * (tall + long + wide) / 3
    return depth


def _ventricles(head: Head, up: FloatArray, front: FloatArray, right: FloatArray) -> FloatArray:
    """0..1, how much of a voxel is fluid: two bent horns beside the midline."""
    side = np.abs(right) - head.ventricle_spread - 0.004 * np.square(front)
    across = side / head.ventricle
    along = (front - 2) / head.ventricle_length
    high = (up - 6 + 0.010 * np.square(front)) / (1.4 * head.ventricle)
    radius = np.sqrt(np.square(across) + np.square(along) + np.square(high))
    return edge((1 - radius) * head.ventricle, 0.6)


def _acquire(
    rng: np.random.Generator,
    values: FloatArray,
    visit: Visit,
    places: tuple[FloatArray, FloatArray, FloatArray],
) -> FloatArray:
    """Coil, contrast and noise: signal of arbitrary scale, 0 or more."""
    z, y, x = (place / (FIELD_MM / 2) for place in places)
    slope = visit.bias[0] * z[:, None, None] + visit.bias[1] * y[:, None] + visit.bias[2] * x
    signal = np.power(np.clip(values, 0, None), visit.gamma) * (1 + slope)
    # The magnitude of complex noise (Rice): air is not zero.
    real, imaginary = visit.noise * rng.standard_normal((2, *values.shape), dtype=np.float32)
    measured: FloatArray = visit.gain * np.hypot(signal + real, imaginary)
    return measured
