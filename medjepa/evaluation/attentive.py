"""The attentive probe: one learned query looks at the tokens of a frozen encoder.

The protocol of V-JEPA (Bardes et al., arXiv 2404.08471, section 4; 2506.09985, appendix): a
cross-attention block whose only query is learnt, an MLP, a linear layer. Settings are chosen on
held-out patients of the training set; all settings are trained at once, on the same batches.

With a single query, keys and values need no projection of every token: the key projection turns the
query (one vector for each attention head), the value projection comes after the weighted mean, and
the scale of the tokens' layer norm is in both. It is the same function, at the cost of a pooling.
"""

import itertools
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medjepa.evaluation.attentive_heads import AttentiveHeads, optimise
from medjepa.evaluation.folds import Fold, validation_folds
from medjepa.evaluation.metrics import Floats, Integers, macro_auc
from medjepa.evaluation.probes import AUC_MARGIN, Labels

LEARNING_RATES = (1e-4, 3e-4, 1e-3, 3e-3)
WEIGHT_DECAYS = (0.01, 0.1, 1.0)
DEFAULT = (3e-4, 0.1)
"""Learning rate and weight decay where there are too few patients to choose."""

NUM_EPOCHS = 20
"""At most; the best number is chosen with the other settings."""

Tokens = NDArray[Any]
"""(N, T, D) in any float type; halves are enough to keep."""


