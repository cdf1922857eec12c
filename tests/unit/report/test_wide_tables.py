"""A table that is wider than its page scrolls in a box of its own, its names in sight."""

import re
from pathlib import Path

import pytest

import medjepa.report

TEMPLATES = Path(medjepa.report.__file__).parent / "templates"


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.html.j2")), ids=lambda path: path.name)
def test_every_table_lies_in_a_box_that_scrolls(path):
    text = path.read_text(encoding="utf-8")
    # Names of what is there and their counts, in columns of the page, break where they must.
    text = re.sub(r'<div class="tallies">.*?\{% endfor %\}\n</div>', "", text, flags=re.DOTALL)
    tables = re.findall(r"([^\n]*\n?)(<table\b)", text)
    assert all(before.rstrip().endswith('<div class="scroll">') for before, _ in tables), path.name
    assert "report.css" in text


def test_names_stay_on_the_screen_and_nothing_is_cut_on_paper():
    screen, paper = (TEMPLATES / "report.css").read_text(encoding="utf-8").split("@media print")
    assert ".scroll { overflow-x: auto; }" in screen
    assert re.search(r"\.scroll tr > :first-child \{ position: sticky; left: 0;", screen)
    assert ".scroll { overflow: visible; }" in paper
    assert re.search(r"\.scroll th, \.scroll td \{ white-space: normal;", paper)
    assert re.search(r"\.scroll tr > :first-child \{ position: static;", paper)
