"""One synthetic patient: the numbers that shape a chest, and where its borders lie.

Lengths are in half widths of the image, x to the image's right (the patient's left), y downwards,
the origin at the middle of the chest. "Right" and "left" lung are the patient's.
"""

from dataclasses import dataclass

import numpy as np

from medjepa.data.phantoms.texture import FloatArray, lattice


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """What stays the same in every image of one patient."""

    apex: float  # y of the lungs' top
    dome: float  # y of the right diaphragm's dome
    dome_step: float  # how much lower the left dome lies
    dome_drop: float  # from the dome down to the costophrenic angle
    lung_width: float  # half width of the rib cage inside
    lung_taper: float  # how early the cage narrows towards the apex
    wall: float  # thickness of the chest wall
    shoulder: float  # y of the shoulders
    neck: float  # half width of the neck
    curve: float  # sideways bow of the spine
    curve_phase: float
    mediastinum: float  # half width above the heart
    aorta: float  # size of the aortic knob
    heart_x: float
    heart_y: float
    heart_width: float
    heart_height: float
    heart_tilt: float
    rib_spacing: float
    rib_phase: float
    rib_thickness: float
    rib_slope: float  # posterior ribs
    rib_contrast: float
    anterior_slope: float
    anterior_phase: float
    vertebra: float  # height of a vertebra
    bone: float  # brightness of spine and clavicles
    clavicle: float  # y of the inner ends
    clavicle_rise: float
    vessels: float  # strength of the lung markings
    lung_air: float  # how dark the lungs are
    breast: float  # 0 for none
    breast_y: float
    stomach: float  # size of the gas bubble, 0 for none
    markings: FloatArray  # lattice of the vessels
    tissue: FloatArray  # lattice of soft tissue and parenchyma


def draw_anatomy(rng: np.random.Generator) -> Anatomy:
    """Draw a patient."""
    size = rng.normal(0, 1)  # a stature that several measures share
    u = rng.uniform
    return Anatomy(
        apex=-0.70 + 0.03 * size + u(-0.05, 0.05),
        dome=0.42 + 0.03 * size + u(-0.10, 0.08),
        dome_step=u(0.0, 0.09),
        dome_drop=u(0.14, 0.30),
        lung_width=0.71 + 0.03 * size + u(-0.05, 0.05),
        lung_taper=u(1.5, 2.4),
        wall=u(0.06, 0.20),
        shoulder=u(-0.78, -0.60),
        neck=u(0.17, 0.27),
        curve=rng.normal(0, 0.025),
        curve_phase=u(0, 2 * np.pi),
        mediastinum=u(0.08, 0.14),
        aorta=u(0.03, 0.09),
        heart_x=u(0.08, 0.17),
        heart_y=u(0.20, 0.32),
        heart_width=u(0.24, 0.38),
        heart_height=u(0.20, 0.29),
        heart_tilt=u(0.2, 0.8),
        rib_spacing=u(0.125, 0.165),
        rib_phase=u(0, 1),
        rib_thickness=u(0.20, 0.30),
        rib_slope=u(0.12, 0.32),
        rib_contrast=u(0.05, 0.12),
        anterior_slope=u(0.35, 0.6),
        anterior_phase=u(0, 1),
        vertebra=u(0.105, 0.14),
        bone=u(0.09, 0.18),
        clavicle=u(-0.60, -0.48),
        clavicle_rise=u(0.05, 0.22),
        vessels=u(0.10, 0.20),
        lung_air=u(0.42, 0.56),
        breast=float(rng.random() < 0.45) * u(0.04, 0.13),
        breast_y=u(0.25, 0.50),
        stomach=float(rng.random() < 0.6) * u(0.05, 0.13),
        markings=lattice(rng, 64),
        tissue=lattice(rng, 64),
    )


def midline(anatomy: Anatomy, y: FloatArray) -> FloatArray:
    """Where the spine's middle lies at height `y`."""
    bow: FloatArray = anatomy.curve * np.sin(3 * y + anatomy.curve_phase)
    return bow


def cage_width(anatomy: Anatomy, y: FloatArray) -> FloatArray:
    """Distance from the midline to the inner wall of the rib cage at `y`; 0 above the apex."""
    widest = 0.32
    above = np.clip((widest - y) / (widest - anatomy.apex), 0, 1)
    below = np.clip(y - widest, 0, 1)
    dome = np.sqrt(1 - above**anatomy.lung_taper)
    width: FloatArray = anatomy.lung_width * dome * (1 - 0.25 * below * below)
    return width


def diaphragm(anatomy: Anatomy, aside: FloatArray, left: FloatArray, breath: float) -> FloatArray:
    """Height of the diaphragm `aside` of the midline; `left` is 1 on the patient's left, else 0."""
    reach = aside / (0.5 * anatomy.lung_width) - 1
    top = anatomy.dome + breath + anatomy.dome_step * left
    return top + anatomy.dome_drop * reach * reach
