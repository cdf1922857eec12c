"""From a patient and a finding to one radiograph: pose, exposure, detector, a site's grey scale."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medjepa.data.phantoms.anatomy import Anatomy
from medjepa.data.phantoms.body import chest, frame, vessels
from medjepa.data.phantoms.findings import Place, draw_finding, sign
from medjepa.data.phantoms.texture import FloatArray, area_reduce, edge

OVERSAMPLING = 2


@dataclass(frozen=True, kw_only=True)
class Site:
    """How one hospital's machine turns attenuation into grey."""

    name: str
    gamma: float
    contrast: float  # slope of the display curve
    level: float  # attenuation shown as mid grey
    noise: float  # standard deviation at low attenuation, in grey
    collimated: float  # how often the border of the field is seen
    inverted: bool  # MONOCHROME1: the file stores black as the highest value
    bits: int


SITES = (
    Site(
        name="site-a", gamma=1.0, contrast=1.0, level=0.50, noise=0.009,
        collimated=0.25, inverted=False, bits=12,
    ),
    Site(
        name="site-b", gamma=0.75, contrast=1.35, level=0.55, noise=0.014,
        collimated=0.75, inverted=True, bits=14,
    ),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class View:
    """What differs between two images of one patient."""

    shift: tuple[float, float]
    rotation: float
    scale: float
    breath: float
    turn: float
    exposure: float
    contrast: float
    heel: tuple[float, float]  # slope of the beam's intensity over the field
    field: tuple[float, float, float, float] | None  # left, top, right, bottom of the open field
    field_rotation: float


@dataclass(frozen=True)
class Phantom:
    """One rendered image: `image` (size, size) in [0, 1] as displayed, `mask` (size, size) bool."""

    image: FloatArray
    mask: NDArray[np.bool_]


def draw_view(rng: np.random.Generator, site: Site) -> View:
    """Draw how the patient stands and how the image is taken."""
    u = rng.uniform
    collimated = rng.random() < site.collimated
    field = (u(-1.1, -0.86), u(-1.1, -0.86), u(0.86, 1.1), u(0.86, 1.1))
    return View(
        shift=(rng.normal(0, 0.045), rng.normal(0, 0.045)),
        rotation=rng.normal(0, 0.035),
        scale=u(0.92, 1.10),
        breath=u(-0.08, 0.05),
        turn=rng.normal(0, 0.05),
        exposure=rng.normal(0, 0.05),
        contrast=u(0.85, 1.2),
        heel=(rng.normal(0, 0.04), rng.normal(0, 0.04)),
        field=field if collimated else None,
        field_rotation=rng.normal(0, 0.02),
    )


def render(
    rng: np.random.Generator, anatomy: Anatomy, name: str, place: Place, site: Site, *, size: int
) -> Phantom:
    """Draw one image of a patient at `size` x `size` pixels."""
    view = draw_view(rng, site)
    finding = draw_finding(rng, name, place, anatomy, view.breath)
    across, down = _pixels(size * OVERSAMPLING)
    cos, sin = math.cos(view.rotation) / view.scale, math.sin(view.rotation) / view.scale
    x = cos * (across - view.shift[0]) + sin * (down - view.shift[1])
    y = cos * (down - view.shift[1]) - sin * (across - view.shift[0])
    at = frame(anatomy, x, y, breath=view.breath, turn=view.turn)
    seen = sign(finding, at)
    attenuation = chest(anatomy, at) + vessels(anatomy, at) * (1 - seen.hidden) + seen.attenuation
    mask = area_reduce(seen.mask.astype(np.float32), OVERSAMPLING) >= 0.5
    if view.field is not None:
        mask &= _open_field(view, size) > 0.5
    return Phantom(_expose(rng, area_reduce(attenuation, OVERSAMPLING), view, site), mask)


def _expose(
    rng: np.random.Generator, attenuation: FloatArray, view: View, site: Site
) -> FloatArray:
    """Attenuation (H, W) -> displayed grey in [0, 1]: beam, noise, display curve, border."""
    size = len(attenuation)
    across, down = _pixels(size)
    beam = attenuation + view.exposure + view.heel[0] * across + view.heel[1] * down
    # Fewer quanta pass dense tissue: the noise grows with attenuation.
    spread = site.noise * np.exp(0.8 * attenuation)
    beam = beam + spread * rng.standard_normal(beam.shape, dtype=np.float32)
    slope = 3.4 * site.contrast * view.contrast
    grey = (0.5 + 0.5 * np.tanh(0.5 * slope * (beam - site.level))) ** site.gamma
    if view.field is not None:
        grey = grey * _open_field(view, size) + 0.02
    displayed: FloatArray = np.clip(grey, 0, 1)
    return displayed


def _open_field(view: View, size: int) -> FloatArray:
    across, down = _pixels(size)
    left, top, right, bottom = view.field or (-2.0, -2.0, 2.0, 2.0)
    slope = view.field_rotation
    x, y = across + slope * down, down - slope * across
    nearest = np.minimum(np.minimum(x - left, right - x), np.minimum(y - top, bottom - y))
    return edge(nearest.astype(np.float32), 0.01)


def _pixels(size: int) -> tuple[FloatArray, FloatArray]:
    """Centres of the pixels in [-1, 1], across and down, (size, size) each."""
    centres: FloatArray = (np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1
    down, across = np.meshgrid(centres, centres, indexing="ij")
    return across, down
