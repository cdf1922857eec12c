"""The nouns of an evaluation: what `results.json` holds and every report is made from."""

import math
from dataclasses import asdict, dataclass, field

from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.sections import Section

SCHEMA_VERSION = 1
"""Raised when a key of `results.json` changes its name or its meaning."""

PRETRAINED, UNTRAINED = "pretrained", "untrained"
SLICES, SLICES_UNTRAINED, INFLATED = "slices", "slices_untrained", "inflated"
TIMM = "timm"
PIXELS, GRADIENTS, MAJORITY = "pixels", "gradients", "majority"
TITLES = {
    PRETRAINED: "Pre-trained encoder",
    UNTRAINED: "Same encoder, untrained",
    SLICES: "2-D encoder, mean over planes",
    SLICES_UNTRAINED: "2-D encoder, untrained",
    INFLATED: "2-D encoder, inflated",
    TIMM: "Encoder of other images (timm)",
    PIXELS: "Pixels' principal components",
    GRADIENTS: "Oriented gradients",
    MAJORITY: "Majority class",
}
PLAIN_BASELINES = (PIXELS, GRADIENTS, MAJORITY)


@dataclass(frozen=True, kw_only=True)
class Scores:
    """One classifier on one kind of features.

    Attributes:
        auc: macro one-vs-rest area, averaged over seeds.
        balanced_accuracy: averaged over seeds.
        accuracy: averaged over seeds.
        per_seed: metric -> one value for each seed.
    """

    auc: Estimate
    balanced_accuracy: Estimate
    accuracy: Estimate
    per_seed: dict[str, tuple[float, ...]]

    def spread(self, metric: str) -> float | None:
        """Standard deviation between seeds; None for a single one."""
        values = self.per_seed[metric]
        if len(values) < 2:
            return None
        mean = sum(values) / len(values)
        return math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))


@dataclass(frozen=True, kw_only=True)
class MethodResult:
    """A row of the table: one kind of features under both classifiers.

    Attributes:
        key: one of `TITLES`.
        title: what the reader sees.
        seeds: of pre-training; empty for a baseline that has none.
        num_features: length of a feature vector.
        probe: logistic regression.
        knn: cosine nearest neighbours.
        c: chosen inverse regularisation, for each seed (and split).
        chosen_by: how C was chosen.
        converged: whether every chosen fit reached its tolerance.
        study: the linear probe's scores averaged over each study's images; None for no studies.
        attentive: the attentive probe on the tokens; None where it was not asked.
    """

    key: str
    title: str
    seeds: tuple[int, ...]
    num_features: int
    probe: Scores
    knn: Scores
    c: tuple[float, ...]
    chosen_by: str
    converged: bool
    study: Scores | None = None
    attentive: Scores | None = None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Pre-trained minus another method, linear probe, macro AUC, on the same resamples of patients.

    Attributes:
        against: key of the other method.
        difference: averaged over seeds.
        per_seed: for each seed.
    """

    against: str
    difference: Estimate
    per_seed: tuple[Estimate, ...]

    @property
    def num_seeds_above(self) -> int:
        """How many seeds have their own interval above zero."""
        return sum(1 for one in self.per_seed if one.low is not None and one.low > 0)


@dataclass(frozen=True, kw_only=True)
class LabelPoint:
    """One method at one share of the labels; the spread is over draws, not sampling error.

    Attributes:
        method: key of the method.
        fraction: share of the patients of each class that was asked for.
        num_labeled: images, for each draw.
        auc: on the whole test set, for each draw; averaged over seeds.
        balanced_accuracy: likewise.
        accuracy: likewise.
    """

    method: str
    fraction: float
    num_labeled: tuple[int, ...]
    auc: tuple[float, ...]
    balanced_accuracy: tuple[float, ...]
    accuracy: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean AUC over the draws."""
        return sum(self.auc) / len(self.auc)


