"""Synthetic radiographs that need no network: the demo's data and the tests'.

`generate` writes a folder of real files, `phantom_batch` gives arrays. Nothing in them comes from a
patient; see `docs/explanation/phantoms.md` for what they show and how hard they are.
"""

from medjepa.data.phantoms.cohort import Patient, PhantomBatch, phantom_batch, plan
from medjepa.data.phantoms.dataset import FORMATS, SENTENCE, PhantomReport, generate, is_synthetic
from medjepa.data.phantoms.findings import CLASSES
from medjepa.data.phantoms.render import SITES, Phantom

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
    "is_synthetic",
    "phantom_batch",
    "plan",
]
