"""The first sentence of every report: helped, did not help, or cannot tell.

The rule, fixed before any number is seen. Primary metric: macro AUC of the linear probe,
pre-trained minus untrained, averaged over seeds, 95 % interval by paired bootstrap over patients.
- The test set has too few patients for a bootstrap (`MIN_PATIENTS`, `MIN_CLASS_PATIENTS`) or lacks
  classes: cannot tell.
- The label cannot be separated from a column that says where or how images were taken (the rule is
  in `shortcut`): cannot tell, whatever the numbers.
- Lower end above zero: helped.
- Upper end below `WORTHWHILE`: did not help (a gain that would matter is ruled out).
- Otherwise: cannot tell, with the difference that this test set could have found.
"""

from collections.abc import Sequence

from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.results import (
    INFLATED,
    MAJORITY,
    PLAIN_BASELINES,
    PRETRAINED,
    SLICES,
    TIMM,
    UNTRAINED,
    Comparison,
    MethodResult,
    Shortcut,
    Verdict,
)

WORTHWHILE = 0.01
"""The smallest gain in AUC that we call help."""

MIN_PATIENTS = 20
"""With fewer patients in the test set, intervals by bootstrap are too narrow to decide anything."""

MIN_CLASS_PATIENTS = 5
"""Likewise for the patients of the rarest class."""

HEADLINES: dict[str, str] = {
    "helped": "Pre-training helped",
    "did not help": "Pre-training did not help",
    "cannot tell": "Cannot tell whether pre-training helped",
}


def share(value: float | None, *, sign: bool = False) -> str:
    """Write .957, 1.000, or +.012 as tables do; a dash where there is no number."""
    if value is None or value != value:
        return "–"
    text = f"{abs(value):.3f}"
    text = text[1:] if text.startswith("0") else text
    if sign:
        return text if float(text) == 0 else ("−" if value < 0 else "+") + text
    return ("−" if value < 0 and float(text) else "") + text


def interval(estimate: Estimate, *, sign: bool = False) -> str:
    """Write the ends of an interval: [.930, .971]."""
    if estimate.low is None or estimate.high is None:
        return "[no interval]"
    return f"[{share(estimate.low, sign=sign)}, {share(estimate.high, sign=sign)}]"


_ALONE = "in this comparison alone, fixed beforehand, "
"""The tables' tests are corrected for their number, and may say less."""


def judge(gain: Estimate, too_small: str = "") -> tuple[str, str, float | None]:
    """Apply the rule to a gain alone: the outcome, why, and the difference that could be found.

    Args:
        gain: pre-trained minus what it is compared with; more is better.
        too_small: why this test set cannot decide, as half a sentence; "" if it can.
    """
    if too_small or gain.low is None or gain.high is None:
        return "cannot tell", too_small or "this test set gives no interval", None
    detectable = gain.detectable
    if gain.low > 0:
        return "helped", f"{_ALONE}the whole interval of the gain lies above zero", detectable
    if gain.high < 0:
        return (
            "did not help",
            f"{_ALONE}the whole interval of the gain lies below zero",
            detectable,
        )
    if gain.high < WORTHWHILE:
        return (
            "did not help",
            f"{_ALONE}a gain of {share(WORTHWHILE)} or more is ruled out",
            detectable,
        )
    found = f"this test set finds differences from about {share(detectable)} on"
    return "cannot tell", found, detectable


