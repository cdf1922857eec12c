"""What is wrong with a file of the output by itself, whatever the originals say."""

import re
from collections.abc import Collection, Iterator

from medjepa.data.verify.attributes import is_graphic, is_private
from medjepa.data.verify.elements import Element, Walked, dictionary_vr, keyword
from medjepa.data.verify.streams import NATIVE, behind_the_last_pixel, segments_of
from medjepa.data.verify.vocabulary import is_standard_uid

Problem = tuple[str, str]
"""(where, what)"""
_UID = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+")
_META_OF_SENDERS = {
    0x00020016: "source", 0x00020017: "sending", 0x00020018: "receiving", 0x00020026: "source",
    0x00020027: "sending", 0x00020028: "receiving", 0x00020100: "private", 0x00020102: "private",
}  # fmt: skip
_UID_ROOT = "2.25."
_MOST_AGE = 90


def problems_of(walked: Walked, allow: Collection[str]) -> Iterator[Problem]:
    """Everything that a de-identified file must not have, or must have and has not."""
    if walked.preamble.strip(b"\0"):
        yield "preamble", "the preamble is not empty"
    if walked.rest < len(walked.content):
        count = len(walked.content) - walked.rest
        yield f"byte {walked.rest}", f"{count} bytes belong to no element"
    for text in walked.problems:
        where, _, what = text.partition(": ")
        yield where, what or text
    yield from _markers(walked)
    for element in walked.elements:
        for what in _of_element(walked, element, allow):
            yield element.path, what
    yield from _identity(walked)
    yield from _pixels(walked)


def _markers(walked: Walked) -> Iterator[Problem]:
    if walked.text("0012,0062").upper() != "YES":
        yield "0012,0062", "PatientIdentityRemoved is not YES"
    if walked.at("0012,0063") is None and walked.at("0012,0064") is None:
        yield "0012,0063", "neither DeidentificationMethod nor its code sequence is there"


def _of_element(walked: Walked, element: Element, allow: Collection[str]) -> Iterator[str]:
    tag = element.tag
    if tag in _META_OF_SENDERS:
        yield f"file meta information names the {_META_OF_SENDERS[tag]} application"
    if is_private(tag):
        if "private" not in allow:
            yield "a private attribute"
    elif is_graphic(tag):
        yield "an overlay or a curve"
    elif tag == 0x00880200:
        yield "an icon image"
    elif tag in (0xFFFCFFFC, 0xFFFAFFFA, 0x04000561, 0x00420011):
        yield f"{keyword(tag)} is there"
    elif not keyword(tag) and tag & 0xFFFF:
        yield "an attribute that the standard does not list"
    else:
        yield from _of_value(walked, element, allow)


def _of_value(walked: Walked, element: Element, allow: Collection[str]) -> Iterator[str]:
    expected = dictionary_vr(element.tag)
    if element.vr == "UN" and expected != "UN":
        yield f"stored as UN, the standard says {expected}"
    if expected == "UI" and element.end - element.begin < 1 << 16:
        for uid in walked.value(element).decode("latin-1").strip(" \0").split("\\"):
            if uid and not (_UID.fullmatch(uid) and len(uid) <= 64):
                yield "not a valid UID"
            elif uid and not ("uids" in allow or is_standard_uid(uid) or uid.startswith(_UID_ROOT)):
                yield "a UID that is neither the standard's nor below 2.25"
    if element.vr == "AS":
        age = walked.value(element).decode("latin-1").strip(" \0")
        if age[:3].isdigit() and age.endswith("Y") and int(age[:3]) > _MOST_AGE:
            yield f"an age above {_MOST_AGE} years"


def _identity(walked: Walked) -> Iterator[Problem]:
    meta, own = walked.text("0002,0003"), walked.text("0008,0018")
    if meta and own and meta != own:
        yield "0002,0003", "is not the SOPInstanceUID"


def _pixels(walked: Walked) -> Iterator[Problem]:
    for element in walked.elements:
        if element.path not in NATIVE:
            continue
        if element.encapsulated:
            for number, what, _ in segments_of(walked, element):
                yield element.path, f"fragment {number} holds {what}"
        elif count := len(behind_the_last_pixel(walked, element)):
            yield element.path, f"{count} bytes behind the last pixel"
