"""Whether pre-training helped a segmentation, in a sentence, by a rule fixed beforehand.

Primary metric: mean foreground Dice, fine-tuned from pre-training minus the same network from
scratch under the same budget, averaged over seeds, 95 % interval by paired bootstrap over
patients. At each share of the labels by itself; the headline is the largest share, what one has.
- Fewer than `MIN_PATIENTS` patients were tested, or no interval exists: cannot tell.
- Lower end above zero: helped.
- Upper end below `WORTHWHILE`: did not help (a gain that would matter is ruled out).
- Either of them, but some seed by itself points the other way (no gain; a gain of `WORTHWHILE`):
  cannot tell. Training a network again often changes more than drawing other patients does, and
  that is not in the interval.
- Otherwise: cannot tell, with the difference that this many patients could have found.
"""

from collections.abc import Sequence

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
    labels = "all labels" if fraction == 1 else f"{100 * fraction:g} % of the labels"
    if PRETRAINED not in at or SCRATCH not in at:
        return _alone(at, labels, who)
    gain = against[SCRATCH].difference
    detectable = gain.detectable
    if num_patients < MIN_PATIENTS or gain.low is None or gain.high is None:
        outcome, detectable = "cannot tell", None
        because = (
            f"{num_patients} patients were tested, and with fewer than {MIN_PATIENTS} intervals "
            "are too narrow to decide"
            if num_patients < MIN_PATIENTS
            else "these patients give no interval"
        )
    elif gain.low > 0:
        outcome, because = "helped", "the whole interval of the gain lies above zero"
    elif gain.high < WORTHWHILE:
        outcome = "did not help"
        because = f"a gain of {share(WORTHWHILE)} or more is ruled out"
        if gain.high < 0:
            because = "the whole interval of the gain lies below zero"
    else:
        outcome = "cannot tell"
        because = f"so many patients find differences from about {share(detectable)} on"
    if outcome != "cannot tell" and (odd := _odd_seeds(outcome, at[PRETRAINED], against[SCRATCH])):
        outcome = "cannot tell"
        because = f"the seeds disagree: {odd}"
    headline = {
        "helped": "Pre-training helped",
        "did not help": "Pre-training did not help",
        "cannot tell": "Cannot tell whether pre-training helped",
    }[outcome]
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
        detectable=detectable,
    )


def _alone(at: dict[str, SegmentationRow], labels: str, who: str) -> Verdict:
    """Without the two rows that the question is about there is no answer, only numbers."""
    best = max(at.values(), key=lambda row: row.foreground.scores["dice"].value)
    dice = best.foreground.scores["dice"]
    missing = " and ".join(TITLES[key].lower() for key in (PRETRAINED, SCRATCH) if key not in at)
    return Verdict(
        outcome="cannot tell",
        headline="Cannot tell whether pre-training helped",
        sentence=(
            f"Cannot tell whether pre-training helped: with {labels}, “{missing}” was not run. "
            f"{best.title}: mean Dice {share(dice.value)} {interval(dice)} on {who}."
        ),
        baseline="",
        detectable=None,
    )


def _odd_seeds(outcome: str, row: SegmentationRow, gain: SegmentationComparison) -> str:
    """Seeds that by themselves point the other way, with their differences; "" if none does."""
    odd = [
        f"{share(one.value, sign=True)} with seed {seed}"
        for seed, one in zip(row.seeds, gain.per_seed, strict=False)
        if (one.value <= 0 if outcome == "helped" else one.value >= WORTHWHILE)
    ]
    return ", ".join(odd)


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
