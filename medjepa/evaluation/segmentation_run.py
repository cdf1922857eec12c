"""Every network of a study in turn: trained on some patients, tested on others, written down.

A network that is finished is read back, so the same command goes on where it was stopped.
"""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medjepa.evaluation.dice import Structure
from medjepa.evaluation.metrics import Integers
from medjepa.evaluation.part_files import PARTS
from medjepa.evaluation.segmentation_data import Cases
from medjepa.evaluation.segmentation_files import (
    load_part,
    part_name,
    save_part,
    save_planes,
)
from medjepa.evaluation.segmentation_planes import planes_of
from medjepa.evaluation.segmentation_results import CaseScore, Part
from medjepa.evaluation.segmentation_study import score_case
from medjepa.models.segmenter import score
from medjepa.models.sliding_window import segment
from medjepa.training.interrupts import StopWish
from medjepa.training.segmentation_crops import CropSource
from medjepa.utils.logging import get_logger
from medjepa.utils.progress import time_left

Progress = Callable[..., AbstractContextManager[Callable[..., object]]]
"""`with progress(description, total) as advance: advance(1)`"""

_logger = get_logger(__name__)


@runtime_checkable
class Volumes(Protocol):
    """The cases of a study, each read as it is needed; whole images are never held."""

    structures: tuple[Structure, ...]
    regions: bool
    """whether truth is (R, *spatial) masks that may overlap, and not a label map"""

    def shape(self, case: int) -> tuple[int, ...]:
        """Size of an image without channels."""

    def spacing(self, case: int) -> tuple[float, ...]:
        """Step of each axis in mm; 1 where it is unknown."""

    def known_spacing(self, case: int) -> tuple[float, ...]:
        """Step of each axis in mm; NaN where it is unknown."""

    def turned(self, case: int) -> bool:
        """Whether the axes are known to grow to the patient's head, front and right."""

    def read(self, case: int, start: Sequence[int], shape: Sequence[int]) -> NDArray[np.float32]:
        """A part of an image, (C, *shape) in [0, 1]."""

    def truth(self, case: int) -> NDArray[np.uint8]:
        """A whole label map, on the image's grid."""

    def crops(self, train: Integers, *, window: Sequence[int], seed: int) -> CropSource:
        """Crops of some cases, for learning."""


@dataclass(frozen=True)
class Trained:
    """What training took."""

    num_steps: int
    seconds: float


