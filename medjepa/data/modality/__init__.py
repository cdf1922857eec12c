"""What each kind of image needs before it is resized: windows, normalisation, crops.

A recipe is a tuple of steps; a step takes a `MedicalImage` and returns one, and can be printed,
stored and replayed. Steps that only choose a grey scale set `display_range` and leave the stored
values alone, so that a store keeps Hounsfield units.
"""

from medjepa.data.modality.plan import IntensityPlan
from medjepa.data.modality.recipes import RECIPES

__all__ = ["RECIPES", "IntensityPlan"]
