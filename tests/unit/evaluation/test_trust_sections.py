"""What the tables of calibration say of studies whose answer is known."""

import numpy as np
import pytest
from scipy.stats import betabinom, binomtest

from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.calibration_sections import calibration_sections
from medjepa.evaluation.context import Context
from medjepa.evaluation.protocol import Features
from medjepa.evaluation.resamples import Resamples
from medjepa.evaluation.results import MAJORITY, PRETRAINED, TITLES, UNTRAINED
from medjepa.evaluation.task import Task


@pytest.fixture(autouse=True)
def _few_settings(monkeypatch):
    monkeypatch.setattr("medjepa.evaluation.label_efficiency.COARSE_GRID", (1e-2, 1.0))


def context(*, num_patients=240, images=2, num_classes=2, strength=2.0):
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(num_patients), images)
    target = (np.arange(num_patients) % num_classes)[group].astype(np.int64)
    task = Task(
        label="finding",
        target=target,
        class_names=tuple("abcd"[:num_classes]),
        groups=tuple(f"p{g}" for g in group),
        train=np.flatnonzero(group % 2 == group // 2 % 2),
        test=np.flatnonzero(group % 2 != group // 2 % 2),
    )
    signal = np.eye(num_classes, 4)[target]
    noise = rng.normal(size=(2, len(target), 4))
    features = (
        Features(key=PRETRAINED, arrays=(strength * signal + noise[0],), seeds=(0,)),
        Features(key=UNTRAINED, arrays=(noise[1],), seeds=(0,)),
    )
    return Context(
        features=features,
        measured=(),
        comparisons=(),
        tasks=(task,),
        resamples=Resamples.draw([task], num_resamples=200, seed=0),
        num_resamples=200,
    )


def column(section, name):
    place = section.columns.index(name)
    return {row[0]: row[place] for row in section.rows}


@pytest.mark.parametrize("num_classes", [2, 3])
def test_every_number_has_its_interval_and_its_baselines(num_classes):
    found = {one.key: one for one in calibration_sections(context(num_classes=num_classes))}
    assert set(found) == {"calibration", "reliability", "risk_coverage", "conformal"}
    ece = column(found["calibration"], "ECE, equal mass")
    assert [name.removesuffix(", as fitted") for name in ece][::2] == [
        TITLES[key] for key in (PRETRAINED, UNTRAINED, MAJORITY)
    ]
    for value in ece.values():
        assert isinstance(value, Estimate)
        assert value.low is not None
        assert value.low <= value.high
    assert "240 images of 120 patients tested" in found["calibration"].note
    curve = found["reliability"]
    assert sum(row[-1] for row in curve.rows if row[0] == "as fitted") == 240


def test_features_that_know_the_label_err_less_and_need_smaller_sets():
    found = {one.key: one for one in calibration_sections(context(strength=3.0))}
    ours, theirs = TITLES[PRETRAINED], TITLES[UNTRAINED]
    area = column(found["risk_coverage"], "AURC")
    assert area[ours].high < area[theirs].low
    rows = {(row[0], row[1]): row for row in found["conformal"].rows}
    for kind in ("LAC", "APS"):
        assert rows[ours, kind][3].value < rows[theirs, kind][3].value
        # One threshold from 24 patients: its coverage follows a beta distribution, what 120
        # patients show of it a beta-binomial one. (On average over studies: test_conformal.)
        low, high = betabinom(120, 23, 2).ppf([5e-4, 1 - 5e-4]) / 120
        for title in (ours, theirs):
            assert low <= rows[title, kind][2].value <= high
    assert "of 24 training patients" in found["conformal"].note
    assert "between 79 % and 99 %" in found["conformal"].note


def test_a_bin_in_which_nothing_came_true_has_an_interval_all_the_same():
    found = {one.key: one for one in calibration_sections(context(strength=6.0))}
    alike = [row for row in found["reliability"].rows if row[4].value in (0, 1)]
    assert alike
    for _, _, _, _, observed, num_images in alike:
        num_patients = num_images / 2  # two images each; a bin may cut through a patient
        exact = binomtest(0, round(num_patients)).proportion_ci(0.95).high
        least = binomtest(0, num_images).proportion_ci(0.95).high
        assert least - 1e-9 <= observed.high - observed.low <= exact + 1e-9
    assert "Clopper-Pearson" in found["reliability"].note
