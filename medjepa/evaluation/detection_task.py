"""`finetune task=detect`: from the settings to the report of a study."""

import hashlib
import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from medjepa import __version__
from medjepa.config import Config, to_dict
from medjepa.config.finetune import FinetuneConfig
from medjepa.data.preprocessing import Pipeline
from medjepa.errors import ConfigError, DataError
from medjepa.evaluation.detection_data import BoxCases, BoxSubset, open_boxes
from medjepa.evaluation.detection_files import load_boxes, save_boxes
from medjepa.evaluation.detection_metrics import RATES
from medjepa.evaluation.detection_results import (
    FROZEN,
    SCRATCH,
    TITLES,
    CaseBoxes,
    DetectionPart,
    DetectionReport,
)
from medjepa.evaluation.detection_study import decide, tabulate
from medjepa.evaluation.embed import untrained_twin
from medjepa.evaluation.metrics import Integers
from medjepa.evaluation.part_files import PARTS
from medjepa.evaluation.segmentation_data import Cases
from medjepa.evaluation.segmentation_files import part_name, settings_hash
from medjepa.evaluation.segmentation_networks import recipe_settings, settings_of
from medjepa.evaluation.segmentation_task import (
    Pretrained,
    budget_text,
    check_out,
    image_stores,
    pretrained_runs,
    study_checks,
    write_case_list,
)
from medjepa.evaluation.verdict import MIN_PATIENTS
from medjepa.models.detector import Detector
from medjepa.models.image_model import ImageModel
from medjepa.models.vjepa import VJEPA
from medjepa.training.detection import batch, finetune_detector
from medjepa.training.finetune import FinetuneSettings
from medjepa.training.interrupts import StopWish, interrupts
from medjepa.utils.device import choose_device
from medjepa.utils.logging import get_logger
from medjepa.utils.progress import progress

METHODS = tuple(TITLES)
_SHOWN = 6
_logger = get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class ShownImage:
    """A tested image that the page has a picture of.

    Attributes:
        case: what is there and what was found.
        image: (H, W) or (H, W, 3) grey levels, at the network's size.
        size: (height, width) of the file, in whose pixels the boxes are.
    """

    case: CaseBoxes
    image: NDArray[np.uint8]
    size: tuple[int, int]


def run_detection(config: Config, command: str) -> tuple[DetectionReport, list[ShownImage]]:
    """Train and test every network that is asked for and not there yet, and report on all.

    Args:
        config: all settings.
        command: what the user typed, for the record.

    Raises:
        KeyboardInterrupt: the user asked to stop; the same command goes on.
        CheckpointError: a checkpoint cannot be read.
        ConfigError: settings that contradict each other, or a model that is not of images.
        DataError: data that do not hold together, or a folder with other parts.
    """
    out = Path(config.out)
    check_out(out)
    methods = methods_of(config.finetune)
    seeds, pretrained = pretrained_runs(config)
    first = next(iter(pretrained.values()))
    if not isinstance(first.pipeline, Pipeline):
        raise ConfigError("checkpoint: boxes are found in images; this model is of volumes")
    side = config.finetune.longer_side or max(first.pipeline.image_size or first.pipeline.size)
    stores = image_stores(config, first.pipeline)
    cases, boxes = open_boxes(config, stores, first.pipeline, longer_side=side)
    folds = cases.folds(config.finetune.folds)
    recipe = settings_of(config)
    checks = study_checks(cases, folds, list(pretrained.values()))
    device = choose_device(config.hardware.device)
    out.mkdir(parents=True, exist_ok=True)
    write_case_list(out, cases, boxes.store_of, stores)
    fractions = tuple(sorted(set(config.finetune.fractions), reverse=True))
    plan = [
        (fold, seed, fraction, method)
        for fold in folds
        for seed in seeds
        for fraction in fractions
        for method in methods
    ]
    parts = []
    with interrupts() as wish:
        for number, (fold, seed, fraction, method) in enumerate(plan, start=1):
            study = _Study(cases, boxes, recipe, out, device, wish, side)
            _logger.info("network %d of %d", number, len(plan))
            parts.append(study.part(method, fraction, fold, seed, pretrained[seed]))
    rows, comparisons = tabulate(
        parts, boxes.class_names, num_resamples=config.evaluation.num_bootstrap, seed=config.seed
    )
    tested = {case.case: case for part in parts for case in part.cases}
    num_patients = len({case.patient for case in tested.values()})
    verdicts = [
        decide(rows, comparisons, fraction, num_patients=num_patients, patients_known=cases.known)
        for fraction in fractions
    ]
    budget = {"steps": recipe.steps} if recipe.steps else {"minutes": recipe.minutes or 0.0}
    report = DetectionReport(
        verdict=verdicts[0],
        further=tuple(verdicts[1:]),
        class_names=boxes.class_names,
        num_patients=num_patients,
        num_cases=len(tested),
        num_without_boxes=sum(not case.truth for case in tested.values()),
        folds=folds,
        split=f"{cases.split}, tested: {', '.join(folds)}",
        layout=boxes.layout,
        image_size=f"{side} pixels on the longer side",
        budget=budget_text(budget),
        rates=RATES,
        rows=rows,
        comparisons=comparisons,
        checks=tuple(checks),
        warnings=(*boxes.notes, *_warnings(num_patients, seeds, cases)),
        num_resamples=config.evaluation.num_bootstrap,
        seed=config.seed,
        patients_known=cases.known,
        run={"command": command, "config_hash": settings_hash(to_dict(config))},
        versions={
            "medjepa": __version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "Python": platform.python_version(),
        },
    )
    return report, _shown(boxes, parts, report)


