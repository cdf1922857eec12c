"""Volumes of the head, from which a face can be rendered."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom import Dataset
else:  # pydicom is imported guarded, on first use
    Dataset = object

_PARTS = ("HEAD", "BRAIN", "SKULL", "FACE", "ORBIT", "HEADNECK", "SINUS", "EYE", "EAR", "TMJ")
_WORDS = ("HEAD", "BRAIN", "SKULL", "CRAN", "NEURO", "FACE", "SINUS", "ORBIT", "KOPF", "TETE")

FACE = "a volume of the head: a face can be rendered from it (recognisable visual features)"


def face_warning(source: Dataset) -> str:
    """A sentence for a slice or volume of the head in CT or MR; "" for everything else."""
    if str(source.get("Modality") or "") not in ("CT", "MR", "PT"):
        return ""
    part = str(source.get("BodyPartExamined") or "").upper().replace(" ", "")
    words = " ".join(
        str(source.get(name) or "")
        for name in ("StudyDescription", "SeriesDescription", "ProtocolName")
    ).upper()
    if part not in _PARTS and not any(word in words for word in _WORDS):
        return ""
    return FACE
