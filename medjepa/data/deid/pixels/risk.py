"""Kinds of objects that often have text burned in, whatever their header says of it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom import Dataset
else:  # pydicom is imported guarded, on first use
    Dataset = object

_ULTRASOUND = ("1.2.840.10008.5.1.4.1.1.6", "1.2.840.10008.5.1.4.1.1.3")
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_MODALITIES = {
    "OT": "an object of no particular modality",
    "XC": "a photograph",
    "GM": "a microscope's photograph",
    "ES": "an endoscope's picture",
    "DOC": "a document",
    "DG": "a diaphanograph",
    "HC": "a hard copy",
}


def needs_regions(source: Dataset) -> bool:
    """True for ultrasound: patient and hospital stand around the image there."""
    kind = str(source.get("SOPClassUID") or "")
    # Whole parts of the UID: 66.4 is a segmentation, 30 a parametric map.
    return any(kind == root or kind.startswith(root + ".") for root in _ULTRASOUND) or (
        str(source.get("Modality") or "") in ("US", "IVUS", "BDUS")
    )


def why_at_risk(source: Dataset) -> str:
    """Why a file must not leave without somebody having looked at it; "" if nothing says so."""
    if str(source.get("BurnedInAnnotation") or "").strip().upper() == "YES":
        return "its header says that text is burned in"
    kind = str(source.get("SOPClassUID") or "")
    if kind == _SECONDARY_CAPTURE or kind.startswith(_SECONDARY_CAPTURE + "."):
        return "a secondary capture: such images often show the patient's name"
    modality = str(source.get("Modality") or "").strip().upper()
    if modality in _MODALITIES:
        return f"{_MODALITIES[modality]} ({modality}): such images often show the patient's name"
    if source.get("ConversionType"):
        return "digitised from film or video: such images often show the patient's name"
    image_type = [str(value).upper() for value in source.get("ImageType") or ()]
    if "SCREEN SAVE" in image_type or "SCREENSAVE" in image_type:
        return "a screen shot: such images often show the patient's name"
    if str(source.get("SpecimenLabelInImage") or "").strip().upper() == "YES":
        return "its header says that the label of the slide is in the image"
    if "LABEL" in image_type[2:3] or (modality == "SM" and "OVERVIEW" in image_type[2:3]):
        return "the label or overview of a slide: its label often shows a name or number"
    return ""
