"""Training a classifier on labelled images, with early stopping on patients that it does not fit.

The items, views, noise and dropout of a step are pure functions of (seed, step), and what is saved
is everything that changes: a run that was stopped goes on as if it had not been.
"""

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from medjepa.checkpoint import load_checkpoint, load_weights, save_checkpoint
from medjepa.data.batching import Batch
from medjepa.errors import CheckpointError, ConfigError, TrainingError
from medjepa.objectives.randomness import generator
from medjepa.training.finetune import FILE, Progress, planned_indices
from medjepa.training.finetune_optim import build_finetune_optimizer, set_shared_rate
from medjepa.training.finetune_views import training_view
from medjepa.training.interrupts import StopWish
from medjepa.training.optim import clip_gradient
from medjepa.training.resume import differences
from medjepa.training.scheduler import WarmupCosine, fit_warmup
from medjepa.training.timing import TRIAL_STEPS, steps_within
from medjepa.utils import progress as shown

NUM_CHECKS = 20
"""How often in a budget the validation part is looked at, beside once at the start."""


@runtime_checkable
class ItemSource(Protocol):
    """Items to learn from: images, or volumes and clips of which crops are drawn."""

    def __len__(self) -> int:
        """Count the items."""

    def draw(self, pairs: list[tuple[int, int]], /) -> Batch:
        """Return the items (index, draw); the same pair always gives the same."""


Validate = Callable[[nn.Module], float]
"""The loss of a network on patients that are not fitted; smaller is better."""


@dataclass(frozen=True, kw_only=True)
class ClassifySettings:
    """How a classifier is trained.

    Attributes:
        steps: at most; else as many as fit into `minutes`, found by a short trial at the start.
        minutes: of training, at most.
        batch_size: items a step.
        learning_rate: at its highest, of the head.
        encoder_rate: the encoder's last block learns at this share of it.
        layer_decay: and each block before at this share of the next.
        weight_decay: of matrices.
        warmup: share of the steps until the rate is at its highest; then it falls as a cosine.
        gradient_clip: greatest length of the gradient, 0 for none.
        strength: of the augmentation; 0 for none.
        patience: looks at the validation part without a better one, until training stops.
        mixed_precision: bfloat16 where it is fast (cuda); never elsewhere.
        save_minutes: at most so much is lost by a crash.
    """

    steps: int | None = None
    minutes: float | None = None
    batch_size: int = 32
    learning_rate: float = 3e-3
    encoder_rate: float = 0.3
    layer_decay: float = 0.75
    weight_decay: float = 0.02
    warmup: float = 0.1
    gradient_clip: float = 1.0
    strength: float = 1.0
    patience: int = 5
    mixed_precision: bool = True
    save_minutes: float = 2.0

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise ConfigError("finetune.steps and finetune.minutes: give one of the two")

    def fixed(self) -> dict[str, Any]:
        """What must not change for a run that goes on to be the same run."""
        return {k: v for k, v in asdict(self).items() if k != "save_minutes"}


@dataclass(frozen=True)
class Learnt:
    """What training took.

    Attributes:
        num_steps: that were done.
        best_step: after which the weights were taken.
        seconds: of computation.
        validated: losses on the validation part, one for each look; empty without such a part.
    """

    num_steps: int
    best_step: int
    seconds: float
    validated: tuple[float, ...]


@dataclass
class _Run:
    network: nn.Module
    optimizer: torch.optim.Optimizer
    fixed: Mapping[str, Any]
    path: Path
    total_steps: int = 0
    step: int = 0
    seconds: float = 0.0
    finished: bool = False
    validated: list[float] = field(default_factory=list)
    best_step: int | None = None
    best: dict[str, Tensor] = field(default_factory=dict)
    saved: float = field(default_factory=time.monotonic)

    def save(self) -> None:
        save_checkpoint(
            self.path,
            {
                "model_state_dict": self.network.state_dict(),
                "model_config": {},
                "model_type": type(self.network).__name__,
                "optimizer_state_dict": self.optimizer.state_dict(),
                "fixed": dict(self.fixed),
                "step": self.step,
                "total_steps": self.total_steps,
                "seconds": self.seconds,
                "finished": self.finished,
                "validated": list(self.validated),
                "best_step": self.best_step,
                "best_state_dict": self.best,
            },
        )
        self.saved = time.monotonic()

    def restore(self) -> None:
        checkpoint = load_checkpoint(self.path)
        payload = checkpoint.payload
        if changed := differences(payload.get("fixed", {}), self.fixed):
            raise CheckpointError(
                f"{self.path}: cannot go on with other settings: {'; '.join(changed)}. "
                "Set them back, or give another folder"
            )
        load_weights(self.network, checkpoint)
        self.optimizer.load_state_dict(payload["optimizer_state_dict"])
        self.step, self.total_steps = payload["step"], payload["total_steps"]
        self.seconds, self.finished = payload["seconds"], payload["finished"]
        self.validated, self.best_step = list(payload["validated"]), payload["best_step"]
        self.best = payload["best_state_dict"]

    def look(self, validate: Validate, patience: int) -> bool:
        """Compare with the best so far; returns whether patience is at its end."""
        self.network.eval()
        self.validated.append(validate(self.network))
        self.network.train()
        first_best = self.validated.index(min(self.validated))
        if first_best == len(self.validated) - 1:
            self.best_step = self.step
            self.best = copy.deepcopy(self.network.state_dict())
        return len(self.validated) - 1 - first_best >= patience


