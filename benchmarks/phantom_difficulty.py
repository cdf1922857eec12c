"""How hard the built-in synthetic data are: plain baselines, a supervised network, LeJEPA.

    python benchmarks/phantom_difficulty.py [--supervised 1000] [--pretrain 400] [--seeds 0 1 2]

2,000 images of 500 patients at 64 px, four classes, split by patient 70/30. Each line gives the
balanced accuracy on the test patients with its 95 % interval (bootstrap over patients), then the
recall of each class. Training is given in steps of 64 images; 0 leaves that part out. Logistic
regressions take the best of five C on the test split, which flatters them: the plain ones have to
stay low all the same.
"""

import argparse
import math
import time
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from medjepa.data.phantoms import CLASSES, PhantomBatch, phantom_batch, plan
from medjepa.evaluation.baselines import oriented_gradients, pixel_vectors, principal_components
from medjepa.evaluation.bootstrap import PatientBootstrap, estimate
from medjepa.models.lejepa import LeJEPA
from medjepa.models.registry import ENCODERS

NUM_PATIENTS, IMAGES_PER_PATIENT, SIZE, BATCH_SIZE = 500, 4, 64, 64
Scores = NDArray[np.float64]
Features = NDArray[np.floating]


@dataclass(frozen=True)
class Task:
    """The images, and which of them (N,) are for training."""

    data: PhantomBatch
    train: NDArray[np.bool_]

    @classmethod
    def draw(cls, seed: int) -> "Task":
        """Render the cohort of one seed."""
        patients = plan(NUM_PATIENTS, IMAGES_PER_PATIENT, seed)
        split = np.array([patient.split == "train" for patient in patients])
        data = phantom_batch(NUM_PATIENTS * IMAGES_PER_PATIENT, SIZE, seed)
        return cls(data, split[data.groups])

    @property
    def images(self) -> Tensor:
        """(N, 1, H, W) in [0, 1]."""
        return torch.from_numpy(self.data.images[:, None])

    def show(self, name: str, scores: Scores) -> None:
        """Print what the class scores (test images, 4) are worth."""
        labels, groups = self.data.labels[~self.train], self.data.groups[~self.train]
        draws = PatientBootstrap.draw(labels, groups.tolist(), seed=0)
        found = estimate(
            balanced_accuracy(labels, scores), draws.samples("balanced_accuracy", labels, scores)
        )
        right = scores.argmax(1) == labels
        recalls = " ".join(f"{c} {right[labels == k].mean():.2f}" for k, c in enumerate(CLASSES))
        print(
            f"  {name}: {found.value:.3f} [{found.low:.3f}, {found.high:.3f}]  ({recalls})",
            flush=True,
        )

    def probe(self, features: Features) -> Scores:
        """Test scores of logistic regression with the best of five C on the test split."""
        labels, best, scores = self.data.labels, -1.0, np.empty(0)
        for c in (1e-4, 1e-3, 1e-2, 1e-1, 1):
            model = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=500))
            model.fit(features[self.train], labels[self.train])
            found = model.predict_proba(features[~self.train])
            if (value := balanced_accuracy(labels[~self.train], found)) > best:
                best, scores = value, found
        return scores


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--supervised", type=int, default=1000, help="steps of training")
    parser.add_argument("--pretrain", type=int, default=400, help="steps of training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    for seed in arguments.seeds:
        started = time.perf_counter()
        task = Task.draw(seed)
        num_train, took = int(task.train.sum()), time.perf_counter() - started
        print(f"seed {seed}: {num_train} + {len(task.train) - num_train} images in {took:.0f} s")
        pixels = pixel_vectors(task.data.images[:, None])
        components = principal_components(pixels, np.flatnonzero(task.train))
        task.show("pixels, 64 components", task.probe(components))
        gradients = oriented_gradients(task.data.images[:, None])
        task.show("oriented gradients", task.probe(gradients))
        if arguments.supervised:
            supervised(task, arguments.supervised, seed)
        if arguments.pretrain:
            pretrain(task, arguments.pretrain, seed)


def balanced_accuracy(labels: NDArray[np.int64], scores: Scores) -> float:
    """Mean recall of the classes."""
    right = scores.argmax(1) == labels
    return float(np.mean([right[labels == k].mean() for k in np.unique(labels)]))


def supervised(task: Task, num_steps: int, seed: int) -> None:
    """Train a small convolutional network on every training label and show what it reaches."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    previous = 1
    for width in (16, 32, 64, 128):
        for channels in (previous, width):
            layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False)]
            layers += [nn.BatchNorm2d(width), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
        previous = width
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2)]
    network = nn.Sequential(*layers, nn.Linear(previous, len(CLASSES)))
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.05)
    images, train = task.images, torch.from_numpy(task.train)
    x = (images - images.mean((1, 2, 3), keepdim=True)) / images.std((1, 2, 3), keepdim=True)
    inputs, targets = x[train], torch.from_numpy(task.data.labels)[train]
    draws = torch.Generator().manual_seed(seed)
    started = time.perf_counter()
    for step in range(num_steps):
        share = (step + 1) / num_steps
        optimizer.param_groups[0]["lr"] = 3e-3 * min(share / 0.05, (1 - share) / 0.95 + 1e-3)
        chosen = torch.randint(len(inputs), (BATCH_SIZE,), generator=draws)
        scores = network(jitter(inputs[chosen], draws))
        loss = nn.functional.cross_entropy(scores, targets[chosen], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    took = time.perf_counter() - started
    network.eval()
    with torch.no_grad():
        found = (network(x[~train]) + network(x[~train].flip(-1))).softmax(1).double().numpy()
    task.show(f"supervised network, {num_steps} steps in {took:.0f} s", found)


def jitter(images: Tensor, draws: torch.Generator) -> Tensor:
    """Light augmentation: mirror, shift by up to 4 pixels, brightness and contrast."""
    shape = (len(images), 1, 1, 1)
    left, down = (int(torch.randint(-4, 5, (), generator=draws)) for _ in range(2))
    gain = 1 + 0.2 * torch.randn(shape, generator=draws)
    offset = 0.2 * torch.randn(shape, generator=draws)
    mirrored = torch.rand(shape, generator=draws) < 0.5
    images = torch.where(mirrored, images.flip(-1), images)
    return images.roll((down, left), (-2, -1)) * gain + offset


def pretrain(task: Task, num_steps: int, seed: int) -> None:
    """Probe an encoder untrained, and after LeJEPA on the training images without labels."""
    torch.manual_seed(seed)
    sizes = ENCODERS["vit_ti8_64"]
    model = LeJEPA(**sizes, in_channels=1, seed=seed)
    inputs = task.images[torch.from_numpy(task.train)]
    model.set_pixel_statistics(inputs.mean((0, 2, 3)), inputs.std((0, 2, 3)))
    task.show("untrained encoder", task.probe(embed(model, task.images)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    draws = torch.Generator().manual_seed(seed)
    started = time.perf_counter()
    model.train()
    for step in range(num_steps):
        share = (step + 1) / num_steps
        optimizer.param_groups[0]["lr"] = 1e-3 * min(
            share / 0.1, (1 + math.cos(math.pi * share)) / 2
        )
        chosen = torch.randint(len(inputs), (BATCH_SIZE,), generator=draws)
        loss = model(inputs[chosen])["total_loss"]
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    took = time.perf_counter() - started
    scores = task.probe(embed(model, task.images))
    task.show(f"LeJEPA, {num_steps} steps in {took:.0f} s", scores)


def embed(model: LeJEPA, images: Tensor) -> Features:
    """Frozen features of all images, (N, D)."""
    model.eval()
    with torch.no_grad():
        return torch.cat([model.encode(part) for part in images.split(256)]).numpy()


if __name__ == "__main__":
    main()
