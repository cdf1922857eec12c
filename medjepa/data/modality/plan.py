"""Which recipe an image gets: by its kind or as asked; printed, stored and replayed."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from medjepa.data.modality.crops import Box, CropBorder, CropRegion
from medjepa.data.modality.recipes import DEFAULTS, RECIPES
from medjepa.data.modality.scales import FromFile
from medjepa.data.modality.step import Step
from medjepa.errors import ConfigError, InputWarning
from medjepa.types import MODALITIES, MedicalImage

AUTO = "auto"
_PLAIN = (FromFile(),)
_AIR = -200


@dataclass(frozen=True)
class IntensityPlan:
    """The steps for each kind of image.

    Attributes:
        steps: by modality; a kind that is not in it gets the file's own window.
        modality: the kind that the user says all images are; None: as the header says.
    """

    steps: tuple[tuple[str, tuple[Step, ...]], ...] = ()
    modality: str | None = None

    @classmethod
    def named(cls, name: str = AUTO, modality: str | None = None) -> "IntensityPlan":
        """`name` is "auto" (by kind of image) or one of `RECIPES` for all.

        Raises:
            ConfigError: there is no such recipe or kind of image.
        """
        if modality is not None and modality not in MODALITIES:
            raise ConfigError(
                f"data.modality: {modality!r} is unknown; one of {', '.join(MODALITIES)}"
            )
        if name == AUTO:
            return cls(tuple((kind, RECIPES[DEFAULTS[kind]]) for kind in MODALITIES), modality)
        if name not in RECIPES:
            raise ConfigError(
                f"data.intensity: {name!r} is unknown; auto or one of {', '.join(RECIPES)}"
            )
        return cls(tuple((kind, RECIPES[name]) for kind in MODALITIES), modality)

    def kind_of(self, image: MedicalImage) -> str:
        """The kind as asked, else as the header says."""
        return self.modality or image.modality

    def __call__(self, image: MedicalImage) -> MedicalImage:
        """Apply the steps of this kind of image; its `modality` is then what was asked."""
        kind = self.kind_of(image)
        steps = dict(self.steps).get(kind, _PLAIN)
        if kind == "ct" and not _has_hounsfield_units(image):
            # A window in HU would turn an 8-bit export all white, with nothing to see of it later.
            steps = tuple(step for step in steps if "window" not in step.name) or _PLAIN
            if image.array.dtype != np.uint8:
                warnings.warn(
                    f"{image.source}: no value is below {_AIR}, as air in Hounsfield units is; "
                    "shown by its own window, else percentiles",
                    InputWarning,
                    stacklevel=3,
                )
        for step in steps:
            image = step.apply(image)
        return image

    def without_crops(self) -> "IntensityPlan":
        """The same but for its crops, for an image that was cropped while it was read."""
        steps = tuple(
            (kind, tuple(step for step in steps if not step.name.startswith("crop")))
            for kind, steps in self.steps
        )
        return replace(self, steps=steps)

    def crop_box(self, image: MedicalImage) -> Box | None:
        """What the crops of this kind of image would keep of it; None for all."""
        steps = dict(self.steps).get(self.kind_of(image), ())
        boxes = (s.box(image) for s in steps if isinstance(s, (CropRegion, CropBorder)))
        return next((box for box in boxes if box is not None), None)

    def describe(self, kinds: tuple[str, ...] = MODALITIES) -> list[str]:
        """One line for each of `kinds`: what is done to it."""
        steps = dict(self.steps)
        return [
            f"{kind}: {'; '.join(step.describe() for step in steps.get(kind, _PLAIN))}"
            for kind in kinds
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, all parameters among them: a later default changes nothing."""
        return {
            "modality": self.modality,
            "steps": {kind: [step.to_dict() for step in steps] for kind, steps in self.steps},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "IntensityPlan":
        """Build the plan that `to_dict` described.

        Raises:
            ConfigError: a step is unknown here.
        """
        steps = values.get("steps", {})
        return cls(
            tuple((kind, tuple(Step.from_dict(v) for v in steps[kind])) for kind in steps),
            values.get("modality"),
        )


def _has_hounsfield_units(image: MedicalImage) -> bool:
    if image.array.dtype == np.uint8:
        return False
    return any(note.startswith("rescaled") for note in image.history) or bool(
        image.array.min() < _AIR
    )
