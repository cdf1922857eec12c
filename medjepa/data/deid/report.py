"""What `anonymize` says of the files that it found."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class AnonymizeReport:
    """written + quarantined + skipped == found, always.

    Attributes:
        out: the output folder.
        found: files below the input.
        written: files in the output.
        known: those of them that an earlier run had written.
        patients: how many different pseudonyms.
        without_patient: files without a PatientID, whose study counts as a patient.
        quarantined: (path below the input, reason) of what stayed behind.
        skips: how many were skipped, by reason.
        doubts: how many files have a doubt, by its text.
    """

    out: Path
    found: int = 0
    written: int = 0
    known: int = 0
    patients: int = 0
    without_patient: int = 0
    quarantined: list[tuple[str, str]] = field(default_factory=list)
    skips: Counter[str] = field(default_factory=Counter)
    doubts: Counter[str] = field(default_factory=Counter)
