"""The tables and the first sentence of a report on findings, grades, numbers or survival."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from medjepa.errors import DataError
from medjepa.evaluation.bootstrap import Estimate, PatientBootstrap
from medjepa.evaluation.delong import holm, two_sided
from medjepa.evaluation.metrics import Floats, Integers
from medjepa.evaluation.results import (
    MAJORITY,
    PLAIN_BASELINES,
    PRETRAINED,
    TITLES,
    UNTRAINED,
    Verdict,
)
from medjepa.evaluation.sections import Cell, Section
from medjepa.evaluation.target import Target
from medjepa.evaluation.target_fits import (
    METRICS,
    MODELS,
    finding_auc,
    finding_precision,
    level_auc,
    usable,
)
from medjepa.evaluation.task import Task
from medjepa.evaluation.verdict import HEADLINES, MIN_PATIENTS, interval, judge, share

RARE_PATIENTS = 10
"""A finding of fewer test patients is flagged and kept out of the macro average."""

_CONSTANT = {
    "multilabel": "Each finding's frequency",
    "ordinal": "Commonest level",
    "regression": "Mean of the training part",
    "survival": "The same for all",
}


def chosen_parts(target: Target, task: Task) -> tuple[Integers, Integers]:
    """Findings (or levels) that are averaged over, and those that are rare in the test part.

    Where every finding is rare, all that can be measured are averaged over.

    Raises:
        DataError: nothing can be measured.
    """
    values = target.values[task.test]
    learnt = target.values[task.train]
    nothing = np.zeros(0, np.int64)
    parts = (("training", learnt), ("test", values))
    for name, part in parts:
        if not len(part):
            raise _unmeasured(target.label, f"the {name} part has no image with a value")
        if target.kind == "regression" and len(np.unique(part)) < 2:
            raise _unmeasured(
                target.label, f"all values of the {name} part are equal ({part[0, 0]:g})"
            )
        if target.kind == "survival" and not (part[:, 1] == 1).any():
            raise _unmeasured(target.names[1], f"the {name} part has no event (no 1)")
        if target.kind == "ordinal" and len(np.unique(part)) < 2:
            level = target.names[int(part[0, 0])]
            raise _unmeasured(target.label, f"the {name} part holds a single level ({level})")
    if target.kind in ("regression", "survival"):
        return nothing, nothing
    if target.kind == "ordinal":
        counts = np.bincount(values[:, 0].astype(np.int64), minlength=len(target.names))
        above = np.array([counts[k:].sum() for k in range(1, len(counts))])
        there = [k + 1 for k, num in enumerate(above) if 0 < num < len(values)]
        few = [k for k in there if min(_patients(task, values[:, 0] >= k), _patients(
            task, values[:, 0] < k)) < RARE_PATIENTS]  # fmt: skip
    else:
        there = [k for k in range(values.shape[1]) if usable(values[:, k])]
        few = [k for k in there if _patients(task, values[:, k] == 1) < RARE_PATIENTS]
        if not there:
            raise _unmeasured(
                target.label, "no finding is both there and not there in the test part"
            )
    chosen = [k for k in there if k not in few] or there
    return np.asarray(chosen, np.int64), np.asarray(few, np.int64)


def _unmeasured(column: str, why: str) -> DataError:
    return DataError(
        f"label {column!r}: {why}, so nothing can be measured; label more images, or draw another "
        "split by patient with split=auto and another seed="
    )


def _patients(task: Task, which: np.ndarray) -> int:
    """How many test patients (images, where patients are unknown) have one of these images."""
    if task.test_groups is None:
        return int(which.sum())
    return len({group for group, one in zip(task.test_groups, which, strict=True) if one})


def target_section(
    target: Target,
    task: Task,
    estimates: Mapping[str, Mapping[str, Estimate]],
    differences: Mapping[str, Estimate],
    parts: Integers,
    drawn: PatientBootstrap,
) -> Section:
    """Every method's metrics and the paired difference in the first one."""
    names = METRICS[target.kind]
    p_values = [two_sided(one) for one in differences.values()]
    p_holm = dict(zip(differences, holm(p_values), strict=True))
    rows: list[tuple[Cell, ...]] = []
    for key, found in estimates.items():
        difference = differences.get(key)
        rows.append(
            (
                _CONSTANT[target.kind] if key == MAJORITY else TITLES[key],
                *(found[name] for name in names),
                "" if difference is None else difference,
                p_holm.get(key, ""),
            )
        )
    unit = "images" if task.groups is None else "patients"
    average = ""
    if target.kind == "multilabel":
        average = (
            f" Macro: over the {len(parts)} of {len(target.names)} findings with {RARE_PATIENTS} "
            f"positive test {unit} or more; missing entries are left out finding by finding."
        )
    if target.kind == "ordinal":
        average = f" AUC: of telling a level and those above from those below, over {len(parts)}."
    return Section(
        key="target",
        title=f"{target.label}: {target.kind}",
        note=(
            f"Frozen features; {MODELS[target.kind]}, chosen on training {unit} that the fit has "
            f"not seen. n = {len(task.test):,} test images of {drawn.num_patients:,} {unit}, "
            f"{len(task.train):,} training images.{average} In brackets: 95 % interval, percentile "
            f"bootstrap over {unit}, {len(drawn.counts):,} resamples, the same for every row. "
            f"Difference: pre-trained minus this row in {names[0]}, paired; p: two-sided, by the "
            f"bootstrap's standard error, Holm over {sum(p is not None for p in p_values)} rows."
        ),
        columns=("features", *names, "difference", "p, Holm"),
        rows=tuple(rows),
        signed=("difference",),
    )


