"""Boxes around objects of images: a table of them, or a folder of Pascal VOC files.

A table has one row for each box: the image, its class, and where it is, as x, y, width and height
(of the upper left corner, as COCO and ChestX-ray14 write it) or as xmin, ymin, xmax, ymax. The
columns are found by their names. An image that has a row without a box holds no object; an image
without a row is not labelled.
"""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from medjepa.data.table_text import read_text
from medjepa.errors import DataError, InputError

Corners = tuple[float, float, float, float]

_IMAGE = ("image", "imageindex", "imageid", "filename", "file", "path", "imagepath", "imagename")
_LABEL = ("label", "class", "classname", "findinglabel", "finding", "category", "name", "cellname")
_SIDES = {
    "x": ("x", "bboxx", "left", "boxx", "xtopleft"),
    "y": ("y", "bboxy", "top", "boxy", "ytopleft"),
    "w": ("w", "width", "bboxw", "boxw", "bboxwidth", "boxwidth"),
    "h": ("h", "height", "bboxh", "boxh", "bboxheight", "boxheight"),
}
_CORNERS = (
    ("xmin", "x0", "bboxxmin"),
    ("ymin", "y0", "bboxymin"),
    ("xmax", "x1", "bboxxmax"),
    ("ymax", "y1", "bboxymax"),
)
_TWO_POINTS = (("x1",), ("y1",), ("x2",), ("y2",))
_MIDDLES = ("xcenter", "ycenter", "xcentre", "ycentre", "cx", "cy")
_ONE_CLASS = "object"
_MOST_BYTES = 1 << 24
IMAGE_SETS = Path("ImageSets") / "Main"


@dataclass(frozen=True)
class Boxes:
    """The boxes of one image.

    Attributes:
        corners: (x0, y0, x1, y1) in pixels of the file; the last edge is not part of the box.
        labels: class of each.
        size: (height, width) of the file, where the source says it.
    """

    corners: tuple[Corners, ...] = ()
    labels: tuple[str, ...] = ()
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class BoxTable:
    """Boxes by the name of their image.

    Attributes:
        images: name or path of an image, as the source writes it -> its boxes.
        layout: how they were written, for the report.
        parts: image -> part of a split, where the source has one (ImageSets/Main of Pascal VOC).
        notes: what a reader of the results should know.
    """

    images: Mapping[str, Boxes]
    layout: str
    parts: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def class_names(self) -> tuple[str, ...]:
        """Every class, by name."""
        return tuple(sorted({label for own in self.images.values() for label in own.labels}))


def read_boxes(source: str | Path) -> BoxTable:
    """Read a table of boxes, or a folder of Pascal VOC files.

    Raises:
        DataError: nothing is there, or it cannot be told what the columns mean.
        InputError: a file is damaged.
    """
    path = Path(source)
    if path.is_dir():
        return read_voc(path)
    if not path.is_file():
        raise DataError(f"boxes={source}: no such file or folder")
    return read_box_csv(path)


def boxes_beside(images: str | Path) -> Path | None:
    """The Pascal VOC folder of a folder of images: Annotations in it, or beside it."""
    folder = Path(images)
    found = [folder / "Annotations", folder.parent / "Annotations", *folder.glob("*/Annotations")]
    return next((one for one in found if one.is_dir() and any(one.glob("*.xml"))), None)


def read_box_csv(path: Path) -> BoxTable:
    """Read a table of boxes (CSV).

    Raises:
        DataError: a column is missing or fits two meanings, or a box is none.
    """
    text = read_text(str(path))[0]
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if any(row)]
    if len(rows) < 2:
        raise DataError(f"{path}: no rows below the header")
    columns = [_plain(name) for name in rows[0]]
    image, label = _column(path, columns, _IMAGE, "image"), _label_column(path, columns)
    where, is_corners = _where(path, columns)
    images: dict[str, list[tuple[Corners, str]]] = {}
    for number, row in enumerate(rows[1:], start=2):
        cells = [*(cell.strip() for cell in row), *[""] * (len(columns) - len(row))]
        if not cells[image]:
            raise DataError(f"{path}: row {number} names no image")
        own = images.setdefault(cells[image], [])
        given = [cells[place] for place in where]
        if not any(given):
            continue
        own.append((_box(path, number, given, is_corners=is_corners), _name(cells, label)))
    if all(not own for own in images.values()):
        raise DataError(f"{path}: no row has a box")
    numbers = [n for own in images.values() for box, _ in own for n in box]
    if max(numbers) <= 1.0:
        raise DataError(
            f"{path}: no number is above 1: these are shares of the image, and pixels are needed; "
            "multiply them by its width and height"
        )
    return BoxTable(
        images={
            name: Boxes(tuple(b for b, _ in own), tuple(n for _, n in own))
            for name, own in images.items()
        },
        layout="table of corners" if is_corners else "table of x, y, width, height",
    )


