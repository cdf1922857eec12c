"""The curve over shots says what the table says."""

import math
import re

import pytest

from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.episodes import CLASSIFIERS
from medjepa.evaluation.few_shot_section import FEW_SHOT
from medjepa.evaluation.results import PRETRAINED, TITLES, UNTRAINED
from medjepa.evaluation.sections import Section
from medjepa.report.few_shot_figure import AREA, few_shot_figure

AREAS = {PRETRAINED: {1: 0.6, 4: 0.75, 16: 0.9}, UNTRAINED: {1: 0.5, 4: 0.5, 16: 0.55}}


def section(low=0.02):
    rows = []
    for key, found in AREAS.items():
        for shots, area in found.items():
            for place, name in enumerate(CLASSIFIERS):
                value = area if place == 0 else 0.99  # of the others nothing is drawn
                ends = (None, None) if low is None else (value - low, min(1.0, value + low))
                one = Estimate(value=value, low=ends[0], high=ends[1], standard_error=None)
                rows.append((shots, TITLES[key], name, one))
    columns = ("shots", "features", "classifier", AREA)
    return Section(key=FEW_SHOT, title="t", note="n", columns=columns, rows=tuple(rows))


@pytest.mark.parametrize("key", [PRETRAINED, UNTRAINED])
def test_each_number_of_shots_is_a_dot_at_its_area_on_a_scale_of_doublings(key):
    drawn = str(few_shot_figure(section()))
    pattern = rf'cx="([\d.]+)" cy="([\d.]+)" r="3.5" class="probe-dot m-{key}"'
    dots = [(float(x), float(y)) for x, y in re.findall(pattern, drawn)]
    assert len(dots) == 3
    (left, _), (middle, _), (right, _) = dots
    assert (middle - left) / (right - left) == pytest.approx(math.log(4) / math.log(16), abs=0.01)
    others = re.findall(r'cy="([\d.]+)" r="3.5" class="probe-dot m-pretrained"', drawn)
    per_area = (float(others[2]) - float(others[0])) / (0.9 - 0.6)
    rise = (dots[2][1] - dots[0][1]) / per_area
    assert rise == pytest.approx(AREAS[key][16] - AREAS[key][1], abs=0.005)
    assert per_area < 0  # the axis points up


def test_intervals_are_drawn_where_there_are_some():
    assert str(few_shot_figure(section())).count('class="whisker') == 6
    assert str(few_shot_figure(section(low=None))).count('class="whisker') == 0
