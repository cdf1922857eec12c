"""Learn at one site, test at another: what a number measured at home is worth elsewhere.

Legend: N images, C classes, S seeds, R resamples.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from medjepa.evaluation import label_efficiency
from medjepa.evaluation.bootstrap import Estimate, PatientBootstrap, estimate
from medjepa.evaluation.metrics import Floats, Integers, macro_auc
from medjepa.evaluation.probes import LogisticProbe
from medjepa.evaluation.protocol import Features, score_test_images, split_folds
from medjepa.evaluation.task import Task
from medjepa.evaluation.verdict import MIN_PATIENTS


@dataclass(frozen=True, kw_only=True)
class Crossing:
    """One probe, tested at home and away.

    Attributes:
        method: key of the features.
        learnt: numbers of the sites it learnt from.
        tested: number of the site away.
        num_train: images learnt from.
        num_test: images tested away.
        num_test_patients: their patients; images where patients are unknown.
        away: AUC at the other site.
        home: AUC on test patients of the sites it learnt from.
        drop: away minus home; two test sets, resampled independently.
        native: AUC, on the same test patients, of a probe that learnt at the site away.
        gap: away minus native, paired.
    """

    method: str
    learnt: tuple[int, ...]
    tested: int
    num_train: int
    num_test: int
    num_test_patients: int
    away: Estimate
    home: Estimate
    drop: Estimate
    native: Estimate
    gap: Estimate


def cross_sites(
    methods: Sequence[Features],
    task: Task,
    sites: Integers,
    *,
    num_resamples: int = 1000,
    seed: int = 0,
) -> list[Crossing]:
    """Learn at each site and test at each other; with three or more also leave each one out.

    Only the training part of a site is learnt from and only its test part tested, so that home and
    away are measured alike.

    Args:
        methods: kinds of features; of several seeds the mean is taken.
        task: labels and one split of all N images.
        sites: (N,) number of each image's site, -1 where unknown.
        num_resamples: of the test patients of each site.
        seed: of the resamples.
    """
    numbers = [int(site) for site in np.unique(sites[sites >= 0])]
    usable = [site for site in numbers if _can_learn(task, sites, [site])]
    plans: list[tuple[tuple[int, ...], int]] = [
        ((one,), other) for one in usable for other in numbers if one != other
    ]
    if len(numbers) > 2:
        rest = [(tuple(site for site in numbers if site != out), out) for out in numbers]
        plans += [(several, out) for several, out in rest if _can_learn(task, sites, several)]
    plans = [
        plan for plan in plans if len(np.unique(task.target[_test(task, sites, plan[1:])])) > 1
    ]
    drawn = {
        site: PatientBootstrap.draw(
            task.target[rows := _test(task, sites, [site])],
            None if task.groups is None else [task.groups[i] for i in rows],
            num_resamples=num_resamples,
            seed=seed + 1 + place,  # each site by itself
        )
        for place, site in enumerate(numbers)
        if len(_test(task, sites, [site]))
    }
    found = []
    for features in methods:
        kept: dict[tuple[int, ...], _Fitted] = {}
        for learnt, tested in plans:
            for own in (learnt, (tested,)):
                if own not in kept and _can_learn(task, sites, own):
                    kept[own] = _Fitted(features, task, sites, own)
            found.append(_crossing(features.key, kept, learnt, tested, task, sites, drawn))
    return found


class _Fitted:
    """Probes of every seed that learnt from the training part of some sites."""

    def __init__(
        self, features: Features, task: Task, sites: Integers, learnt: tuple[int, ...]
    ) -> None:
        self.task = replace(task, train=task.train[np.isin(sites[task.train], learnt)])
        self.arrays = features.of(self.task)
        folds = split_folds(self.task, np.arange(len(self.task.train)))
        target = task.target[self.task.train]
        self.probes = [
            LogisticProbe(c_grid=label_efficiency.COARSE_GRID).fit(
                array[self.task.train], target, folds=folds
            )
            for array in self.arrays
        ]

    def scores(self, rows: Integers) -> list[Floats]:
        """(n, C) for each seed."""
        there = replace(self.task, test=rows)
        return [
            score_test_images(probe, array, there)
            for probe, array in zip(self.probes, self.arrays, strict=True)
        ]


Measurement = tuple[float, Floats]
"""AUC, and resampled (R,)."""


def _crossing(
    key: str,
    kept: dict[tuple[int, ...], _Fitted],
    learnt: tuple[int, ...],
    tested: int,
    task: Task,
    sites: Integers,
    drawn: dict[int, PatientBootstrap],
) -> Crossing:
    rows = _test(task, sites, [tested])
    away = _measure(kept[learnt], rows, task, drawn[tested])
    # At home, each site's test part is resampled by itself and the mean over sites is taken.
    homes = [
        _measure(kept[learnt], own, task, drawn[site])
        for site in learnt
        if len(np.unique(task.target[own := _test(task, sites, [site])])) > 1
    ]
    home = _mean(homes, len(away[1]))
    at_home = kept.get((tested,))
    nothing = (float("nan"), np.full(len(away[1]), np.nan))
    native = nothing if at_home is None else _measure(at_home, rows, task, drawn[tested])
    groups = None if task.groups is None else {task.groups[i] for i in rows}
    return Crossing(
        method=key,
        learnt=learnt,
        tested=tested,
        num_train=len(kept[learnt].task.train),
        num_test=len(rows),
        num_test_patients=len(rows) if groups is None else len(groups),
        away=_estimate(*away),
        home=_estimate(*home),
        drop=_difference(away, home),
        native=_estimate(*native),
        gap=_difference(away, native),
    )


def _measure(
    fitted: _Fitted, rows: Integers, task: Task, resamples: PatientBootstrap
) -> Measurement:
    labels = task.target[rows]
    scores = fitted.scores(rows)
    values = [macro_auc(labels, one)[0] for one in scores]
    if resamples.num_patients < MIN_PATIENTS:  # too narrow an interval: of seven patients often 0
        return float(np.mean(values)), np.empty(0)
    samples = [resamples.samples("auc", labels, one) for one in scores]
    return float(np.mean(values)), np.asarray(np.mean(samples, axis=0))


def _mean(several: Sequence[Measurement], num: int) -> Measurement:
    if not several:
        return float("nan"), np.full(num, np.nan)
    shortest = min(len(samples) for _, samples in several)
    return (
        float(np.mean([value for value, _ in several])),
        np.asarray(np.mean([samples[:shortest] for _, samples in several], axis=0)),
    )


def _difference(first: Measurement, second: Measurement) -> Estimate:
    num = min(len(first[1]), len(second[1]))
    return _estimate(first[0] - second[0], first[1][:num] - second[1][:num])


def _estimate(value: float, samples: Floats) -> Estimate:
    return estimate(value, samples[np.isfinite(samples)])


def _test(task: Task, sites: Integers, chosen: Sequence[int]) -> Integers:
    return task.test[np.isin(sites[task.test], chosen)]


def _can_learn(task: Task, sites: Integers, chosen: Sequence[int]) -> bool:
    rows = task.train[np.isin(sites[task.train], chosen)]
    return len(np.unique(task.target[rows])) > 1
