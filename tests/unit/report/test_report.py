import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from medjepa.evaluation.assess import assess
from medjepa.evaluation.protocol import Features, Task
from medjepa.evaluation.results import (
    GRADIENTS,
    PIXELS,
    PRETRAINED,
    UNTRAINED,
    Check,
    EmbeddingMap,
    LossCurve,
)
from medjepa.report.figures import NUM_COLOURS, map_figure
from medjepa.report.html import render_html
from medjepa.report.svg import ticks
from medjepa.report.terminal import show
from medjepa.report.write import write_report

NASTY = "<script>alert('x')</script>"


@pytest.fixture(scope="module")
def report():
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(60), 2)
    target = (group % 2).astype(np.int64)
    task = Task(
        label=NASTY,
        target=target,
        class_names=("normal", NASTY),
        groups=tuple(f"Jane Doe {g}" for g in group),
        train=np.flatnonzero(group < 40),
        test=np.flatnonzero(group >= 40),
    )
    noise = [rng.normal(size=(120, 4)) for _ in range(6)]
    signal = np.eye(2, 4)[target]
    methods = [
        Features(key=PRETRAINED, arrays=(noise[0] + signal, noise[1] + signal), seeds=(0, 1)),
        Features(key=UNTRAINED, arrays=(noise[2], noise[3]), seeds=(0, 1)),
        Features(key=PIXELS, arrays=(noise[4],)),
        Features(key=GRADIENTS, arrays=(noise[5],)),
    ]
    curve = LossCurve(
        seed=0,
        step=tuple(range(1, 1001)),
        total_loss=tuple(np.linspace(3, 1, 1000).tolist()),
        prediction_loss=tuple(np.linspace(2, 0.5, 1000).tolist()),
        regularization_loss=tuple(np.linspace(1, 0.5, 1000).tolist()),
    )
    # Every fit goes through the type checker here: fewer of them.
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr("medjepa.evaluation.probes.C_GRID", (0.01, 1.0))
    monkeypatch.setattr("medjepa.evaluation.label_efficiency.COARSE_GRID", (0.01, 1.0))
    found = assess(
        methods,
        task,
        checks=[Check(passed=False, text=f"3 copies of {NASTY}")],
        split="the table's own split",
        fractions=(0.1, 1.0),
        num_draws=2,
        num_resamples=50,
        loss_curves=(curve, replace(curve, seed=1)),
        run={"command": "medjepa evaluate data=/home/jane/secret", "config_hash": "abc"},
    )
    monkeypatch.undo()
    return found


class Elements(HTMLParser):
    """Tags, attributes and visible text of a page; fails on a tag that is closed twice or never."""

    VOID = ("meta", "br", "line", "circle", "path", "polyline", "polygon")

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.text, self.open = [], [], [], []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.text.append(data)


def test_the_page_stands_alone(report):
    page = render_html(report)
    elements = Elements(page)
    assert not {"script", "link", "img", "iframe"} & set(elements.tags)
    assert not [a for a in elements.attributes if a[0] in ("src", "href", "action", "onclick")]
    assert not re.search(r"https?://|url\(|@import", page)
    assert len(page) < 300_000


def test_what_users_named_is_text_and_never_code(report):
    elements = Elements(render_html(report))
    text = "".join(elements.text)
    assert "script" not in elements.tags
    assert text.count(NASTY) >= 4  # label, class in the counts, legend, check


def test_no_patient_and_no_path_is_in_it(report):
    page = render_html(report)
    assert "Jane" not in page
    assert "/home" not in page


def test_the_verdict_comes_first_in_big_type_and_synthetic_data_before_it(report):
    body = "".join(Elements(render_html(report)).text)
    headline, _, numbers = report.verdict.sentence.partition(": ")
    assert body.index(headline + ":") < body.index("Results")
    assert numbers in body
    assert "Synthetic" not in body
    generated = "".join(Elements(render_html(replace(report, synthetic=True))).text)
    assert generated.index("Synthetic data") < generated.index("label “")


def test_every_number_of_the_table_is_there_with_its_interval(report):
    body = "".join(Elements(render_html(report)).text)
    for row in report.methods:
        assert row.title in body
    assert body.count("[") > 4 * len(report.methods)
    assert "spread between 2 seeds" in body
    assert "50 resamples" in body


def test_figures_are_there_and_moderate(report):
    page = render_html(report)
    # intervals, losses, map, label efficiency, reliability
    assert page.count("<svg") == 1 + 3 + 1 + 1 + 1
    assert max(len(figure) for figure in re.findall(r"<svg.*?</svg>", page, re.S)) < 40_000


def test_without_curves_map_and_labels_the_page_still_stands(report):
    bare = replace(report, loss_curves=(), embedding_map=None, label_efficiency=())
    assert render_html(bare).count("<svg") == 2  # intervals, reliability


def test_missing_groups_are_said_in_the_table(report):
    without = replace(report, num_test_patients=None, num_train_patients=None)
    assert "intervals too narrow" in render_html(without)
    output = StringIO()
    show(without, Console(file=output, width=120))
    assert "intervals too narrow" in output.getvalue()


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_terminal_shows_the_same(report, width):
    output = StringIO()
    show(replace(report, synthetic=True), Console(file=output, width=width))
    text = " ".join(output.getvalue().split())
    assert text.startswith("Synthetic data")
    assert report.verdict.headline in text
    assert f"{report.method(PRETRAINED).probe.auc.value:.3f}"[1:] in text
    assert NASTY.split("'")[0] in text


def test_files_are_written_whole(report, tmp_path):
    written = write_report(report, tmp_path / "new" / "report")
    numbers = json.loads(written.numbers.read_text(encoding="utf-8"))
    assert numbers["verdict"]["sentence"] == report.verdict.sentence
    assert written.page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert sorted(p.name for p in written.page.parent.iterdir()) == ["index.html", "results.json"]


def test_many_classes_repeat_colours_but_all_are_named():
    names = [f"class {i}" for i in range(NUM_COLOURS + 3)]
    place = tuple((i / 20, 0.5) for i in range(len(names)))
    figure = map_figure(EmbeddingMap(method="t-SNE", place=place, label=tuple(range(11))), names)
    assert all(name in figure for name in names)
    assert f"c{NUM_COLOURS}" not in figure


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.83, 1), (0, 1234), (-3e-5, 2e-4)])
def test_ticks_are_round_and_inside(low, high):
    found = ticks(low, high)
    assert 2 <= len(found) <= 9
    assert low - 1e-9 <= found[0] < found[-1] <= high * (1 + 1e-9)
    assert ticks(1, 1) == [1]
