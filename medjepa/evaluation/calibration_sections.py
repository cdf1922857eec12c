"""Calibration, risk against coverage, and conformal sets, as tables of the report."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from scipy.stats import beta

from medjepa.errors import DataError
from medjepa.evaluation.bootstrap import Estimate, PatientBootstrap
from medjepa.evaluation.calibrated import Calibrated, calibrated, calibration_part, class_shares
from medjepa.evaluation.calibration import (
    EQUAL_MASS,
    EQUAL_WIDTH,
    NUM_BINS,
    area_under_risk,
    bins_of,
    brier,
    calibration_error,
    error_if_calibrated,
    log_loss,
    reliability,
    risk_at,
    top_label,
)
from medjepa.evaluation.conformal import APS, LAC, prediction_sets
from medjepa.evaluation.context import Context
from medjepa.evaluation.folds import group_index
from medjepa.evaluation.metrics import Floats, Integers, macro_auc
from medjepa.evaluation.results import MAJORITY, PRETRAINED, TITLES
from medjepa.evaluation.sections import Cell, Section
from medjepa.evaluation.task import Task
from medjepa.evaluation.weighing import Weighted, bootstrapped, mean_of

ALPHA = 0.1
COVERAGES = (0.5, 0.8, 0.9, 1.0)
CURVE = "reliability"
CURVE_BINS = 10
AS_FITTED, TEMPERED = "as fitted", "with temperature"
"""Chances as the probe gives them, and with the temperature."""

Rows = dict[str, tuple[Calibrated, ...]]


def calibration_sections(context: Context) -> list[Section]:
    """Four tables; none where training patients are too few to hold some out."""
    task = context.tasks[0]
    try:
        parts = calibration_part(task, seed=context.seed)
    except DataError:  # the page says so in its own words: a table of what cannot be known
        return [_none(task)]
    # What is fitted on training images, as pixels' components are, may not know the held-out ones.
    inner = replace(task, train=parts[0])
    rows: Rows = {one.key: calibrated(one.of(inner), task, parts) for one in context.features}
    rows[MAJORITY] = class_shares(task, parts)
    part = context.resamples.parts[0]
    return [
        _calibration(rows, task, part, context.seed),
        _curve(rows[PRETRAINED], task, part),
        _risk(rows, task, part),
        _sets(rows, task, part, context.seed),
    ]


def _none(task: Task) -> Section:
    return Section(
        key="calibration",
        title="Calibration",
        note=f"Not measured: too few training patients of {task.label} to hold some out.",
        columns=("Features",),
        rows=(),
    )


def _each(rows: tuple[Calibrated, ...], number: Callable[[Floats], Weighted]) -> list[Weighted]:
    """A number of each seed's tempered chances, as a function of weights."""
    return [number(one.tempered) for one in rows]


def _calibration(rows: Rows, task: Task, part: PatientBootstrap, seed: int) -> Section:
    labels = task.target[task.test]
    cells: list[tuple[Cell, ...]] = []
    for key, found in rows.items():
        for words, chances in (
            (AS_FITTED, [one.test_chances for one in found]),
            (TEMPERED, [one.tempered for one in found]),
        ):
            wide = [_error_of(one, labels, EQUAL_WIDTH) for one in chances]
            full = [_error_of(one, labels, EQUAL_MASS) for one in chances]
            chance = [
                error_if_calibrated(top, bins_of(top, EQUAL_MASS), seed=seed)
                for top in (one.max(1) for one in chances)
            ]
            temperatures = [one.temperature for one in found]
            cells.append(
                (
                    f"{TITLES[key]}, {words}",
                    bootstrapped(part, wide),
                    bootstrapped(part, full),
                    float(np.mean(chance)),
                    bootstrapped(part, [partial(mean_of, brier(one, labels)) for one in chances]),
                    bootstrapped(
                        part, [partial(mean_of, log_loss(one, labels)) for one in chances]
                    ),
                    bootstrapped(part, [partial(macro_auc, labels, one) for one in chances]),
                    1.0 if words == AS_FITTED else float(np.mean(temperatures)),
                )
            )
    held_out = rows[PRETRAINED][0].held_out
    return Section(
        key="calibration",
        title="Calibration",
        note=(
            f"{_tested(task)}. Linear probe fitted on four fifths of the training patients; the "
            f"temperature on the other fifth ({_counted(task, held_out)}), never on the test. "
            f"ECE: chance of the likeliest class against how often it is right, {NUM_BINS} bins "
            "of equal width or of equally many images. Its interval leans upwards, as every "
            "resample adds chance of its own; “ECE by chance” is what chances that are right would "
            f"show with so many independent images (equal-mass bins). Brier score: 0 to "
            f"{1 if len(task.class_names) == 2 else 2}. 95 % intervals: bootstrap over patients."
        ),
        columns=(
            "Features", "ECE, equal width", "ECE, equal mass", "ECE by chance", "Brier score",
            "Log-loss", "AUC", "Temperature",
        ),
        rows=tuple(cells),
    )  # fmt: skip


