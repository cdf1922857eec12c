"""Whether pre-training helped a segmentation, in a sentence, by a rule fixed beforehand.

The rule is that of `gain`, on the mean foreground Dice, at each share of the labels by itself; the
headline is the largest share, what one has.
"""

from collections.abc import Sequence

from medjepa.evaluation.gain import HEADLINES, fraction_name, judge
from medjepa.evaluation.results import Verdict
from medjepa.evaluation.segmentation_results import (
    FOREGROUND,
    FROZEN_LIGHT,
    FROZEN_LINEAR,
    PRETRAINED,
    PRETRAINED_LINEAR,
    SCRATCH,
    TITLES,
    UNET,
    SegmentationComparison,
    SegmentationRow,
)
from medjepa.evaluation.verdict import MIN_PATIENTS, interval, share

WORTHWHILE = 0.01
"""The smallest gain in mean Dice that we call help, and the largest loss that we call none."""

PHRASES = {
    FROZEN_LINEAR: "the frozen encoder with a linear decoder",
    FROZEN_LIGHT: "the frozen encoder with a light decoder",
    PRETRAINED_LINEAR: "the fine-tuned encoder with a linear decoder",
    UNET: "MONAI's U-Net from scratch",
}
"""Networks within a sentence."""


def decide(
    rows: Sequence[SegmentationRow],
    comparisons: Sequence[SegmentationComparison],
    fraction: float,
    *,
    num_patients: int,
    patients_known: bool = True,
) -> Verdict:
    """Apply the rule above at one share of the labels and put it into words.

    Args:
        rows: of the table.
        comparisons: pre-trained minus each other method.
        fraction: share of the labels.
        num_patients: that were tested.
        patients_known: whether they are patients, or cases of unknown ones.
    """
    who = (
        f"{num_patients:,} patients"
        if patients_known
        else f"{num_patients:,} cases, each file taken as its own patient"
    )
    at = {row.method: row for row in rows if row.fraction == fraction}
    against = {
        c.against: c
        for c in comparisons
        if (c.fraction, c.structure, c.metric) == (fraction, FOREGROUND, "dice")
    }
    labels = fraction_name(fraction)
    if PRETRAINED not in at or SCRATCH not in at:
        return _alone(at, labels, who)
    gain = against[SCRATCH].difference
    decides = num_patients >= MIN_PATIENTS and gain.low is not None
    outcome, because = judge(
        gain,
        list(zip(at[PRETRAINED].seeds, against[SCRATCH].per_seed, strict=False)),
        worthwhile=WORTHWHILE,
        num_patients=num_patients,
    )
    headline = HEADLINES[outcome]
    ours, scratch = at[PRETRAINED].foreground.scores["dice"], at[SCRATCH].foreground.scores["dice"]
    sentence = (
        f"{headline}: with {labels} mean Dice {share(ours.value)} {interval(ours)} against "
        f"{share(scratch.value)} {interval(scratch)} from scratch, difference "
        f"{share(gain.value, sign=True)} {interval(gain, sign=True)}, on {who} "
        f"({_seeds(at[PRETRAINED], against[SCRATCH])}); {because}."
    )
    return Verdict(
        outcome=outcome,
        headline=headline,
        sentence=sentence,
        baseline=" ".join(
            _peer(c, at[c.against], num_patients) for key, c in against.items() if key != SCRATCH
        ),
        detectable=gain.detectable if decides else None,
    )


def _alone(at: dict[str, SegmentationRow], labels: str, who: str) -> Verdict:
    """Without the two rows that the question is about there is no answer, only numbers."""
    best = max(at.values(), key=lambda row: row.foreground.scores["dice"].value)
    dice = best.foreground.scores["dice"]
    missing = " and ".join(TITLES[key].lower() for key in (PRETRAINED, SCRATCH) if key not in at)
    return Verdict(
        outcome="cannot tell",
        headline=HEADLINES["cannot tell"],
        sentence=(
            f"{HEADLINES['cannot tell']}: with {labels}, “{missing}” was not run. "
            f"{best.title}: mean Dice {share(dice.value)} {interval(dice)} on {who}."
        ),
        baseline="",
        detectable=None,
    )


def _seeds(row: SegmentationRow, gain: SegmentationComparison) -> str:
    if len(row.seeds) == 1:
        return f"one seed, {row.seeds[0]}: another may differ"
    names = ", ".join(str(seed) for seed in row.seeds)
    return (
        f"mean of seeds {names}; {gain.num_seeds_above} of {len(row.seeds)} have their own "
        "interval above zero"
    )


def _peer(comparison: SegmentationComparison, row: SegmentationRow, num_patients: int) -> str:
    """Where the pre-trained network stands beside another one."""
    difference, dice = comparison.difference, row.foreground.scores["dice"]
    position = "cannot be told apart from"
    if num_patients < MIN_PATIENTS:
        # An interval of few patients may lie beside zero without deciding anything.
        position = "is not ranked against"
    elif difference.low is not None and difference.high is not None:
        if difference.low > 0:
            position = "is better than"
        elif difference.high < 0:
            position = "is worse than"
            if difference.low > -WORTHWHILE:
                position += f" (by less than {share(WORTHWHILE)})"
        elif difference.low > -WORTHWHILE:
            position = f"is at most {share(WORTHWHILE)} worse than"
    other = PHRASES.get(row.method, row.title)
    return (
        f"The fine-tuned network {position} {other} ({share(dice.value)} "
        f"{interval(dice)}; difference {share(difference.value, sign=True)} "
        f"{interval(difference, sign=True)})."
    )
