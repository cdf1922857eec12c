"""Which files of an archive's export are used: by modality, kind, view, body part and series.

Everything is judged by the DICOM header alone; what is no DICOM says nothing and is used.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from medjepa.config import DataConfig
from medjepa.data.decode.dicom_facts import KINDS, OTHER, facts_of
from medjepa.data.decode.dicom_header import naming, read_dataset
from medjepa.data.decode.sniff import sniff
from medjepa.errors import ConfigError

if TYPE_CHECKING:
    from pydicom import Dataset
else:  # pydicom is imported guarded, on first use
    Dataset = object

__all__ = ["KINDS", "SERIES_KINDS", "Selection", "header_facts", "selection_of"]

SERIES_KINDS = (
    "scout", "dose_report", "mip", "minip", "mpr", "volume_rendering", "subtraction", "adc",
    "dwi", "perfusion", "flair", "swi", "angiography", "t1", "t2", "pd", "cine", "axial",
)  # fmt: skip
"""Terms that `header_facts` uses for "series_kind"; the first that fits is taken."""

_WORDS = {
    "scout": {"LOCALIZER", "LOCALISER", "SCOUT", "TOPOGRAM", "SURVIEW", "SCANOGRAM", "LOC"},
    "dose_report": {"DOSE", "EXPOSURE"},
    "mip": {"MIP", "PROJECTION"},
    "minip": {"MINIP", "MIN_IP"},
    "mpr": {"MPR", "REFORMATTED", "REFORMAT", "CPR", "CURVED"},
    "volume_rendering": {"VRT", "VR", "VOLREN", "SSD", "3D_RENDERING"},
    "subtraction": {"SUBTRACTION", "SUB", "SUBTRACT", "SUBTRACTED"},
    "adc": {"ADC", "EADC"},
    "dwi": {"DWI", "DIFFUSION", "TRACEW", "TRACE", "DTI"},
    "perfusion": {"PERFUSION", "CBF", "CBV", "MTT", "TTP", "TMAX"},
    "flair": {"FLAIR"},
    "swi": {"SWI", "SWAN"},
    "angiography": {"TOF", "MRA", "CTA", "ANGIO"},
    "t1": {"T1", "T1W", "MPRAGE", "T1POST", "T1POSTGAD", "SPGR"},
    "t2": {"T2", "T2W", "TSE2"},
    "pd": {"PD", "PROTON"},
    "cine": {"CINE", "TRUFI", "FIESTA"},
    "axial": {"AXIAL"},
}
SELECTION_TAGS = (
    "SOPClassUID", "ImageType", "Modality", "ViewPosition", "ViewCodeSequence", "BodyPartExamined",
    "ImageLaterality", "Laterality", "SeriesDescription", "ProtocolName", "ContrastBolusAgent",
    "ImageOrientationPatient", "SequenceOfUltrasoundRegions", "PresentationIntentType",
)  # fmt: skip
"""All that is read of a header to choose by."""
_VIEW_CODES = {
    "R-10206": "AP", "399348003": "AP", "R-10214": "PA", "R-40888": "PA", "272479007": "PA",
    "R-10236": "LATERAL", "399173006": "LATERAL", "R-10232": "LATERAL", "399198007": "LATERAL",
    "R-102CD": "LATERAL", "399067008": "LATERAL", "R-10242": "CC", "399162004": "CC",
    "R-10226": "MLO", "399368009": "MLO", "R-10224": "ML", "399260004": "ML", "R-10228": "LM",
    "399352003": "LM", "R-10230": "LMO", "399099002": "LMO", "R-1024A": "XCCL",
    "399192008": "XCCL", "R-1024B": "XCCM", "399101009": "XCCM", "R-10244": "FB",
    "399196006": "FB",
}  # fmt: skip
"""SNOMED codes, old and new, of projections (PS3.16, CID 4010 and 4014)."""
_OBLIQUE = 0.8


def header_facts(path: str) -> dict[str, str]:
    """What a DICOM header says that identifies nobody; {} for a file of another format.

    Keys, where known: modality, kind, view, body_part, laterality, series_kind, contrast, plane.
    Only terms of fixed lists come out, "other" for any other text: a name may stand there.

    Raises:
        InputError: the file cannot be read, or its header is damaged.
    """
    if sniff(path) != "DICOM":
        return {}
    return facts_in(path, read_dataset(path, header_only=True, tags=SELECTION_TAGS))


def facts_in(path: str, dataset: Dataset) -> dict[str, str]:
    """The same, of a header that was read with `SELECTION_TAGS`.

    Raises:
        InputError: the header is damaged.
    """
    with naming(path, "the header is damaged"):
        facts = facts_of(dataset)
        facts |= {
            "view": _view(dataset, facts.get("view", "")),
            "series_kind": _series_kind(dataset),
            "contrast": "yes" if str(dataset.get("ContrastBolusAgent") or "").strip() else "",
            "plane": _plane(dataset),
        }
        facts.pop("ultrasound_region", None)
    return {name: value for name, value in facts.items() if value}


@dataclass(frozen=True)
class Selection:
    """What is asked for; an empty tuple asks for nothing in particular.

    Attributes:
        modality: Modality of DICOM (CR, DX, CT, MR, ...).
        view: of radiographs (PA, AP, LATERAL, CC, MLO, ...).
        body_part: BodyPartExamined (CHEST, BRAIN, ...).
        kinds: of `KINDS`.
        series_kind: of `SERIES_KINDS`.
    """

    modality: tuple[str, ...] = ()
    view: tuple[str, ...] = ()
    body_part: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ("original",)
    series_kind: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for key, given, known in (
            ("data.kinds", self.kinds, KINDS),
            ("data.series_kind", self.series_kind, SERIES_KINDS),
        ):
            if unknown := [name for name in given if name not in known]:
                raise ConfigError(f"{key}: {unknown[0]!r} is unknown; one of {', '.join(known)}")

    def why_not(self, facts: Mapping[str, str]) -> str:
        """The reason for leaving a file out, with the setting that decides it; "" to use it."""
        if not facts:
            return ""
        kind = facts.get("kind", "original")
        if self.kinds and kind not in self.kinds:
            takes = ",".join((*self.kinds, kind))
            return f"{_KIND_NAMES.get(kind, kind)} (data.kinds=[{takes}] takes them)"
        for key, wanted, setting in (
            ("modality", self.modality, "data.select_modality"),
            ("view", self.view, "data.view"),
            ("body_part", self.body_part, "data.body_part"),
            ("series_kind", self.series_kind, "data.series_kind"),
        ):
            value = facts.get(key, "")
            if wanted and _folded(value) not in map(_folded, wanted):
                name = key.replace("_", " ")
                return f"{name} {value or 'unknown'}, not asked for by {setting}"
        return ""


def selection_of(data: DataConfig) -> Selection:
    """What the settings ask for."""
    return Selection(
        modality=data.select_modality,
        view=data.view,
        body_part=data.body_part,
        kinds=data.kinds,
        series_kind=data.series_kind,
    )


_KIND_NAMES = {
    "localizer": "localizer (scout)",
    "derived": "derived image (reformat, projection, map)",
    "secondary": "secondary capture (screen save, scan, report)",
}


def _folded(text: str) -> str:
    folded = "".join(text.split()).replace("_", "").replace("-", "").upper()
    return {"LAT": "LATERAL", "LL": "LATERAL", "RL": "LATERAL"}.get(folded, folded)


def _view(dataset: Dataset, position: str) -> str:
    if position and position != OTHER:
        return position
    codes = [str(item.get("CodeValue") or "") for item in dataset.get("ViewCodeSequence") or ()]
    return next((_VIEW_CODES[code] for code in codes if code in _VIEW_CODES), position)


def _series_kind(dataset: Dataset) -> str:
    """A word of our own for the series; the description itself is free text and stays behind."""
    terms = dataset.get("ImageType") or ()
    parts = [terms] if isinstance(terms, str) else [str(term) for term in terms]
    for name in ("SeriesDescription", "ProtocolName"):
        parts.append(str(dataset.get(name) or ""))
    words = set("".join(c if c.isalnum() else " " for c in " ".join(parts).upper()).split())
    return next((kind for kind in SERIES_KINDS if words & _WORDS[kind]), "")


def _plane(dataset: Dataset) -> str:
    """Axial, coronal, sagittal or oblique, by the direction of the slice's normal."""
    orientation = dataset.get("ImageOrientationPatient") or ()
    if len(orientation) != 6:
        return ""
    a, b, c, d, e, f = (float(value) for value in orientation)
    normal = {
        "sagittal": abs(b * f - c * e),
        "coronal": abs(c * d - a * f),
        "axial": abs(a * e - b * d),
    }
    name = max(normal, key=lambda key: normal[key])
    return name if normal[name] > _OBLIQUE else "oblique"
