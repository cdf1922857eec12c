"""Known answers on real images: planted leaks and shortcuts are found, chance is chance.

    python benchmarks/planted.py FOLDER CHECKPOINT [KIND ...]

FOLDER holds images and labels.csv with file, label (two classes), patient and split (train, test).
At most 120 training and 80 test images are copied to a temporary folder at 96 pixels, one thing is
planted (each KIND below; all without one), and `evaluate` looks at it. Caught: the evaluation is
refused, or one of the first lines (checks) that is not passed, or the verdict, names it. `clean`
plants nothing, to see what is found without; `shuffles` shuffles the labels among the patients 20
times and counts the intervals of the linear probe's AUC that hold one half. Exit status 1 if
something was not caught, or fewer than 17 of 20 intervals hold chance.

Measured on cxr_kermany with a ViT of 0.1 M pre-trained for 24 steps on 140 phantoms (86 s of one
core): all 16 caught; clean: the edge of the picture alone tells the label with AUC .826 (encoder
.723), nothing else is named; 18 of 20 intervals hold chance.
"""

import csv
import datetime
import io
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from medjepa.data.ingest import content_hash
from medjepa.errors import DataError
from medjepa.evaluation.results import Report
from medjepa.evaluation.run import evaluate
from medjepa.evaluation.runs import PRETRAINING_KEYS

NUM_TRAIN, NUM_TEST, NUM_COPIES, SIDE = 120, 80, 12, 96
Rows = list[dict[str, str]]
Picture = Image.Image


