"""The training loop."""

import inspect
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from medjepa.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from medjepa.data.batching import Batch
from medjepa.errors import TrainingError
from medjepa.objectives.sigreg import at_least_float32
from medjepa.training.batches import (
    ImageSource,
    load_batches,
    pixel_statistics,
    usual_spacing,
    validation_batches,
)
from medjepa.training.distributed import any_process, is_first, mean_over_processes, wrap
from medjepa.training.feed import Feed, plan_batches
from medjepa.training.files import BEST, LAST, RunFiles
from medjepa.training.hooks import Hook
from medjepa.training.interrupts import StopWish, interrupts
from medjepa.training.optim import build_optimizer, clip_gradient, set_learning_rate
from medjepa.training.reporting import Reporter
from medjepa.training.resume import payload_of, restore
from medjepa.training.scheduler import WarmupCosine, fit_warmup
from medjepa.training.settings import TrainerSettings
from medjepa.training.state import History, RunState
from medjepa.training.timing import TRIAL_STEPS, steps_within
from medjepa.utils.device import choose_device
from medjepa.utils.logging import get_logger
from medjepa.utils.progress import Advance, progress

LOSSES = ("total_loss", "prediction_loss", "regularization_loss")
_logger = get_logger(__name__)


class MedJEPATrainer:
    """Trains a model that returns its losses, such as `LeJEPA`, on any map-style dataset.

    `train_dataset` yields images (C, H, W) in [0, 1], or tuples that begin with one. `config` has
    the keys of `TrainerSettings`. `run_dir` is the folder of the run, with checkpoint_dir below it;
    without it checkpoints go to checkpoint_dir and no metrics file is written. `weights` are the
    shares of the dataset's sources in a batch; `pipeline` (plain values) says how a file became
    an image, for whoever loads the encoder later; `resume` is a checkpoint to go on from.

    Raises:
        ConfigError: for an unknown setting, or data too few for a step.
        CheckpointError: `resume` does not fit.
    """

    def __init__(
        self,
        model: nn.Module,
        train_dataset: ImageSource,
        config: Mapping[str, object],
        val_dataset: ImageSource | None = None,
        *,
        hooks: Sequence[Hook] = (),
        seed: int = 0,
        resume: str | Path | None = None,
        run_dir: str | Path | None = None,
        pipeline: Mapping[str, Any] | None = None,
        weights: Sequence[float] | None = None,
    ) -> None:
        self.settings = TrainerSettings.from_dict(config)
        self.config, self.seed, self.pipeline = dict(config), seed, pipeline
        self.device = choose_device(self.settings.device)
        self.model = model.to(self.device)
        self.network = wrap(self.model, self.device)
        self.train_dataset, self.val_dataset = train_dataset, val_dataset
        self.plan = plan_batches(train_dataset, self.settings.batch_size, seed, weights)
        self.feed = Feed(
            train_dataset,
            self.plan,
            num_workers=self.settings.num_workers,
            pin=self.device.type == "cuda",
        )
        self.optimizer = build_optimizer(
            self.model,
            learning_rate=self.settings.learning_rate,
            weight_decay=self.settings.weight_decay,
        )
        self.files = RunFiles(run_dir, self.settings)
        self.hooks = list(hooks)
        self.state = RunState()
        self.schedule: WarmupCosine
        self.reporter: Reporter
        self._takes = set(inspect.signature(model.forward).parameters)
        if resume is not None:
            self.load_checkpoint(resume)

    def train(self) -> History:
        """Train to the end; returns train_loss, val_loss and epochs.

        Raises:
            TrainingError: the loss or the gradient is no longer a number; last.pt stands.
            KeyboardInterrupt: the user asked to stop; last.pt holds the last finished step.
        """
        self._begin()
        state = self.state
        bar = progress("pretrain", state.total_steps, done=state.step, quiet=not is_first())
        with interrupts() as stop, self.files.closing(), bar as advance:
            while state.step < state.total_steps:
                train_loss = self.train_one_epoch(self.epoch, advance=advance, stop=stop)
                if state.step % self.steps_per_epoch == 0 or state.step == state.total_steps:
                    self._finish_epoch(train_loss)
                if any_process(bool(stop)) and state.step < state.total_steps:
                    self._save_last()
                    raise KeyboardInterrupt
        return state.history

    def train_one_epoch(
        self, epoch: int, *, advance: Advance | None = None, stop: StopWish | None = None
    ) -> float:
        """Train from where the run stands to the end of `epoch` (0, 1, ...); returns its mean loss.

        Ends early, after a finished step, if `stop` says so.
        """
        self._begin()
        state = self.state
        if epoch != self.epoch:
            state.step = epoch * self.steps_per_epoch
        if state.step % self.steps_per_epoch == 0:
            state.epoch_loss, state.epoch_steps = 0.0, 0
        end = (epoch + 1) * self.steps_per_epoch
        if state.step < state.total_steps:
            end = min(end, state.total_steps)
        while state.step < end:
            with self.reporter.waiting():
                batch = self.feed.batch(state.step, state.total_steps)
            note = self.reporter.step(self._step(batch))
            if advance is not None:
                advance(1, note)
            if state.step == end:
                break
            if state.step % self.settings.log_every == 0:
                self.reporter.tell()
            if any_process(bool(stop)):
                break
            if self.files.save_is_due():
                self._save_last()
        return state.epoch_loss / max(state.epoch_steps, 1)

    def save_checkpoint(self, path: str | Path | None = None, *, loss: float | None = None) -> Path:
        """Write everything that rebuilds the model and continues the run; by default to last.pt."""
        self._begin()
        # A bare name, as in the guide, means a file among the run's checkpoints.
        bare = path is None or Path(path).name == str(path)
        path = self.files.checkpoint_dir / (path or LAST) if bare else Path(path or LAST)
        save_checkpoint(path, payload_of(self, loss))
        return path

    def load_checkpoint(self, path: str | Path) -> Checkpoint:
        """Go on from a checkpoint of the same model, settings and number of images.

        Raises:
            CheckpointError: it cannot be read or does not fit; the message names what differs.
        """
        checkpoint = load_checkpoint(path)
        restore(self, checkpoint)
        self._start_reporting()
        return checkpoint

    @property
    def steps_per_epoch(self) -> int:
        """Steps of one pass over the images."""
        return self.plan.steps_per_epoch

    @property
    def epoch(self) -> int:
        """The epoch that the next step belongs to: 0, 1, ..."""
        return self.state.step // self.steps_per_epoch

    def _step(self, batch: Batch) -> dict[str, float]:
        """Take one step: forward, backward, clip, update; returns its losses."""
        lr = self.schedule(self.state.step)
        set_learning_rate(self.optimizer, lr)
        self.network.train()
        output = self._forward(batch)
        output["total_loss"].backward()  # type: ignore[no-untyped-call]
        getattr(self.model, "drop_gradients", lambda: None)()
        grad_norm = clip_gradient(self.model, self.settings.gradient_clip)
        losses = mean_over_processes(
            torch.stack([at_least_float32(output[name].detach()) for name in LOSSES])
        )
        # One transfer from the device for all numbers; it also waits for the step to be done.
        numbers = torch.cat([losses, at_least_float32(grad_norm).reshape(1)]).tolist()
        values = dict(zip((*LOSSES, "grad_norm"), numbers, strict=True))
        self._refuse_what_is_no_number(values, lr)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.state.count_step(values["total_loss"], output.get("embedding"))
        return {**values, "lr": lr}

    def _forward(self, batch: Batch) -> dict[str, Tensor]:
        images = batch.images.to(self.device, non_blocking=True)
        extra = {"modality": batch.modality, "spacing": batch.spacing, "label": batch.label}
        extra = {name: value for name, value in extra.items() if name in self._takes}
        half = self.settings.mixed_precision and self.device.type == "cuda"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            output: dict[str, Tensor] = self.network(images, **extra)
        return output

    def _refuse_what_is_no_number(self, values: Mapping[str, float], lr: float) -> None:
        if wrong := [name for name, value in values.items() if not math.isfinite(value)]:
            raise TrainingError(
                f"step {self.state.step + 1} (epoch {self.epoch + 1}, learning rate {lr:.2g}): "
                f"{', '.join(wrong)} is no longer a number, so training stops before it spoils the "
                f"weights; {self.files.checkpoint_dir / LAST} stands. Try a third of the learning "
                "rate, gradient_clip=1, a longer warm-up, or mixed_precision=false"
            )

    def _finish_epoch(self, train_loss: float) -> None:
        """Validate, write down, save."""
        val_loss = self._validate()
        is_best = self.state.count_epoch(train_loss, val_loss)
        self.reporter.tell(train_loss=train_loss, val_loss=val_loss)
        self._save_last()
        if is_first() and is_best:
            self.files.copy_last(BEST)
        number = len(self.state.history["epochs"])
        is_end = self.state.step == self.state.total_steps
        if is_first() and (number % self.settings.save_every == 0 or is_end):
            self.files.copy_last(f"checkpoint_epoch_{number}.pt")

    @torch.no_grad()
    def _validate(self) -> float | None:
        """Return the mean total loss over the validation part, None without one."""
        if self.val_dataset is None:
            return None
        batches = validation_batches(len(self.val_dataset), self.plan.batch_size)
        self.network.eval()
        losses = [
            mean_over_processes(at_least_float32(self._forward(batch)["total_loss"]))
            for batch in load_batches(self.val_dataset, batches)
        ]
        return float(torch.stack(losses).mean())

    def _save_last(self) -> None:
        if is_first():
            self.files.save_last(payload_of(self, None))

    def _begin(self) -> None:
        """Fix, once, what a fresh run depends on: pixel statistics and the number of steps."""
        if self.state.total_steps:
            return
        settings = self.settings
        set_pixel_statistics = getattr(self.model, "set_pixel_statistics", None)
        if set_pixel_statistics is not None:
            set_pixel_statistics(*pixel_statistics(self.train_dataset, self.seed))
        set_reference_spacing = getattr(self.model, "set_reference_spacing", None)
        if set_reference_spacing is not None:
            set_reference_spacing(usual_spacing(self.train_dataset, self.seed))
        if settings.mixed_precision and self.device.type != "cuda":
            _logger.info("bfloat16 needs cuda: computing in float32 on %s", self.device.type)
        total = settings.num_epochs * self.steps_per_epoch
        self.state.total_steps = min(total, settings.max_steps or total)
        if settings.max_minutes is not None:
            fitting = steps_within(60 * settings.max_minutes, self.model, self._trial_step)
            self.state.total_steps = min(self.state.total_steps, fitting)
            _logger.info("about %d steps in %g minutes", fitting, settings.max_minutes)
        if is_first():
            self.files.open_fresh()
        self._start_reporting()
        # From here on a killed run can be continued.
        self._save_last()

    def _start_reporting(self) -> None:
        """Fix the schedule, which follows from the number of steps, and open the records."""
        settings, total = self.settings, self.state.total_steps
        wished = round(settings.warmup_epochs * self.steps_per_epoch)
        self.schedule = WarmupCosine(
            peak=settings.learning_rate,
            final=settings.learning_rate * settings.final_learning_rate,
            warmup_steps=fit_warmup(wished, total),
            total_steps=total,
        )
        set_run_length = getattr(self.model, "set_run_length", None)
        if set_run_length is not None:
            set_run_length(total_steps=total, steps_per_epoch=self.steps_per_epoch)
        hooks = [*self.files.hooks(self.state.step, self.config), *self.hooks] if is_first() else []
        self.reporter = Reporter(
            self.state,
            hooks,
            batch_size=self.plan.batch_size,
            steps_per_epoch=self.steps_per_epoch,
            regularizer=getattr(self.model, "regularizer", "SIGReg"),
            low_loss_is_collapse=getattr(self.model, "low_loss_is_collapse", True),
        )

    def _trial_step(self, step: int) -> None:
        self.network.train()
        output = self._forward(self.feed.batch(step, TRIAL_STEPS))
        output["total_loss"].backward()  # type: ignore[no-untyped-call]
        # Reading the number waits for the device.
        float(clip_gradient(self.model, self.settings.gradient_clip))
