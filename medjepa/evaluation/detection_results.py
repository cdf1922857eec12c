"""The nouns of a detection study: what its `results.json` holds and its page is made from."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.results import Check, Verdict, plain_json
from medjepa.evaluation.trained import TrainedPart, TrainedRow

SCHEMA_VERSION = 1
"""Raised when a key of `results.json` changes its name or its meaning."""

PRETRAINED, SCRATCH, FROZEN = "pretrained", "scratch", "frozen"
TITLES = {
    PRETRAINED: "Pre-trained, fine-tuned",
    SCRATCH: "Same network, from scratch",
    FROZEN: "Frozen encoder, the same head",
}
MEAN_AP, AP_50 = "mean_ap", "ap50"
METRIC_NAMES = {MEAN_AP: "mAP@[.5:.95]", AP_50: "mAP@.5"}


@dataclass(frozen=True, kw_only=True)
class CaseBoxes:
    """What was found in one tested image, and what is there; corners in pixels of the file.

    Attributes:
        case: its number; nobody's name.
        patient: number of its patient.
        truth: (x0, y0, x1, y1) of each true box.
        truth_labels: class number of each.
        found: likewise.
        found_labels: likewise.
        scores: of each found box.
    """

    case: int
    patient: int
    truth: tuple[tuple[float, ...], ...]
    truth_labels: tuple[int, ...]
    found: tuple[tuple[float, ...], ...]
    found_labels: tuple[int, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class DetectionPart(TrainedPart):
    """One network that was trained and tested, and what it found in each image (`cases`)."""

    cases: tuple[CaseBoxes, ...]


@dataclass(frozen=True, kw_only=True)
class ClassResult:
    """One class of objects.

    Attributes:
        name: of the class.
        num_truth: true boxes in the test.
        scores: metric -> average precision with its interval, averaged over seeds.
    """

    name: str
    num_truth: int
    scores: dict[str, Estimate]


@dataclass(frozen=True, kw_only=True)
class DetectionRow(TrainedRow):
    """A row of the table.

    Attributes:
        scores: metric -> mean over classes with its interval, averaged over seeds.
        classes: each by itself.
        sensitivities: at each rate of false positives an image (FROC), averaged over seeds.
        per_seed: mAP@[.5:.95] of each seed, each with its own interval.
    """

    scores: dict[str, Estimate]
    classes: tuple[ClassResult, ...]
    sensitivities: tuple[Estimate, ...]
    per_seed: tuple[Estimate, ...]


@dataclass(frozen=True, kw_only=True)
class DetectionComparison:
    """Pre-trained minus another method at one share of the labels, on the same resamples."""

    against: str
    fraction: float
    metric: str
    difference: Estimate
    per_seed: tuple[Estimate, ...]


@dataclass(frozen=True, kw_only=True)
class DetectionReport:
    """Everything a detection study found; all numbers of every table and figure.

    `rates` are false positives an image, in the order of the sensitivities of the rows.
    """

    verdict: Verdict
    further: tuple[Verdict, ...]
    class_names: tuple[str, ...]
    num_patients: int
    num_cases: int
    num_without_boxes: int
    folds: tuple[str, ...]
    split: str
    layout: str
    image_size: str
    budget: str
    rates: tuple[float, ...]
    rows: tuple[DetectionRow, ...]
    comparisons: tuple[DetectionComparison, ...]
    checks: tuple[Check, ...]
    warnings: tuple[str, ...]
    num_resamples: int
    seed: int
    patients_known: bool = True
    run: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    @property
    def fractions(self) -> tuple[float, ...]:
        """Shares of the labels, the largest first."""
        return tuple(sorted({row.fraction for row in self.rows}, reverse=True))

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values; a number that does not exist is null, never NaN."""
        finite = plain_json(asdict(self))
        assert isinstance(finite, dict)
        return finite