def _error_of(chances: Floats, labels: Integers, kind: str) -> Weighted:
    top, right = top_label(chances, labels)
    return partial(calibration_error, top, right, bins_of(top, kind))


def _curve(found: tuple[Calibrated, ...], task: Task, part: PatientBootstrap) -> Section:
    """Of the first seed: bins of several would not be the same images."""
    labels = task.target[task.test]
    two = len(task.class_names) == 2
    cells: list[tuple[Cell, ...]] = []
    for words, chances in (
        (AS_FITTED, found[0].test_chances),
        (TEMPERED, found[0].tempered),
    ):
        if two:
            predicted, outcome = chances[:, 1], (labels == 1).astype(np.float64)
        else:
            predicted, outcome = top_label(chances, labels)
        for one in reliability(predicted, outcome, bins_of(predicted, EQUAL_MASS, CURVE_BINS)):
            share = bootstrapped(part, partial(_share, outcome, one.members))
            if one.observed in (0, 1):
                share = _unanimous(one.observed, len(np.unique(part.patient[one.members > 0])))
            cells.append((words, one.low, one.high, one.predicted, share, one.num))
    of = f"the chance of “{task.class_names[1]}”" if two else "the chance of the likeliest class"
    return Section(
        key=CURVE,
        title="Reliability curve of the pre-trained encoder",
        note=(
            f"{CURVE_BINS} bins of equally many images over {of}: what was predicted on average, "
            "and how often it came true, with its 95 % interval over patients (where all of a bin "
            "came out alike: Clopper-Pearson, a draw for each patient). "
            f"{_tested(task)}; first seed."
        ),
        columns=("Chances", "From", "To", "Predicted", "Observed", "Images"),
        rows=tuple(cells),
    )


def _unanimous(share: float, num_patients: int) -> Estimate:
    """A share of 0 or 1, whose every resample is the same: the exact interval of a proportion."""
    width = 1 - 0.025 ** (1 / num_patients)
    low, high = (0.0, width) if share == 0 else (1 - width, 1.0)
    return Estimate(value=share, low=low, high=high, standard_error=None)


def _share(outcome: Floats, members: Floats, weights: Floats) -> Floats:
    return mean_of(outcome, weights * members)


def _risk(rows: Rows, task: Task, part: PatientBootstrap) -> Section:
    labels = task.target[task.test]
    cells: list[tuple[Cell, ...]] = []
    for key, found in rows.items():
        if key == MAJORITY:
            continue  # all its images are equally sure
        pairs = [top_label(one.tempered, labels) for one in found]
        cells.append(
            (
                TITLES[key],
                bootstrapped(part, [partial(area_under_risk, top, 1 - ok) for top, ok in pairs]),
                *(
                    bootstrapped(part, [partial(risk_at, top, 1 - ok, share) for top, ok in pairs])
                    for share in COVERAGES
                ),
            )
        )
    return Section(
        key="risk_coverage",
        title="Errors among what one keeps",
        note=(
            "Share of wrong predictions among the most confident images, if the others are left "
            "to a reader (error at 80 %: among the four fifths that are kept); AURC is its mean "
            "over all coverages (lower is better). "
            f"{_tested(task)}; probe and temperature as under Calibration."
        ),
        columns=("Features", "AURC", *(f"Error at {100 * share:g} %" for share in COVERAGES)),
        rows=tuple(cells),
    )


