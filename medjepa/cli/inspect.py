"""`medjepa inspect DIR`: what is in a folder, and what is wrong with it, before any training."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from medjepa.errors import ConfigError

if TYPE_CHECKING:
    from medjepa.data.survey.survey import Survey
    from medjepa.report.inspect_page import WrittenInspection

USAGE = """\
usage: medjepa inspect DIR [key=value ...]

Reads every file below DIR once and writes a page: what is there, what is broken, copies, blank and
inverted images, outliers, series with missing slices, classes and patients, what names a patient,
samples, and the commands to go on with. DIR is only read. Files have numbers on the page;
OUT/private/files.csv, which only you can read, says which is which. The page holds pictures of
patients unless pictures=false.
Ctrl-C ends the look early; the page then tells of what was seen.

  out=inspect-NAME    the folder for index.html and inspection.json; never inside DIR
  table=FILE.csv      the table of labels; default: every CSV at the top of DIR that names its files
  label=COLUMN        of the classes, found by its usual names; label=folder: the folders' names
  patient=COLUMN      of the patients (lesions, studies), found by its usual names
  split=COLUMN        of train, val and test; default: "split" if there is one
  samples=48          pictures on the contact sheet
  text=500            images, drawn at random, in which burned-in text is looked for; text=all
  pictures=true       false: a page without any picture
  seed=0              of what is drawn
  num_workers=N       decoding processes; default: as many as processors
"""
KEYS = (
    "out", "table", "label", "patient", "split", "samples", "text", "pictures", "seed",
    "num_workers",
)  # fmt: skip
_SHORT = {"group": "patient"}
_MARKS = {"bad": "!", "unsure": "?", "note": "-"}


def run(arguments: list[str]) -> int:
    """Run the verb; returns the exit status."""
    if any(argument in ("-h", "--help") for argument in arguments):
        print(USAGE, end="")
        return 0
    folder, given = parse(arguments)
    out = Path(given.get("out") or f"inspect-{folder.resolve().name or 'root'}")
    if out.resolve().is_relative_to(folder.resolve()):
        raise ConfigError(
            f"{out}: inside the folder that is looked at; name another with out=FOLDER"
        )
    texts = given.get("text", "")
    numbers = {key: _whole(key, given[key]) for key in ("samples", "seed") if key in given}
    workers = _whole("num_workers", given["num_workers"]) if "num_workers" in given else None
    text_looks = None if texts == "all" else _whole("text", texts) if texts else 500
    pictures = _truth("pictures", given.get("pictures", "true"))
    from medjepa.data.survey.survey import survey
    from medjepa.report.inspect_page import check_folder, write_inspection
    from medjepa.utils.progress import progress

    check_folder(out)
    seen = survey(
        folder,
        table=given.get("table"),
        label=given.get("label"),
        group=given.get("patient"),
        split=given.get("split"),
        num_samples=numbers.get("samples", 48),
        text_looks=text_looks,
        pictures=pictures,
        seed=numbers.get("seed", 0),
        num_workers=workers,
        progress=progress,
    )
    written = write_inspection(seen, out)
    print(summary(seen, written, folder, given.get("table", "")))
    return 130 if seen.stopped else 0


def parse(arguments: list[str]) -> tuple[Path, dict[str, str]]:
    """The folder, and the keys with their values.

    Raises:
        ConfigError: not one folder, or a key that there is not.
    """
    from difflib import get_close_matches

    given = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    given = {_SHORT.get(key, key): value for key, value in given.items()}
    places = [argument for argument in arguments if "=" not in argument]
    if "data" in given:
        places.append(given.pop("data"))
    if len(places) != 1:
        raise ConfigError("inspect needs one folder: medjepa inspect DIR")
    for key in given:
        if key not in KEYS:
            near = get_close_matches(key, KEYS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(KEYS)}"
            raise ConfigError(f"the command line: unknown key {key}; {hint}")
    return Path(places[0]), given


def summary(seen: "Survey", written: "WrittenInspection", folder: Path, table: str) -> str:
    """What was found, for the terminal: counts, and the commands with the folder's own name."""
    from medjepa.report.inspect_page import headline

    looked = seen.good + seen.broken + seen.skipped
    lines = [
        f"{': '.join(headline(seen))}",
        f"{seen.found} files found: {seen.good} readable, {seen.broken} broken, "
        f"{seen.skipped} of other kinds"
        + (f", {seen.found - looked} not looked at (stopped)" if seen.stopped else "")
        + f"; {looked / max(seen.seconds, 1e-9):.0f} files a second",
        *(f"  {_MARKS[one.level]} {one.title}" for one in seen.findings),
        "next:",
    ]
    place = shlex.quote(str(folder).rstrip("/") or "/")
    for step in seen.steps:
        command = step.command.replace("TABLE.csv", shlex.quote(table)).replace("DIR", place)
        lines.append(f"  {command}" if command else f"  # {step.why}")
    return "\n".join([*lines, f"page: {written.page}", f"which file a number is: {written.files}"])


def _whole(key: str, text: str) -> int:
    if not text.isdecimal():
        raise ConfigError(f"{key}: a whole number, 0 or more, got {text!r}")
    return int(text)


def _truth(key: str, text: str) -> bool:
    from medjepa.config.build import FALSE_WORDS, TRUE_WORDS

    if text.lower() not in (*TRUE_WORDS, *FALSE_WORDS):
        raise ConfigError(f"{key}: true or false, got {text!r}")
    return text.lower() in TRUE_WORDS
