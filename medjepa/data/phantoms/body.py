"""Attenuation of a chest without findings: soft tissue, lungs, heart, diaphragm, bones, vessels.

Every function takes the frame of one image and returns an (H, W) map in units of displayed grey
(0 air around the patient, about 1 the densest tissue), which the caller adds up as X-rays do.
"""

import math
from dataclasses import dataclass

import numpy as np

from medjepa.data.phantoms.anatomy import Anatomy, cage_width, diaphragm, midline
from medjepa.data.phantoms.texture import FloatArray, bump, edge, noise, ridges


@dataclass(frozen=True)
class Frame:
    """Each pixel's place in one patient's body; all arrays (H, W).

    Attributes:
        x: sideways, y: downwards, in half widths of the image.
        aside: distance from the midline.
        left: 1 on the patient's left (the image's right), else 0.
        wall: distance to the inner chest wall, positive inside.
        floor: distance to the diaphragm, positive above it.
        heart: 0..1, how much of the beam passes the heart and the great vessels.
        lung: 0..1, how much aerated lung the beam passes.
    """

    x: FloatArray
    y: FloatArray
    aside: FloatArray
    left: FloatArray
    wall: FloatArray
    floor: FloatArray
    heart: FloatArray
    lung: FloatArray


def frame(anatomy: Anatomy, x: FloatArray, y: FloatArray, *, breath: float, turn: float) -> Frame:
    """Place pixels at body coordinates `x`, `y`; `turn` moves the front of the chest sideways."""
    sideways = x - midline(anatomy, y)
    left = (sideways > 0).astype(np.float32)
    # A patient turned towards one side shows that lung narrower and the other one wider.
    aside = np.abs(sideways) * (1 + turn * (2 * left - 1))
    cage = cage_width(anatomy, y)
    wall, floor = cage - aside, diaphragm(anatomy, aside, left, breath) - y
    heart = _heart(anatomy, sideways - (0.4 * turn), y)
    inside = edge(wall, 0.010) * edge(floor, 0.008)
    depth = 0.62 + 0.38 * np.sqrt(np.clip(1 - np.square(aside / (cage + 0.05) - 0.5) * 3, 0, 1))
    return Frame(x, y, aside, left, wall, floor, heart, inside * depth * (1 - 0.85 * heart))


def chest(anatomy: Anatomy, at: Frame) -> FloatArray:
    """All of a healthy chest but the lung markings, which a finding may hide."""
    return _tissue(anatomy, at) + _spine(anatomy, at) + _ribs(anatomy, at) + _clavicles(anatomy, at)


def vessels(anatomy: Anatomy, at: Frame) -> FloatArray:
    """Lung markings: lines that leave the hila, branch, and grow thin towards the wall."""
    hilum_x, hilum_y = 0.13, (-0.04) - 0.04 * at.left
    across, down = at.aside - hilum_x, at.y - hilum_y
    radius = np.sqrt(across * across + down * down) + (1e-3)
    # Angle zero points to the wall, so that the jump of the angle hides behind the heart.
    angle = np.arctan2(down, across) + 9 * at.left
    thin = 0.9 * np.exp(-1.3 * radius)
    stems = ridges(
        anatomy.markings, 2.6 * angle, 3.2 * radius, 0.035 * thin / (radius + 0.08) * 2.6
    )
    twigs = ridges(
        anatomy.markings, 6.3 * angle + 17, 6.0 * radius + 5, 0.030 * thin / (radius + 0.05) * 6.3
    )
    fade = np.exp(-2.2 * radius)
    blotches = noise(anatomy.tissue, 16 * at.x, 16 * at.y) + noise(
        anatomy.tissue, 31 * at.x, 31 * at.y
    )
    hilum = bump(radius, 0.0, 0.11) * (0.7 + 0.3 * noise(anatomy.tissue, 11 * at.x, 11 * at.y))
    lines = (0.9 * stems + 0.65 * twigs * edge(radius - 0.12, 0.05)) * (0.25 + fade)
    markings: FloatArray = at.lung * (lines + 0.9 * hilum + 0.05 * blotches)
    return anatomy.vessels * markings


def _heart(anatomy: Anatomy, x: FloatArray, y: FloatArray) -> FloatArray:
    """Heart, aortic arch and upper mediastinum as one silhouette, 0..1."""
    cos, sin = math.cos(anatomy.heart_tilt), math.sin(anatomy.heart_tilt)
    across, down = x - anatomy.heart_x, y - anatomy.heart_y
    long = (across * cos + down * sin) / anatomy.heart_width
    short = (down * cos - across * sin) / anatomy.heart_height
    ventricles = 1 - np.sqrt(long * long + short * short)
    atrium = 1 - np.hypot((x + 0.07) / 0.14, (y - anatomy.heart_y) / 0.26)
    band = anatomy.mediastinum + 0.035 * np.tanh(4 * (y + 0.1)) - np.abs(x)
    knob = anatomy.aorta - np.hypot(x - anatomy.mediastinum, y + 0.30)
    trunk = 0.10 - np.hypot(x - 0.10, y + 0.10)
    vessels_and_band = _join(_join(band, knob, 0.04), trunk, 0.06)
    return edge(_join(_join(0.25 * ventricles, 0.2 * atrium, 0.06), vessels_and_band, 0.08), 0.012)


def _join(first: FloatArray, second: FloatArray, fillet: float) -> FloatArray:
    """The union of two shapes given by distances, its inner corner rounded."""
    difference = first - second
    joined: FloatArray = 0.5 * (
        first + second + np.sqrt(difference * difference + fillet**2) - 0.6 * fillet
    )
    return joined


