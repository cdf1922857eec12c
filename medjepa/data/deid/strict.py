"""The strict profile: a new data set of what is allowed by name and by value, and nothing else."""

import re
from typing import TYPE_CHECKING, Any

from medjepa.data.decode.dicom_library import errors, pydicom
from medjepa.data.deid.checks import Rule, allowed, checked, is_as_many
from medjepa.data.deid.codes import clean_code
from medjepa.data.deid.identity import Identity, Quarantined
from medjepa.data.deid.options import Options
from medjepa.data.deid.pseudonyms import Pseudonyms

if TYPE_CHECKING:
    from pydicom import DataElement, Dataset
else:  # pydicom is imported guarded, on first use
    DataElement = Dataset = object

PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_MAX_DEPTH = 24
_PATIENT = {
    "PatientSex": Rule("terms", "M|F|O"),
    "PatientSize": Rule("rounded", "0.1 3"),
    "PatientWeight": Rule("rounded", "0.1 700"),
}
_MEANING = (
    "SOPClassUID", "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation",
    "PlanarConfiguration", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "NumberOfFrames", "RescaleSlope", "RescaleIntercept", "PixelSpacing", "ModalityLUTSequence",
)  # fmt: skip
_MEANING_OF_FRAMES = {
    "PixelMeasuresSequence": ("PixelSpacing",),
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept"),
}
_PALETTE = (
    "RedPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData", "BluePaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData", "SegmentedGreenPaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData",
)  # fmt: skip
_DEVICE = ("Manufacturer", "ManufacturerModelName")
_PALETTE_MARK = "PaletteColorLookupTable"


class StrictProfile:
    """Copies what `allowed.txt` lets through, checked value by value."""

    def __init__(self, pseudonyms: Pseudonyms, identity: Identity, options: Options) -> None:
        self._pseudonyms, self._identity, self._options = pseudonyms, identity, options

    def clean(self, source: Dataset) -> Dataset:
        """Return a new data set; pixel data elements are taken over as they are."""
        target = self._cleaned(source, depth=0)
        for keyword in PIXELS:
            if keyword in source:
                target[keyword] = source[keyword]
                palette = source.get("PhotometricInterpretation") == "PALETTE COLOR"
                _check_complete(source, target, _MEANING + (_PALETTE if palette else ()))
        if self._options.retain_patient_characteristics:
            self._keep_patient(source, target)
        if self._options.retain_device:
            for keyword in _DEVICE:
                _keep_name(source, target, keyword)
        return target

    def _cleaned(self, source: Dataset, depth: int) -> Dataset:
        target: Dataset = pydicom().Dataset()
        if depth > _MAX_DEPTH:
            return target
        rules = allowed()
        for tag in source.keys():  # noqa: SIM118 - iterating gives elements, which may not decode
            rule = rules.get(tag)
            element = None if rule is None else _decoded(source, tag)
            if rule is not None and element is not None:
                self._take(rule, element, source, target, depth)
        return target

    def _take(
        self, rule: Rule, element: DataElement, source: Dataset, target: Dataset, depth: int
    ) -> None:
        if rule.kind in ("items", "code"):
            items = self._items(rule, element, depth)
            if items:
                target.add_new(element.tag, "SQ", items)
            return
        if _PALETTE_MARK in element.keyword and (
            source.get("PhotometricInterpretation") != "PALETTE COLOR"
        ):
            return  # without such pixels the table shows nothing, and could hold anything
        values = _values(element)
        if not values or not is_as_many(element.tag, len(values)):
            return
        kept = self._moved(rule, values) or (
            None if rule.kind in _OWN else checked(rule, values, source)
        )
        if kept:
            if element.VR in _TEXTS:  # a number that the standard keeps as text (StackID)
                kept = [str(value) for value in kept]
            target.add_new(element.tag, element.VR, kept if len(kept) > 1 else kept[0])

    def _items(self, rule: Rule, element: DataElement, depth: int) -> list[Dataset]:
        if rule.kind == "code":
            codes = [clean_code(item) for item in element.value]
            # Half a list of codes could say something else than the whole.
            return [code for code in codes if code is not None] if all(codes) else []
        items = [self._cleaned(item, depth + 1) for item in element.value]
        for before, after in zip(element.value, items, strict=True):
            _check_complete(before, after, _MEANING_OF_FRAMES.get(element.keyword, ()))
        # Items are counted on (one for each frame): an emptied one keeps its place.
        return items if any(len(item) for item in items) else []

    def _moved(self, rule: Rule, values: list[Any]) -> list[Any] | None:
        """UIDs, dates and times by the project's secret."""
        texts = [str(value) for value in values]
        clock = self._identity.clock
        if rule.kind == "uid":
            if self._options.retain_uids:
                return texts if all(_is_uid(text) for text in texts) else None
            return [self._pseudonyms.uid(text) for text in texts]
        if rule.kind == "date":
            moved = [clock.date(text) for text in texts]
        elif rule.kind == "time":
            moved = [clock.time(text) for text in texts]
        elif rule.kind == "datetime":
            moved = [clock.datetime(text) for text in texts]
        else:
            return None
        return moved if all(moved) else None

    def _keep_patient(self, source: Dataset, target: Dataset) -> None:
        for keyword, rule in _PATIENT.items():
            if keyword in source:
                element = _decoded(source, source[keyword].tag)
                kept = element and checked(rule, _values(element), source)
                if element is not None and kept:
                    target.add_new(element.tag, element.VR, kept[0])
        if age := capped_age(str(source.get("PatientAge") or "")):
            target.PatientAge = age


def capped_age(text: str) -> str:
    """An age as it may be told: above 89 years it is rare enough to name somebody (HIPAA)."""
    age = text.strip(" \0")
    if len(age) != 4 or not age[:3].isdigit() or age[3] not in "DWMY":
        return ""
    return "090Y" if age[3] == "Y" and int(age[:3]) > 89 else age


def _check_complete(source: Dataset, target: Dataset, keywords: tuple[str, ...]) -> None:
    """Pixels without what gives them their meaning would be read wrong, and nobody would know."""
    for keyword in keywords:
        if keyword in source and source[keyword].value not in (None, "") and keyword not in target:
            raise Quarantined(f"{keyword} is not a plausible value, and pixels need it")


_TEXTS = ("CS", "LO", "SH")
_OWN = ("uid", "date", "time", "datetime")


def _decoded(source: Dataset, tag: int) -> DataElement | None:
    """The element, None where its value cannot be decoded or its type is not the standard's."""
    from pydicom.datadict import dictionary_VR

    try:
        element = source[tag]
        expected = dictionary_VR(element.tag).split(" or ")
    except errors():
        return None
    return element if element.VR in expected else None


def _values(element: DataElement) -> list[Any]:
    value = element.value
    if value is None or (isinstance(value, str | bytes) and not value):
        return []
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
        return [value]
    return list(value)


def _is_uid(text: str) -> bool:
    return bool(pydicom().uid.UID(text.strip(" \0")).is_valid)


def _keep_name(source: Dataset, target: Dataset, keyword: str) -> None:
    """A maker's or model's name, if it is a short one without a long number."""
    value = str(source.get(keyword) or "").strip()
    digits = max((len(run) for run in re.findall(r"\d+", value)), default=0)
    if value and len(value) <= 32 and digits <= 4 and value.isascii():
        setattr(target, keyword, value)
