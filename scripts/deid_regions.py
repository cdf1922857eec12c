"""Write medjepa/data/deid/pixels/regions_ctp.yaml from the recipe that deid publishes.

    python scripts/deid_regions.py deid.dicom

deid.dicom is deid/data/deid.dicom of pydicom/deid (MIT): the rectangles of CTP's script for many
devices, and some of its own. Rules that ask whether an attribute is missing are left out, since one
that is missing would not be looked at.
"""

import itertools
import sys
from pathlib import Path

import yaml
from pydicom.datadict import tag_for_keyword

OUT = Path(__file__).parents[1] / "medjepa" / "data" / "deid" / "pixels" / "regions_ctp.yaml"
HEAD = """\
# Where devices burn in text, by scripts/deid_regions.py from deid/data/deid.dicom of pydicom/deid
# Copyright (c) 2016-2022 Vanessa Sochat, MIT License; most rules are those of the CTP script
# "DicomPixelAnonymizer" of the Radiological Society of North America.
"""


class Plain(yaml.SafeDumper):
    """Writes a list in full wherever it stands."""

    def ignore_aliases(self, data: object) -> bool:
        """No anchors."""
        return True


def main(arguments: list[str]) -> int:
    """Convert and say how many rules were taken."""
    if len(arguments) != 1:
        print(__doc__)
        return 2
    rules, left_out = [], 0
    for block in Path(arguments[0]).read_text(encoding="utf-8").split("LABEL ")[1:]:
        made = convert(block)
        left_out += not made
        rules += made
    text = yaml.dump(
        rules, Dumper=Plain, sort_keys=False, width=100, default_flow_style=None, allow_unicode=True
    )
    OUT.write_text(HEAD + text, encoding="utf-8")
    print(f"{len(rules)} rules, {left_out} labels without rectangles or with another test left out")
    return 0


def convert(block: str) -> list[dict[str, object]]:
    """Rules of one label; alternatives over several attributes become one rule each."""
    lines = [line.strip() for line in block.split("%")[0].splitlines()]
    name = lines[0].split("#")[0].strip()
    boxes: list[list[int]] = []
    tests: list[list[str]] = []
    for line in filter(None, lines[1:]):
        kind, _, rest = line.lstrip("+ ").partition(" ")
        if kind in ("coordinates", "ctpcoordinates"):
            left, top, third, fourth = (int(n) for n in rest.replace(" ", "").split(","))
            right, bottom = (
                (left + third, top + fourth) if kind.startswith("ctp") else (third, fourth)
            )
            boxes.append([top, left, bottom - 1, right - 1])
        elif kind in ("contains", "equals") or kind == "||":
            choices = [part.strip() for part in line.strip("+| ").split("||")]
            if kind == "||":
                tests[-1] += choices
            else:
                tests.append(choices)
        else:
            return []
    if not boxes or any(not t.startswith(("contains ", "equals ")) for ts in tests for t in ts):
        return []
    rules: list[dict[str, object]] = []
    for chosen in itertools.product(*tests):
        when: dict[str, object] = {}
        for test in chosen:
            _, keyword, value = test.split(" ", 2)
            if tag_for_keyword(keyword) is None:
                return []
            texts = [int(t) if t.isdigit() else t.strip() for t in value.split("|")]
            when[keyword] = texts[0] if len(texts) == 1 else texts
        rules.append({"name": name, "when": when, "blank": boxes})
    return rules


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
