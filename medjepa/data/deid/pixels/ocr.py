"""Text found by an OCR program, where one is asked for: beside the search by shape.

The program reads pictures that may be hostile, so it runs in the decoding process's own limits.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from medjepa.data.deid.pixels.text_marks import Row, frames_of
from medjepa.errors import ConfigError

if TYPE_CHECKING:
    from pydicom import Dataset
else:  # pydicom is imported guarded, on first use
    Dataset = object

TESSERACT = "tesseract"
_SECONDS = 60
_MIN_CONFIDENCE = 50.0
_MIN_LETTERS = 3
_SCALE = 2
_COLUMNS = 12


class OcrError(Exception):
    """The program failed; its picture has not been looked at."""


def find_program() -> str:
    """Where tesseract is.

    Raises:
        ConfigError: it is not installed.
    """
    path = shutil.which(TESSERACT)
    if path is None:
        raise ConfigError(
            "ocr=tesseract: there is no program tesseract here; install it (Debian: "
            "apt install tesseract-ocr), or leave ocr out"
        )
    return path


def read_text(target: Dataset) -> list[Row]:
    """Words of at least three letters or digits in all frames, as rows.

    Raises:
        ConfigError: the program is not installed.
        OcrError: it failed on a frame.
    """
    program = find_program()
    rows: list[Row] = []
    for number, frame in enumerate(frames_of(target)):
        rows += [Row(number, *box) for box in _words(program, frame)]
    return rows


def _words(program: str, frame: np.ndarray) -> list[tuple[int, int, int, int]]:
    low, high = float(frame.min()), float(frame.max())
    if high <= low:
        return []
    grey = np.rint((frame.astype(np.float32) - low) / (high - low) * 255).astype(np.uint8)
    height, width = grey.shape
    picture = Image.fromarray(grey).resize((_SCALE * width, _SCALE * height))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frame.png"
        picture.save(path)
        try:
            # 11: sparse text, as much as possible in no particular order.
            done = subprocess.run(  # noqa: S603
                [program, str(path), "stdout", "--psm", "11", "tsv"],
                capture_output=True, timeout=_SECONDS, check=True,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            raise OcrError(f"{TESSERACT} failed ({type(error).__name__})") from error
    return _boxes(done.stdout.decode("utf-8", "replace"))


def _boxes(table: str) -> list[tuple[int, int, int, int]]:
    """Boxes of the words in tesseract's table, in pixels of the frame."""
    boxes = []
    for line in table.splitlines()[1:]:
        cells = line.split("\t")
        if len(cells) != _COLUMNS:
            continue
        left, top, width, height = (int(cell) for cell in cells[6:10])
        letters = sum(character.isalnum() for character in cells[11])
        if float(cells[10]) >= _MIN_CONFIDENCE and letters >= _MIN_LETTERS:
            box = (top, left, top + height, left + width)
            first, second, third, fourth = (edge // _SCALE for edge in box)
            boxes.append((first, second, third + 1, fourth + 1))
    return boxes
