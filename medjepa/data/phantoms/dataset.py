"""Synthetic radiographs as a folder of real files, the way a user's folder looks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from medjepa.data.phantoms.cohort import Patient, images_of, plan
from medjepa.data.phantoms.files import write_dicom, write_mask, write_png
from medjepa.data.phantoms.findings import CLASSES
from medjepa.data.phantoms.folder import (
    LABEL_COLUMNS,
    PhantomReport,
    check_cohort,
    describe,
    write_once,
    write_table,
)
from medjepa.data.phantoms.render import Phantom
from medjepa.errors import ConfigError

FORMATS = ("mixed", "png", "dicom")
SENTENCE = "Synthetic radiographs made by MedJEPA's phantom generator: no patient, no diagnosis."
VERSION = 1  # of the images; raise it when a seed would give other pixels
_BOX_COLUMNS = ("file", "label", "x_min", "y_min", "x_max", "y_max")


def generate(
    out: Path,
    *,
    num_patients: int = 500,
    images_per_patient: int = 4,
    size: int = 64,
    seed: int = 0,
    format: str = "mixed",
    progress: Callable[[int], None] | None = None,
) -> PhantomReport:
    """Write a synthetic data set into the new folder `out`; the same arguments, the same bytes.

    The folder holds `images/` (PNG and DICOM), `labels.csv` (file, label, patient, site, split),
    `annotations/masks/` and `annotations/boxes.csv` (pixels; x_max and y_max lie outside), and
    `phantom.json`, which says that all of it is synthetic. A folder that already holds the same
    data set is left as it is.

    Args:
        out: must not exist, be empty, or hold the data set of the same arguments.
        num_patients: at least 8, so that training and test split hold every class.
        images_per_patient: on average; the total is exact.
        size: height and width in pixels.
        seed: decides everything else.
        format: "png", "dicom", or "mixed" (half of the patients each).
        progress: called with the number of images written since the last call.

    Raises:
        ConfigError: an argument is out of its range.
        DataError: `out` holds something else.
    """
    _check(num_patients, images_per_patient, size, seed, format)
    settings = {
        "synthetic": True, "sentence": SENTENCE,
        "generator": "medjepa.data.phantoms", "version": VERSION, "classes": list(CLASSES),
        "num_patients": num_patients, "images_per_patient": images_per_patient,
        "size": size, "seed": seed, "format": format,
    }  # fmt: skip
    patients = plan(num_patients, images_per_patient, seed)
    out = Path(out)
    write_once(out, settings, lambda root: _write(root, patients, settings, progress))
    return describe(out, patients, CLASSES)


def _write(
    root: Path,
    patients: list[Patient],
    settings: dict[str, Any],
    progress: Callable[[int], None] | None,
) -> None:
    size, seed = settings["size"], settings["seed"]
    (root / "images").mkdir()
    (root / "annotations" / "masks").mkdir(parents=True)
    labels, boxes = [], []
    for patient in patients:
        dicom = _is_dicom(patient, settings["format"])
        for number, phantom in enumerate(images_of(patient, size=size, seed=seed), start=1):
            stem = f"{patient.name.lower()}-{number}"
            file = f"images/{stem}.{'dcm' if dicom else 'png'}"
            if dicom:
                write_dicom(
                    root / file, phantom.image,
                    site=patient.site, patient=patient.name, number=number, seed=seed,
                )  # fmt: skip
            else:
                write_png(root / file, phantom.image)
            write_mask(root / "annotations" / "masks" / f"{stem}.png", phantom.mask)
            label = CLASSES[patient.label]
            labels.append((file, label, patient.name, patient.site.name, patient.split))
            boxes.extend([(file, label, *box) for box in _boxes(phantom)])
        if progress is not None:
            progress(patient.num_images)
    write_table(root / "labels.csv", LABEL_COLUMNS, labels)
    write_table(root / "annotations" / "boxes.csv", _BOX_COLUMNS, boxes)


def _is_dicom(patient: Patient, kind: str) -> bool:
    # Alternates within and between fours: neither class nor site tells the format.
    mixed = (patient.index + patient.index // 4 + patient.index // 8) % 2 == 1
    return {"png": False, "dicom": True, "mixed": mixed}[kind]


def _boxes(phantom: Phantom) -> list[tuple[int, int, int, int]]:
    """(x_min, y_min, x_max, y_max) around the mask; none where the finding lies off the field."""
    rows, columns = np.nonzero(phantom.mask)
    if not len(rows):
        return []
    return [(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)]


def _check(num_patients: int, images_per_patient: int, size: int, seed: int, kind: str) -> None:
    check_cohort(num_patients, ("images_per_patient", images_per_patient), seed)
    if not 16 <= size <= 4096:
        raise ConfigError(f"size: need 16 to 4096 pixels, got {size}")
    if kind not in FORMATS:
        raise ConfigError(f"format: need one of {', '.join(FORMATS)}, got {kind!r}")
