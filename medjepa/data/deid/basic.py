"""The Basic Profile with its options: everything stays but what the standard's table takes away."""

import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from medjepa.data.decode.dicom_library import errors, pydicom
from medjepa.data.deid.checks import is_as_many
from medjepa.data.deid.identity import Identity, Quarantined
from medjepa.data.deid.options import Options
from medjepa.data.deid.private_attributes import safe_elements
from medjepa.data.deid.pseudonyms import Pseudonyms
from medjepa.data.deid.strict import PIXELS, capped_age
from medjepa.data.deid.table import action_of

if TYPE_CHECKING:
    from pydicom import DataElement, Dataset
else:  # pydicom is imported guarded, on first use
    DataElement = Dataset = object

_MAX_DEPTH = 24
_STRUCTURED = ("CODE", "NUM", "CONTAINER", "SCOORD", "SCOORD3D", "TCOORD", "IMAGE", "COMPOSITE",
               "UIDREF")  # fmt: skip
_DUMMIES = {
    "AE": "NONE", "AS": "000D", "CS": "NONE", "DA": "19000101", "DT": "19000101", "TM": "000000",
    "DS": "0", "IS": "0", "LO": "REMOVED", "LT": "REMOVED", "SH": "REMOVED", "ST": "REMOVED",
    "UC": "REMOVED", "UT": "REMOVED", "UR": "", "PN": "REMOVED", "FL": 0.0, "FD": 0.0, "SL": 0,
    "SS": 0, "UL": 0, "US": 0, "SV": 0, "UV": 0, "OB": b"\0\0", "OW": b"\0\0", "UN": b"\0\0",
}  # fmt: skip

_FORMS = {
    kind: re.compile(form)
    for kind, form in {
        "AS": r"\d{3}[DWMY]|",
        "CS": r"[A-Z0-9_ ]{0,16}",
        "DA": r"[\d.]{0,10}",
        "DS": r"[\d eE.+-]*",
        "DT": r"[\d.+-]{0,26} *",
        "IS": r"[\d +-]*",
        "TM": r"[\d:.]{0,16} *",
        "UI": r"[\d.]{0,64}",
    }.items()
}
_NUMBERS = ("AT", "FD", "FL", "SL", "SS", "UL", "US", "SV", "UV")
_PLACES_OF_FRAMES = (
    "ExtendedOffsetTable", "ExtendedOffsetTableLengths", "EncapsulatedPixelDataValueTotalLength",
)  # fmt: skip
_PUBLIC_UIDS = ("CodingSchemeUID", "MappingResourceUID", "ContextUID")