def decide(
    methods: Sequence[MethodResult],
    comparisons: Sequence[Comparison],
    *,
    num_test: int,
    num_patients: int | None,
    too_small: str = "",
    shortcuts: Sequence[Shortcut] = (),
) -> Verdict:
    """Apply the rule above and put it into words.

    Args:
        methods: rows of the table.
        comparisons: pre-trained minus each other method.
        num_test: images in the test set.
        num_patients: in the test set; None where patients are unknown.
        too_small: why this test set cannot decide, as half a sentence; "" if it can.
        shortcuts: columns that may give the label away.
    """
    confounded = confounder(shortcuts)
    rows = {method.key: method for method in methods}
    against = {comparison.against: comparison for comparison in comparisons}
    gain = against[UNTRAINED]
    ours, untrained = rows[PRETRAINED].probe.auc, rows[UNTRAINED].probe.auc
    because, detectable = "either may be recognition of that", None
    outcome = "cannot tell"
    if not confounded:
        outcome, because, detectable = judge(gain.difference, too_small)
    headline = HEADLINES[outcome]
    who = f"{num_test:,} test image{'s' if num_test != 1 else ''}"
    who += ", patients unknown" if num_patients is None else f" of {num_patients:,} patients"
    sentence = (
        f"{headline}: {confounded}AUC {share(ours.value)} {interval(ours)} against "
        f"{share(untrained.value)} {interval(untrained)} untrained, difference "
        f"{share(gain.difference.value, sign=True)} {interval(gain.difference, sign=True)}, "
        f"on {who} ({_seeds(rows[PRETRAINED].seeds, gain)}); {because}."
    )
    return Verdict(
        outcome=outcome,
        headline=headline,
        sentence=sentence,
        baseline=_distance(rows, against, too_small=bool(too_small)),
        detectable=detectable,
    )


def confounder(shortcuts: Sequence[Shortcut]) -> str:
    """Why the label cannot be told apart from something else, as a sentence; "" if it can."""
    found = [one for one in shortcuts if not one.separable]
    if not found:
        return ""
    worst = max(found, key=lambda one: one.alone.value)
    others = [one.column for one in found if one is not worst]
    told = worst.embedding.get(PRETRAINED)
    seen = (
        ""
        if told is None
        else f", and the embedding tells {worst.column} by {share(told.value)} {interval(told)}"
    )
    return (
        f"the label cannot be separated from {worst.column}. {worst.concentration}; "
        f"{worst.column} alone predicts the label with AUC {share(worst.alone.value)} "
        f"{interval(worst.alone)}{seen}. "
        + (f"The same holds for {', '.join(others)}. " if others else "")
    )


def _seeds(seeds: Sequence[int], gain: Comparison) -> str:
    if len(seeds) == 1:
        return f"one seed, {seeds[0]}: another may differ"
    names = ", ".join(str(seed) for seed in seeds)
    return (
        f"mean of seeds {names}; {gain.num_seeds_above} of {len(seeds)} have their own interval "
        "above zero"
    )


def _distance(
    rows: dict[str, MethodResult], against: dict[str, Comparison], *, too_small: bool
) -> str:
    """How far the best plain baseline is, whichever side of it we are on."""
    plain = [key for key in PLAIN_BASELINES if key != MAJORITY and key in rows]
    plain = [key for key in plain if rows[key].probe.auc.value == rows[key].probe.auc.value]
    if not plain:
        return ""
    best = max(plain, key=lambda key: rows[key].probe.auc.value)
    difference = against[best].difference
    position = "cannot be told apart from"
    if too_small:
        position = "cannot be told apart, with so few test patients, from"
    if not too_small and difference.low is not None and difference.low > 0:
        position = "is better than"
    if not too_small and difference.high is not None and difference.high < 0:
        position = "is worse than"
    title, auc = rows[best].title, rows[best].probe.auc
    plain_words = (
        f"Without any training, {title[0].lower()}{title[1:]} reach {share(auc.value)} "
        f"{interval(auc)}: the pre-trained encoder {position} that "
        f"(difference {share(difference.value, sign=True)} {interval(difference, sign=True)})."
    )
    return plain_words + "".join(
        f" {rows[key].title}: {share(rows[key].probe.auc.value)} {interval(rows[key].probe.auc)} "
        f"(difference {share(against[key].difference.value, sign=True)} "
        f"{interval(against[key].difference, sign=True)})."
        for key in (SLICES, INFLATED, TIMM)
        if key in rows
    )
