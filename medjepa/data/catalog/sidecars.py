"""Small files beside images, read into columns as a table would give them."""

import re
from collections.abc import Callable
from pathlib import Path
from xml.parsers import expat

from medjepa.errors import InputError

_MAX_BYTES = 64 << 20


def read_sidecar(path: Path, kind: str) -> dict[str, str]:
    """The columns that a side file gives; see `SidecarRule` for the formats.

    Raises:
        InputError: it is larger than any such file, is no text, or has another form.
    """
    if path.stat().st_size > _MAX_BYTES:
        raise InputError(path, "too large for a file that describes an image", format=kind)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(path, "is no UTF-8 text", format=kind) from error
    return _READERS[kind](path, text)


def _keys(path: Path, text: str) -> dict[str, str]:
    """Lines "Key: value", such as the Info.cfg of ACDC."""
    found = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        key, colon, value = line.partition(":")
        if not colon:
            raise InputError(path, f"line {number} has no colon: Key: value", format="keys")
        found[key.strip()] = value.strip()
    return found


def _voc(path: Path, text: str) -> dict[str, str]:
    """Pascal VOC boxes: "objects" holds their classes, each once, "num_objects" counts boxes."""
    names: list[str] = []
    stack: list[str] = []
    parser = expat.ParserCreate()

    def start(tag: str, _: dict[str, str]) -> None:
        stack.append(tag)
        if stack == ["annotation", "object", "name"]:
            names.append("")

    def content(data: str) -> None:
        if stack == ["annotation", "object", "name"]:
            names[-1] += data

    def entity(*_: object) -> None:
        # Nested entities grow without bound, and no annotation needs one.
        raise InputError(path, "declares entities, which no annotation needs", format="voc")

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: stack.pop()
    parser.CharacterDataHandler = content
    parser.EntityDeclHandler = entity
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise InputError(path, f"is no well-formed XML: {error}", format="voc") from error
    classes = sorted({name.strip() for name in names})
    return {"objects": "|".join(classes), "num_objects": str(len(names))}


def _phases(path: Path, text: str) -> dict[str, str]:
    """A header, then "frame<tab>phase" for every frame in order; Cholec80's phases."""
    phases: dict[str, None] = {}
    expected = 0
    for number, line in enumerate(text.splitlines()):
        if number == 0 or not line.strip():
            continue
        found = re.fullmatch(r"(\d+)\s+(\S+)\s*", line)
        if not found or int(found[1]) != expected:
            raise InputError(
                path, f"line {number + 1} is not frame {expected} and its phase", format="phases"
            )
        phases[found[2]] = None
        expected += 1
    return {"phases": "|".join(phases), "num_frames": str(expected)}


_READERS: dict[str, Callable[[Path, str], dict[str, str]]] = {
    "keys": _keys,
    "voc": _voc,
    "phases": _phases,
}