class BasicProfile:
    """Visits every element of every level, and asks the table about each."""

    def __init__(self, pseudonyms: Pseudonyms, identity: Identity, options: Options) -> None:
        self._pseudonyms, self._identity, self._options = pseudonyms, identity, options

    def clean(self, source: Dataset) -> Dataset:
        """Return a new data set; pixel data elements are taken over as they are."""
        target = self._cleaned(source, depth=0)
        for keyword in PIXELS:
            if keyword in source:
                target[keyword] = source[keyword]
        return target

    def _cleaned(self, source: Dataset, depth: int) -> Dataset:
        if depth > _MAX_DEPTH:
            raise Quarantined(f"sequences are nested more than {_MAX_DEPTH} deep")
        target: Dataset = pydicom().Dataset()
        for tag in source.keys():  # noqa: SIM118 - iterating gives elements, which may not decode
            if tag.is_private or tag.element == 0 or not _is_known(tag):
                continue
            if tag.group & 0xFF00 in (0x5000, 0x6000):
                continue  # a bitmap laid over the image is as good a place for a name as a text
            keyword = pydicom().datadict.keyword_for_tag(tag)
            if (depth and keyword in PIXELS) or keyword in _PLACES_OF_FRAMES:
                continue  # an icon shows what the image shows; frames are put together anew
            try:
                element = source[tag]
            except errors():
                continue  # what cannot be decoded cannot be cleaned
            cleaned = self._element(element, depth)
            if cleaned is not None:
                target.add(cleaned)
        if self._options.retain_safe_private:
            for element in safe_elements(source):
                if not element.tag.is_private_creator and not _is_well_formed(element):
                    continue
                target.add(element)
        return target

    def _element(self, element: DataElement, depth: int) -> DataElement | None:
        if element.VR not in _types(element.tag) or not _is_well_formed(element):
            return None
        action = action_of(element.tag, self._options) or _unlisted(element)
        if action == "X":
            return None
        if element.VR == "SQ":
            return self._sequence(element, action, depth)
        if action == "K" and element.keyword == "PatientAge":
            return _new(element, capped_age(str(element.value or "")))
        if action is None or action == "K":
            return element
        value = {"Z": self._empty, "D": self._dummy, "U": self._uids, "C": self._clean}[action](
            element
        )
        return None if value is None else _new(element, value)

    def _sequence(self, element: DataElement, action: str | None, depth: int) -> DataElement | None:
        if action in ("Z", "D"):
            return _new(element, [])
        items = list(element.value)
        if element.keyword in ("TextObjectSequence", "CompoundGraphicSequence"):
            return None
        if action == "C" and element.keyword == "GraphicAnnotationSequence":
            pass  # drawn objects stay, the texts among them go by the line above
        elif action == "C" and self._options.clean_structured:
            items = [item for item in items if item.get("ValueType", "CODE") in _STRUCTURED]
        elif action == "C":
            return None
        return _new(element, [self._cleaned(item, depth + 1) for item in items])

    def _empty(self, element: DataElement) -> object:
        return self._identifier(element) or ""

    def _dummy(self, element: DataElement) -> object:
        if element.VR in ("DA", "TM", "DT"):
            return self._clean(element) or _DUMMIES[element.VR]
        return self._identifier(element) or _DUMMIES.get(element.VR)

    def _identifier(self, element: DataElement) -> str:
        """Names and numbers of the patient, wherever they stand, by the same pseudonym."""
        text = str(element.value or "").strip()
        if not text:
            return ""
        if element.keyword == "PatientID":
            return self._pseudonyms.patient(f"\0{text}")
        if element.keyword == "AccessionNumber":
            return self._pseudonyms.accession(self._identity.key, text)
        return ""

    def _uids(self, element: DataElement) -> object:
        return [self._pseudonyms.uid(str(v)) for v in _values(element)] or ""

    def _clean(self, element: DataElement) -> object:
        clock = self._identity.clock
        move = {"DA": clock.date, "TM": clock.time, "DT": clock.datetime}.get(element.VR)
        if move is not None:
            moved = [move(str(value)) for value in _values(element)]
            return moved if all(moved) else ""
        if element.VR in ("LO", "LT", "SH", "ST", "UC", "UT"):
            return [known_words(str(value)) for value in _values(element)]
        return None


@cache
def vocabulary() -> frozenset[str]:
    """Words of anatomy and technique that a cleaned description may keep."""
    text = resources.files("medjepa.data.deid").joinpath("words.txt").read_text("utf-8")
    return frozenset(
        word for line in text.splitlines() if not line.startswith("#") for word in line.split()
    )


def known_words(text: str) -> str:
    """The words of a description that are in the vocabulary, in order; numbers go."""
    return " ".join(w for w in re.findall(r"[A-Za-z]+[0-9]?", text) if w.upper() in vocabulary())


def _values(element: DataElement) -> list[Any]:
    value = element.value
    if value is None or (isinstance(value, str | bytes) and not value):
        return []
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
        return [value]
    return list(value)


def _new(element: DataElement, value: object) -> DataElement:
    if isinstance(value, list) and element.VR != "SQ":
        value = value if len(value) > 1 else value[0] if value else ""
    new: DataElement = pydicom().DataElement(element.tag, element.VR, value)
    return new


def _is_known(tag: int) -> bool:
    return bool(pydicom().datadict.dictionary_has_tag(tag)) or bool(
        pydicom().datadict.repeater_has_tag(tag)
    )


def _is_well_formed(element: DataElement) -> bool:
    """Whether each value is one of its type: a number that is no number could be a name."""
    values = _values(element)
    if element.VR in _NUMBERS and values and not element.tag.is_private:
        return is_as_many(element.tag, len(values))
    form = _FORMS.get(element.VR)
    return form is None or all(form.fullmatch(str(value)) for value in values)


def _unlisted(element: DataElement) -> str | None:
    """What the table does not name: a person or a moment in it is one all the same."""
    if element.VR in ("DA", "DT", "TM"):
        return "C"
    if element.VR == "UI" and element.keyword not in _PUBLIC_UIDS:
        return "U"
    return "X" if element.VR in ("PN", "AE", "UR") else None


def _types(tag: int) -> list[str]:
    return str(pydicom().datadict.dictionary_VR(tag)).split(" or ")
