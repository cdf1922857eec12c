"""The images of a MedMNIST .npz as files beside a table, which is what the commands read."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

PARTS = ("train", "val", "test")


def unpacked(source: Path, out: Path) -> Path:
    """Write the images of an .npz as PNG with a labels.csv; what is there already is taken."""
    folder = out / source.stem
    table = folder / "labels.csv"
    if table.is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    rows = [("file", "label", "split")]
    with np.load(source) as arrays:
        for part in PARTS:
            pairs = zip(arrays[f"{part}_images"], arrays[f"{part}_labels"].ravel(), strict=True)
            for number, (image, label) in enumerate(pairs):
                name = f"{part}_{number:06d}.png"
                Image.fromarray(image).save(folder / name)
                rows.append((name, str(int(label)), part))
    write_table(table, rows)
    return folder


def write_table(path: Path, rows: list[tuple[str, ...]]) -> None:
    """Write a CSV, head first; it is there as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    unfinished.replace(path)
