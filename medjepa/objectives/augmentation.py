"""How far a view may differ from its image, per kind of image."""

from dataclasses import asdict, dataclass, fields

import torch
from jaxtyping import Float, Int
from torch import Tensor

from medjepa.types import MODALITIES


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Probabilities and greatest strengths; a strength of 0 switches its change off.

    Attributes:
        flip_horizontal: probability of a left-right flip; 0 where side has meaning (the heart's).
        flip_vertical: probability of an up-down flip.
        transpose: probability of exchanging the axes (square images); with both flips, all 8 poses.
        brightness: factor drawn from 1 +- this.
        contrast: factor about the image's mean, drawn from 1 +- this.
        gamma: exponent drawn from exp(+- this).
        saturation: factor on colour, drawn from 1 +- this; leaves grey images as they are.
        hue: rotation of colour, in turns, drawn from +- this; leaves grey images as they are.
        blur: greatest width of the smoothing kernel, pixels of the view.
        noise: greatest standard deviation of added noise, in units of the [0, 1] grey scale.
    """

    flip_horizontal: float = 0.0
    flip_vertical: float = 0.0
    transpose: float = 0.0
    brightness: float = 0.4
    contrast: float = 0.4
    gamma: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    blur: float = 0.0
    noise: float = 0.0


AUGMENTATIONS: dict[str, Augmentation] = {
    "generic": Augmentation(),
    "xray": Augmentation(),
    # Hounsfield units are calibrated: a shift of the scale is another tissue.
    "ct": Augmentation(brightness=0.1, contrast=0.1),
    "mri": Augmentation(gamma=0.2),
    "ultrasound": Augmentation(flip_horizontal=0.5, gamma=0.2),
    "skin": Augmentation(
        flip_horizontal=0.5, flip_vertical=0.5, transpose=0.5, saturation=0.3, hue=0.03
    ),
    "retina": Augmentation(brightness=0.3, contrast=0.3, saturation=0.2, hue=0.02),
    "histology": Augmentation(
        flip_horizontal=0.5, flip_vertical=0.5, transpose=0.5, saturation=0.4, hue=0.08
    ),
}
"""No hue or saturation on grey images, no left-right flip where side has meaning."""


def augmentation_per_image(modality: Int[Tensor, " b"]) -> dict[str, Float[Tensor, " b"]]:
    """Look up each image's strengths; `modality` holds indices into `MODALITIES`."""
    table = [asdict(AUGMENTATIONS[name]) for name in MODALITIES]
    index = modality.cpu()
    return {
        field.name: torch.tensor([row[field.name] for row in table])[index]
        for field in fields(Augmentation)
    }
