"""The nouns of a segmentation study: what its `results.json` holds and its page is made from."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from medjepa.evaluation.bootstrap import Estimate
from medjepa.evaluation.results import Check, Verdict, plain_json
from medjepa.evaluation.trained import TrainedPart, TrainedRow

SCHEMA_VERSION = 1
"""Raised when a key of `results.json` changes its name or its meaning."""

METRICS = ("dice", "iou", "hd95", "mean_distance")
FOREGROUND = "foreground"
"""The mean over all structures of a patient that are defined; the background is none."""

PRETRAINED, SCRATCH, FROZEN_LINEAR, UNET = "pretrained", "scratch", "frozen_linear", "unet"
PRETRAINED_LINEAR, FROZEN_LIGHT = "pretrained_linear", "frozen_light"
LINEAR, FROZEN = (FROZEN_LINEAR, PRETRAINED_LINEAR), (FROZEN_LINEAR, FROZEN_LIGHT)
"""Which networks have a linear decoder, and which leave the encoder as it is."""
TITLES = {
    PRETRAINED: "Pre-trained, fine-tuned",
    SCRATCH: "Same network, from scratch",
    FROZEN_LINEAR: "Frozen encoder, linear decoder",
    FROZEN_LIGHT: "Frozen encoder, light decoder",
    PRETRAINED_LINEAR: "Pre-trained, fine-tuned, linear decoder",
    UNET: "U-Net (MONAI), from scratch",
}


@dataclass(frozen=True, kw_only=True)
class StructureScore:
    """One structure of one case; a number that is not defined is NaN (see `dice`, `surface`).

    Attributes:
        structure: its name.
        dice: overlap.
        iou: overlap.
        hd95: 95th percentile of the surface distance, mm.
        mean_distance: mean surface distance, mm.
        num_truth: voxels of the truth.
        num_predicted: voxels of the prediction.
    """

    structure: str
    dice: float
    iou: float
    hd95: float
    mean_distance: float
    num_truth: int
    num_predicted: int


@dataclass(frozen=True, kw_only=True)
class CaseScore:
    """One tested image or volume.

    Attributes:
        case: its number; nobody's name.
        patient: number of its patient.
        structures: one score for each, in the study's order.
    """

    case: int
    patient: int
    structures: tuple[StructureScore, ...]


@dataclass(frozen=True, kw_only=True)
class Part(TrainedPart):
    """One network that was trained and tested, and its score in each case (`cases`)."""

    cases: tuple[CaseScore, ...]


@dataclass(frozen=True, kw_only=True)
class StructureResult:
    """One structure (or the mean foreground) over the patients of the test.

    Attributes:
        structure: its name.
        num_patients: in whom it is defined: it is there, or was found where it is not.
        num_empty: cases where it neither is nor was found; not counted.
        num_missed: cases where it is and nothing was found (Dice 0).
        num_invented: cases where it is not and something was found (Dice 0).
        scores: metric -> mean over patients with its interval, averaged over seeds.
        quartiles: metric -> 0, 25, 50, 75 and 100 % of the patients, averaged over seeds.
    """

    structure: str
    num_patients: int
    num_empty: int
    num_missed: int
    num_invented: int
    scores: dict[str, Estimate]
    quartiles: dict[str, tuple[float, ...]]


@dataclass(frozen=True, kw_only=True)
class SegmentationRow(TrainedRow):
    """A row of the table.

    Attributes:
        foreground: the mean over structures.
        structures: each by itself.
        per_seed: Dice of the foreground for each seed, each with its own interval.
        patients: Dice of the foreground of each patient, averaged over seeds; NaN if not defined.
    """

    foreground: StructureResult
    structures: tuple[StructureResult, ...]
    per_seed: tuple[Estimate, ...]
    patients: tuple[float, ...]

    @property
    def seed_spread(self) -> float | None:
        """Standard deviation of the foreground's Dice between seeds; None for a single one."""
        values = [one.value for one in self.per_seed]
        if len(values) < 2:
            return None
        mean = sum(values) / len(values)
        return math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))


@dataclass(frozen=True, kw_only=True)
class SegmentationComparison:
    """Pre-trained minus another method at one share of the labels, on the same resamples.

    Attributes:
        against: the other method.
        fraction: share of the labels.
        structure: its name, or `FOREGROUND`.
        metric: one of `METRICS`.
        num_patients: in whom both are defined.
        difference: mean over patients, averaged over seeds.
        per_seed: for each seed.
    """

    against: str
    fraction: float
    structure: str
    metric: str
    num_patients: int
    difference: Estimate
    per_seed: tuple[Estimate, ...]

    @property
    def num_seeds_above(self) -> int:
        """How many seeds have their own interval above zero."""
        return sum(1 for one in self.per_seed if one.low is not None and one.low > 0)


@dataclass(frozen=True, kw_only=True)
class SegmentationReport:
    """Everything a segmentation study found; all numbers of every table and figure."""

    verdict: Verdict
    further: tuple[Verdict, ...]
    structures: tuple[str, ...]
    values: tuple[tuple[int, ...], ...]
    num_patients: int
    num_cases: int
    folds: tuple[str, ...]
    split: str
    budget: str
    rows: tuple[SegmentationRow, ...]
    comparisons: tuple[SegmentationComparison, ...]
    parts: tuple[Part, ...]
    checks: tuple[Check, ...]
    warnings: tuple[str, ...]
    num_resamples: int
    seed: int
    patients_known: bool = True
    distance_unit: str = "mm"
    run: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def row(self, method: str, fraction: float) -> SegmentationRow | None:
        """The row of a method at a share of the labels, if it was run."""
        found = [r for r in self.rows if (r.method, r.fraction) == (method, fraction)]
        return found[0] if found else None

    @property
    def fractions(self) -> tuple[float, ...]:
        """Shares of the labels, the largest first."""
        return tuple(sorted({row.fraction for row in self.rows}, reverse=True))

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values; a number that does not exist is null, never NaN."""
        plain = asdict(self)
        for row, shown in zip(self.rows, plain["rows"], strict=True):
            shown["seed_spread"] = row.seed_spread
        for comparison, shown in zip(self.comparisons, plain["comparisons"], strict=True):
            shown["detectable"] = comparison.difference.detectable
            shown["num_seeds_above"] = comparison.num_seeds_above
        finite = plain_json(plain)
        assert isinstance(finite, dict)
        return finite
