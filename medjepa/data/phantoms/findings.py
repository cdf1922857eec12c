"""Four findings with a local sign: what is drawn into a chest, and where."""

import math
from dataclasses import dataclass

import numpy as np

from medjepa.data.phantoms.anatomy import Anatomy, cage_width, diaphragm
from medjepa.data.phantoms.body import Frame
from medjepa.data.phantoms.texture import FloatArray, bump, edge, lattice, noise, ridges

CLASSES = ("consolidation", "interstitial", "mass", "pneumothorax")
"""The findings, in the order of their class index."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where in the lungs: 0..1 across (midline to wall) and down (apex to diaphragm)."""

    left: bool
    across: float
    down: float


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One finding as one image shows it; lengths in half widths of the image."""

    name: str
    x: float
    y: float
    left: bool
    size: float
    contrast: float
    stretch: float
    angle: float
    texture: FloatArray


@dataclass(frozen=True)
class Sign:
    """What a finding does to an image; all arrays (H, W).

    Attributes:
        attenuation: added to the chest.
        hidden: 0..1, how much of the lung markings is gone.
        mask: True where the finding is.
    """

    attenuation: FloatArray
    hidden: FloatArray
    mask: "np.ndarray"


def draw_place(rng: np.random.Generator) -> Place:
    """Draw where a patient's finding sits."""
    return Place(
        left=bool(rng.random() < 0.5), across=rng.uniform(0.38, 0.8), down=rng.uniform(0.22, 0.82)
    )


def draw_finding(
    rng: np.random.Generator, name: str, place: Place, anatomy: Anatomy, breath: float
) -> Finding:
    """Draw how one image shows the finding: it moves, grows and fades between examinations."""
    across = float(np.clip(place.across + rng.normal(0, 0.08), 0.35, 0.85))
    down = float(np.clip(place.down + rng.normal(0, 0.08), 0.18, 0.85))
    aside, left = np.array([across * anatomy.lung_width]), np.array([float(place.left)])
    floor = float(diaphragm(anatomy, aside, left, breath)[0])
    y = anatomy.apex + down * (floor - anatomy.apex)
    x = across * float(cage_width(anatomy, np.array([y]))[0]) * (1 if place.left else -1)
    low, high = {
        "consolidation": (0.22, 0.38),
        "interstitial": (0.28, 0.46),
        "mass": (0.12, 0.21),
        "pneumothorax": (0.17, 0.32),
    }[name]
    return Finding(
        name=name, x=x, y=y, left=place.left,
        size=rng.uniform(low, high),
        contrast=rng.uniform(0.8, 1.35),
        stretch=rng.uniform(0.85, 1.18),
        angle=rng.uniform(0, np.pi),
        texture=lattice(rng, 32),
    )  # fmt: skip


def sign(finding: Finding, at: Frame) -> Sign:
    """Draw the finding into the pixels of one image."""
    return _SIGNS[finding.name](finding, at)


def _polar(finding: Finding, at: Frame) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Distance from the finding's centre in units of its size (stretched), and the two offsets."""
    across, down = at.x - finding.x, at.y - finding.y
    cos, sin = math.cos(finding.angle), math.sin(finding.angle)
    along = (across * cos + down * sin) * (finding.stretch / finding.size)
    short = (down * cos - across * sin) / (finding.stretch * finding.size)
    return np.sqrt(along * along + short * short), across, down


def _side(finding: Finding, at: Frame) -> FloatArray:
    """1 on the finding's side of the midline, else 0."""
    return at.left if finding.left else 1 - at.left


def _own_lung(finding: Finding, at: Frame) -> FloatArray:
    """0..1, where there is lung on the finding's side: findings in it stop at its borders."""
    lung: FloatArray = np.clip(1.6 * at.lung, 0, 1) * _side(finding, at)
    return lung


def _consolidation(finding: Finding, at: Frame) -> Sign:
    """A fluffy opacity without a border, with dark air-filled bronchi in it."""
    distance, across, down = _polar(finding, at)
    ragged = distance + 0.34 * noise(finding.texture, 6 * across, 6 * down)
    weight = edge(1 - ragged, 0.2) * edge(1.4 - distance, 0.05) * _own_lung(finding, at)
    fluff = 1 + 0.2 * noise(finding.texture, 10 * across + 9, 10 * down)
    bronchi = ridges(finding.texture, 6 * across + 3, 9 * down + 5, 0.12) * edge(
        0.9 - distance, 0.1
    )
    opacity = 0.30 * finding.contrast * weight * (fluff - 0.25 * bronchi)
    return Sign(opacity, 0.85 * weight, weight > 0.4)


def _mass(finding: Finding, at: Frame) -> Sign:
    """A round opacity with a sharp border: the chord through a slightly lobed ball."""
    distance, across, down = _polar(finding, at)
    lobed = distance * (1 + 0.04 * noise(finding.texture, 9 * across, 9 * down))
    chord = np.sqrt(np.clip(1 - lobed * lobed, 0, 1))
    # Behind the heart a mass shows fainter; beyond the chest wall is no lung to bear it.
    inside = edge(1 - lobed, 0.03) * np.maximum(np.clip(2 * at.lung, 0, 1), 0.4 * at.heart)
    opacity = 0.44 * finding.contrast * inside * (0.5 + 0.5 * chord)
    return Sign(opacity, 0.3 * inside, inside > 0.3)


def _interstitial(finding: Finding, at: Frame) -> Sign:
    """A patch of net-like lines with dark meshes: little brighter than healthy lung."""
    distance, across, down = _polar(finding, at)
    weight = edge(1 - distance - 0.2 * noise(finding.texture, 5 * across, 5 * down), 0.10)
    weight = weight * _own_lung(finding, at)
    slanted, fallen = 0.8 * across + 0.6 * down, 0.8 * down - 0.6 * across
    net = np.maximum(
        ridges(finding.texture, 13 * across, 13 * down, 0.36),
        ridges(finding.texture, 15 * slanted + 13, 15 * fallen + 7, 0.36),
    )
    grain = noise(finding.texture, 24 * across, 24 * down)
    opacity = 0.30 * finding.contrast * weight * (net - 0.28 + 0.12 * grain)
    return Sign(opacity, 0.5 * weight, weight > 0.4)


def _pneumothorax(finding: Finding, at: Frame) -> Sign:
    """Air between wall and lung: a dark rim without markings, ended by the thin pleural line."""
    side = _side(finding, at)
    extent = 0.38 * finding.stretch
    rim = finding.size * bump(at.y, finding.y - 0.15, extent)
    rim = rim * (1 + 0.12 * noise(finding.texture, 3 * at.x, 3 * at.y)) - 0.035
    weight = edge(rim - at.wall, 0.010) * _own_lung(finding, at)
    line = bump(at.wall - rim, 0.0, 0.014) * edge(rim - 0.02, 0.01) * at.lung * side
    opacity = finding.contrast * (0.22 * line - 0.15 * weight)
    return Sign(opacity, weight, weight > 0.4)


_SIGNS = {
    "consolidation": _consolidation,
    "interstitial": _interstitial,
    "mass": _mass,
    "pneumothorax": _pneumothorax,
}
