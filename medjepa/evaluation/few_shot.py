"""The guide's few-shot evaluation: nearest neighbours on few labels, repeated, with intervals."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medjepa.evaluation.bootstrap import PatientBootstrap, estimate
from medjepa.evaluation.folds import draw_labels
from medjepa.evaluation.label_efficiency import FRACTIONS
from medjepa.evaluation.linear_probe import Encoder
from medjepa.evaluation.metrics import Floats
from medjepa.evaluation.probes import CosineKNN
from medjepa.utils.device import get_device

Rows = NDArray[np.int64]


class FewShotEvaluator:
    """Cosine k nearest neighbours on the embeddings of few labelled images.

    Every draw of labels holds each class; draws are repeated. `interval` is a bootstrap over the
    test images, `spread` the standard deviation between draws, which is no sampling error.
    """

    def __init__(
        self, pretrained_model: Encoder, k: int = 5, *, num_draws: int = 5, seed: int = 0
    ) -> None:
        self.device = get_device()
        self.model = pretrained_model
        self.model.to(self.device)
        self.model.eval()
        self.k, self.num_draws, self.seed = k, num_draws, seed

    def evaluate_n_shot(
        self,
        support_images: Tensor,
        support_labels: Tensor,
        query_images: Tensor,
        query_labels: Tensor,
        n_shot: int = 5,
    ) -> dict[str, Any]:
        """Classify queries from `n_shot` labelled images of each class.

        A support set with more than `n_shot` images of some class is drawn from `num_draws` times;
        otherwise it is used whole, once.

        Args:
            support_images: (S, C, H, W) in [0, 1].
            support_labels: (S,).
            query_images: (Q, C, H, W) in [0, 1].
            query_labels: (Q,).
            n_shot: labelled images of each class.

        Returns:
            n_shot, accuracy (mean over draws), num_support, num_query, num_draws, interval, spread.
        """
        support, query = self._embed(support_images), self._embed(query_images)
        labels = support_labels.cpu().numpy()
        subsets = _shots(labels, n_shot, self.num_draws, self.seed)
        found = self._score(support, labels, query, query_labels.cpu().numpy(), subsets)
        num_support = len(subsets[0])
        return {"n_shot": n_shot, "num_support": num_support, "num_query": len(query), **found}

    def evaluate_data_efficiency(
        self,
        train_f: Tensor,
        train_y: Tensor,
        test_f: Tensor,
        test_y: Tensor,
        fractions: Sequence[float] = FRACTIONS,
        *,
        groups: Sequence[Hashable] | None = None,
    ) -> list[dict[str, Any]]:
        """Accuracy with growing shares of the labels; one entry for each asked fraction.

        Args:
            train_f: features (N, D).
            train_y: labels (N,).
            test_f: features (M, D).
            test_y: labels (M,).
            fractions: shares of each class, at least one image of each.
            groups: (N,) patients of the training images, who are drawn whole.

        Returns:
            For each fraction: fraction, num_labeled (mean over draws), accuracy, num_draws,
            interval, spread.
        """
        labels = train_y.cpu().numpy()
        target = np.unique(labels, return_inverse=True)[1].astype(np.int64)
        train, test = _array(train_f), _array(test_f)
        results = []
        for fraction in fractions:
            subsets = [
                draw_labels(target, groups, fraction, rng=np.random.default_rng((self.seed, draw)))
                for draw in range(self.num_draws if fraction < 1 else 1)
            ]
            found = self._score(train, labels, test, test_y.cpu().numpy(), subsets)
            num_labeled = round(float(np.mean([len(subset) for subset in subsets])))
            results.append({"fraction": fraction, "num_labeled": num_labeled, **found})
        return results

    @torch.no_grad()
    def _embed(self, images: Tensor) -> Floats:
        self.model.eval()
        parts = [self.model.encode(part.to(self.device)) for part in torch.split(images, 64)]
        return _array(torch.cat(parts))

    def _score(
        self,
        train: Floats,
        train_labels: NDArray[Any],
        test: Floats,
        test_labels: NDArray[Any],
        subsets: Sequence[Rows],
    ) -> dict[str, Any]:
        """Accuracy over draws, with the interval over test images of the mean over draws."""
        correct = np.stack(
            [
                CosineKNN(k=self.k).fit(train[rows], train_labels[rows]).predict(test)
                == test_labels
                for rows in subsets
            ]
        ).astype(np.float64)
        per_image, per_draw = correct.mean(0), correct.mean(1)
        whole = np.zeros(len(test), np.int64)  # one class: every resample is complete
        counts = PatientBootstrap.draw(whole, None, seed=self.seed).counts
        found = estimate(float(per_image.mean()), counts.astype(float) @ per_image / len(test))
        return {
            "accuracy": found.value,
            "interval": (found.low, found.high),
            "spread": float(per_draw.std(ddof=1)) if len(per_draw) > 1 else 0.0,
            "num_draws": len(subsets),
        }


def _shots(labels: NDArray[Any], n_shot: int, num_draws: int, seed: int) -> list[Rows]:
    """Draw `n_shot` rows of each class, `num_draws` times; all rows once if there are no more."""
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    if all(len(rows) <= n_shot for rows in members):
        return [np.arange(len(labels))]
    rng = np.random.default_rng(seed)
    return [
        np.sort(np.concatenate([rng.permutation(rows)[:n_shot] for rows in members]))
        for _ in range(num_draws)
    ]


def _array(features: Tensor) -> Floats:
    return np.asarray(features.detach().cpu().numpy(), np.float64)
