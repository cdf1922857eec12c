"""Where the frozen table's sets lie under one folder, and the tables that they come without.

A set that says nothing of a split gets one here, written into OUT, so that pre-training and every
test know the same training part.
"""

import csv
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from npz_images import unpacked, write_table

TEST_SHARE = 0.3


class NotThere(Exception):
    """A set is not where it was looked for, or is not as it was described."""


def source(name: str, folder: Path, out: Path, seed: int) -> tuple[str, ...]:
    """What every verb is told of a set's images: data= and, where needed, the table.

    Args:
        name: of a set in `SETS`.
        folder: where it lies.
        out: where tables and unpacked images are written.
        seed: of a split that is made here.

    Raises:
        NotThere: the folder is missing or holds other files.
    """
    if not folder.exists():
        raise NotThere(f"{folder}: no such folder")
    return SETS[name](folder, out, seed)


def _as_it_is(folder: Path, out: Path, seed: int) -> tuple[str, ...]:
    return (f"data={folder}",)


def _dermamnist(folder: Path, out: Path, seed: int) -> tuple[str, ...]:
    files = [folder] if folder.is_file() else sorted(folder.glob("*.npz"))
    if len(files) != 1:
        raise NotThere(f"{folder}: {len(files)} .npz files, one is needed")
    return (f"data={unpacked(files[0], out / 'images')}",)


def _derm_isic(folder: Path, out: Path, seed: int) -> tuple[str, ...]:
    """Nobody names patients or a split: three tenths of each class are drawn for the test."""
    with _given(folder / "labels.csv").open(newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    label, members = head.index("benign_malignant"), defaultdict(list)
    for number, row in enumerate(rows):
        members[row[label]].append(number)
    test: set[int] = set()
    rng = random.Random(seed)  # noqa: S311 - a split, no secret
    for value in sorted(members):
        test |= set(rng.sample(members[value], round(TEST_SHARE * len(members[value]))))
    split = [(*row, "test" if n in test else "train") for n, row in enumerate(rows)]
    return _with_table(folder, out / "tables" / "derm_isic_uda1.csv", (*head, "split"), split)


def _retina(folder: Path, out: Path, seed: int) -> tuple[str, ...]:
    """Two eyes of each patient (Image_01L, Image_01R); the last six of fourteen are tested."""
    names = _names(folder, "Image_*.jpg")
    patients = sorted({name[6:8] for name in names})
    tested = set(patients[len(patients) * 4 // 7 :])
    rows = [(n, n[6:8], "test" if n[6:8] in tested else "train") for n in names]
    table = _with_table(folder, out / "tables" / "retina_chase.csv",
                        ("file", "patient", "split"), rows)  # fmt: skip
    return (*table, "data.pattern=*.jpg", "data.group_column=patient")


def _membranes(folder: Path, out: Path, seed: int) -> tuple[str, ...]:
    """Sections of one block: the last third is tested, since neighbours look alike."""
    names = sorted(_names(folder / "image", "*.png"), key=lambda name: int(Path(name).stem))
    first = round(len(names) * 2 / 3)
    rows = [(name, "train" if n < first else "test") for n, name in enumerate(names)]
    return _with_table(
        folder / "image", out / "tables" / "em_membrane.csv", ("file", "split"), rows
    )


def _smears(folder: Path, out: Path, seed: int) -> tuple[str, ...]:
    """The split that comes with the set, in ImageSets/Main."""
    rows = []
    for part in ("train", "val", "test"):
        text = _given(folder / "BCCD" / "ImageSets" / "Main" / f"{part}.txt").read_text("utf-8")
        rows += [(f"{name}.jpg", part) for name in text.split()]
    images = folder / "BCCD" / "JPEGImages"
    return _with_table(images, out / "tables" / "bccd.csv", ("file", "split"), rows)


def _with_table(
    images: Path, path: Path, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]
) -> tuple[str, ...]:
    write_table(path, [head, *rows])
    return (f"data={images}", f"data.table={path}")


def _names(folder: Path, pattern: str) -> list[str]:
    names = sorted(path.name for path in folder.glob(pattern))
    if not names:
        raise NotThere(f"{folder}: no file {pattern}")
    return names


def _given(path: Path) -> Path:
    if not path.is_file():
        raise NotThere(f"{path}: no such file")
    return path


SETS: dict[str, Callable[[Path, Path, int], tuple[str, ...]]] = {
    "cxr_kermany": _as_it_is,
    "cxr_nih_224": _as_it_is,
    "derm_isic_uda1": _derm_isic,
    "dermamnist": _dermamnist,
    "retina_chase": _retina,
    "em_membrane": _membranes,
    "bccd": _smears,
}
