import dataclasses
import json
import math

import numpy as np
import pytest
from segmentation_parts import part

from medjepa.errors import DataError
from medjepa.evaluation.dice import structures_of
from medjepa.evaluation.segmentation_report import build_report
from medjepa.evaluation.segmentation_study import compare, gather, rows, score_case
from medjepa.evaluation.segmentation_verdict import decide


def dices(num, *, mean=0.8, seed=0):
    return np.clip(np.random.default_rng(seed).normal(mean, 0.05, (num, 2)), 0, 1)


def verdict(ours, scratch, **others):
    parts = [part("pretrained", ours), part("scratch", scratch)]
    parts += [part(name, values) for name, values in others.items()]
    study = gather(parts, num_resamples=300)
    return decide(rows(study), compare(study), 1.0, num_patients=len(ours))


def difference(study, structure="foreground", metric="dice"):
    return next(c for c in compare(study) if (c.structure, c.metric) == (structure, metric))


def test_the_table_holds_plain_means_over_patients_and_their_quartiles():
    values = dices(30)
    (row,) = rows(gather([part("pretrained", values)]))
    assert row.foreground.scores["dice"].value == pytest.approx(values.mean(1).mean())
    assert row.structures[1].scores["dice"].value == pytest.approx(values[:, 1].mean())
    assert row.structures[1].quartiles["dice"] == pytest.approx(
        np.quantile(values[:, 1], (0, 0.25, 0.5, 0.75, 1))
    )
    assert row.patients == pytest.approx(values.mean(1))
    low, high = row.foreground.scores["dice"].low, row.foreground.scores["dice"].high
    error = values.mean(1).std() / math.sqrt(30)
    assert (high - low) / (2 * 1.96 * error) == pytest.approx(1, abs=0.1)


def test_intervals_hold_the_true_mean_about_as_often_as_they_say():
    found = [
        rows(gather([part("pretrained", dices(20, seed=s))], num_resamples=500))[0].structures[0]
        for s in range(150)
    ]
    hits = np.mean([one.scores["dice"].low <= 0.8 <= one.scores["dice"].high for one in found])
    assert 0.9 <= hits <= 0.995  # 95 % of 150 studies, give or take three standard errors


def test_a_structure_that_is_nowhere_is_not_counted_and_said():
    values = [[0.9, math.nan], [0.7, 0.5], [0.8, math.nan], [0.6, 0.7]]
    parts = part("pretrained", values)
    cases = list(parts.cases)
    for index in (0, 2):
        empty = dataclasses.replace(cases[index].structures[1], num_truth=0, num_predicted=0)
        cases[index] = dataclasses.replace(
            cases[index], structures=(cases[index].structures[0], empty)
        )
    (row,) = rows(gather([dataclasses.replace(parts, cases=tuple(cases))]))
    assert (row.structures[1].num_patients, row.structures[1].num_empty) == (2, 2)
    assert row.structures[1].scores["dice"].value == pytest.approx(0.6)
    assert row.foreground.scores["dice"].value == pytest.approx(np.mean([0.9, 0.6, 0.8, 0.65]))


def test_a_patient_counts_once_however_many_scans_there_are():
    values = [[0.9, 0.9], [0.7, 0.7], [0.2, 0.2]]
    (row,) = rows(gather([part("pretrained", values, patients=[5, 5, 9])]))
    assert row.foreground.scores["dice"].value == pytest.approx((0.8 + 0.2) / 2)
    assert row.foreground.num_patients == 2


def test_differences_are_paired_over_the_same_resamples():
    values = dices(40)
    study = gather([part("pretrained", values), part("scratch", values - 0.03)])
    gain = difference(study).difference
    assert (gain.value, gain.low, gain.high) == pytest.approx((0.03, 0.03, 0.03))
    assert difference(study, "s1", "hd95").difference.value == pytest.approx(-0.3)


def test_a_difference_needs_both_and_counts_them():
    ours, scratch = dices(25), dices(25, seed=1)
    ours[:5, 0], scratch[3:9, 0] = math.nan, math.nan
    one = difference(gather([part("pretrained", ours), part("scratch", scratch)]), "s0")
    assert one.num_patients == 16
    assert one.difference.value == pytest.approx((ours - scratch)[9:, 0].mean())


def test_folds_are_pooled_and_their_order_does_not_matter():
    values = dices(40)
    folds = [
        part("pretrained", values[i * 8 : i * 8 + 8], fold=str(i), first_case=8 * i)
        for i in range(5)
    ]
    pooled = rows(gather(folds[::-1]))[0]
    whole = rows(gather([part("pretrained", values)]))[0]
    assert pooled.foreground == whole.foreground
    assert len(pooled.num_labels) == 5


def test_a_patient_in_two_folds_and_rows_of_different_patients_are_refused():
    values = dices(8)
    with pytest.raises(DataError, match="tested in the folds"):
        gather([part("pretrained", values, fold="0"), part("pretrained", values, fold="1")])
    with pytest.raises(DataError, match="same patients"):
        gather([part("pretrained", values), part("scratch", values, first_case=2)])


