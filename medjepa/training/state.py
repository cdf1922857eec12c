"""Where a run stands: everything beside weights and optimiser that going on needs."""

import math
from dataclasses import dataclass, field
from typing import Any

import torch

from medjepa.training.monitor import CollapseMonitor

History = dict[str, list[Any]]


@dataclass
class RunState:
    """What changes while a run goes on.

    Attributes:
        step: steps done.
        total_steps: steps of the whole run, fixed when it begins.
        history: train_loss, val_loss (empty without a validation part) and epochs (1, 2, ...).
        best_loss: lowest epoch loss so far.
        epoch_loss: sum of the total losses of this epoch's steps.
        epoch_steps: how many those are.
        seconds: time trained.
        monitor: the last embeddings.
    """

    step: int = 0
    total_steps: int = 0
    history: History = field(
        default_factory=lambda: {"train_loss": [], "val_loss": [], "epochs": []}
    )
    best_loss: float = math.inf
    epoch_loss: float = 0.0
    epoch_steps: int = 0
    seconds: float = 0.0
    monitor: CollapseMonitor = field(default_factory=CollapseMonitor)

    def count_step(self, total_loss: float, embedding: torch.Tensor | None) -> None:
        """Count one finished step."""
        self.step += 1
        self.epoch_loss += total_loss
        self.epoch_steps += 1
        if embedding is not None:
            self.monitor.add(embedding)

    def count_epoch(self, train_loss: float, val_loss: float | None) -> bool:
        """Write an epoch into the history; tells whether it was the best so far."""
        self.history["train_loss"].append(train_loss)
        self.history["epochs"].append(len(self.history["epochs"]) + 1)
        if val_loss is not None:
            self.history["val_loss"].append(val_loss)
        self.epoch_loss, self.epoch_steps = 0.0, 0
        loss = train_loss if val_loss is None else val_loss
        is_best = loss < self.best_loss
        self.best_loss = min(loss, self.best_loss)
        return is_best

    def latest_loss(self) -> float:
        """The last epoch's validation loss, or its training loss; nan before the first."""
        losses = self.history["val_loss"] or self.history["train_loss"] or [math.nan]
        return float(losses[-1])

    def to_dict(self) -> dict[str, Any]:
        """Return plain values and tensors, for a checkpoint."""
        history = {key: list(values) for key, values in self.history.items()}
        return {**vars(self), "history": history, "monitor": self.monitor.state()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "RunState":
        """Build the state that `to_dict` described."""
        return cls(**{**values, "monitor": CollapseMonitor(**values["monitor"])})


def random_state() -> dict[str, torch.Tensor]:
    """Return the state of torch's global generators (dropout draws from them)."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: dict[str, torch.Tensor]) -> None:
    """Set torch's global generators as `random_state` found them."""
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
