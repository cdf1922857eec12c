"""What reading a set gives: its images, each with label, group and part of the split."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, kw_only=True)
class Item:
    """One image, volume or clip of a set.

    Attributes:
        path: below the folder that was read, with forward slashes.
        array, index: which array of the file, and which of its images; None where the file is the
            image.
        labels: the classes that apply, None where nobody says; a number's text for a regression.
        findings: for several labels an image: class to "1", "0" or "" (unknown).
        group: patient, lesion or slide, None where nobody says.
        split: train, val or test, None where nobody says.
        masks: paths of its label maps.
    """

    path: str
    array: str | None = None
    index: int | None = None
    labels: tuple[str, ...] | None = None
    findings: Mapping[str, str] = field(default_factory=dict)
    group: str | None = None
    split: str | None = None
    masks: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """The image in words: its path, or `file.npz train_images[12]`."""
        return self.path if self.array is None else f"{self.path} {self.array}[{self.index}]"

    @property
    def label(self) -> str:
        """The label in one cell, classes joined by a bar; "" where there is none."""
        return "|".join(self.labels or ())


@dataclass(kw_only=True)
class Reading:
    """A set as it lies in a folder.

    Attributes:
        root: the folder of the set below the one that was read, "" if it is that one.
        items: in the order of their paths.
        missing: what a table or list names and the folder does not hold.
        strange: labels, parts or rows that the entry does not explain, in words.
        absent: optional files of the layout that are not there, in words.
        notes: what differs from the entry without harm, in words.
    """

    root: str = ""
    items: list[Item] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@runtime_checkable
class Reader(Protocol):
    """A small class of the user's that lists a set which no pattern describes."""

    def items(self, folder: Path) -> Iterable[Item]:
        """Every image of the folder."""
        ...
