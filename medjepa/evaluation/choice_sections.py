"""The tables of a choice, alike on the page and in the terminal."""

from medjepa.evaluation.choice import CheckpointRow, Choice, Preference
from medjepa.evaluation.label_free import LOSS, SCORES
from medjepa.evaluation.rank_correlation import MIN_CHECKPOINTS, NUM_DRAWS, Correlation
from medjepa.evaluation.sections import Cell, Section

TITLES = {score.key: score.title for score in SCORES}
ARROWS = {True: "↑", False: "↓"}


def sections_of(choice: Choice) -> list[Section]:
    """Scores, what they prefer and, with a label, how they agree with the probe."""
    found = [_scores(choice), _preferences(choice)]
    if choice.label is not None:
        found += [_correlations(choice), _baselines(choice)]
    return found


def _scores(choice: Choice) -> Section:
    by_label = choice.label is not None
    heads = [f"{score.title} {ARROWS[score.higher_is_better]}" for score in SCORES]
    unit = "images" if choice.num_patients is None else "patients"
    note = (
        f"n = {choice.num_images:,} images{_of_patients(choice)}, {choice.images_from}; "
        f"{choice.num_views} views of each, showing {choice.scale[0]:g} to {choice.scale[1]:g} of "
        f"it, grey levels changed with strength {choice.strength:g}; seed {choice.seed}. The same "
        "images and views for every checkpoint. RankMe is of whole images, as `medjepa embed` "
        "gives them, the last three are of the views. ↑: more is better, ↓: less is. In brackets: "
        f"95 % interval, the value and 1.96 deviations of {choice.num_resamples} resamples of "
        f"{unit}; it does not cover another pre-training or other views. The training loss is a "
        "record and has no interval. Untrained: the first checkpoint's encoder before training."
    )
    if by_label:
        note += (
            f" Linear probe: {choice.test}; 95 % interval by percentile bootstrap over patients."
        )
    probe = ("AUC, probe", "balanced accuracy, probe") if by_label else ()
    return Section(
        key="scores",
        title="Checkpoints",
        note=note,
        columns=("checkpoint", "objective", "step", *heads, *probe),
        rows=tuple(_row(row, choice) for row in (*choice.rows, choice.untrained)),
    )


def _row(row: CheckpointRow, choice: Choice) -> tuple[Cell, ...]:
    name = f"{row.name} (collapsed)" if row.collapsed and row.step != 0 else row.name
    scores: list[Cell] = [row.scores[score.key] for score in SCORES]
    if row.scores[LOSS].value != row.scores[LOSS].value:
        scores[0] = None
    else:
        scores[0] = row.scores[LOSS].value  # a record: no interval is missing
    cells: tuple[Cell, ...] = (name, row.method, row.step, *scores)
    if choice.label is None:
        return cells
    found = row.probe
    if found is None:
        found = {name: getattr(choice.baselines[0].probe, name) for name in PROBE}
    return (*cells, *(found[name] for name in PROBE))


PROBE = ("auc", "balanced_accuracy")


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
