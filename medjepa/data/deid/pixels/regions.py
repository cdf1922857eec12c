"""Rectangles to blank or to keep, by device: a catalogue that its owner vouches for.

- name: our ultrasound, 2019
  when: {Modality: US, ManufacturerModelName: [LOGIQ E9, LOGIQ S8], Rows: 720}
  blank: [[0, 0, 59, 959]]      # or keep: ...; top, left, bottom, right, the ends included

Every attribute of `when` must hold one of the texts (upper and lower case alike), or equal one of
the numbers. All rules that fit an image are applied.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from medjepa.data.decode.dicom_library import pydicom
from medjepa.data.deid.pixels.rewrite import black, store_uncompressed
from medjepa.errors import ConfigError

if TYPE_CHECKING:
    from pydicom import Dataset
else:  # pydicom is imported guarded, on first use
    Dataset = object

PUBLISHED = "ctp"
"""`regions=ctp`: the rectangles that CTP and deid publish for devices of many makers."""
_KEYS = ("name", "when", "blank", "keep")
_CORNERS = 4
Box = tuple[int, int, int, int]
Texts = tuple[str | int, ...]


@dataclass(frozen=True)
class Rule:
    """Where the text of one device stands.

    Attributes:
        name: for the report.
        when: (keyword, texts or numbers of which one must be there), all of them.
        blank: (top, left, bottom, right), the ends included.
        keep: everything outside these goes; empty: see `blank`.
    """

    name: str
    when: tuple[tuple[str, Texts], ...]
    blank: tuple[Box, ...] = ()
    keep: tuple[Box, ...] = ()

    def fits(self, source: Dataset) -> bool:
        """True if the original's header says that it is of this device."""
        return all(_holds(source, keyword, texts) for keyword, texts in self.when)


def apply_rules(target: Dataset, source: Dataset, file: str, steps: list[str]) -> bool:
    """Blank what the catalogue says; False if no rule fits.

    Raises:
        ConfigError: the catalogue cannot be read.
    """
    rules = [rule for rule in read_rules(file) if rule.fits(source)]
    if not rules:
        return False
    shape = (int(target.Rows), int(target.Columns))
    kept = np.ones(shape, dtype=bool)
    for rule in rules:
        if rule.keep:
            kept &= _inside(shape, rule.keep)
        kept &= ~_inside(shape, rule.blank)
    pixels = np.array(pydicom().pixels.pixel_array(target, raw=True))
    colour = int(target.SamplesPerPixel) > 1
    frames = pixels.reshape(-1, *shape, pixels.shape[-1] if colour else 1)
    frames[:, ~kept] = black(target)
    store_uncompressed(target, pixels)
    steps.append("blanked by the region catalogue")
    return True


def read_rules(file: str) -> tuple[Rule, ...]:
    """Read a catalogue, or the published one.

    Raises:
        ConfigError: there is no such file, or it is not as described above.
    """
    return _parsed(file, catalogue_text(file))


@lru_cache(maxsize=4)
def _parsed(file: str, text: str) -> tuple[Rule, ...]:
    try:
        entries = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"regions={file}: no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(entries, list) or not entries:
        raise ConfigError(f"regions={file}: a list of rules is needed, each with name and when")
    return tuple(_rule(file, number, entry) for number, entry in enumerate(entries, start=1))


def catalogue_text(file: str) -> str:
    """The catalogue as it stands in the file.

    Raises:
        ConfigError: it cannot be read.
    """
    if file == PUBLISHED:
        return resources.files(__package__).joinpath("regions_ctp.yaml").read_text("utf-8")
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"regions={file}: cannot be read: {error}") from error


def _rule(file: str, number: int, entry: object) -> Rule:
    where = f"regions={file}: rule {number}"
    if not isinstance(entry, Mapping):
        raise ConfigError(f"{where}: name, when, and blank or keep are needed")
    if unknown := sorted(set(map(str, entry)) - set(_KEYS)):
        raise ConfigError(f"{where}: unknown key {unknown[0]}; one of {', '.join(_KEYS)}")
    when = entry.get("when")
    if not isinstance(when, Mapping) or not when:
        raise ConfigError(f"{where}: when: {{Keyword: text, ...}} says which device it is for")
    if bool(entry.get("blank")) == bool(entry.get("keep")):
        raise ConfigError(f"{where}: either blank or keep, a list of [top, left, bottom, right]")
    keyword_of = pydicom().datadict.tag_for_keyword
    if wrong := [str(k) for k in when if keyword_of(str(k)) is None]:
        raise ConfigError(f"{where}: {wrong[0]} is no keyword of a DICOM attribute")
    return Rule(
        name=str(entry.get("name", f"rule {number}")),
        when=tuple((str(keyword), _texts(where, value)) for keyword, value in when.items()),
        blank=_boxes(where, entry.get("blank")),
        keep=_boxes(where, entry.get("keep")),
    )


def _texts(where: str, value: object) -> Texts:
    values = value if isinstance(value, list) else [value]
    if not values or any(isinstance(v, bool) or not isinstance(v, str | int) for v in values):
        raise ConfigError(f"{where}: when: a text or a whole number for each keyword, got {value}")
    return tuple(values)


def _boxes(where: str, value: Any) -> tuple[Box, ...]:  # noqa: ANN401 - as YAML gives it
    boxes = []
    for box in value or []:
        numbers = box if isinstance(box, list) else []
        if len(numbers) != _CORNERS or not all(
            isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in numbers
        ):
            raise ConfigError(f"{where}: [top, left, bottom, right] in pixels, got {box}")
        top, left, bottom, right = numbers
        if top > bottom or left > right:
            raise ConfigError(f"{where}: {box} ends before it begins")
        boxes.append((top, left, bottom, right))
    return tuple(boxes)


def _holds(source: Dataset, keyword: str, texts: Texts) -> bool:
    value = source.get(keyword)
    if value is None:
        return False
    parts = [value] if isinstance(value, str | int | float) else list(value)
    whole = "\\".join(str(part) for part in parts).lower()
    return any(
        whole == str(text) if isinstance(text, int) else text.lower() in whole for text in texts
    )


def _inside(shape: tuple[int, int], boxes: tuple[Box, ...]) -> np.ndarray:
    inside = np.zeros(shape, dtype=bool)
    for top, left, bottom, right in boxes:
        inside[top : bottom + 1, left : right + 1] = True
    return inside
