"""What a checkpoint of a run holds, and going on from one."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from medjepa.checkpoint import Checkpoint, load_weights
from medjepa.errors import CheckpointError
from medjepa.training.state import RunState, random_state, set_random_state

if TYPE_CHECKING:
    from medjepa.training.trainer import MedJEPATrainer


def payload_of(trainer: "MedJEPATrainer", loss: float | None) -> dict[str, Any]:
    """Collect everything that rebuilds the encoder and continues the run exactly.

    No path or name of the data goes in: the file may be published.
    """
    state = trainer.state
    return {
        "epoch": state.step // trainer.plan.steps_per_epoch,
        "model_state_dict": trainer.model.state_dict(),
        "optimizer_state_dict": trainer.optimizer.state_dict(),
        "scheduler_state_dict": dict(vars(trainer.schedule)),
        "loss": state.latest_loss() if loss is None else loss,
        "config": {k: v for k, v in trainer.config.items() if k != "checkpoint_dir"},
        "step": state.step,
        "model_type": type(trainer.model).__name__,
        "model_config": dict(getattr(trainer.model, "config", {})),
        "pipeline": None if trainer.pipeline is None else dict(trainer.pipeline),
        "history": state.history,
        "seed": trainer.seed,
        "best_by": "train_loss" if trainer.val_dataset is None else "val_loss",
        "state": state.to_dict(),
        "fixed": fixed_part(trainer),
        "random_state": random_state(),
    }


def fixed_part(trainer: "MedJEPATrainer") -> dict[str, Any]:
    """Return what must be equal for a continued run to be the same run."""
    return {
        **trainer.settings.fixed(),
        "seed": trainer.seed,
        "number of images": len(trainer.train_dataset),
        **{f"model.{k}": v for k, v in getattr(trainer.model, "config", {}).items()},
    }


def restore(trainer: "MedJEPATrainer", checkpoint: Checkpoint) -> None:
    """Put a trainer where the checkpoint was written.

    Raises:
        CheckpointError: naming the settings or weights that differ, or what is missing.
    """
    payload = checkpoint.payload
    if missing := [key for key in ("state", "fixed", "optimizer_state_dict") if key not in payload]:
        raise CheckpointError(
            f"{checkpoint.path}: holds an encoder but no run to continue (no {', '.join(missing)})"
        )
    if changed := differences(payload["fixed"], fixed_part(trainer)):
        raise CheckpointError(
            f"{checkpoint.path}: cannot go on with other settings: {'; '.join(changed)}. "
            "The result would be neither run: set them back, or start a new one"
        )
    load_weights(trainer.model, checkpoint)
    trainer.optimizer.load_state_dict(payload["optimizer_state_dict"])
    trainer.state = RunState.from_dict(payload["state"])
    set_random_state(payload["random_state"])


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Say which values differ: "batch_size was 64 and is now 32"."""
    return [
        f"{key} was {before.get(key)} and is now {now.get(key)}"
        for key in dict.fromkeys([*before, *now])
        if before.get(key) != now.get(key)
    ]
