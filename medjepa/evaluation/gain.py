"""Whether pre-training helped a network that was trained on labels, by a rule fixed beforehand.

Of the paired difference to the same network from scratch under the same budget, averaged over
seeds, with its 95 % interval over patients:
- Fewer than `MIN_PATIENTS` patients were tested, or no interval exists: cannot tell.
- Lower end above zero: helped.
- Upper end below what is worthwhile: did not help (a gain that would matter is ruled out).
- Either of them, but some seed by itself points the other way (no gain; a worthwhile one): cannot
  tell. Training a network again often changes more than drawing other patients does, and that is
  not in the interval.
- Otherwise: cannot tell, with the difference that this many patients could have found.
"""

from collections.abc import Sequence

from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.verdict import MIN_PATIENTS, share

HEADLINES = {
    "helped": "Pre-training helped",
    "did not help": "Pre-training did not help",
    "cannot tell": "Cannot tell whether pre-training helped",
}


def judge(
    gain: Estimate,
    by_seed: Sequence[tuple[int, Estimate]],
    *,
    worthwhile: float,
    num_patients: int,
) -> tuple[str, str]:
    """Apply the rule above; returns the outcome and, as a half sentence, the reason.

    Args:
        gain: fine-tuned from pre-training minus from scratch, averaged over seeds.
        by_seed: each seed with its own difference.
        worthwhile: the smallest gain that is called one.
        num_patients: that were tested.
    """
    if num_patients < MIN_PATIENTS:
        return "cannot tell", (
            f"with fewer than {MIN_PATIENTS} tested patients intervals are too narrow to decide"
        )
    if gain.low is None or gain.high is None:
        return "cannot tell", "these patients give no interval"
    if gain.low > 0:
        outcome, because = "helped", "the whole interval of the gain lies above zero"
        odd = [(seed, one) for seed, one in by_seed if one.value <= 0]
    elif gain.high < worthwhile:
        outcome, because = "did not help", f"a gain of {share(worthwhile)} or more is ruled out"
        if gain.high < 0:
            because = "the whole interval of the gain lies below zero"
        odd = [(seed, one) for seed, one in by_seed if one.value >= worthwhile]
    else:
        because = f"so many patients find differences from about {share(gain.detectable)} on"
        return "cannot tell", because
    if odd:
        named = ", ".join(f"{share(one.value, sign=True)} with seed {seed}" for seed, one in odd)
        return "cannot tell", f"the seeds disagree: {named}"
    return outcome, because


def fraction_name(fraction: float) -> str:
    """Write "all labels" or "10 % of the labels"."""
    return "all labels" if fraction == 1 else f"{100 * fraction:g} % of the labels"