def finetune_classifier(
    network: nn.Module,
    items: ItemSource,
    target: NDArray[np.int64],
    *,
    folder: Path,
    settings: ClassifySettings,
    seed: int,
    device: torch.device,
    validate: Validate | None = None,
    is_clip: bool = False,
    progress: Progress = shown.progress,
    wish: StopWish | None = None,
) -> Learnt:
    """Train a network of (images, spacing) to scores in place, or go on where it was stopped.

    With `validate` it ends with the weights that were best there; without it, with the last.

    Args:
        network: a `Classifier`; what needs no gradient stays as it is.
        items: to learn from.
        target: (N,) their classes.
        folder: where the state is kept; a run that is finished returns at once with its weights.
        settings: how to train.
        seed: of items, views, noise and dropout.
        device: of the computation.
        validate: looked at once at the start and `NUM_CHECKS` times in the budget.
        is_clip: whether the first axis of a volume is time.
        progress: shows how far it is.
        wish: whether the user asked to stop.

    Raises:
        KeyboardInterrupt: the user asked to stop; what was done is saved.
        CheckpointError: the folder's state is of other settings or of another network.
        TrainingError: the loss is no longer a number.
    """
    network.to(device).train()
    run = _Run(
        network=network,
        optimizer=build_finetune_optimizer(
            network,
            weight_decay=settings.weight_decay,
            layer_decay=settings.layer_decay,
            encoder_rate=settings.encoder_rate,
        ),
        fixed={**settings.fixed(), "seed": seed, "number of items": len(items)},
        path=folder / FILE,
    )
    loss_of = _LossOf(network, items, target, settings, seed, device, is_clip)
    if run.path.exists():
        run.restore()
    else:
        run.total_steps = settings.steps or steps_within(
            60 * (settings.minutes or 0), network, loss_of.trial
        )
    rate = WarmupCosine(
        peak=settings.learning_rate,
        final=1e-3 * settings.learning_rate,
        warmup_steps=fit_warmup(round(settings.warmup * run.total_steps), run.total_steps),
        total_steps=run.total_steps,
    )
    every = max(1, run.total_steps // NUM_CHECKS)
    if validate and not run.validated:
        # A network that already knows the answer is not to leave with a worse one.
        run.look(validate, settings.patience)
    with progress("finetune", run.total_steps, done=run.step) as advance:
        while run.step < run.total_steps and not run.finished:
            begin = time.perf_counter()
            set_shared_rate(run.optimizer, rate(run.step))
            loss = loss_of(run.step)
            if not np.isfinite(value := float(loss.detach())):
                raise TrainingError(
                    f"step {run.step + 1}: the loss is no longer a number; "
                    "try a third of finetune.learning_rate"
                )
            loss.backward()  # type: ignore[no-untyped-call]
            clip_gradient(network, settings.gradient_clip)
            run.optimizer.step()
            run.optimizer.zero_grad(set_to_none=True)
            run.step += 1
            note = f"loss {value:.3f}"
            if validate and (run.step % every == 0 or run.step == run.total_steps):
                run.finished = run.look(validate, settings.patience)
                note += f", validation {run.validated[-1]:.3f}"
            run.seconds += time.perf_counter() - begin
            advance(1, note=note)
            if wish and run.step < run.total_steps and not run.finished:
                run.save()
                raise KeyboardInterrupt
            if time.monotonic() - run.saved > 60 * settings.save_minutes:
                run.save()
    run.finished = True
    run.save()
    if run.best:
        network.load_state_dict(run.best)
    network.eval()
    return Learnt(
        num_steps=run.step,
        best_step=run.step if run.best_step is None else run.best_step,
        seconds=run.seconds,
        validated=tuple(run.validated),
    )


class _LossOf:
    """The loss of a step."""

    def __init__(
        self,
        network: nn.Module,
        items: ItemSource,
        target: NDArray[np.int64],
        settings: ClassifySettings,
        seed: int,
        device: torch.device,
        is_clip: bool,
    ) -> None:
        self.network, self.items, self.target = network, items, torch.from_numpy(target)
        self.settings, self.seed, self.device, self.is_clip = settings, seed, device, is_clip

    def __call__(self, step: int) -> Tensor:
        size = self.settings.batch_size
        places = range(step * size, (step + 1) * size)
        chosen = planned_indices(places, len(self.items), self.seed)
        batch = self.items.draw(list(zip(chosen, places, strict=True)))
        images, spacing = training_view(
            batch,
            strength=self.settings.strength,
            seed=self.seed,
            step=step,
            device=self.device,
            is_clip=self.is_clip,
        )
        cuda = self.device.type == "cuda"
        # Dropout draws from torch's own numbers: seeded by the step, as everything else is.
        with (
            torch.random.fork_rng(),
            torch.autocast(
                self.device.type, torch.bfloat16, enabled=cuda and self.settings.mixed_precision
            ),
        ):
            torch.manual_seed(generator(self.seed, step, "classify dropout").initial_seed())
            scores = self.network(images, spacing)
        return F.cross_entropy(scores.float(), self.target[chosen].to(self.device))

    def trial(self, step: int) -> None:
        """A step without its update, to see how long one takes."""
        loss = self(step % TRIAL_STEPS)
        loss.backward()  # type: ignore[no-untyped-call]
        float(clip_gradient(self.network, self.settings.gradient_clip))
