"""Write docs/reference/deid-kept-attributes.md from medjepa/data/deid/allowed.txt.

python scripts/deid_kept.py
"""

# ruff: noqa: E501  (rows of tables)
from importlib import resources
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "deid-kept-attributes.md"
HEAD = """\
# What the strict profile keeps

Made from `medjepa/data/deid/allowed.txt` by `python scripts/deid_kept.py`. What is not on this page does
not leave, at any depth of any sequence. Added on top: the markers of de-identification, a pseudonym as
PatientName and PatientID, and the empty attributes that every object must have.

## Where a planted number could hide

An allow-list with plausible ranges leaves room for a number that is plausible for the image. These
attributes are kept although somebody could have typed one in, because reading the image needs them:

| attributes | why kept | what bounds them |
|---|---|---|
| SeriesNumber, AcquisitionNumber, InstanceNumber | order of images, pairing of series | at most 5 digits, InstanceNumber 6: shorter than patient numbers |
| PixelPaddingValue, PixelPaddingRangeLimit | where nothing was measured | values that the stored bits can have |
| RescaleSlope, RescaleIntercept, real world values | units (HU, SUV) | at most 10,000,000; else the file stays behind |
| PixelSpacing, positions, orientations, thickness | geometry | their range in mm |
| FrameTime, FrameTimeVector, TriggerTime, CineRate | time within a clip | their range; number of values |
| WindowCenter, WindowWidth, KVP, EchoTime and other settings | display and physics | their range, rounded to 4 digits |
| look-up tables | grey levels and colours | exactly as many entries as described, and no row of letters in them |
| dates of study, series, acquisition and content | intervals | moved by the patient's offset |

## The list

`uid`: replaced by a pseudonym. `class`: a UID that the standard defines. `terms`: one of these.
`integer`, `number`: within the range; `rounded`: the same, to 4 significant digits. `stored`: a value that
the pixels can have. `date`, `time`, `datetime`: moved with the patient's other dates, or left out.
`items`: a sequence, each item by this list. `code`: codes of DCM, SCT, SRT and UCUM, with the meaning that
the code list gives. `tag`: the number of an attribute of this list. `table`: a look-up table.
`image_type`: defined terms; an unknown value becomes OTHER or goes.
"""


def page() -> str:
    """Return the page."""
    text = resources.files("medjepa.data.deid").joinpath("allowed.txt").read_text("utf-8")
    lines = [HEAD]
    for block in text.split("\n\n")[1:]:
        title, *rules = block.strip().splitlines()
        lines += [f"### {title.lstrip('# ')}", "", "| attribute | must be |", "|---|---|"]
        for rule in rules:
            keyword, _, check = rule.partition(" ")
            lines.append(f"| {keyword} | {check.replace('|', ', ')} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
