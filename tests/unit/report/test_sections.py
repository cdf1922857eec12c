"""A section's table is the same on the page, in the terminal and in results.json."""

import json
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from medjepa.evaluation import assess as assess_module
from medjepa.evaluation.assess import assess
from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.protocol import Features, Task
from medjepa.evaluation.results import PRETRAINED, UNTRAINED
from medjepa.evaluation.sections import Section
from medjepa.report.cells import cell_text, p_text, written
from medjepa.report.html import render_html
from medjepa.report.terminal import section_table, show

HALF = Estimate(value=0.5, low=-0.25, high=0.75, standard_error=0.25)
SECTION = Section(
    key="made_up",
    title="A <made-up> [topic]",
    note="n = 30 [patients], 95 % interval",
    columns=("what", "AUC", "difference", "n", "p"),
    rows=(
        ("[red]one[/red]", HALF, HALF, 1234, 0.00004),
        ("two <b>", 0.25, None, 0, float("nan")),
    ),
    figure='<svg class="made-up"></svg>',
    signed=("difference",),
)


@pytest.fixture(scope="module")
def context_and_report():
    rng = np.random.default_rng(0)
    target = (np.arange(80) % 2).astype(np.int64)
    task = Task(
        label="finding",
        target=target,
        class_names=("a", "b"),
        groups=tuple(f"p{i // 2 * 2 + i % 2}" for i in range(80)),
        train=np.arange(40),
        test=np.arange(40, 80),
    )
    methods = [Features(key=key, arrays=(rng.normal(size=(80, 3)),)) for key in KEYS]
    seen = []

    def made_up(context):
        seen.append(context)
        return [SECTION]

    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr("medjepa.evaluation.probes.C_GRID", (0.01, 1.0))
    monkeypatch.setattr(assess_module, "extra_sections", made_up)
    cells = {"site": ["x"] * 80}
    report = assess(methods, task, fractions=(), num_resamples=50, seed=3, cells=cells)
    monkeypatch.undo()
    return seen[0], report


KEYS = (PRETRAINED, UNTRAINED)


def test_a_topic_sees_features_scores_tasks_resamples_and_cells(context_and_report):
    context, report = context_and_report
    assert [one.key for one in context.features] == list(KEYS)
    task = context.tasks[0]
    for row in context.measured:
        assert row.scores[0][0].shape == (len(task.test), 2)
    assert context.row(UNTRAINED).result == report.method(UNTRAINED)
    assert context.of(PRETRAINED).arrays[0].shape == (80, 3)
    assert context.resamples.num == 50
    assert context.groups == task.groups
    assert context.studies is None
    assert context.seed == 3
    assert context.cells["site"][0] == "x"
    assert context.origin is None


def test_json_holds_every_number_and_no_figure(context_and_report):
    plain = json.loads(json.dumps(context_and_report[1].to_dict(), allow_nan=False))
    (section,) = plain["sections"]
    assert section["columns"] == list(SECTION.columns)
    assert section["rows"][0][1] == {
        "value": 0.5, "low": -0.25, "high": 0.75, "standard_error": 0.25,
    }  # fmt: skip
    assert section["rows"][0][3:] == [1234, 0.00004]
    assert section["rows"][1] == ["two <b>", 0.25, None, 0, None]
    assert "figure" not in section
    assert context_and_report[1].section("made_up") is SECTION


def test_the_page_shows_it_escaped_with_figure_and_intervals(context_and_report):
    page = render_html(context_and_report[1])
    assert '<svg class="made-up">' in page
    assert "A &lt;made-up&gt; [topic]" in page
    assert "two &lt;b&gt;" in page
    assert "<td>.500 <small>[−.250, .750]</small></td>" in page
    assert "<td>+.500 <small>[−.250, +.750]</small></td>" in page
    assert "1,234" in page
    assert "<td>&lt; .001</td>" in page
    assert SECTION.note in page


def test_the_terminal_shows_it_and_takes_no_word_for_markup(context_and_report):
    text = StringIO()
    show(context_and_report[1], Console(file=text, width=140))
    for piece in ("A <made-up> [topic]", "[red]one[/red]", "+.500", "[−.250, +.750]", "< .001"):
        assert piece in text.getvalue()
    assert "n = 30 [patients]" in text.getvalue()


def test_numbers_are_written_as_tables_write_them():
    assert cell_text(None) == ("–", "")
    assert cell_text(float("nan")) == ("–", "")
    assert cell_text(0.0) == (".000", "")
    nothing = replace(HALF, value=0.00015)
    assert cell_text(nothing, sign=True) == (".000", "[−.250, +.750]")
    assert cell_text(replace(nothing, low=0.0001, high=0.0002))[0] == "0.00015"
    assert cell_text(-12345.6) == ("−1.23e+04", "")
    assert cell_text(replace(HALF, low=None, high=None)) == (".500", "[no interval]")


def test_a_row_that_does_not_fit_its_columns_is_our_error():
    with pytest.raises(AssertionError, match="made_up"):
        replace(SECTION, rows=(("one",),))


def test_p_values_beyond_three_decimals_are_written_as_small():
    section = Section(
        key="tests", title="", note="", columns=("features", "loss", "p", "p, Holm"),
        rows=(("a", 1e-9, 1e-9, 0.04), ("b", 0.25, 0.00051, None)),
    )  # fmt: skip
    (first, second) = written(section)
    assert first == [("a", ""), ("1e−09", ""), ("< .001", ""), (".040", "")]
    assert second[2:] == [("< .001", ""), ("–", "")]
    written_as = {1.0: "1.000", 0.05: ".050", 0.00149: ".001", 0.001: ".001", 0.000999: "< .001",
                  1.86e-21: "< .001", 0.0: "< .001", None: "–"}  # fmt: skip
    assert {value: p_text(value) for value in written_as} == written_as
    assert p_text(float("nan")) == "–"


@pytest.mark.parametrize("width", [40, 80])
def test_no_number_is_cut_on_a_narrow_terminal(width):
    """Of 1.75e-05 a cut column would show 1.7…, which is another number."""
    columns = tuple(f"column {number}" for number in range(7))
    section = Section(
        key="k", title="t", note="n", columns=columns, rows=(("1234567890123",) * len(columns),)
    )
    text = StringIO()
    Console(file=text, width=width).print(section_table(section))
    assert "…" not in text.getvalue()
    # Folded, not cut: every digit of every column is there (0 stands in a header, too).
    for digit, times in (("7", 7), ("9", 7), ("0", 8)):
        assert text.getvalue().count(digit) == times