def part_section(
    target: Target,
    task: Task,
    given: Mapping[str, tuple[Floats, ...]],
    rare: Integers,
    drawn: PatientBootstrap,
    make: Callable[[float, Floats], Estimate],
) -> Section:
    """Finding by finding (level by level), pre-trained beside untrained."""
    values = target.values[task.test]
    weights = drawn.counts[:, drawn.patient].astype(np.float64)
    once = np.ones((1, len(task.test)))
    is_findings = target.kind == "multilabel"

    def area(scores: Floats, k: int, given_weights: Floats) -> Floats:
        if is_findings:
            return finding_auc(values[:, k], scores[:, k], given_weights)
        return level_auc(values[:, 0].astype(np.int64), scores, k, given_weights)

    def precision(scores: Floats, k: int, given_weights: Floats) -> Floats:
        return finding_precision(values[:, k], scores[:, k], given_weights)

    def mean(
        score: Callable[[Floats, int, Floats], Floats], key: str, k: int
    ) -> tuple[float, Floats]:
        each = [score(scores, k, weights) for scores in given[key]]
        value = float(np.mean([score(scores, k, once)[0] for scores in given[key]]))
        return value, np.asarray(np.mean(each, axis=0))

    rows: list[tuple[Cell, ...]] = []
    for k, name in enumerate(target.names):
        positive = values[:, k] == 1 if is_findings else values[:, 0] >= k
        known = int((~np.isnan(values[:, k])).sum()) if is_findings else len(values)
        head: tuple[Cell, ...] = (
            name if is_findings else f"{name} and above", known, int(positive.sum()),
            _patients(task, positive), f"fewer than {RARE_PATIENTS} patients" if k in rare else "",
        )  # fmt: skip
        if not is_findings and k == 0:
            continue  # everything is the lowest level or above
        if not 0 < positive.sum() < known:
            rows.append((*head[:4], "not measured", None, None, None, None))
            continue
        ours, untrained = mean(area, PRETRAINED, k), mean(area, UNTRAINED, k)
        rows.append(
            (
                *head, make(*ours), make(*untrained),
                make(ours[0] - untrained[0], ours[1] - untrained[1]),
                make(*mean(precision, PRETRAINED, k)) if is_findings else None,
            )
        )  # fmt: skip
    unit = "images" if task.groups is None else "patients"
    return Section(
        key="target_parts",
        title="Finding by finding" if is_findings else "Level by level",
        note=(
            f"n: test images that say whether it is there. Positive {unit}: of the test part; with "
            f"fewer than {RARE_PATIENTS} an interval is too narrow. 95 % intervals: percentile "
            f"bootstrap over {unit}, over the resamples that hold both kinds, none where fewer "
            "than 95 % do. Difference: pre-trained minus untrained, paired, not corrected for the "
            "number of rows. Average precision of chance is the share of positives."
        ),
        columns=(
            "finding" if is_findings else "level", "n", "positive", f"positive {unit}", "note",
            "AUC", "AUC, untrained", "difference", "average precision",
        ),
        rows=tuple(rows),
        signed=("difference",),
    )  # fmt: skip