@runtime_checkable
class Learn(Protocol):
    """Trains a network in place on some cases; it goes on where it was stopped in `folder`."""

    def __call__(
        self, network: nn.Module, train: Integers, *, method: str, folder: Path, seed: int
    ) -> Trained:
        """Return what it took.

        Raises:
            KeyboardInterrupt: it was asked to stop, and what was done is saved.
        """


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be compared.

    Attributes:
        methods: names of the networks.
        fractions: shares of the labelled patients.
        folds: parts that are tested, in turn.
        seeds: one network for each.
        window: the networks' input size.
        overlap: of neighbouring windows.
        budget: of every training, as the settings give it.
        checkpoints: of each seed, what its pre-trained weights are known by.
        settings: what else the numbers depend on.
        device: where the networks are.
    """

    methods: tuple[str, ...]
    fractions: tuple[float, ...]
    folds: tuple[str, ...]
    seeds: tuple[int, ...]
    window: tuple[int, ...]
    overlap: float
    budget: Mapping[str, object]
    checkpoints: Mapping[int, str]
    settings: Mapping[str, object]
    device: torch.device

    def __iter__(self) -> Any:  # noqa: ANN401 - an iterator of four names
        """(fold, seed, fraction, method), a fold being finished before the next begins."""
        for fold in self.folds:
            for seed in self.seeds:
                for fraction in self.fractions:
                    for method in self.methods:
                        yield fold, seed, fraction, method

    def __len__(self) -> int:
        return len(self.folds) * len(self.seeds) * len(self.fractions) * len(self.methods)


def run_study(
    plan: Plan,
    cases: Cases,
    volumes: Volumes,
    build: Callable[[str, int], nn.Module],
    learn: Learn,
    out: Path,
    *,
    progress: Progress,
    wish: StopWish,
) -> list[Part]:
    """Train and test what is not there yet; returns every part of the plan.

    Args:
        plan: what is compared.
        cases: who is trained on and tested.
        volumes: their images and label maps.
        build: (method, seed) -> a new network of (B, C, *window) to (B, K, *window).
        learn: trains one.
        out: the study's folder.
        progress: shows how far the prediction is.
        wish: whether the user asked to stop.

    Raises:
        KeyboardInterrupt: the user asked to stop; what is finished is written.
        DataError: the folder holds parts of other settings.
    """
    parts: list[Part] = []
    pace = _Pace(len(plan))
    for fold, seed, fraction, method in plan:
        task = cases.task(fold, fraction, seed=seed)
        settings = {
            **plan.settings,
            "checkpoint": plan.checkpoints[seed],
            "method": method,
            "labels": fraction,
            "fold": fold,
            "seed": seed,
            "window": list(plan.window),
            "overlap": plan.overlap,
            "train": _hash_of(cases.keys, task.train),
            "test": _hash_of(cases.keys, task.test),
            **plan.budget,
        }
        folder = out / PARTS / part_name(method, fraction, fold, seed)
        part = load_part(folder, settings)
        if part is None:
            folder.mkdir(parents=True, exist_ok=True)
            _logger.info(
                "network %d of %d%s: %s, %d labelled cases, %d to test",
                len(parts) + 1, len(plan), pace.left(len(parts)), folder.name,
                len(task.train), len(task.test),
            )  # fmt: skip
            network = build(method, seed).to(plan.device)
            trained = learn(network, task.train, method=method, folder=folder, seed=seed)
            scores = test(
                network, task.test, cases, volumes, plan, folder, progress=progress, wish=wish
            )
            part = Part(
                method=method,
                fraction=fraction,
                fold=fold,
                seed=seed,
                num_labels=len(task.train),
                num_parameters=sum(p.numel() for p in network.parameters() if p.requires_grad),
                num_steps=trained.num_steps,
                seconds=trained.seconds,
                cases=scores,
            )
            save_part(folder, part, settings)
            pace.count()
        parts.append(part)
    return parts


class _Pace:
    """How long the rest takes, by the networks that were trained here: each has one budget."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.begin = total, 0, time.monotonic()

    def count(self) -> None:
        self.done += 1

    def left(self, finished: int) -> str:
        if not self.done:
            return ""
        each = (time.monotonic() - self.begin) / self.done
        return f" (about {time_left(each * (self.total - finished))} left)"


def test(
    network: nn.Module,
    tested: Integers,
    cases: Cases,
    volumes: Volumes,
    plan: Plan,
    folder: Path,
    *,
    progress: Progress,
    wish: StopWish,
) -> tuple[CaseScore, ...]:
    """Predict and score every tested case, and keep planes of it in the part's `folder`.

    Other arguments as `run_study`.
    """
    network.eval()
    scores = []
    with progress(f"test {folder.name}", len(tested)) as advance:
        for case in tested.tolist():
            if wish:
                raise KeyboardInterrupt
            truth = volumes.truth(case)
            found = predict(network, volumes, case, plan)
            spacing = volumes.spacing(case)
            scores.append(
                score_case(
                    truth,
                    found,
                    volumes.structures,
                    spacing,
                    case=case,
                    patient=int(cases.patients[case]),
                )
            )
            save_planes(
                folder,
                case,
                planes_of(
                    partial(volumes.read, case), truth, found, spacing, turned=volumes.turned(case)
                ),
            )
            advance(1)
    return tuple(scores)


def predict(network: nn.Module, volumes: Volumes, case: int, plan: Plan) -> NDArray[np.uint8]:
    """Label one case by overlapping windows; in the values of the truth, or as regions."""
    spacing = torch.tensor([volumes.known_spacing(case)], device=plan.device)

    def probabilities(batch: Tensor) -> Tensor:
        if batch.ndim == 5:
            # Convolutions of volumes on CPU take several times as long with channels first.
            batch = batch.contiguous(memory_format=torch.channels_last_3d)
        scores = score(network, batch, spacing.expand(len(batch), -1))
        return scores.sigmoid() if volumes.regions else scores.softmax(1)

    found = segment(
        probabilities,
        partial(volumes.read, case),
        volumes.shape(case),
        plan.window,
        regions=volumes.regions,
        overlap=plan.overlap,
        device=plan.device,
    )
    return found if volumes.regions else label_values(volumes.structures)[found]


def label_values(structures: Sequence[Structure]) -> NDArray[np.uint8]:
    """The label value of each class of a network: 0, then every value that occurs, ascending."""
    values = {value for structure in structures for value in structure.values}
    return np.asarray([0, *sorted(values)], np.uint8)


def _hash_of(keys: Sequence[str], chosen: Integers) -> str:
    text = " ".join(keys[i] for i in chosen)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