class AttentiveProbe:
    """Cross-attention of one learned query over tokens (N, T, D), in scikit-learn's manners.

    Learning rate, weight decay and number of epochs are chosen on patients of the training set that
    the fit has not seen, by the rule of `LogisticProbe`: of all that are within `AUC_MARGIN` of the
    best AUC, the one with the lowest log-loss. Then all of the training set is fitted with them.

    Attributes:
        classes_: (C,) sorted labels.
        learning_rate_: the chosen one.
        weight_decay_: the chosen one.
        num_epochs_: the chosen one.
        chosen_by_: how, in words for the report.
    """

    def __init__(
        self,
        *,
        learning_rates: Sequence[float] | None = None,
        weight_decays: Sequence[float] | None = None,
        num_epochs: int | None = None,
        num_heads: int | None = None,
        batch_size: int = 64,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self.learning_rates = learning_rates
        self.weight_decays = weight_decays
        self.num_epochs = num_epochs
        self.num_heads = num_heads
        self.batch_size = batch_size
        self.seed = seed
        self.device = device

    def fit(
        self,
        x: Tokens,
        y: Labels,
        groups: Sequence[Hashable] | None = None,
        *,
        folds: Sequence[Fold] | None = None,
    ) -> "AttentiveProbe":
        """Learn from tokens (N, T, D), labels (N,) and, where known, patients (N,).

        Args:
            x: (N, T, D) tokens.
            y: (N,) labels.
            groups: (N,) patients; held out whole.
            folds: (fit, validate) indices to choose on; None draws them by `validation_folds`.
        """
        self.classes_, inverse = np.unique(y, return_inverse=True)
        target = inverse.astype(np.int64)
        most = NUM_EPOCHS if self.num_epochs is None else self.num_epochs
        (self.learning_rate_, self.weight_decay_), self.num_epochs_ = DEFAULT, most
        self.chosen_by_ = "only one class"
        if len(self.classes_) < 2:
            return self
        if folds is None:
            folds = validation_folds(target, groups, seed=self.seed)
        self.chosen_by_ = "fixed: too few patients to hold some out"
        if folds:
            self._choose(x, target, folds, most)
            share = "a held-out fifth" if len(folds) == 1 else f"{len(folds)}-fold cross-validation"
            self.chosen_by_ = f"AUC and log-loss on {share} of the training patients"
        self.heads_ = self._heads(x, 1)
        settings = [(self.learning_rate_, self.weight_decay_)]
        for _ in self._train(self.heads_, x, target, settings, self.num_epochs_):
            pass
        return self

    def predict_proba(self, x: Tokens) -> Floats:
        """Class probabilities (N, C)."""
        if len(self.classes_) < 2:
            return np.ones((len(x), 1))
        return np.asarray(self._chances(self.heads_, x)[0])

    def predict(self, x: Tokens) -> Labels:
        """The likeliest label of each row, (N,)."""
        return np.asarray(self.classes_[self.predict_proba(x).argmax(1)])

    def _choose(self, x: Tokens, target: Integers, folds: Sequence[Fold], num_epochs: int) -> None:
        rates = LEARNING_RATES if self.learning_rates is None else self.learning_rates
        decays = WEIGHT_DECAYS if self.weight_decays is None else self.weight_decays
        grid = list(itertools.product(rates, decays))
        found = np.array(
            [self._held_out(x, target, fold, grid, num_epochs) for fold in folds]
        )  # (folds, epochs, settings, 2)
        areas, loss = found[..., 0], found[..., 1].sum(0)
        areas = areas[~np.isnan(areas).any((1, 2))]
        if len(areas):
            area = areas.mean(0)
            loss = np.where(area >= area.max() - AUC_MARGIN, loss, np.inf)
        epoch, setting = np.unravel_index(int(loss.argmin()), loss.shape)
        self.learning_rate_, self.weight_decay_ = grid[int(setting)]
        self.num_epochs_ = int(epoch) + 1

    def _held_out(
        self,
        x: Tokens,
        target: Integers,
        fold: Fold,
        grid: Sequence[tuple[float, float]],
        num_epochs: int,
    ) -> list[list[tuple[float, float]]]:
        """AUC and log-loss of the held-out images after each epoch, for each setting."""
        fit, validate = fold
        heads, seen = self._heads(x, len(grid)), x[fit]
        held_out, wanted = x[validate], target[validate]
        rows = []
        for _ in self._train(heads, seen, target[fit], grid, num_epochs):
            row = []
            for chance in self._chances(heads, held_out):
                own = chance[np.arange(len(chance)), wanted]
                loss = float(-np.log(np.maximum(own, 1e-20)).sum())
                row.append((float(macro_auc(wanted, chance)[0]), loss))
            rows.append(row)
        return rows

    def _heads(self, x: Tokens, num: int) -> AttentiveHeads:
        rng = torch.Generator().manual_seed(self.seed)
        heads = AttentiveHeads(num, x.shape[2], len(self.classes_), self.num_heads, rng=rng)
        return heads.to(self.device)

    def _train(
        self,
        heads: AttentiveHeads,
        x: Tokens,
        target: Integers,
        grid: Sequence[tuple[float, float]],
        num_epochs: int,
    ) -> Iterator[None]:
        """Stops after every epoch, so that the caller can look."""
        rng = np.random.default_rng(self.seed)
        # Few images still make a few steps an epoch.
        size = min(self.batch_size, max(8, len(x) // 8))
        num_batches = -(-len(x) // size)

        def batches() -> Iterator[tuple[Tensor, Tensor] | None]:
            for _ in range(num_epochs):
                for rows in np.array_split(rng.permutation(len(x)), num_batches):
                    yield self._tensor(x[rows]), torch.from_numpy(target[rows]).to(self.device)
                yield None

        return optimise(heads, batches(), grid, num_warmup=num_batches)

    def _chances(self, heads: AttentiveHeads, x: Tokens) -> Floats:
        """Probabilities of each setting, (G, N, C)."""
        parts = []
        with torch.inference_mode():
            for start in range(0, len(x), self.batch_size):
                scores = heads(self._tensor(x[start : start + self.batch_size]))
                parts.append(scores.double().softmax(-1).cpu().numpy())
        return np.concatenate(parts, axis=1)

    def _tensor(self, x: Tokens) -> Tensor:
        return torch.from_numpy(np.asarray(x, np.float32)).to(self.device)
