"""What a run says about itself while it goes on."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from medjepa.training.hooks import Hook, StepInfo
from medjepa.training.state import RunState
from medjepa.utils.logging import get_logger
from medjepa.utils.progress import time_left

ALARM_AFTER_STEPS = 200
ALARM_EVERY_STEPS = 2000
LINE_SECONDS = 10.0
_logger = get_logger(__name__)


class Reporter:
    """Counts time and images, and calls the hooks with a complete record.

    `regularizer` names the second part of the loss, "" where there is none; a prediction loss near
    0 is an alarm unless `low_loss_is_collapse` is off.
    """

    def __init__(
        self,
        state: RunState,
        hooks: Sequence[Hook],
        *,
        batch_size: int,
        steps_per_epoch: int,
        regularizer: str = "SIGReg",
        low_loss_is_collapse: bool = True,
    ) -> None:
        self.state, self.hooks = state, list(hooks)
        self.regularizer, self.low_loss_is_collapse = regularizer, low_loss_is_collapse
        self.batch_size, self.steps_per_epoch = batch_size, steps_per_epoch
        self._last: dict[str, float] = {}
        self._now = self._told = time.perf_counter()
        self._waited, self._wrote = 0.0, float("-inf")
        self._steps_told = self._steps_begun = state.step
        self._trained = 0.0
        self._rankme = self._spread = float("nan")

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the block as waiting for images."""
        begin = time.perf_counter()
        yield
        self._waited += time.perf_counter() - begin

    def step(self, values: dict[str, float]) -> str:
        """Note a finished step; returns a line for the progress bar."""
        self._last = values
        self._count_time()
        rank = "" if self._rankme != self._rankme else f", RankMe {self._rankme:.0f}"
        parts = (
            f" (prediction {values['prediction_loss']:.4f}, "
            f"{self.regularizer} {values['regularization_loss']:.4f})"
            if self.regularizer
            else ""
        )
        return (
            f"epoch {self.epoch}, {self._per_second():.0f} images/s, "
            f"waiting {100 * self._wait_share():.0f} %, loss {values['total_loss']:.4f}"
            f"{parts}{rank}"
        )

    def tell(self, *, train_loss: float | None = None, val_loss: float | None = None) -> None:
        """Call the hooks with where the run is; losses of a whole epoch where one ends."""
        state = self.state
        self._count_time()
        self._rankme, self._spread = state.monitor.measure()
        info = StepInfo(
            step=state.step,
            total_steps=state.total_steps,
            epoch=self.epoch,
            images_per_second=self._per_second(),
            data_wait=self._wait_share(),
            rankme=self._rankme,
            feature_std=self._spread,
            seconds=state.seconds,
            eta=self._seconds_left(),
            train_loss=train_loss,
            val_loss=val_loss,
            **self._last,
        )
        for hook in self.hooks:
            hook(info)
        if train_loss is not None and self._line_is_due():
            _logger.info("%s", epoch_line(info))
        watched = info.prediction_loss if self.low_loss_is_collapse else None
        if state.step >= ALARM_AFTER_STEPS and (
            message := state.monitor.alarm(
                state.step, watched, ALARM_EVERY_STEPS, with_sigreg=self.regularizer == "SIGReg"
            )
        ):
            _logger.warning("%s", message)
        self._told, self._steps_told, self._waited = time.perf_counter(), state.step, 0.0

    @property
    def epoch(self) -> int:
        """The number, from 1, of the epoch of the last step."""
        return max(-(-self.state.step // self.steps_per_epoch), 1)

    def _line_is_due(self) -> bool:
        """Tell whether an epoch gets a line: an epoch of a few steps would fill the screen."""
        is_end = self.state.step == self.state.total_steps
        if not is_end and self._now - self._wrote < LINE_SECONDS:
            return False
        self._wrote = self._now
        return True

    def _count_time(self) -> None:
        now = time.perf_counter()
        self.state.seconds += now - self._now
        self._trained += now - self._now
        self._now = now

    def _per_second(self) -> float:
        steps = self.state.step - self._steps_told
        return steps * self.batch_size / max(self._now - self._told, 1e-9)

    def _wait_share(self) -> float:
        return min(self._waited / max(self._now - self._told, 1e-9), 1.0)

    def _seconds_left(self) -> float:
        done = max(self.state.step - self._steps_begun, 1)
        return self._trained / done * (self.state.total_steps - self.state.step)


def epoch_line(info: StepInfo) -> str:
    """Write an epoch in one line for the log."""
    validation = "" if info.val_loss is None else f", validation {info.val_loss:.4f}"
    return (
        f"epoch {info.epoch}: step {info.step}/{info.total_steps}, loss {info.train_loss:.4f}"
        f"{validation}, RankMe {info.rankme:.1f}, {info.images_per_second:.0f} images/s, "
        f"waiting {100 * info.data_wait:.0f} %, {time_left(info.eta)} left"
    )
