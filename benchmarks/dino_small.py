"""DINO in runs of a few hundred steps on phantoms, beside SimCLR and the untrained encoder.

    python benchmarks/dino_small.py [ROW ...]

Rows: untrained, simclr, default, small, slow, long, quick; without names all, in about 3 minutes of
one core. Printed: kNN (k = 20) and linear AUC of the finding on patients that were not learnt from,
RankMe over all images, the loss in units of the logarithm of the number of prototypes.
"""

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch import Tensor

from medjepa.data.phantoms import phantom_batch
from medjepa.models.methods import DINO, Method, SimCLR
from medjepa.training.monitor import rankme
from medjepa.training.optim import build_optimizer, clip_gradient, set_learning_rate
from medjepa.training.scheduler import WarmupCosine

NUM, BATCH, SEED, NEIGHBOURS = 600, 32, 0, 20
SIZES: dict[str, Any] = {
    "image_size": 32, "patch_size": 8, "in_channels": 1, "embed_dim": 64, "encoder_depth": 2,
    "encoder_heads": 2,
}  # fmt: skip
SMALL: dict[str, Any] = {
    "num_local_views": 2, "hidden_dim": 256, "bottleneck_dim": 64, "num_prototypes": 256,
    "momentum": 0.98,
}  # fmt: skip
SHARP = {**SMALL, "teacher_temperature": 0.04}
ROWS: dict[str, tuple[Callable[..., Method], int, float, dict[str, Any]]] = {
    "untrained": (DINO, 0, 1e-3, SMALL),
    "simclr": (SimCLR, 300, 1e-3, {"hidden_dim": 256, "output_dim": 64}),
    "default": (DINO, 200, 1e-3, {"num_local_views": 2}),
    "small": (DINO, 300, 1e-3, SMALL),
    "slow": (DINO, 300, 1e-4, SHARP),
    "long": (DINO, 1200, 1e-3, {**SHARP, "momentum": 0.99}),
    "quick": (DINO, 300, 2e-3, {**SHARP, "momentum": 0.9}),
}
"""Name -> class, steps, learning rate, its own settings."""


def main() -> None:
    """Train and score the rows that are asked for."""
    torch.set_num_threads(1)
    batch = phantom_batch(NUM, 32, seed=SEED)
    images = torch.tensor(batch.images, dtype=torch.float32)[:, None]
    is_test = batch.groups % 3 == 0
    print(f"{is_test.sum()} test images of {len(set(batch.groups[is_test]))} patients")
    for name in sys.argv[1:] or ROWS:
        kind, steps, rate, own = ROWS[name]
        model, loss = train(kind, images, np.flatnonzero(~is_test), steps, rate, own)
        features = describe(model, images)
        known, asked = features[~is_test], features[is_test]
        scores = (f(known, batch.labels[~is_test], asked) for f in (neighbours, linear))
        near, line = (macro_auc(batch.labels[is_test], score) for score in scores)
        rank = rankme(torch.from_numpy(features))
        print(f"{name:10} kNN {near:.3f} linear {line:.3f} RankMe {rank:.1f} {loss}", flush=True)


def train(
    kind: Callable[..., Method],
    images: Tensor,
    rows: np.ndarray,
    steps: int,
    rate: float,
    own: dict[str, Any],
) -> tuple[Method, str]:
    """Train on the rows; returns the model, and its last loss."""
    torch.manual_seed(SEED)
    model = kind(**SIZES, **own, seed=SEED)
    model.set_pixel_statistics(images.mean().view(1), images.std().view(1))
    if not steps:
        return model, ""
    model.set_run_length(total_steps=steps, steps_per_epoch=NUM // BATCH)
    optimizer = build_optimizer(model, learning_rate=rate, weight_decay=0.05)
    schedule = WarmupCosine(
        peak=rate, final=1e-3 * rate, warmup_steps=steps // 10, total_steps=steps
    )
    rng = np.random.default_rng(SEED)
    model.train()
    value = 0.0
    for step in range(steps):
        set_learning_rate(optimizer, schedule(step))
        loss = model(images[rng.choice(rows, BATCH, replace=False)])["total_loss"]
        loss.backward()
        model.drop_gradients()
        clip_gradient(model, 3.0)
        optimizer.step()
        optimizer.zero_grad()
        value = float(loss.detach())
    num = model.config.get("num_prototypes")
    share = f", {value / math.log(num):.3f} of the uniform one's" if isinstance(num, int) else ""
    model.finish()
    return model, f"loss {value:.3f}{share}"


@torch.no_grad()
def describe(model: Method, images: Tensor) -> np.ndarray:
    """Embed all images, (N, D) float64."""
    model.eval()
    parts = [images[start : start + 200] for start in range(0, len(images), 200)]
    return np.concatenate([model.encode(part).double().numpy() for part in parts])


def neighbours(known: np.ndarray, labels: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Score classes (M, C) by the cosine to the nearest of the known."""
    unit = [x - known.mean(0) for x in (known, asked)]
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in unit]
    cosines = unit[1] @ unit[0].T
    nearest = np.argsort(-cosines, axis=1)[:, :NEIGHBOURS]
    weights = np.exp(np.take_along_axis(cosines, nearest, 1) / 0.07)
    classes = np.unique(labels)
    votes = np.stack([(weights * (labels[nearest] == c)).sum(1) for c in classes], axis=1)
    return np.asarray(votes / votes.sum(1, keepdims=True))


def linear(known: np.ndarray, labels: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Score classes (M, C) by logistic regression on standardised features."""
    mean, deviation = known.mean(0), known.std(0) + 1e-9
    probe = LogisticRegression(C=0.1, max_iter=300).fit((known - mean) / deviation, labels)
    return np.asarray(probe.predict_proba((asked - mean) / deviation))


def macro_auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Mean over classes of the AUC of each against the others."""
    pairs = zip(np.unique(labels), scores.T, strict=True)
    return float(np.mean([roc_auc_score(labels == number, own) for number, own in pairs]))


if __name__ == "__main__":
    main()
