import numpy as np
import pytest

from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.results import (
    GRADIENTS,
    MAJORITY,
    PIXELS,
    PRETRAINED,
    TITLES,
    UNTRAINED,
    Comparison,
    MethodResult,
    Scores,
)
from medjepa.evaluation.verdict import decide, interval, share


def estimate(value, low=None, high=None):
    error = None if low is None else (high - low) / 3.92
    return Estimate(value=value, low=low, high=high, standard_error=error)


def method(key, value=0.8, seeds=(0,)):
    number = estimate(value, value - 0.02, value + 0.02)
    scores = Scores(
        auc=number, balanced_accuracy=number, accuracy=number, per_seed={"auc": (value,)}
    )
    return MethodResult(
        key=key,
        title=TITLES[key],
        seeds=seeds,
        num_features=8,
        probe=scores,
        knn=scores,
        c=(1.0,),
        chosen_by="",
        converged=True,
    )


def verdict(
    low, high, *, too_small="", seeds=(0,), per_seed=None, pixels=0.957, plain=(-0.02, 0.01)
):
    values = {PRETRAINED: 0.954, UNTRAINED: 0.93, PIXELS: pixels, GRADIENTS: 0.9, MAJORITY: 0.5}
    methods = [method(key, value, seeds) for key, value in values.items()]
    gain = estimate((low + high) / 2, low, high)
    comparisons = [
        Comparison(against=UNTRAINED, difference=gain, per_seed=per_seed or (gain,)),
        *(
            Comparison(against=key, difference=estimate(-0.003, *plain), per_seed=())
            for key in (PIXELS, GRADIENTS, MAJORITY)
        ),
    ]
    return decide(methods, comparisons, num_test=286, num_patients=207, too_small=too_small)


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.001, 0.05, "helped"),
        (-0.05, -0.01, "did not help"),
        (-0.02, 0.0099, "did not help"),
        (-0.001, 0.05, "cannot tell"),
        (0.0, 0.05, "cannot tell"),
    ],
)
def test_the_rule(low, high, outcome):
    assert verdict(low, high).outcome == outcome


def test_the_sentence_says_that_it_is_one_comparison():
    """A table's test, corrected for all of its rows, may say less."""
    for low, high in ((0.001, 0.05), (-0.05, -0.01), (-0.02, 0.0099)):
        because = verdict(low, high).sentence.rpartition("; ")[2]
        assert because.startswith("in this comparison alone, fixed beforehand, ")
    assert "comparison" not in verdict(-0.001, 0.05).sentence


def test_the_sentence_names_what_it_rests_on():
    sentence = verdict(0.01, 0.04).sentence
    for part in (
        "Pre-training helped: ",
        ".954 [.934, .974]",
        ".930",
        "286",
        "207",
        "+.025",
        "seed",
    ):
        assert part in sentence


def test_cannot_tell_names_the_difference_that_could_have_been_found():
    found = verdict(-0.01, 0.03)
    assert found.detectable == pytest.approx(2.8 * 0.04 / 3.92)
    assert share(found.detectable) in found.sentence


def test_a_test_set_that_is_too_small_decides_nothing():
    found = verdict(0.1, 0.2, too_small="4 test patients are too few", plain=(-0.4, -0.2))
    assert found.outcome == "cannot tell"
    assert "cannot be told apart, with so few test patients," in found.baseline
    assert "worse" in verdict(0.1, 0.2, plain=(-0.4, -0.2)).baseline
    assert "4 test patients are too few" in found.sentence


def test_the_distance_to_the_best_plain_baseline_is_told_either_way():
    close = verdict(0.01, 0.04).baseline
    assert "pixels' principal components reach .957" in close
    assert "cannot be told apart" in close
    assert "−.003 [−.020, +.010]" in close
    assert "oriented gradients reach .900" in verdict(0.01, 0.04, pixels=np.nan).baseline


def test_seeds_that_agree_are_counted():
    good, bad = estimate(0.03, 0.01, 0.05), estimate(0.0, -0.02, 0.02)
    sentence = verdict(0.005, 0.04, seeds=(0, 1, 2), per_seed=(good, bad, good)).sentence
    assert "2 of 3" in sentence


@pytest.mark.parametrize(
    ("value", "sign", "text"),
    [
        (0.9574, False, ".957"),
        (1.0, False, "1.000"),
        (-0.0031, True, "−.003"),
        (0.0031, True, "+.003"),
        (-0.0001, True, ".000"),
        (float("nan"), False, "–"),
        (None, False, "–"),
    ],
)
def test_numbers_are_written_as_in_tables(value, sign, text):
    assert share(value, sign=sign) == text


def test_an_interval_that_does_not_exist_says_so():
    assert interval(estimate(0.5)) == "[no interval]"
