"""Other sites and subgroups, as tables of the report."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from medjepa.config.columns import no_column
from medjepa.errors import DataError
from medjepa.evaluation.across import cross_sites
from medjepa.evaluation.bootstrap import Estimate, PatientBootstrap, estimate
from medjepa.evaluation.context import Context
from medjepa.evaluation.folds import group_index
from medjepa.evaluation.labelled_data import SOURCE
from medjepa.evaluation.metrics import Floats, Integers, macro_auc
from medjepa.evaluation.protocol import Measured
from medjepa.evaluation.results import MAJORITY, TITLES
from medjepa.evaluation.robustness_index import (
    MOST_IMAGES,
    MOST_RESAMPLES,
    NUM_NEIGHBOURS,
    robustness_index,
)
from medjepa.evaluation.sections import Cell, Section
from medjepa.evaluation.subgroups import (
    MIN_SUBGROUP_PATIENTS,
    Subgrouping,
    parted,
    subgroupings,
)
from medjepa.evaluation.verdict import MIN_PATIENTS

SITE = "site"
"""`across=site` means the data sources where several are given, else the column of that name."""


def across_sections(context: Context) -> list[Section]:
    """Learnt at one site and tested at another, where `evaluation.across` is set."""
    asked = context.settings.across
    if not asked:
        return []
    column = site_column(asked, list(context.cells))
    sites = parted(column, context.cells[column])
    if len(sites.names) < 2:
        raise DataError(
            f"evaluation.across={asked}: every image has the same {column}; give two sources "
            "(data=[a,b]) or a column with two values or more"
        )
    return [_crossings(context, sites), _index(context, sites)]


def site_column(asked: str, there: Sequence[str]) -> str:
    """The column that `across=` means.

    Raises:
        DataError: there is none.
    """
    column = SOURCE if asked == SITE and SOURCE in there else asked
    if column not in there:
        raise DataError(
            f"evaluation.across={asked}: no such column, and only one data source; "
            f"{no_column(asked, there, key='across')}"
        )
    return column


def _crossings(context: Context, sites: Subgrouping) -> Section:
    task = context.tasks[0]
    found = cross_sites(
        context.features,
        task,
        sites.codes,
        num_resamples=context.num_resamples,
        seed=context.seed,
    )
    rows: list[tuple[Cell, ...]] = []
    for one in found:
        learnt = " + ".join(_name(site) for site in one.learnt)
        if len(one.learnt) > 1:
            learnt = f"all but {_name(one.tested)}"
        rows.append(
            (
                TITLES[one.method],
                f"{learnt} → {_name(one.tested)}",
                one.num_train,
                one.num_test,
                one.num_test_patients,
                one.home,
                one.away,
                one.drop,
                one.native,
                one.gap,
            )
        )
    order = "in the order of data=" if sites.column == SOURCE else "in the order of their names"
    counts = "; ".join(
        f"{_name(n)}: {int((sites.codes == n).sum()):,} images" for n in range(len(sites.names))
    )
    return Section(
        key="across",
        title="Learnt at one site, tested at another",
        note=(
            f"Sites by “{sites.column}”, {order} ({counts}). Linear probe on the training part of "
            "the sites before the arrow. Home: AUC on test patients of those sites; away: on test "
            "patients of the site after it; drop: away minus home, two sets of patients resampled "
            "independently. Native: a probe that learnt at the site after the arrow, on the same "
            "test patients; behind it: away minus native, paired. A site differs in many things at "
            "once (patients, device, view, who labelled): the drop does not say which. 95 % "
            f"intervals: bootstrap over patients, {context.num_resamples:,} resamples, seed "
            f"{context.seed}; none where a site has fewer than {MIN_PATIENTS} test patients, whose "
            "number says little."
        ),
        columns=(
            "Features", "Sites", "Training images", "Test images", "Test patients", "Home", "Away",
            "Drop", "Native", "Behind native",
        ),
        rows=tuple(rows),
        signed=("Drop", "Behind native"),
    )  # fmt: skip


def _index(context: Context, sites: Subgrouping) -> Section:
    task, known = context.tasks[0], int((sites.codes >= 0).sum())
    rows: list[tuple[Cell, ...]] = []
    for features in context.features:
        value, by_chance = robustness_index(
            features.of(task)[0],
            task.target,
            sites.codes,
            task.groups,
            num_resamples=context.num_resamples,
            seed=context.seed,
        )
        rows.append((TITLES[features.key], min(known, MOST_IMAGES), value, by_chance))
    return Section(
        key="robustness_index",
        title="Does the embedding group by class or by site?",
        note=(
            f"Robustness index (de Jong et al. 2025): among the {NUM_NEIGHBOURS} nearest other "
            "patients' images by cosine, same class at another site, as a share of those and of "
            "other class at the same site. Below one half, the site decides who is near. “By "
            f"chance”: neighbours drawn at random. {_looked_at(sites)}, sites "
            f"by “{sites.column}”; first seed; 95 % intervals: the value and 1.96 deviations of "
            f"{min(context.num_resamples, MOST_RESAMPLES)} resamples of the patients, who are "
            "resampled as neighbours too."
        ),
        columns=("Features", "Images", "Robustness index", "By chance"),
        rows=tuple(rows),
    )


def _looked_at(sites: Subgrouping) -> str:
    known = int((sites.codes >= 0).sum())
    if known <= MOST_IMAGES:
        return f"{known:,} images"
    return f"{MOST_IMAGES:,} images, drawn from {known:,}"


def subgroup_sections(context: Context) -> list[Section]:
    """AUC of each subgroup of the test patients; none where no column tells any."""
    partings = subgroupings(context.columns, context.cells)
    if not partings:
        return []
    task, part = context.tasks[0], context.resamples.parts[0]
    group = group_index(len(task.test), task.test_groups)
    methods = [one for one in context.measured if one.result.key != MAJORITY]
    rows: list[tuple[Cell, ...]] = []
    for parting in partings:
        codes = parting.codes[task.test]
        counts = [len(np.unique(group[codes == number])) for number in range(len(parting.names))]
        for method in methods:
            rows += _rows(method, parting, codes, counts, task.target[task.test], part)
    return [
        Section(
            key="subgroups",
            title="Subgroups",
            note=(
                "Linear probe, AUC within each subgroup of the test part (of the first split). "
                f"“few”: fewer than {MIN_SUBGROUP_PATIENTS} patients, the number says little, has "
                "no interval and does not count for the gap. The gap is the best minus the worst "
                "of the others; as they were chosen by looking, it leans upwards. Values of "
                "columns that may name a hospital are numbered. 95 % intervals: bootstrap over "
                f"patients, seed {context.seed}."
            ),
            columns=(
                "Features", "Column", "Subgroup", "Images", "Patients", "AUC", "Gap", "Remark",
            ),
            rows=tuple(rows),
            signed=("Gap",),
        )
    ]  # fmt: skip


def _rows(
    method: Measured,
    parting: Subgrouping,
    codes: Integers,
    counts: Sequence[int],
    labels: Integers,
    part: PatientBootstrap,
) -> list[tuple[Cell, ...]]:
    title, scores = TITLES[method.result.key], [one[0] for one in method.scores]
    rows: list[tuple[Cell, ...]] = []
    known: dict[int, tuple[float, Floats]] = {}
    for number, name in enumerate(parting.names):
        chosen = np.flatnonzero(codes == number)
        few = counts[number] < MIN_SUBGROUP_PATIENTS
        remark = "few" if few else ""
        if len(np.unique(labels[chosen])) < 2:
            rows.append((title, parting.column, name, len(chosen), counts[number], None, None,
                         "a single class"))  # fmt: skip
            continue
        own = replace(part, patient=part.patient[chosen])
        given = [one[chosen] for one in scores]
        value = float(np.mean([macro_auc(labels[chosen], one)[0] for one in given]))
        samples = np.mean([own.samples("auc", labels[chosen], one) for one in given], axis=0)
        if not few:
            known[number] = (value, samples)
        rows.append((title, parting.column, name, len(chosen), counts[number],
                     _estimate(value, samples[:0] if few else samples), None, remark))  # fmt: skip
    if len(known) > 1:
        best = max(known, key=lambda number: known[number][0])
        worst = min(known, key=lambda number: known[number][0])
        gap = _estimate(known[best][0] - known[worst][0], known[best][1] - known[worst][1])
        which = f"{parting.names[best]} minus {parting.names[worst]}"
        rows.append((title, parting.column, which, None, None, None, gap, "gap"))
    return rows


def _estimate(value: float, samples: Floats) -> Estimate:
    return estimate(value, samples[np.isfinite(samples)])


def _name(site: int) -> str:
    return f"site {site + 1}"
