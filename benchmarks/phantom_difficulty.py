"""How hard the built-in synthetic data are: plain baselines, a supervised network, LeJEPA.

    python benchmarks/phantom_difficulty.py [--supervised 300] [--pretrain 240] [--seeds 0 1 2]

2,000 images of 500 patients at 64 px, four classes, split by patient 70/30. Each line gives the
balanced accuracy on the test patients with its 95 % interval (bootstrap over patients). Times are
seconds of training; 0 leaves that part out. Logistic regressions take the best of five C on the
test split, which flatters them: they have to stay low all the same.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from medjepa.data.phantoms import CLASSES, PhantomBatch, phantom_batch, plan
from medjepa.evaluation.baselines import oriented_gradients, pixel_vectors, principal_components
from medjepa.evaluation.bootstrap import PatientBootstrap, estimate
from medjepa.models.lejepa import LeJEPA
from medjepa.models.registry import ENCODERS

NUM_PATIENTS, SIZE = 500, 64
Scores = NDArray[np.float64]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--supervised", type=float, default=300, help="seconds of training")
    parser.add_argument("--pretrain", type=float, default=240, help="seconds of training a seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--batch-size", type=int, default=64)
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        started = time.perf_counter()
        data = phantom_batch(NUM_PATIENTS * 4, SIZE, seed)
        took = time.perf_counter() - started
        split = np.array([patient.split == "train" for patient in plan(NUM_PATIENTS, 4, seed)])
        train = split[data.groups]
        print(
            f"seed {seed}: {train.sum()} train and {(~train).sum()} test images, made in {took:.0f} s"
        )

        def show(
            name: str, scores: Scores, data: PhantomBatch = data, train: NDArray[np.bool_] = train
        ) -> None:
            labels, groups = data.labels[~train], data.groups[~train]
            value = balanced_accuracy(labels, scores)
            draws = PatientBootstrap.draw(labels, groups.tolist(), seed=0)
            found = estimate(value, draws.samples("balanced_accuracy", labels, scores))
            recalls = " ".join(
                f"{name[:6]} {np.mean(scores[labels == k].argmax(1) == k):.2f}"
                for k, name in enumerate(CLASSES)
            )
            print(
                f"  {name}: {value:.3f} [{found.low:.3f}, {found.high:.3f}]   {recalls}", flush=True
            )

        images = data.images[:, None]
        pixels = principal_components(pixel_vectors(images), np.flatnonzero(train))
        show("pixels, 64 components", best_regression(pixels, data.labels, train))
        show("oriented gradients", best_regression(oriented_gradients(images), data.labels, train))
        tensors = torch.from_numpy(images)
        if arguments.supervised:
            scores = supervised(
                tensors, data.labels, train, seconds=arguments.supervised, seed=seed
            )
            show(f"supervised network, {arguments.supervised:.0f} s", scores)
        if arguments.pretrain:
            pretrain(
                tensors, data.labels, train, arguments.pretrain, seed, arguments.batch_size, show
            )


def balanced_accuracy(labels: NDArray[np.int64], scores: Scores) -> float:
    """Mean recall of the classes."""
    return float(np.mean([np.mean(scores[labels == k].argmax(1) == k) for k in np.unique(labels)]))


def best_regression(
    features: NDArray[np.floating], labels: NDArray[np.int64], train: NDArray[np.bool_]
) -> Scores:
    """Test scores of logistic regression with the C (of five) that is best on the test split."""
    best, scores = -1.0, np.empty(0)
    for c in (1e-4, 1e-3, 1e-2, 1e-1, 1):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=300))
        found = model.fit(features[train], labels[train]).predict_proba(features[~train])
        if (value := balanced_accuracy(labels[~train], found)) > best:
            best, scores = value, found
    return scores


def supervised(
    images: Tensor,
    labels: NDArray[np.int64],
    train: NDArray[np.bool_],
    *,
    seconds: float,
    seed: int,
) -> Scores:
    """Test scores of a small convolutional network trained on every training label."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    previous = 1
    for width in (16, 32, 64, 128):
        for channels in (previous, width):
            layers += [
                nn.Conv2d(channels, width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            ]
        layers.append(nn.MaxPool2d(2))
        previous = width
    network = nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(previous, 4)
    )
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.05)
    x = (images - images.mean((1, 2, 3), keepdim=True)) / images.std((1, 2, 3), keepdim=True)
    inputs, targets = x[torch.from_numpy(train)], torch.from_numpy(labels[train])
    draws = torch.Generator().manual_seed(seed)
    started = time.perf_counter()
    while (share := (time.perf_counter() - started) / seconds) < 1:
        optimizer.param_groups[0]["lr"] = 3e-3 * min(share / 0.05, (1 - share) / 0.95 + 1e-3)
        chosen = torch.randint(len(inputs), (64,), generator=draws)
        loss = nn.functional.cross_entropy(
            network(jitter(inputs[chosen], draws)), targets[chosen], label_smoothing=0.05
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval()
    with torch.no_grad():
        test = x[torch.from_numpy(~train)]
        return (network(test) + network(test.flip(-1))).softmax(1).double().numpy()


def jitter(images: Tensor, draws: torch.Generator) -> Tensor:
    """Light augmentation: mirror, shift by up to 4 pixels, brightness and contrast."""
    left, down = (int(torch.randint(-4, 5, (), generator=draws)) for _ in range(2))
    gain = 1 + 0.2 * torch.randn(len(images), 1, 1, 1, generator=draws)
    offset = 0.2 * torch.randn(len(images), 1, 1, 1, generator=draws)
    mirrored = torch.rand(len(images), 1, 1, 1, generator=draws) < 0.5
    return (
        torch.where(mirrored, images.flip(-1), images).roll((down, left), (-2, -1)) * gain + offset
    )


def pretrain(
    images: Tensor, labels: NDArray[np.int64], train: NDArray[np.bool_],
    seconds: float, seed: int, batch_size: int, show: Callable[[str, Scores], None],
) -> None:  # fmt: skip
    """Probe an encoder untrained and after LeJEPA on the training images without labels."""
    torch.manual_seed(seed)
    model = LeJEPA(
        **ENCODERS["vit_ti8_64"], in_channels=1, mask_ratio=0.7, lambda_reg=0.02, seed=seed
    )
    inputs = images[torch.from_numpy(train)]
    model.set_pixel_statistics(inputs.mean((0, 2, 3)), inputs.std((0, 2, 3)))
    show("untrained encoder", best_regression(embed(model, images), labels, train))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    draws = torch.Generator().manual_seed(seed)
    started, steps = time.perf_counter(), 0
    model.train()
    while (share := (time.perf_counter() - started) / seconds) < 1:
        optimizer.param_groups[0]["lr"] = 2e-3 * min(share / 0.1, (1 + np.cos(np.pi * share)) / 2)
        chosen = torch.randint(len(inputs), (batch_size,), generator=draws)
        loss = model(inputs[chosen])["total_loss"]
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        steps += 1
    show(
        f"LeJEPA, {seconds:.0f} s, {steps} steps",
        best_regression(embed(model, images), labels, train),
    )


def embed(model: LeJEPA, images: Tensor) -> NDArray[np.float32]:
    """Frozen features of all images, (N, D)."""
    model.eval()
    with torch.no_grad():
        return torch.cat([model.encode(part) for part in images.split(256)]).numpy()


if __name__ == "__main__":
    main()