def target_verdict(
    target: Target,
    estimates: Mapping[str, Mapping[str, Estimate]],
    differences: Mapping[str, Estimate],
    *,
    num_test: int,
    num_patients: int | None,
    seeds: Sequence[int],
    parts: Integers,
) -> Verdict:
    """The rule of `verdict` about the target's first metric, pre-trained minus untrained."""
    name = METRICS[target.kind][0]
    gain = differences[UNTRAINED]
    ours, untrained = estimates[PRETRAINED][name], estimates[UNTRAINED][name]
    too_few = (num_test if num_patients is None else num_patients) < MIN_PATIENTS
    outcome, because, detectable = judge(
        gain, "too few test patients for an interval" if too_few else ""
    )
    headline = HEADLINES[outcome]
    who = f"{num_test:,} test images"
    who += ", patients unknown" if num_patients is None else f" of {num_patients:,} patients"
    of = f" over {len(parts)} findings" if target.kind == "multilabel" else ""
    named = ", ".join(str(seed) for seed in seeds)
    return Verdict(
        outcome=outcome,
        headline=headline,
        sentence=(
            f"{headline}: {name}{of} {share(ours.value)} {interval(ours)} against "
            f"{share(untrained.value)} {interval(untrained)} untrained, difference "
            f"{share(gain.value, sign=True)} {interval(gain, sign=True)}, on {who} "
            f"({'one seed, ' if len(seeds) == 1 else 'mean of seeds '}{named}); {because}."
        ),
        baseline=_best_baseline(name, estimates, differences),
        detectable=detectable,
    )


def _best_baseline(
    name: str,
    estimates: Mapping[str, Mapping[str, Estimate]],
    differences: Mapping[str, Estimate],
) -> str:
    """How far the best description without training is."""
    plain = [key for key in PLAIN_BASELINES if key != MAJORITY and key in estimates]
    if not plain:
        return ""
    best = max(plain, key=lambda key: estimates[key][name].value)
    found, difference = estimates[best][name], differences[best]
    position = "cannot be told apart from"
    if difference.low is not None and difference.low > 0:
        position = "is better than"
    if difference.high is not None and difference.high < 0:
        position = "is worse than"
    title = TITLES[best][0].lower() + TITLES[best][1:]
    return (
        f"Without any training, {title} reach {share(found.value)} {interval(found)}: the "
        f"pre-trained encoder {position} that (difference {share(difference.value, sign=True)} "
        f"{interval(difference, sign=True)})."
    )


def target_warnings(target: Target, task: Task, rare: Integers) -> list[str]:
    """What the reader has to be warned of."""
    found = []
    if task.groups is None:
        found.append("No groups: intervals too narrow if a patient has several images.")
    if len(rare):
        names = ", ".join(target.names[k] for k in rare)
        found.append(f"Rare in the test part, fewer than {RARE_PATIENTS} patients: {names}.")
    found.append(
        "Columns that may give the target away (site, scanner, view) were not examined: that is "
        "done for classes only."
    )
    return found
