"""The guide's linear probe: one layer trained by gradient descent on frozen features.

`medjepa evaluate` uses logistic regression instead (`probes.LogisticProbe`), which has no learning
rate to choose.
"""

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

import torch
from sklearn.metrics import classification_report
from torch import Tensor, nn

from medjepa.evaluation.metrics import accuracy, balanced_accuracy, macro_auc
from medjepa.utils.device import get_device


@runtime_checkable
class Encoder(Protocol):
    """A model that embeds images."""

    def encode(self, images: Tensor, /) -> Tensor:
        """Images (B, C, H, W) in [0, 1] to (B, D)."""

    def to(self, device: torch.device, /) -> Any:  # noqa: ANN401 - nn.Module returns itself
        """Move to a device."""

    def eval(self) -> Any:  # noqa: ANN401
        """Switch to evaluation mode."""


class LinearProbe(nn.Module):
    """One linear layer on standardised features; until `standardise_by` is called, on raw ones."""

    def __init__(self, embed_dim: int, num_classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(embed_dim, num_classes)
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", torch.zeros(embed_dim))
        self.register_buffer("scale", torch.ones(embed_dim))

    def standardise_by(self, features: Tensor) -> None:
        """Take mean and spread of training features (N, D); constant ones keep their scale."""
        spread = features.std(0, unbiased=False)
        self.mean.copy_(features.mean(0))
        self.scale.copy_(torch.where(spread > 1e-8, spread, torch.ones_like(spread)))

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, D) to logits (B, C)."""
        logits: Tensor = self.linear((features - self.mean) / self.scale)
        return logits


class LinearProbeEvaluator:
    """Trains a linear probe on a frozen model and measures it.

    `pretrained_model` needs `encode(images) -> (B, D)`. `seed` decides the first weights and the
    order of the batches.
    """

    def __init__(
        self, pretrained_model: Encoder, num_classes: int, embed_dim: int = 768, *, seed: int = 0
    ) -> None:
        self.device = get_device()
        self.model = pretrained_model
        self.model.to(self.device)
        self.model.eval()
        self.num_classes, self.seed = num_classes, seed
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.probe = LinearProbe(embed_dim, num_classes).to(self.device)

    @torch.no_grad()
    def extract_features(self, loader: Iterable[Any]) -> tuple[Tensor, Tensor]:
        """Embed all (images, labels) of a loader: (features (N, D), labels (N,)), on the CPU."""
        self.model.eval()
        features, labels = [], []
        for images, batch_labels, *_ in loader:
            features.append(self.model.encode(images.to(self.device)).float().cpu())
            labels.append(torch.as_tensor(batch_labels))
        return torch.cat(features), torch.cat(labels)

    def train_probe(
        self,
        train_features: Tensor,
        train_labels: Tensor,
        num_epochs: int = 100,
        lr: float = 0.01,
        batch_size: int = 256,
    ) -> LinearProbe:
        """Fit the probe by Adam with a cosine schedule to zero; returns it.

        Args:
            train_features: (N, D).
            train_labels: (N,) class indices.
            num_epochs: passes over the features.
            lr: learning rate at the start.
            batch_size: features per step.
        """
        features, labels = train_features.to(self.device), train_labels.long().to(self.device)
        self.probe.standardise_by(features)
        optimizer = torch.optim.Adam(self.probe.parameters(), lr=lr)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_epochs)
        rng = torch.Generator().manual_seed(self.seed)
        self.probe.train()
        for _ in range(num_epochs):
            for rows in torch.split(torch.randperm(len(features), generator=rng), batch_size):
                loss = nn.functional.cross_entropy(self.probe(features[rows]), labels[rows])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            schedule.step()
        return self.probe

    @torch.no_grad()
    def evaluate(self, test_features: Tensor, test_labels: Tensor) -> dict[str, Any]:
        """Measure the probe on features (N, D) with labels (N,).

        Returns:
            accuracy, balanced_accuracy, auc (macro, one against the rest; None where only one class
            occurs), and report (scikit-learn's, for each class).
        """
        self.probe.eval()
        chance = self.probe(test_features.to(self.device)).softmax(1).double().cpu().numpy()
        labels = test_labels.long().cpu().numpy()
        area = float(macro_auc(labels, chance)[0])
        return {
            "accuracy": float(accuracy(labels, chance)[0]),
            "balanced_accuracy": float(balanced_accuracy(labels, chance)[0]),
            "auc": None if area != area else area,
            "report": classification_report(
                labels, chance.argmax(1), output_dict=True, zero_division=0.0
            ),
        }
