"""From a data set that names a patient to a new one that does not."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from medjepa.data.decode.dicom_library import errors, pydicom
from medjepa.data.deid.basic import BasicProfile
from medjepa.data.deid.identity import Identity, Quarantined, identity_of
from medjepa.data.deid.markers import mark
from medjepa.data.deid.options import Options
from medjepa.data.deid.pseudonyms import Pseudonyms, is_standard
from medjepa.data.deid.strict import StrictProfile

if TYPE_CHECKING:
    from pydicom import Dataset
else:  # pydicom is imported guarded, on first use
    Dataset = object

__all__ = ["Identity", "Quarantined", "clean_header"]

# Present in every composite object, even if empty (PS3.3 sections C.7.1.1, C.7.2.1).
_EMPTY = ("PatientBirthDate", "PatientSex", "StudyID", "ReferringPhysicianName", "StudyDate",
          "StudyTime")  # fmt: skip


def clean_header(
    source: Dataset, pseudonyms: Pseudonyms, options: Options | None = None
) -> tuple[Dataset, Identity]:
    """Build the de-identified data set; its pixels are still those of the source.

    Raises:
        Quarantined: it cannot be made safe, with the reason.
    """
    options = options or Options()
    with _lenient():
        try:
            return _clean_header(source, pseudonyms, options)
        except errors() as error:
            raise Quarantined(f"it cannot be decoded ({type(error).__name__})") from error


def _clean_header(
    source: Dataset, pseudonyms: Pseudonyms, options: Options
) -> tuple[Dataset, Identity]:
    _check_object(source)
    identity = identity_of(source, pseudonyms, options)
    profile = (StrictProfile if options.profile == "strict" else BasicProfile)(
        pseudonyms, identity, options
    )
    target = profile.clean(source)
    for keyword in _EMPTY:
        if keyword not in target:
            setattr(target, keyword, "")
    target.PatientName = identity.pseudonym
    target.PatientID = identity.pseudonym
    number = str(source.get("AccessionNumber") or "").strip()
    target.AccessionNumber = pseudonyms.accession(identity.key, number) if number else ""
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        if not target.get(keyword):
            raise Quarantined(f"it has no {keyword}")
    mark(target, options)
    return target, identity


def _check_object(source: Dataset) -> None:
    kind = source.get("SOPClassUID")
    if not kind or not is_standard(str(kind)):
        raise Quarantined("a private or unnamed kind of object: what it holds is unknown")
    if "Encapsulated" in pydicom().uid.UID_dictionary[str(kind)][0]:
        raise Quarantined("an encapsulated document: its text cannot be cleaned")


@contextmanager
def _lenient() -> Iterator[None]:
    """Values that break the standard are ours to judge, not the library's to warn of."""
    settings = pydicom().config.settings
    before = settings.reading_validation_mode, settings.writing_validation_mode
    settings.reading_validation_mode = settings.writing_validation_mode = pydicom().config.IGNORE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        settings.reading_validation_mode, settings.writing_validation_mode = before
