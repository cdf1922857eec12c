"""The steps of learning from labels, whatever is learnt: what is saved, what goes on, when it ends.

The loss of a step is a pure function of its number, and what is saved is everything that changes: a
run that was stopped goes on as if it had not been.
"""

import copy
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from medjepa.checkpoint import load_checkpoint, load_weights, save_checkpoint
from medjepa.errors import CheckpointError, ConfigError, TrainingError
from medjepa.training.finetune_optim import build_finetune_optimizer, set_shared_rate
from medjepa.training.interrupts import StopWish
from medjepa.training.optim import clip_gradient
from medjepa.training.resume import differences
from medjepa.training.scheduler import WarmupCosine, fit_warmup
from medjepa.training.timing import TRIAL_STEPS, steps_within
from medjepa.utils import progress as shown

Progress = Callable[..., AbstractContextManager[Callable[..., object]]]
"""`with progress(description, total, done=0) as advance: advance(1, note="loss 0.5")`"""

LossOf = Callable[[int], Tensor]
"""The loss of a step as a pure function of its number, from which gradients flow."""

Validate = Callable[[nn.Module], float]
"""The loss of a network on patients that are not fitted; smaller is better."""

FILE = "finetune.pt"
NUM_CHECKS = 20
"""How often in a budget the validation part is looked at, beside once at the start."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network learns from labels.

    Attributes:
        steps: at most; else as many as fit into `minutes`, found by a short trial at the start.
        minutes: of training, at most.
        batch_size: images or crops a step.
        learning_rate: at its highest, of what is not pre-trained.
        encoder_rate: the encoder's last block learns at this share of it.
        layer_decay: and each block before at this share of the next.
        weight_decay: of matrices.
        warmup: share of the steps until the rate is at its highest; then it falls as a cosine.
        gradient_clip: greatest length of the gradient, 0 for none.
        strength: of the augmentation; 0 for none.
        save_minutes: at most so much is lost by a crash.
    """

    steps: int | None = None
    minutes: float | None = None
    batch_size: int
    learning_rate: float
    encoder_rate: float
    layer_decay: float
    weight_decay: float = 0.02
    warmup: float
    gradient_clip: float = 1.0
    strength: float = 1.0
    save_minutes: float = 2.0

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise ConfigError("finetune.steps and finetune.minutes: give one of the two")
        for name in ("batch_size", "learning_rate", "encoder_rate", "layer_decay"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"finetune.{name}: above 0, got {getattr(self, name)}")

    def fixed(self) -> dict[str, Any]:
        """What must not change for a run that goes on to be the same run."""
        return {k: v for k, v in asdict(self).items() if k != "save_minutes"}


@dataclass(frozen=True)
class Finetuned:
    """What training took.

    Attributes:
        num_steps: that were done.
        seconds: of computation.
        best_step: after which the weights were taken.
        validated: losses on the validation part, one for each look; empty without such a part.
    """

    num_steps: int
    seconds: float
    best_step: int
    validated: tuple[float, ...] = ()


@dataclass
class EarlyStop:
    """Ends training where patients that are not fitted gain no more, with what was best there.

    Attributes:
        validate: looked at once at the start and `NUM_CHECKS` times in the budget.
        patience: looks without a better one, until training stops.
        losses: what was seen.
        best_step: after which it was best.
        best: the weights of that step.
    """

    validate: Validate
    patience: int
    losses: list[float] = field(default_factory=list)
    best_step: int | None = None
    best: dict[str, Tensor] = field(default_factory=dict)

    def look(self, network: nn.Module, step: int) -> bool:
        """Compare with the best so far; returns whether patience is at its end.

        Raises:
            TrainingError: the loss is no number, which nothing can be compared with.
        """
        network.eval()
        self.losses.append(self.validate(network))
        network.train()
        if not np.isfinite(self.losses[-1]):
            raise TrainingError(
                f"step {step}: the loss on the validation part is no longer a number; "
                "try a third of finetune.learning_rate"
            )
        first_best = self.losses.index(min(self.losses))
        if first_best == len(self.losses) - 1:
            self.best_step, self.best = step, copy.deepcopy(network.state_dict())
        return len(self.losses) - 1 - first_best >= self.patience

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {
            "validated": list(self.losses),
            "best_step": self.best_step,
            "best_state_dict": self.best,
        }

    def restore(self, payload: Mapping[str, Any]) -> None:
        """Take it from a checkpoint."""
        self.losses, self.best_step = list(payload["validated"]), payload["best_step"]
        self.best = payload["best_state_dict"]


