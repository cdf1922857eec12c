"""What every synthetic data set is on disk: a folder that is complete or not there at all."""

import csv
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medjepa.data.phantoms.cohort import Patient
from medjepa.errors import ConfigError, DataError

LABEL_COLUMNS = ("file", "label", "patient", "site", "split")


@dataclass(frozen=True, kw_only=True)
class PhantomReport:
    """What was written.

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


def write_once(out: Path, settings: dict[str, Any], write: Callable[[Path], None]) -> None:
    """Have `write` fill the folder `out`, unless it already holds the data of `settings`.

    Raises:
        DataError: `out` holds something else.
    """
    if _is_made(out, settings):
        return
    # Written aside and renamed: an interrupted run leaves nothing that looks complete.
    aside = out.with_name(f".{out.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    write(aside)
    (aside / "phantom.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    if out.exists():
        out.rmdir()
    aside.rename(out)


def is_synthetic(folder: Path) -> bool:
    """Whether a generator made this folder (or the one that a `labels.csv` given here lies in)."""
    root = folder.parent if folder.is_file() else folder
    return _settings_of(root).get("synthetic") is True


def describe(out: Path, patients: Sequence[Patient], classes: Sequence[str]) -> PhantomReport:
    """Count what a planned cohort gives."""
    class_counts, split_counts = dict.fromkeys(classes, 0), {"train": 0, "test": 0}
    for patient in patients:
        class_counts[classes[patient.label]] += patient.num_images
        split_counts[patient.split] += patient.num_images
    return PhantomReport(
        root=out,
        labels_csv=out / "labels.csv",
        num_images=sum(class_counts.values()),
        num_patients=len(patients),
        class_counts=class_counts,
        split_counts=split_counts,
    )


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a CSV, the same bytes on every system."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def check_cohort(num_patients: int, per_patient: tuple[str, int], seed: int) -> None:
    """Refuse a cohort that cannot be planned; `per_patient` is the argument's name and value.

    Raises:
        ConfigError: naming the argument.
    """
    name, number = per_patient
    if num_patients < 8:
        raise ConfigError(
            f"num_patients: need at least 8 (each class in both splits), got {num_patients}"
        )
    if number < 1:
        raise ConfigError(f"{name}: need at least 1, got {number}")
    if seed < 0:
        raise ConfigError(f"seed: need 0 or more, got {seed}")


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