def methods_of(asked: FinetuneConfig) -> tuple[str, ...]:
    """The networks that are compared.

    Raises:
        ConfigError: an unknown one.
    """
    if unknown := [name for name in asked.methods if name not in TITLES]:
        raise ConfigError(
            f"finetune.methods: {unknown[0]} is unknown to task=detect; of {', '.join(METHODS)}"
        )
    return asked.methods


def detector_of(method: str, model: ImageModel | VJEPA, num_classes: int, *, seed: int) -> Detector:
    """Build a detector on a copy of a pre-trained encoder, or on its untrained twin.

    Args:
        method: one of `TITLES`.
        model: pre-trained, of images.
        num_classes: of objects.
        seed: of all weights that are not pre-trained.
    """
    assert not isinstance(model, VJEPA)  # its pipeline is one of images
    twin = untrained_twin(model, seed=seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if method != SCRATCH:
            twin.encoder.load_state_dict(model.encoder.state_dict())
        return Detector(
            twin.encoder,
            num_classes,
            frozen=method == FROZEN,
            mean=twin.pixel_mean.cpu(),
            std=twin.pixel_std.cpu(),
        )


@dataclass(frozen=True)
class _Study:
    cases: Cases
    boxes: BoxCases
    recipe: FinetuneSettings
    out: Path
    device: torch.device
    wish: StopWish
    side: int

    def part(
        self, method: str, fraction: float, fold: str, seed: int, pretrained: Pretrained
    ) -> DetectionPart:
        """Train and test one network, or read what it found."""
        task = self.cases.task(fold, fraction, seed=seed)
        settings = {
            "task": "detect",
            "checkpoint": pretrained.identity,
            "classes": list(self.boxes.class_names),
            "split": self.cases.split,
            "longer_side": self.side,
            **recipe_settings(self.recipe),
            "steps": self.recipe.steps,
            "minutes": self.recipe.minutes,
            "method": method,
            "labels": fraction,
            "fold": fold,
            "seed": seed,
            "train": self._hash(task.train),
            "test": self._hash(task.test),
        }
        folder = self.out / PARTS / part_name(method, fraction, fold, seed)
        found = load_boxes(folder, settings)
        if found is not None:
            return found
        folder.mkdir(parents=True, exist_ok=True)
        network = detector_of(method, pretrained.model, len(self.boxes.class_names), seed=seed)
        trained = finetune_detector(
            network,
            BoxSubset(self.boxes, task.train),
            folder=folder,
            settings=self.recipe,
            seed=seed,
            device=self.device,
            progress=progress,
            wish=self.wish,
        )
        part = DetectionPart(
            method=method,
            fraction=fraction,
            fold=fold,
            seed=seed,
            num_labels=len(task.train),
            num_parameters=sum(p.numel() for p in network.parameters() if p.requires_grad),
            num_steps=trained.num_steps,
            seconds=trained.seconds,
            cases=self._test(network, task.test, folder.name),
        )
        save_boxes(folder, part, settings)
        return part

    def _test(self, network: Detector, tested: Integers, name: str) -> tuple[CaseBoxes, ...]:
        network.eval()
        cases = []
        with progress(f"test {name}", len(tested)) as advance:
            for case in tested.tolist():
                if self.wish:
                    raise KeyboardInterrupt
                image = self.boxes.boxed(case).image
                found = network.detect(batch([image]).to(self.device))[0]
                corners = found.boxes.double().numpy() / self.boxes.factor(case)
                cases.append(
                    CaseBoxes(
                        case=case,
                        patient=int(self.cases.patients[case]),
                        truth=_rounded(self.boxes.corners(case)),
                        truth_labels=tuple(self.boxes.labels(case).tolist()),
                        found=_rounded(corners),
                        found_labels=tuple(found.labels.tolist()),
                        scores=tuple(round(score, 5) for score in found.scores.tolist()),
                    )
                )
                advance(1)
        return tuple(cases)

    def _hash(self, chosen: Integers) -> str:
        """Of which images, and their boxes."""
        content = [
            [self.cases.keys[case], self.boxes.boxes[case].corners, self.boxes.boxes[case].labels]
            for case in chosen
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]


def _rounded(boxes: NDArray[np.float64]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(round(float(n), 2) for n in box) for box in boxes)


def _warnings(num_patients: int, seeds: Sequence[int], cases: Cases) -> list[str]:
    found = []
    if num_patients < MIN_PATIENTS:
        found.append(
            f"Fewer than {MIN_PATIENTS} patients were tested ({num_patients}): the intervals are "
            "too narrow, and nothing is decided."
        )
    if not cases.known:
        found.append("Patients are unknown: every image counts as its own in the intervals.")
    if len(seeds) == 1:
        found.append(
            "One seed: how much another start of training would change is not known, and is not "
            "in the intervals; seeds=[0,1,2] tells."
        )
    return found


def _shown(
    boxes: BoxCases, parts: Sequence[DetectionPart], report: DetectionReport
) -> list[ShownImage]:
    """The first images of the table's first row, by number: nothing is chosen by its result."""
    first = report.rows[0]
    cases = [
        case
        for part in parts
        if (part.method, part.fraction, part.seed) == (first.method, first.fraction, first.seeds[0])
        for case in part.cases
    ]
    if not cases:
        raise DataError("no image was tested")
    shown = []
    for case in sorted(cases, key=lambda one: one.case)[:_SHOWN]:
        place = boxes.places[case.case]
        pixels = np.rint(255 * boxes.files.read(place)).astype(np.uint8)
        image = pixels[0] if len(pixels) == 1 else np.moveaxis(pixels[:3], 0, 2)
        shown.append(
            ShownImage(
                case=case, image=np.ascontiguousarray(image), size=boxes.files.original(place)
            )
        )
    return shown
