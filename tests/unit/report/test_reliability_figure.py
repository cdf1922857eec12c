"""The reliability curve says what its table says."""

import re
from dataclasses import replace

import pytest

from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.calibration_sections import AS_FITTED, CURVE, TEMPERED
from medjepa.evaluation.sections import Section
from medjepa.report.reliability_figure import STYLES, reliability_figure

COLUMNS = ("Chances", "From", "To", "Predicted", "Observed", "Images")
BINS = [  # low, high, predicted, observed, its interval, images
    (0.0, 0.3, 0.2, 0.1, 0.05, 0.2, 1207),
    (0.3, 0.7, 0.5, 0.5, None, None, 31),
    (0.9995, 0.9995, 0.9995, 1.0, 0.9, 1.0, 8),
]


def section(kinds=(AS_FITTED, TEMPERED)):
    rows = [
        (kind, low, high, predicted, Estimate(value=seen, low=a, high=b, standard_error=None), num)
        for kind in kinds
        for low, high, predicted, seen, a, b, num in BINS
    ]
    return Section(key=CURVE, title="t", note="n", columns=COLUMNS, rows=tuple(rows))


def numbers(pattern, text):
    return [tuple(float(n) for n in found) for found in re.findall(pattern, text)]


@pytest.fixture(scope="module")
def drawn():
    return str(reliability_figure(section()))


@pytest.mark.parametrize("kind", [AS_FITTED, TEMPERED])
def test_each_bin_is_a_dot_at_what_was_predicted_and_what_came_true(drawn, kind):
    style = STYLES[kind]
    dots = numbers(rf'cx="([\d.]+)" cy="([\d.]+)" r="4" class="probe-dot {style}"', drawn)
    ((x1, y1, x2, y2),) = numbers(
        r'x1="([\d.]+)" y1="([\d.]+)" x2="([\d.]+)" y2="([\d.]+)" class="diagonal"', drawn
    )
    assert len(dots) == len(BINS)
    for (x, y), (_, _, predicted, seen, *_rest) in zip(dots, BINS, strict=True):
        assert (x - x1) / (x2 - x1) == pytest.approx(predicted, abs=1e-3)
        assert (y - y1) / (y2 - y1) == pytest.approx(seen, abs=1e-3)


def test_an_interval_is_drawn_where_there_is_one(drawn):
    whiskers = numbers(r'y1="([\d.]+)" x2="[\d.]+" y2="([\d.]+)" class="whisker c0"', drawn)
    assert len(whiskers) == 2
    assert all(low > high for low, high in whiskers)  # the axis points down


def test_below_stand_the_bins_with_their_images(drawn):
    bins = re.findall(r'<polygon points="([^"]+)" class="bin c0"', drawn)
    assert len(bins) == len(BINS)
    widths = []
    for corners in bins:
        xs = [float(point.split(",")[0]) for point in corners.split()]
        widths.append(max(xs) - min(xs))
    assert widths[1] == pytest.approx(widths[0] * 4 / 3, rel=0.01)
    assert widths[2] > 0  # a bin of equal chances can be seen
    assert drawn.count(">1,207<") == 2
    assert ">8<" not in drawn  # no room: the table has it
    assert drawn.count(AS_FITTED) == drawn.count(TEMPERED) == 1


def test_one_kind_of_chances_is_one_curve_and_no_row_is_no_picture():
    one = str(reliability_figure(section((TEMPERED,))))
    assert AS_FITTED not in one
    assert "c1" not in one
    assert reliability_figure(replace(section(), rows=())) == ""
