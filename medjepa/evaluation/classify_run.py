"""Every classifier of a study in turn: trained on some patients, measured on others, written down.

A classifier that is finished is read back, so the same command goes on where it was stopped. What
trains is given the training part alone: no test image, and no test label, can choose anything.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from medjepa.checkpoint import save_checkpoint
from medjepa.errors import DataError
from medjepa.evaluation.classify_data import Chosen, Items, log_loss
from medjepa.evaluation.classify_files import MODEL, load_part, part_name, save_part
from medjepa.evaluation.classify_networks import recipe_of
from medjepa.evaluation.classify_results import FROZEN, LORA, Part
from medjepa.evaluation.folds import draw_labels, validation_folds
from medjepa.evaluation.metrics import Floats, Integers
from medjepa.evaluation.part_files import PARTS
from medjepa.evaluation.probes import LogisticProbe
from medjepa.evaluation.protocol import split_folds, widen
from medjepa.evaluation.task import Task
from medjepa.models.classifier import Classifier
from medjepa.training.finetune_classify import ClassifySettings, finetune_classifier
from medjepa.training.finetune_steps import FILE, Validate
from medjepa.training.interrupts import StopWish
from medjepa.training.lora import merge_adapters
from medjepa.utils.logging import get_logger
from medjepa.utils.progress import Advance, progress, time_left

MOST_STATISTICS = 512
"""Of so many items mean and variance of a feature are known well enough."""

_logger = get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class ClassifyPlan:
    """What is to be compared.

    Attributes:
        methods: in table order.
        fractions: shares of the labelled patients, ascending.
        num_draws: of patients, and of training, at each share.
        seed: of draw 0; each further draw takes the next.
        recipe: of the pre-trained network.
        scratch_rate: learning rate of the network from scratch.
        identity: what the checkpoint is known by.
        settings: what else the numbers depend on.
        device: of the networks.
    """

    methods: tuple[str, ...]
    fractions: tuple[float, ...]
    num_draws: int
    seed: int
    recipe: ClassifySettings
    scratch_rate: float
    identity: str
    settings: dict[str, object]
    device: torch.device

    def parts(self) -> list[tuple[float, int, str]]:
        """(share, draw, method); on all labels a probe has no chance in it, and is fitted once."""
        return [
            (fraction, draw, method)
            for fraction in self.fractions
            for draw in range(self.num_draws)
            for method in self.methods
            if not (method == FROZEN and fraction == 1 and draw)
        ]


def check_task(task: Task, fractions: Sequence[float]) -> None:
    """Refuse what cannot be learnt or measured, before anything is trained.

    Raises:
        DataError: a single class, a class without test images, or fewer patients than classes.
    """
    present = np.unique(task.target[task.train])
    if len(present) < 2:
        raise DataError(
            f"label {task.label!r}: the training part holds {len(present)} class"
            f"{'es' if len(present) != 1 else ''}, at least 2 are needed; choose another label= or "
            "split="
        )
    missing = [
        name
        for number, name in enumerate(task.class_names)
        if not np.any(task.target[task.test] == number)
    ]
    if missing:
        raise DataError(
            f"label {task.label!r}: the test part has nothing of {', '.join(map(repr, missing))}; "
            "split=auto makes a split with every class on both sides, positive=[...] joins classes"
        )
    groups = task.train_groups or tuple(str(i) for i in task.train)
    num_patients, num_classes = len(set(groups)), len(present)
    for fraction in fractions:
        if round(fraction * num_patients) < num_classes:
            raise DataError(
                f"finetune.fractions: {fraction:g} of {num_patients} training patients is fewer "
                f"patients than the {num_classes} classes; give fractions from "
                f"{num_classes / num_patients:.2g} on, as fractions=[0.5,1.0]"
            )


def run_parts(
    plan: ClassifyPlan,
    task: Task,
    keys: Sequence[str],
    items: Items,
    features: Floats,
    build: Callable[[str, int], Classifier],
    out: Path,
    *,
    wish: StopWish,
) -> list[Part]:
    """Train and measure what is not there yet; returns every part of the plan.

    Args:
        plan: what is compared.
        task: labels and split.
        keys: (N,) content hashes, by which the same items are known again.
        items: the images, volumes or clips.
        features: (N, D) of the frozen encoder.
        build: (method, seed) -> a new classifier.
        out: the study's folder.
        wish: whether the user asked to stop.

    Raises:
        KeyboardInterrupt: the user asked to stop; what is finished is written.
        DataError: the folder holds parts of other settings.
    """
    found: list[Part] = []
    wanted = plan.parts()
    done_here, begin = 0, time.monotonic()
    for fraction, draw, method in wanted:
        seed = plan.seed + draw
        chosen = draw_labels(
            task.target[task.train], task.train_groups, fraction, rng=np.random.default_rng(seed)
        )
        recipe = recipe_of(method, plan.recipe, plan.scratch_rate)
        settings: dict[str, object] = {
            **plan.settings,
            "checkpoint": plan.identity,
            "method": method,
            "labels": fraction,
            "seed": seed,
            "train": _hash(
                f"{keys[i]} {task.class_names[task.target[i]]}" for i in task.train[chosen]
            ),
            "test": _hash(keys[i] for i in task.test),
        }
        if method != FROZEN:
            settings |= {k: v for k, v in asdict(recipe).items() if k != "save_minutes"}
        folder = out / PARTS / part_name(method, fraction, draw)
        part = load_part(folder, settings)
        if part is None:
            folder.mkdir(parents=True, exist_ok=True)
            pace = (time.monotonic() - begin) / done_here if done_here else 0.0
            left = f" (about {time_left(pace * (len(wanted) - len(found)))} left)" if pace else ""
            _logger.info(
                "classifier %d of %d%s: %s, %d labelled images",
                len(found) + 1, len(wanted), left, folder.name, len(chosen),
            )  # fmt: skip
            numbers = {"method": method, "fraction": fraction, "draw": draw}
            if wish:
                raise KeyboardInterrupt
            if method == FROZEN:
                part = _frozen(numbers, task, chosen, features)
            else:
                part = _trained(
                    numbers, task, chosen, items, build(method, seed), recipe, folder,
                    seed=seed, device=plan.device, wish=wish,
                )  # fmt: skip
            save_part(folder, part, settings)
            (folder / FILE).unlink(missing_ok=True)  # of the optimiser: three times the network
            done_here += 1
        found.append(part)
    return found


def _frozen(numbers: dict[str, object], task: Task, chosen: Integers, features: Floats) -> Part:
    """Logistic regression on frozen features, C chosen inside the drawn patients."""
    rows = task.train[chosen]
    begin = time.perf_counter()
    probe = LogisticProbe().fit(features[rows], task.target[rows], folds=split_folds(task, chosen))
    scores = widen(probe.predict_proba(features[task.test]), probe.classes_, len(task.class_names))
    return Part(
        **numbers,  # type: ignore[arg-type]
        num_labels=len(chosen),
        num_patients=_num_patients(task, rows),
        num_validation=0,
        num_parameters=(features.shape[1] + 1) * len(probe.classes_),
        num_steps=0,
        best_step=0,
        seconds=time.perf_counter() - begin,
        scores=scores,
    )


def _trained(
    numbers: dict[str, object],
    task: Task,
    chosen: Integers,
    items: Items,
    network: Classifier,
    recipe: ClassifySettings,
    folder: Path,
    *,
    seed: int,
    device: torch.device,
    wish: StopWish,
) -> Part:
    rows = task.train[chosen]
    fit, held_out = early_stop_parts(task, rows, seed)
    num_parameters = sum(p.numel() for p in network.parameters() if p.requires_grad)
    validate: Validate | None = None
    if len(held_out):

        def on_validation(network: nn.Module) -> float:
            assert isinstance(network, Classifier)
            set_statistics(network, items, fit)
            return log_loss(items.probabilities(network, held_out), task.target[held_out])

        validate = on_validation

    def shown(description: str, total: int, *, done: int = 0) -> AbstractContextManager[Advance]:
        return progress(f"{description} {folder.name}", total, done=done)

    learnt = finetune_classifier(
        network,
        Chosen(items, fit),
        task.target[fit],
        folder=folder,
        settings=recipe,
        seed=seed,
        device=device,
        validate=validate,
        is_clip=items.is_clip,
        progress=shown,
        wish=wish,
    )
    if not len(held_out):
        set_statistics(network, items, fit)
    if numbers["method"] == LORA:
        merge_adapters(network.encoder)
    scores = items.probabilities(network, task.test)
    save_checkpoint(
        folder / MODEL,
        {
            "model_state_dict": network.state_dict(),
            "model_config": {},
            "model_type": "Classifier",
            "class_names": list(task.class_names),
        },
    )
    return Part(
        **numbers,  # type: ignore[arg-type]
        num_labels=len(chosen),
        num_patients=_num_patients(task, rows),
        num_validation=len(held_out),
        num_parameters=num_parameters,
        num_steps=learnt.num_steps,
        best_step=learnt.best_step,
        seconds=learnt.seconds,
        scores=scores,
    )


def set_statistics(network: Classifier, items: Items, fit: Integers) -> None:
    """Standardise by the items that are fitted, as they are and not as they are changed, in place.

    What training keeps is a mean over its last steps, which lags behind an encoder that moves
    (Wu and Johnson, arXiv 2105.07576).
    """
    network.eval()
    chosen = fit[np.linspace(0, len(fit) - 1, min(len(fit), MOST_STATISTICS)).astype(int)]
    features = torch.from_numpy(items.features(network, chosen))
    network.set_statistics(features.mean(0), features.var(0, correction=0))


def early_stop_parts(task: Task, rows: Integers, seed: int) -> tuple[Integers, Integers]:
    """Share training images out by patient, classes balanced: to fit, and to stop early on.

    A fifth is held out; nothing, where a class has a single patient.
    """
    groups = None if task.groups is None else [task.groups[i] for i in rows]
    folds = validation_folds(task.target[rows], groups, seed=seed)
    if not folds:
        return rows, rows[:0]
    fit, held_out = folds[0]
    return rows[fit], rows[held_out]


def _num_patients(task: Task, rows: Integers) -> int:
    return len(rows) if task.groups is None else len({task.groups[i] for i in rows})


def _hash(texts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]
