"""Tables and verdicts of detectors, from planted boxes."""

from dataclasses import replace

import numpy as np
import pytest

from medjepa.errors import DataError
from medjepa.evaluation.detection_metrics import average_precision, froc, match
from medjepa.evaluation.detection_results import AP_50, MEAN_AP, CaseBoxes, DetectionPart
from medjepa.evaluation.detection_study import decide, image_boxes, tabulate


def a_case(number, shift, *, miss=0.0, patients=40):
    """Two true boxes of two classes, found `shift` pixels to the right, some not at all."""
    rng = np.random.default_rng(number)
    low = rng.uniform(0, 50, (2, 2))
    truth = np.concatenate([low, low + rng.uniform(15, 25, (2, 2))], 1)
    found = truth + np.array([shift, 0.0, shift, 0.0])
    kept = [k for k in range(2) if rng.random() >= miss]
    return CaseBoxes(
        case=number, patient=number % patients,
        truth=tuple(map(tuple, truth.tolist())), truth_labels=(0, 1),
        found=tuple(tuple(found[k].tolist()) for k in kept), found_labels=tuple(kept),
        scores=tuple(rng.uniform(0.5, 1, len(kept)).tolist()),
    )  # fmt: skip


def a_part(method, seed, shift, *, fold="0", cases=range(60), **more):
    return DetectionPart(
        method=method, fraction=1.0, fold=fold, seed=seed, num_labels=9, num_parameters=7,
        num_steps=5, seconds=1.0, cases=tuple(a_case(n, shift, **more) for n in cases),
    )  # fmt: skip


def study(ours, scratch, **more):
    """Shifts of each seed; the smaller the better."""
    parts = [a_part("pretrained", seed, shift, **more) for seed, shift in enumerate(ours)]
    parts += [a_part("scratch", seed, shift, **more) for seed, shift in enumerate(scratch)]
    return (parts, *tabulate(parts, ("a", "b"), num_resamples=200, seed=0))


def by_hand(part):
    """Mean over classes of the mean over overlaps, and at overlap .5."""
    images = [image_boxes(case) for case in part.cases]
    levels = np.stack([average_precision(match(images, label))[0] for label in (0, 1)])
    return levels.mean(), levels[:, 0].mean()


def test_rows_and_differences_are_means_over_seeds():
    parts, rows, comparisons = study((1.0, 2.0), (4.0, 6.0), miss=0.2)
    ours, scratch = rows
    for row, own in ((ours, parts[:2]), (scratch, parts[2:])):
        whole, half = np.mean([by_hand(part) for part in own], axis=0)
        assert row.scores[MEAN_AP].value == pytest.approx(whole)
        assert row.scores[AP_50].value == pytest.approx(half)
        assert [one.value for one in row.per_seed] == pytest.approx(
            [by_hand(part)[0] for part in own]
        )
        found = [[image_boxes(case) for case in part.cases] for part in own]
        rates = np.mean([froc([match(one, 0), match(one, 1)])[0] for one in found], axis=0)
        assert [one.value for one in row.sensitivities] == pytest.approx(rates)
    assert [one.num_truth for one in ours.classes] == [60, 60]
    for one in comparisons:
        lead = ours.scores[one.metric].value - scratch.scores[one.metric].value
        assert one.difference.value == pytest.approx(lead)
        assert lead > 0
    # The same boxes are missed by both: paired, the difference is known far better than either.
    _, (ours, _), (gain, _) = study((1.0,), (2.0,), miss=0.4)
    assert gain.metric == MEAN_AP
    assert gain.difference.standard_error < 0.5 * ours.scores[MEAN_AP].standard_error


def test_folds_are_one_test_and_images_of_a_patient_are_drawn_together():
    whole = a_part("pretrained", 0, 3.0, miss=0.3)
    halves = [a_part("pretrained", 0, 3.0, miss=0.3, fold=f, cases=c)
              for f, c in (("1", range(30, 60)), ("0", range(30)))]  # fmt: skip
    (one,), _ = tabulate([whole], ("a", "b"), num_resamples=50, seed=0)
    (two,), _ = tabulate(halves, ("a", "b"), num_resamples=50, seed=0)
    assert one.scores == two.scores
    # Four images of a patient, all missed or none.
    cases = [replace(a_case(n // 4, 0.0, miss=0.5), case=n, patient=n // 4) for n in range(80)]
    by_patient = replace(whole, cases=tuple(cases))
    apart = replace(whole, cases=tuple(replace(case, patient=case.case) for case in cases))
    errors = [
        tabulate([part], ("a", "b"), num_resamples=300, seed=0)[0][0].scores[AP_50].standard_error
        for part in (by_patient, apart)
    ]
    assert errors[0] > 1.5 * errors[1]  # twice, were all else alike


def test_networks_that_saw_other_images_are_not_compared():
    parts = [a_part("pretrained", 0, 1.0), a_part("scratch", 0, 1.0, cases=range(1, 61))]
    with pytest.raises(DataError, match="other images"):
        tabulate(parts, ("a", "b"), num_resamples=5, seed=0)


@pytest.mark.parametrize(
    ("ours", "scratch", "num_patients", "outcome"),
    [
        ((1.0, 1.0), (5.0, 5.0), 40, "helped"),
        ((5.0, 5.0), (1.0, 1.0), 40, "did not help"),
        ((1.0, 1.0), (1.0, 1.0), 40, "did not help"),  # a gain that matters is ruled out
        ((1.0, 1.0), (5.0, 5.0), 19, "cannot tell"),  # few patients
        ((0.0, 4.0), (7.0, 3.0), 40, "cannot tell"),  # one seed points the other way
    ],
)
def test_the_verdict_needs_patients_and_seeds(ours, scratch, num_patients, outcome):
    _, rows, comparisons = study(ours, scratch, patients=num_patients)
    found = decide(rows, comparisons, 1.0, num_patients=num_patients, patients_known=True)
    assert found.outcome == outcome
    assert f"{num_patients} patients" in found.sentence
    alone = decide(rows[:1], [], 1.0, num_patients=num_patients, patients_known=True)
    assert alone.outcome == "cannot tell"
