"""Private attributes that the standard calls safe (PS3.15 section E.3.10), and no others."""

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from medjepa.data.decode.dicom_library import errors, pydicom

if TYPE_CHECKING:
    from pydicom import DataElement, Dataset
else:  # pydicom is imported guarded, on first use
    DataElement = Dataset = object


@cache
def safe_private() -> frozenset[tuple[int, int, str, str]]:
    """(group, element within its block, type, private creator) of each."""
    text = resources.files("medjepa.data.deid").joinpath("safe_private.txt").read_text("utf-8")
    lines = [line.split(" ", 3) for line in text.splitlines() if not line.startswith("#")]
    return frozenset((int(g, 16), int(e, 16), kind, creator) for g, e, kind, creator in lines)


def safe_elements(source: Dataset) -> list[DataElement]:
    """The safe private elements of one level, each behind the element that reserves its block."""
    kept: dict[int, DataElement] = {}
    for tag in source.keys():  # noqa: SIM118 - iterating gives elements, which may not decode
        block = (tag.group << 16) + (tag.element >> 8)
        if not tag.is_private or tag.element < 0x1000 or block not in source:
            continue
        try:
            element, creator = source[tag], source[block]
        except errors():
            continue
        name = str(creator.value or "").strip()
        if (tag.group, tag.element & 0xFF, element.VR, name) in safe_private():
            kept[block] = pydicom().DataElement(block, "LO", name)
            kept[tag] = element
    return [kept[tag] for tag in sorted(kept)]
