"""What a header says of an image that identifies nobody: only terms of fixed lists come out.

Free text stands in these attributes often enough, and a name in it.
"""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom import Dataset
else:  # pydicom is imported guarded, on first use
    Dataset = object


def _set_of(text: str) -> frozenset[str]:
    return frozenset(text.split())


KINDS = ("original", "derived", "secondary", "localizer")
OTHER = "other"
VIEWS = _set_of(
    """AP PA LL RL RLD LLD RLO LLO LATERAL CC MLO ML LM LMO XCCL XCCM ISO FB SIO CV AT RM"""
)
MODALITIES = _set_of(
    """CR DX DR MG XA RF RG PX IO CT MR PT NM US IVUS OP OPT OCT OPV SM GM XC ES DMS SC OT
    SR SEG RTDOSE RTPLAN RTSTRUCT RTIMAGE PR KO DOC ECG EPS HD AU REG BI BMD TG VL"""
)
BODY_PARTS = _set_of(
    """ABDOMEN ABDOMENPELVIS ANKLE AORTA ARM BLADDER BRAIN BREAST CAROTID CHEST
    CHESTABDOMEN CHESTABDPELVIS CLAVICLE COLON CSPINE EAR ELBOW ESOPHAGUS EXTREMITY EYE
    FACE FEMUR FINGER FOOT FOREARM HAND HEAD HEADNECK HEART HIP HUMERUS JAW KIDNEY KNEE
    LEG LIVER LSPINE LUNG MEDIASTINUM NECK NOSE ORBIT OVARY PANCREAS PATELLA PELVIS
    PROSTATE RETINA RIB SACRUM SCALP SCAPULA SHOULDER SINUS SKIN SKULL SPINE SPLEEN
    STERNUM STOMACH TESTIS THIGH THUMB THYROID TIBIA TMJ TOE TSPINE UTERUS WHOLEBODY
    WRIST"""
)
_VIEW_NAMES = {"LAT": "LATERAL", "LL": "LATERAL", "RL": "LATERAL"}
_CORNERS = ("MinY0", "MinX0", "MaxY1", "MaxX1")
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_SCREENS = {"SCREEN SAVE", "SCREENSAVE", "SCREENSHOT", "DOSE", "DOSE INFO"}
_REFORMATS = {
    "MPR", "MIP", "MINIP", "MIN IP", "PROJECTION IMAGE", "REFORMATTED", "RESAMPLED", "CPR", "VRT",
    "VOLREN", "SSD", "SUBTRACTION", "SUBTRACT", "ADC", "EADC", "FA", "TRACEW", "CBF", "CBV", "MTT",
    "TTP", "TMAX", "PARAMETRIC",
}  # fmt: skip
_PARAMETRIC_MAP = "1.2.840.10008.5.1.4.1.1.30"
_MADE_LATER = ("SEG", "RTDOSE", "RTSTRUCT", "RTPLAN", "SR", "PR", "KO", "DOC", "REG")
_RADIOGRAPHS = ("CR", "DX", "DR", "MG", "RG", "IO", "PX")
_PROJECTIONS = ("CR", "DX", "DR", "MG", "RG", "IO", "PX", "XA", "RF", "US", "OP", "XC", "ES", "SM")


def facts_of(dataset: Dataset) -> dict[str, str]:
    """Modality, kind, view, body part, laterality, ultrasound region: those that are known."""
    facts = {
        "modality": _term(dataset.get("Modality"), MODALITIES),
        "kind": kind_of(dataset),
        "view": _term(dataset.get("ViewPosition"), VIEWS),
        "body_part": _term(dataset.get("BodyPartExamined"), BODY_PARTS),
        "laterality": _term(
            dataset.get("ImageLaterality") or dataset.get("Laterality"), frozenset("LRB")
        ),
        "ultrasound_region": _region(dataset),
    }
    facts["view"] = _VIEW_NAMES.get(facts["view"], facts["view"])
    return {name: value for name, value in facts.items() if value}


def kind_of(dataset: Dataset) -> str:
    """One of `KINDS`, by SOP class and ImageType (PS3.3 section C.7.6.1.1.2).

    DERIVED alone says little: a radiograph "for presentation" is DERIVED from the detector's
    values, and whatever was compressed with loss is DERIVED too; value 2 stays PRIMARY. SECONDARY
    pixels, and reformats, projections, maps and subtractions by their names, are derived. A
    radiograph with a view in a secondary capture is the radiograph itself, converted from film or
    by a tool (the files of the RSNA pneumonia challenge are).
    """
    terms = {term for v in _list(dataset.get("ImageType")) for term in _words(v)}
    modality = str(dataset.get("Modality") or "").strip().upper()
    if terms & {"LOCALIZER", "SCOUT", "TOPOGRAM"}:
        return "localizer"
    described = str(dataset.get("SeriesDescription") or "").upper()
    if terms & _SCREENS or "DOSE REPORT" in described or "SCREEN SAVE" in described:
        return "secondary"
    sop_class = str(dataset.get("SOPClassUID") or "")
    if sop_class == _SECONDARY_CAPTURE or sop_class.startswith(_SECONDARY_CAPTURE + "."):
        has_view = _term(dataset.get("ViewPosition"), VIEWS) not in ("", OTHER)
        return "original" if modality in _RADIOGRAPHS and has_view else "secondary"
    if modality in _MADE_LATER or sop_class == _PARAMETRIC_MAP:
        return "derived"
    if terms & _REFORMATS or (modality not in _PROJECTIONS and "SECONDARY" in terms):
        return "derived"
    return "original"


def _words(value: object) -> list[str]:
    text = str(value).strip().upper()
    return [text, *text.replace("_", " ").split()]


def _term(value: object, known: frozenset[str]) -> str:
    text = re.sub(r"[\s_-]", "", str(value or "")).upper()
    if not text:
        return ""
    return text if text in known else OTHER


def _region(dataset: Dataset) -> str:
    """Give "top,left,bottom,right" in pixels around all ultrasound regions, "" without any."""
    boxes = []
    for item in _list(dataset.get("SequenceOfUltrasoundRegions")):
        corner = [
            item.get(f"RegionLocation{name}") for name in ("MinY0", "MinX0", "MaxY1", "MaxX1")
        ]
        if all(isinstance(number, int) for number in corner):
            boxes.append(corner)
    if not boxes:
        return ""
    tops, lefts, bottoms, rights = zip(*boxes, strict=True)
    return f"{min(tops)},{min(lefts)},{max(bottoms) + 1},{max(rights) + 1}"


def _list(value: object) -> list:  # type: ignore[type-arg]
    if value is None or isinstance(value, str | bytes):
        return [value] if value else []
    return list(value) if hasattr(value, "__iter__") else [value]
