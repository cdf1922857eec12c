"""How much burned-in text is found, and how often an image without any is suspected.

    python benchmarks/burned_in_text.py FOLDER [FOLDER ...] [--images 150] [--seed 0]

FOLDERs hold images (PNG, JPEG, DICOM with one frame) that are known to have no text. Names and
dates are drawn into copies of them, in two fonts, five sizes and four brightnesses, before and
after JPEG; only texts that can be read are counted: they differ from what is behind them by 15 %
of the scale.
"""

import argparse
import io
import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from medjepa.data import read
from medjepa.data.deid.pixels.text_marks import find_rows
from medjepa.errors import InputError

TEXTS = (
    "MUELLER, HANS",
    "DOE JOHN 12.03.1956",
    "ID 4711-0815",
    "St. Mary Hospital",
    "2024-03-05 14:22",
)
SIZES = (8, 10, 14, 20, 32)
VALUES = {"white": 1.0, "brighter": 1.4, "grey": 0.7, "black": 0.0}
READABLE = 0.15


def main() -> None:
    """Print false alarms by folder, then what was found by font, size and brightness."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--images", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    pictures = []
    for folder in arguments.folders:
        here = pictures_of(folder, arguments.images, rng)
        alarms = sum(bool(find_rows(picture) or find_rows(picture.T)) for picture in here)
        print(f"{folder.name}: suspected {alarms} of {len(here)} {interval(alarms, len(here))}")
        pictures += here
    total_found = total = 0
    for style in ("DejaVu", "sharp"):
        for name, value in VALUES.items():
            cells = []
            for size in SIZES:
                found, count = recall(pictures, style, size, value, rng)
                total_found, total = total_found + found, total + count
                cells.append(f"{size} px {found}/{count}")
            print(f"{style}, {name}: found {', '.join(cells)}")
    print(f"found {total_found} of {total} readable texts {interval(total_found, total)}")


def pictures_of(folder: Path, limit: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Brightness (Y, X) of up to `limit` images of a folder, drawn at random."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    pictures: list[np.ndarray] = []
    for index in rng.permutation(len(paths)):
        try:
            image = read(paths[index])
        except InputError:
            continue
        if image.axes == "yx" and image.array.min() < image.array.max():
            pictures.append(image.array.max(axis=0))
        if len(pictures) == limit:
            break
    return pictures


def recall(
    pictures: list[np.ndarray], style: str, size: int, value: float, rng: np.random.Generator
) -> tuple[int, int]:
    """How many of 40 drawn texts that can be read were found."""
    found = count = 0
    for _ in range(400):
        picture = pictures[rng.integers(len(pictures))].astype(np.float32)
        mark = text_mask(TEXTS[rng.integers(len(TEXTS))], style, size)
        space = [have - need for have, need in zip(picture.shape, mark.shape, strict=True)]
        if min(space) < 1:
            continue
        top, left = (int(rng.integers(room)) for room in space)
        low, high = float(picture.min()), float(picture.max())
        where = picture[top : top + mark.shape[0], left : left + mark.shape[1]]
        level = low + value * (high - low)
        contrast = np.abs(level - where[mark > 0.5]) / (max(level, high) - low)
        if contrast.size == 0 or np.percentile(contrast, 10) < READABLE:
            continue
        where[:] = where * (1 - mark) + level * mark
        count += 1
        found += bool(find_rows(compressed(picture) if count % 2 else picture))
        if count == 40:
            break
    return found, count


def text_mask(text: str, style: str, size: int) -> np.ndarray:
    """Coverage 0 to 1 of each pixel by a text of about `size` pixels in height."""
    font = ImageFont.load_default(size)
    canvas = Image.new("L", (int(font.getlength(text)) + 4, 2 * size))
    ImageDraw.Draw(canvas).text((1, 1), text, 255, font=font)
    mask = np.asarray(canvas) / 255.0
    return (mask > 0.5).astype(float) if style == "sharp" else mask


def compressed(picture: np.ndarray) -> np.ndarray:
    """The picture in 8 bits, after JPEG of quality 80."""
    low, high = picture.min(), picture.max()
    buffer = io.BytesIO()
    Image.fromarray(((picture - low) / (high - low) * 255).astype(np.uint8)).save(
        buffer, "JPEG", quality=80
    )
    return np.asarray(Image.open(buffer)).astype(np.float32)


def interval(hits: int, count: int) -> str:
    """Wilson's 95 % interval of a share."""
    if not count:
        return ""
    z, share = 1.96, hits / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    return f"= {share:.3f} [{max(middle - half, 0):.3f}, {min(middle + half, 1):.3f}]"


if __name__ == "__main__":
    main()
