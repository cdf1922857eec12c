"""The nouns of a study of fine-tuned classifiers: what its `results.json` holds."""

import math
from dataclasses import asdict, dataclass, field

from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.classify_curve import Equivalence
from medjepa.evaluation.metrics import Floats
from medjepa.evaluation.results import Check, StudyPrediction, Verdict, plain_json

SCHEMA_VERSION = 1
"""Raised when a key of `results.json` changes its name or its meaning."""

PRETRAINED, SCRATCH, PARTIAL = "pretrained", "scratch", "partial"
LORA, FROZEN, MAJORITY = "lora", "frozen", "majority"
TITLES = {
    PRETRAINED: "Pre-trained, fine-tuned",
    PARTIAL: "Pre-trained, last blocks",
    LORA: "Pre-trained, LoRA",
    FROZEN: "Pre-trained, frozen",
    SCRATCH: "Same network, from scratch",
    MAJORITY: "Majority class",
}
METRICS = ("auc", "balanced_accuracy")


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """What one classifier took, and said of the test part.

    Attributes:
        method: one of `TITLES`.
        fraction: share of the labelled patients.
        draw: its number.
        num_labels: images that it learnt from, with the validation part.
        num_patients: of these.
        num_validation: of these, those held out to stop early; 0 where there were too few.
        num_parameters: trained.
        num_steps: that were done.
        best_step: after which the weights were taken.
        seconds: of training.
        scores: (num_test, C) probabilities.
    """

    method: str
    fraction: float
    draw: int
    num_labels: int
    num_patients: int
    num_validation: int
    num_parameters: int
    num_steps: int
    best_step: int
    seconds: float
    scores: Floats


@dataclass(frozen=True, kw_only=True)
class Row:
    """A method at one share of the labels; values and intervals are means over its draws.

    Attributes:
        method: key.
        title: what the reader sees.
        fraction: share of the labelled patients.
        num_draws: of patients and of training.
        num_labels: images, for each draw.
        num_patients: for each draw.
        num_validation: images held out to stop early, for each draw.
        num_parameters: trained.
        num_steps: for each draw.
        best_step: for each draw.
        seconds: for each draw.
        scores: metric -> mean over draws; the interval is over test patients alone.
        per_draw: metric -> one value for each draw.
        spread: metric -> standard deviation over draws, which is not in the interval.
    """

    method: str
    title: str
    fraction: float
    num_draws: int
    num_labels: tuple[int, ...]
    num_patients: tuple[int, ...]
    num_validation: tuple[int, ...]
    num_parameters: int
    num_steps: tuple[int, ...]
    best_step: tuple[int, ...]
    seconds: tuple[float, ...]
    scores: dict[str, Estimate]
    per_draw: dict[str, tuple[float, ...]]
    spread: dict[str, float | None]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Pre-trained minus another row, paired: same test images, same resamples.

    Attributes:
        against: key of the other method.
        fraction: share of the labels.
        metric: one of `METRICS`.
        difference: mean over draws, with its interval.
        per_draw: where both have the same draws.
    """

    against: str
    fraction: float
    metric: str
    difference: Estimate
    per_draw: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class ClassifyReport:
    """Everything a study found."""

    verdicts: tuple[Verdict, ...]
    equivalences: tuple[Equivalence, ...]
    label: str
    class_names: tuple[str, ...]
    train_counts: dict[str, int]
    test_counts: dict[str, int]
    num_train_patients: int | None
    num_test_patients: int | None
    num_unlabelled: int
    split: str
    budget: str
    rows: tuple[Row, ...]
    differences: tuple[Difference, ...]
    checks: tuple[Check, ...]
    warnings: tuple[str, ...]
    num_resamples: int
    num_redrawn: int
    seed: int
    synthetic: bool
    predictions: dict[tuple[str, float], tuple[StudyPrediction, ...]] = field(repr=False)
    run: dict[str, str]
    versions: dict[str, str]
    schema_version: int = SCHEMA_VERSION

    @property
    def fractions(self) -> tuple[float, ...]:
        """Shares of the labels, the largest first."""
        return tuple(sorted({row.fraction for row in self.rows}, reverse=True))

    @property
    def num_test(self) -> int:
        """Images in the test part."""
        return sum(self.test_counts.values())

    def row(self, method: str, fraction: float) -> Row | None:
        """The row of a method at a share; None if it was not asked for."""
        found = [r for r in self.rows if (r.method, r.fraction) == (method, fraction)]
        return found[0] if found else None

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values; a number that does not exist is null, as is an infinite one."""
        plain = asdict(self)
        del plain["predictions"]  # one line for each: predictions.csv
        unit = "images" if self.num_test_patients is None else "patients"
        plain["intervals"] = {
            "estimator": f"percentile bootstrap over test {unit}; draws are not in it",
            "confidence": 0.95,
            "num_resamples": self.num_resamples,
        }
        for one, row in zip(self.equivalences, plain["equivalences"], strict=True):
            row["beyond_the_curve"] = math.isinf(one.times)
        found = plain_json(plain)
        assert isinstance(found, dict)
        return found
