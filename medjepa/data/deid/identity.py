"""Whose file it is, and what stands in the place of the name; nothing else of this leaves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from medjepa.data.deid.dates import Clock
from medjepa.data.deid.options import Options
from medjepa.data.deid.pseudonyms import Pseudonyms
from medjepa.errors import MedJEPAError

if TYPE_CHECKING:
    from pydicom import Dataset
else:  # pydicom is imported guarded, on first use
    Dataset = object


class Quarantined(MedJEPAError):
    """A file that cannot be made safe; the text says why, and holds nothing of its content."""


@dataclass(frozen=True)
class Identity:
    """The patient of a file.

    Attributes:
        key: what the pseudonyms are made from; private.
        pseudonym: takes the place of name and number.
        known_by: "patient" (PatientID), "study" or "instance" where there is none.
        clock: how this patient's dates move.
    """

    key: str
    pseudonym: str
    known_by: str
    clock: Clock


def identity_of(dataset: Dataset, pseudonyms: Pseudonyms, options: Options) -> Identity:
    """Find the patient; without a PatientID every study counts as a patient of its own.

    Raises:
        Quarantined: the number is not stored as text: whose file this is, is unknown.
    """
    number = _text(dataset, "PatientID")
    issuer = _text(dataset, "IssuerOfPatientID")
    if number:
        key, known_by = f"{issuer}\0{number}", "patient"
    elif study := _text(dataset, "StudyInstanceUID"):
        key, known_by = f"study\0{study}", "study"
    else:
        key, known_by = f"instance\0{_text(dataset, 'SOPInstanceUID')}", "instance"
    clock = Clock(
        pseudonyms.days(key), pseudonyms.time_of_day(key), dates=options.dates, times=options.times
    )
    return Identity(key, pseudonyms.patient(key), known_by, clock)


def _text(dataset: Dataset, keyword: str) -> str:
    if keyword not in dataset:
        return ""
    value = dataset[keyword].value
    if value is None:
        return ""
    if (
        not isinstance(value, str | bytes)
        and isinstance(value, Sequence)
        and all(isinstance(part, str) for part in value)
    ):
        value = "\\".join(value)  # a number with a backslash in it is read as several
    if not isinstance(value, str):
        raise Quarantined(f"{keyword} is not stored as text: it is unknown whose file this is")
    return value.strip(" \0")