def read_voc(folder: Path) -> BoxTable:
    """Read every Pascal VOC file of a folder; corners there count from 1 and belong to the box.

    Raises:
        DataError: no file is there.
        InputError: one is damaged; it is named.
    """
    files = sorted(folder.glob("*.xml"))
    if not files:
        raise DataError(f"{folder}: holds no .xml file of Pascal VOC")
    images, num_dropped = {}, 0
    for path in files:
        own, dropped = _voc_file(path)
        images[path.stem] = own
        num_dropped += dropped
    parts: dict[str, str] = {}
    for part in ("train", "val", "test"):
        listed = folder.parent / IMAGE_SETS / f"{part}.txt"
        if listed.is_file():
            names = [line.split()[0] for line in read_text(str(listed))[0].splitlines() if line]
            parts |= dict.fromkeys(names, part)
    notes = (f"{num_dropped} boxes without an area were left out.",) if num_dropped else ()
    return BoxTable(images=images, layout="Pascal VOC", parts=parts, notes=notes)


def _voc_file(path: Path) -> tuple[Boxes, int]:
    """The boxes of one file, and how many have no area."""
    if path.stat().st_size > _MOST_BYTES:
        raise InputError(str(path), "too large for the boxes of one image", format="XML")
    text = path.read_bytes()
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise InputError(str(path), "declares entities, which no such file needs", format="XML")
    corners, labels, dropped = [], [], 0
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - entities are refused above
        size = root.find("size")
        height = int(size.findtext("height") or 0) if size is not None else 0
        width = int(size.findtext("width") or 0) if size is not None else 0
        for found in root.iter("object"):
            box = found.find("bndbox")
            if box is None:
                raise ValueError("an object without bndbox")
            x0, y0, x1, y1 = (
                float(box.findtext(name) or "nan") for name in ("xmin", "ymin", "xmax", "ymax")
            )
            if not all(math.isfinite(n) for n in (x0, y0, x1, y1)):
                raise ValueError("a corner is missing")
            if x1 < x0 or y1 < y0 or (x0, y0) == (x1, y1):
                dropped += 1
                continue
            corners.append((x0 - 1, y0 - 1, x1, y1))
            labels.append((found.findtext("name") or _ONE_CLASS).strip())
    except (ElementTree.ParseError, ValueError) as error:
        raise InputError(str(path), f"cannot be read: {error}", format="XML") from error
    known = (height, width) if height > 0 and width > 0 else None
    return Boxes(tuple(corners), tuple(labels), known), dropped


def _plain(name: str) -> str:
    """A column's name in small letters and digits: "Bbox [x" becomes bboxx."""
    return "".join(c for c in name.lower() if c.isalnum())


def _column(path: Path, columns: Sequence[str], names: Sequence[str], meaning: str) -> int:
    found = [place for place, column in enumerate(columns) if column in names]
    if len(found) != 1:
        which = ", ".join(columns[place] for place in found) or "none"
        raise DataError(
            f"{path}: one column is to be the {meaning}, found {which} of "
            f"{', '.join(c for c in columns if c)}; rename one to {names[0]}"
        )
    return found[0]


def _label_column(path: Path, columns: Sequence[str]) -> int | None:
    if not any(column in _LABEL for column in columns):
        return None
    return _column(path, columns, _LABEL, "class")


def _where(path: Path, columns: Sequence[str]) -> tuple[list[int], bool]:
    """The four columns of a box, and whether they are corners."""
    if any(column in _MIDDLES for column in columns):
        raise DataError(
            f"{path}: has columns of middles; x, y are to be the upper left corner: rewrite them"
        )
    sides = [[p for p, c in enumerate(columns) if c in names] for names in _SIDES.values()]
    # x1, y1 are the first corner beside x2, y2 and the last beside x0, y0.
    known = _TWO_POINTS if "x2" in columns else _CORNERS
    corners = [[p for p, c in enumerate(columns) if c in names] for names in known]
    has_sides, has_corners = all(sides), all(corners)
    if has_sides and has_corners:
        raise DataError(
            f"{path}: has both x, y, w, h and corners; keep the columns of one of the two"
        )
    found = corners if has_corners else sides
    if not (has_sides or has_corners) or any(len(one) > 1 for one in found):
        raise DataError(
            f"{path}: the box is to be in the columns x, y, w, h or xmin, ymin, xmax, ymax, one of "
            f"each; there are {', '.join(c for c in columns if c)}"
        )
    return [one[0] for one in found], has_corners


def _box(path: Path, number: int, given: Sequence[str], *, is_corners: bool) -> Corners:
    try:
        first, second, third, fourth = (float(cell) for cell in given)
    except ValueError:
        raise DataError(
            f"{path}: row {number}: {', '.join(given)} are not four numbers; leave all four empty "
            "for an image without a box"
        ) from None
    box = (first, second, third, fourth)
    if not is_corners:
        box = (first, second, first + third, second + fourth)
    if not all(map(math.isfinite, box)) or box[2] <= box[0] or box[3] <= box[1]:
        kind = "xmax and ymax above xmin and ymin" if is_corners else "a width and height above 0"
        raise DataError(f"{path}: row {number}: a box has {kind}, got {', '.join(given)}")
    return box


def _name(cells: Sequence[str], label: int | None) -> str:
    return (cells[label] if label is not None else "") or _ONE_CLASS
