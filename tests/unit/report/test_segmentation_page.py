import csv
import io
import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from rich.console import Console
from segmentation_parts import part

from medjepa.evaluation.dice import structures_of
from medjepa.evaluation.segmentation_planes import Plane, planes_of
from medjepa.evaluation.segmentation_report import ShownCase, build_report
from medjepa.evaluation.verdict import share
from medjepa.report import segmentation_terminal
from medjepa.report.segmentation_page import write_study
from medjepa.report.segmentation_pictures import picture

NASTY = "<script>alert('x')</script>"
MASKS = arrays.arrays(bool, st.tuples(st.integers(1, 7), st.integers(1, 7)))


def dices(num, mean, seed):
    return np.clip(np.random.default_rng(seed).normal(mean, 0.06, (num, 2)), 0, 1)


@pytest.fixture(scope="module")
def report():
    parts = [
        part(
            method,
            dices(25, mean - 0.1 * (1 - fraction), 1),
            fraction=fraction,
            seed=seed,
            names=("head", NASTY),
        )
        for fraction in (1.0, 0.1)
        for seed in (0, 1)
        for method, mean in (("pretrained", 0.85), ("scratch", 0.8), ("frozen_linear", 0.6))
    ]
    return build_report(
        parts,
        structures_of(["head", NASTY]),
        split="column “fold” of the table",
        budget="50 steps",
        num_resamples=200,
    )


@pytest.fixture(scope="module")
def shown(report):
    plane = Plane(
        axis=0,
        place=3,
        image=np.zeros((6, 5), np.uint8),
        truth=np.eye(6, 5, dtype=np.uint8),
        prediction=np.eye(6, 5, k=1, dtype=np.uint8) * 2,
        spacing=(2.0, 1.0),
    )
    return [ShownCase(rank="worst", case=report.parts[0].cases[0], planes=(plane,))]


def test_the_page_is_one_file_that_fetches_nothing_and_holds_every_row(report, shown, tmp_path):
    written = write_study(report, shown, tmp_path)
    page = written.page.read_text(encoding="utf-8")
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "<script" not in page
    assert "nan" not in re.sub(r"base64,[^\"]*", "", page).lower()
    for row in report.rows:
        assert row.title in page
        assert share(row.foreground.scores["dice"].value) in page
    assert "head" in page
    assert NASTY not in page
    assert "spread between 2 seeds" in page
    assert report.verdict.sentence.split(": ", 1)[1] in page
    assert "pictures of 1 patient:" in page


def test_the_numbers_and_the_cases_hold_everything_and_nobody_s_name(report, shown, tmp_path):
    written = write_study(report, shown, tmp_path)
    numbers = json.loads(written.numbers.read_text(encoding="utf-8"))
    assert len(numbers["rows"]) == 6
    assert numbers["rows"][0]["seed_spread"] == report.rows[0].seed_spread
    rows = list(csv.DictReader(written.cases.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 12 * 25 * 2
    scores = [
        float(row["dice"])
        for row in rows
        if (row["method"], row["labels"], row["seed"]) == ("scratch", "1.0", "0")
    ]
    assert np.mean(scores) == pytest.approx(
        np.mean([[s.dice for s in c.structures] for c in report.parts[1].cases]), abs=1e-5
    )
    assert set(rows[0]) >= {"case", "patient", "structure", "hd95", "mean_distance"}


@pytest.mark.parametrize("width", [60, 100, 200])
def test_the_terminal_shows_sentence_and_table_at_any_width(report, width):
    console = Console(file=io.StringIO(), width=width, legacy_windows=False)
    segmentation_terminal.show(report, console)
    text = " ".join(console.file.getvalue().split())
    assert report.verdict.headline in text
    assert max(len(line) for line in console.file.getvalue().splitlines()) <= width


@given(MASKS)
def test_the_drawn_area_and_line_are_those_of_the_mask(mask):
    plane = Plane(
        axis=-1,
        place=0,
        image=np.zeros(mask.shape, np.uint8),
        truth=mask.astype(np.uint8),
        prediction=mask.astype(np.uint8),
        spacing=(1.0, 1.0),
    )
    drawn = str(picture(plane, [(1,)], "title"))
    area = [int(n) for n in re.findall(r"h(\d+)v1h-", drawn)]
    assert sum(area) == mask.sum()
    line = re.search(r'd="((?:M\d+ \d+[hv]\d+)*)" class="found', drawn)
    sides = sum(int(n) for n in re.findall(r"[hv](\d+)", line[1])) if line else 0
    padded = np.pad(mask, 1).astype(int)
    assert sides == np.abs(np.diff(padded, axis=0)).sum() + np.abs(np.diff(padded, axis=1)).sum()


@given(st.integers(0, 3))
def test_planes_go_through_the_structures_and_only_they_are_read(seed):
    rng = np.random.default_rng(seed)
    image = rng.random((1, 40, 50, 60)).astype(np.float32)
    truth = np.zeros((40, 50, 60), np.uint8)
    corner = rng.integers(0, 30, 3)
    truth[tuple(slice(c, c + 5) for c in corner)] = 1
    read_voxels = []

    def read(start, shape):
        read_voxels.append(int(np.prod(shape)))
        assert all(
            s >= 0 and s + n <= whole for s, n, whole in zip(start, shape, truth.shape, strict=True)
        )
        return image[(slice(None), *(slice(s, s + n) for s, n in zip(start, shape, strict=True)))]

    planes = planes_of(read, truth, np.zeros_like(truth), (3.0, 1.0, 2.0))
    assert [plane.axis for plane in planes] == [0, 1, 2]
    assert all(plane.truth.sum() == 25 for plane in planes)
    assert max(read_voxels) <= 40 * 40
    assert planes[1].spacing == (3.0, 2.0)
    turned = planes_of(read, truth, np.zeros_like(truth), (3.0, 1.0, 2.0), turned=True)
    assert np.array_equal(turned[0].image, planes[0].image[::-1, ::-1])


def test_a_2_d_image_has_one_plane():
    image = np.random.default_rng(0).random((3, 30, 40)).astype(np.float32)
    truth = np.zeros((30, 40), np.uint8)
    (plane,) = planes_of(
        lambda start, shape: image[
            (slice(None), *(slice(s, s + n) for s, n in zip(start, shape, strict=True)))
        ],
        truth,
        truth,
        (1.0, 1.0),
    )
    assert plane.image.shape == (30, 40)


@pytest.mark.parametrize("value", [np.nan, 0.0, 1.0])
def test_a_study_without_a_number_or_without_a_difference_has_a_page_too(value, tmp_path):
    parts = [
        part(method, np.full((25, 2), value), fraction=fraction)
        for method in ("pretrained", "scratch", "unet")
        for fraction in (0.1, 1.0)
    ]
    report = build_report(
        parts, structures_of(["s0", "s1"]), split="fold", budget="1 step", num_resamples=50
    )
    written = write_study(report, [], tmp_path)
    page = written.page.read_text(encoding="utf-8")
    assert "nan" not in page.lower()
    assert report.verdict.outcome == ("cannot tell" if np.isnan(value) else "did not help")
    json.loads(written.numbers.read_text(encoding="utf-8"))
    segmentation_terminal.show(report, Console(file=io.StringIO(), width=80))
