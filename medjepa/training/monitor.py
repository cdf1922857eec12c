"""Watching for collapse: are the embeddings of different images still different?"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

KEPT_ROWS = 512
# Healthy runs from their first steps on: RankMe 3 to 7, spread 0.1 to 0.5, prediction 0.05 to 0.3.
# Without SIGReg, prediction fell to 0.0001 within 200 steps: the projections had become one point.
ALARM_RANK = 1.5
ALARM_SPREAD = 0.02
ALARM_PREDICTION = 0.001


RANKME_EPSILON = 1e-7
"""Added to every share in RankMe, as published."""


def rankme(embeddings: Float[Tensor, "n d"]) -> float:
    """Return the effective rank: exp of the entropy of the singular values' shares.

    Between 1 (all embeddings on a line) and min(n, d). Source: Garrido et al., arXiv 2210.02885.
    """
    return effective_rank(torch.linalg.svdvals(embeddings.double()), epsilon=RANKME_EPSILON)


def effective_rank(values: Float[Tensor, " k"], *, epsilon: float) -> float:
    """Return exp of the entropy of the shares of values >= 0, each share raised by `epsilon`."""
    shares = values / values.sum().clamp(min=1e-12) + epsilon
    return float(torch.exp(-(shares * shares.log()).sum()))


def feature_spread(embeddings: Float[Tensor, "n d"]) -> float:
    """Return the features' mean standard deviation over images, in units of their mean length."""
    spread = embeddings.double().std(0).mean()
    size = embeddings.double().square().mean().sqrt().clamp(min=1e-12)
    return float(spread / size)


@dataclass
class CollapseMonitor:
    """The last embeddings, and what they say.

    Attributes:
        rows: (n, D) the newest embeddings, on the CPU.
        alarmed_at: step of the last alarm, -1 if none.
    """

    rows: Tensor | None = None
    alarmed_at: int = -1

    def add(self, embeddings: Float[Tensor, "b d"]) -> None:
        """Keep the newest rows."""
        new = embeddings.detach().float().cpu()
        self.rows = (new if self.rows is None else torch.cat([self.rows, new]))[-KEPT_ROWS:]

    def measure(self) -> tuple[float, float]:
        """Return RankMe and the feature spread of the rows; (nan, nan) without any."""
        if self.rows is None or len(self.rows) < 2:
            return float("nan"), float("nan")
        return rankme(self.rows), feature_spread(self.rows)

    def alarm(
        self,
        step: int,
        prediction_loss: float | None,
        repeat_every: int,
        *,
        with_sigreg: bool = True,
    ) -> str:
        """Return what to tell the user if the embeddings have collapsed, "" otherwise.

        Said once and then at most every `repeat_every` steps. A `prediction_loss` of None is no
        sign of collapse, whatever it was; the advice depends on whether SIGReg is there to help.
        """
        if self.rows is None or (self.alarmed_at >= 0 and step - self.alarmed_at < repeat_every):
            return ""
        rank, spread = self.measure()
        low = prediction_loss is not None and prediction_loss <= ALARM_PREDICTION
        if rank > ALARM_RANK and spread > ALARM_SPREAD and not low:
            return ""
        self.alarmed_at = step
        loss = "" if prediction_loss is None else f", prediction loss {prediction_loss:.2g}"
        more = "twice the training.lambda_reg, " if with_sigreg else ""
        return (
            f"collapse: different images look alike to the model (RankMe {rank:.1f} of "
            f"{min(self.rows.shape)} possible, feature spread {spread:.2g}{loss}). If this stays, "
            f"the encoder learns nothing. Try {more}a third of the training.learning_rate, a "
            "larger training.batch_size, or check that the images are not all alike."
        )

    def state(self) -> dict[str, Tensor | int | None]:
        """Return what a resumed run needs to report the same numbers."""
        return {"rows": self.rows, "alarmed_at": self.alarmed_at}
