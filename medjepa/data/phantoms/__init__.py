"""Synthetic radiographs, volumes and clips that need no network: the demo's data and the tests'.

`generate`, `generate_volumes` and `generate_clips` write a folder of real files, `phantom_batch`
gives radiographs as arrays. Nothing in them comes from a patient; see
`docs/explanation/phantoms.md` for what they show and how hard they are.
"""

from medjepa.data.phantoms.clips import generate_clips
from medjepa.data.phantoms.cohort import Patient, PhantomBatch, phantom_batch, plan
from medjepa.data.phantoms.dataset import FORMATS, SENTENCE, generate
from medjepa.data.phantoms.findings import CLASSES
from medjepa.data.phantoms.folder import PhantomReport, is_synthetic
from medjepa.data.phantoms.render import SITES, Phantom
from medjepa.data.phantoms.volumes import generate_volumes

__all__ = [
    "CLASSES",
    "FORMATS",
    "SENTENCE",
    "SITES",
    "Patient",
    "Phantom",
    "PhantomBatch",
    "PhantomReport",
    "generate",
    "generate_clips",
    "generate_volumes",
    "is_synthetic",
    "phantom_batch",
    "plan",
]