class Study:
    """A small copy of the folder, into which something is planted."""

    def __init__(self, source: Path, folder: Path) -> None:
        self.folder = folder
        with (source / "labels.csv").open(newline="") as file:
            given = list(csv.DictReader(file))
        rng = np.random.default_rng(0)
        self.rows: Rows = []
        for part, most in (("train", NUM_TRAIN), ("test", NUM_TEST)):
            those = [row for row in given if row["split"] == part]
            self.rows += [
                {name: those[i][name] for name in ("file", "label", "patient", "split")}
                for i in rng.permutation(len(those))[:most]
            ]
        for number, row in enumerate(self.rows):
            name = f"{number:04d}.png"
            with Image.open(source / row["file"]) as picture:
                picture.convert("L").resize((SIDE, SIDE)).save(folder / name)
            row["file"] = name
        self.positive = max(row["label"] for row in self.rows)

    def picture(self, row: dict[str, str]) -> Picture:
        """A row's image in memory."""
        with Image.open(self.folder / row["file"]) as picture:
            return picture.copy()

    def copies(self, change: Callable[[Picture], Picture], ending: str, quality: int = 95) -> None:
        """Put changed copies of test images into the training part, of patients of their own."""
        for number, row in enumerate([row for row in self.rows if row["split"] == "test"]):
            if number < NUM_COPIES:
                name = f"copy{number}{ending}"
                change(self.picture(row)).save(self.folder / name, quality=quality)
                self.rows.append(
                    {**row, "file": name, "patient": f"other {number}", "split": "train"}
                )

    def each(self, change: Callable[[Picture, bool], Picture], ending: str = ".png") -> None:
        """Change every image by its class; `ending` is that of the positive ones."""
        for row in self.rows:
            is_positive = row["label"] == self.positive
            changed = change(self.picture(row), is_positive)
            if is_positive:
                row["file"] = Path(row["file"]).stem + ending
            changed.save(self.folder / row["file"])

    def column(self, name: str, value: Callable[[bool, int], str]) -> None:
        """A column whose value follows the class."""
        for number, row in enumerate(self.rows):
            row[name] = value(row["label"] == self.positive, number)

    def write(self) -> None:
        """Write the table."""
        text = io.StringIO()
        table = csv.DictWriter(text, list(self.rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(self.rows)
        (self.folder / "labels.csv").write_text(text.getvalue())


def same_patient(study: Study) -> None:
    """Patients of the test part have an image in training."""
    tested = [row["patient"] for row in study.rows if row["split"] == "test"]
    trained = [row for row in study.rows if row["split"] == "train"]
    for patient, row in zip(tested[:NUM_COPIES], trained, strict=False):
        row["patient"] = patient


def respelled_patient(study: Study) -> None:
    """Likewise, written in small letters and with a space."""
    same_patient(study)
    for row in study.rows:
        if row["split"] == "train":
            row["patient"] = f"{row['patient'].lower()} ".replace("-", "_")


def marked(picture: Picture) -> Picture:
    """A white letter's worth in a corner."""
    ImageDraw.Draw(picture).rectangle((4, 4, 12, 12), fill=255)
    return picture


def cropped(picture: Picture) -> Picture:
    """Without 3 % of each side."""
    return picture.crop((3, 3, SIDE - 3, SIDE - 3))


def lettered(picture: Picture, is_positive: bool) -> Picture:
    """The positive ones say AP at their edge."""
    if is_positive:
        ImageDraw.Draw(picture).text((2, 0), "AP", fill=255)
    return picture


def bordered(picture: Picture, is_positive: bool) -> Picture:
    """A border, black or white."""
    inner = picture.crop((5, 5, SIDE - 5, SIDE - 5))
    return ImageOps.expand(inner, 5, 255 if is_positive else 0)


def date_of(is_positive: bool, number: int) -> str:
    """The positive ones came after the new year."""
    start = datetime.date(2020 if is_positive else 2019, 1, 1)
    return (start + datetime.timedelta(days=number)).isoformat()


LEAKS: dict[str, Callable[[Study], None]] = {
    "same_patient": same_patient,
    "respelled_patient": respelled_patient,
    "same_image": lambda study: study.copies(lambda picture: picture, ".png"),
    "re_encoded": lambda study: study.copies(lambda picture: picture, ".jpg", quality=60),
    "mirrored": lambda study: study.copies(ImageOps.mirror, ".png"),
    "inverted": lambda study: study.copies(ImageOps.invert, ".png"),
    "cropped": lambda study: study.copies(cropped, ".png"),
    "marked": lambda study: study.copies(marked, ".png"),
    "pretraining": lambda study: None,
}
SHORTCUTS: dict[str, Callable[[Study], None]] = {
    "site": lambda study: study.column("hospital", lambda ill, _: "B" if ill else "A"),
    "date": lambda study: study.column("date", date_of),
    "other_name": lambda study: study.column("herkunft", lambda ill, _: "B" if ill else "A"),
    "border": lambda study: study.each(bordered),
    "text": lambda study: study.each(lettered),
    "format": lambda study: study.each(lambda picture, _: picture, ".jpg"),
    "resolution": lambda study: study.each(
        lambda picture, ill: picture.resize((120, 120)) if ill else picture
    ),
}
EDGE_TELLS = r"outer tenth of the picture \(AUC (0\.9[5-9]|1\.0)"
"""The edge of real pictures tells the label too: planted, it tells nearly all of it."""

NAMED = {
    "same_patient": "on known patients", "respelled_patient": "on known patients",
    "same_image": "another part of", "re_encoded": "in another form", "mirrored": "another form",
    "inverted": "another form", "cropped": "another form", "marked": "another form",
    "pretraining": "Pre-training used", "site": "separated from hospital",
    "date": "separated from date", "other_name": "herkunft", "border": EDGE_TELLS,
    "text": EDGE_TELLS, "format": "separated from file format",
    "resolution": "separated from picture size",
}  # fmt: skip
"""What the first lines say of each, as a regular expression."""


def look(study: Study, checkpoint: Path) -> Report:
    """Evaluate what lies in the study's folder."""
    study.write()
    return evaluate(
        checkpoint, study.folder, "label", fractions=(), num_resamples=200, num_workers=0,
        cache_dir=study.folder.parent / "cache",
    )  # fmt: skip


def first_lines(study: Study, checkpoint: Path) -> str:
    """The verdict and the checks that are not passed; of an evaluation that is refused, why."""
    try:
        report = look(study, checkpoint)
    except DataError as error:
        return str(error)
    failed = [check.text for check in report.checks if check.passed is not True]
    return "\n".join([report.verdict.sentence, *failed])


def with_test_images(study: Study, checkpoint: Path, copy: Path) -> Path:
    """A copy of the run that says it has been pre-trained on a few of the test images."""
    shutil.copytree(checkpoint, copy, ignore=shutil.ignore_patterns("report"))
    tested = [row["file"] for row in study.rows if row["split"] == "test"][:NUM_COPIES]
    keys = [content_hash(str(study.folder / name)) for name in tested]
    (copy / PRETRAINING_KEYS).write_text(json.dumps(keys))
    return copy


def chance(source: Path, checkpoint: Path, folder: Path) -> int:
    """Of 20 shuffles, how many intervals hold one half."""
    study = Study(source, folder)
    label = {row["patient"]: row["label"] for row in study.rows}
    held = 0
    for seed in range(20):
        values = np.random.default_rng(seed).permutation(list(label.values()))
        drawn = dict(zip(label, values, strict=True))
        for row in study.rows:
            row["label"] = str(drawn[row["patient"]])
        area = look(study, checkpoint).methods[0].probe.auc
        held += area.low is not None and area.high is not None and area.low <= 0.5 <= area.high
    return held


def main(source: Path, checkpoint: Path, kinds: list[str]) -> int:
    """Print a line for each kind; 1 if something is missed."""
    missed = 0
    for kind in kinds or ["clean", *LEAKS, *SHORTCUTS, "shuffles"]:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "images"
            folder.mkdir()
            if kind == "shuffles":
                held = chance(source, checkpoint, folder)
                missed += held < 17
                print(f"{kind}: {held} of 20 intervals hold chance", flush=True)
                continue
            study, run = Study(source, folder), checkpoint
            if kind != "clean":
                (LEAKS | SHORTCUTS)[kind](study)
            if kind == "pretraining":
                run = with_test_images(study, checkpoint, Path(place) / "run")
            lines = first_lines(study, run)
            if kind == "clean":
                print(f"clean: {lines}", flush=True)
                continue
            is_caught = re.search(NAMED[kind], lines) is not None
            missed += not is_caught
            print(f"{kind}: {'caught' if is_caught else f'MISSED; {lines}'}", flush=True)
    return int(missed > 0)


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
