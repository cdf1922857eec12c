"""Intervals and tests where the truth is known: simulated studies of 100 patients and more.

    python benchmarks/known_answers.py [studies]

For each kind of study: how often the 95 % intervals of an AUC (percentile bootstrap over patients,
1,000 resamples; DeLong, clustered where a patient has several images) hold the true area, how often
those of a difference of two equally good scores hold zero, and how often the paired test calls them
different at 5 %. Half of a score's variance is shared with the other score of the same image; with
several images a patient, 60 % belongs to the patient. With 2,000 studies a share of .95 is known to
about .01 (two standard errors). Exit status 1 if an interval holds the truth in less than 93 % or
more than 97 %. Measured (2,000 studies each, 157 s of one core):

    patients  images  positive  true AUC   AUC             difference      test
                                           boot.  DeLong   boot.  DeLong   rejects
    100       1       .5        .70        .939   .946     .957   .959     .042
    100       1       .5        .90        .931   .946     .943   .959     .041
    200       1       .2        .80        .951   .958     .938   .947     .053
    100       3       .5        .80        .948   .954     .943   .947     .053
"""

import sys
import time

import numpy as np
from scipy.stats import norm

from medjepa.evaluation.bootstrap import PatientBootstrap, estimate
from medjepa.evaluation.delong import area_estimate, delong, difference_estimate, two_sided
from medjepa.evaluation.metrics import macro_auc

STUDIES = (
    # patients, images of each, share of positives, true AUC
    (100, 1, 0.5, 0.70),
    (100, 1, 0.5, 0.90),
    (200, 1, 0.2, 0.80),
    (100, 3, 0.5, 0.80),
)
NAMES = ("AUC, bootstrap", "AUC, DeLong", "difference, bootstrap", "difference, DeLong")


def draw(
    num_patients: int, images: int, share: float, truth: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels (N,), patients (N,) and two scores (2, N) of equal truth, from one study."""
    patient = np.repeat(np.arange(num_patients), images)
    label = (np.arange(num_patients) < round(share * num_patients))[patient].astype(np.int64)
    effect = rng.normal(size=(3, num_patients))[:, patient]
    alone = rng.normal(size=(3, len(patient)))
    noise = alone if images == 1 else np.sqrt(0.6) * effect + np.sqrt(0.4) * alone
    separation = np.sqrt(2) * norm.ppf(truth)
    return label, patient, separation * label + (noise[:2] + noise[2]) / np.sqrt(2)


def examine(study: tuple[int, int, float, float], num_studies: int) -> tuple[np.ndarray, float]:
    """Shares of intervals that hold the truth (4,), and of tests that reject it."""
    truth = study[3]
    hits, rejected = np.zeros(4), 0
    for seed in range(num_studies):
        label, patient, scores = draw(*study, np.random.default_rng((*map(int, study[:2]), seed)))
        two = [np.stack([-score, score], axis=1) for score in scores]
        values = [float(macro_auc(label, one)[0]) for one in two]
        bootstrap = PatientBootstrap.draw(label, [str(p) for p in patient], seed=seed)
        samples = [bootstrap.samples("auc", label, one) for one in two]
        areas, covariance = delong(label == 1, scores, patient)
        lead = np.array([1.0, -1.0])
        paired = difference_estimate(float(lead @ areas), float(lead @ covariance @ lead))
        found = (
            (estimate(values[0], samples[0]), truth),
            (area_estimate(float(areas[0]), float(covariance[0, 0])), truth),
            (estimate(values[0] - values[1], samples[0] - samples[1]), 0.0),
            (paired, 0.0),
        )
        for place, (one, expected) in enumerate(found):
            hits[place] += one.low is not None and bool(one.low <= expected <= one.high)
        p = two_sided(paired)
        rejected += p is not None and p < 0.05
    return hits / num_studies, rejected / num_studies


def main(num_studies: int) -> int:
    """Print a line for each kind of study; 1 if an interval promises what it does not hold."""
    start = time.process_time()
    print("patients  images  positive  true AUC  " + "  ".join(NAMES) + "  test rejects")
    outside = False
    for study in STUDIES:
        shares, rejected = examine(study, num_studies)
        outside |= bool((shares < 0.93).any() or (shares > 0.97).any())
        cells = "  ".join(
            f"{value:>{len(name)}.3f}" for name, value in zip(NAMES, shares, strict=True)
        )
        print(f"{study[0]:8d}  {study[1]:6d}  {study[2]:8.2f}  {study[3]:8.2f}  {cells}  "
              f"{rejected:12.3f}", flush=True)  # fmt: skip
    print(f"{num_studies} studies each, {time.process_time() - start:.0f} s of one core")
    return int(outside)


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000))
