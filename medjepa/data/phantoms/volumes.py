"""Synthetic volumes of the head as a folder of NIfTI files with label maps."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from medjepa.data.phantoms.cohort import Patient, plan
from medjepa.data.phantoms.folder import (
    LABEL_COLUMNS,
    PhantomReport,
    check_cohort,
    describe,
    write_once,
    write_table,
)
from medjepa.data.phantoms.head import STRUCTURES, Scan, draw_head, draw_visit, scan
from medjepa.data.phantoms.lesions import LESIONS
from medjepa.data.phantoms.volume_files import ORIENTATIONS, write_labels, write_signal

SENTENCE = "Synthetic volumes made by MedJEPA's phantom generator: no patient, no diagnosis."
VERSION = 2  # of the volumes; raise it when a seed would give other voxels
SPACINGS = {"site-a": (4.0, 4.0, 4.0), "site-b": (8.0, 4.0, 4.0)}
"""Of z, y, x in mm: one site takes thick slices."""


def generate_volumes(
    out: Path,
    *,
    num_patients: int = 240,
    volumes_per_patient: int = 2,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> PhantomReport:
    """Write synthetic volumes into the new folder `out`; the same arguments, the same bytes.

    The folder holds `volumes/` (.nii.gz), `labels.csv` (file, label, patient, site, split),
    `annotations/structures/` (label maps with the volumes' names and grids), and `phantom.json`,
    which says that all of it is synthetic and what the values of the label maps mean.

    Args:
        out: must not exist, be empty, or hold the data set of the same arguments.
        num_patients: at least 8, so that training and test split hold every class.
        volumes_per_patient: on average; the total is exact.
        seed: decides everything else.
        progress: called with the number of volumes written since the last call.

    Raises:
        ConfigError: an argument is out of its range.
        DataError: `out` holds something else.
    """
    check_cohort(num_patients, ("volumes_per_patient", volumes_per_patient), seed)
    settings = {
        "synthetic": True, "sentence": SENTENCE,
        "generator": "medjepa.data.phantoms.volumes", "version": VERSION,
        "classes": list(LESIONS), "structures": STRUCTURES_BY_TEXT,
        "num_patients": num_patients, "volumes_per_patient": volumes_per_patient, "seed": seed,
    }  # fmt: skip
    patients = plan(num_patients, volumes_per_patient, seed)
    out = Path(out)
    write_once(out, settings, lambda root: _write(root, patients, seed, progress))
    return describe(out, patients, LESIONS)


STRUCTURES_BY_TEXT: dict[str, Any] = {str(value): name for value, name in STRUCTURES.items()}


def volumes_of(patient: Patient, *, seed: int) -> Iterator[Scan]:
    """Render a patient's volumes; a pure function of the seed and the patient's number."""
    head = draw_head(np.random.default_rng([seed, 3, patient.index]), LESIONS[patient.label])
    for number in range(patient.num_images):
        own = np.random.default_rng([seed, 4, patient.index, number])
        yield scan(own, head, draw_visit(own), SPACINGS[patient.site.name])


def orientation_of(patient: Patient) -> str:
    """How a patient's files are stored; neither class nor site tells it."""
    return ORIENTATIONS[(patient.index + patient.index // 4) % len(ORIENTATIONS)]


def _write(
    root: Path, patients: list[Patient], seed: int, progress: Callable[[int], None] | None
) -> None:
    (root / "volumes").mkdir()
    (root / "annotations" / "structures").mkdir(parents=True)
    rows = []
    for patient in patients:
        orientation = orientation_of(patient)
        for number, made in enumerate(volumes_of(patient, seed=seed), start=1):
            name = f"{patient.name.lower()}-{number}.nii.gz"
            write_signal(root / "volumes" / name, made.values, made.spacing, orientation)
            maps = root / "annotations" / "structures"
            write_labels(maps / name, made.labels, made.spacing, orientation)
            rows.append(
                (f"volumes/{name}", LESIONS[patient.label], patient.name, patient.site.name,
                 patient.split)
            )  # fmt: skip
        if progress is not None:
            progress(patient.num_images)
    write_table(root / "labels.csv", LABEL_COLUMNS, rows)
