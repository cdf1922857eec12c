"""Hooks: functions of one frozen record, called whenever the loop writes down where it is."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from medjepa.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class StepInfo:
    """Where a run is.

    Attributes:
        step: steps done.
        total_steps: steps of the whole run.
        epoch: epochs begun: 1 in the first.
        total_loss: of this step, over all processes, as are the next two.
        prediction_loss: mean squared distance to the targets.
        regularization_loss: SIGReg.
        lr: learning rate of this step.
        grad_norm: length of the gradient before clipping.
        images_per_second: since the last record, over all processes.
        data_wait: share of that time spent waiting for images.
        rankme: effective rank of the last embeddings.
        feature_std: their spread over images, in units of their size.
        seconds: trained so far, before an interruption included.
        eta: seconds that the rest will take.
        train_loss: mean total loss of the epoch that this step ends; None within an epoch.
        val_loss: the same for the validation part, where there is one.
    """

    step: int
    total_steps: int
    epoch: int
    total_loss: float
    prediction_loss: float
    regularization_loss: float
    lr: float
    grad_norm: float
    images_per_second: float
    data_wait: float
    rankme: float
    feature_std: float
    seconds: float
    eta: float
    train_loss: float | None = None
    val_loss: float | None = None

    def record(self) -> dict[str, float | int]:
        """Return what is known, as plain numbers; what is not known has no key."""
        known = {key: value for key, value in vars(self).items() if value is not None}
        return {key: value for key, value in known.items() if math.isfinite(value)}


Hook = Callable[[StepInfo], None]


def write_metrics(path: Path, *, from_step: int) -> Hook:
    """Append one JSON line per record; lines after `from_step` belong to lost work and go."""
    kept = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
            # A crash may have cut the last line short.
            if line.endswith("\n") and json.loads(line)["step"] <= from_step:
                kept.append(line)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(kept), encoding="utf-8")

    def hook(info: StepInfo) -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(info.record()) + "\n")

    return hook


def check_installed(*, use_tensorboard: bool, use_wandb: bool) -> None:
    """Refuse a service that is asked for and not installed, before any work is done.

    Raises:
        ConfigError: saying what to install.
    """
    if use_tensorboard and find_spec("tensorboard") is None:
        raise ConfigError("logging.use_tensorboard: not installed; pip install 'medjepa[tb]'")
    if use_wandb and find_spec("wandb") is None:
        raise ConfigError("logging.use_wandb: not installed; pip install 'medjepa[wandb]'")


Close = Callable[[], None]


def tensorboard(folder: Path, *, from_step: int) -> tuple[Hook, Close]:
    """Write every number for TensorBoard; what was written after `from_step` is purged.

    Gives the hook, and what ends it.
    """
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder), purge_step=from_step + 1)

    def hook(info: StepInfo) -> None:
        for name, value in info.record().items():
            writer.add_scalar(name, value, info.step)
        writer.flush()

    return hook, writer.close


def wandb(project: str, folder: Path, settings: dict[str, object]) -> tuple[Hook, Close]:
    """Send every number to Weights & Biases; with WANDB_MODE=offline to files below `folder`.

    Gives the hook, and what ends it.
    """
    import wandb as client

    folder.mkdir(parents=True, exist_ok=True)
    run = client.init(project=project, dir=str(folder), config=settings)

    def hook(info: StepInfo) -> None:
        run.log(info.record(), step=info.step)

    return hook, run.finish
