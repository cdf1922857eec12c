"""The tables of a choice, alike on the page and in the terminal."""

import math
from collections.abc import Mapping

from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.choice import CheckpointRow, Choice, Preference
from medjepa.evaluation.label_free import LOSS, SCORES
from medjepa.evaluation.rank_correlation import MIN_CHECKPOINTS, NUM_DRAWS, Correlation
from medjepa.evaluation.sections import Cell, Section

TITLES = {score.key: score.title for score in SCORES}
ARROWS = {True: "↑", False: "↓"}


def sections_of(choice: Choice) -> list[Section]:
    """Scores, what they prefer and, with a label, how they agree with the probe."""
    found = [_scores(choice), _checkpoints(choice), _preferences(choice)]
    if choice.label is not None:
        found += [_correlations(choice), _baselines(choice)]
    return found


def _scores(choice: Choice) -> Section:
    by_label = choice.label is not None
    names = {**TITLES, LOSS: "loss"}
    heads = [f"{names[score.key]} {ARROWS[score.higher_is_better]}" for score in SCORES]
    unit = "images" if choice.num_patients is None else "patients"
    note = (
        f"n = {choice.num_images:,} images{_of_patients(choice)}, {choice.images_from}; "
        f"{choice.num_views} views of each, showing {choice.scale[0]:g} to {choice.scale[1]:g} of "
        f"it, grey levels changed with strength {choice.strength:g}; seed {choice.seed}. The same "
        "images and views for every checkpoint. RankMe is of whole images, as `medjepa embed` "
        "gives them, the last three scores are of the views. ↑: more is better, ↓: less is. In "
        f"brackets: 95 % interval, the value and 1.96 deviations of {choice.num_resamples} "
        f"resamples of {unit}; it does not cover another pre-training or other views. The loss is "
        "that of training, a record without an interval. Untrained: the first checkpoint's "
        "encoder before training."
    )
    if by_label:
        note += (
            f" AUC: linear probe, {choice.test}; 95 % interval by percentile bootstrap over the "
            "test's patients."
        )
    return Section(
        key="scores",
        title="Scores",
        note=note,
        columns=("checkpoint", *heads, *(["AUC"] if by_label else [])),
        rows=tuple(_row(row, choice) for row in (*choice.rows, choice.untrained)),
    )


def _row(row: CheckpointRow, choice: Choice) -> tuple[Cell, ...]:
    loss = row.scores[LOSS].value
    # A record, not an estimate whose interval is missing.
    scores: list[Cell] = [None if math.isnan(loss) else loss]
    scores += [row.scores[score.key] for score in SCORES if score.key != LOSS]
    name = row.name + (" (collapsed)" if row.collapsed and row in choice.rows else "")
    return (name, *scores, *([_probe(row, choice)["auc"]] if choice.label is not None else []))


def _probe(row: CheckpointRow, choice: Choice) -> Mapping[str, Estimate]:
    if row.probe is not None:
        return row.probe
    untrained = choice.baselines[0].probe
    return {"auc": untrained.auc, "balanced_accuracy": untrained.balanced_accuracy}


def _checkpoints(choice: Choice) -> Section:
    by_label = choice.label is not None
    return Section(
        key="checkpoints",
        title="The checkpoints",
        note="Loss of: what the training loss is the mean of, as the run's record has it.",
        columns=(
            "checkpoint", "objective", "step", "seed", "features", "loss of",
            *(["balanced accuracy"] if by_label else []),
        ),
        rows=tuple(
            (
                row.name, row.method, row.step, row.seed, row.num_features, row.loss_of,
                *([_probe(row, choice)["balanced_accuracy"]] if by_label else []),
            )
            for row in (*choice.rows, choice.untrained)
        ),
    )  # fmt: skip


def _preferences(choice: Choice) -> Section:
    by_label = choice.label is not None
    note = (
        "Not told apart: by a paired 95 % interval of the difference on the same resamples. "
        "Collapsed checkpoints are no choice."
    )
    columns: tuple[str, ...] = ("score", "prefers", "cannot tell from it")
    gain = "AUC of it minus mean of all"
    if by_label:
        columns = (*columns, gain)
        note += (
            f" {gain}: what following the score gains over choosing blindly, by the linear probe, "
            "paired, 95 % interval over test patients."
        )
    return Section(
        key="preferences",
        title="What each score prefers",
        note=note,
        columns=columns,
        rows=tuple(_preference(one, by_label=by_label) for one in choice.preferences),
        signed=(gain,) if by_label else (),
    )


def _preference(one: Preference, *, by_label: bool) -> tuple[Cell, ...]:
    prefers = f"– ({one.why_not})" if one.prefers is None else one.prefers
    cells: tuple[Cell, ...] = (one.title, prefers, ", ".join(one.alike) or "–")
    return (*cells, one.blind) if by_label else cells


def _correlations(choice: Choice) -> Section:
    note = (
        f"Over n = {len(choice.rows)} checkpoints; +1: the better the score, the higher the "
        "probe's AUC (scores of which less is better are turned round); −1: the other way. "
        "Interval: percentile bootstrap over the test's patients, 95 %; it does not cover which "
        "checkpoints, seeds and images there happened to be, nor the scores' own uncertainty. "
        f"p: share of orders of the checkpoints with as large a Spearman correlation (all orders "
        f"of up to 7, {NUM_DRAWS:,} drawn of more), which takes checkpoints for independent; "
        f"Holm: corrected for the scores. Fewer than {MIN_CHECKPOINTS} checkpoints: cannot tell."
    )
    return Section(
        key="correlations",
        title="Does the score order checkpoints as the probe does?",
        note=note,
        columns=("score", "n", "Spearman", "Kendall", "p", "p, Holm", "verdict"),
        rows=tuple(_correlation(one) for one in choice.correlations),
        signed=("Spearman", "Kendall"),
    )


def _correlation(one: Correlation) -> tuple[Cell, ...]:
    return (TITLES[one.key], one.num, one.spearman, one.kendall, one.p, one.p_holm, one.verdict)


def _baselines(choice: Choice) -> Section:
    return Section(
        key="baselines",
        title="The same probe without pre-training",
        note=f"{choice.test}; 95 % interval by percentile bootstrap over patients.",
        columns=("features", "AUC", "balanced accuracy"),
        rows=tuple(
            (one.title, one.probe.auc, one.probe.balanced_accuracy) for one in choice.baselines
        ),
    )


def _of_patients(choice: Choice) -> str:
    known = choice.num_patients is not None
    return f" of {choice.num_patients:,} patients" if known else " (no patients are known)"
