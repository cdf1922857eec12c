"""A synthetic data set as a folder of real files, the way a user's folder looks."""

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medjepa.data.phantoms.cohort import Patient, images_of, plan
from medjepa.data.phantoms.files import write_dicom, write_mask, write_png
from medjepa.data.phantoms.findings import CLASSES
from medjepa.data.phantoms.render import Phantom
from medjepa.errors import ConfigError, DataError

FORMATS = ("mixed", "png", "dicom")
SENTENCE = "Synthetic radiographs made by MedJEPA's phantom generator: no patient, no diagnosis."
VERSION = 1  # of the images; raise it when a seed would give other pixels
_LABEL_COLUMNS = ("file", "label", "patient", "site", "split")
_BOX_COLUMNS = ("file", "label", "x_min", "y_min", "x_max", "y_max")


@dataclass(frozen=True, kw_only=True)
class PhantomReport:
    """What `generate` wrote.

    Attributes:
        root: the folder; `labels_csv` in it lists the images, relative to the folder.
        num_images: per class in `class_counts`; files per split in `split_counts`.
    """

    root: Path
    labels_csv: Path
    num_images: int
    num_patients: int
    class_counts: dict[str, int]
    split_counts: dict[str, int]


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
    if not _is_made(out, settings):
        # Written aside and renamed: an interrupted run leaves nothing that looks complete.
        aside = out.with_name(f".{out.name}.partial")
        shutil.rmtree(aside, ignore_errors=True)
        _write(aside, patients, settings, progress)
        if out.exists():
            out.rmdir()
        aside.rename(out)
    return _report(out, patients)


def is_synthetic(folder: Path) -> bool:
    """Whether `generate` made this folder (or the one that a `labels.csv` given here lies in)."""
    root = folder.parent if folder.is_file() else folder
    return _settings_of(root).get("synthetic") is True


def _write(
    root: Path,
    patients: list[Patient],
    settings: dict[str, Any],
    progress: Callable[[int], None] | None,
) -> None:
    size, seed = settings["size"], settings["seed"]
    (root / "images").mkdir(parents=True)
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
    _write_csv(root / "labels.csv", _LABEL_COLUMNS, labels)
    _write_csv(root / "annotations" / "boxes.csv", _BOX_COLUMNS, boxes)
    (root / "phantom.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


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
    if num_patients < 8:
        raise ConfigError(
            f"num_patients: need at least 8 (each class in both splits), got {num_patients}"
        )
    if images_per_patient < 1:
        raise ConfigError(f"images_per_patient: need at least 1, got {images_per_patient}")
    if not 16 <= size <= 4096:
        raise ConfigError(f"size: need 16 to 4096 pixels, got {size}")
    if seed < 0:
        raise ConfigError(f"seed: need 0 or more, got {seed}")
    if kind not in FORMATS:
        raise ConfigError(f"format: need one of {', '.join(FORMATS)}, got {kind!r}")


def _is_made(out: Path, settings: dict[str, Any]) -> bool:
    """True if `out` holds this very data set, False if it is free."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    if _settings_of(out) == settings:
        return True
    raise DataError(
        f"{out}: already holds something else; give a new folder or delete this one first"
    )


def _settings_of(root: Path) -> dict[str, Any]:
    try:
        found = json.loads((root / "phantom.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _report(out: Path, patients: list[Patient]) -> PhantomReport:
    class_counts, split_counts = dict.fromkeys(CLASSES, 0), {"train": 0, "test": 0}
    for patient in patients:
        class_counts[CLASSES[patient.label]] += patient.num_images
        split_counts[patient.split] += patient.num_images
    return PhantomReport(
        root=out,
        labels_csv=out / "labels.csv",
        num_images=sum(class_counts.values()),
        num_patients=len(patients),
        class_counts=class_counts,
        split_counts=split_counts,
    )


def _write_csv(path: Path, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