def test_seeds_are_averaged_and_their_spread_is_apart_from_the_interval():
    values = dices(30)
    seeds = [part("pretrained", values + shift, seed=s) for s, shift in ((3, 0.0), (4, 0.1))]
    once, (both,) = rows(gather(seeds[:1]))[0], rows(gather(seeds))
    assert both.seeds == (3, 4)
    assert both.seed_spread == pytest.approx(0.1 / math.sqrt(2))
    assert once.seed_spread is None
    width = [
        r.foreground.scores["dice"].high - r.foreground.scores["dice"].low for r in (once, both)
    ]
    assert width[1] == pytest.approx(width[0])


@pytest.mark.parametrize(
    ("gain", "noise", "outcome"),
    [
        (0.03, 0.01, "helped"),
        (0.0, 0.005, "did not help"),
        (-0.03, 0.01, "did not help"),
        (0.01, 0.1, "cannot tell"),
    ],
)
def test_the_verdict_follows_its_rule(gain, noise, outcome):
    scratch = dices(60, mean=0.6)
    shift = gain + np.random.default_rng(1).normal(0, noise, (60, 1))
    found = verdict(scratch + shift - shift.mean() + gain, scratch)
    assert found.outcome == outcome
    assert "60 patients" in found.sentence
    assert f"{abs(gain):.3f}"[1:] in found.sentence


@pytest.mark.parametrize(
    ("gains", "outcome"),
    [
        ((0.05, 0.03), "helped"),
        ((0.08, -0.02), "cannot tell"),
        ((-0.05, -0.03), "did not help"),
        ((-0.05, 0.02), "cannot tell"),
    ],
)
def test_seeds_that_disagree_decide_nothing(gains, outcome):
    scratch = dices(60, mean=0.6)
    parts = [part("scratch", scratch, seed=seed) for seed in (0, 1)]
    parts += [part("pretrained", scratch + gain, seed=seed) for seed, gain in enumerate(gains)]
    study = gather(parts, num_resamples=200)
    found = decide(rows(study), compare(study), 1.0, num_patients=60)
    assert found.outcome == outcome
    assert ("the seeds disagree" in found.sentence) == (outcome == "cannot tell")


def test_with_few_patients_nothing_is_decided():
    values = dices(19)
    found = verdict(values + 0.1, values)
    assert found.outcome == "cannot tell"
    assert found.detectable is None
    beside = verdict(values + 0.1, values, unet=values - 0.3)
    assert "is not ranked against MONAI's U-Net" in beside.baseline


def test_the_peer_is_named_with_its_distance():
    values = dices(60, mean=0.7)
    found = verdict(values + 0.05, values, unet=values + 0.053, frozen_linear=values - 0.3)
    assert "is worse than (by less than .010) MONAI's U-Net" in found.baseline
    assert "is better than the frozen encoder with a linear decoder" in found.baseline


def test_without_both_rows_there_is_no_answer():
    study = gather([part("pretrained", dices(30))])
    found = decide(rows(study), compare(study), 1.0, num_patients=30)
    assert found.outcome == "cannot tell"
    assert "from scratch” was not run" in found.sentence


def test_scoring_a_case_agrees_with_what_was_drawn():
    truth, prediction = np.zeros((6, 7, 8), np.uint8), np.zeros((6, 7, 8), np.uint8)
    truth[1:4, 1:4, 1:4], prediction[1:4, 1:4, 2:5] = 1, 1
    truth[5, 5, 5] = 2
    case = score_case(
        truth, prediction, structures_of(["a", "b", "c"]), (1.0, 1.0, 2.0), case=3, patient=4
    )
    a, b, c = case.structures
    assert (a.dice, a.iou, a.hd95) == pytest.approx((2 / 3, 1 / 2, 2.0))
    assert (b.dice, b.num_truth, b.num_predicted) == (0, 1, 0)
    assert math.isnan(c.dice)
    assert math.isnan(c.hd95)
    json.dumps(dataclasses.asdict(case))


def test_who_was_tested_is_said_as_it_is_known():
    parts = [part("pretrained", dices(30)), part("scratch", dices(30, seed=1))]
    for known, who in (
        (True, "on 30 patients ("),
        (False, "on 30 cases, each file taken as its own"),
    ):
        report = build_report(
            parts,
            structures_of(["s0", "s1"]),
            split="fold",
            budget="50 steps",
            patients_known=known,
            num_resamples=50,
        )
        assert who in report.verdict.sentence


def test_a_network_that_finds_nothing_is_named_and_one_seed_is_said():
    done = part("pretrained", dices(30))
    lost = part("scratch", np.zeros((30, 2)))
    cases = tuple(
        dataclasses.replace(
            case,
            structures=(
                case.structures[0],
                dataclasses.replace(case.structures[1], num_predicted=0),
            ),
        )
        for case in lost.cases
    )
    report = build_report(
        [done, dataclasses.replace(lost, cases=cases)],
        structures_of(["s0", "s1"]),
        split="fold",
        budget="50 steps",
        num_resamples=50,
    )
    assert report.warnings[0].startswith("One seed")
    assert "from scratch” with 100 % of the labels finds nothing of s1" in report.warnings[1]
    assert len(report.warnings) == 2
