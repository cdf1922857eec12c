"""The files of a run, and what a checkpoint of it holds."""

import os
import shutil
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from medjepa.checkpoint import save_checkpoint
from medjepa.errors import ConfigError
from medjepa.training.hooks import Hook, check_installed, tensorboard, wandb, write_metrics
from medjepa.training.settings import TrainerSettings
from medjepa.utils.logging import get_logger

LAST, BEST, METRICS = "last.pt", "best_model.pt", "metrics.jsonl"
_logger = get_logger(__name__)


class RunFiles:
    """Where a run writes: checkpoints, and the metrics where it has a folder of its own."""

    def __init__(self, run_dir: str | Path | None, settings: TrainerSettings) -> None:
        self.run_dir = None if run_dir is None else Path(run_dir)
        self.checkpoint_dir = (self.run_dir or Path()) / settings.checkpoint_dir
        self.settings = settings
        check_installed(use_tensorboard=settings.use_tensorboard, use_wandb=settings.use_wandb)
        self._saved = time.monotonic()
        self._closing = ExitStack()

    def open_fresh(self) -> None:
        """Move the checkpoints of an earlier run aside: nothing is overwritten."""
        if any(self.checkpoint_dir.glob("*.pt")):
            moved = move_aside(self.checkpoint_dir)
            _logger.info("an earlier run's %s moved to %s", self.checkpoint_dir, moved)
        self.checkpoint_dir.mkdir(parents=True, exist_ok=True)

    def hooks(self, step: int, config: Mapping[str, object]) -> list[Hook]:
        """Return what writes the records down: a file, and the services that were asked for."""
        folder = self.run_dir or self.checkpoint_dir
        hooks = [] if self.run_dir is None else [write_metrics(folder / METRICS, from_step=step)]
        services = []
        if self.settings.use_tensorboard:
            services.append(tensorboard(folder / "tensorboard", from_step=step))
        if self.settings.use_wandb:
            services.append(wandb(self.settings.project_name, folder / "wandb", dict(config)))
        for hook, close in services:
            hooks.append(hook)
            self._closing.callback(close)
        return hooks

    def closing(self) -> ExitStack:
        """Return a context that ends the services when it is left."""
        return self._closing.pop_all()

    def save_last(self, payload: Mapping[str, Any]) -> None:
        """Write last.pt."""
        save_checkpoint(self.checkpoint_dir / LAST, payload)
        self._saved = time.monotonic()

    def save_is_due(self) -> bool:
        """Tell whether last.pt is older than the user is willing to lose."""
        return time.monotonic() - self._saved >= 60 * self.settings.save_minutes

    def copy_last(self, name: str) -> None:
        """Keep the present last.pt under another name, as atomically as it was written."""
        source, target = self.checkpoint_dir / LAST, self.checkpoint_dir / name
        temporary = target.with_name(f".{name}.{os.getpid()}.tmp")
        temporary.unlink(missing_ok=True)
        try:
            # last.pt is only ever replaced, never written into: a second name for it is a copy.
            temporary.hardlink_to(source)
        except OSError:
            shutil.copyfile(source, temporary)
        temporary.replace(target)


def move_aside(folder: Path) -> Path:
    """Rename a folder to the first free one of folder.1, folder.2, ...; returns the new name."""
    number = 1
    while (target := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    folder.rename(target)
    return target


def check_free(out: Path, *, resume: bool) -> None:
    """Refuse a folder that already holds something, unless the run in it is to go on.

    Raises:
        ConfigError: saying what to type.
    """
    if resume or not out.exists():
        return
    if not out.is_dir():
        raise ConfigError(f"out={out}: is a file; give a folder")
    if any(out.iterdir()):
        raise ConfigError(
            f"out={out}: already holds files, which are never overwritten; "
            "add resume=true to go on with the run in it, or give another out="
        )