@dataclass
class _Run:
    network: nn.Module
    optimizer: torch.optim.Optimizer
    early: EarlyStop | None
    fixed: Mapping[str, Any]
    path: Path
    total_steps: int = 0
    step: int = 0
    seconds: float = 0.0
    finished: bool = False
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
                "random_state": torch.get_rng_state(),
                **(self.early.state() if self.early else {}),
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
        torch.set_rng_state(payload["random_state"])
        if self.early:
            self.early.restore(payload)


def train_steps(
    network: nn.Module,
    loss_of: LossOf,
    *,
    num_images: int,
    folder: Path,
    settings: Recipe,
    seed: int,
    early: EarlyStop | None = None,
    progress: Progress = shown.progress,
    wish: StopWish | None = None,
) -> Finetuned:
    """Minimise `loss_of` in place, or go on where `folder` says it stopped.

    Args:
        network: on its device; with an `encoder`, that learns at the rates of `Recipe`. Its own
            random numbers are torch's global ones.
        loss_of: what is minimised.
        num_images: that are learnt from.
        folder: where the state is kept; a run that is finished returns at once with its weights.
        settings: how to train.
        seed: of the losses.
        early: when to stop before the budget ends; without it, the last weights are kept.
        progress: shows how far it is.
        wish: whether the user asked to stop.

    Raises:
        KeyboardInterrupt: the user asked to stop; what was done is saved.
        CheckpointError: the folder's state is of other settings or of another network.
        TrainingError: the loss is no longer a number.
    """
    network.train()
    run = _Run(
        network=network,
        optimizer=build_finetune_optimizer(
            network,
            weight_decay=settings.weight_decay,
            layer_decay=settings.layer_decay,
            encoder_rate=settings.encoder_rate,
        ),
        early=early,
        fixed={**settings.fixed(), "seed": seed, "number of images": num_images},
        path=folder / FILE,
    )

    def trial(step: int) -> None:
        """A step without its update, to see how long one takes."""
        loss_of(step % TRIAL_STEPS).backward()  # type: ignore[no-untyped-call]
        float(clip_gradient(network, settings.gradient_clip))

    if run.path.exists():
        run.restore()
    else:
        run.total_steps = settings.steps or steps_within(
            60 * (settings.minutes or 0), network, trial
        )
    rate = WarmupCosine(
        peak=settings.learning_rate,
        final=1e-3 * settings.learning_rate,
        warmup_steps=fit_warmup(round(settings.warmup * run.total_steps), run.total_steps),
        total_steps=run.total_steps,
    )
    every = max(1, run.total_steps // NUM_CHECKS)
    if early and not early.losses:
        # A network that already knows the answer is not to leave with a worse one.
        early.look(network, run.step)
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
            if early and (run.step % every == 0 or run.step == run.total_steps):
                run.finished = early.look(network, run.step)
                note += f", validation {early.losses[-1]:.3f}"
            run.seconds += time.perf_counter() - begin
            advance(1, note=note)
            if wish and run.step < run.total_steps and not run.finished:
                run.save()
                raise KeyboardInterrupt
            if time.monotonic() - run.saved > 60 * settings.save_minutes:
                run.save()
    run.finished = True
    run.save()
    if early and early.best:
        network.load_state_dict(early.best)
    network.eval()
    return Finetuned(
        num_steps=run.step,
        seconds=run.seconds,
        best_step=run.step if early is None or early.best_step is None else early.best_step,
        validated=tuple(early.losses) if early else (),
    )


def planned_indices(places: range, num_samples: int, seed: int) -> list[int]:
    """Which sample stands at each place of an endless row of shuffled passes through all."""
    orders: dict[int, np.ndarray] = {}
    found = []
    for place in places:
        epoch, number = divmod(place, num_samples)
        if epoch not in orders:
            orders[epoch] = np.random.default_rng([seed, epoch]).permutation(num_samples)
        found.append(int(orders[epoch][number]))
    return found
