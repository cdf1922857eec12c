"""The nouns of a choice between checkpoints without labels, and the rule that words it.

The rule, fixed before any number is seen. Each score prefers the checkpoint at which it is best;
all others that a paired interval of the difference cannot tell from that one are named beside it.
A checkpoint whose embeddings are all alike is no choice. Training losses of different objectives
are not compared. What the scores prefer is told as it is: they agree, disagree, or cannot tell.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from medjepa.evaluation.bootstrap import Estimate, Z, normal_estimate
from medjepa.evaluation.label_free import LOSS, SCORES
from medjepa.evaluation.metrics import Floats
from medjepa.evaluation.rank_correlation import Correlation
from medjepa.evaluation.results import Check, MethodResult, plain_json
from medjepa.evaluation.verdict import MIN_PATIENTS

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class CheckpointRow:
    """What was measured of one checkpoint.

    Attributes:
        name: of the candidate.
        step: trained; None if not recorded.
        seed: of its run.
        method: what trained it.
        num_features: D.
        collapsed: why it is no choice, "" if it is one.
        loss_of: what its training loss is the mean of.
        scores: key of the score -> value with its interval over patients.
        probe: metric -> linear probe on the test part; None where no label was given.
    """

    name: str
    step: int | None
    seed: int
    method: str
    num_features: int
    collapsed: str
    loss_of: str
    scores: dict[str, Estimate]
    probe: dict[str, Estimate] | None = None


@dataclass(frozen=True, kw_only=True)
class Preference:
    """What one score prefers.

    Attributes:
        key: of the score.
        title: for people.
        prefers: name of a checkpoint; None where it cannot say.
        alike: checkpoints that cannot be told from it by this score.
        why_not: why it cannot say.
        blind: linear probe's AUC of the preferred one minus the mean over all checkpoints, which is
            what choosing blindly gives; None without a label.
    """

    key: str
    title: str
    prefers: str | None
    alike: tuple[str, ...] = ()
    why_not: str = ""
    blind: Estimate | None = None


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Everything that `medjepa select` found.

    Attributes:
        outcome: "agree", "disagree" or "cannot tell".
        headline: what to read first.
        choose: the checkpoints that no score speaks against; empty where there is none.
        rows: the checkpoints.
        untrained: the first one's encoder before training, on the same images and views.
        preferences: of each score.
        correlations: of each score with the probe; empty without a label.
        baselines: linear probes of what needs no pre-training; empty without a label.
        checks: for leaks; empty without a label.
        label: the column, None without one.
        num_images: that were embedded.
        num_patients: of these; None where none are known.
        images_from: which images these are.
        num_views: of each.
        scale: share of an image that a view shows.
        strength: of the changes of its grey levels.
        seed: of images, views and resamples.
        num_resamples: of the patients, for the scores.
        test: what the probe was measured on, in words; "" without a label.
        warnings: what the reader should know.
        run: for the record.
    """

    outcome: str
    headline: str
    choose: tuple[str, ...]
    rows: tuple[CheckpointRow, ...]
    untrained: CheckpointRow
    preferences: tuple[Preference, ...]
    correlations: tuple[Correlation, ...]
    baselines: tuple[MethodResult, ...]
    checks: tuple[Check, ...]
    label: str | None
    num_images: int
    num_patients: int | None
    images_from: str
    num_views: int
    scale: tuple[float, float]
    strength: float
    seed: int
    num_resamples: int
    test: str
    warnings: tuple[str, ...]
    run: dict[str, str] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values; a number that does not exist is null."""
        plain = asdict(self)
        plain["scores"] = [
            {
                "key": score.key,
                "title": score.title,
                "higher_is_better": score.higher_is_better,
                "meaning": score.meaning,
            }
            for score in SCORES
        ]
        unit = "images" if self.num_patients is None else "patients"
        plain["intervals"] = {
            "scores": f"value +- {Z:.2f} standard deviations of a bootstrap over {unit}",
            "probe": "percentile bootstrap over the test's patients",
            "confidence": 0.95,
        }
        finite = plain_json(plain)
        assert isinstance(finite, dict)
        return finite


def around(value: float, samples: Floats, num_patients: int) -> Estimate:
    """A score with its interval: the value and the deviation of its resamples.

    No percentiles: a resample holds fewer different images, so ranks of resamples are lower.

    Args:
        value: on all images.
        samples: (R,) on resamples of the patients.
        num_patients: fewer than `MIN_PATIENTS` give no interval.
    """
    if num_patients < MIN_PATIENTS:
        return Estimate(value=float(value), low=None, high=None, standard_error=None)
    return normal_estimate(float(value), samples)


def prefer(
    rows: Sequence[CheckpointRow],
    samples: Sequence[Mapping[str, Floats]],
    *,
    num_patients: int,
    loss_differs: str,
) -> list[Preference]:
    """Apply the rule to every score.

    Args:
        rows: checkpoints.
        samples: for each, score -> (R,) on the same resamples; none for the training loss.
        num_patients: behind the resamples.
        loss_differs: why training losses cannot be compared; "" if they can.
    """
    found = []
    places = [place for place, row in enumerate(rows) if not row.collapsed]
    for score in SCORES:
        why_not = loss_differs if score.key == LOSS else ""
        if not why_not and len(places) == 0:
            why_not = "all checkpoints have collapsed"
        if why_not:
            found.append(
                Preference(key=score.key, title=score.title, prefers=None, why_not=why_not)
            )
            continue
        value = {place: score.sign * rows[place].scores[score.key].value for place in places}
        best = max(places, key=lambda place: value[place])
        alike = [p for p in places if p != best and value[p] == value[best]]
        if score.key != LOSS:
            alike = [
                place
                for place in places
                if place != best
                and not _told_apart(
                    value[best] - value[place],
                    samples[best][score.key] - samples[place][score.key],
                    num_patients,
                )
            ]
        found.append(
            Preference(
                key=score.key,
                title=score.title,
                prefers=rows[best].name,
                alike=tuple(rows[place].name for place in alike),
            )
        )
    return found


def word(preferences: Sequence[Preference]) -> tuple[str, str, tuple[str, ...]]:
    """The outcome, the first sentence, and the checkpoints that no score speaks against."""
    usable = [one for one in preferences if one.prefers is not None]
    if not usable:
        reasons = dict.fromkeys(one.why_not for one in preferences)
        return "cannot tell", f"cannot tell: {'; '.join(reasons)}", ()
    sides: dict[str, list[str]] = {}
    for one in usable:
        sides.setdefault(str(one.prefers), []).append(one.title)
    told = "; ".join(f"{name} by {_listed(titles)}" for name, titles in sides.items())
    common = [
        name
        for name in dict.fromkeys(name for one in usable for name in (one.prefers, *one.alike))
        if all(name in (one.prefers, *one.alike) for one in usable)
    ]
    choose = tuple(str(name) for name in common)
    if len(sides) == 1:
        name = next(iter(sides))
        more = [one for one in choose if one != name]
        beside = f", though none can tell {_listed(more)} from it" if more else ""
        return "agree", f"the scores agree: {name} by {_listed(sides[name])}{beside}", choose
    if choose:
        text = f"cannot tell: {told}; but no score can tell {_listed(choose)} from its own choice"
        return "cannot tell", text, choose
    return "disagree", f"the scores disagree: {told}", ()


def _told_apart(difference: float, samples: Floats, num_patients: int) -> bool:
    """Whether the interval of a paired difference leaves out 0."""
    found = around(difference, samples, num_patients)
    return found.low is not None and found.low > 0


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