def _sets(rows: Rows, task: Task, part: PatientBootstrap, seed: int) -> Section:
    labels = task.target[task.test]
    group = group_index(len(labels), task.test_groups)
    # The promise is for one image of a patient drawn at random: every patient counts once.
    once = 1 / np.bincount(group)[group]
    groups = task.groups
    cells: list[tuple[Cell, ...]] = []
    num = 0
    for key, found in rows.items():
        for kind in (LAC, APS):
            hits, sizes, empty = [], [], []
            for number, one in enumerate(found):
                held_out = one.held_out
                sets, _, num = prediction_sets(
                    one.held_out_chances,
                    task.target[held_out],
                    None if groups is None else [groups[i] for i in held_out],
                    one.test_chances,
                    kind=kind,
                    alpha=ALPHA,
                    rng=np.random.default_rng((seed, number)),
                )
                hits.append(sets[np.arange(len(labels)), labels].astype(np.float64))
                sizes.append(sets.sum(1).astype(np.float64))
                empty.append((sizes[-1] == 0).astype(np.float64))

            def over(values: list[Floats], members: Floats) -> Estimate:
                """Mean over patients of the mean over their images."""
                return bootstrapped(part, [_patients_mean(one, once * members) for one in values])

            def share(values: list[Floats], members: Floats) -> Estimate:
                """Likewise, of what is true or false."""
                found = over(values, members)
                if found.value in (0, 1):
                    return _unanimous(found.value, len(np.unique(part.patient[members > 0])))
                return found

            by_class = [
                share(hits, (labels == number).astype(np.float64)) for number in np.unique(labels)
            ]
            worst = int(np.argmin([one.value for one in by_class]))
            everyone = np.ones(len(labels))
            cells.append(
                (
                    TITLES[key],
                    kind,
                    share(hits, everyone),
                    over(sizes, everyone),
                    share(empty, everyone),
                    by_class[worst],
                    task.class_names[int(np.unique(labels)[worst])],
                )
            )
    return Section(
        key="conformal",
        title=f"Sets that hold the right class in {100 - 100 * ALPHA:g} % of patients",
        note=(
            f"Split conformal sets, promised coverage {100 - 100 * ALPHA:g} %; threshold from one "
            f"image of each of {num} training {'patients' if groups else 'images'} that the probe "
            "was not fitted on. The promise is for an image drawn at random of a new patient who "
            "is exchangeable with them (same hospital, same kind of patients), on average "
            "over all classes, not within each; so every patient counts once here. LAC: smallest "
            "sets; APS: with a random share, sets follow difficulty and may be empty. "
            f"{_spread(num)}"
            f"{_tested(task)}; 95 % intervals: bootstrap over test patients, threshold "
            "fixed (where all came out alike: Clopper-Pearson, a draw for each patient)."
        ),
        columns=(
            "Features", "Score", "Coverage", "Classes in a set", "Empty sets",
            "Coverage of the worst class", "which is",
        ),
        rows=tuple(cells),
    )  # fmt: skip


def _spread(num: int) -> str:
    """What one threshold from so few patients can promise: coverage follows a beta distribution."""
    place = int(np.ceil((num + 1) * (1 - ALPHA) - 1e-9))
    if place > num:
        return f"{num} are too few for any promise: every class is let in. "
    low, high = (float(beta.ppf(tail, place, num + 1 - place)) for tail in (0.025, 0.975))
    return (
        f"With {num} of them the true coverage of one threshold lies between {100 * low:.0f} % and "
        f"{100 * high:.0f} % (95 % of such studies). "
    )


def _patients_mean(values: Floats, members: Floats) -> Weighted:
    return lambda weights: mean_of(values, weights * members)


def _tested(task: Task) -> str:
    return f"{_counted(task, task.test)} tested"


def _counted(task: Task, rows: Integers) -> str:
    if task.groups is None:
        return f"{len(rows):,} images"
    return f"{len(rows):,} images of {len({task.groups[i] for i in rows}):,} patients"
