"""Does a DICOM header name its patient? Such files are not prepared or trained on by default."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from medjepa.data.decode.dicom_header import read_dataset
from medjepa.data.decode.dicom_library import errors
from medjepa.data.decode.sniff import sniff
from medjepa.errors import InputError

if TYPE_CHECKING:
    from pydicom import Dataset
else:  # pydicom is imported guarded, on first use
    Dataset = object

IDENTIFYING = (
    "PatientName", "PatientID", "OtherPatientIDs", "OtherPatientIDsSequence", "OtherPatientNames",
    "PatientBirthName", "PatientMotherBirthName", "PatientBirthDate", "PatientBirthTime",
    "PatientAddress", "PatientTelephoneNumbers", "PatientTelecomInformation",
    "PatientInsurancePlanCodeSequence", "MedicalRecordLocator", "ResponsiblePerson",
    "PatientComments", "AdmissionID", "AccessionNumber", "IssuerOfPatientID",
)  # fmt: skip
"""Attributes of the patient module and of visits that tell, or lead to, who somebody is.

A PatientID may be a pseudonym; nothing in the file says so but PatientIdentityRemoved."""
_DUMMIES = frozenset(
    ("ANONYMOUS", "ANONYMIZED", "ANONYMISED", "ANON", "REMOVED", "NONE", "UNKNOWN", "DEIDENTIFIED",
     "DE-IDENTIFIED", "00000000", "19000101", "00010101", "N/A", "NA", "0", "XXX")
)  # fmt: skip


PRIVACY_TAGS = (*IDENTIFYING, "PatientIdentityRemoved", "SpecificCharacterSet")
"""All that is read of a header to tell whether it identifies somebody."""


def identifies(path: str) -> list[str]:
    """Keywords of the attributes that identify the patient of a DICOM file, by its header alone.

    Empty where PatientIdentityRemoved is YES, where none has a value (or only such as ANONYMOUS),
    and for a file of another format. A header that cannot be parsed is not searched: what cannot be
    read is not prepared either.

    Raises:
        InputError: there is no such file.
    """
    if sniff(path) != "DICOM":
        return []
    try:
        return identifying_in(read_dataset(path, header_only=True, tags=PRIVACY_TAGS))
    except InputError:
        return []


def identifying_in(dataset: Dataset) -> list[str]:
    """The same, of a header that was read with `PRIVACY_TAGS`."""
    try:
        if str(dataset.get("PatientIdentityRemoved") or "").strip().upper() == "YES":
            return []
        return [name for name in IDENTIFYING if name in dataset and _says_something(dataset[name])]
    except errors():
        return []


def refusal(path: str, keywords: list[str], folder: str | None = None) -> str:
    """What to tell about a file that identifies its patient, and what to do with its folder."""
    folder = folder or str(Path(path).parent)
    clean = shlex.quote(folder.rstrip("/") + "-deidentified")
    return (
        f"{path}: its header identifies a patient ({', '.join(keywords)}), and "
        "PatientIdentityRemoved is not YES. De-identify first:\n"
        f"  medjepa anonymize {shlex.quote(folder)} {clean}\n"
        "or, if you may use it as it is (pseudonyms, say), add privacy=allow"
    )


def _says_something(element: object) -> bool:
    value = getattr(element, "value", None)
    if value is None:
        return False
    values = [value] if isinstance(value, str | bytes) or not hasattr(value, "__iter__") else value
    texts = [str(v).strip(" \0^=") for v in values]
    return any(text and text.upper() not in _DUMMIES for text in texts)