def _tissue(anatomy: Anatomy, at: Frame) -> FloatArray:
    """Trunk, neck, arms, abdomen and breasts; the lungs' air taken out, the heart put in."""
    half_width = (anatomy.lung_width + anatomy.wall) + 0.10 * np.clip(at.y, -1, 0) ** 2
    trunk = np.sqrt(np.clip(1 - (at.aside / half_width) ** 4, 0.0, 1))
    arms = 0.75 * edge(at.aside - half_width - 0.05 - 0.06 * at.y, 0.012) * edge(0.9 - at.y, 0.3)
    arms_join = edge(-0.25 - at.y, 0.06) * edge(at.aside - half_width + 0.1, 0.05) * 0.8
    slope = 0.75 * np.exp(-np.clip(at.aside - anatomy.neck, 0, 2) / 0.14) - 0.12 * at.aside
    below_shoulder = edge(at.y - anatomy.shoulder + slope, 0.012)
    thickness = np.maximum(trunk, np.maximum(arms, arms_join)) * below_shoulder
    abdomen = edge(-at.floor, 0.008) * edge(at.wall + 0.02, 0.03)
    bubble = edge(
        anatomy.stomach
        - np.hypot((at.x - 0.33), 1.7 * (at.y - (anatomy.dome + anatomy.dome_step + 0.13))),
        0.01,
    )
    air = anatomy.lung_air * at.lung
    trachea = 0.17 * edge(0.045 - np.abs(at.aside), 0.012) * edge(-0.16 - at.y, 0.05)
    breast_distance = np.hypot((at.aside - 0.42) / 0.34, (at.y - (anatomy.breast_y - 0.22)) / 0.42)
    breast = anatomy.breast * edge(1 - breast_distance, 0.03)
    mottle = 0.012 * noise(anatomy.tissue, 5 * at.x, 5 * at.y)
    tissue: FloatArray = (
        0.66 * thickness
        - air
        + 0.24 * at.heart * below_shoulder
        + (0.22 - 0.16 * bubble) * abdomen * (1 - at.heart)
        - trachea * below_shoulder
        + breast
        + mottle * thickness
    )
    return tissue


def _spine(anatomy: Anatomy, at: Frame) -> FloatArray:
    """Vertebral bodies with bright end plates, pedicles and spinous processes."""
    level = at.y / anatomy.vertebra
    phase = np.abs(level - np.round(level))  # 0 at the middle of a body, 0.5 in the disc
    column = edge(0.085 + 0.02 * at.y - at.aside, 0.010)
    bodies = edge(0.40 - phase, 0.03) + 0.5 * bump(phase, 0.38, 0.05)
    pedicles = bump(at.aside, 0.055, 0.014) * bump(phase, 0.1, 0.12)
    process = bump(at.aside, 0.0, 0.012) * bump(phase, 0.25, 0.12)
    return anatomy.bone * column * (0.45 * bodies + 0.5 * pedicles + 0.4 * process)


def _ribs(anatomy: Anatomy, at: Frame) -> FloatArray:
    """Posterior ribs (bright, falling sideways), anterior ones (faint, falling to the middle)."""
    reach = at.aside / anatomy.lung_width
    spacing, half = anatomy.rib_spacing, anatomy.rib_thickness
    back = (at.y - anatomy.rib_slope * reach * reach * (1.0 + 0.5 * at.y)) / spacing
    front = (at.y + anatomy.anterior_slope * (1 - reach) ** 2) / (spacing * 1.15)
    cage = edge(at.wall + 0.035, 0.008)
    posterior = _bars(back + anatomy.rib_phase, half) * edge(at.aside - 0.09, 0.02)
    anterior = 0.55 * _bars(front + anatomy.anterior_phase, 1.2 * half)
    anterior = anterior * edge(reach - 0.42, 0.05) * edge(at.y + 0.35, 0.06)
    # The beam runs along the ribs where the cage curves away from it: they are brightest there.
    tangent = 0.75 + 0.9 * np.exp(-np.abs(at.wall + 0.01) / 0.035)
    seen = edge(0.75 - at.y, 0.1) * (1 - 0.5 * edge(-at.floor, 0.02)) * (1 - 0.7 * at.heart)
    ribs: FloatArray = cage * tangent * seen * (posterior + anterior)
    return anatomy.rib_contrast * ribs


def _bars(phase: FloatArray, half: float) -> FloatArray:
    """One bar at each whole number of `phase`, hollow inside and with a dense border."""
    distance = np.abs(phase - np.round(phase))
    return edge(half - distance, 0.03) * (0.75 + 0.5 * bump(distance - half, -0.05, 0.05))


def _clavicles(anatomy: Anatomy, at: Frame) -> FloatArray:
    """Collar bones, and the shoulder blades' inner borders."""
    run = np.clip(at.aside, 0, 1)
    course = anatomy.clavicle - anatomy.clavicle_rise * np.sin(2.0 * run)
    shaft = edge(0.030 + 0.012 * np.cos(9 * run) - np.abs(at.y - course), 0.007)
    ends = edge(at.aside - 0.06, 0.01) * edge(0.85 - at.aside, 0.02)
    blade_edge = at.aside - (0.60 + 0.25 * (at.y + 0.35))
    blade = (
        edge(blade_edge, 0.010)
        * edge(0.04 - at.y, 0.03)
        * edge(at.y + 0.55, 0.04)
        * edge(0.95 - at.aside, 0.03)
    )
    head = edge(0.13 - np.hypot(at.aside - 0.98, at.y - anatomy.clavicle + 0.03), 0.012)
    return anatomy.bone * (1.0 * shaft * ends + 0.45 * blade + 0.9 * head)
