"""The page of a survey: what is there, what is broken, what is private, what to do next."""

import base64
import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup, escape
from PIL import Image

from medjepa import __version__
from medjepa.data.duplicates import NEAR
from medjepa.data.files import check_out, write_atomic
from medjepa.data.private_map import PRIVATE, write_private
from medjepa.data.survey.closer import WINDOW_SHARE, Closer
from medjepa.data.survey.examine import MASK_VALUES
from medjepa.data.survey.findings import LEVELS, counted
from medjepa.data.survey.oddities import COHERENT, INVERTED, MIN_ALIKE, OUTLIER
from medjepa.data.survey.shown import shown
from medjepa.data.survey.survey import Survey
from medjepa.errors import DataError
from medjepa.report.html import template

PAGE, NUMBERS, FILES = "index.html", "inspection.json", "files.csv"
MARKS = {"bad": "!", "unsure": "?", "note": "·"}

_JPEG_QUALITY = 82
_NUM_NAMED = 24
_NUM_DETAILS = 12


@dataclass(frozen=True, kw_only=True)
class WrittenInspection:
    """Where the page, the numbers and the private list of files lie."""

    page: Path
    numbers: Path
    files: Path


def check_folder(folder: Path) -> None:
    """Refuse a folder that holds other things than an inspection.

    Raises:
        DataError: names what is there.
    """
    if folder.is_dir() and not (folder / NUMBERS).is_file():
        alien = sorted(path.name for path in folder.iterdir() if path.name != PRIVATE)
        if alien:
            raise DataError(f"{folder}: this folder holds other things; choose a new one with out=")
    elif folder.exists() and not folder.is_dir():
        raise DataError(f"{folder}: a file, not a folder; choose another out=")
    check_out(folder)


def write_inspection(survey: Survey, folder: str | Path) -> WrittenInspection:
    """Write the page, `inspection.json` and, for its owner only, `private/files.csv`.

    Each file is complete or not there: it is written under another name first.
    """
    folder = Path(folder)
    check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    numbers = json.dumps(survey.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
    write_private(folder, FILES, _files(survey).encode())
    write_atomic(folder / NUMBERS, (numbers + "\n").encode())
    write_atomic(folder / PAGE, render_inspection(survey).encode())
    return WrittenInspection(
        page=folder / PAGE, numbers=folder / NUMBERS, files=folder / PRIVATE / FILES
    )


def render_inspection(survey: Survey) -> str:
    """Fill the page's template; no path and no name of a patient is in it."""
    return template("inspect.html.j2").render(
        survey=survey,
        headline=headline(survey),
        style=next((one.level for one in survey.findings if one.level != "note"), "good"),
        levels=LEVELS,
        marks=MARKS,
        counted=counted,
        prose=prose,
        shown=shown,
        picture=lambda number: _figure(number, survey.pictures),
        numbers=numbers_text,
        num_details=_NUM_DETAILS,
        gigabytes=_size(survey.num_bytes),
        files_per_second=_rate(survey),
        limits={
            "near": NEAR,
            "values": MASK_VALUES,
            "alike": MIN_ALIKE,
            "outlier": OUTLIER,
            "coherent": COHERENT,
            "inverted": INVERTED,
            "window": WINDOW_SHARE,
        },
        version=__version__,
    )


def headline(survey: Survey) -> tuple[str, str]:
    """What is there, and how much of it needs a person."""
    act = sum(one.level == "bad" for one in survey.findings)
    look = sum(one.level == "unsure" for one in survey.findings)
    verdict = []
    if act:
        verdict.append(f"{counted(act, 'thing')} to act on")
    if look:
        verdict.append(f"{counted(look, 'thing')} to look at")
    return counted(survey.good, "readable file"), ", ".join(verdict) or "nothing found wrong"


def numbers_text(files: Sequence[int]) -> str:
    """Numbers of files for people: 3, 5–9, 12 and 40 more."""
    runs: list[list[int]] = []
    for number in files[:_NUM_NAMED]:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    texts = [f"{r[0]}" if len(r) == 1 else f"{r[0]}–{r[-1]}" for r in runs]
    more = f" and {len(files) - _NUM_NAMED:,} more" if len(files) > _NUM_NAMED else ""
    return ", ".join(texts) + more


def prose(text: str) -> Markup:
    """A sentence with its `words in backticks` as code."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part)
        for place, part in enumerate(parts)
    )


def _files(survey: Survey) -> str:
    """Number, path, status, reason; a cell never begins a spreadsheet's formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("number", "path", "status", "reason"))
    for number, path in survey.paths.items():
        status, reason = survey.reasons.get(number, ("not looked at", ""))
        name = f"./{path}" if path[:1] in "=+-@" else path
        writer.writerow((number, name.encode(errors="replace").decode(), status, reason))
    return text.getvalue()


def _figure(number: int, pictures: Mapping[int, Closer]) -> Markup:
    """One picture with its number; an empty frame where there is none."""
    closer = pictures.get(number)
    if closer is None or closer.pixels is None:
        return Markup(
            '<figure class="tile"><div></div><figcaption>{}</figcaption></figure>'
        ).format(number)
    note = Markup(" <span>coarse</span>") if closer.coarse else Markup("")
    return Markup(
        '<figure class="tile"><img src="data:image/jpeg;base64,{}" width="160" height="160" '
        'alt="file {}"><figcaption>{}{}</figcaption></figure>'
    ).format(_jpeg(closer.pixels), number, number, note)


def _jpeg(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return base64.b64encode(buffer.getvalue()).decode()


def _size(num_bytes: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if num_bytes >= size:
            return f"{num_bytes / size:,.1f} {unit}"
    return f"{num_bytes / 1e3:,.0f} kB"


def _rate(survey: Survey) -> float:
    looked = survey.good + survey.broken + survey.skipped
    return looked / survey.seconds if survey.seconds > 0 else float(looked)