@dataclass(frozen=True, kw_only=True)
class EmbeddingMap:
    """Test images in the plane; `place` (N, 2) in [0, 1], `label` (N,) class indices."""

    method: str
    place: tuple[tuple[float, float], ...]
    label: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One look for leaks before anything was measured; passed is None where it was impossible."""

    passed: bool | None
    text: str


@dataclass(frozen=True, kw_only=True)
class Shortcut:
    """What one column of the table has to do with the label; its values are not named.

    Attributes:
        column: its name.
        num_values: different values, those of a single patient counted as one.
        num_rare: values that a single patient has.
        num_images: images that have a value.
        alone: AUC of predicting the label from the column, on patients not learnt from.
        embedding: method -> AUC of predicting the column from its features, likewise.
        num_usable: values that hold several classes from enough patients each.
        patients: for each value the patients of each class.
        within: method -> AUC among test images of the same (usable) value.
        num_within: test images behind `within`.
        separable: False where the label cannot be told apart from the column.
        concentration: then, in words, why.
    """

    column: str
    num_values: int
    num_rare: int
    num_images: int
    alone: Estimate
    embedding: dict[str, Estimate]
    num_usable: int
    patients: tuple[tuple[int, ...], ...]
    within: dict[str, Estimate]
    num_within: int
    separable: bool
    concentration: str


@dataclass(frozen=True, kw_only=True)
class StudyPrediction:
    """A study of the test part: its pseudonym, its label, and the mean score of each class.

    Attributes:
        study: keyed pseudonym.
        label: its class (several, joined, where its images differ).
        scores: one for each class.
        num_clips: clips (or images) behind it.
        num_splits: splits in whose test part it was.
    """

    study: str
    label: str
    scores: tuple[float, ...]
    num_clips: int
    num_splits: int


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether pre-training helped.

    Attributes:
        outcome: "helped", "did not help" or "cannot tell".
        headline: the outcome as half a sentence.
        sentence: headline and numbers, the first line of every report.
        baseline: the distance to the best plain baseline, in a sentence.
        detectable: the true difference this test set finds with 80 % power; None if unknown.
    """

    outcome: str
    headline: str
    sentence: str
    baseline: str
    detectable: float | None


@dataclass(frozen=True, kw_only=True)
class LossCurve:
    """A run's losses over its steps, for one seed; all as long as `step`."""

    seed: int
    step: tuple[int, ...]
    total_loss: tuple[float, ...]
    prediction_loss: tuple[float, ...]
    regularization_loss: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything an evaluation found; all numbers of every table and figure."""

    verdict: Verdict
    label: str
    class_names: tuple[str, ...]
    num_train: int
    num_test: int
    train_counts: dict[str, int]
    test_counts: dict[str, int]
    num_train_patients: int | None
    num_test_patients: int | None
    num_unlabelled: int
    split: str
    seeds: tuple[int, ...]
    methods: tuple[MethodResult, ...]
    comparisons: tuple[Comparison, ...]
    label_efficiency: tuple[LabelPoint, ...]
    embedding_map: EmbeddingMap | None
    checks: tuple[Check, ...]
    warnings: tuple[str, ...]
    num_resamples: int
    num_redrawn: int
    seed: int
    synthetic: bool = False
    loss_curves: tuple[LossCurve, ...] = ()
    num_splits: int = 1
    shortcuts: tuple[Shortcut, ...] = ()
    studies: tuple[StudyPrediction, ...] = ()
    sections: tuple[Section, ...] = ()
    run: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def section(self, key: str) -> Section:
        """The section called `key`."""
        return next(section for section in self.sections if section.key == key)

    def method(self, key: str) -> MethodResult:
        """The row called `key`."""
        return next(method for method in self.methods if method.key == key)

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values; a number that does not exist is null, never NaN."""
        plain = asdict(self)
        del plain["studies"]  # one line for each: study_predictions.csv
        for method, row in zip(self.methods, plain["methods"], strict=True):
            for classifier, scores in (("probe", method.probe), ("knn", method.knn)):
                row[classifier]["seed_spread"] = {
                    name: scores.spread(name) for name in scores.per_seed
                }
        for comparison, row in zip(self.comparisons, plain["comparisons"], strict=True):
            row["detectable"] = comparison.difference.detectable
            row["num_seeds_above"] = comparison.num_seeds_above
        for point, row in zip(self.label_efficiency, plain["label_efficiency"], strict=True):
            row["mean_auc"] = point.mean
        for row in plain["sections"]:
            del row["figure"], row["signed"], row["warnings"]  # of the page, and of the report
        unit = "images" if self.num_test_patients is None else "patients"
        plain["intervals"] = {
            "estimator": f"percentile bootstrap over {unit}",
            "confidence": 0.95,
            "num_resamples": self.num_resamples,
        }
        finite = plain_json(plain)
        assert isinstance(finite, dict)
        return finite


def plain_json(value: object) -> object:
    """Copy nested values into what JSON can hold: numbers that are none become None."""
    if isinstance(value, dict):
        return {str(key): plain_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
